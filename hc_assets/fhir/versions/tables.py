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
# `stated_source` is the one that it came with, `source` the one whose resource it counts to;
# `version_order` is a whole number as a text that sorts as the numbers do.
_DELIVERIES = """
    CREATE TABLE IF NOT EXISTS fhir.deliveries (
        stated_source VARCHAR, source VARCHAR,
        resource_type VARCHAR, resource_id VARCHAR,
        last_updated TIMESTAMPTZ, last_updated_digits VARCHAR DEFAULT '', version_order VARCHAR,
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
_COLUMNS_OF_OLDER = (
    "ALTER TABLE fhir.deliveries ADD COLUMN IF NOT EXISTS bucket USMALLINT",
    f"UPDATE fhir.deliveries SET bucket = {BUCKET} WHERE bucket IS NULL",  # noqa: S608 - constants
    "ALTER TABLE fhir.deliveries ADD COLUMN IF NOT EXISTS stated_source VARCHAR",
    "ALTER TABLE fhir.deliveries ADD COLUMN IF NOT EXISTS source VARCHAR",
    "ALTER TABLE fhir.deliveries ADD COLUMN IF NOT EXISTS last_updated_digits VARCHAR DEFAULT ''",
    "ALTER TABLE fhir.deliveries ADD COLUMN IF NOT EXISTS version_order VARCHAR",
    "ALTER TABLE fhir.resolved_references ADD COLUMN IF NOT EXISTS source VARCHAR",
    "ALTER TABLE fhir.resource_versions ADD COLUMN IF NOT EXISTS source VARCHAR",
    "ALTER TABLE fhir.resource_versions ADD COLUMN IF NOT EXISTS changed_sequence BIGINT",
)
# What a reference by query stands for in the resources of a source; without a target where none or
# several resources match.
_RESOLVED = """
    CREATE TABLE IF NOT EXISTS fhir.resolved_references (
        source VARCHAR, reference VARCHAR, target VARCHAR
    )
"""
# Versions whose references by query were left as they are, since resolving them raised.
_FAILED_RESOLUTIONS = """
    CREATE TABLE IF NOT EXISTS fhir.failed_resolutions (
        batch VARCHAR, place BIGINT, error VARCHAR
    )
"""
# What was a current resource of a source once and is no more, since its batches were taken back or
# it counts to another source; and the ledger's sequence then. It may be there again.
_GONE = """
    CREATE TABLE IF NOT EXISTS fhir.gone_resources (
        source VARCHAR, resource_type VARCHAR, resource_id VARCHAR, sequence BIGINT
    )
"""
# `sequence` is the order in which batches were last taken in, for exports of what came since.
_LEDGER = """
    CREATE TABLE IF NOT EXISTS fhir.applied_batches (
        batch VARCHAR, digest VARCHAR, sequence BIGINT
    )
"""
# `place` and what follows it is not for readers. `changed_sequence`: where the current content of a
# resource changed by what another batch brought (a reference by query stands for something else,
# the version after it was taken back), the ledger's sequence then.
_VERSIONS = f"""
    CREATE TABLE IF NOT EXISTS fhir.resource_versions (
        {", ".join(f"{f.name} {_TYPES[str(f.type)]}" for f in RESOURCE_HISTORY)},
        place BIGINT, resolved {_CONTENT}, changed_sequence BIGINT
    )
"""
_CURRENT = f"""
    CREATE OR REPLACE VIEW fhir.current_resources AS
    SELECT {", ".join(CURRENT_RESOURCES.names)}
    FROM (SELECT * REPLACE (coalesce(resolved, resource) AS resource) FROM fhir.resource_versions)
    WHERE is_current
"""  # noqa: S608 - constants
_HISTORY = f"""
    CREATE OR REPLACE VIEW fhir.resource_history AS
    SELECT {", ".join(RESOURCE_HISTORY.names)} FROM fhir.resource_versions
"""  # noqa: S608 - constants


def create_tables(connection: duckdb.DuckDBPyConnection) -> None:
    """Make the tables and views where they are missing; those of an older layout are dropped."""
    connection.execute("CREATE SCHEMA IF NOT EXISTS fhir")
    if not has_table(connection, "resource_versions"):
        if has_table(connection, "current_resources"):
            connection.execute("DROP TABLE fhir.current_resources")
        connection.execute("DROP TABLE IF EXISTS fhir.applied_batches")
    connection.execute(_LEDGER)
    made = (_DELIVERIES, _RESOLVED, _FAILED_RESOLUTIONS, _GONE, _VERSIONS)
    for statement in (*made, *_COLUMNS_OF_OLDER):
        connection.execute(statement)
    for view, sql, schema in (
        ("current_resources", _CURRENT, CURRENT_RESOURCES),
        ("resource_history", _HISTORY, RESOURCE_HISTORY),
    ):
        connection.execute(sql)
        _comment(connection, view, schema)


def has_table(connection: duckdb.DuckDBPyConnection, table: str) -> bool:
    """Whether a table of the schema `fhir` is there."""
    return bool(
        connection.execute(
            "SELECT 1 FROM duckdb_tables() WHERE schema_name = 'fhir' AND table_name = ?", [table]
        ).fetchall()
    )


def _comment(connection: duckdb.DuckDBPyConnection, view: str, schema: pa.Schema) -> None:
    for field in schema:
        text = describe(field).replace("'", "''")
        connection.execute(f"COMMENT ON COLUMN fhir.{view}.{field.name} IS '{text}'")
