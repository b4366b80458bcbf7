import numpy as np
import pyarrow as pa
import pytest

from hc_assets.imaging.headers.file_work import FileToRead
from hc_assets.imaging.quality.gates import Rules
from hc_assets.imaging.quality.rows import score_files
from hc_assets.imaging.schemas.index import UNDECODABLE_FRAMES
from hc_assets.imaging.schemas.quality import QUALITY_METRICS
from hc_assets_tests.imaging.landed_files import landed, mixed_files


@pytest.fixture
def mixed(testdata, tmp_path) -> list[FileToRead]:
    return mixed_files(testdata, tmp_path)


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
    found = score_files(files, "b1", rules=Rules(0), most_rows=2)
    assert [len(each.metrics) for each in found] == [2, 2, 1]


def test_the_same_files_give_the_same_rows(mixed):
    def once() -> list[bytes]:
        found = score_files(mixed[4:], "b1", rules=Rules())
        batches = [batch for each in found for batch in (each.metrics, each.undecodable)]
        return [batch.serialize().to_pybytes() for batch in batches]

    assert once() == once()
