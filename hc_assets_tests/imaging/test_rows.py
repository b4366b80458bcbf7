import hashlib

import numpy as np
import pyarrow as pa
import pytest

from hc_assets.imaging.preprocessing.rows import preprocess_files
from hc_assets.imaging.quality.gates import Rules
from hc_assets.imaging.rows import FileToRead, index_files, score_files
from hc_assets.imaging.schemas.index import (
    DICOM_INDEX,
    QUALITY_METRICS,
    UNDECODABLE_FRAMES,
    UNREADABLE_FILES,
    preprocessed_arrays,
)


def landed(path) -> FileToRead:
    data = path.read_bytes() if path.exists() else b""
    return FileToRead(path.name, path, hashlib.sha256(data).hexdigest(), len(data))


@pytest.fixture
def mixed(testdata, tmp_path) -> list[FileToRead]:
    """Good files among bad ones of every kind."""
    text, empty = tmp_path / "notes.dcm", tmp_path / "empty.dcm"
    text.write_text("not an image\n" * 20)
    empty.touch()
    good = ["CT_small.dcm", "reportsi.dcm", "MR_truncated.dcm", "MR_small.dcm"]
    first, *rest = (landed(testdata(name)) for name in good)
    damaged = tmp_path / "damaged.dcm"
    damaged.write_bytes(testdata("JPEG-lossy.dcm").read_bytes().replace(b"\xff\xd9", b"\0\0"))
    bad = [text, empty, tmp_path / "gone.dcm", damaged]
    return [first, *map(landed, bad), *rest]


def column(batches, name: str) -> list:
    return [value for batch in batches for value in batch[name].to_pylist()]


def test_every_file_is_indexed_or_unreadable_in_the_order_given(mixed):
    (found,) = index_files(mixed, "b1")
    assert found.index.schema == DICOM_INDEX
    assert found.unreadable.schema == UNREADABLE_FILES
    found.index.validate(full=True)
    unreadable = found.unreadable["source_file"].to_pylist()
    assert unreadable == ["notes.dcm", "empty.dcm", "gone.dcm"]
    assert all(found.unreadable["reason"].to_pylist())
    kept = [file.source_file for file in mixed if file.source_file not in unreadable]
    assert found.index["source_file"].to_pylist() == kept
    by_name = {file.source_file: file for file in mixed}
    for row in found.index.to_pylist():
        file = by_name[row["source_file"]]
        assert (row["batch"], row["file_sha256"], row["file_size"]) == (
            "b1",
            file.sha256,
            file.size,
        )


def test_every_frame_is_scored_or_undecodable(mixed):
    (found,) = score_files([mixed[0], *mixed[3:]], "b1", rules=Rules())
    assert found.metrics.schema == QUALITY_METRICS
    assert found.undecodable.schema == UNDECODABLE_FRAMES
    scored = found.metrics["source_file"].to_pylist()
    assert scored == ["CT_small.dcm", "MR_small.dcm"]
    failed = found.undecodable.to_pylist()
    assert [row["source_file"] for row in failed] == [
        "gone.dcm",
        "damaged.dcm",
        "MR_truncated.dcm",
    ]
    assert failed[0]["reason"] == "the file is not there"
    assert failed[1]["sop_instance_uid"]
    assert [entry["decoder"] for entry in failed[1]["decoders"]][:2] == ["gdcm", "pylibjpeg"]


def test_the_gate_decides_who_passes(testdata):
    files = [landed(testdata("CT_small.dcm"))]
    for gate, passes in ((0.1, True), (0.99, False)):
        (found,) = score_files(files, "b1", rules=Rules(gate))
        assert found.metrics["passes_gate"].to_pylist() == [passes]


def test_a_frame_without_a_score_neither_passes_nor_fails(write_dicom):
    (found,) = score_files(
        [landed(write_dicom(np.zeros((64, 64), np.uint16)))], "b1", rules=Rules()
    )
    (row,) = found.metrics.to_pylist()
    assert (row["overall_quality"], row["passes_gate"]) == (None, None)
    assert row["snr_reason"] == "constant_image"
    assert row["explanation"] == "no score: constant_image"


def test_no_number_is_infinite_or_nan(mixed):
    for found in score_files(mixed, "b1", rules=Rules()):
        for field in QUALITY_METRICS:
            if field.type == pa.float64():
                values = found.metrics[field.name].drop_null().to_numpy()
                assert np.isfinite(values).all(), field.name


def test_batches_stay_small(testdata):
    files = [landed(testdata("MR_small.dcm"))] * 5
    indexed = index_files(files, "b1", max_rows=2)
    assert [len(found.index) for found in indexed] == [2, 2, 1]
    scored = score_files(files, "b1", rules=Rules(0), max_rows=2)
    assert [len(found.metrics) for found in scored] == [2, 2, 1]


def test_large_headers_are_handed_on_sooner(testdata):
    files = [landed(testdata("MR_small.dcm"))] * 3
    indexed = index_files(files, "b1", max_characters=10)
    assert [len(found.index) for found in indexed] == [1, 1, 1]


def test_arrays_are_rows_of_their_pipelines_shape(testdata):
    ct, mr = (landed(testdata(f"{name}_small.dcm")) for name in ("CT", "MR"))
    zero = frozenset([0])
    found = list(preprocess_files([(mr, zero), (ct, zero), (mr, zero)], "b1"))
    assert [made.pipeline for made in found] == ["ct", "mr"]
    for name, shape, count in (("ct", (512, 512), 1), ("mr", (256, 256), 2)):
        (rows,) = [made.rows for made in found if made.pipeline == name]
        assert rows.schema == preprocessed_arrays(shape)
        rows.validate(full=True)
        pixels = rows["pixels"].to_numpy_ndarray()
        assert pixels.shape == (count, *shape)
        assert [len(affine) for affine in rows["source_to_array"].to_pylist()] == [6] * count


def test_only_the_frames_named_become_arrays(write_dicom):
    path = write_dicom(np.random.default_rng(1).integers(0, 99, (4, 32, 32), dtype=np.uint16))
    (made,) = preprocess_files([(landed(path), frozenset([3, 1]))], "b1")
    assert made.rows["frame"].to_pylist() == [1, 3]


def test_arrays_are_handed_on_before_they_fill_memory(testdata):
    mr = (landed(testdata("MR_small.dcm")), frozenset([0]))
    found = preprocess_files([mr] * 5, "b1", max_bytes=2 * 256 * 256 * 4)
    assert [len(made.rows) for made in found] == [2, 2, 1]


def test_the_same_files_give_the_same_rows(mixed, testdata):
    def once():
        indexed = [b for found in index_files(mixed, "b1") for b in (found.index, found.unreadable)]
        scored = [
            b
            for f in score_files(mixed[4:], "b1", rules=Rules())
            for b in (f.metrics, f.undecodable)
        ]
        arrays = [made.rows for made in preprocess_files([(mixed[0], frozenset([0]))], "b1")]
        return [batch.serialize().to_pybytes() for batch in (*indexed, *scored, *arrays)]

    assert once() == once()


def test_a_frame_that_no_longer_decodes_gives_no_array(testdata):
    broken = landed(testdata("MR_truncated.dcm"))
    assert list(preprocess_files([(broken, frozenset([0]))], "b1")) == []
