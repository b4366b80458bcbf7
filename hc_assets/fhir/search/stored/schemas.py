"""Columns of the table about the search index.

Belongs here: the schema, its lineage, and its rows. The index is in DuckDB files (`runs.py`).
"""

from collections.abc import Mapping

import pyarrow as pa

from hc_assets.core.columns import column
from hc_assets.core.lineage import Lineage
from hc_assets.core.table_schema import TableSchema
from hc_assets.fhir.search.stored.layout import VERSION
from hc_assets.fhir.search.stored.runs import Generation
from hc_assets.fhir.search_index import TABLE

_CURRENT = "fhir/current_resources"
_RESOURCE = f"{_CURRENT}.resource"

SEARCH_INDEX = pa.schema(
    [
        column("batch", pa.string(), "Key of the batch that brought them", nullable=False),
        column("file", pa.string(), "Name of the file in the folder search", nullable=False),
        column("digest", pa.string(), "Hash of what its current resources are", nullable=False),
        column("resources", pa.int64(), "Current resources that it brought", nullable=False),
        column("indexed", pa.int64(), "Those of them that are in the index", nullable=False),
        column("refused", pa.int64(), "Those whose values can't be read", nullable=False),
    ]
)
TABLES: Mapping[str, TableSchema] = {
    TABLE: TableSchema(
        SEARCH_INDEX,
        Lineage(
            carries=(_CURRENT,),
            made={
                "digest": (f"{_CURRENT}.content_sha256", f"{_CURRENT}.source"),
                "resources": (f"{_CURRENT}.is_deleted",),
            },
            rest=(_RESOURCE,),
        ),
        code_version=VERSION,
    )
}


def rows_of(generation: Generation) -> pa.Table:
    """Rows of the table: a row for each batch, in their order."""
    rows = [
        {
            "batch": share.batch,
            "file": run.name,
            "digest": share.digest,
            "resources": share.resources,
            "indexed": share.indexed,
            "refused": sum(share.refused.values()),
        }
        for run in generation.runs
        for share in run.shares
    ]
    return pa.Table.from_pylist(rows, SEARCH_INDEX)
