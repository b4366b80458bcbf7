"""Importing this, before Dagster, spares a process what `dagster_storage.py` tells of.

And before the package, the tables of the views that come with it: they would take as long as the
rest of a small ingest. Tests of views make them in a process of their own.
"""

import os

from hc_assets_tests.dagster_storage import print_nothing_again, reuse_engines, reuse_migrations

os.environ.setdefault("HC_SHIPPED_VIEWS", "false")
os.environ.setdefault("HC_SEARCH_INDEX", "false")
reuse_engines()
reuse_migrations()
print_nothing_again()
