"""What references by query stand for, over all batches.

Belongs here: `<type>?identifier=<token>`, the conditional reference of R4's transactions (http,
3.1.0.11.2), looked up among the current resources. It is resolved where exactly one resource
matches, and left as it is where none or several do. References within a bundle are resolved before,
in `fhir/references.py`.
"""

from urllib.parse import parse_qsl

import duckdb
import pyarrow as pa

from hc_assets.fhir.versions.sources import may_be_one

QUERIES = pa.schema(
    [
        pa.field("source", pa.string()),
        pa.field("reference", pa.string()),
        pa.field("target_type", pa.string()),
        pa.field("token", pa.string()),
        pa.field("has_system", pa.bool_()),
    ]
)
_MATCHED = f"""
    WITH named AS (
        SELECT source, resource_type, resource_id, unnest(identifiers) AS identifier
        FROM fhir.deliveries
        WHERE is_current AND content_sha256 IS NOT NULL
            AND resource_type IN (SELECT target_type FROM queries)
    ),
    matched AS (
        SELECT DISTINCT queries.source, reference, target_type, resource_id,
            named.source IS NOT DISTINCT FROM queries.source AS is_own, named.source AS other
        FROM queries
        LEFT JOIN named ON resource_type = target_type AND token
            = CASE WHEN has_system THEN identifier
                ELSE regexp_replace(identifier, '^[^|]*\\|', '') END
            AND {may_be_one("queries.source", "named.source")}
    )
    SELECT source, reference,
        CASE
            WHEN count(resource_id) FILTER (is_own) = 1
            THEN any_value(target_type || '/' || resource_id) FILTER (is_own)
            WHEN count(resource_id) = 1 AND NOT bool_or(is_own AND resource_id IS NOT NULL)
            THEN any_value(target_type || '/' || resource_id)
        END AS target
    FROM matched
    GROUP BY source, reference
"""  # noqa: S608 - constants
_CHANGED = f"""
    CREATE OR REPLACE TEMP TABLE changed_references AS
    SELECT CASE WHEN now.reference IS NULL THEN before.source ELSE now.source END AS source,
        coalesce(now.reference, before.reference) AS reference, now.target
    FROM ({_MATCHED}) AS now
    FULL JOIN fhir.resolved_references AS before
        ON now.reference = before.reference AND now.source IS NOT DISTINCT FROM before.source
    WHERE now.target IS DISTINCT FROM before.target OR now.reference IS NULL
"""  # noqa: S608 - constants


def look_up(connection: duckdb.DuckDBPyConnection) -> None:
    """Look all conditional references of current resources up, as `fhir.deliveries` has them.

    Each is looked up among the resources of its own source; where none of those matches, among
    those that can be of the same.

    Leaves `fhir.resolved_references` as it must be, and the temporary table `changed_references`:
    those that now stand for something else than before.
    """
    rows = connection.execute(
        "SELECT DISTINCT source, unnest(conditional_references) FROM fhir.deliveries "
        "WHERE is_current AND len(conditional_references) > 0"
    ).fetchall()
    asked = [
        {"source": source, **query}
        for source, text in rows
        if (query := query_of(text)) is not None
    ]
    connection.register("queries", pa.Table.from_pylist(asked, QUERIES))
    connection.execute(_CHANGED)
    connection.unregister("queries")
    connection.execute(
        "DELETE FROM fhir.resolved_references AS known USING changed_references AS changed "
        "WHERE known.reference = changed.reference "
        "AND known.source IS NOT DISTINCT FROM changed.source"
    )
    connection.execute(
        "INSERT INTO fhir.resolved_references BY NAME "
        "SELECT source, reference, target FROM changed_references WHERE target IS NOT NULL"
    )


def targets(connection: duckdb.DuckDBPyConnection) -> dict[str | None, dict[str, str]]:
    """Return `<type>/<id>` by the text of each reference that is resolved, by source."""
    found: dict[str | None, dict[str, str]] = {}
    for source, reference, target in connection.execute(
        "SELECT source, reference, target FROM fhir.resolved_references"
    ).fetchall():
        found.setdefault(source, {})[reference] = target
    return found


def query_of(reference: str) -> dict[str, object] | None:
    """Read a query for one identifier as a row of `QUERIES`; None where it is any other.

    Other criteria would need a search; what can't be looked up stays as it is.
    """
    type_, _, criteria = reference.partition("?")
    pairs = parse_qsl(criteria, keep_blank_values=True)
    if len(pairs) != 1 or pairs[0][0] != "identifier" or not pairs[0][1]:
        return None
    token = pairs[0][1]
    return {
        "reference": reference,
        "target_type": type_,
        "token": token,
        "has_system": "|" in token,
    }
