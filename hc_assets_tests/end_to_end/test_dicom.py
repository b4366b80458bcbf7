import csv
import json
from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom.data import get_testdata_file

from hc_assets.domains import CATALOG
from hc_assets.lake.layout import Layout
from hc_assets.lake.tables import read_partitions
from hc_assets.sample_data.write import SampleSummary, write_sample
from hc_assets_tests.conftest import DataFolder

ENVIRONMENT = {"HC_IMAGING_STUDIES_TO_FHIR": "false"}
"""What FHIR makes of the studies is tested elsewhere, and takes time."""
SHAPES = {
    "ct": (512, 512),
    "mr": (256, 256),
    "radiograph": (1024, 1024),
    "us": (256, 256),
    "mg": (2048, 2048),
    "generic": (512, 512),
}


@pytest.fixture(autouse=True)
def without_fhir(monkeypatch):
    for name, value in ENVIRONMENT.items():
        monkeypatch.setenv(name, value)


@pytest.fixture(scope="module")
def sample(tmp_path_factory) -> tuple[DataFolder, SampleSummary]:
    """The sample's images, all the way, and what was reported."""
    folder = DataFolder(tmp_path_factory.mktemp("sample") / "data", ENVIRONMENT)
    summary = write_sample(folder.path / "landing")
    result = folder.run("ingest", folder.path / "landing" / "dicom")
    assert result.exit_code == 0, result.output
    return folder, summary


@pytest.fixture(scope="module")
def mixed(tmp_path_factory) -> DataFolder:
    """One good file among bad ones, all the way."""
    drop = tmp_path_factory.mktemp("drop")
    good = Path(get_testdata_file("CT_small.dcm", download=False))
    (drop / "good").write_bytes(good.read_bytes())
    (drop / "empty.dcm").touch()
    (drop / "notes.dcm").write_text("The patient was seen on Monday.\n" * 20)
    (drop / "cut.dcm").write_bytes(good.read_bytes()[:20_000])
    (drop / "nothing.dcm").mkdir()
    folder = DataFolder(tmp_path_factory.mktemp("mixed") / "data", ENVIRONMENT)
    result = folder.run("ingest", drop)
    assert result.exit_code == 0, result.output
    return folder


def arrays(data_dir: Path) -> list[tuple[str, np.ndarray]]:
    table = read_partitions(Layout.of(data_dir), "imaging/preprocessed_arrays")
    found = []
    for rows in table.batches(["pipeline", "pixels"]):
        names = [label.partition("/")[0] for label in rows["pipeline"].to_pylist()]
        found += zip(names, rows["pixels"].to_numpy_ndarray(), strict=True)
    return found


def of_each_kind(manifest: list[dict[str, str]]) -> list[dict[str, str]]:
    """One real file of each modality, coding and outcome."""
    kinds = ("modality", "transfer_syntax", "photometric", "header_ok", "pixels_ok")
    return list({tuple(row[name] for name in kinds): row for row in manifest}.values())


@pytest.mark.parametrize(
    "choice",
    [
        pytest.param(of_each_kind, id="of_each_kind"),
        pytest.param(list, id="all", marks=pytest.mark.exhaustive),
    ],
)
def test_every_real_file_is_accounted_for(hc_assets, query, data_dir, shared_data, choice):
    folder = shared_data / "dicom"
    text = (folder / "manifest.csv").read_text(encoding="utf-8")
    manifest = choice(list(csv.DictReader(text.splitlines())))
    files = [folder / row["path"] for row in manifest]

    result = hc_assets("ingest", *files)

    assert result.exit_code == 0, result.output
    ((indexed,),) = query("SELECT count(*) FROM imaging.dicom_index")
    unreadable = query("SELECT source_file, reason FROM imaging.unreadable_files")
    assert indexed + len(unreadable) == len(files)
    readable = sum(row["header_ok"] == "1" for row in manifest)
    assert indexed >= readable
    assert all(reason for _, reason in unreadable)
    ((decoded,),) = query("SELECT count(DISTINCT source_file) FROM imaging.quality_metrics")
    assert decoded >= sum(row["pixels_ok"] == "1" for row in manifest)
    assert query("SELECT count(*) FROM imaging.undecodable_frames WHERE reason = ''") == [(0,)]


