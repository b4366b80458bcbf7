import pickle

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hc_assets.imaging.training.dataset import DamagedSetError, TrainingSet
from hc_assets.imaging.training.manifest import ManifestError


def spoil(path, find: bytes) -> None:
    """Change a byte of what is found in a file; its size stays."""
    data = bytearray(path.read_bytes())
    at = data.find(find)
    assert at > 0
    data[at] ^= 1
    path.write_bytes(data)


@pytest.fixture
def scans(scan):
    return [scan(f"P{n}", n) for n in range(11)]


@pytest.fixture
def folder_of_11(written, scans):
    return written(*scans)


@pytest.fixture
def labels(tmp_path):
    path = tmp_path / "labels.csv"
    lines = [f"P{n},{'odd' if n % 2 else 'even'}" for n in range(11)]
    path.write_text("\n".join(["patient_id,label", *lines]))
    return path


def test_samples_are_the_arrays_in_shards_of_any_size(written, scans):
    folder = written(*scans)
    samples = TrainingSet(folder).split("train", "ct")
    assert (len(samples), len(samples.shards)) == (11, 3)
    for index, described in enumerate(scans):
        np.testing.assert_array_equal(samples[index].pixels, described.pixels())
    np.testing.assert_array_equal(samples[-1].pixels, scans[-1].pixels())
    assert [each.sample_id for each in samples[8:20]] == [samples[n].sample_id for n in (8, 9, 10)]
    order = [7, 0, 7, 10]
    expected = np.stack([scans[n].pixels() for n in order])
    np.testing.assert_array_equal(samples.read(order), expected)
    out = np.empty((4, 8, 6), np.float32)
    assert samples.read(order, out) is out
    np.testing.assert_array_equal(out, expected)


@pytest.mark.parametrize("check", ["first", "always", "never"])
@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_batches_hold_what_is_asked_for_in_its_order(folder_of_11, scans, check, data):
    samples = TrainingSet(folder_of_11).split("train", check=check)
    runs = st.integers(-11, 10).flatmap(
        lambda first: st.integers(1, 11).map(lambda n: list(range(first, min(first + n, 11))))
    )
    order = [index for run in data.draw(st.lists(runs, min_size=1, max_size=4)) for index in run]
    expected = np.stack([scans[index].pixels() for index in order])
    np.testing.assert_array_equal(samples.read(order), expected)
    out = np.zeros(expected.shape)  # of another type: values are converted
    np.testing.assert_array_equal(samples.read(np.array(order), out), expected)


@pytest.mark.parametrize("shape", [(1, 8, 6), (3, 8, 6), (2, 6, 8)])
def test_a_batch_that_does_not_fit_is_refused(written, scans, shape):
    samples = TrainingSet(written(*scans)).split("train")
    with pytest.raises(ValueError, match=r"expected out of shape \(2, 8, 6\), found"):
        samples.read([0, 1], np.zeros(shape))


def test_half_floats_leave_and_come_back_as_such(written, scan, tmp_path):
    scans = [scan(f"P{n}", n, dtype="float16" if n % 2 else "float32") for n in range(6)]
    folder = written(*scans)
    opened = TrainingSet(folder)
    samples = opened.split("train")
    assert sorted({shard.dtype for shard in samples.shards}) == ["float16", "float32"]
    halves = [n for n in range(6) if samples.pixels(n).dtype == np.float16]
    assert [samples[n].pixels.tobytes() for n in halves] == [
        scans[n].pixels().tobytes() for n in (1, 3, 5)
    ]
    assert samples.read(halves).dtype == np.float16
    for shard in samples.shards:
        if shard.dtype == "float16":
            table = pq.read_table(folder / shard.parquet.file)
            assert table.schema.field("pixels").type == pa.list_(pa.list_(pa.float16(), 6), 8)
    with pytest.raises(ValueError, match=r"one shape and type, found .*'float16'.*'float32'"):
        samples.read(range(6))
    assert opened.verify() == []


def test_pixels_are_views_of_the_file_that_nobody_can_change(written, scans):
    samples = TrainingSet(written(*scans)).split("train")
    assert not samples.pixels(0).flags.owndata
    with pytest.raises(ValueError, match="read-only"):
        samples.pixels(0)[0, 0] = 1


def test_samples_travel_to_other_processes(written, scans):
    samples = TrainingSet(written(*scans)).split("train")
    assert samples.pixels(3).any()
    there = pickle.loads(pickle.dumps(samples))  # noqa: S301 - as DataLoader does
    np.testing.assert_array_equal(there.pixels(3), samples.pixels(3))


def test_arrow_gives_the_rows_as_they_lie_in_the_file(written, scans):
    samples = TrainingSet(written(*scans)).split("train")
    rows = pa.Table.from_batches(samples.record_batches())
    assert rows["pixels"].type == pa.fixed_shape_tensor(pa.float32(), [8, 6])
    np.testing.assert_array_equal(
        rows["pixels"].combine_chunks().to_numpy_ndarray(), [each.pixels() for each in scans]
    )


