import hashlib
import random
from pathlib import Path

import msgspec
import pyarrow as pa
import pytest
from upath import UPath

from hc_assets.lake.atomic import atomic_file, write_bytes
from hc_assets.lake.layout import COMMIT_NAME, Layout
from hc_assets.lake.parts import (
    DamagedCommitError,
    DamagedPartError,
    Part,
    PartWriter,
    commit,
    declare,
    read_commit,
)
from hc_assets.lake.tables import (
    MissingPartitionError,
    opened_part,
    read_partition,
    read_partitions,
)

SCHEMA = pa.schema([("batch", pa.string()), ("number", pa.int64())])
TABLE = "fhir/things"


@pytest.fixture(params=["local", "object store"])
def layout(request, tmp_path: Path) -> Layout:
    if request.param == "local":
        return Layout.of(tmp_path)
    return Layout.of(f"memory://{tmp_path.name}-{id(request)}")


def rows(batch: str, numbers: list[int]) -> pa.RecordBatch:
    return pa.RecordBatch.from_pydict({"batch": [batch] * len(numbers), "number": numbers}, SCHEMA)


def put(layout: Layout, batch: str, *numbers: list[int], part_bytes: int = 10**9) -> list[Part]:
    folder = layout.partition(TABLE, batch)
    with PartWriter(folder, SCHEMA, part_bytes=part_bytes) as writer:
        for each in numbers:
            writer.write(rows(batch, each))
    commit(layout, TABLE, batch, writer.parts)
    return writer.parts


def numbers(layout: Layout, *batches: str) -> list[int]:
    table = read_partitions(layout, TABLE, batches or None)
    return [row["number"] for batch in table.batches() for row in batch.to_pylist()]


def test_rows_come_back_in_order_of_batches_and_parts(layout):
    put(layout, "b", [3, 4])
    put(layout, "a", [1], [2], part_bytes=1)
    assert numbers(layout) == [1, 2, 3, 4]
    assert numbers(layout, "b") == [3, 4]
    assert read_partitions(layout, TABLE).count_rows() == 4
    assert len(read_partition(layout, TABLE, "a").parts()) == 2


def test_a_second_write_of_the_same_rows_gives_the_same_bytes(layout):
    put(layout, "a", [1, 2])
    before = (layout.partition(TABLE, "a") / COMMIT_NAME).read_bytes()
    put(layout, "a", [1, 2])
    assert (layout.partition(TABLE, "a") / COMMIT_NAME).read_bytes() == before
    assert numbers(layout) == [1, 2]


def test_a_second_write_of_other_rows_replaces_the_partition_whole(layout):
    (old,) = put(layout, "a", [1, 2])
    put(layout, "a", [9])
    assert numbers(layout) == [9]
    assert not (layout.partition(TABLE, "a") / old.name).exists()


def test_parts_without_a_commit_are_not_seen(layout):
    folder = layout.partition(TABLE, "a")
    with PartWriter(folder, SCHEMA) as writer:
        writer.write(rows("a", [1]))
    assert read_commit(folder) is None
    assert numbers(layout) == []
    with pytest.raises(MissingPartitionError, match="no rows of a are committed"):
        read_partition(layout, TABLE, "a")


def test_a_writer_that_raises_leaves_no_part(layout):
    folder = layout.partition(TABLE, "a")
    with pytest.raises(RuntimeError, match="boom"), PartWriter(folder, SCHEMA) as writer:
        writer.write(rows("a", [1]))
        raise RuntimeError("boom")
    assert not folder.exists() or not list(folder.iterdir())


def test_a_batch_without_rows_is_a_partition_without_parts(layout):
    put(layout, "a")
    declare(layout, TABLE, SCHEMA)
    table = read_partition(layout, TABLE, "a")
    assert table.count_rows() == 0
    assert table.to_table(["number"]).schema.names == ["number"]


def test_commit_refuses_a_part_that_is_not_there(layout):
    part = Part("part-00000-000-abc.parquet", 1, 1, "abc", 0, 0)
    with pytest.raises(DamagedPartError, match="gone before its commit"):
        commit(layout, TABLE, "a", [part])
    assert read_commit(layout.partition(TABLE, "a")) is None


def test_a_part_cut_short_is_noticed_when_read(layout):
    (part,) = put(layout, "a", [1])
    path = layout.partition(TABLE, "a") / part.name
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(DamagedPartError, match="its commit says"):
        numbers(layout)


@pytest.mark.parametrize("damaged", [b'{"table":', b"\xff\xfe", b"{}"])
def test_a_damaged_commit_is_an_error_that_names_it_and_not_an_absent_one(layout, damaged):
    put(layout, "a", [1])
    (layout.partition(TABLE, "a") / COMMIT_NAME).write_bytes(damaged)
    with pytest.raises(DamagedCommitError, match=f"{TABLE}: batch=a/_commit.json is damaged"):
        read_commit(layout.partition(TABLE, "a"))


def test_a_commit_that_differs_from_what_was_written_is_detected(layout):
    put(layout, "a", [1, 2])
    path = layout.partition(TABLE, "a") / COMMIT_NAME
    path.write_bytes(path.read_bytes().replace(b'"rows": 2', b'"rows": 3', 1))
    with pytest.raises(DamagedCommitError, match="its hash is not"):
        read_commit(layout.partition(TABLE, "a"))


def test_a_part_knows_the_writer_that_filled_it_and_its_place_among_those_of_that_writer(layout):
    parts = put(layout, "a", [1], [2], part_bytes=1)
    with PartWriter(layout.partition(TABLE, "a"), SCHEMA, number=7) as writer:
        writer.write(rows("a", [3]))
    commit(layout, TABLE, "a", [*parts, *writer.parts])
    made = read_commit(layout.partition(TABLE, "a"))
    assert made is not None
    assert [(part.number, part.place) for part in made.parts] == [(0, 0), (0, 1), (7, 0)]
    assert [part.name.rpartition("-")[0] for part in made.parts] == [
        "part-00000-000",
        "part-00000-001",
        "part-00007-000",
    ]


