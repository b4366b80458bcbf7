"""What an export holds: current resources, deletions, and what is in quarantine, as lines.

Belongs here: asking for them, in an order that the same state always has. Writing them is in
`ndjson.py`.
"""

from collections.abc import Iterable, Iterator
from datetime import UTC
from typing import Any

import duckdb
import msgspec

from hc_assets.fhir.validation import Issue, operation_outcome
from hc_assets.lake.tables import LakeTable

_ROWS_PER_FETCH = 1_000
_SINCE = (
    "batch IN (SELECT batch FROM fhir.applied_batches WHERE sequence > "
    "(SELECT sequence FROM fhir.applied_batches WHERE batch = $since))"
)


class UnknownBatchError(Exception):
    """An export since a batch that was not taken in."""


def batches_since(connection: duckdb.DuckDBPyConnection, since: str | None) -> list[str]:
    """Batches that were taken in after a batch, or all of them.

    Raises:
        UnknownBatchError: that batch was not taken in.
    """
    applied = connection.execute(
        "SELECT batch FROM fhir.applied_batches ORDER BY sequence"
    ).fetchall()
    keys = [batch for (batch,) in applied]
    if since is None:
        return keys
    if since not in keys:
        raise UnknownBatchError(f"{since}: expected a batch that is in fhir.current_resources")
    return keys[keys.index(since) + 1 :]


def current_lines(
    connection: duckdb.DuckDBPyConnection, since: str | None = None
) -> Iterator[tuple[str, bytes]]:
    """Stream type and JSON of current resources that are not deleted, by type and id.

    Args:
        connection: to the warehouse.
        since: a batch; only what batches taken in after it brought. All where None.
    """
    yield from _rows(connection, "resource", "NOT is_deleted", since)


def deleted_lines(connection: duckdb.DuckDBPyConnection, since: str) -> Iterator[tuple[str, bytes]]:
    """Stream type and a transaction Bundle for each resource deleted since a batch, by type and id.

    As Bulk Data asks for: a Bundle with the entry's request DELETE. `meta.lastUpdated` says when.
    """
    columns = "resource_id, last_updated"
    for type_, id_, last_updated in _rows(connection, columns, "is_deleted", since):
        yield (
            type_,
            msgspec.json.encode(
                {
                    "resourceType": "Bundle",
                    "meta": {"lastUpdated": last_updated.astimezone(UTC).isoformat()},
                    "type": "transaction",
                    "entry": [{"request": {"method": "DELETE", "url": f"{type_}/{id_}"}}],
                }
            ),
        )


def outcome_lines(quarantined: LakeTable) -> Iterator[tuple[str, bytes]]:
    """Stream an OperationOutcome for each quarantined entry, in the order of the batches.

    `meta.source` names the entry by the hash of its file and its position, since file names may
    hold names of patients.
    """
    columns = ["source_sha256", "position", "issues"]
    for rows in quarantined.batches(columns):
        for row in rows.to_pylist():
            source = f"urn:sha256:{row['source_sha256']}#{row['position']}"
            issues = [Issue(**issue) for issue in row["issues"]]
            yield "OperationOutcome", operation_outcome(issues, source=source)


def _rows(
    connection: duckdb.DuckDBPyConnection, columns: str, condition: str, since: str | None
) -> Iterator[tuple[Any, ...]]:
    narrowed = condition if since is None else f"{condition} AND {_SINCE}"
    named = {} if since is None else {"since": since}
    types: Iterable[tuple[str]] = connection.execute(
        f"SELECT DISTINCT resource_type FROM fhir.current_resources WHERE {narrowed} ORDER BY 1",  # noqa: S608 - constants
        named,
    ).fetchall()
    # Type by type, so that sorting takes the memory of one type at a time.
    for (type_,) in types:
        query = (
            f"SELECT resource_type, {columns} FROM fhir.current_resources "  # noqa: S608 - constants
            f"WHERE {narrowed} AND resource_type = $type ORDER BY resource_id"
        )
        cursor = connection.execute(query, {**named, "type": type_})
        while rows := cursor.fetchmany(_ROWS_PER_FETCH):
            yield from rows
