"""Identity is the source's: the same type and id of two sources are two resources."""

import json
from collections.abc import Iterator, Sequence
from itertools import count
from pathlib import Path

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hc_assets.fhir.export.exported_rows import current_lines, deleted_lines
from hc_assets.fhir.verdicts.exports import current_rows_unique
from hc_assets.fhir.verdicts.sources import no_source_assumed
from hc_assets.fhir.versions.apply import apply_batches
from hc_assets.lake.layout import Layout
from hc_assets.lake.tables import LakeTable, read_partitions
from hc_assets_tests.fhir.versions.delivered_rows import (
    START,
    TABLE,
    Sent,
    apply,
    body,
    everything,
    write,
)

NORTH, SOUTH, NAMED = "https://north.example/fhir", "https://south.example/r4", "east"
Chain = list[tuple[str | None, int, str]]


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    return Layout.of(tmp_path)


@pytest.fixture
def connection() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect() as opened:
        yield opened


def of(source: str | None, content: str | None, day: int = 0, **more: object) -> Sent:
    return Sent("p1", content, day, source=source)._replace(**more)


def chains(connection: duckdb.DuckDBPyConnection) -> dict[tuple[str | None, str], Chain]:
    """Content, day and batch of the versions of each resource, by source and id."""
    found: dict[tuple[str | None, str], Chain] = {}
    for source, id_, content, at, batch in connection.sql(
        "SELECT source, resource_id, content_sha256, last_updated, batch "
        "FROM fhir.resource_history ORDER BY version_id"
    ).fetchall():
        found.setdefault((source, id_), []).append((content, (at - START).days, batch))
    return found


def test_one_type_and_id_of_two_sources_are_two_resources(layout, connection):
    write(layout, "b1", [of(NORTH, "a"), of(NAMED, "c", 1)])
    write(layout, "b2", [of(SOUTH, "b", 1), of(NORTH, "d", 2), of("west", None, 3)])
    apply(connection, layout)
    assert chains(connection) == {
        (NORTH, "p1"): [("a", 0, "b1"), ("d", 2, "b2")],
        (SOUTH, "p1"): [("b", 1, "b2")],
        (NAMED, "p1"): [("c", 1, "b1")],
        ("west", "p1"): [(None, 3, "b2")],
    }
    assert current_rows_unique(connection).passed
    assert no_source_assumed(connection).passed


def test_what_names_no_source_is_of_the_only_server_that_has_it(layout, connection):
    """A searchset today, a transaction tomorrow, Bulk Data later: one server by three doors."""
    write(layout, "b1", [of(None, "a"), Sent("p2", "x", 0)])
    apply(connection, layout)
    assert chains(connection)[None, "p1"] == [("a", 0, "b1")]
    assert no_source_assumed(connection).passed
    write(layout, "b2", [of(NORTH, "b", 1)])
    apply(connection, layout)
    write(layout, "b3", [of(None, "c", 2), of(None, None, 3)])
    apply(connection, layout)
    expected = [("a", 0, "b1"), ("b", 1, "b2"), ("c", 2, "b3"), (None, 3, "b3")]
    assert chains(connection) == {(NORTH, "p1"): expected, (None, "p2"): [("x", 0, "b1")]}
    verdict = no_source_assumed(connection)
    assert (verdict.passed, verdict.value) == (False, 1.0)
    assert verdict.counts["taken_for_the_same"] == 1


def test_where_two_servers_have_it_what_names_no_source_is_of_neither(layout, connection):
    write(layout, "b1", [of(NORTH, "a"), of(None, "b", 1)])
    apply(connection, layout)
    assert chains(connection) == {(NORTH, "p1"): [("a", 0, "b1"), ("b", 1, "b1")]}
    write(layout, "b2", [of(SOUTH, "c", 2)])
    apply(connection, layout)
    assert chains(connection) == {
        (NORTH, "p1"): [("a", 0, "b1")],
        (SOUTH, "p1"): [("c", 2, "b2")],
        (None, "p1"): [("b", 1, "b1")],
    }
    verdict = no_source_assumed(connection)
    assert (verdict.passed, verdict.counts["kept_apart"]) == (False, 1)
    assert current_rows_unique(connection).passed
    apply_batches(connection, read_partitions(layout, TABLE).only(["b1"]))
    assert chains(connection) == {(NORTH, "p1"): [("a", 0, "b1"), ("b", 1, "b1")]}


