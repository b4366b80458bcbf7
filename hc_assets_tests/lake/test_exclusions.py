"""Batches that are left out: by a record, whole or not, and by nothing else."""

from datetime import UTC, datetime

import pyarrow as pa
import pytest

from hc_assets.lake import exclusions
from hc_assets.lake.backlog import is_behind, left_out, not_taken_in, unfinished
from hc_assets.lake.exclusions import (
    block,
    excluded,
    read_exclusion,
    restore,
    retract,
    retracted,
    standing_keys,
    unblock,
)
from hc_assets.lake.incremental import ShrinkingTableError, refuse_shrinking
from hc_assets.lake.integrity import damaged_landed
from hc_assets.lake.layout import Layout
from hc_assets.lake.parts import PartWriter, commit
from hc_assets.lake.tables import read_partitions
from hc_assets.lake.warehouse import Warehouse

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
NOTED = {"description": "x", "unit": ""}
SCHEMA = pa.schema([pa.field("batch", pa.string(), metadata=NOTED)])
RAW, LAST, ALL = "g/raw", "g/last", "g/all"
CHECKS = ["g/last: c"]


def put(
    layout: Layout, table: str, batch: str | None, inputs: dict[str, str] | None = None
) -> None:
    with PartWriter(layout.partition(table, batch), SCHEMA) as writer:
        writer.write(pa.RecordBatch.from_pylist([{"batch": batch or "all"}], SCHEMA))
    commit(layout, table, batch, writer.parts, inputs=inputs)


@pytest.fixture
def layout(tmp_path) -> Layout:
    """Two finished batches, published."""
    made = Layout.of(tmp_path)
    for batch in ("a", "b"):
        folder = made.batch("k", batch)
        folder.mkdir(parents=True)
        made.manifest("k", batch).write_text("{}")
        put(made, RAW, batch)
        put(made, LAST, batch)
    put(made, ALL, None, read_partitions(made, LAST).digests())
    return made


def take_out(layout: Layout, batch: str) -> None:
    retract(layout, "k", batch, now=NOW, by="me", reason="a reason")


def test_a_retracted_batch_is_read_by_its_name_and_by_nothing_over_all(layout):
    take_out(layout, "a")
    assert [made.batch for _, made in read_partitions(layout, LAST).partitions] == ["b"]
    assert read_partitions(layout, LAST, ["a"]).count_rows() == 1
    assert standing_keys(layout, "k") == ["b"]
    assert (layout.partition(LAST, "a") / "_commit.json").exists()


@pytest.mark.parametrize("is_made_before", [True, False])
def test_views_leave_it_out_whenever_they_were_made(layout, is_made_before):
    warehouse = Warehouse(layout, {LAST: SCHEMA})

    def batches() -> list[tuple[str]]:
        with warehouse.read() as connection:
            return connection.sql("SELECT batch FROM g.last ORDER BY batch").fetchall()

    if is_made_before:
        assert batches() == [("a",), ("b",)]
    take_out(layout, "a")
    assert batches() == [("b",)]
    restore(layout, "k", "a", now=NOW, by="me")
    assert batches() == [("a",), ("b",)]


def test_a_retraction_may_shrink_a_table_and_nothing_else_may(layout):
    of_b = read_partitions(layout, LAST, ["b"]).digests()
    with pytest.raises(ShrinkingTableError, match="would lose 1 batches"):
        refuse_shrinking(layout, ALL, of_b, None)
    take_out(layout, "a")
    refuse_shrinking(layout, ALL, of_b, None)
    with pytest.raises(ShrinkingTableError):
        refuse_shrinking(layout, ALL, {}, None)


