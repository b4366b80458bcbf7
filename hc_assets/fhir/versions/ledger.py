"""The ledger of the batches that the warehouse has taken in.

Belongs here: reading and writing `fhir.applied_batches`. Taking batches in is in `apply.py`.
"""

from collections.abc import Mapping

import duckdb
import pyarrow as pa


def digests(connection: duckdb.DuckDBPyConnection) -> dict[str, str]:
    """Hash of each batch that was taken in, by its key."""
    rows = connection.execute("SELECT batch, digest FROM fhir.applied_batches").fetchall()
    return dict(rows)


def inputs(connection: duckdb.DuckDBPyConnection) -> dict[str, str]:
    """Hash of each batch that was taken in, by `<table>/<batch>`."""
    rows = connection.execute("SELECT batch, digest FROM fhir.applied_batches ORDER BY batch")
    return {f"fhir/enriched_resources/{batch}": digest for batch, digest in rows.fetchall()}


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
