"""The ledger of the batches that the warehouse has taken in.

Belongs here: reading and writing `fhir.applied_batches`. Taking batches in is in `apply.py`.
"""

from collections.abc import Mapping

import duckdb
import pyarrow as pa

from hc_assets.lake.incremental import refuse_lost
from hc_assets.lake.layout import Layout
from hc_assets.lake.tables import LakeTable

_ENRICHED = "fhir/enriched_resources"


def digests(connection: duckdb.DuckDBPyConnection) -> dict[str, str]:
    """Hash of each batch that was taken in, by its key."""
    rows = connection.execute("SELECT batch, digest FROM fhir.applied_batches").fetchall()
    return dict(rows)


def inputs(connection: duckdb.DuckDBPyConnection) -> dict[str, str]:
    """Hash of each batch that was taken in, by `<table>/<batch>`; none where no batch ever was."""
    made = connection.execute(
        "SELECT 1 FROM duckdb_tables() "
        "WHERE schema_name = 'fhir' AND table_name = 'applied_batches'"
    ).fetchall()
    if not made:
        return {}
    rows = connection.execute("SELECT batch, digest FROM fhir.applied_batches ORDER BY batch")
    return {f"{_ENRICHED}/{batch}": digest for batch, digest in rows.fetchall()}


def refuse_lost_batches(
    connection: duckdb.DuckDBPyConnection, layout: Layout, enriched: LakeTable
) -> None:
    """Refuse to take batches back that are committed, only because they are not among the rows.

    Args:
        connection: to the warehouse.
        layout: where the lake is.
        enriched: the batches that are about to be what the warehouse holds.

    Raises:
        ShrinkingTableError: a batch that was taken in is not among them, and stands still.
    """
    gone = inputs(connection).keys() - enriched.digests().keys()
    refuse_lost(layout, "fhir/current_resources", ((_ENRICHED, n.rpartition("/")[2]) for n in gone))


def sequence_after(connection: duckdb.DuckDBPyConnection, new: list[str]) -> int:
    """What the ledger will have reached; one more than now where batches are taken back only."""
    known = connection.execute("SELECT max(sequence) FROM fhir.applied_batches").fetchall()
    return (known[0][0] or 0) + max(1, len(new))


def record(connection: duckdb.DuckDBPyConnection, applied: Mapping[str, str]) -> None:
    """Note what was taken in, and forget what is in the registered table `taken_back`.

    Args:
        connection: open for writing.
        applied: hash by key of the batches that were taken in.
    """
    connection.execute(
        "DELETE FROM fhir.applied_batches WHERE batch IN (SELECT batch FROM taken_back)"
    )
    ledger = pa.table(
        {
            "batch": pa.array(applied.keys(), pa.string()),
            "digest": pa.array(applied.values(), pa.string()),
        }
    )
    connection.register("newly_applied", ledger)
    connection.execute(
        "INSERT INTO fhir.applied_batches "
        "SELECT batch, digest, row_number() OVER (ORDER BY batch) "
        "+ (SELECT coalesce(max(sequence), 0) FROM fhir.applied_batches) FROM newly_applied"
    )
    connection.unregister("newly_applied")
    connection.unregister("taken_back")