def test_nothing_counts_to_a_name_by_itself(layout, connection):
    write(layout, "b1", [of(None, "a")])
    write(layout, "b2", [of(NAMED, "b", 1), of(NORTH, "c", 2)])
    apply(connection, layout)
    assert chains(connection) == {
        (NAMED, "p1"): [("b", 1, "b2")],
        (NORTH, "p1"): [("a", 0, "b1"), ("c", 2, "b2")],
    }


def test_an_export_since_a_batch_has_what_another_source_s_arrival_moved(layout, connection):
    write(layout, "b1", [of(None, "a"), Sent("p2", "x", 0)])
    apply(connection, layout)
    write(layout, "b2", [of(NORTH, "a", 1)])
    apply(connection, layout)
    assert [(group.source, line) for group, line in current_lines(connection, "b1")] == [
        (NORTH, body(of(None, "a")))
    ]


def deletions(connection: duckdb.DuckDBPyConnection, since: str) -> list[tuple[str | None, str]]:
    lines = [(group, json.loads(line)) for group, line in deleted_lines(connection, since)]
    for group, bundle in lines:
        assert ("source" in bundle.get("meta", {})) == (group.source is not None)
    return [(group.source, line["entry"][0]["request"]["url"]) for group, line in lines]


def test_so_it_deletes_what_is_of_no_source_any_more(layout, connection):
    write(layout, "b1", [of(None, "a"), Sent("p2", "x", 0, source=NAMED)])
    apply(connection, layout)
    write(layout, "b2", [of(NORTH, "a", 1)])
    apply(connection, layout)
    assert deletions(connection, "b1") == [(None, "Patient/p1")]
    assert deletions(connection, "b2") == []
    # It is there again, where the server's own batch is taken back
    apply_batches(connection, read_partitions(layout, TABLE).only(["b1"]))
    assert deletions(connection, "b1") == [(NORTH, "Patient/p1")]


def test_what_took_its_place_in_files_of_one_source_is_not_deleted(layout, connection):
    write(layout, "b1", [of(None, "a")])
    apply(connection, layout)
    write(layout, "b2", [of(NORTH, "a", 1)])
    apply(connection, layout)
    assert deletions(connection, "b1") == []


def test_what_a_batch_that_is_taken_back_brought_is_deleted(layout, connection):
    write(layout, "b1", [of(NORTH, "a")])
    write(layout, "b2", [of(NORTH, "b", 1), Sent("p2", "x", 0, source=NORTH)])
    apply(connection, layout)
    apply_batches(connection, read_partitions(layout, TABLE).only(["b1"]))
    lines = list(deleted_lines(connection, "b1"))
    assert [json.loads(line)["entry"][0]["fullUrl"] for _, line in lines] == [f"{NORTH}/Patient/p2"]


# --- References by query ---

ASKED = "Practitioner?identifier=s|1"


def doctor(id_: str, source: str | None) -> Sent:
    return Sent(id_, "d", 0, False, ("s|1",), type="Practitioner", source=source)


def referred(connection: duckdb.DuckDBPyConnection) -> dict[str | None, str]:
    rows = connection.sql(
        "SELECT source, resource FROM fhir.current_resources WHERE resource_type = 'Patient'"
    ).fetchall()
    return {source: json.loads(resource)["to"][0]["reference"] for source, resource in rows}


def test_a_reference_by_query_is_looked_up_within_its_source(layout, connection):
    asking = [of(source, "a", references=(ASKED,)) for source in (NORTH, SOUTH, NAMED)]
    write(layout, "b1", [*asking, doctor("n", NORTH), doctor("e", NAMED)])
    apply(connection, layout)
    assert referred(connection) == {
        NORTH: "Practitioner/n",
        SOUTH: ASKED,
        NAMED: "Practitioner/e",
    }
    write(layout, "b2", [doctor("s", SOUTH), doctor("e2", NAMED)])
    apply(connection, layout)
    assert referred(connection) == {
        NORTH: "Practitioner/n",
        SOUTH: "Practitioner/s",
        NAMED: ASKED,
    }


def test_what_names_no_source_can_be_what_a_server_s_resource_asks_for(layout, connection):
    other = Sent("p2", "a", 0, references=(ASKED,))
    write(layout, "b1", [of(NORTH, "a", references=(ASKED,)), other, doctor("d", None)])
    apply(connection, layout)
    assert referred(connection) == {NORTH: "Practitioner/d", None: "Practitioner/d"}
    write(layout, "b2", [doctor("n", NORTH)])
    apply(connection, layout)
    assert referred(connection) == {NORTH: "Practitioner/n", None: "Practitioner/d"}
    apply_batches(connection, read_partitions(layout, TABLE).only(["b1"]))
    assert referred(connection) == {NORTH: "Practitioner/d", None: "Practitioner/d"}


