"""Deliveries that arrived take their places among those of before, in bounded memory.

Belongs here: which deliveries are looked at again, a slice of all resources at a time, and what
that changed. Which of them is a version is in `chain.py`; contents are in `apply.py`.
"""

from collections.abc import Iterable, Iterator

import duckdb

from hc_assets.fhir.versions.chain import make_chain
from hc_assets.fhir.versions.sources import IS_SERVER
from hc_assets.fhir.versions.tables import BUCKET

SLICE_ROWS = 200_000
# How many digits there are goes before them, so that these texts sort as the numbers do.
_VERSION_ORDER = """
    CASE WHEN regexp_full_match(stated_version, '[0-9]{1,99}')
        THEN lpad(length(ltrim(stated_version, '0'))::VARCHAR, 2, '0')
            || ltrim(stated_version, '0')
    END
"""
# The statement that reads the rows registered as `incoming`. In the order of the buckets, so that
# each slice finds its own without reading the others'.
ARRIVED = f"""
    CREATE OR REPLACE TEMP TABLE arrived AS
    SELECT * EXCLUDE (
            source, last_updated_digits, stated_version, request_if_none_exist, request_method
        ),
        source AS stated_source,
        coalesce(last_updated_digits, '') AS last_updated_digits,
        {_VERSION_ORDER} AS version_order,
        coalesce(
            request_method = 'POST' AND request_if_none_exist IS NOT NULL
                AND content_sha256 IS NOT NULL,
            false
        ) AS is_conditional,
        {BUCKET} AS bucket
    FROM incoming
    ORDER BY bucket
"""  # noqa: S608 - constants
_WITHDRAWN = """
    CREATE OR REPLACE TEMP TABLE withdrawn AS
    SELECT DISTINCT resource_type, resource_id, bucket FROM fhir.deliveries
    WHERE batch IN (SELECT batch FROM taken_back)
    ORDER BY bucket
"""
_TAKE_BACK = "DELETE FROM fhir.deliveries WHERE batch IN (SELECT batch FROM taken_back)"
# How many rows of each bucket are new, or of resources that are looked at again.
_NEW_BY_BUCKET = """
    SELECT bucket, count(*)
    FROM (SELECT bucket FROM arrived UNION ALL SELECT bucket FROM withdrawn)
    GROUP BY bucket ORDER BY bucket
"""
_OF_SLICE = "bucket BETWEEN $first AND $last"
_TOUCHED = f"""
    CREATE OR REPLACE TEMP TABLE touched AS
    SELECT resource_type, resource_id, bucket FROM arrived WHERE {_OF_SLICE}
    UNION
    SELECT resource_type, resource_id, bucket FROM withdrawn WHERE {_OF_SLICE}
"""  # noqa: S608 - constants
_COMPARED_BY_BUCKET = f"""
    SELECT bucket, count(*)
    FROM (
        SELECT bucket FROM arrived WHERE {_OF_SLICE}
        UNION ALL
        SELECT bucket FROM fhir.deliveries
        SEMI JOIN touched USING (bucket, resource_type, resource_id)
        WHERE {_OF_SLICE}
    )
    GROUP BY bucket ORDER BY bucket
"""  # noqa: S608 - constants
_CHANGES = """
    CREATE OR REPLACE TEMP TABLE changes (
        batch VARCHAR, place BIGINT, source VARCHAR, version_id BIGINT, is_current BOOLEAN,
        is_new BOOLEAN, old_version_id BIGINT
    )
"""
_COMPARED = """
    stated_source, resource_type, resource_id, last_updated, last_updated_digits, version_order,
    batch, source_file, position, place, content_sha256, is_conditional
"""
# What came without a source counts to the server that has its type and id, where there is one only:
# nothing says that it is of another. Names are the users', and nothing counts to one by itself.
_EVENTS = f"""
    CREATE OR REPLACE TEMP TABLE events AS
    WITH compared AS (
        SELECT {_COMPARED}, true AS is_new,
            NULL::VARCHAR AS old_source, NULL::BIGINT AS old_version_id, false AS was_current
        FROM arrived WHERE {_OF_SLICE}
        UNION ALL
        SELECT {_COMPARED}, false, source, version_id, is_current
        FROM fhir.deliveries SEMI JOIN touched USING (bucket, resource_type, resource_id)
        WHERE {_OF_SLICE}
    ),
    servers AS (
        SELECT resource_type, resource_id, any_value(stated_source) AS server
        FROM compared WHERE {IS_SERVER.format("stated_source")}
        GROUP BY ALL HAVING count(DISTINCT stated_source) = 1
    )
    SELECT compared.*, coalesce(stated_source, server) AS source
    FROM compared LEFT JOIN servers USING (resource_type, resource_id)
"""  # noqa: S608 - constants
_NEW_DELIVERIES = f"""
    INSERT INTO fhir.deliveries BY NAME
    SELECT arrived.*, chain.source, chain.version_id, chain.is_current
    FROM arrived JOIN chain USING (batch, place)
    WHERE {_OF_SLICE}
"""  # noqa: S608 - constants
_CHANGES_OF_SLICE = """
    INSERT INTO changes
    SELECT batch, place, source, version_id, is_current, is_new, old_version_id FROM chain
    WHERE (is_new AND version_id IS NOT NULL)
        OR (NOT is_new AND (source, version_id, is_current)
            IS DISTINCT FROM (old_source, old_version_id, was_current))
"""
# In the order of the rows: those found in any other order are each an update of their own.
_RENUMBERED = """
    CREATE OR REPLACE TEMP TABLE moved AS
    SELECT known.rowid AS row, changes.source, changes.version_id, changes.is_current
    FROM fhir.deliveries AS known JOIN changes USING (batch, place)
    WHERE NOT changes.is_new
    ORDER BY row
"""
_RENUMBER = """
    UPDATE fhir.deliveries AS known
    SET source = moved.source, version_id = moved.version_id, is_current = moved.is_current
    FROM moved WHERE moved.row = known.rowid
"""