def test_a_commit_of_an_earlier_release_is_read_with_the_numbers_of_its_names(layout):
    put(layout, "a", [1])
    with PartWriter(layout.partition(TABLE, "a"), SCHEMA, number=7) as writer:
        writer.write(rows("a", [3]))
    made = commit(layout, TABLE, "a", writer.parts, inputs={"x": "1"}, code_version="2")
    stored = msgspec.to_builtins(made) | {"check": ""}
    for part in stored["parts"]:
        del part["number"], part["place"]
    stored["check"] = hashlib.sha256(msgspec.json.encode(stored)).hexdigest()
    path = layout.partition(TABLE, "a") / COMMIT_NAME
    path.write_bytes(msgspec.json.format(msgspec.json.encode(stored), indent=1))
    found = read_commit(layout.partition(TABLE, "a"))
    assert found is not None
    assert (found.parts, found.digest()) == (made.parts, made.digest())
    path.write_bytes(path.read_bytes().replace(b'"rows": 1', b'"rows": 2', 1))
    with pytest.raises(DamagedCommitError, match="its hash is not"):
        read_commit(layout.partition(TABLE, "a"))


def test_a_damaged_commit_is_replaced_by_the_next_one(layout):
    put(layout, "a", [1])
    (layout.partition(TABLE, "a") / COMMIT_NAME).write_bytes(b"?")
    put(layout, "a", [2])
    assert numbers(layout) == [2]


def test_units_cover_every_row_once(layout):
    put(layout, "a", list(range(50)), list(range(50, 60)), part_bytes=1)
    pieces = list(read_partition(layout, TABLE, "a").work(1))
    seen = [r["number"] for piece in pieces for b in piece.batches() for r in b.to_pylist()]
    assert seen == list(range(60))
    assert [piece.number for piece in pieces] == list(range(len(pieces)))
    assert all(len(piece.siblings) == 2 for piece in pieces)


def test_rows_of_another_schema_are_refused(layout):
    folder = layout.partition(TABLE, "a")
    with PartWriter(folder, SCHEMA) as writer, pytest.raises((ValueError, pa.ArrowInvalid)):
        writer.write(pa.RecordBatch.from_pydict({"other": [1]}))


def test_files_appear_whole_or_not_at_all(tmp_path):
    folder = UPath(tmp_path / "new")
    with (
        pytest.raises(RuntimeError),
        atomic_file(folder, lambda _: folder / "file") as sink,
    ):
        sink.write(b"half")
        raise RuntimeError
    assert list(folder.iterdir()) == []
    write_bytes(folder / "file", b"whole")
    assert (folder / "file").read_bytes() == b"whole"
    assert (tmp_path / "new" / "file").stat().st_mode & 0o777 == 0o600
    assert (tmp_path / "new").stat().st_mode & 0o777 == 0o700


def test_a_page_that_changed_is_refused_whoever_opens_the_part(layout):
    (part,) = put(layout, "a", [1, 2])
    path = layout.partition(TABLE, "a") / part.name
    data = bytearray(path.read_bytes())
    data[data.index(b"\x28\xb5\x2f\xfd") + 12] ^= 1  # in the first packed page
    path.write_bytes(bytes(data))
    with (
        pytest.raises(DamagedPartError, match=f"{part.name} is damaged: it can't be read"),
        opened_part(path) as file,
    ):
        file.read()
    with pytest.raises(DamagedPartError, match=f"{part.name} is damaged"):
        read_partitions(layout, TABLE).check_pages(["batch", "number"])


def test_whoever_reads_some_columns_sees_each_bit_that_changed_in_the_footer(layout):
    (part,) = put(layout, "a", list(range(100)))
    path = layout.partition(TABLE, "a") / part.name
    data = path.read_bytes()
    footer = int.from_bytes(data[-8:-4], "little") + 8
    read_partitions(layout, TABLE).check_pages(["batch", "number"])
    chosen = random.Random(0).sample(range((len(data) - footer) * 8, len(data) * 8), 200)  # noqa: S311
    for bit in chosen:
        changed = bytearray(data)
        changed[bit // 8] ^= 1 << bit % 8
        path.write_bytes(changed)
        with pytest.raises(DamagedPartError, match=part.name):
            read_partitions(layout, TABLE).check_pages(["batch", "number"])


def test_a_commit_without_hashes_of_footers_has_whole_parts_hashed(layout):
    (part,) = put(layout, "a", [1, 2])
    commit(layout, TABLE, "a", [msgspec.structs.replace(part, footer_sha256="")])
    read_partitions(layout, TABLE).check_pages(["number"])
    path = layout.partition(TABLE, "a") / part.name
    data = path.read_bytes()
    path.write_bytes(data[:-9] + bytes([data[-9] ^ 1]) + data[-8:])
    with pytest.raises(DamagedPartError, match=part.name):
        read_partitions(layout, TABLE).check_pages(["number"])


def test_a_part_that_changed_in_place_is_refused_by_its_hash(layout):
    (part,) = put(layout, "a", [1, 2])
    path = layout.partition(TABLE, "a") / part.name
    data = path.read_bytes()
    path.write_bytes(data[:-9] + bytes([data[-9] ^ 1]) + data[-8:])  # in the footer: no page has it
    with pytest.raises(DamagedPartError, match=f"batch=a/{part.name} is not what its commit says"):
        numbers(layout)
