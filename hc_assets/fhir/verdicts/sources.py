"""Whether it is known of which source each resource is, where it makes a difference.

Belongs here: asking the warehouse. Which source a delivery counts to is decided in
`fhir/versions/deliveries.py`.
"""

import duckdb

from hc_assets.core.verdicts import Verdict
from hc_assets.fhir.versions.sources import IS_SERVER

_SHARED = f"""
    WITH named AS (
        SELECT DISTINCT resource_type, resource_id FROM fhir.deliveries
        WHERE stated_source IS NOT NULL
    ),
    shared AS (
        SELECT count(DISTINCT stated_source) AS sources,
            count(DISTINCT stated_source) FILTER ({IS_SERVER.format("stated_source")}) AS servers,
            bool_or(stated_source IS NULL) AS is_unnamed_too
        FROM fhir.deliveries SEMI JOIN named USING (resource_type, resource_id)
        GROUP BY resource_type, resource_id
    )
    SELECT count(*),
        count(*) FILTER (is_unnamed_too AND servers = 1),
        count(*) FILTER (is_unnamed_too AND servers > 1),
        count(*) FILTER (sources > 1)
    FROM shared
"""  # noqa: S608 - constants


def no_source_assumed(connection: duckdb.DuckDBPyConnection) -> Verdict:
    """Judge that no type and id came both from a server and without any source.

    Where one server has it, what came without a source is taken for another version of the same
    resource; where several have it, for a resource of its own. Either may be wrong, and only who
    sent the files can say.

    Args:
        connection: to the warehouse.

    Returns:
        A verdict whose value counts such types and ids.
    """
    total, one, apart, several = connection.execute(_SHARED).fetchall()[0]
    return Verdict(
        passed=one + apart == 0,
        value=float(one + apart),
        threshold=0.0,
        explanation=f"of {total} types and ids that came from a source {one} came without one too"
        f" and are taken for the same resource, {apart} are kept apart since several servers have"
        f" them; {several} are of several sources. Land what names no source with --source",
        counts={
            "with_source": total,
            "taken_for_the_same": one,
            "kept_apart": apart,
            "of_several_sources": several,
        },
    )
