import zipfile
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pydicom
import pytest
from pydicom.data import get_testdata_file

from hc_assets.imaging import assets
from hc_assets.imaging.headers.file_work import FileWork
from hc_assets.imaging.headers.workers import write_index
from hc_assets.imaging.preprocessing.parameters import Preprocessing
from hc_assets.imaging.preprocessing.workers import ArraysMade, write_arrays
from hc_assets.imaging.schemas.index import preprocessed_arrays
from hc_assets.lake.layout import Layout
from hc_assets.lake.parts import Part, PartWriter
from hc_assets.lake.tables import read_partition


@pytest.fixture(autouse=True)
def without_fhir(monkeypatch):
    """What FHIR makes of the studies is tested elsewhere, and takes time."""
    monkeypatch.setenv("HC_IMAGING_STUDIES_TO_FHIR", "false")


@pytest.fixture
def image() -> Path:
    return Path(get_testdata_file("CT_small.dcm", download=False))


def outcomes(hc_assets) -> dict[str, dict]:
    report = msgspec.json.decode(hc_assets("report", "--format", "json").stdout)
    return {
        check["check"]: check for check in report["checks"] if check["asset"].startswith("imaging/")
    }


def test_a_clean_image_passes_every_check(hc_assets, image):
    assert hc_assets("ingest", image).exit_code == 0
    found = outcomes(hc_assets)
    assert len(found) == 22
    assert all(check["passed"] for check in found.values())


def test_a_lost_file_blocks_what_is_downstream(hc_assets, query, image, tmp_path, monkeypatch):
    def losing(work: FileWork, **limits: Any) -> tuple[list[Part], list[Part]]:
        return write_index(work, **limits)[0], []

    monkeypatch.setattr(assets, "write_index", losing)
    (tmp_path / "empty.dcm").touch()
    result = hc_assets("ingest", image, tmp_path / "empty.dcm")
    assert result.exit_code == 1
    assert "imaging/dicom_index: every_entry_accounted_for" in result.stderr
    assert query("SELECT count(*) FROM imaging.quality_metrics") == [(0,)]


def test_one_identifier_with_two_contents_is_a_warning(hc_assets, image, tmp_path):
    other = pydicom.dcmread(image)
    other.PatientComments = "changed"
    other.save_as(tmp_path / "changed.dcm")
    assert hc_assets("ingest", image, tmp_path / "changed.dcm").exit_code == 0
    check = outcomes(hc_assets)["identifiers_unique"]
    assert (check["passed"], check["severity"], check["value"]) == (False, "WARN", 1.0)


def test_what_a_header_lacks_and_who_is_unknown_is_a_warning(hc_assets, query, image, tmp_path):
    patient = tmp_path / "patient.json"
    patient.write_text('{"resourceType": "Patient", "id": "p1", "identifier": [{"value": "7"}]}')
    assert hc_assets("ingest", patient).exit_code == 0
    assert hc_assets("ingest", image).exit_code == 0
    other = pydicom.dcmread(image)
    del other.FrameOfReferenceUID
    other.Modality = "QQ"
    other.PatientID = "7"
    other.SeriesInstanceUID = "1.2.3.4"
    other.PixelData = other.PixelData[:100]
    other.save_as(tmp_path / "changed")
    other.SOPInstanceUID = "1.2.3.5"
    del other.PixelData
    other.save_as(tmp_path / "bare")
    with zipfile.ZipFile(tmp_path / "study.zip", "w") as archive:
        for name in ("changed", "bare"):
            archive.write(tmp_path / name, f"series/{name}")

    assert hc_assets("ingest", tmp_path / "study.zip").exit_code == 0

    found = query(
        "SELECT source_file, frames, reason FROM imaging.dicom_index"
        " LEFT JOIN imaging.undecodable_frames USING (source_file)"
        " WHERE modality = 'QQ' ORDER BY source_file"
    )
    assert found == [
        (
            f"{tmp_path}/study.zip/series/bare",
            None,
            "the header describes an image, but no pixel data follow",
        ),
        (f"{tmp_path}/study.zip/series/changed", 1, found[1][2]),
    ]
    report = msgspec.json.decode(hc_assets("report", "--format", "json").stdout)
    failed = {
        check["check"]: (check["severity"], check["value"])
        for check in report["checks"]
        if check["asset"].startswith("imaging/") and not check["passed"]
    }
    assert failed == {
        "identifiers_unique": ("WARN", 1.0),
        "required_attributes_present": ("WARN", 2.0),
        "modality_known": ("WARN", 2.0),
        "decodable_rate_at_least_threshold": ("WARN", 0.0),
        "patient_ids_match_fhir": ("WARN", 0.5),
    }


