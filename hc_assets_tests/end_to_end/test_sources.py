"""Several hospitals' files through the command line: two people of one id stay two."""

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest

from hc_assets.core.source_names import folder_of
from hc_assets.lake.layout import Layout
from hc_assets.lake.manifests import read_manifest
from hc_assets_tests.conftest import DataFolder

NORTH, SOUTH = "https://north.example/fhir", "https://south.example/r4"


def patient(family: str, updated: str = "2024-01-01T00:00:00Z") -> dict[str, Any]:
    return {
        "resourceType": "Patient",
        "id": "1001",
        "name": [{"family": family}],
        "meta": {"lastUpdated": updated},
    }


def searchset(base: str, family: str) -> str:
    entry = {"fullUrl": f"{base}/Patient/1001", "resource": patient(family)}
    return json.dumps({"resourceType": "Bundle", "type": "searchset", "entry": [entry]})


def deletion(url: str) -> str:
    entry = {"request": {"method": "DELETE", "url": url}}
    return json.dumps({"resourceType": "Bundle", "type": "transaction", "entry": [entry]})


def checks(lake: DataFolder) -> dict[str, Any]:
    report = msgspec.json.decode(lake.run("report", "--format", "json").stdout)
    return {check["check"]: check for check in report["checks"]}


def current(lake: DataFolder) -> list[tuple[object, ...]]:
    return lake.query(
        "SELECT source, resource->'$.name[0].family' ->> '$', is_deleted "
        "FROM (SELECT source, is_deleted, decode(resource)::JSON AS resource "
        "FROM fhir.current_resources WHERE resource_type = 'Patient') ORDER BY source"
    )


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> DataFolder:
    """Two servers' searchsets, and files of two sources that are named."""
    made = DataFolder(tmp_path_factory.mktemp("sources") / "data")
    landing, east = made.path / "landing" / "fhir", made.path.parent / "east.ndjson"
    (landing / "@west").mkdir(parents=True)
    (landing / "@west" / "w.ndjson").write_text(json.dumps(patient("West")))
    (landing / "a.json").write_text(searchset(NORTH, "North"))
    (landing / "b.json").write_text(searchset(SOUTH, "South"))
    east.write_text(json.dumps(patient("East")))
    for arguments in ((landing, "--kind", "fhir"), (east, "--source", "east")):
        result = made.run("ingest", *arguments)
        assert result.exit_code == 0, result.output
    return made


def test_each_source_has_its_own_person_and_files(lake):
    assert current(lake) == [
        ("east", "East", False),
        (NORTH, "North", False),
        (SOUTH, "South", False),
        ("west", "West", False),
    ]
    exported = lake.path / "exports" / "fhir"
    manifest = json.loads((exported / "manifest.json").read_bytes())
    named = {each["extension"]["source"]: each["url"] for each in manifest["output"]}
    assert named.keys() == {"east", "west", NORTH, SOUTH}
    for source, url in named.items():
        (line,) = (exported / url).read_text().splitlines()
        family = json.loads(line)["name"][0]["family"]
        assert family.lower() in source
    assert (exported / "@east" / "Patient.ndjson").exists()
    assert (exported / folder_of(NORTH) / "Patient.ndjson").exists()
    assert not (exported / "Patient.ndjson").exists()
    found = checks(lake)
    assert [name for name, check in found.items() if not check["passed"]] == [
        "mean_quality_at_least_threshold"
    ]
    assert "1 are of several sources" in found["no_source_assumed"]["explanation"]


def test_an_export_of_several_sources_is_landed_by_source_elsewhere(lake, tmp_path):
    other = DataFolder(tmp_path / "data")
    result = other.run("land", lake.path / "exports" / "fhir", "--kind", "fhir")
    assert result.exit_code == 0, result.output
    layout = Layout.of(other.path)
    manifests = [read_manifest(layout, "fhir", key) for key in result.stdout.split()]
    files = {m.source: [Path(f.source_file).name for f in m.files] for m in manifests}
    patients = ["Patient.ndjson"]
    assert files.pop("") == ["manifest.json"]
    servers = (folder_of(each).removeprefix("@") for each in (NORTH, SOUTH))
    assert files == dict.fromkeys(("east", "west", *servers), patients)


def test_a_deletion_by_address_and_files_without_a_source_later(lake, tmp_path):
    texts = {
        "known.json": deletion("HTTP://north.example:80/fhir/Patient/1001"),
        "unknown.json": deletion("https://unknown.example/fhir/Patient/1001"),
        "later.ndjson": json.dumps(patient("Whose?", "2024-02-01T00:00:00Z")),
    }
    for name, text in texts.items():
        (tmp_path / name).write_text(text)
    result = lake.run("ingest", *(tmp_path / name for name in texts))
    assert result.exit_code == 0, result.output
    assert [row for row in current(lake) if row[2]] == [(NORTH, None, True)]
    ((reason,),) = lake.query(
        "SELECT issues[1].diagnostics FROM fhir.quarantined_resources "
        "WHERE request_method = 'DELETE'"
    )
    assert "no resource of this source came from" in str(reason)
    assert (None, "Whose?", False) in current(lake)
    check = checks(lake)["no_source_assumed"]
    assert (check["passed"], check["severity"], check["value"]) == (False, "ERROR", 1.0)
    assert lake.run("report").exit_code == 1


def test_a_source_must_be_one_and_of_files_that_have_sources(lake, tmp_path):
    file = tmp_path / "a.json"
    file.write_text("{}")
    for arguments in (
        (file, "--source", "a b"),
        (file, "--source", "x", "--kind", "dicom"),
        (Path(lake.path / "landing" / "fhir"), "--source", "x", "--kind", "fhir"),
    ):
        result = lake.run("land", *arguments)
        assert result.exit_code == 2, result.output
