"""What an export holds: current resources, deletions, and what is in quarantine, as lines.

Belongs here: asking for them, in an order that the same state always has. Writing them is in
`ndjson.py`.
"""

from collections.abc import Iterator
from datetime import UTC, datetime
from heapq import merge
from typing import Any

import duckdb
import msgspec
import pyarrow.compute as pc

from hc_assets.core.fence import InternalError, fenced
from hc_assets.core.source_names import is_base
from hc_assets.fhir.bundles.not_data import INVALID
from hc_assets.fhir.enrichment.resource_meta import source_uri
from hc_assets.fhir.export.ndjson import Group
from hc_assets.fhir.validation import Issue, operation_outcome
from hc_assets.fhir.validation.problems import internal_error
from hc_assets.fhir.verdicts.batches import classes_of
from hc_assets.fhir.versions.tables import has_table
from hc_assets.lake.tables import LakeTable

_ROWS_AT_ONCE = 2_000
_SINCE = (
    "greatest(changed_sequence, (SELECT sequence FROM fhir.applied_batches AS ledger "
    "WHERE ledger.batch = resource_versions.batch)) "
    "> (SELECT sequence FROM fhir.applied_batches WHERE batch = $since)"
)


# Where sources are not kept apart, another one's resource of that type and id has taken its place.
_GONE = """
    SELECT DISTINCT resource_type, source, resource_id FROM fhir.gone_resources AS gone
    WHERE sequence > (SELECT sequence FROM fhir.applied_batches WHERE batch = $since)
        AND NOT EXISTS (
            SELECT 1 FROM fhir.resource_versions AS there
            WHERE there.is_current AND there.resource_type = gone.resource_type
                AND there.resource_id = gone.resource_id
                AND (NOT $is_apart OR there.source IS NOT DISTINCT FROM gone.source)
        )
    ORDER BY ALL
"""


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
) -> Iterator[tuple[Group, bytes]]:
    """Stream group and JSON of current resources that are not deleted, by type and source.

    Args:
        connection: to the warehouse.
        since: a batch; only what batches taken in after it brought or changed. All where None.
    """
    is_apart = _are_several(connection)
    for (type_, source), resource in _rows(
        connection, "coalesce(resolved, resource)", "NOT is_deleted", since
    ):
        yield Group(type_, source if is_apart else None), resource


def deleted_lines(
    connection: duckdb.DuckDBPyConnection, since: str, *, source: str = ""
) -> Iterator[tuple[Group, bytes]]:
    """Stream group and a transaction Bundle for each resource deleted since a batch, by group.

    As Bulk Data asks for: a Bundle with the entry's request DELETE. `meta.lastUpdated` says when.
    Of a resource of some source, `meta.source` says of which; of one of a server, so does fullUrl.
    What is no more, since its batches were taken back or it counts to another source now, is
    deleted as well; nothing says when.

    Args:
        connection: to the warehouse.
        since: a batch.
        source: meta.source of what is of no source.
    """
    is_apart = _are_several(connection)
    deleted = _rows(connection, "resource_id, last_updated", "is_deleted", since)
    gone = _gone(connection, since, is_apart=is_apart)
    for (type_, of), id_, last_updated in merge(deleted, gone, key=_by_group):
        when = None if last_updated is None else fenced(_instant, last_updated)
        # A time that no instant can say must not keep a deletion back
        meta = {"lastUpdated": when} if isinstance(when, str) else {}
        name = f"{type_}/{id_}"
        entry: dict[str, Any] = {"request": {"method": "DELETE", "url": name}}
        if of is not None:
            meta["source"] = source_uri(source, of)
            if is_base(of):
                entry["fullUrl"] = f"{of}/{name}"
        bundle = {
            "resourceType": "Bundle",
            **({"meta": meta} if meta else {}),
            "type": "transaction",
            "entry": [entry],
        }
        yield Group(type_, of if is_apart else None), msgspec.json.encode(bundle)


def _by_group(row: tuple[Any, ...]) -> tuple[str, bool, str]:
    """The order of types and sources, which DuckDB gives too: what is of no source comes last."""
    type_, source = row[0]
    return type_, source is None, source or ""


def _gone(
    connection: duckdb.DuckDBPyConnection, since: str, *, is_apart: bool
) -> list[tuple[tuple[str, str | None], str, None]]:
    """What was there before and is no more, and has no row; without a time."""
    if not has_table(connection, "gone_resources"):
        return []  # nothing was taken in since there is such a table
    found = connection.execute(_GONE, {"since": since, "is_apart": is_apart}).fetchall()
    return [((type_, source), id_, None) for type_, source, id_ in found]


def _are_several(connection: duckdb.DuckDBPyConnection) -> bool:
    """Whether what is kept is of several sources, so that their files must be kept apart."""
    count = connection.execute(
        "SELECT count(DISTINCT coalesce(source, '')) FROM fhir.resource_versions WHERE is_current"
    ).fetchall()[0][0]
    return bool(count > 1)


def _instant(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat()


def outcome_lines(quarantined: LakeTable) -> Iterator[tuple[Group, bytes]]:
    """Stream an OperationOutcome for each invalid entry in quarantine, in the order of the batches.

    `meta.source` names the entry by the hash of its file and its position, since file names may
    hold names of patients.
    """
    columns = ["source_sha256", "position", "issues", "class"]
    for rows in quarantined.batches(columns):
        for row in rows.filter(pc.equal(classes_of(rows), INVALID)).to_pylist():
            source = f"urn:sha256:{row['source_sha256']}#{row['position']}"
            line = fenced(_outcome, row["issues"], source)
            if isinstance(line, InternalError):
                line = operation_outcome([internal_error(line)], source=source)
            yield Group("OperationOutcome"), line


def _outcome(issues: list[dict[str, Any]], source: str) -> bytes:
    return operation_outcome([Issue(**issue) for issue in issues], source=source)


def _rows(
    connection: duckdb.DuckDBPyConnection, columns: str, condition: str, since: str | None
) -> Iterator[tuple[Any, ...]]:
    """Rows by type and source, then batch and place in it: the order that they lie in.

    Each has type and source first, as one, and then the columns.

    A stretch of places at a time, which is read without the others: sorting all contents by
    anything else would take the memory of all of them.
    """
    narrowed = f"is_current AND {condition}" + ("" if since is None else f" AND {_SINCE}")
    named = {} if since is None else {"since": since}
    stretches = connection.execute(
        "SELECT resource_type, source, batch, "  # noqa: S608 - constants
        "min(place), max(place), count(*) "
        f"FROM fhir.resource_versions WHERE {narrowed} GROUP BY ALL ORDER BY ALL",
        named,
    ).fetchall()
    query = (
        f"SELECT {columns} "  # noqa: S608 - constants
        f"FROM fhir.resource_versions WHERE is_current AND {condition} "
        "AND resource_type = ? AND source IS NOT DISTINCT FROM ? AND batch = ? "
        "AND place BETWEEN ? AND ? ORDER BY place"
    )
    for type_, source, batch, first, last, count in stretches:
        step = max(1, (last - first + 1) * _ROWS_AT_ONCE // count)
        for start in range(first, last + 1, step):
            until = min(start + step - 1, last)
            rows = connection.execute(query, [type_, source, batch, start, until]).fetchall()
            for row in rows:
                yield (type_, source), *row