def test_blocks_hold_every_sample_once(written, scan, scans):
    samples = TrainingSet(written(*scans, scan("P1", 50, shape=(4, 4)))).split("train")
    assert sorted(n for block in samples.blocks() for n in block) == list(range(12))


def test_labels_become_numbers(written, scans, labels):
    opened = TrainingSet(written(*scans, labels_file=labels))
    samples = opened.split("train")
    assert opened.classes == ["even", "odd"]
    assert samples.targets("class").tolist() == [n % 2 for n in range(11)]
    assert samples.targets("multi_hot").tolist() == [[1 - n % 2, n % 2] for n in range(11)]
    assert samples[3].labels == ("odd",)


def test_a_class_of_a_sample_with_none_or_several_is_refused(written, scans, labels):
    labels.write_text(labels.read_text() + "\nP4,odd\n")
    samples = TrainingSet(written(*scans, labels_file=labels)).split("train")
    with pytest.raises(ValueError, match=f"sample {samples[4].sample_id}: expected one label, fo"):
        samples.targets("class")
    assert samples.targets("multi_hot")[4].tolist() == [1, 1]


def test_no_labels_are_not_taken_for_no_findings(written, scans):
    samples = TrainingSet(written(*scans)).split("train")
    assert samples[0].labels is None
    with pytest.raises(ValueError, match="expected a set with labels"):
        samples.targets("multi_hot")


@pytest.mark.parametrize("check", ["first", "always"])
def test_a_damaged_row_raises_with_its_place(written, scans, check):
    folder = written(*scans)
    opened = TrainingSet(folder)
    shard = opened.manifest.shards[1]
    spoil(folder / shard.arrow.file, scans[6].pixels().tobytes()[:40])
    samples = opened.split("train", check=check)
    assert samples[5].pixels.any()
    assert samples[7].pixels.any()
    for read in (lambda: samples[6], lambda: samples.read([5, 6])):
        with pytest.raises(DamagedSetError, match=f"{shard.arrow.file}, row 2: expected pixels"):
            read()
    assert TrainingSet(folder).verify() == [shard.arrow.file]
    spoil(folder / shard.parquet.file, b"b")
    assert TrainingSet(folder).verify() == [shard.parquet.file, shard.arrow.file]


def test_a_shard_that_is_gone_short_or_no_arrow_is_named(written, scans):
    folder = written(*scans)
    shard = TrainingSet(folder).manifest.shards[0]
    path = folder / shard.arrow.file
    data = path.read_bytes()
    path.write_bytes(bytes(len(data)))
    with pytest.raises(DamagedSetError, match="expected an Arrow file"):
        TrainingSet(folder).split("train").pixels(0)
    path.write_bytes(data[:-1])
    with pytest.raises(DamagedSetError, match=f"expected {len(data)} bytes, found {len(data) - 1}"):
        TrainingSet(folder)
    path.unlink()
    with pytest.raises(DamagedSetError, match="found no file"):
        TrainingSet(folder)


def test_what_is_missing_is_reported(written, scan, tmp_path):
    folder = written(scan("P1", 1), scan("P2", 2, pipeline="mr/1", shape=(4, 4)))
    opened = TrainingSet(folder)
    assert opened.pipelines() == ["ct/1", "mr/1"]
    assert len(opened.split("train", "mr/1")) == len(opened.split("train", "mr")) == 1
    assert len(opened.split("train", "us")) == 0
    with pytest.raises(KeyError, match="expected one of train; found valid"):
        opened.split("valid")
    for index in (2, -3):
        with pytest.raises(IndexError, match="expected a sample from 0 to 1"):
            opened.split("train").pixels(index)
    with pytest.raises(ValueError, match=r"expected samples of one shape and type, found \[\(\(4"):
        opened.split("train").read([0, 1])
    with pytest.raises(ManifestError, match=r"found no manifest\.json"):
        TrainingSet(tmp_path)
    (folder / "manifest.json").write_text('{"format": "another"}')
    with pytest.raises(ManifestError, match="expected the manifest of a training set"):
        TrainingSet(folder)


def test_hugging_face_reads_the_parquet(written, scans, tmp_path, monkeypatch, labels):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
    datasets = pytest.importorskip("datasets", reason="Hugging Face datasets is not installed")
    folder = written(*scans, labels_file=labels)
    files = TrainingSet(folder).parquet_files("ct")
    loaded = datasets.load_dataset(
        "parquet", data_files=files, cache_dir=str(tmp_path / "cache")
    ).with_format("numpy")
    assert len(loaded["train"]) == 11
    np.testing.assert_array_equal(
        [row["pixels"] for row in loaded["train"]], [each.pixels() for each in scans]
    )
    assert loaded["train"][1]["labels"].tolist() == ["odd"]
