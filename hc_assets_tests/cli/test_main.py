import json
import os
import subprocess
import sys

import msgspec
import pytest

from hc_assets_tests.conftest import DataFolder

TEXT = {"status": "generated", "div": '<div xmlns="http://www.w3.org/1999/xhtml">A patient</div>'}
NAME = [{"family": "Made-Up"}]
GOOD = {"resourceType": "Patient", "id": "p1", "text": TEXT, "name": NAME, "gender": "female"}
BAD = GOOD | {"id": "p2", "gender": "unheard-of", "age": 7}


@pytest.fixture
def good(tmp_path):
    path = tmp_path / "good.json"
    path.write_text(json.dumps(GOOD))
    return path


@pytest.fixture(scope="module")
def ingested(tmp_path_factory) -> DataFolder:
    """A data folder that a valid file went through."""
    path = tmp_path_factory.mktemp("files") / "good.json"
    path.write_text(json.dumps(GOOD))
    folder = DataFolder(tmp_path_factory.mktemp("ingested") / "data")
    assert folder.run("ingest", path).exit_code == 0
    return folder


@pytest.fixture
def bad(tmp_path):
    path = tmp_path / "bad.ndjson"
    path.write_text(json.dumps(GOOD) + "\n" + json.dumps(BAD) + "\n")
    return path


def test_validate_prints_no_issue_of_a_valid_file(hc_assets, good):
    result = hc_assets("validate", good)
    assert (result.exit_code, result.stdout) == (0, "")
    assert "1 resources, 0 invalid" in result.stderr


def test_validate_names_file_place_rule_and_what_was_found(hc_assets, bad):
    result = hc_assets("validate", bad)
    assert result.exit_code == 1
    lines = result.stdout.splitlines()
    assert all(line.startswith(f"{bad}:1: Patient: error ") for line in lines)
    assert any("required-binding at Patient.gender: " in line for line in lines)
    assert any("unknown-member at Patient.age: " in line for line in lines)
    assert "--show-values" in result.stderr


def test_validate_shows_ids_and_values_to_who_asks(hc_assets, bad):
    result = hc_assets("validate", bad, "--show-values")
    assert result.exit_code == 1
    lines = result.stdout.splitlines()
    assert all(line.startswith(f"{bad}:1: Patient/p2: error ") for line in lines)
    assert any("unknown-member at Patient.age: " in line for line in lines)
    outcome = hc_assets("validate", bad, "--show-values", "--format", "ndjson").stdout
    assert f"found code '{BAD['gender']}'" in outcome


def test_validate_prints_an_operation_outcome_per_resource_with_issues(hc_assets, bad):
    result = hc_assets("validate", bad, "--format", "ndjson")
    (line,) = result.stdout.splitlines()
    outcome = json.loads(line)
    assert outcome["resourceType"] == "OperationOutcome"
    assert {issue["severity"] for issue in outcome["issue"]} == {"error"}
    assert ["Patient.gender"] in [issue["expression"] for issue in outcome["issue"]]


def test_validate_goes_on_after_a_file_that_is_not_there(hc_assets, bad, tmp_path):
    result = hc_assets("validate", tmp_path / "nothing.json", bad)
    assert result.exit_code == 3
    assert "no such file" in result.stderr
    assert f"{bad}:1: Patient: error" in result.stdout


def test_validate_walks_folders(hc_assets, good, bad, tmp_path):
    result = hc_assets("validate", tmp_path)
    assert "3 resources, 1 invalid" in result.stderr


def test_land_prints_the_keys_of_new_batches_only(hc_assets, good, data_dir):
    first = hc_assets("land", good)
    assert (data_dir / "batches" / "fhir" / first.stdout.strip() / "manifest.json").exists()
    second = hc_assets("land", good)
    assert (second.exit_code, second.stdout) == (0, "")
    assert "1 were known" in second.stderr


def test_land_takes_the_kind_option(hc_assets, good, data_dir):
    assert hc_assets("land", good, "--kind", "dicom").exit_code == 0
    assert (data_dir / "batches" / "dicom").exists()


def test_land_of_nothing_is_exit_code_3(hc_assets, tmp_path):
    assert hc_assets("land", tmp_path / "nothing").exit_code == 3


