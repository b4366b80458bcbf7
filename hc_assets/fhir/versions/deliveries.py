"""Deliveries that arrived take their places among those of before, in bounded memory.

Belongs here: which resources are looked at again, a slice of all at a time, and what that changed.
Which deliveries of theirs are compared is in `events.py`, which of them is a version in `chain.py`;
contents are in `apply.py`.
"""

from collections.abc import Iterable, Iterator

import duckdb

from hc_assets.fhir.versions.chain import make_chain
from hc_assets.fhir.versions.events import OF_SLICE, make_events
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
# Resources of sources that may be there no more: their current delivery is taken back, or counts to
# another source.
_LEAVING = """
    CREATE OR REPLACE TEMP TABLE leaving AS
    SELECT source, resource_type, resource_id, bucket FROM fhir.deliveries
    WHERE is_current AND batch IN (SELECT batch FROM taken_back)
"""
_MOVED_AWAY = f"""
    INSERT INTO leaving
    SELECT old_source, resource_type, resource_id, {BUCKET}
    FROM events WHERE was_current AND source IS DISTINCT FROM old_source
"""  # noqa: S608 - constants
_GONE = """
    INSERT INTO fhir.gone_resources
    SELECT DISTINCT source, resource_type, resource_id, $sequence::BIGINT FROM leaving
    WHERE NOT EXISTS (
        SELECT 1 FROM fhir.deliveries AS kept
        WHERE kept.bucket = leaving.bucket AND kept.resource_type = leaving.resource_type
            AND kept.resource_id = leaving.resource_id
            AND kept.source IS NOT DISTINCT FROM leaving.source
    )
"""
_TAKE_BACK = "DELETE FROM fhir.deliveries WHERE batch IN (SELECT batch FROM taken_back)"
# How many rows of each bucket are new, or of resources that are looked at again.
_NEW_BY_BUCKET = """
    SELECT bucket, count(*)
    FROM (SELECT bucket FROM arrived UNION ALL SELECT bucket FROM withdrawn)
    GROUP BY bucket ORDER BY bucket
"""
_TOUCHED = f"""
    CREATE OR REPLACE TEMP TABLE touched AS
    SELECT resource_type, resource_id, bucket FROM arrived WHERE {OF_SLICE}
    UNION
    SELECT resource_type, resource_id, bucket FROM withdrawn WHERE {OF_SLICE}
"""  # noqa: S608 - constants
_COMPARED_BY_BUCKET = f"""
    SELECT bucket, count(*)
    FROM (
        SELECT bucket FROM arrived WHERE {OF_SLICE}
        UNION ALL
        SELECT bucket FROM fhir.deliveries
        SEMI JOIN touched USING (bucket, resource_type, resource_id)
        WHERE {OF_SLICE}
    )
    GROUP BY bucket ORDER BY bucket
"""  # noqa: S608 - constants
_CHANGES = """
    CREATE OR REPLACE TEMP TABLE changes (
        batch VARCHAR, place BIGINT, source VARCHAR, version_id BIGINT, is_current BOOLEAN,
        is_new BOOLEAN, old_version_id BIGINT
    )
"""
_NEW_DELIVERIES = f"""
    INSERT INTO fhir.deliveries BY NAME
    SELECT arrived.*, chain.source, chain.version_id, chain.is_current
    FROM arrived JOIN chain USING (batch, place)
    WHERE {OF_SLICE}
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

    Leaves the temporary tables `withdrawn`, the resources that they spoke of, and `leaving`.
    """
    connection.execute(_WITHDRAWN)
    connection.execute(_LEAVING)
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
        How many deliveries were put in order: those that are new, and what of before they change.
    """
    connection.execute(_CHANGES)
    compared = 0
    new = connection.execute(_NEW_BY_BUCKET).fetchall()
    for first, last in slices(new, slice_rows):
        of_slice = {"first": first, "last": last}
        connection.execute(_TOUCHED, of_slice)
        by_bucket = connection.execute(_COMPARED_BY_BUCKET, of_slice).fetchall()
        for first_compared, last_compared in slices(by_bucket, slice_rows):
            compared += _take_in_slice(connection, first_compared, last_compared)
    connection.execute(_RENUMBERED)
    connection.execute(_RENUMBER)
    for table in ("arrived", "withdrawn", "touched", "events", "chain", "moved"):
        connection.execute(f"DROP TABLE IF EXISTS {table}")
    return compared


def _take_in_slice(connection: duckdb.DuckDBPyConnection, first: int, last: int) -> int:
    count = make_events(connection, first, last)
    make_chain(connection)
    connection.execute(_NEW_DELIVERIES, {"first": first, "last": last})
    connection.execute(_CHANGES_OF_SLICE)
    connection.execute(_MOVED_AWAY)
    return count


def note_gone(connection: duckdb.DuckDBPyConnection, sequence: int) -> None:
    """Keep which resources of which sources were there before, and are no more.

    Args:
        connection: open for writing, after `take_in`.
        sequence: of the ledger, for exports of what changed since.
    """
    if connection.execute("SELECT 1 FROM leaving LIMIT 1").fetchall():
        connection.execute(_GONE, {"sequence": sequence})
    connection.execute("DROP TABLE leaving")


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
