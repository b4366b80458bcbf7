"""Enriched batches become the current state of each resource, in DuckDB.

Belongs here: which of several versions of a resource is the current one. The ledger of applied
batches and the rows change in one transaction, so a kill leaves both as they were.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import duckdb
import pyarrow as pa

from hc_assets.fhir.schemas import CURRENT_RESOURCES, ENRICHED_RESOURCES
from hc_assets.lake.tables import LakeTable
from hc_assets.lake.warehouse import describe

_COLUMNS = (
    "batch",
    "position",
    "source_file",
    "resource_type",
    "resource_id",
    "patient_id",
    "encounter_id",
    "last_updated",
    "content_sha256",
    "resource",
)

# The arrived rows that are later than all that was seen of their resource, in order; each that
# differs from the one before it counts the version up; the first of the last version stays, unless
# that version is known already.
_UPSERT = """
    INSERT OR REPLACE INTO fhir.current_resources BY NAME
    WITH later AS (
        SELECT
            arrived.*,
            known.version_id AS known_version,
            row_number() OVER in_order AS place,
            CASE
                WHEN row_number() OVER in_order > 1
                    THEN lag(arrived.content_sha256) OVER in_order
                ELSE known.content_sha256
            END AS content_before
        FROM arrived
        LEFT JOIN fhir.current_resources AS known USING (resource_type, resource_id)
        WHERE known.resource_id IS NULL
            OR (arrived.last_updated, arrived.batch, arrived.source_file, arrived.position)
                > (known.last_seen, known.batch, known.source_file, known.position)
        WINDOW in_order AS (
            PARTITION BY arrived.resource_type, arrived.resource_id
            ORDER BY arrived.last_updated, arrived.batch, arrived.source_file, arrived.position
        )
    ),
    counted AS (
        SELECT
            *,
            (coalesce(known_version, 0) + sum(
                (content_sha256 IS DISTINCT FROM content_before
                    OR (place = 1 AND known_version IS NULL))::INT
            ) OVER (PARTITION BY resource_type, resource_id ORDER BY place))::BIGINT AS version_id
        FROM later
    )
    SELECT
        resource_type, resource_id, version_id, last_updated, resource IS NULL AS is_deleted,
        patient_id, encounter_id, batch, content_sha256, resource,
        position, source_file, last_updated AS last_seen
    FROM counted
    QUALIFY version_id IS DISTINCT FROM known_version AND row_number() OVER (
        PARTITION BY resource_type, resource_id ORDER BY version_id DESC, place
    ) = 1
"""
# A version that is sent again stays as it is, but what is older than that no longer replaces it.
_SEEN = """
    UPDATE fhir.current_resources AS known SET last_seen = again.last_updated
    FROM (
        SELECT resource_type, resource_id, max(last_updated) AS last_updated
        FROM arrived GROUP BY resource_type, resource_id
    ) AS again
    WHERE known.resource_type = again.resource_type AND known.resource_id = again.resource_id
        AND known.last_seen < again.last_updated
"""


@dataclass(frozen=True)
class Applied:
    """What an application did: batches taken in, whether from scratch, rows there are now."""

    batches: int
    from_scratch: bool
    rows: int
    deleted: int


def create_tables(connection: duckdb.DuckDBPyConnection) -> None:
    """Make the state tables where they are missing."""
    types = {"timestamp[us, tz=UTC]": "TIMESTAMPTZ", "string": "VARCHAR", "int64": "BIGINT"}
    types |= {"bool": "BOOLEAN", "binary": "BLOB"}
    columns = ", ".join(f"{f.name} {types[str(f.type)]}" for f in CURRENT_RESOURCES)
    connection.execute("CREATE SCHEMA IF NOT EXISTS fhir")
    connection.execute(
        f"CREATE TABLE IF NOT EXISTS fhir.current_resources ({columns}, "
        "position BIGINT, source_file VARCHAR, last_seen TIMESTAMPTZ, "
        "PRIMARY KEY (resource_type, resource_id))"
    )
    for field in CURRENT_RESOURCES:
        text = describe(field).replace("'", "''")
        connection.execute(f"COMMENT ON COLUMN fhir.current_resources.{field.name} IS '{text}'")
    connection.execute(
        "CREATE TABLE IF NOT EXISTS fhir.applied_batches "
        "(batch VARCHAR PRIMARY KEY, digest VARCHAR)"
    )


def apply_batches(connection: duckdb.DuckDBPyConnection, enriched: LakeTable) -> Applied:
    """Take in the enriched batches that were not taken in yet.

    A batch that was taken in and has changed since, or is gone, means starting from scratch: what
    it replaced is not kept.

    Args:
        connection: open for writing.
        enriched: all committed batches of `fhir/enriched_resources`.

    Returns:
        What was done.
    """
    digests = {str(made.batch): made.digest() for _, made in enriched.partitions}
    connection.begin()
    try:
        create_tables(connection)
        known = _ledger(connection)
        changed = any(digests.get(batch) != digest for batch, digest in known.items())
        if changed:
            connection.execute("DELETE FROM fhir.current_resources")
            connection.execute("DELETE FROM fhir.applied_batches")
            known = {}
        new = [batch for batch in sorted(digests) if batch not in known]
        for batch in new:
            _apply(connection, enriched.of(batch))
            connection.execute(
                "INSERT INTO fhir.applied_batches VALUES (?, ?)", [batch, digests[batch]]
            )
        rows, deleted = connection.execute(
            "SELECT count(*), count(*) FILTER (is_deleted) FROM fhir.current_resources"
        ).fetchall()[0]
        connection.commit()
    except BaseException:
        connection.rollback()
        raise
    return Applied(len(new), changed or not known, rows, deleted)


def _ledger(connection: duckdb.DuckDBPyConnection) -> Mapping[str, str]:
    return dict(connection.execute("SELECT batch, digest FROM fhir.applied_batches").fetchall())


def _apply(connection: duckdb.DuckDBPyConnection, batch: LakeTable) -> None:
    """Upsert one batch; the order of versions is last_updated, then batch, then position."""
    wanted = pa.schema([ENRICHED_RESOURCES.field(name) for name in _COLUMNS])
    incoming = pa.RecordBatchReader.from_batches(wanted, batch.batches(_COLUMNS))
    connection.register("incoming", incoming)
    connection.execute("CREATE OR REPLACE TEMP TABLE arrived AS SELECT * FROM incoming")
    connection.unregister("incoming")
    connection.execute(_UPSERT)
    connection.execute(_SEEN)
    connection.execute("DROP TABLE arrived")