def test_nothing_of_a_header_is_in_logs_or_in_the_instance(
    hc_assets, query, image, data_dir, caplog
):
    drop = data_dir.parent / "drop"
    drop.mkdir()
    secret = pydicom.dcmread(image)
    secret.PatientName = "Zebracorn^Ada"
    secret.PatientID = ["Zebracorn1", "Zebracorn2"]
    secret.StudyDescription = "Zebracorn"
    secret.add_new(0x00091001, "UN", b"Zebracorn")
    secret.save_as(drop / "1")
    odd = (drop / "1").read_bytes().replace(secret.StudyDate.encode(), b"Zebrac01", 1)
    (drop / "2").write_bytes(odd)
    (drop / "3").write_bytes(odd[:400] + b"Zebracorn" * 40)
    (drop / "4").write_bytes(b"Zebracorn" * 40)

    result = hc_assets("ingest", drop, "--kind", "dicom")

    assert query("SELECT count(*) FROM imaging.dicom_index WHERE len(warnings) > 0") != [(0,)]
    kept = [path.read_bytes() for path in (data_dir / "dagster").rglob("*") if path.is_file()]
    assert len(kept) > 3
    texts = [result.output, result.stderr, caplog.text]
    assert not any(b"ebrac" in data for data in [*kept, *(text.encode() for text in texts)])


def test_a_gate_that_nothing_passes_is_a_warning(hc_assets, query, image, monkeypatch):
    monkeypatch.setenv("HC_QUALITY_GATE", "1.0")
    assert hc_assets("ingest", image).exit_code == 0
    check = outcomes(hc_assets)["quality_gate_pass_rate_at_least_threshold"]
    assert (check["passed"], check["value"], check["threshold"]) == (False, 0.0, 0.8)
    assert query("SELECT count(*) FROM imaging.preprocessed_arrays") == [(0,)]


def test_an_array_out_of_range_blocks_and_is_reported_again(
    hc_assets, data_dir, image, monkeypatch
):
    def spoiling(work: FileWork, preprocessing: Preprocessing) -> ArraysMade:
        folder = work.layout().partition("imaging/preprocessed_arrays", work.batch)
        (parts,) = write_arrays(work, preprocessing).parts.values()
        schema = preprocessed_arrays((512, 512))
        with PartWriter(folder, schema, number=99) as writer:
            for part in parts:
                rows = pq.read_table(str(folder / part.name)).to_batches()[0]
                pixels = np.full((rows.num_rows, 512, 512), np.nan, np.float32)
                tensors = pa.FixedShapeTensorArray.from_numpy_ndarray(pixels)
                columns = [
                    tensors if name == "pixels" else rows[name] for name in rows.schema.names
                ]
                writer.write(pa.RecordBatch.from_arrays(columns, schema=schema))
        return ArraysMade(work.number, {"ct": writer.parts}, {})

    monkeypatch.setattr(assets, "write_arrays", spoiling)
    first = hc_assets("ingest", image)
    assert first.exit_code == 1
    assert "imaging/preprocessed_arrays: arrays_in_range" in first.stderr
    second = hc_assets("ingest", image)
    assert second.exit_code == 1, second.stderr


def test_a_gated_frame_without_an_array_blocks(hc_assets, image, monkeypatch):
    monkeypatch.setattr(
        assets, "write_arrays", lambda work, preprocessing: ArraysMade(work.number, {}, {})
    )
    result = hc_assets("ingest", image)
    assert result.exit_code == 1
    assert "every_gated_frame_has_an_array" in result.stderr


def test_arrays_carry_where_they_come_from(hc_assets, data_dir, image):
    hc_assets("ingest", image)
    (key,) = [path.name for path in (data_dir / "batches" / "dicom").glob("[0-9]*")]
    (row,) = (
        read_partition(Layout.of(data_dir), "imaging/preprocessed_arrays", key)
        .to_table(["batch", "pipeline", "shape", "source_file"])
        .to_pylist()
    )
    assert row == {
        "batch": key,
        "pipeline": "ct/2",
        "shape": [512, 512],
        "source_file": str(image),
    }
