import shutil
from pathlib import Path

import numpy as np
import pyarrow.ipc
import pyarrow.parquet as pq
import pytest
from upath import UPath

from hc_assets.imaging.training import export, shards
from hc_assets.imaging.training.dataset import TrainingSet
from hc_assets.imaging.training.export import export_training_set
from hc_assets.imaging.training.manifest import read_manifest
from hc_assets.imaging.training.shards import DamagedArrayError
from hc_assets.imaging.verdicts.internal_errors import none_among
from hc_assets.imaging.verdicts.training import class_balance, splits_disjoint
from hc_assets.lake.parts import commit

PATIENTS = ["Zebracorn^1", "Zebracorn^2", "Zebracorn^3", "Zebracorn^4"]


@pytest.fixture
def exported(lake, asked, tmp_path):
    """Export the lake into a folder, and commit the table."""
    lake.warehouse.ensure()

    def run(**choices):
        options = {k: choices.pop(k) for k in ("shard_bytes", "folder") if k in choices}
        folder = options.pop("folder", tmp_path / "set")
        made = export_training_set(
            lake.warehouse, UPath(folder), asked(**choices), workers=1, **options
        )
        commit(lake.layout, "imaging/training_set", None, made.parts)
        return folder, made

    return run


def bytes_of(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and path.name != ".lock"
    }


def test_both_files_of_a_shard_hold_the_arrays(lake, exported, scan):
    scans = [scan(name, n, shape=(8, 6)) for n, name in enumerate(PATIENTS)]
    scans += [scan(name, 9 + n, pipeline="mr/3", shape=(4, 4)) for n, name in enumerate(PATIENTS)]
    lake.put("b", *scans)
    folder, made = exported()
    expected = {made_.pixels().tobytes() for made_ in scans}
    for suffix, read in (("parquet", pq.read_table), ("arrow", read_arrow)):
        tables = [read(folder / f"{shard.name}.{suffix}") for shard in made.manifest.shards]
        arrays = [a for t in tables for a in pixels_of(t)]
        assert {array.tobytes() for array in arrays} == expected
        assert {array.shape for array in arrays} == {(8, 6), (4, 4)}
    rows = pyarrow.concat_tables(
        pq.read_table(str(lake.layout.partition("imaging/training_set", None) / part.name))
        for part in made.parts
    ).to_pylist()
    for row in rows:  # the table says where the pixels are
        shard = read_arrow(folder / f"{row['shard']}.arrow")
        assert shard["sample_id"][row["shard_row"]].as_py() == row["sample_id"]
        assert row["shard"].startswith(row["split"])
    assert len(rows) == 8


def pixels_of(table):
    column = table["pixels"].combine_chunks()
    if isinstance(column, pyarrow.FixedShapeTensorArray):
        return column.to_numpy_ndarray()
    height, width = column.type.list_size, column.type.value_type.list_size
    return column.flatten().flatten().to_numpy().reshape(-1, height, width)


def read_arrow(path):
    with pyarrow.memory_map(str(path)) as file:
        return pyarrow.ipc.open_file(file).read_all()


def test_nothing_that_leaves_names_a_patient_an_instance_or_a_file(lake, exported, scan):
    lake.put("b", *(scan(name, n, sop=f"1.77.{n}") for n, name in enumerate(PATIENTS)))
    folder, _ = exported()
    for name, data in bytes_of(folder).items():
        for secret in (b"Zebracorn", b"1.77.", b"1.3.b", b".dcm", b"a salt"):
            assert secret not in data, name
            assert secret.decode() not in name
    for path in folder.rglob("*"):
        assert path.stat().st_mode & 0o077 == 0, path


def test_a_second_run_writes_the_same_bytes_wherever_it_is(lake, exported, scan, tmp_path):
    lake.put("b", *(scan(name, n) for n, name in enumerate(PATIENTS * 3)))
    folder, first = exported(shard_bytes=500)
    before = bytes_of(folder)
    again, second = exported(shard_bytes=500)
    elsewhere, third = exported(shard_bytes=500, folder=tmp_path / "elsewhere")
    assert bytes_of(again) == before == bytes_of(elsewhere)
    assert (first.rebuilt, second.rebuilt, third.rebuilt) == (1, 0, 1)
    assert first.parts == second.parts == third.parts
    assert len(first.manifest.shards) > len({shard.split for shard in first.manifest.shards})


def test_a_further_batch_leaves_the_shards_of_others_alone(lake, exported, scan, tmp_path):
    lake.put("b", *(scan(name, n) for n, name in enumerate(PATIENTS)))
    folder, first = exported()
    (folder / "notes.txt").write_text("somebody's own")
    lake.put("c", *(scan(f"Q{n}", 50 + n) for n in range(4)))
    _, second = exported()
    assert (first.rebuilt, second.rebuilt) == (1, 1)
    kept = {shard.name for shard in first.manifest.shards}
    assert kept < {shard.name for shard in second.manifest.shards}
    scratch, _ = exported(folder=tmp_path / "scratch")
    assert bytes_of(folder).keys() - {"notes.txt"} == bytes_of(scratch).keys()
    # Fewer are asked for: what is left over goes
    exported(quality_threshold=0.95)
    assert bytes_of(folder).keys() == {"manifest.json", "notes.txt"}


