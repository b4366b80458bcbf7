"""Rows of `fhir/enriched_resources` as tests deliver them, and what became of them."""

import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

import duckdb
import pyarrow as pa

from hc_assets.fhir.schemas import ENRICHED_RESOURCES
from hc_assets.fhir.versions.apply import Applied, apply_batches
from hc_assets.lake.layout import Layout
from hc_assets.lake.parts import PartWriter, commit
from hc_assets.lake.tables import read_partitions

TABLE = "fhir/enriched_resources"
START = datetime(2026, 1, 1, tzinfo=UTC)


class Sent(NamedTuple):
    """One row: a resource with some content, or its deletion where there is none."""

    id: str
    content: str | None
    day: int
    only_if_none: bool = False
    identifiers: tuple[str, ...] = ()
    references: tuple[str, ...] = ()
    type: str = "Patient"
    named: bool = False
    source: str | None = None
    digits: str = ""
    version: str | None = None


def body(sent: Sent) -> bytes:
    references = [{"reference": text} for text in sent.references]
    members = {"id": sent.id, "day": sent.day} if sent.named else {}
    members |= {"content": sent.content, "to": references}
    return json.dumps(members, separators=(",", ":")).encode()


def row(batch: str, position: int, sent: Sent) -> dict[str, Any]:
    return {
        "request_method": "POST" if sent.only_if_none else None,
        "request_if_none_exist": "identifier=x" if sent.only_if_none else None,
        "identifiers": list(sent.identifiers),
        "literal_references": [text for text in sent.references if "?" not in text],
        "conditional_references": [text for text in sent.references if "?" in text],
        "source": sent.source,
        "last_updated_digits": sent.digits,
        "stated_version": sent.version,
        "batch": batch,
        "source_file": "f.json",
        "position": position,
        "resource_type": sent.type,
        "resource_id": sent.id,
        "patient_id": sent.id,
        "last_updated": START + timedelta(sent.day),
        "content_sha256": sent.content,
        "resource": None if sent.content is None else body(sent),
    }


def write(layout: Layout, batch: str, rows: Sequence[Sent], *, part_bytes: int = 10**9) -> None:
    folder = layout.partition(TABLE, batch)
    with PartWriter(folder, ENRICHED_RESOURCES, part_bytes=part_bytes) as writer:
        made = [row(batch, position, sent) for position, sent in enumerate(rows)]
        for listed in [made] if part_bytes > 1 else [[each] for each in made]:
            writer.write(pa.RecordBatch.from_pylist(listed, ENRICHED_RESOURCES))
    commit(layout, TABLE, batch, writer.parts)


def apply(connection: duckdb.DuckDBPyConnection, layout: Layout) -> Applied:
    return apply_batches(connection, read_partitions(layout, TABLE))


State = dict[str, tuple[int, str | None, int, str]]


def state(connection: duckdb.DuckDBPyConnection) -> State:
    """Version, content, day and batch of each resource that is known."""
    rows = connection.execute(
        "SELECT resource_id, version_id, content_sha256, last_updated, batch, is_deleted, "
        "resource FROM fhir.current_resources"
    ).fetchall()
    found: State = {}
    for id_, version, content, last_updated, batch, is_deleted, resource in rows:
        assert id_ not in found
        assert is_deleted == (content is None) == (resource is None)
        assert content is None or json.loads(resource)["content"] == content
        found[id_] = (version, content, (last_updated - START).days, batch)
    return found


Rows = list[tuple[object, ...]]


def everything(connection: duckdb.DuckDBPyConnection) -> tuple[Rows, Rows, Rows]:
    """All rows of the history, the current state, and what references stand for."""
    history, current, references = (
        connection.table(f"fhir.{table}").order("ALL").fetchall()
        for table in ("resource_history", "current_resources", "resolved_references")
    )
    return history, current, references


def versions(connection: duckdb.DuckDBPyConnection, id_: str = "p1") -> list[tuple[str, int, str]]:
    """Content, day and batch of the versions of a resource, in order."""
    rows = connection.execute(
        "SELECT version_id, content_sha256, last_updated, batch, is_current "
        "FROM fhir.resource_history WHERE resource_id = ? ORDER BY version_id",
        [id_],
    ).fetchall()
    assert [number for number, *_ in rows] == list(range(1, len(rows) + 1))
    assert [is_current for *_, is_current in rows] == [False] * (len(rows) - 1) + [True]
    return [(content, (at - START).days, batch) for _, content, at, batch, _ in rows]


def ledger(connection: duckdb.DuckDBPyConnection) -> list[str]:
    rows = connection.execute("SELECT batch FROM fhir.applied_batches ORDER BY batch").fetchall()
    return [batch for (batch,) in rows]
