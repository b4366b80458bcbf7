"""Resources leave: Bulk Data exports and Bundles."""
