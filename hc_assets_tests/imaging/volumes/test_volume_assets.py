"""A real MR head in two contrasts becomes tables, aligned volumes and files; a slice comes late."""

import hashlib
import shutil
from pathlib import Path

import dagster as dg
import msgspec
import nibabel
import numpy as np
import pytest
from pydicom.uid import MRImageStorage

from hc_assets.imaging.volumes.schemas import TABLES
from hc_assets.lake.layout import Layout
from hc_assets.lake.parts import read_commit
from hc_assets.orchestration.runs import open_instance
from hc_assets.settings import Settings


@pytest.fixture
def study(tmp_path, write_slices) -> dict[str, list[Path]]:
    """nibabel's MR head as a series, and as another with other contrast, moved by 6 mm."""
    path = Path(nibabel.__file__).parent / "tests" / "data" / "example4d.nii.gz"
    head = nibabel.load(path).get_fdata()[..., 0].transpose(2, 1, 0)[::2, ::-2, ::2]
    head = (head / head.max() * 2000).astype(np.uint16)
    positions = [(-128.0, -96.0, 4.4 * number) for number in range(len(head))]
    common = {"Modality": "MR", "SOPClassUID": MRImageStorage, "PixelSpacing": [4, 4]}
    first = write_slices(head, positions, SeriesInstanceUID="1.2.3.1", **common)
    moved = [(x + 6, y, z) for x, y, z in positions]
    other = np.where(head > 160, 2300 - head, head // 2).astype(np.uint16)
    second = write_slices(other, moved, SeriesInstanceUID="1.2.3.2", **common)
    second = [path for path in second if path not in first]
    return {"first": first, "second": second}


@pytest.fixture(autouse=True)
def settings(monkeypatch):
    monkeypatch.setenv("HC_IMAGING_STUDIES_TO_FHIR", "false")
    monkeypatch.setenv("HC_WORKERS", "1")
    monkeypatch.setenv("HC_QUALITY_GATE", "0")
    monkeypatch.setenv("HC_VOLUME_SPACING_MM", "4")


def parts(data_dir: Path, table: str) -> set[str]:
    made = read_commit(Layout.of(data_dir).partition(table, None))
    return {part.name for part in made.parts}


def hashes(data_dir: Path) -> dict[tuple[str, str], str]:
    """SHA-256 of every part of the volume tables and of every NIfTI file."""
    layout = Layout.of(data_dir)
    found = {
        (table, part.name): part.sha256
        for table in TABLES
        for part in read_commit(layout.partition(table, None)).parts
    }
    for path in (data_dir / "exports" / "nifti").iterdir():
        found["nifti", path.name] = hashlib.sha256(path.read_bytes()).hexdigest()
    return found


def test_a_study_becomes_volumes_on_one_grid_and_nifti_files(
    study, hc_assets, query, data_dir, tmp_path
):
    late = study["second"].pop()
    first = hc_assets("ingest", *study["first"], *study["second"])
    assert first.exit_code == 0
    for said in ("series: 2 series", "volumes: 2 series", "nifti_exports: 6 files"):
        assert f"imaging/{said}" in first.stderr
    assert "imaging/aligned_volumes: 1 of 1 studies" in first.stderr
    assert "1.2.3" not in first.stderr
    before = parts(data_dir, "imaging/volume_slices")
    assert hc_assets("ingest", late).exit_code == 0

    rows = query(
        "SELECT series_instance_uid, verdict, shape, findings FROM imaging.volumes"
        " ORDER BY series_instance_uid"
    )
    assert [row[:3] for row in rows] == [
        ("1.2.3.1", "as_sent", [12, 48, 64]),
        ("1.2.3.2", "as_sent", [12, 48, 64]),
    ]
    # The slice that came late is in; the series that it is not of has the same bytes
    assert parts(data_dir, "imaging/volume_slices") & before

    aligned = query(
        "SELECT verdict, translation_mm, rotation_deg, shape, reference_id, low_value < high_value"
        " FROM imaging.aligned_volumes ORDER BY series_instance_uid"
    )
    assert [row[0] for row in aligned] == ["reference", "registered"]
    assert aligned[1][1] == pytest.approx(6, abs=0.5)
    assert aligned[1][2] < 0.5
    assert aligned[0][3] == aligned[1][3]
    assert aligned[0][4] == aligned[1][4]
    values = query(
        "SELECT min(list_min(voxels)), max(list_max(voxels)) FROM imaging.aligned_slices"
    )
    assert values == [(0.0, 1.0)]

    files = query(
        "SELECT file, affine_ras, v.content_sha256 = e.content_sha256"
        " FROM imaging.nifti_exports AS e JOIN imaging.volumes AS v USING (volume_id)"
    )
    folder = data_dir / "exports" / "nifti"
    assert len(files) == 2
    assert len(list(folder.iterdir())) == 4
    for name, affine, is_same in files:
        assert is_same
        image = nibabel.load(folder / name)
        np.testing.assert_allclose(image.affine, np.array(affine).reshape(4, 4), atol=1e-4)
        np.testing.assert_allclose(image.get_qform(), image.get_sform(), atol=1e-4)
        assert (image.get_data_dtype(), image.shape) == (np.int16, (64, 48, 12))
        assert b"P1" not in image.header.binaryblock
        assert (folder / name).stat().st_mode & 0o777 == 0o600

    made = hashes(data_dir)
    assert len({table for table, _ in made}) == 6
    for table in TABLES:
        shutil.rmtree(Layout.of(data_dir).partition(table, None).path)
    shutil.rmtree(folder)
    assert hc_assets("ingest", late).exit_code == 0
    assert hashes(data_dir) == made  # from scratch as by and by

    report = msgspec.json.decode(hc_assets("report", "--format", "json").stdout)
    checks = {
        each["check"]: each["passed"]
        for each in report["checks"]
        if "volume" in each["asset"] and each["passed"] is not None
    }
    assert checks["every_gated_series_has_a_volume_or_verdict"]
    assert checks["volume_geometry_sound"]
    assert checks["volume_slices_whole"]
    assert checks["stacks_without_gaps"]
    assert checks["volumes_registered"]

    with open_instance(Layout.of(Settings().data_dir)) as instance:
        event = instance.get_latest_materialization_event(dg.AssetKey(["imaging", "volumes"]))
        log = [entry.user_message for entry in instance.all_logs(event.run_id)]
        assert any("imaging/aligned_volumes: 1 of 1 studies" in line for line in log)
        picture = event.asset_materialization.metadata["three_planes"].value
        assert "data:image/png;base64," in picture
        assert len(picture) < 64 * 1024
