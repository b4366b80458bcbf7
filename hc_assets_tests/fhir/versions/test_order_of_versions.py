"""Which of several deliveries of one time is the later version, and what it costs to find out."""

import itertools
from collections.abc import Iterator
from pathlib import Path

import duckdb
import pytest

from hc_assets.fhir.versions.deliveries import slices
from hc_assets.lake.layout import Layout
from hc_assets_tests.fhir.versions.delivered_rows import Sent, apply, state, versions, write


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    return Layout.of(tmp_path)


@pytest.fixture
def connection() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect() as opened:
        yield opened


def sent(content: str | None, version: str | None = None, digits: str = "") -> Sent:
    return Sent("p1", content, 0, version=version, digits=digits)


def contents(connection: duckdb.DuckDBPyConnection) -> list[str | None]:
    return [content for content, _, _ in versions(connection)]


IN_ORDER = [
    [sent("a", "9"), sent("b", "10")],
    [sent("a", "0"), sent("b", "1"), sent("c", "02"), sent("d", "10")],
    [sent("a", "9" * 30), sent("b", "1" + "0" * 30), sent("c", "1" + "0" * 60)],
    [sent("a", "10"), sent(None, "11"), sent("b", "12")],
    [sent("a", "10"), sent("b"), sent("c", "x")],
    [sent("a", "10", ""), sent("b", "9", "1")],
    [sent("a", None, "1"), sent("b", None, "12"), sent("c", None, "123456789012345")],
    [sent("a", None, "099"), sent("b", None, "1"), sent("c", None, "2"), sent("d", None, "L")],
]


@pytest.mark.parametrize("expected", IN_ORDER)
def test_at_the_same_time_digits_then_whole_numbers_decide(layout, connection, expected):
    for number, order in enumerate(itertools.permutations(expected)):
        if number >= 6 or ("x" in [each.version for each in expected] and number):
            break
        inside = Layout.of(f"{layout.data_dir}/{number}")
        connection.execute("DROP SCHEMA IF EXISTS fhir CASCADE")
        for place, each in enumerate(order):
            write(inside, f"b{place}", [each])
        apply(connection, inside)
        assert contents(connection) == [each.content for each in expected]


def test_the_greater_version_is_current_whichever_is_read_first(layout, connection):
    write(layout, "b1", [sent("ten", "10"), sent("nine", "9")])
    apply(connection, layout)
    assert state(connection)["p1"][1] == "ten"


def test_a_later_time_goes_before_a_greater_version(layout, connection):
    write(layout, "b1", [Sent("p1", "b", 1, version="1"), Sent("p1", "a", 0, version="2")])
    apply(connection, layout)
    assert contents(connection) == ["a", "b"]


# --- Cost ---


def test_new_resources_are_put_in_order_without_those_that_have_many_versions(layout, connection):
    hot = [Sent("hot", f"c{number}", number) for number in range(3_000)]
    write(layout, "b1", hot)
    assert apply(connection, layout).compared == 3_000
    write(layout, "b2", [Sent(f"p{number}", "a", 0) for number in range(2_000)])
    assert apply(connection, layout).compared == 2_000
    write(layout, "b3", [Sent("p1", "b", 1), Sent("p2", "a", 1)])
    assert apply(connection, layout).compared == 4
    write(layout, "b4", [Sent("hot", "last", 4_000)])
    assert apply(connection, layout).compared == 2
    assert versions_of(connection, "hot")[-1] == (3_001, "last")


def test_what_is_compared_follows_what_is_new_and_not_how_much_is_known(layout, connection):
    write(layout, "b1", [Sent("hot", f"c{number}", number) for number in range(1_000)])
    apply(connection, layout)
    for number in range(1, 6):
        write(layout, f"n{number}", [Sent("hot", "again" * (number > 3), 1_000 + number)])
        assert apply(connection, layout).compared <= 3
    assert [number for number, _ in versions_of(connection, "hot")][-2:] == [1_001, 1_002]
    # Late: what follows gets other numbers
    write(layout, "late", [Sent("hot", "late", 990)])
    assert apply(connection, layout).compared <= 20
    assert [text for _, text in versions_of(connection, "hot")][989:993] == [
        *("c989", "c990", "late", "c991"),
    ]
    assert [number for number, _ in versions_of(connection, "hot")] == list(range(1, 1_004))


def versions_of(connection: duckdb.DuckDBPyConnection, id_: str) -> list[tuple[int, str]]:
    return connection.execute(
        "SELECT version_id, content_sha256 FROM fhir.resource_history WHERE resource_id = ? "
        "ORDER BY version_id",
        [id_],
    ).fetchall()


def test_as_many_slices_as_the_rows_fill():
    assert list(slices([], 10)) == []
    assert list(slices([(3, 2), (5, 8), (9, 1)], 10)) == [(3, 5), (9, 9)]
    assert list(slices([(0, 30), (1, 1), (4_095, 1)], 10)) == [(0, 0), (1, 4_095)]
    every = [(bucket, 5) for bucket in range(4_096)]
    assert len(list(slices(every, 200_000))) == 1
    assert len(list(slices(every, 1_000))) == 21
