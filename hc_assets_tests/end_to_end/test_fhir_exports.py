"""Exports and replays as a user meets them: by the command line, on a data folder."""

import json
from pathlib import Path
from typing import Any

import pytest

from hc_assets.fhir.export.bundle_creation import create_bundle

Resource = dict[str, Any]
CURRENT = "SELECT * EXCLUDE (batch) FROM fhir.current_resources ORDER BY resource_type, resource_id"


def patient(id_: str, **members: Any) -> Resource:
    return {"resourceType": "Patient", "id": id_, "name": [{"family": "x"}], **members}


def observation(id_: str, subject: str, value: str = "y") -> Resource:
    return {
        "resourceType": "Observation",
        "id": id_,
        "status": "final",
        "code": {"text": "x"},
        "subject": {"reference": subject},
        "valueString": value,
    }


def transaction(*requests: tuple[str, str, Resource | None]) -> bytes:
    entries = [
        {"request": {"method": method, "url": url}} | ({"resource": body} if body else {})
        for method, url, body in requests
    ]
    return json.dumps({"resourceType": "Bundle", "type": "transaction", "entry": entries}).encode()


@pytest.fixture
def ingest(hc_assets, data_dir, tmp_path):
    """Ingest bytes as files; give the batch's key."""

    def run(**files: bytes) -> str:
        folder = tmp_path / f"in-{len(list(tmp_path.iterdir()))}"
        folder.mkdir()
        for name, data in files.items():
            (folder / name.replace("__", ".")).write_bytes(data)
        before = keys(data_dir)
        result = hc_assets("ingest", folder, "--kind", "fhir")
        assert result.exit_code == 0, result.output
        (key,) = keys(data_dir) - before
        return key

    return run


def keys(data_dir: Path) -> set[str]:
    return {path.name for path in (data_dir / "batches" / "fhir").glob("[0-9]*")}


def lines(path: Path) -> list[Resource]:
    return [json.loads(line) for line in path.read_bytes().splitlines()]


def test_an_export_and_its_deletions_read_back_are_the_same_resources(
    hc_assets, ingest, query, data_dir, tmp_path, monkeypatch
):
    first = ingest(
        a__json=transaction(
            ("PUT", "Patient/p1", patient("p1", birthDate="1950-01-01")),
            ("PUT", "Observation/o1", observation("o1", "Patient/p1")),
            ("PUT", "Patient/p2", patient("p2")),
        ),
        bad__ndjson=json.dumps(patient("bad", gender=5)).encode(),
    )
    exports = data_dir / "exports" / "fhir"
    manifest = json.loads((exports / "manifest.json").read_bytes())
    assert {each["type"]: each["count"] for each in manifest["output"]} == {
        "Observation": 1,
        "Patient": 2,
    }
    (error,) = lines(exports / manifest["error"][0]["url"])
    assert "Patient.gender" in [issue["expression"][0] for issue in error["issue"]]
    full = tmp_path / "full"
    assert hc_assets("export", full).exit_code == 0

    ingest(
        a__json=transaction(
            ("DELETE", "Patient/p2", None),
            ("PUT", "Observation/o1", observation("o1", "Patient/p1", "z")),
        )
    )
    later = tmp_path / "later"
    result = hc_assets("export", later, "--since", first)
    assert result.stdout == "Observation.ndjson\t1\ndeleted/Patient.ndjson\t1\n"
    ours = query(CURRENT)
    assert [(row[2], row[3], row[5]) for row in ours] == [
        ("o1", 2, False),
        ("p1", 1, False),
        ("p2", 2, True),
    ]

    monkeypatch.setenv("HC_DATA_DIR", str(tmp_path / "other"))
    monkeypatch.setenv("DAGSTER_HOME", "")
    for folder in (full, later):
        result = hc_assets("ingest", folder, "--kind", "fhir")
        assert result.exit_code == 0, result.output
    import duckdb

    with duckdb.connect(tmp_path / "other" / "warehouse.duckdb", read_only=True) as connection:
        theirs = connection.sql(CURRENT).fetchall()
        reasons = connection.sql(
            "SELECT issues[1].diagnostics FROM fhir.quarantined_resources"
        ).fetchall()
    report = json.loads(hc_assets("report", "--format", "json").stdout)
    failed = {each["check"] for each in report["checks"] if each["passed"] is not True}
    assert failed <= {"mean_quality_at_least_threshold"}  # as that of what was exported
    (whole,) = [each for each in report["checks"] if each["check"] == "export_complete"]
    assert "2 Bulk Data exports: nothing is missing of 4 files" in whole["explanation"]
    assert [row[:6] + row[-1:] for row in theirs] == [row[:6] + row[-1:] for row in ours]
    assert {reason.partition(":")[0] for (reason,) in reasons} == {
        "a Bulk Data manifest",
        "an OperationOutcome",
    }


