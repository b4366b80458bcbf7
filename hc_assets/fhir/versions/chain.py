"""Which deliveries of a resource are its versions: the rule, in SQL.

Belongs here: order, comparison and numbering. The result depends on the set of deliveries only, and
not on the order in which they came.
"""

import duckdb

# `place` distinguishes rows that a broken source gave one position; without it their order would be
# chance.
_IN_ORDER = (
    "PARTITION BY resource_type, resource_id "
    "ORDER BY last_updated, batch, source_file, position, place"
)
# Most resources came once: they need no order.
_SINGLE = """
    CREATE OR REPLACE TEMP TABLE single AS
    SELECT resource_type, resource_id FROM events GROUP BY ALL HAVING count(*) = 1
"""
# A conditional create does nothing where the resource is there. Counted from the last delivery that
# is no conditional create: if that left the resource there, all that follow do nothing; if it
# deleted it, or there is none, all but the first do nothing.
_IGNORED = f"""
    CREATE OR REPLACE TEMP TABLE ignored AS
    WITH concerned AS (
        SELECT * FROM events
        SEMI JOIN (
            SELECT resource_type, resource_id FROM events WHERE is_conditional
        ) AS conditional USING (resource_type, resource_id)
    ),
    grouped AS (
        SELECT *, sum((NOT is_conditional)::INT) OVER ({_IN_ORDER}
            ROWS UNBOUNDED PRECEDING) AS since
        FROM concerned
    ),
    ranked AS (
        SELECT *,
            max((NOT is_conditional AND content_sha256 IS NOT NULL)::INT) OVER same = 1 AS is_there,
            row_number() OVER (PARTITION BY resource_type, resource_id, since, is_conditional
                ORDER BY last_updated, batch, source_file, position, place) AS number
        FROM grouped
        WINDOW same AS (PARTITION BY resource_type, resource_id, since)
    )
    SELECT batch, place FROM ranked WHERE is_conditional AND (is_there OR number > 1)
"""  # noqa: S608 - constants
_KEPT = "batch, place, is_new, old_version_id, was_current"
_CHAIN = f"""
    CREATE OR REPLACE TEMP TABLE chain AS
    SELECT {_KEPT}, 1::BIGINT AS version_id, true AS is_current
    FROM events SEMI JOIN single USING (resource_type, resource_id)
    UNION ALL
    SELECT {_KEPT}, NULL::BIGINT, false
    FROM events SEMI JOIN ignored USING (batch, place)
    UNION ALL
    SELECT {_KEPT}, version_id,
        coalesce(version_id = max(version_id) OVER (PARTITION BY resource_type, resource_id), false)
    FROM (
        SELECT * EXCLUDE (differs), CASE WHEN differs THEN
            sum(differs::INT) OVER ({_IN_ORDER} ROWS UNBOUNDED PRECEDING)::BIGINT
            END AS version_id
        FROM (
            SELECT * EXCLUDE (content_sha256, is_conditional), row_number() OVER in_order = 1
                OR content_sha256 IS DISTINCT FROM lag(content_sha256) OVER in_order AS differs
            FROM (
                SELECT events.* FROM events
                ANTI JOIN single USING (resource_type, resource_id)
                ANTI JOIN ignored USING (batch, place)
            )
            WINDOW in_order AS ({_IN_ORDER})
        )
    )
"""  # noqa: S608 - constants


def make_chain(connection: duckdb.DuckDBPyConnection) -> None:
    """Number the versions among the deliveries in the temporary table `events`.

    Deliveries are ordered by last_updated, then batch, then source file and position. The first is
    a version, and so is each whose content differs from that of the one before. A conditional
    create (`is_conditional`) does nothing where the resource is there by then.

    Leaves the temporary table `chain`: batch and place of each event with `version_id` (null where
    the delivery is no version) and `is_current`, beside what was known of it (`is_new`,
    `old_version_id`, `was_current`).
    """
    for statement in (_SINGLE, _IGNORED, _CHAIN):
        connection.execute(statement)
    connection.execute("DROP TABLE single")
    connection.execute("DROP TABLE ignored")
