"""The tables in which DuckDB keeps the versions of resources, and the views that readers see.

Belongs here: what there is in the warehouse, and making it. How it is filled is in `apply.py`.
"""

import duckdb
import pyarrow as pa

from hc_assets.fhir.schemas import CURRENT_RESOURCES, RESOURCE_HISTORY
from hc_assets.lake.warehouse import describe

# Content makes up nearly all of the file: a quarter of it with zstd, and quicker to write.
_CONTENT = "BLOB USING COMPRESSION zstd"
_TYPES = {
    "timestamp[us, tz=UTC]": "TIMESTAMPTZ",
    "string": "VARCHAR",
    "int64": "BIGINT",
    "bool": "BOOLEAN",
    "binary": _CONTENT,
}
# A row per time that a resource or its deletion was delivered, whether that made a version or not:
# what arrives late may make a version of it. Holds no content; that is in the Parquet.
_DELIVERIES = """
    CREATE TABLE IF NOT EXISTS fhir.deliveries (
        resource_type VARCHAR, resource_id VARCHAR, last_updated TIMESTAMPTZ,
        batch VARCHAR, source_file VARCHAR, position BIGINT, place BIGINT,
        content_sha256 VARCHAR, is_conditional BOOLEAN,
        identifiers VARCHAR[], conditional_references VARCHAR[],
        version_id BIGINT, is_current BOOLEAN
    )
"""
# Where a resource's deliveries are found without reading all others: one of 4,096 buckets, by a
# hash that is the same whatever the release of DuckDB.
BUCKETS = 4_096
BUCKET = f"(md5_number_lower(resource_type || '/' || resource_id) % {BUCKETS})::USMALLINT"
_BUCKET_OF_OLDER = (
    "ALTER TABLE fhir.deliveries ADD COLUMN IF NOT EXISTS bucket USMALLINT",
    f"UPDATE fhir.deliveries SET bucket = {BUCKET} WHERE bucket IS NULL",  # noqa: S608 - constants
)
# What a reference by query stands for; without a target where none or several resources match.
_RESOLVED = """
    CREATE TABLE IF NOT EXISTS fhir.resolved_references (
        reference VARCHAR, target VARCHAR
    )
"""
# Versions whose references by query were left as they are, since resolving them raised.
_FAILED_RESOLUTIONS = """
    CREATE TABLE IF NOT EXISTS fhir.failed_resolutions (
        batch VARCHAR, place BIGINT, error VARCHAR
    )
"""
# `sequence` is the order in which batches were last taken in, for exports of what came since.
_LEDGER = """
    CREATE TABLE IF NOT EXISTS fhir.applied_batches (
        batch VARCHAR, digest VARCHAR, sequence BIGINT
    )
"""
# Where the current content of a resource changed by what another batch brought (a reference by
# query stands for something else, the version after it was taken back): the ledger's sequence then.
_CHANGED_SEQUENCE = (
    "ALTER TABLE fhir.resource_versions ADD COLUMN IF NOT EXISTS changed_sequence BIGINT"
)
_CURRENT = """
    CREATE OR REPLACE VIEW fhir.current_resources AS
    SELECT * EXCLUDE (source_file, position, is_current, place, resolved, changed_sequence)
        REPLACE (coalesce(resolved, resource) AS resource)
    FROM fhir.resource_versions WHERE is_current
"""
_HISTORY = """
    CREATE OR REPLACE VIEW fhir.resource_history AS
    SELECT * EXCLUDE (place, resolved, changed_sequence) FROM fhir.resource_versions
"""


def create_tables(connection: duckdb.DuckDBPyConnection) -> None:
    """Make the tables and views where they are missing; those of an older layout are dropped."""
    connection.execute("CREATE SCHEMA IF NOT EXISTS fhir")
    if not _exists(connection, "resource_versions"):
        if _exists(connection, "current_resources"):
            connection.execute("DROP TABLE fhir.current_resources")
        connection.execute("DROP TABLE IF EXISTS fhir.applied_batches")
    connection.execute(_LEDGER)
    connection.execute(_DELIVERIES)
    for statement in _BUCKET_OF_OLDER:
        connection.execute(statement)
    connection.execute(_RESOLVED)
    connection.execute(_FAILED_RESOLUTIONS)
    columns = ", ".join(f"{f.name} {_TYPES[str(f.type)]}" for f in RESOURCE_HISTORY)
    connection.execute(
        "CREATE TABLE IF NOT EXISTS fhir.resource_versions "
        f"({columns}, place BIGINT, resolved {_CONTENT})"
    )
    connection.execute(_CHANGED_SEQUENCE)
    for view, sql, schema in (
        ("current_resources", _CURRENT, CURRENT_RESOURCES),
        ("resource_history", _HISTORY, RESOURCE_HISTORY),
    ):
        connection.execute(sql)
        _comment(connection, view, schema)


def _exists(connection: duckdb.DuckDBPyConnection, table: str) -> bool:
    return bool(
        connection.execute(
            "SELECT 1 FROM duckdb_tables() WHERE schema_name = 'fhir' AND table_name = ?", [table]
        ).fetchall()
    )


def _comment(connection: duckdb.DuckDBPyConnection, view: str, schema: pa.Schema) -> None:
    for field in schema:
        text = describe(field).replace("'", "''")
        connection.execute(f"COMMENT ON COLUMN fhir.{view}.{field.name} IS '{text}'")