@pytest.mark.parametrize("type_", ["collection", "searchset", "batch"])
def test_a_bundle_that_was_made_reads_back(ingest, query, type_):
    resources = [patient("p1"), observation("o1", "Patient/p1")]
    sent = [json.dumps(each).encode() for each in resources]
    ingest(a__json=create_bundle(type_, sent, base_url="https://example.org/fhir"))
    found = query("SELECT resource_type, resource_id FROM fhir.current_resources ORDER BY ALL")
    assert found == [("Observation", "o1"), ("Patient", "p1")]
    assert query("SELECT count(*) FROM fhir.quarantined_resources") == [(0,)]


def test_a_replay_moves_on_what_a_changed_rule_lets_pass_and_counts_nothing_twice(
    hc_assets, ingest, query, data_dir, monkeypatch
):
    monkeypatch.setenv("HC_FHIR_RULES_AS_ERRORS", '["patient-has-name"]')
    nameless = {"resourceType": "Patient", "id": "n1"}
    key = ingest(
        a__ndjson=b"\n".join(
            json.dumps(each).encode() for each in (patient("p1"), nameless, patient("q", gender=5))
        )
    )
    counts = "SELECT count(*) FROM fhir."
    assert query(f"{counts}quarantined_resources") == [(2,)]
    unchanged = hc_assets("replay", key)
    assert unchanged.exit_code == 0, unchanged.stderr
    assert unchanged.stdout == "moved\t0\nleft\t2\n"

    monkeypatch.setenv("HC_FHIR_RULES_AS_ERRORS", "[]")
    changed = hc_assets("replay", key)
    assert (changed.exit_code, changed.stdout) == (0, "moved\t1\nleft\t1\n"), changed.stderr
    for table, rows in (
        ("raw_bundles", 3),
        ("validated_resources", 2),
        ("quarantined_resources", 1),
        ("enriched_resources", 2),
        ("current_resources", 2),
    ):
        assert query(f"{counts}{table}") == [(rows,)], table
    assert {each["id"] for each in lines(data_dir / "exports" / "fhir" / "Patient.ndjson")} == {
        "p1",
        "n1",
    }
    before = sorted((data_dir / "lake" / "fhir").rglob("part-*"))
    again = hc_assets("replay", key)
    # Whatever a library warns of on a busy machine goes to stderr, too: it says nothing of this.
    assert (again.exit_code, again.stdout) == (0, "moved\t0\nleft\t1\n"), again.stderr
    assert sorted((data_dir / "lake" / "fhir").rglob("part-*")) == before
    report = json.loads(hc_assets("report", "--format", "json").stdout)
    named = {each["check"]: each["passed"] for each in report["checks"]}
    for check in (
        "every_entry_accounted_for",
        "current_rows_unique",
        "exports_equal_current_rows",
    ):
        assert named[check], check


def test_a_batch_that_is_not_there_is_wrong_usage(hc_assets, ingest, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    ingest(a__json=json.dumps(patient("p1")).encode())
    for arguments in (("replay", "nowhere"), ("export", "x", "--since", "nowhere")):
        result = hc_assets(*arguments)
        assert result.exit_code == 2, arguments
        assert "nowhere: expected" in result.stderr, arguments
