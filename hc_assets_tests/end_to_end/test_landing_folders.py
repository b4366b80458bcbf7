"""Where a kind lands is one answer, whoever asks: the command line, an asset, a sensor."""

import json
from pathlib import Path

from pydicom.data import get_testdata_file

from hc_assets.lake.layout import Layout
from hc_assets.settings import Settings


def test_studies_of_dicom_reach_fhir_where_its_landing_folder_is_elsewhere(
    hc_assets, query, data_dir, tmp_path, monkeypatch
):
    elsewhere = tmp_path / "elsewhere"
    monkeypatch.setenv("HC_LANDING_FOLDERS", json.dumps({"fhir": str(elsewhere)}))

    result = hc_assets("ingest", get_testdata_file("CT_small.dcm"))

    assert result.exit_code == 0, result.output
    assert [*elsewhere.rglob("*.ndjson")], "the asset hands over to the folder that is configured"
    assert query("SELECT resource_type, count(*) FROM fhir.current_resources GROUP BY ALL") == [
        ("ImagingStudy", 1)
    ]
    assert not (data_dir / "landing" / "fhir").exists()


def test_files_of_a_configured_landing_folder_are_named_relative_to_it(
    hc_assets, query, tmp_path, monkeypatch
):
    elsewhere = tmp_path / "elsewhere"
    (elsewhere / "ward").mkdir(parents=True)
    (elsewhere / "ward" / "a.json").write_text('{"resourceType": "Patient", "gender": "male"}')
    monkeypatch.setenv("HC_LANDING_FOLDERS", json.dumps({"fhir": str(elsewhere)}))

    assert hc_assets("ingest", elsewhere).exit_code == 0
    assert query("SELECT source_file FROM fhir.raw_bundles") == [("ward/a.json",)]


def test_files_of_this_machine_are_landed_where_the_landing_folder_is_in_an_object_store(
    hc_assets, query, tmp_path, monkeypatch
):
    path = tmp_path / "a.json"
    path.write_text('{"resourceType": "Patient", "gender": "male"}')
    monkeypatch.setenv("HC_LANDING_FOLDERS", json.dumps({"fhir": "memory://incoming"}))

    result = hc_assets("ingest", path)

    assert result.exit_code == 0, result.output
    assert query("SELECT source_file FROM fhir.raw_bundles") == [(str(path),)]


def test_layout_answers_for_every_kind_and_for_folders_in_object_stores(monkeypatch, data_dir):
    monkeypatch.setenv("HC_LANDING_FOLDERS", '{"fhir": "memory://incoming", "dicom": "/mnt/pacs"}')
    layout = Layout.configured(Settings())
    assert str(layout.landing("fhir")) == "memory://incoming"
    assert Path(layout.landing("dicom").path) == Path("/mnt/pacs")
    assert Path(layout.landing("vcf").path) == data_dir / "landing" / "vcf"
