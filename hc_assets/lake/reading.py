"""Results for people: the committed rows of a table as Arrow, pandas or a DuckDB relation.

Belongs here: handing rows over in the form that somebody works in. Which parts are committed is
found by `tables.py`; the project's own code reads from there, batch by batch.
"""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import TYPE_CHECKING

import pyarrow as pa

from hc_assets.lake.layout import Layout
from hc_assets.lake.tables import LakeTable, MissingPartitionError, read_partitions

if TYPE_CHECKING:
    import duckdb
    import pandas as pd


class UnknownTableError(Exception):
    """No table of that name is kept in Parquet; names the one that is spelled most alike."""


class UnknownColumnError(Exception):
    """The table has no such column; names those that it has."""


@dataclass(frozen=True)
class Rows:
    """The committed rows of a table, read when they are asked for.

    Attributes:
        table: `<domain>/<plural noun>`.
        columns: names of those wanted; all where None.
    """

    table: str
    columns: tuple[str, ...] | None
    _lake: LakeTable

    def __len__(self) -> int:
        """How many rows there are, by the commits; reads none."""
        return self._lake.count_rows()

    @property
    def schema(self) -> pa.Schema:
        """Names and types of the columns; descriptions and units are in the fields' metadata."""
        schema = self._lake.schema()
        if self.columns is None:
            return schema
        return pa.schema([schema.field(name) for name in self.columns])

    def batches(self) -> Iterator[pa.RecordBatch]:
        """Read the rows as record batches of bounded size, in the order of the batches.

        Raises:
            DamagedPartError: a part is gone or is not what its commit says.
        """
        return self._lake.batches(self.columns)

    def arrow(self) -> pa.Table:
        """Read all rows as an Arrow table, which has to fit into memory."""
        return self._lake.to_table(self.columns)

    def pandas(self) -> "pd.DataFrame":
        """Read all rows as a pandas DataFrame, which has to fit into memory.

        Columns have pandas' Arrow types, so whole numbers with gaps stay whole, a missing value is
        `pd.NA`, and lists, structs and bytes come through as they are.
        """
        import pandas  # noqa: PLC0415, ICN001 - takes half a second, and who reads Arrow needs none

        frame: pd.DataFrame = self.arrow().to_pandas(types_mapper=pandas.ArrowDtype)
        return frame

    def duckdb(self, connection: "duckdb.DuckDBPyConnection") -> "duckdb.DuckDBPyRelation":
        """Pass the rows to DuckDB as a relation, which streams them once.

        Args:
            connection: of the caller's; it needs no warehouse.
        """
        reader = pa.RecordBatchReader.from_batches(self.schema, self.batches())
        return connection.from_arrow(reader)


def read_rows(
    layout: Layout,
    table: str,
    tables: Collection[str],
    *,
    batch: str | Sequence[str] | None = None,
    columns: Sequence[str] | None = None,
) -> Rows:
    """Find the committed rows of a table.

    Args:
        layout: where the lake is.
        table: `<domain>/<plural noun>`.
        tables: names of all that are kept in Parquet.
        batch: key of the batch that is wanted, or several; all that are committed where None.
        columns: names of those wanted; all where None.

    Raises:
        UnknownTableError: there is no such table.
        UnknownColumnError: it has no such column.
        MissingPartitionError: nothing of the batch, or of the table at all, is committed.
    """
    if table not in tables:
        near = get_close_matches(table, tables, n=1, cutoff=0)
        raise UnknownTableError(f"{table}: no such table; the nearest is {near[0]}")
    wanted = [batch] if isinstance(batch, str) else batch
    lake = read_partitions(layout, table, wanted)
    if not lake.partitions:
        raise MissingPartitionError(f"{table}: nothing is committed yet")
    rows = Rows(table, None if columns is None else tuple(columns), lake)
    known = lake.schema().names
    for name in rows.columns or ():
        if name not in known:
            raise UnknownColumnError(f"{table}: no column {name}; there are {', '.join(known)}")
    return rows