def take_back(connection: duckdb.DuckDBPyConnection) -> None:
    """Remove the deliveries of the batches in `taken_back`.

    Leaves the temporary table `withdrawn`: the resources that they spoke of.
    """
    connection.execute(_WITHDRAWN)
    connection.execute(_TAKE_BACK)


def take_in(connection: duckdb.DuckDBPyConnection, slice_rows: int) -> int:
    """Add what is in `arrived`, and number again what it and `withdrawn` refer to.

    Leaves the temporary table `changes`: deliveries that are versions now, or that had another
    number or source before (`old_version_id`) or were current.

    Args:
        connection: open for writing.
        slice_rows: about how many deliveries are put in order at a time; more where a single
            bucket of resources has more.

    Returns:
        How many deliveries were put in order: those that are new, and all of the same resources.
    """
    connection.execute(_CHANGES)
    compared = 0
    new = connection.execute(_NEW_BY_BUCKET).fetchall()
    for first, last in slices(new, slice_rows):
        of_slice = {"first": first, "last": last}
        connection.execute(_TOUCHED, of_slice)
        by_bucket = connection.execute(_COMPARED_BY_BUCKET, of_slice).fetchall()
        compared += sum(count for _, count in by_bucket)
        for first_compared, last_compared in slices(by_bucket, slice_rows):
            _take_in_slice(connection, first_compared, last_compared)
    connection.execute(_RENUMBERED)
    connection.execute(_RENUMBER)
    for table in ("arrived", "withdrawn", "touched", "events", "chain", "moved"):
        connection.execute(f"DROP TABLE IF EXISTS {table}")
    return compared


def _take_in_slice(connection: duckdb.DuckDBPyConnection, first: int, last: int) -> None:
    of_slice = {"first": first, "last": last}
    connection.execute(_EVENTS, of_slice)
    make_chain(connection)
    connection.execute(_NEW_DELIVERIES, of_slice)
    connection.execute(_CHANGES_OF_SLICE)


def slices(rows: Iterable[tuple[int, int]], limit: int) -> Iterator[tuple[int, int]]:
    """Divide buckets into slices that have few rows, and few slices.

    Args:
        rows: bucket and count of its rows, by bucket.
        limit: rows that a slice may have; one of a single bucket may have more.

    Yields:
        First and last bucket of each slice; buckets between them that are not among the rows are
        of no slice or of one.
    """
    first = last = None
    size = 0
    for bucket, count in rows:
        if first is not None and last is not None and size + count > limit:
            yield first, last
            first, size = None, 0
        first, last, size = bucket if first is None else first, bucket, size + count
    if first is not None and last is not None:
        yield first, last
