import json
import shutil
from collections import Counter
from decimal import Decimal
from pathlib import Path

import pytest

from hc_assets.sample_data.write import write_sample
from hc_assets_tests.conftest import DataFolder

ADDED_META = {"lastUpdated", "source", "extension"}


def entries_of(files: list[Path]) -> list[dict]:
    found = []
    for path in files:
        bundle = json.loads(path.read_bytes(), parse_float=Decimal)
        found += bundle["entry"]
    return found


def without_additions(resource: dict, sent: dict) -> dict:
    """Take away what enrichment adds, so that what is left can be held against what was sent."""
    rest = {name: value for name, value in resource.items() if name != "meta" or "meta" in sent}
    if "meta" in sent:
        sent_meta = sent["meta"]
        rest["meta"] = {
            name: value
            for name, value in resource["meta"].items()
            if name not in ADDED_META or name in sent_meta
        }
        if "extension" in sent_meta:
            rest["meta"]["extension"] = resource["meta"]["extension"][: len(sent_meta["extension"])]
    without_added_extensions(rest, sent)
    if "component" in sent:
        rest["component"] = [dict(part) for part in resource["component"]]
        for part, sent_part in zip(rest["component"], sent["component"], strict=True):
            without_added_extensions(part, sent_part)
    return rest


def without_added_extensions(element: dict, sent: dict) -> None:
    """Take away the extensions that come after those that were sent."""
    kept = len(sent.get("extension", []))
    if kept:
        element["extension"] = element["extension"][:kept]
    else:
        element.pop("extension", None)


def resolved(value: object, full_urls: dict[str, str]) -> object:
    """What was sent, with references to other entries of its bundle as type and id."""
    if isinstance(value, list):
        return [resolved(each, full_urls) for each in value]
    if not isinstance(value, dict):
        return value
    return {
        name: full_urls.get(each, each) if name == "reference" else resolved(each, full_urls)
        for name, each in value.items()
    }


def exported(data_dir: Path) -> dict[tuple[str, str], dict]:
    resources = {}
    for path in (data_dir / "exports" / "fhir").glob("*.ndjson"):
        for line in path.read_bytes().splitlines():
            resource = json.loads(line, parse_float=Decimal)
            resources[resource["resourceType"], resource["id"]] = resource
    return resources


def test_synthea_bundles_go_through_whole_and_unchanged(hc_assets, query, data_dir, shared_data):
    folder = shared_data / "fhir" / "synthea_bundles"
    entries = entries_of(sorted(folder.glob("*.json")))

    result = hc_assets("ingest", folder)

    assert result.exit_code == 0, result.output
    assert query("SELECT count(*) FROM fhir.raw_bundles") == [(len(entries),)]
    assert query("SELECT count(*) FROM fhir.validated_resources") == [(len(entries),)]
    assert query("SELECT count(*) FROM fhir.quarantined_resources") == [(0,)]
    resources = [e["resource"] for e in entries]
    full_urls = {
        e["fullUrl"]: f"{r['resourceType']}/{r['id']}"
        for e, r in zip(entries, resources, strict=True)
    }
    sent = {(r["resourceType"], r["id"]): resolved(r, full_urls) for r in resources}
    got = exported(data_dir)
    assert got.keys() == sent.keys()
    for identity, resource in got.items():
        rest = without_additions(resource, sent[identity])
        assert rest == sent[identity], identity
        assert list(rest) == [name for name in resource if name in rest]


def test_bulk_data_export_goes_through(hc_assets, query, shared_data):
    folder = shared_data / "fhir" / "bulk_10_patients"
    lines = sum(
        bool(line.strip())
        for path in folder.glob("*.ndjson")
        for line in path.read_bytes().splitlines()
    )
    result = hc_assets("ingest", folder)
    assert result.exit_code == 0, result.output
    assert query("SELECT count(*) FROM fhir.validated_resources") == [(lines,)]


def test_the_sample_is_quarantined_where_it_is_flawed_and_nowhere_else(hc_assets, query, data_dir):
    landing = data_dir / "landing"
    summary = write_sample(landing)

    result = hc_assets("ingest", landing / "fhir")

    assert result.exit_code == 0, result.output
    assert query("SELECT count(*) FROM fhir.raw_bundles") == [(summary.fhir_entries,)]
    expected = Counter(
        (f"{flaw.file.removeprefix('fhir/')}", flaw.position, flaw.rule)
        for flaw in summary.flaws_with("quarantined")
        if flaw.file.startswith("fhir/")
    )
    found = Counter(
        query(
            "SELECT source_file, position, issue.rule FROM fhir.quarantined_resources,"
            " unnest(issues) AS t(issue) WHERE issue.severity IN ('error', 'fatal')"
        )
    )
    assert {key[:2] for key in found} == {key[:2] for key in expected}
    missed = [key for key in expected if key not in found]
    assert not missed


