"""What references by query stand for, over all batches.

Belongs here: `<type>?identifier=<token>`, the conditional reference of R4's transactions (http,
3.1.0.11.2), looked up among the current resources. It is resolved where exactly one resource
matches, and left as it is where none or several do. References within a bundle are resolved before,
in `fhir/references.py`.
"""

from urllib.parse import parse_qsl

import duckdb
import pyarrow as pa

QUERIES = pa.schema(
    [
        pa.field("reference", pa.string()),
        pa.field("target_type", pa.string()),
        pa.field("token", pa.string()),
        pa.field("has_system", pa.bool_()),
    ]
)
_MATCHED = """
    WITH named AS (
        SELECT resource_type, resource_id, unnest(identifiers) AS identifier
        FROM fhir.deliveries
        WHERE is_current AND content_sha256 IS NOT NULL
            AND resource_type IN (SELECT target_type FROM queries)
    )
    SELECT reference,
        CASE WHEN count(DISTINCT resource_id) = 1
            THEN any_value(target_type || '/' || resource_id) END AS target
    FROM queries
    LEFT JOIN named ON resource_type = target_type AND token
        = CASE WHEN has_system THEN identifier ELSE regexp_replace(identifier, '^[^|]*\\|', '') END
    GROUP BY reference
"""
_CHANGED = f"""
    CREATE OR REPLACE TEMP TABLE changed_references AS
    SELECT coalesce(now.reference, before.reference) AS reference, now.target
    FROM ({_MATCHED}) AS now
    FULL JOIN fhir.resolved_references AS before USING (reference)
    WHERE now.target IS DISTINCT FROM before.target OR now.reference IS NULL
"""  # noqa: S608 - constants


def look_up(connection: duckdb.DuckDBPyConnection) -> None:
    """Look all conditional references of current resources up, as `fhir.deliveries` has them.

    Leaves `fhir.resolved_references` as it must be, and the temporary table `changed_references`:
    those that now stand for something else than before.
    """
    rows = connection.execute(
        "SELECT DISTINCT unnest(conditional_references) FROM fhir.deliveries "
        "WHERE is_current AND len(conditional_references) > 0"
    ).fetchall()
    queries = pa.Table.from_pylist(
        [query for (text,) in rows if (query := query_of(text)) is not None], QUERIES
    )
    connection.register("queries", queries)
    connection.execute(_CHANGED)
    connection.unregister("queries")
    connection.execute(
        "DELETE FROM fhir.resolved_references "
        "WHERE reference IN (SELECT reference FROM changed_references)"
    )
    connection.execute(
        "INSERT INTO fhir.resolved_references "
        "SELECT reference, target FROM changed_references WHERE target IS NOT NULL"
    )


def targets(connection: duckdb.DuckDBPyConnection) -> dict[str, str]:
    """Return `<type>/<id>` by the text of each reference that is resolved."""
    rows = connection.execute("SELECT reference, target FROM fhir.resolved_references").fetchall()
    return dict(rows)


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
