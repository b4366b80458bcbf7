from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from typing import Any, NamedTuple

import duckdb
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hc_assets.fhir.schemas import CURRENT_RESOURCES, ENRICHED_RESOURCES
from hc_assets.fhir.versions import Applied, apply_batches
from hc_assets.lake.layout import Layout
from hc_assets.lake.parts import PartWriter, commit
from hc_assets.lake.tables import LakeTable, read_partitions

TABLE = "fhir/enriched_resources"
START = datetime(2026, 1, 1, tzinfo=UTC)


class Sent(NamedTuple):
    """One row: a resource with some content, or its deletion where there is none."""

    id: str
    content: str | None
    day: int


def row(batch: str, position: int, sent: Sent) -> dict[str, Any]:
    return {
        "batch": batch,
        "source_file": "f.json",
        "position": position,
        "resource_type": "Patient",
        "resource_id": sent.id,
        "patient_id": sent.id,
        "last_updated": START + timedelta(sent.day),
        "content_sha256": sent.content,
        "resource": None if sent.content is None else sent.content.encode(),
    }


def write(layout: Layout, batch: str, rows: Sequence[Sent], *, part_bytes: int = 10**9) -> None:
    folder = layout.partition(TABLE, batch)
    with PartWriter(folder, ENRICHED_RESOURCES, part_bytes=part_bytes) as writer:
        for position, sent in enumerate(rows):
            one = [row(batch, position, sent)]
            writer.write(pa.RecordBatch.from_pylist(one, ENRICHED_RESOURCES))
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
    found = {}
    for id_, version, content, last_updated, batch, is_deleted, resource in rows:
        assert is_deleted == (content is None)
        assert resource == (None if content is None else content.encode())
        found[id_] = (version, content, (last_updated - START).days, batch)
    return found


def ledger(connection: duckdb.DuckDBPyConnection) -> list[str]:
    rows = connection.execute("SELECT batch FROM fhir.applied_batches ORDER BY batch").fetchall()
    return [batch for (batch,) in rows]


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    return Layout.of(tmp_path)