@pytest.fixture(scope="module")
def ingested(tmp_path_factory: pytest.TempPathFactory) -> DataFolder:
    """A small sample that went all the way."""
    folder = DataFolder(tmp_path_factory.mktemp("fhir") / "data")
    write_sample(folder.path / "landing", patients=3)
    assert folder.run("ingest", folder.path / "landing" / "fhir").exit_code == 0
    return folder


@pytest.fixture
def copied(ingested, hc_assets, data_dir) -> Path:
    """The same in the test's own data folder, for those that change it."""
    shutil.copytree(ingested.path, data_dir)
    assert hc_assets("warehouse", "rebuild").exit_code == 0  # its views name the folder
    return data_dir


def test_a_second_ingest_does_nothing_and_a_forced_one_gives_the_same_bytes(
    hc_assets, copied, data_dir
):
    landing = data_dir / "landing"
    commits = sorted((data_dir / "lake" / "fhir").rglob("_commit.json"))
    before = [path.read_bytes() for path in commits]
    exports = {p.name: p.read_bytes() for p in (data_dir / "exports" / "fhir").glob("*.ndjson")}

    second = hc_assets("ingest", landing / "fhir")
    assert "nothing to do" in second.output

    for path in commits:
        if "batch=" in str(path):
            path.unlink()
    hc_assets("ingest", landing / "fhir")
    assert [path.read_bytes() for path in commits] == before
    assert {
        p.name: p.read_bytes() for p in (data_dir / "exports" / "fhir").glob("*.ndjson")
    } == exports


def test_a_bundle_in_two_deliveries_ends_in_one_current_state(hc_assets, query, tmp_path):
    patient = {"resourceType": "Patient", "id": "p1", "gender": "female"}
    first, second = tmp_path / "first.json", tmp_path / "second.json"
    first.write_text(json.dumps(patient | {"meta": {"lastUpdated": "2026-01-01T00:00:00Z"}}))
    second.write_text(
        json.dumps(patient | {"gender": "other", "meta": {"lastUpdated": "2026-01-02T00:00:00Z"}})
    )
    hc_assets("ingest", second)
    hc_assets("ingest", first)
    ((gender,),) = query(
        "SELECT json_extract_string(decode(resource), '$.gender') FROM fhir.current_resources"
    )
    assert gender == "other"


def test_bad_files_leave_a_reason_each_and_the_rest_goes_through(hc_assets, query, tmp_path):
    drop = tmp_path / "drop"
    (drop / "folder.json").mkdir(parents=True)
    (drop / "not-json.json").write_text("<Patient/>")
    (drop / "empty.json").touch()
    (drop / "cut.ndjson").write_text('{"resourceType": "Patient", "id": "c1"}\n{"resourceTy')
    entries = [
        {"resource": {"resourceType": "Patient", "id": f"p{number}"}} for number in range(100)
    ]
    entries[42] = {"resource": {"resourceType": "Patient", "id": "p42", "gender": 7}}
    bundle = {"resourceType": "Bundle", "type": "collection", "entry": entries}
    (drop / "bundle.json").write_text(json.dumps(bundle))

    result = hc_assets("ingest", drop)

    assert result.exit_code == 0, result.output
    assert query("SELECT count(*) FROM fhir.current_resources") == [(100,)]
    reasons = dict(
        query(
            "SELECT parse_filename(source_file) || ':' || position, issues[1].rule || ': ' ||"
            " issues[1].diagnostics FROM fhir.quarantined_resources"
        )
    )
    assert reasons.keys() == {
        "folder.json:0",
        "not-json.json:0",
        "empty.json:0",
        "cut.ndjson:1",
        "bundle.json:42",
        "bundle.json:100",  # the Bundle itself, whose entries need fullUrls
    }
    assert reasons["folder.json:0"] == "unreadable: the file is a folder with nothing in it"
    assert "not JSON" in reasons["not-json.json:0"]
    assert reasons["empty.json:0"] == "unreadable: the file is empty"
    assert "truncated" in reasons["cut.ndjson:1"]


@pytest.mark.parametrize("table", ["raw_bundles", "validated_resources", "current_resources"])
def test_every_row_can_be_traced_to_its_batch(ingested, table):
    (key,) = [path.name for path in (ingested.path / "batches" / "fhir").glob("[0-9]*")]
    assert ingested.query(f"SELECT DISTINCT batch FROM fhir.{table}") == [(key,)]  # noqa: S608


def test_the_warehouse_comes_back_equal_after_a_rebuild(ingested, hc_assets, query, data_dir):
    everything = "SELECT * FROM fhir.current_resources ORDER BY resource_type, resource_id"
    before = ingested.query(everything)
    shutil.copytree(ingested.path, data_dir)
    (data_dir / "warehouse.duckdb").unlink()

    assert hc_assets("warehouse", "rebuild").exit_code == 0

    assert query(everything) == before
    assert len(before) > 100
