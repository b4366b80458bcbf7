"""Whether the criteria of conditional creates and updates match other resources than their own.

Belongs here: asking the warehouse. Which id a conditional request gets is in
`fhir/bundles/requests.py`.
"""

import duckdb
import pyarrow as pa

from hc_assets.core.verdicts import Verdict
from hc_assets.fhir.versions.conditional_references import QUERIES, query_of
from hc_assets.fhir.versions.sources import may_be_one

_ROWS_AT_ONCE = 50_000
_REQUESTS = """
    SELECT DISTINCT source, resource_type, resource_id,
        CASE request_method WHEN 'POST' THEN request_if_none_exist ELSE request_url END
    FROM fhir.enriched_resources
    WHERE (request_method = 'POST' AND request_if_none_exist IS NOT NULL)
        OR (request_method = 'PUT' AND request_url LIKE '%?%')
"""
_ASKED = pa.schema([*QUERIES, pa.field("kept_as", pa.string())])
_MATCHES = f"""
    WITH named AS (
        SELECT source, resource_type, resource_id, unnest(identifiers) AS identifier
        FROM fhir.deliveries
        WHERE is_current AND content_sha256 IS NOT NULL
            AND resource_type IN (SELECT target_type FROM asked)
    ),
    matched AS (
        SELECT asked.source, asked.target_type, reference, kept_as,
            count(DISTINCT resource_id) AS others
        FROM asked
        LEFT JOIN named ON resource_type = target_type AND resource_id != kept_as AND token
            = CASE WHEN has_system THEN identifier
                ELSE regexp_replace(identifier, '^[^|]*\\|', '') END
            AND {may_be_one("asked.source", "named.source")}
        GROUP BY ALL
    )
    SELECT count(*) FILTER (others = 1), count(*) FILTER (others > 1) FROM matched
"""  # noqa: S608 - constants


def conditional_requests_unambiguous(connection: duckdb.DuckDBPyConnection) -> Verdict:
    """Judge that the criteria of conditional creates and updates match no other current resource.

    Resources of other sources do not count.

    Args:
        connection: to the warehouse.

    Returns:
        A verdict whose value counts the requests that match one or several resources that are kept
        under other ids than the request's own. Criteria other than one identifier are counted
        apart, as not looked up.
    """
    total = one = several = not_looked_up = 0
    rows = connection.cursor()
    rows.execute(_REQUESTS)
    while found := rows.fetchmany(_ROWS_AT_ONCE):
        queries = []
        for source, type_, id_, criteria in found:
            query = query_of(f"{type_}?{criteria.rpartition('?')[2]}")
            if query is None:
                not_looked_up += 1
            else:
                queries.append({"source": source, **query, "kept_as": id_})
        connection.register("asked", pa.Table.from_pylist(queries, _ASKED))
        once, often = connection.execute(_MATCHES).fetchall()[0]
        connection.unregister("asked")
        total, one, several = total + len(found), one + once, several + often
    return Verdict(
        passed=one + several == 0,
        value=float(one + several),
        threshold=0.0,
        explanation=f"of {total} conditional creates and updates {one} match a resource that is"
        f" kept under another id, {several} match several; {not_looked_up} ask for more than an"
        " identifier",
        counts={
            "requests": total,
            "match_one": one,
            "match_several": several,
            "not_looked_up": not_looked_up,
        },
    )
