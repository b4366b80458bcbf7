"""Columns of the lines, and what they are made from."""

import pyarrow as pa

from hc_assets.core.columns import column
from hc_assets.core.lineage import Lineage
from hc_assets.core.table_schema import TableSchema

LINES = pa.schema(
    [
        column("batch", pa.string(), "Key of the batch", nullable=False),
        column("source_file", pa.string(), "File that the line is in", nullable=False),
        column("length", pa.int64(), "Characters of the line", unit="{characters}"),
    ]
)

TABLES = {"example/lines": TableSchema(LINES, Lineage(rest=()))}