# --- Deletions, as exports name them ---


def test_a_deletion_says_of_which_source_it_is(layout, connection):
    write(layout, "b1", [Sent("p0", "x", 0)])
    rows = [of(NORTH, None, id="p1"), of(NAMED, None, id="p2"), of(None, None, id="p3")]
    write(layout, "b2", rows)
    apply(connection, layout)
    found = [(g, json.loads(text)) for g, text in deleted_lines(connection, "b1", source="urn:x")]
    assert [group.source for group, _ in found] == [NAMED, NORTH, None]
    named, north, unnamed = (each for _, each in found)
    assert north["entry"][0]["fullUrl"] == f"{NORTH}/Patient/p1"
    assert north["meta"]["source"] == NORTH
    assert named["meta"]["source"] == "urn:x#east"
    assert "fullUrl" not in named["entry"][0]
    assert unnamed["meta"].keys() == {"lastUpdated"}


def test_lines_are_kept_apart_only_where_there_are_several_sources(layout, connection):
    write(layout, "b1", [of(NORTH, "a"), of(NORTH, "b", id="p2")])
    apply(connection, layout)
    assert [group.source for group, _ in current_lines(connection)] == [None, None]
    write(layout, "b2", [of(None, "a", id="p3")])
    apply(connection, layout)
    assert [group.source for group, _ in current_lines(connection)] == [NORTH, NORTH, None]


# --- Properties ---

_NAMES = count()
ROWS = st.builds(
    Sent,
    st.sampled_from(["p1", "p2", "p3"]),
    st.sampled_from(["a", "b", None]),
    st.integers(0, 2),
    st.booleans(),
    identifiers=st.just(()),
    references=st.just(()),
    type=st.just("Patient"),
    named=st.just(False),
    source=st.sampled_from([None, None, NORTH, SOUTH, NAMED]),
    version=st.sampled_from([None, "2", "10"]),
    digits=st.sampled_from(["", "", "5"]),
)
BATCHES = st.lists(st.lists(ROWS, max_size=12), max_size=4)


def stored(batches: Sequence[Sequence[Sent]]) -> LakeTable:
    layout = Layout.of(f"memory://sources-{next(_NAMES)}")
    for number, rows in enumerate(batches):
        write(layout, f"b{number}", rows)
    return read_partitions(layout, TABLE)


def expected(batches: Sequence[Sequence[Sent]]) -> dict[tuple[str | None, str], Chain]:
    """The rule in plain Python."""
    servers: dict[str, set[str]] = {}
    for sent in (each for rows in batches for each in rows):
        if sent.source in (NORTH, SOUTH):
            servers.setdefault(sent.id, set()).add(str(sent.source))
    found: dict[tuple[str | None, str], Chain] = {}
    delivered = sorted(
        (sent.day, sent.digits, int(sent.version or 99), number, position, sent)
        for number, rows in enumerate(batches)
        for position, sent in enumerate(rows)
    )
    for day, _, _, number, _, sent in delivered:
        of_id = servers.get(sent.id, set())
        source = next(iter(of_id)) if sent.source is None and len(of_id) == 1 else sent.source
        chain = found.setdefault((source, sent.id), [])
        is_there = bool(chain) and chain[-1][0] is not None
        if sent.only_if_none and sent.content is not None and is_there:
            continue
        if not chain or chain[-1][0] != sent.content:
            chain.append((sent.content, day, f"b{number}"))
    return {key: chain for key, chain in found.items() if chain}


@settings(max_examples=8)
@given(BATCHES, st.randoms(use_true_random=False))
def test_any_order_of_batches_of_any_sources_gives_what_the_rule_says(batches, random):
    table = stored(batches)
    with duckdb.connect() as connection:
        apply_batches(connection, table)
        assert chains(connection) == expected(batches)
        assert current_rows_unique(connection).passed
        rebuilt = everything(connection)
        connection.execute("DROP SCHEMA fhir CASCADE")
        order = [f"b{number}" for number in range(len(batches))]
        random.shuffle(order)
        for upto in range(1, len(order) + 1):
            apply_batches(connection, table.only(order[:upto]), slice_rows=9)
        apply_batches(connection, table)
        assert everything(connection) == rebuilt
