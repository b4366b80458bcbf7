"""Deliveries that arrived take their places among those of before, in bounded memory.

Belongs here: which deliveries are looked at again, a slice of all resources at a time, and what
that changed. Which of them is a version is in `chain.py`; contents are in `apply.py`.
"""

import math
from collections.abc import Iterator

import duckdb

from hc_assets.fhir.versions.chain import make_chain
from hc_assets.fhir.versions.tables import BUCKET, BUCKETS

SLICE_ROWS = 200_000
# The statement that reads the rows registered as `incoming`. In the order of the buckets, so that
# each slice finds its own without reading the others'.
ARRIVED = f"""
    CREATE OR REPLACE TEMP TABLE arrived AS
    SELECT * EXCLUDE (request_if_none_exist, request_method),
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
# Resources that are looked at again, and how many deliveries a resource has had so far.
_SIZE = """
    SELECT (SELECT count(*) FROM arrived) + (SELECT count(*) FROM withdrawn),
        coalesce(count(*) / nullif(count(*) FILTER (is_current), 0), 0)
    FROM fhir.deliveries
"""
_CHANGES = """
    CREATE OR REPLACE TEMP TABLE changes (
        batch VARCHAR, place BIGINT, version_id BIGINT, is_current BOOLEAN,
        is_new BOOLEAN, old_version_id BIGINT
    )
"""
_OF_SLICE = "bucket BETWEEN $first AND $last"
_COMPARED = """
    resource_type, resource_id, last_updated, batch, source_file, position, place, content_sha256,
    is_conditional
"""
_EVENTS = f"""
    CREATE OR REPLACE TEMP TABLE events AS
    WITH touched AS (
        SELECT resource_type, resource_id FROM arrived WHERE {_OF_SLICE}
        UNION
        SELECT resource_type, resource_id FROM withdrawn WHERE {_OF_SLICE}
    )
    SELECT {_COMPARED}, true AS is_new, NULL::BIGINT AS old_version_id, false AS was_current
    FROM arrived WHERE {_OF_SLICE}
    UNION ALL
    SELECT {_COMPARED}, false, version_id, is_current
    FROM fhir.deliveries SEMI JOIN touched USING (resource_type, resource_id)
    WHERE {_OF_SLICE}
"""  # noqa: S608 - constants
_NEW_DELIVERIES = f"""
    INSERT INTO fhir.deliveries BY NAME
    SELECT arrived.*, chain.version_id, chain.is_current
    FROM arrived JOIN chain USING (batch, place)
    WHERE {_OF_SLICE}
"""  # noqa: S608 - constants
_CHANGES_OF_SLICE = """
    INSERT INTO changes
    SELECT batch, place, version_id, is_current, is_new, old_version_id FROM chain
    WHERE (is_new AND version_id IS NOT NULL)
        OR (NOT is_new
            AND (version_id, is_current) IS DISTINCT FROM (old_version_id, was_current))
"""
# In the order of the rows: those found in any other order are each an update of their own.
_RENUMBERED = """
    CREATE OR REPLACE TEMP TABLE moved AS
    SELECT known.rowid AS row, changes.version_id, changes.is_current
    FROM fhir.deliveries AS known JOIN changes USING (batch, place)
    WHERE NOT changes.is_new
    ORDER BY row
"""
_RENUMBER = """
    UPDATE fhir.deliveries AS known
    SET version_id = moved.version_id, is_current = moved.is_current
    FROM moved WHERE moved.row = known.rowid
"""


def take_back(connection: duckdb.DuckDBPyConnection) -> None:
    """Remove the deliveries of the batches in `taken_back`.

    Leaves the temporary table `withdrawn`: the resources that they spoke of.
    """
    connection.execute(_WITHDRAWN)
    connection.execute(_TAKE_BACK)


def take_in(connection: duckdb.DuckDBPyConnection, slice_rows: int) -> None:
    """Add what is in `arrived`, and number again what it and `withdrawn` refer to.

    Leaves the temporary table `changes`: deliveries that are versions now, or that had another
    number before (`old_version_id`) or were current.

    Args:
        connection: open for writing.
        slice_rows: about how many deliveries are put in order at a time.
    """
    connection.execute(_CHANGES)
    resources, deliveries_each = connection.execute(_SIZE).fetchall()[0]
    rows = resources * (1 + deliveries_each)
    for first, last in _slices(math.ceil(rows / slice_rows)):
        of_slice = {"first": first, "last": last}
        connection.execute(_EVENTS, of_slice)
        make_chain(connection)
        connection.execute(_NEW_DELIVERIES, of_slice)
        connection.execute(_CHANGES_OF_SLICE)
    connection.execute(_RENUMBERED)
    connection.execute(_RENUMBER)
    for table in ("arrived", "withdrawn", "events", "chain", "moved"):
        connection.execute(f"DROP TABLE {table}")


def _slices(count: int) -> Iterator[tuple[int, int]]:
    """Divide the buckets: first and last of each slice, of which there is at least one."""
    step = max(1, BUCKETS // max(1, count))
    for first in range(0, BUCKETS, step):
        yield first, min(first + step, BUCKETS) - 1
