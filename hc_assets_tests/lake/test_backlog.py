import os
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pytest

from hc_assets.lake.backlog import is_behind, left_out, not_taken_in
from hc_assets.lake.layout import COMMIT_NAME, Layout
from hc_assets.lake.parts import PartWriter, commit, read_commit
from hc_assets.lake.tables import read_partitions

SCHEMA = pa.schema([("number", pa.int64())])
SOURCE, OTHER, TABLE = "fhir/source", "fhir/source_2", "fhir/made"


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    return Layout.of(tmp_path)


@pytest.fixture
def put(layout: Layout) -> Callable[..., None]:
    def put(
        table: str, batch: str | None, number: int, inputs: dict[str, str] | None = None
    ) -> None:
        with PartWriter(layout.partition(table, batch), SCHEMA) as writer:
            writer.write(pa.RecordBatch.from_pydict({"number": [number]}, SCHEMA))
        commit(layout, table, batch, writer.parts, inputs=inputs)

    return put


def digests(layout: Layout, *tables: str) -> dict[str, str]:
    return {
        name: digest
        for table in tables
        for name, digest in read_partitions(layout, table).digests().items()
    }


def lacking(layout: Layout, *over_all: str) -> list[tuple[str, str]]:
    return left_out(layout, [SOURCE], over_all or [TABLE])


def test_a_table_that_was_never_made_lacks_every_batch(layout, put):
    assert lacking(layout) == []
    put(SOURCE, "b2", 1)
    put(SOURCE, "b1", 1)
    assert lacking(layout) == [(TABLE, f"{SOURCE}/b1"), (TABLE, f"{SOURCE}/b2")]


def made_from(layout: Layout) -> dict[str, str] | None:
    made = read_commit(layout.partition(TABLE, None))
    return None if made is None else made.inputs


def test_a_table_that_was_never_made_is_behind(layout, put):
    put(SOURCE, "b1", 1)
    assert is_behind(layout, made_from(layout), [SOURCE], ["b1"])


def test_a_new_or_changed_batch_is_left_out_until_the_table_is_made_of_it(layout, put):
    put(SOURCE, "b1", 1)
    put(TABLE, None, 1, digests(layout, SOURCE))
    assert lacking(layout) == []
    put(SOURCE, "b2", 2)
    assert lacking(layout) == [(TABLE, f"{SOURCE}/b2")]
    put(TABLE, None, 2, digests(layout, SOURCE))
    assert lacking(layout) == []
    put(SOURCE, "b1", 3)
    assert lacking(layout) == [(TABLE, f"{SOURCE}/b1")]


def test_a_table_is_behind_until_it_is_made_of_new_and_changed_batches(layout, put):
    put(SOURCE, "b1", 1)
    put(TABLE, None, 1, digests(layout, SOURCE))
    assert not is_behind(layout, made_from(layout), [SOURCE], ["b1"])
    put(SOURCE, "b2", 2)
    assert is_behind(layout, made_from(layout), [SOURCE], ["b1", "b2"])
    put(TABLE, None, 2, digests(layout, SOURCE))
    assert not is_behind(layout, made_from(layout), [SOURCE], ["b1", "b2"])
    put(SOURCE, "b1", 3)
    assert is_behind(layout, made_from(layout), [SOURCE], ["b1", "b2"])


def test_batches_that_are_not_finished_are_not_missed(layout, put):
    for table in (SOURCE, OTHER):
        put(table, "b1", 1)
    put(TABLE, None, 1, digests(layout, SOURCE))
    put(SOURCE, "b2", 2)
    assert not is_behind(layout, made_from(layout), [SOURCE], ["b1"])
    assert left_out(layout, [SOURCE, OTHER], [TABLE]) == []
    put(OTHER, "b2", 2)
    assert left_out(layout, [SOURCE, OTHER], [TABLE]) == [(TABLE, f"{SOURCE}/b2")]


def test_a_source_that_the_table_is_not_made_of_makes_no_difference(layout, put):
    put(SOURCE, "b1", 1)
    put(OTHER, "b1", 1)
    put(TABLE, None, 1, digests(layout, SOURCE))
    assert left_out(layout, [SOURCE, OTHER], [TABLE]) == []
    assert not is_behind(layout, made_from(layout), [SOURCE, OTHER], ["b1"])
    assert is_behind(layout, made_from(layout), [OTHER], ["b1"])


def test_a_source_over_all_batches_is_compared_in_the_same_way(layout, put):
    put(SOURCE, None, 1)
    put(TABLE, None, 1, digests(layout, SOURCE))
    assert not is_behind(layout, made_from(layout), [SOURCE], [])
    put(SOURCE, None, 2)
    assert is_behind(layout, made_from(layout), [SOURCE], [])


def test_what_is_missed_is_dated_by_its_commit(layout, put):
    put(SOURCE, "b1", 1)
    put(TABLE, None, 1, digests(layout, SOURCE))
    put(SOURCE, "b2", 2)
    os.utime(layout.partition(SOURCE, "b2") / COMMIT_NAME, (100, 100))
    assert not_taken_in(layout, made_from(layout), [SOURCE], ["b1"]) == []
    assert not_taken_in(layout, made_from(layout), [SOURCE], ["b1", "b2"]) == [100]
    assert len(not_taken_in(layout, None, [SOURCE], ["b1", "b2"])) == 2


def test_a_source_over_all_batches_is_compared_too(layout, put):
    put(SOURCE, "b1", 1)
    put(OTHER, None, 1, digests(layout, SOURCE))
    put(TABLE, None, 1, digests(layout, OTHER))
    assert lacking(layout, OTHER, TABLE) == []
    put(OTHER, None, 2, digests(layout, SOURCE))
    assert lacking(layout, OTHER, TABLE) == [(TABLE, OTHER)]
