"""Which deliveries of a resource are its versions: the rule, in SQL.

Belongs here: order, comparison and numbering. The result depends on the set of deliveries only, and
not on the order in which they came.
"""

import duckdb

_RESOURCE = "source, resource_type, resource_id"
# Times to their last digit, then versions that are whole numbers. `place` distinguishes rows that a
# broken source gave one position; without it their order would be chance.
_ORDER = """
    ORDER BY last_updated, last_updated_digits, version_order NULLS LAST,
        batch, source_file, position, place
"""
_IN_ORDER = f"PARTITION BY {_RESOURCE} {_ORDER}"
# Most resources came once: they need no order.
_SINGLE = f"""
    CREATE OR REPLACE TEMP TABLE single AS
    SELECT any_value(batch) AS batch, any_value(place) AS place FROM events
    GROUP BY {_RESOURCE} HAVING count(*) = 1
"""  # noqa: S608 - constants
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
            row_number() OVER (PARTITION BY {_RESOURCE}, since, is_conditional {_ORDER}) AS number
        FROM grouped
        WINDOW same AS (PARTITION BY {_RESOURCE}, since)
    )
    SELECT batch, place FROM ranked WHERE is_conditional AND (is_there OR number > 1)
"""  # noqa: S608 - constants
_KEPT = "batch, place, source, is_new, old_source, old_version_id, was_current"
# The first of those that are compared is what it was where others come before it.
_DIFFERS = """
    CASE WHEN row_number() OVER in_order > 1
        THEN content_sha256 IS DISTINCT FROM lag(content_sha256) OVER in_order
        ELSE reached IS NULL OR old_version_id IS NOT NULL END
"""
# Versions before the first of those that are compared.
_BEFORE = f"""
    coalesce(first_value(reached - (old_version_id IS NOT NULL)::INT) OVER ({_IN_ORDER}), 0)
"""
_CHAIN = f"""
    CREATE OR REPLACE TEMP TABLE chain AS
    SELECT {_KEPT}, 1::BIGINT AS version_id, true AS is_current
    FROM events SEMI JOIN single USING (batch, place)
    UNION ALL
    SELECT {_KEPT}, NULL::BIGINT, false
    FROM events SEMI JOIN ignored USING (batch, place)
    UNION ALL
    SELECT {_KEPT}, version_id,
        coalesce(version_id = max(version_id) OVER (PARTITION BY {_RESOURCE}), false)
    FROM (
        SELECT * EXCLUDE (differs), CASE WHEN differs THEN
            {_BEFORE} + sum(differs::INT) OVER ({_IN_ORDER} ROWS UNBOUNDED PRECEDING)::BIGINT
            END AS version_id
        FROM (
            SELECT * EXCLUDE (content_sha256, is_conditional), {_DIFFERS} AS differs
            FROM (
                SELECT events.* FROM events
                ANTI JOIN single USING (batch, place)
                ANTI JOIN ignored USING (batch, place)
            )
            WINDOW in_order AS ({_IN_ORDER})
        )
    )
"""  # noqa: S608 - constants


def make_chain(connection: duckdb.DuckDBPyConnection) -> None:
    """Number the versions among the deliveries in the temporary table `events`.

    Deliveries of a source's resource are ordered by last_updated to its last digit; at the same
    time by the whole number that they state as their version, those without one behind; then by
    batch, source file and position. The first is a version, and so is each whose content differs
    from that of the one before. A conditional create (`is_conditional`) does nothing where the
    resource is there by then. Of a resource of which `events` begins further on, the first that is
    compared has `reached`: the number of versions up to it.

    Leaves the temporary table `chain`: batch and place of each event with `version_id` (null where
    the delivery is no version) and `is_current`, beside what was known of it (`is_new`,
    `old_source`, `old_version_id`, `was_current`).
    """
    for statement in (_SINGLE, _IGNORED, _CHAIN):
        connection.execute(statement)
    connection.execute("DROP TABLE single")
    connection.execute("DROP TABLE ignored")
