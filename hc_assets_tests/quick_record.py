"""Importing this, before Dagster, spares a process what `dagster_storage.py` tells of."""

from hc_assets_tests.dagster_storage import print_nothing_again, reuse_engines, reuse_migrations

reuse_engines()
reuse_migrations()
print_nothing_again()
