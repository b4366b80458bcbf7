"""Resources for assets of one's own beside ours.

Belongs here: what a user's asset asks for by name. Our own assets open the warehouse through
`lake/warehouse.py`, which knows how long to wait for a writer.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import duckdb
from dagster_duckdb import DuckDBResource

from hc_assets.lake.layout import Layout


class ReadOnlyDuckDB(DuckDBResource):
    """The warehouse, for reading: an open connection that could write would lock our assets out."""

    @contextmanager
    def get_connection(self) -> Iterator[duckdb.DuckDBPyConnection]:
        """Open it read-only, and close it whatever happens.

        Raises:
            duckdb.IOException: there is no warehouse yet, or a step is writing it.
        """
        connection = duckdb.connect(
            self.database, read_only=True, config=dict(self.connection_config)
        )
        try:
            yield connection
        finally:
            connection.close()


def warehouse_resource(layout: Layout) -> ReadOnlyDuckDB:
    """Return the resource of a data folder's warehouse."""
    return ReadOnlyDuckDB(database=str(layout.warehouse))
