"""Reports on asset checks, and the data dictionary."""
