"""The quality report and the pictures, from files to what a user sees."""

import base64
import re
import stat
from pathlib import Path

import cv2
import dagster as dg
import numpy as np
import pytest
from pydicom.data import get_testdata_file

from hc_assets.lake.layout import Layout
from hc_assets.orchestration.runs import open_instance


@pytest.fixture(autouse=True)
def without_fhir(monkeypatch):
    """What FHIR makes of the studies is tested elsewhere, and takes time."""
    monkeypatch.setenv("HC_IMAGING_STUDIES_TO_FHIR", "false")


@pytest.fixture
def images(tmp_path):
    folder = tmp_path / "DOE^JANE"
    folder.mkdir()
    for name in ("CT_small.dcm", "examples_rgb_color.dcm", "MR_small.dcm"):
        source = Path(get_testdata_file(name, download=False))
        (folder / name).write_bytes(source.read_bytes())
    return folder


def metadata(data_dir) -> dict[str, object]:
    with open_instance(Layout.of(data_dir)) as instance:
        event = instance.get_latest_materialization_event(
            dg.AssetKey(["imaging", "quality_metrics"])
        )
        return dict(event.asset_materialization.metadata)


def test_a_user_sees_pictures_and_a_report_and_nobody_in_them(
    hc_assets, data_dir, query, images, tmp_path
):
    assert hc_assets("ingest", images).exit_code == 0
    entries = {name: value.value for name, value in metadata(data_dir).items()}
    pictures = [entries["thumbnails"], entries["quality_histogram"]]
    assert sum(map(len, pictures)) < 64 * 1024
    for text in pictures:
        encoded = base64.b64decode(re.search(r"base64,([^)]+)\)", text)[1])
        assert cv2.imdecode(np.frombuffer(encoded, np.uint8), cv2.IMREAD_UNCHANGED) is not None
    assert "1 blurred" in entries["thumbnails"]
    assert entries["dagster/row_count"] == 3

    page = data_dir / "reports" / "quality.html"
    assert stat.S_IMODE(page.stat().st_mode) == 0o600
    text = page.read_text()
    # Names, ids and dates of the files' headers, and the folder's name
    for secret in ("DOE", "CompressedSamples", "1CT1", "4MR1", "2004-01-19", "20040119", ".dcm"):
        assert secret not in text, secret
        assert secret not in str(entries), secret
    assert text.count("<img") == 3
    again = tmp_path / "again.html"
    assert hc_assets("quality-report", "--out", again).exit_code == 0
    assert again.read_text() == text

    lines = hc_assets("quality-report").stdout.splitlines()
    assert [line.split("\t")[:3] for line in lines[1:3]] == [
        ["all", "all", "3"],
        ["modality", "CT", "1"],
    ]
    assert query(
        "SELECT frames, frames_with_text FROM imaging.quality_report WHERE scope = 'all'"
    ) == [(3, 1)]
    fit = "SELECT modality, is_fit_for_training FROM imaging.quality_metrics ORDER BY modality"
    assert ("US", False) in query(fit)


def test_pictures_can_be_turned_off(hc_assets, data_dir, images, monkeypatch):
    monkeypatch.setenv("HC_QUALITY_PICTURES", "false")
    assert hc_assets("ingest", images).exit_code == 0
    assert not {"thumbnails", "quality_histogram"} & set(metadata(data_dir))
    text = (data_dir / "reports" / "quality.html").read_text()
    assert "<img" not in text
    assert text.count("not shown") == 3


def test_a_report_before_any_batch_is_empty(hc_assets):
    result = hc_assets("quality-report")
    assert result.exit_code == 0
    assert len(result.stdout.splitlines()) == 2


def test_a_landed_batch_that_is_not_indexed_yet_hinders_no_other(hc_assets, images, tmp_path):
    other = tmp_path / "other.dcm"
    other.write_bytes((images / "CT_small.dcm").read_bytes())
    (images / "CT_small.dcm").unlink()
    assert hc_assets("land", images).exit_code == 0
    assert hc_assets("ingest", other).exit_code == 0