def test_the_sample_ends_where_it_says(sample):
    folder, summary = sample
    query = folder.query
    ((indexed,),) = query("SELECT count(*) FROM imaging.dicom_index")
    unreadable = query("SELECT source_file FROM imaging.unreadable_files ORDER BY 1")
    assert indexed == summary.files["dicom"]
    assert [name for (name,) in unreadable] == sorted(
        flaw.file.removeprefix("dicom/") for flaw in summary.flaws_with("unreadable")
    )
    frames = dict(query("SELECT modality, count(*) FROM imaging.quality_metrics GROUP BY ALL"))
    assert frames == summary.frames
    undecodable = query("SELECT DISTINCT source_file FROM imaging.undecodable_frames")
    assert {name for (name,) in undecodable} == {
        flaw.file.removeprefix("dicom/") for flaw in summary.flaws_with("undecodable")
    }
    failed = {
        name
        for (name,) in query(
            "SELECT source_file FROM imaging.quality_metrics WHERE passes_gate IS NOT true"
        )
    }
    degraded = {flaw.file.removeprefix("dicom/") for flaw in summary.flaws_with("low_quality")}
    assert failed == degraded


def test_arrays_are_ready_for_training(sample):
    found = arrays(sample[0].path)
    assert {name for name, _ in found} == SHAPES.keys() - {"generic"}
    for name, pixels in found:
        assert pixels.shape == SHAPES[name]
        assert pixels.dtype == np.float32
        assert np.isfinite(pixels).all()
        assert pixels.min() >= 0
        assert 0.3 < pixels.max() <= 1


def test_bad_files_leave_a_reason_each_and_the_rest_goes_through(mixed):
    query = mixed.query
    reasons = dict(
        query("SELECT parse_filename(source_file), reason FROM imaging.unreadable_files")
    )
    assert reasons.keys() == {"empty.dcm", "notes.dcm", "nothing.dcm"}
    assert reasons["nothing.dcm"] == "the file is a folder with nothing in it"
    assert "Monday" not in str(reasons)
    assert query("SELECT count(*) FROM imaging.dicom_index") == [(2,)]
    ((measured,),) = query(
        "SELECT count(*) FROM imaging.quality_metrics WHERE parse_filename(source_file) = 'good'"
    )
    assert measured == 1


def test_the_index_holds_what_pydicom_reads(mixed):
    expected = pydicom.dcmread(get_testdata_file("CT_small.dcm", download=False))
    ((uid, rows, columns, spacing, thickness, slope, header),) = mixed.query(
        "SELECT sop_instance_uid, rows, columns, pixel_spacing, slice_thickness, rescale_slope,"
        " dicom_json FROM imaging.dicom_index WHERE parse_filename(source_file) = 'good'"
    )
    assert uid == expected.SOPInstanceUID
    assert (rows, columns) == (expected.Rows, expected.Columns)
    assert spacing == [float(value) for value in expected.PixelSpacing]
    assert thickness == float(expected.SliceThickness)
    assert slope == float(expected.RescaleSlope)
    assert json.loads(header)["00080060"]["Value"] == ["CT"]
    assert "7FE00010" not in json.loads(header)


def test_a_second_run_gives_the_same_bytes(hc_assets, data_dir, tmp_path):
    for name in ("CT_small.dcm", "MR_small.dcm", "color-px.dcm"):
        source = Path(get_testdata_file(name, download=False))
        (tmp_path / name).write_bytes(source.read_bytes())
    files = [tmp_path / name for name in ("CT_small.dcm", "MR_small.dcm", "color-px.dcm")]
    hc_assets("ingest", *files)
    commits = sorted((data_dir / "lake" / "imaging").rglob("batch=*/_commit.json"))
    before = [path.read_bytes() for path in commits]
    assert len(before) == len(CATALOG.landings["dicom"].batch_tables)
    for path in commits:
        path.unlink()
    assert hc_assets("ingest", *files).exit_code == 0
    assert [path.read_bytes() for path in commits] == before


def test_several_workers_give_what_one_gives(hc_assets, query, data_dir, monkeypatch):
    monkeypatch.setenv("HC_CHUNK_BYTES", "100000")
    monkeypatch.setenv("HC_WORKERS", "2")
    write_sample(data_dir / "landing")
    folder = data_dir / "landing" / "dicom" / "study-01"
    assert hc_assets("ingest", folder).exit_code == 0
    everything = "SELECT * FROM imaging.quality_metrics ORDER BY source_file, frame"
    shared_out = query(everything)
    for path in (data_dir / "lake" / "imaging").rglob("batch=*/_commit.json"):
        path.unlink()
    monkeypatch.setenv("HC_WORKERS", "1")
    assert hc_assets("ingest", folder).exit_code == 0
    assert query(everything) == shared_out
    assert len(shared_out) == 12


@pytest.mark.parametrize("kind", ["", "dicom"])
def test_a_batch_of_nothing_readable_is_no_failure(hc_assets, query, tmp_path, kind):
    (tmp_path / "empty.dcm").touch()
    arguments = ["--kind", kind] if kind else []
    assert hc_assets("ingest", tmp_path / "empty.dcm", *arguments).exit_code == 0
    assert query("SELECT count(*) FROM imaging.unreadable_files") == [(1,)]
    assert query("SELECT count(*) FROM imaging.preprocessed_arrays") == [(0,)]
