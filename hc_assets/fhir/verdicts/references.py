"""Whether references lead somewhere, over all batches.

Belongs here: asking the warehouse. References by query are resolved in
`fhir/versions/conditional_references.py`.
"""

import duckdb

from hc_assets.core.verdicts import Verdict, none_of
from hc_assets.fhir.versions.sources import may_be_one

# Of the row that a current resource came from, columns only: no JSON is read. What is not among the
# resources of the same source is looked for among those that can be of the same, where it must be
# the only one. An address of the resource's own server is relative by now: what is left leads to a
# fullUrl that another file of its source brought, maybe in another batch, or elsewhere.
_DANGLING = f"""
    WITH here AS (
        SELECT here.source, here.resource_type, here.resource_id,
            row.literal_references, row.absolute_references
        FROM fhir.current_resources AS here
        JOIN fhir.enriched_resources AS row
            ON row.batch = here.batch
            AND row.resource_type = here.resource_type
            AND row.resource_id = here.resource_id
            AND row.content_sha256 = here.content_sha256
            AND (row.source IS NULL OR row.source = here.source)
        WHERE NOT here.is_deleted
    ),
    addressed AS (
        SELECT DISTINCT source, resource_type, resource_id,
            regexp_replace(unnest(absolute_references), '/_history/[^/]*$', '') AS url
        FROM here
    ),
    addresses AS (
        SELECT DISTINCT full_url, source, resource_type, resource_id
        FROM fhir.enriched_resources WHERE full_url IN (SELECT url FROM addressed)
    ),
    found AS (
        SELECT addressed.*, there.is_deleted
        FROM addressed
        JOIN addresses ON full_url = url
        JOIN fhir.current_resources AS there
            ON there.resource_type = addresses.resource_type
            AND there.resource_id = addresses.resource_id
            AND {may_be_one("addresses.source", "there.source")}
        WHERE {may_be_one("addressed.source", "addresses.source")}
    ),
    by_address AS (
        SELECT count(DISTINCT (source, resource_type, resource_id, url)) AS total,
            count(DISTINCT (source, resource_type, resource_id, url)) FILTER (is_deleted) AS deleted
        FROM found
    ),
    stated AS (
        SELECT DISTINCT source, resource_type, resource_id, unnest(literal_references) AS target
        FROM here
    ),
    sought AS (
        SELECT *, split_part(target, '/', 1) AS target_type, split_part(target, '/', 2) AS target_id
        FROM stated
    ),
    own AS (
        SELECT sought.*, there.resource_id IS NULL AS is_missing, there.is_deleted AS is_deleted
        FROM sought
        LEFT JOIN fhir.current_resources AS there
            ON there.resource_type = target_type AND there.resource_id = target_id
            AND there.source IS NOT DISTINCT FROM sought.source
    ),
    others AS (
        SELECT count(*) = 1 AS is_one, bool_or(there.is_deleted) AS is_deleted
        FROM own
        JOIN fhir.current_resources AS there
            ON there.resource_type = target_type AND there.resource_id = target_id
            AND {may_be_one("own.source", "there.source")}
        WHERE own.is_missing
        GROUP BY own.source, own.resource_type, own.resource_id, own.target
    )
    SELECT
        count(*),
        count(*) FILTER (is_missing) - (SELECT count(*) FILTER (is_one) FROM others),
        count(*) FILTER (is_deleted) + (SELECT count(*) FILTER (is_one AND is_deleted) FROM others)
            + (SELECT deleted FROM by_address),
        (SELECT total FROM by_address),
        (SELECT count(*) FROM addressed) - (SELECT total FROM by_address)
    FROM own
"""  # noqa: S608 - constants


# Of what is current. A query that is not for one identifier alone resolves to nothing.
_QUERIES = """
    WITH stated AS (
        SELECT unnest(conditional_references) AS reference FROM fhir.deliveries
        WHERE is_current AND content_sha256 IS NOT NULL
    )
    SELECT count(*), count(*) FILTER (target IS NULL)
    FROM stated LEFT JOIN fhir.resolved_references USING (reference)
"""
_FAILED = """
    SELECT failed.error, count(*)
    FROM fhir.failed_resolutions AS failed
    JOIN fhir.resource_versions AS version USING (batch, place)
    WHERE version.is_current GROUP BY ALL
"""


def references_by_query_resolve(connection: duckdb.DuckDBPyConnection) -> Verdict:
    """Judge that each reference by query of a current resource leads to exactly one.

    Args:
        connection: to the warehouse.

    Returns:
        A verdict whose value counts those that lead to none, or could lead to several.
    """
    total, unresolved = connection.execute(_QUERIES).fetchall()[0]
    return none_of(unresolved, total, what="references by query that lead to none or to several")


def failed_resolutions(connection: duckdb.DuckDBPyConnection) -> dict[str, int]:
    """Count current resources whose references by query could not be resolved for an error.

    Args:
        connection: to the warehouse.

    Returns:
        Counts by class and place of the error.
    """
    return dict(connection.execute(_FAILED).fetchall())


def references_resolve(connection: duckdb.DuckDBPyConnection) -> Verdict:
    """Judge that each literal reference of a current resource leads to one of the same source.

    Args:
        connection: to the warehouse.

    Returns:
        A verdict whose value counts references to nothing and to what was deleted. Those to other
        servers are counted apart: nobody can say here whether they lead anywhere. What names no
        source can be of any server, where one alone has it.
    """
    local, missing, deleted, by_address, elsewhere = connection.execute(_DANGLING).fetchall()[0]
    total = local + by_address
    return Verdict(
        passed=missing + deleted == 0,
        value=float(missing + deleted),
        threshold=0.0,
        explanation=f"of {total} references {missing} lead to nothing,"
        f" {deleted} to what was deleted; {elsewhere} more lead to other servers",
        counts={
            "references": total,
            "missing": missing,
            "deleted": deleted,
            "elsewhere": elsewhere,
        },
    )
