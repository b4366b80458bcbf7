"""Which deliveries are compared when others arrive: those, and no more of before than they change.

Belongs here: choosing them, a slice of all resources at a time. Which of them is a version is in
`chain.py`, which says what is in the table that is made here.

What arrives behind all that is known of a resource is compared with what was last known of it, and
what arrives late with what comes after it, since those versions get other numbers. All that is
known of a resource is compared only where some of it was taken back, or counts to another source.
"""

import duckdb

from hc_assets.fhir.versions.sources import IS_SERVER

OF_SLICE = "bucket BETWEEN $first AND $last"
_COMPARED = """
    stated_source, resource_type, resource_id, last_updated, last_updated_digits, version_order,
    batch, source_file, position, place, content_sha256, is_conditional
"""
# Sorts as the rows do in `chain.py`.
_KEY = """
    struct_pack(a := last_updated, b := last_updated_digits, c := version_order,
        d := batch, e := source_file, f := position, g := place)
"""
_KNOWN = f"""
    CREATE OR REPLACE TEMP TABLE known AS
    SELECT {_COMPARED}, source, version_id, is_current, {_KEY} AS key
    FROM fhir.deliveries SEMI JOIN touched USING (bucket, resource_type, resource_id)
    WHERE {OF_SLICE}
"""  # noqa: S608 - constants
# What came without a source counts to the server that has its type and id, where there is one only:
# nothing says that it is of another. Names are the users', and nothing counts to one by itself.
_SERVERS = f"""
    CREATE OR REPLACE TEMP TABLE servers AS
    SELECT resource_type, resource_id,
        CASE WHEN count(DISTINCT stated_source) = 1 THEN any_value(stated_source) END AS server,
        CASE WHEN count(DISTINCT stated_source) FILTER (NOT is_new) = 1
            THEN any_value(stated_source) FILTER (NOT is_new) END AS server_before
    FROM (
        SELECT resource_type, resource_id, stated_source, true AS is_new
        FROM arrived WHERE {OF_SLICE}
        UNION ALL
        SELECT resource_type, resource_id, stated_source, false FROM known
    )
    WHERE {IS_SERVER.format("stated_source")}
    GROUP BY ALL
"""  # noqa: S608 - constants
_WHOLE = f"""
    CREATE OR REPLACE TEMP TABLE whole AS
    SELECT resource_type, resource_id FROM withdrawn WHERE {OF_SLICE}
    UNION
    SELECT resource_type, resource_id FROM servers WHERE server IS DISTINCT FROM server_before
"""  # noqa: S608 - constants
# Of each resource the last delivery before what is new that does what it says whatever came before
# it, and the number that versions had reached where the comparison begins.
_STARTS = f"""
    CREATE OR REPLACE TEMP TABLE starts AS
    WITH fresh AS (
        SELECT coalesce(stated_source, server) AS source, resource_type, resource_id,
            min({_KEY}) AS key
        FROM (
            SELECT * FROM arrived SEMI JOIN known USING (resource_type, resource_id)
            WHERE {OF_SLICE}
        ) LEFT JOIN servers USING (resource_type, resource_id)
        GROUP BY ALL
    ),
    begun AS (
        SELECT known.source, known.resource_type, known.resource_id,
            max(known.key) FILTER (NOT is_conditional AND known.key < fresh.key) AS anchor,
            min(known.key) FILTER (is_current) AS current
        FROM known JOIN fresh ON known.resource_type = fresh.resource_type
            AND known.resource_id = fresh.resource_id
            AND known.source IS NOT DISTINCT FROM fresh.source
        GROUP BY ALL
    )
    SELECT begun.*,
        max(version_id) FILTER (key <= least(anchor, current)) AS reached
    FROM begun JOIN known ON known.resource_type = begun.resource_type
        AND known.resource_id = begun.resource_id
        AND known.source IS NOT DISTINCT FROM begun.source
    GROUP BY ALL
"""  # noqa: S608 - constants
_OF_NEW = f"""
    CREATE OR REPLACE TEMP TABLE events AS
    SELECT {_COMPARED}, true AS is_new, coalesce(stated_source, server) AS source,
        NULL::VARCHAR AS old_source, NULL::BIGINT AS old_version_id, false AS was_current,
        NULL::BIGINT AS reached
    FROM arrived LEFT JOIN servers USING (resource_type, resource_id) WHERE {OF_SLICE}
"""  # noqa: S608 - constants
_OF_BOTH = f"""
    {_OF_NEW}
    UNION ALL
    SELECT {_COMPARED}, false, coalesce(stated_source, server),
        source, version_id, is_current, NULL
    FROM known SEMI JOIN whole USING (resource_type, resource_id)
        LEFT JOIN servers USING (resource_type, resource_id)
    UNION ALL
    SELECT known.* EXCLUDE (source, version_id, is_current, key), false, known.source,
        known.source, version_id, is_current, CASE WHEN anchor IS NOT NULL THEN reached END
    FROM known JOIN starts ON known.resource_type = starts.resource_type
        AND known.resource_id = starts.resource_id
        AND known.source IS NOT DISTINCT FROM starts.source
    WHERE (anchor IS NULL OR key >= anchor OR is_current)
        AND NOT EXISTS (
            SELECT 1 FROM whole WHERE whole.resource_type = known.resource_type
                AND whole.resource_id = known.resource_id
        )
"""  # noqa: S608 - constants


def make_events(connection: duckdb.DuckDBPyConnection, first: int, last: int) -> int:
    """Fill the temporary table `events` from `arrived`, `withdrawn` and `touched`.

    Args:
        connection: open for writing.
        first: bucket.
        last: bucket.

    Returns:
        How many there are.
    """
    of_slice = {"first": first, "last": last}
    connection.execute(_KNOWN, of_slice)
    are_known = connection.execute("SELECT 1 FROM known LIMIT 1").fetchall()
    for statement in (_SERVERS, _WHOLE, _STARTS, _OF_BOTH) if are_known else (_SERVERS, _OF_NEW):
        connection.execute(statement, of_slice)
    for table in ("known", "servers", "whole", "starts"):
        connection.execute(f"DROP TABLE IF EXISTS {table}")
    count: int = connection.execute("SELECT count(*) FROM events").fetchall()[0][0]
    return count
