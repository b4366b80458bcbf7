"""Whether the tables that DuckDB keeps are what a rebuild from the Parquet would make.

Belongs here: comparing them. Which tables those are, and how they are rebuilt, is declared by the
domains.
"""

import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path

import duckdb

from hc_assets.lake.atomic import local_path, make_folder
from hc_assets.lake.warehouse import Warehouse, WarehouseFailedError, quoted_name


def differing_tables(
    warehouse: Warehouse, tables: Iterable[str], rebuild: Callable[[duckdb.DuckDBPyConnection], int]
) -> list[str]:
    """Compare tables with those that a rebuild makes, beside the warehouse and thrown away.

    Args:
        warehouse: that keeps them.
        tables: `<group>/<asset>`.
        rebuild: fills them, given a connection to an empty file.

    Returns:
        Names of those whose rows are others, or can't be read.

    Raises:
        DamagedLakeError: what they are made of is damaged.
    """
    listed = list(tables)
    make_folder(warehouse.layout.data_dir)
    # It holds patients' rows as well: nowhere but in the data folder
    with tempfile.TemporaryDirectory(
        prefix=".compared-", dir=local_path(warehouse.layout.data_dir)
    ) as folder:
        with duckdb.connect(Path(folder) / "rebuilt.duckdb") as connection:
            rebuild(connection)
            expected = {table: _digest(connection, table) for table in listed}
        return [table for table in listed if _kept(warehouse, table) != expected[table]]


def _kept(warehouse: Warehouse, table: str) -> tuple[int, int] | None:
    try:
        with warehouse.read_state() as connection:
            return _digest(connection, table)
    except WarehouseFailedError:
        return None  # a block of the file is damaged, or the table is gone


def _digest(connection: duckdb.DuckDBPyConnection, table: str) -> tuple[int, int]:
    """Count of the rows, and a hash of them in any order."""
    query = f"SELECT count(*), sum(hash(kept)::HUGEINT) FROM {quoted_name(table)} AS kept"  # noqa: S608 - quoted
    count, digest = connection.execute(query).fetchall()[0]
    return count, digest or 0