def test_files_of_no_known_kind_are_wrong_usage(hc_assets, tmp_path):
    (tmp_path / "notes.txt").write_text("notes")
    result = hc_assets("land", tmp_path / "notes.txt")
    assert result.exit_code == 2
    assert "choose it with --kind" in result.stderr


def test_files_of_no_known_kind_are_called_what_they_are(hc_assets, tmp_path):
    (tmp_path / "a.hl7").write_text("MSH|^~\\&|LAB|X\r")
    result = hc_assets("land", tmp_path / "a.hl7")
    assert result.exit_code == 2
    assert "an HL7 version 2 message" in result.stderr
    assert "choose it with --kind" in result.stderr


def test_a_wrong_option_is_exit_code_2(hc_assets, good):
    assert hc_assets("ingest", good, "--nonsense").exit_code == 2


def test_a_data_folder_that_cannot_be_made_is_exit_code_4(hc_assets, good, monkeypatch, tmp_path):
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("HC_DATA_DIR", str(tmp_path / "file" / "data"))
    result = hc_assets("ingest", good)
    assert result.exit_code == 4
    assert "Not a directory" in result.stderr


def test_ingest_prints_rows_per_table_on_stdout(hc_assets, bad):
    result = hc_assets("ingest", bad)
    assert result.exit_code == 0
    rows = dict(line.split("\t") for line in result.stdout.splitlines())
    assert rows == {
        "fhir/raw_bundles": "2",
        "fhir/validated_resources": "1",
        "fhir/quarantined_resources": "1",
        "fhir/enriched_resources": "1",
        "fhir/provenance_resources": "3",
    }


def test_report_as_json_holds_every_check(ingested):
    result = ingested.run("report", "--format", "json")
    report = msgspec.json.decode(result.stdout)
    assert result.exit_code == 0
    assert report["summary"]["failed"] == 0
    ran = {check["check"] for check in report["checks"]}
    ran_on_batches = {"every_entry_accounted_for", "validation_rate_at_least_threshold"}
    assert ran_on_batches <= ran
    assert all(check["batch"] for check in report["checks"] if check["check"] in ran_on_batches)


def test_report_can_go_to_a_file(ingested, tmp_path):
    result = ingested.run("report", "--out", tmp_path / "report.txt")
    assert result.stdout == ""
    assert "PASS  ERROR  fhir/validated_resources" in (tmp_path / "report.txt").read_text()


def test_help_lists_the_exit_codes(hc_assets):
    text = " ".join(hc_assets("--help").stdout.split())
    assert "0 done and nothing found" in text
    assert "4 the environment is at fault" in text


def test_validate_starts_without_dagster(good):
    code = (
        "import sys; from hc_assets.cli.main import app;"
        "app(sys.argv[1:], standalone_mode=False); sys.exit('dagster' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, "validate", str(good)], check=False, env=dict(os.environ)
    )
    assert done.returncode == 0


def test_no_patient_data_is_shown_while_ingesting(hc_assets, tmp_path):
    path = tmp_path / "x.ndjson"
    path.write_text(
        '{"resourceType":"Patient","id":"zq-id-1","name":[{"family":"Zq-Family"}]}\n'
        '{"resourceType":"Patient","id":"zq-id-2","birthDate":"zq-date"}\n'
        '{"resourceType":"Patient","id":"zq-id-3"'
    )
    printed = hc_assets("ingest", path).output + hc_assets("report").output
    assert "zq" not in printed.lower()


def test_the_default_instance_is_made_where_dagster_home_says_so_too(
    hc_assets, good, data_dir, monkeypatch
):
    monkeypatch.setenv("DAGSTER_HOME", str(data_dir / "dagster"))
    assert hc_assets("ingest", good).exit_code == 0
    assert (data_dir / "dagster" / "dagster.yaml").exists()


def test_another_dagster_home_that_is_not_there_is_exit_code_4(
    hc_assets, good, monkeypatch, tmp_path
):
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path / "mistyped"))
    result = hc_assets("ingest", good)
    assert result.exit_code == 4
    assert "mistyped" in result.stderr