def test_what_was_published_with_it_is_behind_until_it_is_published_again(layout):
    sources = [RAW, LAST]
    made_from = read_partitions(layout, LAST).digests()
    assert not is_behind(layout, made_from, sources, ["a", "b"])
    take_out(layout, "a")
    assert left_out(layout, sources, [ALL]) == [(ALL, f"{LAST}/a")]
    assert is_behind(layout, made_from, sources, ["b"])
    assert len(not_taken_in(layout, made_from, sources, ["b"])) == 1
    put(layout, ALL, None, read_partitions(layout, LAST).digests())
    assert left_out(layout, sources, [ALL]) == []
    take_out(layout, "b")
    assert left_out(layout, sources, [ALL]) == [(ALL, f"{LAST}/b")]  # the last one, too


def test_a_retracted_batch_is_not_to_be_finished_and_a_blocked_one_is(layout):
    (layout.partition(LAST, "a") / "_commit.json").unlink()
    assert unfinished(layout, [RAW, LAST], ["a", "b"]) == ["a"]
    take_out(layout, "a")
    assert unfinished(layout, [RAW, LAST], ["a", "b"]) == []
    block(layout, "k", "b", now=NOW, blocked_by=CHECKS)
    assert unfinished(layout, [RAW, LAST], ["a", "b"]) == ["b"]


def test_a_blocked_batch_is_left_out_until_its_checks_hold(layout):
    block(layout, "k", "a", now=NOW, blocked_by=CHECKS)
    assert excluded(layout) == {"a"}
    assert retracted(layout) == set()
    assert standing_keys(layout, "k") == ["a", "b"]
    assert not restore(layout, "k", "a", now=NOW, by="me")
    unblock(layout, "k", "a", now=NOW)
    assert excluded(layout) == set()
    assert exclusions.undone(layout, "k") == 1


def test_a_check_neither_undoes_nor_replaces_a_retraction(layout):
    block(layout, "k", "a", now=NOW, blocked_by=CHECKS)
    take_out(layout, "a")
    block(layout, "k", "a", now=NOW, blocked_by=CHECKS)
    unblock(layout, "k", "a", now=NOW)
    found = read_exclusion(layout, "k", "a")
    assert (found.by, found.reason, found.blocked_by) == ("me", "a reason", ())


def test_the_first_record_stays_and_what_is_restored_keeps_its_own(layout):
    take_out(layout, "a")
    retract(layout, "k", "a", now=datetime(2027, 1, 1, tzinfo=UTC), by="other", reason="else")
    assert read_exclusion(layout, "k", "a").by == "me"
    assert restore(layout, "k", "a", now=NOW, by="other")
    assert not restore(layout, "k", "a", now=NOW, by="other")
    (kept,) = layout.restored("k").iterdir()
    assert '"restored_by": "other"' in kept.read_text()
    assert '"reason": "a reason"' in kept.read_text()


@pytest.mark.parametrize("stored", [b"", b"{}", b"\xff", b'{"kind":"k","key":"a","at":"x"}'])
def test_a_record_that_is_damaged_retracts_still_and_is_named(layout, stored):
    take_out(layout, "a")
    (layout.left_out("k") / "a.json").write_bytes(stored)
    assert retracted(layout) == {"a"}
    found = [str(each) for each in damaged_landed(layout, {}) if ".left_out" in str(each)]
    problem = "is not what was recorded: its batch counts as retracted"
    assert found == [f"batches/k/.left_out/a.json {problem}"]
    take_out(layout, "a")  # writes it once more
    assert read_exclusion(layout, "k", "a").reason == "a reason"


def test_every_changed_bit_of_a_record_is_seen(layout):
    take_out(layout, "a")
    path = layout.left_out("k") / "a.json"
    whole = path.read_bytes()
    for place in range(0, len(whole), 7):
        changed = bytearray(whole)
        changed[place] ^= 1 << (place % 8)
        path.write_bytes(bytes(changed))
        found = exclusions.exclusions(layout, "k")["a"]
        assert found is None or found == exclusions.Exclusion(
            "k", "a", found.at, "me", "a reason", check=found.check
        )


def test_what_a_kill_leaves_of_a_record_is_no_record(layout):
    layout.left_out("k").mkdir(parents=True)
    (layout.left_out("k") / ".tmp-a.json").write_bytes(b"half")
    assert excluded(layout) == set()