@pytest.fixture
def connection(tmp_path: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect(tmp_path / "warehouse.duckdb") as opened:
        yield opened


def test_the_first_content_is_version_one(layout, connection):
    write(layout, "b1", [Sent("p1", "a", 0), Sent("p2", "a", 0)])
    assert apply(connection, layout) == Applied(1, True, 2, 0)
    assert state(connection) == {"p1": (1, "a", 0, "b1"), "p2": (1, "a", 0, "b1")}


def test_every_column_comes_out_as_it_went_in(layout, connection):
    write(layout, "b1", [Sent("p1", "a", 0)])
    apply(connection, layout)
    found = connection.sql(
        "SELECT * EXCLUDE (position, source_file, last_seen) FROM fhir.current_resources"
    )
    assert found.columns == CURRENT_RESOURCES.names
    assert found.fetchall() == [("Patient", "p1", 1, START, False, "p1", None, "b1", "a", b"a")]


def test_the_same_content_again_is_no_new_version(layout, connection):
    write(layout, "b1", [Sent("p1", "a", 0)])
    write(layout, "b2", [Sent("p1", "a", 5)])
    apply(connection, layout)
    assert state(connection) == {"p1": (1, "a", 0, "b1")}


def test_other_content_counts_the_version_up(layout, connection):
    for number, content in enumerate("abbca"):
        write(layout, f"b{number}", [Sent("p1", content, number)])
    apply(connection, layout)
    assert state(connection) == {"p1": (4, "a", 4, "b4")}


def test_versions_within_a_batch_count_in_the_order_of_time_then_position(layout, connection):
    write(layout, "b1", [Sent("p1", "c", 3), Sent("p1", "a", 0), Sent("p1", "b", 3)])
    apply(connection, layout)
    assert state(connection) == {"p1": (3, "b", 3, "b1")}


def test_a_version_that_comes_twice_in_a_batch_dates_from_the_first_time(layout, connection):
    write(layout, "b1", [Sent("p1", "a", 0), Sent("p1", "b", 1), Sent("p1", "b", 2)])
    apply(connection, layout)
    assert state(connection) == {"p1": (2, "b", 1, "b1")}


def test_at_the_same_time_the_later_batch_counts(layout, connection):
    write(layout, "b1", [Sent("p1", "a", 0)])
    write(layout, "b2", [Sent("p1", "b", 0)])
    apply(connection, layout)
    assert state(connection) == {"p1": (2, "b", 0, "b2")}


def test_a_deletion_is_a_version_and_so_is_what_undoes_it(layout, connection):
    write(layout, "b1", [Sent("p1", "a", 0)])
    write(layout, "b2", [Sent("p1", None, 1)])
    assert apply(connection, layout) == Applied(2, True, 1, 1)
    assert state(connection) == {"p1": (2, None, 1, "b2")}
    write(layout, "b3", [Sent("p1", None, 2)])
    apply(connection, layout)
    assert state(connection) == {"p1": (2, None, 1, "b2")}
    write(layout, "b4", [Sent("p1", "a", 3)])
    assert apply(connection, layout) == Applied(1, False, 1, 0)
    assert state(connection) == {"p1": (3, "a", 3, "b4")}


def test_a_deletion_of_what_nobody_knows_is_kept_as_one(layout, connection):
    write(layout, "b1", [Sent("p1", None, 0)])
    assert apply(connection, layout) == Applied(1, True, 1, 1)
    assert state(connection) == {"p1": (1, None, 0, "b1")}


def test_what_is_older_and_arrives_later_does_not_replace(layout, connection):
    write(layout, "b1", [Sent("p1", "b", 5), Sent("p2", None, 5)])
    apply(connection, layout)
    write(layout, "b2", [Sent("p1", "a", 4), Sent("p2", "a", 4)])
    apply(connection, layout)
    assert state(connection) == {"p1": (1, "b", 5, "b1"), "p2": (1, None, 5, "b1")}


def test_what_is_older_than_the_last_confirmation_of_a_version_does_not_replace_it(
    layout, connection
):
    write(layout, "b1", [Sent("p1", "a", 0)])
    write(layout, "b2", [Sent("p1", "a", 9)])
    write(layout, "b3", [Sent("p1", "b", 5)])
    apply(connection, layout)
    assert state(connection) == {"p1": (1, "a", 0, "b1")}
    write(layout, "b4", [Sent("p1", "c", 9)])
    apply(connection, layout)
    assert state(connection) == {"p1": (2, "c", 9, "b4")}


def test_only_new_batches_are_taken_in(layout, connection):
    write(layout, "b1", [Sent("p1", "a", 0)])
    apply(connection, layout)
    assert apply(connection, layout) == Applied(0, False, 1, 0)
    write(layout, "b2", [Sent("p2", "a", 0)])
    assert apply(connection, layout) == Applied(1, False, 2, 0)
    assert ledger(connection) == ["b1", "b2"]


def test_a_batch_that_changed_means_starting_from_scratch(layout, connection):
    write(layout, "b1", [Sent("p1", "a", 0), Sent("p2", "a", 0)])
    write(layout, "b2", [Sent("p1", "b", 1)])
    apply(connection, layout)
    write(layout, "b1", [Sent("p1", "z", 0)])
    assert apply(connection, layout) == Applied(2, True, 1, 0)
    assert state(connection) == {"p1": (2, "b", 1, "b2")}


def test_a_batch_that_is_gone_means_starting_from_scratch(layout, connection):
    write(layout, "b1", [Sent("p1", "a", 0)])
    write(layout, "b2", [Sent("p1", "b", 1), Sent("p2", "a", 1)])
    apply(connection, layout)
    everything = read_partitions(layout, TABLE)
    assert apply_batches(connection, everything.only(["b1"])) == Applied(1, True, 1, 0)
    assert state(connection) == {"p1": (1, "a", 0, "b1")}
    assert ledger(connection) == ["b1"]


def test_a_batch_without_rows_is_taken_in(layout, connection):
    write(layout, "b1", [])
    assert apply(connection, layout) == Applied(1, True, 0, 0)
    assert apply(connection, layout) == Applied(0, False, 0, 0)


def test_nothing_to_take_in_leaves_an_empty_table(layout, connection):
    assert apply(connection, layout).rows == 0
    assert state(connection) == {}


def test_a_failure_halfway_leaves_rows_and_ledger_as_they_were(layout, connection):
    write(layout, "b1", [Sent("p1", "a", 0)])
    apply(connection, layout)
    before = state(connection)
    write(layout, "b2", [Sent("p1", "b", 1)])
    write(layout, "b3", [Sent("p1", "c", 2), Sent("p2", "a", 2)], part_bytes=1)
    part = read_partitions(layout, TABLE).of("b3").parts()[-1]
    whole = part.read_bytes()
    part.write_bytes(whole[:-1])

    with pytest.raises(duckdb.Error, match=r"has \d+ bytes, its commit says"):
        apply(connection, layout)

    assert state(connection) == before
    assert ledger(connection) == ["b1"]
    part.write_bytes(whole)
    assert apply(connection, layout) == Applied(2, False, 2, 0)
    assert state(connection) == {"p1": (3, "c", 2, "b3"), "p2": (1, "a", 2, "b3")}


class Interrupted(LakeTable):
    """Is interrupted when the third batch is asked for."""

    def of(self, batch: str) -> LakeTable:
        if batch == "b3":
            raise KeyboardInterrupt
        return super().of(batch)


def test_an_interruption_between_batches_leaves_rows_and_ledger_as_they_were(layout, connection):
    write(layout, "b1", [Sent("p1", "a", 0)])
    apply(connection, layout)
    before = state(connection)
    write(layout, "b2", [Sent("p1", "b", 1)])
    write(layout, "b3", [Sent("p1", "c", 2)])
    table = read_partitions(layout, TABLE)
    with pytest.raises(KeyboardInterrupt):
        apply_batches(connection, Interrupted(table.table, table.folder, table.partitions))
    assert state(connection) == before
    assert ledger(connection) == ["b1"]
    assert apply(connection, layout) == Applied(2, False, 1, 0)


def test_a_failure_while_starting_from_scratch_keeps_the_old_state(layout, connection):
    write(layout, "b1", [Sent("p1", "a", 0)])
    apply(connection, layout)
    write(layout, "b1", [Sent("p1", "z", 0)])
    part = read_partitions(layout, TABLE).parts()[0]
    part.unlink()
    with pytest.raises(duckdb.Error, match="is gone"):
        apply(connection, layout)
    assert state(connection) == {"p1": (1, "a", 0, "b1")}
    assert ledger(connection) == ["b1"]


def test_the_state_outlasts_the_connection(layout, tmp_path):
    write(layout, "b1", [Sent("p1", "a", 0)])
    with duckdb.connect(tmp_path / "w.duckdb") as first:
        apply(first, layout)
    with duckdb.connect(tmp_path / "w.duckdb") as second:
        assert apply(second, layout) == Applied(0, False, 1, 0)
        assert state(second) == {"p1": (1, "a", 0, "b1")}


# --- Properties ---

_NAMES = count()
# Many resources in few batches: an example costs what its batches cost, and resources are told
# apart.
IDS = st.sampled_from([f"p{number}" for number in range(8)])
CONTENTS = st.sampled_from(["a", "b", None])
ROWS = st.builds(Sent, IDS, CONTENTS, st.integers(0, 4))
ANY_ORDER = st.lists(st.lists(ROWS, max_size=24), max_size=3)


@st.composite
def in_order(draw: st.DrawFn) -> list[list[Sent]]:
    """Batches of which each is at least as late as the one before."""
    starts = draw(st.lists(st.integers(0, 9), min_size=1, max_size=3))
    return [
        [sent._replace(day=sent.day + 4 * start) for sent in draw(st.lists(ROWS, max_size=16))]
        for start in sorted(starts)
    ]


def stored(batches: Sequence[Sequence[Sent]]) -> LakeTable:
    layout = Layout.of(f"memory://versions-{next(_NAMES)}")
    for number, rows in enumerate(batches):
        write(layout, f"b{number}", rows)
    return read_partitions(layout, TABLE)


@pytest.fixture(scope="module")
def in_memory() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect() as opened:
        yield opened


def applied_up_to(
    in_memory: duckdb.DuckDBPyConnection, batches: Sequence[Sequence[Sent]], *stops: int
) -> State:
    """State after the first batches, then the first of the next number, and so on, from nothing."""
    table = stored(batches)
    in_memory.execute("DROP SCHEMA IF EXISTS fhir CASCADE")
    for stop in stops:
        apply_batches(in_memory, table.only(f"b{number}" for number in range(stop)))
    return state(in_memory)


def expected(batches: Sequence[Sequence[Sent]]) -> State:
    """The rule in plain Python: take in what is later than all seen, count changes."""
    versions: State = {}
    seen: dict[str, tuple[int, int, int]] = {}
    for number, rows in enumerate(batches):
        keyed = sorted((s.day, number, position, s) for position, s in enumerate(rows))
        for *key, sent in keyed:
            if sent.id in seen and tuple(key) <= seen[sent.id]:
                continue
            seen[sent.id] = (key[0], key[1], key[2])
            known = versions.get(sent.id)
            if known is None or known[1] != sent.content:
                version = known[0] + 1 if known else 1
                versions[sent.id] = (version, sent.content, sent.day, f"b{number}")
    return versions


@settings(max_examples=20)
@given(ANY_ORDER)
def test_the_state_is_what_the_rule_says(in_memory, batches):
    assert applied_up_to(in_memory, batches, len(batches)) == expected(batches)


@settings(max_examples=15)
@given(in_order(), st.integers(0, 3))
def test_two_portions_give_what_all_at_once_gives(in_memory, batches, cut):
    at_once = applied_up_to(in_memory, batches, len(batches))
    assert applied_up_to(in_memory, batches, min(cut, len(batches)), len(batches)) == at_once
