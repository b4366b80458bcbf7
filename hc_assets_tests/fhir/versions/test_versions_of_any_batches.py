import json
from collections.abc import Iterable, Iterator, Sequence
from itertools import count

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hc_assets.fhir.export.exported_rows import batches_since, current_lines, deleted_lines
from hc_assets.fhir.export.ndjson import Group
from hc_assets.fhir.versions.apply import apply_batches
from hc_assets.lake.layout import Layout
from hc_assets.lake.tables import LakeTable, read_partitions
from hc_assets_tests.fhir.versions.delivered_rows import (
    TABLE,
    Sent,
    everything,
    state,
    versions,
    write,
)

# --- Properties ---

_NAMES = count()
# Many resources in few batches: an example costs what its batches cost, and resources are told
# apart.
IDS = st.sampled_from([f"p{number}" for number in range(8)])
CONTENTS = st.sampled_from(["a", "b", None])
REFERENCES = st.lists(
    st.sampled_from(["Patient?identifier=s|1", "Patient?identifier=2", "Group?identifier=s|1"]),
    max_size=2,
).map(tuple)
IDENTIFIERS = st.sampled_from([(), ("s|1",), ("s|2",), ("s|1", "|2")])
# Of one source and with whole times.
ROWS = st.tuples(IDS, CONTENTS, st.integers(0, 4), st.booleans(), IDENTIFIERS, REFERENCES).map(
    lambda drawn: Sent(*drawn)
)
BATCHES = st.lists(st.lists(ROWS, max_size=24), max_size=4)
NORTH, SOUTH, NAMED = "https://north.example/fhir", "https://south.example/fhir", "ward"
OF_SOURCES = st.tuples(
    ROWS,
    st.sampled_from([None, None, NORTH, NORTH, SOUTH, NAMED]),
    st.sampled_from(["", "1"]),
    st.sampled_from([None, "1", "9", "10"]),
).map(lambda drawn: drawn[0]._replace(source=drawn[1], digits=drawn[2], version=drawn[3]))
BATCHES_OF_SOURCES = st.lists(st.lists(OF_SOURCES, max_size=24), max_size=4)


def stored(batches: Sequence[Sequence[Sent]]) -> LakeTable:
    layout = Layout.of(f"memory://versions-{next(_NAMES)}")
    for number, rows in enumerate(batches):
        write(layout, f"b{number}", rows)
    return read_partitions(layout, TABLE)


@pytest.fixture(scope="module")
def in_memory() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect() as opened:
        yield opened


def expected(batches: Sequence[Sequence[Sent]]) -> dict[str, list[tuple[str | None, int, str]]]:
    """The rule in plain Python: deliveries in order, a version where the content is another."""
    delivered = sorted(
        (sent.day, number, position, sent)
        for number, rows in enumerate(batches)
        for position, sent in enumerate(rows)
    )
    found: dict[str, list[tuple[str | None, int, str]]] = {}
    for day, number, _, sent in delivered:
        chain = found.setdefault(sent.id, [])
        is_there = bool(chain) and chain[-1][0] is not None
        if sent.only_if_none and sent.content is not None and is_there:
            continue
        if not chain or chain[-1][0] != sent.content:
            chain.append((sent.content, day, f"b{number}"))
    return {id_: chain for id_, chain in found.items() if chain}


def reset(connection: duckdb.DuckDBPyConnection) -> None:
    connection.execute("DROP SCHEMA IF EXISTS fhir CASCADE")


@settings(max_examples=10)
@given(BATCHES)
def test_the_history_is_what_the_rule_says(in_memory, batches):
    reset(in_memory)
    apply_batches(in_memory, stored(batches))
    known = {sent.id for rows in batches for sent in rows}
    assert {id_: versions(in_memory, id_) for id_ in known} == expected(batches)
    assert state(in_memory).keys() == known


@settings(max_examples=20)
@given(BATCHES_OF_SOURCES, st.randoms(use_true_random=False), st.data())
def test_any_order_in_any_portions_gives_the_rows_of_a_rebuild(in_memory, batches, random, data):
    table = stored(batches)
    reset(in_memory)
    apply_batches(in_memory, table)
    rebuilt = everything(in_memory)
    order = [f"b{number}" for number in range(len(batches))]
    random.shuffle(order)
    reset(in_memory)
    taken: set[str] = set()
    for batch in order:
        taken.add(batch)
        if data.draw(st.booleans()):
            apply_batches(in_memory, table.only(taken))
    apply_batches(in_memory, table)
    assert everything(in_memory) == rebuilt


@settings(max_examples=6)
@given(BATCHES, BATCHES)
def test_a_slice_at_a_time_gives_the_rows_of_all_at_once(in_memory, before, after):
    outcomes = []
    for slice_rows in (10**6, 9):
        reset(in_memory)
        for batches in (before, after):
            apply_batches(in_memory, stored(batches), slice_rows=slice_rows)
        deliveries = in_memory.table("fhir.deliveries").order("ALL").fetchall()
        outcomes.append((everything(in_memory), deliveries))
    assert outcomes[0] == outcomes[1]


@settings(max_examples=8)
@given(BATCHES, BATCHES)
def test_batches_that_change_or_go_leave_the_rows_of_a_rebuild(in_memory, before, after):
    reset(in_memory)
    apply_batches(in_memory, stored(before))
    table = stored(after)
    apply_batches(in_memory, table)
    changed = everything(in_memory)
    reset(in_memory)
    apply_batches(in_memory, table)
    assert changed == everything(in_memory)


Copy = dict[tuple[str | None, str], bytes]


def taken(lines: Iterable[tuple[Group, bytes]]) -> Copy:
    return {(group.source, json.loads(line)["id"]): line for group, line in lines}


def without_deleted(copy: Copy, lines: Iterable[tuple[Group, bytes]]) -> Copy:
    gone = {
        (group.source, json.loads(line)["entry"][0]["request"]["url"].partition("/")[2])
        for group, line in lines
    }
    return {of: line for of, line in copy.items() if of not in gone}


@settings(max_examples=25)
@given(BATCHES_OF_SOURCES, BATCHES_OF_SOURCES, st.randoms(use_true_random=False), st.booleans())
def test_an_export_since_a_batch_brings_whoever_had_that_state_up_to_now(
    in_memory, before, after, random, as_one
):
    # Batches taken in before and after, each lot with earlier and later keys than the other.
    several = [Sent("of", "x", 0, source=source) for source in (NORTH, NAMED)]
    listed = [(rows, False) for rows in [several, *before]] + [(rows, True) for rows in after]
    random.shuffle(listed)
    table = stored([[sent._replace(named=True) for sent in rows] for rows, _ in listed])
    early = {f"b{n}" for n, (_, is_late) in enumerate(listed) if not is_late}
    late = [f"b{n}" for n, (_, is_late) in enumerate(listed) if is_late]
    reset(in_memory)
    apply_batches(in_memory, table.only(early))
    copy = taken(current_lines(in_memory))
    ((since,),) = in_memory.execute(
        "SELECT batch FROM fhir.applied_batches ORDER BY sequence DESC LIMIT 1"
    ).fetchall()
    for upto in [len(late)] if as_one else range(1, len(late) + 1):
        apply_batches(in_memory, table.only({*early, *late[:upto]}))
    assert set(batches_since(in_memory, since)) == set(late)
    copy |= taken(current_lines(in_memory, since))
    copy = without_deleted(copy, deleted_lines(in_memory, since))
    assert copy == taken(current_lines(in_memory))
