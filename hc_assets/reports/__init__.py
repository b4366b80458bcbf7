"""Reports on asset checks and data quality."""