def test_a_batch_that_raises_is_left_out_and_counted_until_it_no_longer_does(
    lake, exported, scan, tmp_path, monkeypatch
):
    lake.put("b", *(scan(name, n) for n, name in enumerate(PATIENTS)))
    lake.put("c", *(scan(f"Q{n}", 50 + n) for n in range(3)))
    without, _ = exported(folder=tmp_path / "without")
    genuine = shards._write_shards

    def failing(work, *rest):
        if work.batch == "c":
            raise MemoryError
        return genuine(work, *rest)

    with monkeypatch.context() as patch:
        patch.setattr(shards, "_write_shards", failing)
        folder, made = exported()
    assert {shard.batch for shard in made.manifest.shards} == {"b"}
    assert sum(split.samples for split in made.manifest.splits.values()) == 4
    (reason,) = [text for text in made.manifest.left_out if text.startswith("internal error: ")]
    assert reason.startswith("internal error: MemoryError at ")
    assert made.manifest.left_out[reason] == 3
    verdict = none_among(made.manifest.left_out)
    assert (verdict.passed, verdict.value) == (False, 3)

    exported()
    assert bytes_of(folder) == bytes_of(without)


@pytest.mark.parametrize("moment", ["shards", "manifest", "removal"])
def test_a_run_that_dies_leaves_the_old_set_or_the_new(
    lake, exported, scan, tmp_path, monkeypatch, moment
):
    lake.put("b", *(scan(name, n) for n, name in enumerate(PATIENTS)))
    folder, first = exported()
    lake.put("c", *(scan(f"Q{n}", 50 + n) for n in range(4)))

    def dies(*arguments, **options):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        name = {
            "shards": "export_or_failure",
            "manifest": "write_bytes",
            "removal": "_remove_unlisted",
        }[moment]
        patch.setattr(export, name, dies)
        with pytest.raises(KeyboardInterrupt):
            exported(quality_threshold=0.6)
    left = read_manifest(UPath(folder))
    assert (left == first.manifest) == (moment != "removal")
    for shard in left.shards:
        assert (folder / shard.arrow.file).stat().st_size == shard.arrow.bytes
    exported(quality_threshold=0.6)
    scratch, _ = exported(quality_threshold=0.6, folder=tmp_path / "scratch")
    assert bytes_of(folder) == bytes_of(scratch)


def test_a_shard_that_was_lost_is_written_again(lake, exported, scan):
    lake.put("b", *(scan(name, n) for n, name in enumerate(PATIENTS)))
    folder, made = exported()
    before = bytes_of(folder)
    (folder / made.manifest.shards[0].arrow.file).unlink()
    _, again = exported()
    assert again.rebuilt == 1
    assert bytes_of(folder) == before


def test_an_array_that_differs_from_its_row_stops_the_export(lake, exported, scan):
    lake.put("b", scan("P1", 1), scan("P2", 2, frame=7, more={"content_sha256": "0" * 64}))
    with pytest.raises(DamagedArrayError, match="b, frame 7: expected pixels of SHA-256 0000"):
        exported()


def test_the_folder_is_whole_without_lake_and_warehouse(lake, exported, scan, tmp_path):
    scans = [scan(f"P{n}", n) for n in range(4)]
    lake.put("b", *scans)
    exported()
    folder = tmp_path / "set"
    moved = folder.rename(tmp_path / "elsewhere")
    shutil.rmtree(lake.layout.data_dir.path)
    opened = TrainingSet(moved)
    assert opened.verify() == []
    found = {
        sample.pixels.tobytes() for name in opened.manifest.splits for sample in opened.split(name)
    }
    assert found == {each.pixels().tobytes() for each in scans}


def test_a_set_without_arrays_is_a_manifest(lake, exported, scan):
    folder, made = exported()
    assert made.manifest.splits.keys() == {"train", "validation", "test"}
    assert bytes_of(folder).keys() == {"manifest.json"}


def test_arrays_are_those_of_the_lake_bit_for_bit(lake, exported, scan):
    lake.put("b", scan("P1", 1))
    folder, made = exported()
    (shard,) = made.manifest.shards
    assert (shard.dtype, shard.shape) == ("float32", (8, 6))
    array = read_arrow(folder / shard.arrow.file)["pixels"].combine_chunks().to_numpy_ndarray()
    np.testing.assert_array_equal(array[0], scan("P1", 1).pixels())


def test_the_check_sees_a_patient_in_two_splits(lake, exported, scan, connected):
    lake.put("b", *(scan("P1", n) for n in range(3)), scan("P2", 9), scan("P3", 9))
    exported()
    assert splits_disjoint(connected()).passed
    folder = lake.layout.partition("imaging/training_set", None)
    (part,) = list(Path(str(folder)).glob("*.parquet"))
    table = pq.read_table(part)
    spoiled = table.set_column(
        1, table.schema.field("split"), [["train", "test", *["train"] * (len(table) - 2)]]
    )
    shutil.rmtree(str(folder))
    lake._commit("imaging/training_set", None, [spoiled.combine_chunks().to_batches()[0]])
    verdict = splits_disjoint(connected())
    assert (verdict.passed, verdict.value, verdict.counts["patients"]) == (False, 1.0, 1)


def test_class_balance_is_that_of_the_worst_split(lake, exported, scan, tmp_path):
    lake.put("b", *(scan(f"P{n}", n) for n in range(40)))
    path = tmp_path / "labels.csv"
    lines = [f"P{n},{'rare' if n % 5 == 0 else ''}" for n in range(40)]
    path.write_text("\n".join(["patient_id,label", *lines]))
    _, made = exported(labels_file=path, splits={"train": 1.0})
    assert made.manifest.classes == ["rare"]
    verdict = class_balance(made.manifest.splits, is_labelled=True, threshold=0.1)
    assert (verdict.passed, verdict.value) == (True, 8 / 32)
    assert not class_balance(made.manifest.splits, is_labelled=True, threshold=0.3).passed
    assert class_balance({}, is_labelled=False, threshold=0.3).passed
    empty = {**made.manifest.splits, "test": type(made.manifest.splits["train"])(0, 0, {})}
    assert class_balance(empty, is_labelled=True, threshold=0.1).value == 0
