import hashlib
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import duckdb
import pyarrow as pa
import pytest

from hc_assets.fhir.schemas import CURRENT_RESOURCES, ENRICHED_RESOURCES, RESOURCE_HISTORY
from hc_assets.fhir.versions.apply import Applied, apply_batches
from hc_assets.lake.layout import Layout
from hc_assets.lake.parts import DamagedPartError, PartWriter, commit
from hc_assets.lake.tables import LakeTable, read_partitions
from hc_assets_tests.fhir.versions.delivered_rows import (
    START,
    TABLE,
    Sent,
    apply,
    body,
    ledger,
    state,
    versions,
    write,
)


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    return Layout.of(tmp_path)


@pytest.fixture
def connection(tmp_path: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect(tmp_path / "warehouse.duckdb") as opened:
        yield opened


def test_the_first_content_is_version_one(layout, connection):
    write(layout, "b1", [Sent("p1", "a", 0), Sent("p2", "a", 0)])
    assert apply(connection, layout) == Applied(1, 0, 2, 0, 2)
    assert state(connection) == {"p1": (1, "a", 0, "b1"), "p2": (1, "a", 0, "b1")}


def test_every_column_comes_out_as_it_went_in(layout, connection):
    sent = Sent("p1", "a", 0)
    write(layout, "b1", [sent])
    apply(connection, layout)
    row = (None, "Patient", "p1", 1, START, False, "p1", None, "b1", "a", body(sent))
    current = connection.sql("SELECT * FROM fhir.current_resources")
    assert (current.columns, current.fetchall()) == (CURRENT_RESOURCES.names, [row])
    history = connection.sql("SELECT * FROM fhir.resource_history")
    assert history.columns == RESOURCE_HISTORY.names
    assert history.fetchall() == [(*row, "f.json", 0, True)]


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
    assert apply(connection, layout) == Applied(2, 0, 1, 1, 2)
    assert state(connection) == {"p1": (2, None, 1, "b2")}
    write(layout, "b3", [Sent("p1", None, 2)])
    apply(connection, layout)
    assert state(connection) == {"p1": (2, None, 1, "b2")}
    write(layout, "b4", [Sent("p1", "a", 3)])
    assert apply(connection, layout) == Applied(1, 0, 1, 0, 3)
    assert state(connection) == {"p1": (3, "a", 3, "b4")}


def test_a_deletion_of_what_nobody_knows_is_kept_as_one(layout, connection):
    write(layout, "b1", [Sent("p1", None, 0)])
    assert apply(connection, layout) == Applied(1, 0, 1, 1, 1)
    assert state(connection) == {"p1": (1, None, 0, "b1")}


def test_what_is_older_and_arrives_later_goes_into_the_history(layout, connection):
    write(layout, "b1", [Sent("p1", "b", 5), Sent("p2", None, 5)])
    apply(connection, layout)
    write(layout, "b2", [Sent("p1", "a", 4), Sent("p2", "a", 4)])
    apply(connection, layout)
    assert versions(connection) == [("a", 4, "b2"), ("b", 5, "b1")]
    assert versions(connection, "p2") == [("a", 4, "b2"), (None, 5, "b1")]


def test_a_late_delivery_of_the_same_content_dates_the_version_back(layout, connection):
    write(layout, "b1", [Sent("p1", "a", 5)])
    apply(connection, layout)
    write(layout, "b2", [Sent("p1", "a", 4)])
    apply(connection, layout)
    assert versions(connection) == [("a", 4, "b2")]


def test_what_arrives_between_two_deliveries_of_one_content_makes_the_second_a_version(
    layout, connection
):
    write(layout, "b1", [Sent("p1", "a", 0)])
    write(layout, "b2", [Sent("p1", "a", 9)])
    apply(connection, layout)
    assert versions(connection) == [("a", 0, "b1")]
    write(layout, "b3", [Sent("p1", "b", 5)])
    apply(connection, layout)
    assert versions(connection) == [("a", 0, "b1"), ("b", 5, "b3"), ("a", 9, "b2")]


def test_a_conditional_create_does_nothing_where_the_resource_is_there(layout, connection):
    write(layout, "b1", [Sent("p1", "b", 1, only_if_none=True), Sent("p2", "b", 1, True)])
    write(layout, "b2", [Sent("p1", "a", 0), Sent("p2", "c", 2, True)])
    apply(connection, layout)
    assert versions(connection) == [("a", 0, "b2")]
    assert versions(connection, "p2") == [("b", 1, "b1")]
    write(layout, "b3", [Sent("p1", None, 3), Sent("p1", "d", 4, True), Sent("p1", "e", 5, True)])
    apply(connection, layout)
    assert versions(connection) == [("a", 0, "b2"), (None, 3, "b3"), ("d", 4, "b3")]


def test_only_new_batches_are_taken_in(layout, connection):
    write(layout, "b1", [Sent("p1", "a", 0)])
    apply(connection, layout)
    assert apply(connection, layout) == Applied(0, 0, 1, 0, 1)
    write(layout, "b2", [Sent("p2", "a", 0)])
    table = read_partitions(layout, TABLE)
    table.of("b1").parts()[0].unlink()  # what was taken in is not read again
    assert apply_batches(connection, table) == Applied(1, 0, 2, 0, 2)
    assert ledger(connection) == ["b1", "b2"]


def test_a_batch_that_changed_is_taken_back_and_taken_in_again(layout, connection):
    write(layout, "b1", [Sent("p1", "a", 0), Sent("p2", "a", 0), Sent("p3", "x", 0)])
    write(layout, "b2", [Sent("p1", "b", 1), Sent("p2", "a", 2)])
    apply(connection, layout)
    write(layout, "b1", [Sent("p1", "z", 0)])
    assert apply(connection, layout) == Applied(1, 1, 2, 0, 3)
    assert versions(connection) == [("z", 0, "b1"), ("b", 1, "b2")]
    assert versions(connection, "p2") == [("a", 2, "b2")]


def test_a_batch_that_is_gone_is_taken_back(layout, connection):
    write(layout, "b1", [Sent("p1", "a", 0)])
    write(layout, "b2", [Sent("p1", "b", 1), Sent("p2", "a", 1)])
    apply(connection, layout)
    everything = read_partitions(layout, TABLE)
    assert apply_batches(connection, everything.only(["b1"])) == Applied(0, 1, 1, 0, 1)
    assert state(connection) == {"p1": (1, "a", 0, "b1")}
    assert ledger(connection) == ["b1"]


def test_tables_of_an_older_layout_make_way(layout, connection):
    connection.execute("CREATE SCHEMA fhir")
    connection.execute("CREATE TABLE fhir.current_resources (resource_type VARCHAR)")
    connection.execute("CREATE TABLE fhir.applied_batches (batch VARCHAR, digest VARCHAR)")
    write(layout, "b1", [Sent("p1", "a", 0)])
    digest = read_partitions(layout, TABLE).partitions[0][1].digest()
    connection.execute("INSERT INTO fhir.applied_batches VALUES ('b1', ?)", [digest])
    assert apply(connection, layout) == Applied(1, 0, 1, 0, 1)


# --- Transactions ---


def test_a_batch_without_rows_is_taken_in(layout, connection):
    write(layout, "b1", [])
    assert apply(connection, layout) == Applied(1, 0, 0, 0, 0)
    assert apply(connection, layout) == Applied(0, 0, 0, 0, 0)


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

    with pytest.raises(DamagedPartError, match=f"{part.name} is not what its commit says"):
        apply(connection, layout)

    assert state(connection) == before
    assert ledger(connection) == ["b1"]
    part.write_bytes(whole)
    assert apply(connection, layout) == Applied(2, 0, 2, 0, 4)
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
    with pytest.raises((KeyboardInterrupt, duckdb.Error)):  # DuckDB reads in threads of its own
        apply_batches(connection, Interrupted(table.table, table.folder, table.partitions))
    assert state(connection) == before
    assert ledger(connection) == ["b1"]
    assert apply(connection, layout) == Applied(2, 0, 1, 0, 3)


def test_a_failure_while_taking_back_keeps_the_old_state(layout, connection):
    write(layout, "b1", [Sent("p1", "a", 0)])
    apply(connection, layout)
    write(layout, "b1", [Sent("p1", "z", 0)])
    part = read_partitions(layout, TABLE).parts()[0]
    part.unlink()
    with pytest.raises(DamagedPartError):
        apply(connection, layout)
    assert state(connection) == {"p1": (1, "a", 0, "b1")}
    assert ledger(connection) == ["b1"]


def test_the_state_outlasts_the_connection(layout, tmp_path):
    write(layout, "b1", [Sent("p1", "a", 0)])
    with duckdb.connect(tmp_path / "w.duckdb") as first:
        apply(first, layout)
    with duckdb.connect(tmp_path / "w.duckdb") as second:
        assert apply(second, layout) == Applied(0, 0, 1, 0, 1)
        assert state(second) == {"p1": (1, "a", 0, "b1")}


def test_batches_of_many_resources_are_taken_in_with_little_memory(layout, tmp_path):
    count = 120_000
    for number, batch in enumerate(("b1", "b2")):
        with PartWriter(layout.partition(TABLE, batch), ENRICHED_RESOURCES) as writer:
            writer.write(many(batch, count, content=str(number), day=number))
        commit(layout, TABLE, batch, writer.parts)
    with duckdb.connect(tmp_path / "w.duckdb") as connection:
        connection.execute("SET threads = 1; SET memory_limit = '64MB'")
        table = read_partitions(layout, TABLE)
        for batches in (["b1"], ["b1", "b2"]):
            applied = apply_batches(connection, table.only(batches), slice_rows=20_000)
        assert applied == Applied(1, 0, count, 0, 2 * count)
        is_second = connection.sql("SELECT bool_and(batch = 'b2') FROM fhir.current_resources")
        assert is_second.fetchall() == [(True,)]


def many(batch: str, count: int, *, content: str, day: int) -> pa.RecordBatch:
    """So many patients, the same ones each time."""
    ids = [hashlib.sha256(b"%d" % number).hexdigest() for number in range(count)]
    columns = {
        "batch": pa.repeat(batch, count),
        "source_file": pa.repeat("f.ndjson", count),
        "position": pa.array(range(count)),
        "resource_type": pa.repeat("Patient", count),
        "resource_id": pa.array(ids),
        "last_updated": pa.repeat(
            pa.scalar(START + timedelta(day), pa.timestamp("us", "UTC")), count
        ),
        "content_sha256": pa.array([f"{id_}{content}" for id_ in ids]),
        "identifiers": pa.array([[f"urn:system|{id_}"] for id_ in ids]),
        "resource": pa.array([b'{"id":"%b"}' % id_.encode() for id_ in ids]),
    }
    arrays = [columns.get(f.name, pa.nulls(count, f.type)) for f in ENRICHED_RESOURCES]
    return pa.RecordBatch.from_arrays(arrays, schema=ENRICHED_RESOURCES)
