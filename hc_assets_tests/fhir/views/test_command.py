"""`hc-assets views check` and `run`, on files and on the lake."""

import json
from pathlib import Path

import pyarrow.parquet as pq
import pytest

PATIENT = {
    "resourceType": "Patient",
    "id": "p",
    "name": [{"given": ["Ann", "B."]}],
    "multipleBirthInteger": 2,
}
OBSERVATION = (
    '{"resourceType":"Observation","id":"o","status":"final","code":{"text":"a, \\"b\\""},'
    '"valueQuantity":{"value":1.00}}'
)
VIEW = {
    "resource": "Patient",
    "select": [
        {
            "column": [
                {"name": "key", "path": "getResourceKey()"},
                {"name": "given", "path": "name.given", "collection": True},
                {"name": "births", "path": "multipleBirth.ofType(integer)"},
                {"name": "is_active", "path": "active"},
                {"name": "has_name", "path": "name.exists()"},
            ]
        }
    ],
}
VALUES = {
    "resource": "Observation",
    "select": [
        {
            "column": [
                {"name": "text", "path": "code.text"},
                {"name": "value", "path": "value.ofType(Quantity).value"},
            ]
        }
    ],
}


@pytest.fixture
def view(tmp_path: Path) -> Path:
    file = tmp_path / "view.json"
    file.write_text(json.dumps(VIEW))
    return file


@pytest.fixture
def values(tmp_path: Path) -> Path:
    file = tmp_path / "values.json"
    file.write_text(json.dumps(VALUES))
    return file


@pytest.fixture
def resources(tmp_path: Path) -> Path:
    """A folder of a bundle and of NDJSON."""
    folder = tmp_path / "resources"
    folder.mkdir()
    bundle = {"resourceType": "Bundle", "type": "collection", "entry": [{"resource": PATIENT}]}
    (folder / "a.json").write_text(json.dumps(bundle))
    (folder / "b.ndjson").write_text(f'{OBSERVATION}\n{{"resourceType":"Patient","id":"q"}}\n')
    return folder


def test_rows_of_files_come_as_csv(hc_assets, view, values, resources):
    done = hc_assets("views", "run", view, resources)
    assert done.stdout == (
        "key,given,births,is_active,has_name\n"
        'Patient/p,"[""Ann"",""B.""]",2,,true\n'
        "Patient/q,[],,,false\n"
    )
    assert hc_assets("views", "run", values, resources).stdout == 'text,value\n"a, ""b""",1.00\n'


def test_rows_come_as_ndjson_with_numbers_as_they_were_written(hc_assets, view, values, resources):
    done = hc_assets("views", "run", values, resources, "--format", "ndjson")
    assert done.stdout == '{"text":"a, \\"b\\"","value":1.00}\n'
    first = hc_assets("views", "run", view, resources, "--format", "ndjson").stdout.split("\n")[0]
    assert json.loads(first) == {
        "key": "Patient/p",
        "given": ["Ann", "B."],
        "births": 2,
        "is_active": None,
        "has_name": True,
    }


def test_rows_go_to_a_file_whose_name_says_the_format(hc_assets, view, resources, tmp_path):
    for name in ("rows.parquet", "rows.ndjson", "rows.csv", "rows.txt"):
        assert hc_assets("views", "run", view, resources, "--out", tmp_path / name).exit_code == 0
    assert pq.read_table(tmp_path / "rows.parquet")["births"].to_pylist() == [2, None]
    assert (tmp_path / "rows.ndjson").read_text().startswith('{"key":"Patient/p"')
    assert (tmp_path / "rows.csv").read_text() == (tmp_path / "rows.txt").read_text()


def test_rows_of_the_lake_are_those_of_its_current_resources(hc_assets, view, resources, tmp_path):
    assert hc_assets("views", "run", view).stdout.splitlines() == [
        "key,given,births,is_active,has_name"
    ]
    assert hc_assets("ingest", resources).exit_code == 0
    later = tmp_path / "later.ndjson"
    later.write_text(json.dumps(PATIENT | {"active": True}))
    assert hc_assets("ingest", later).exit_code == 0
    rows = hc_assets("views", "run", view).stdout.splitlines()
    assert rows[1:] == ["Patient/q,[],,,false", 'Patient/p,"[""Ann"",""B.""]",2,true,true']


def test_what_a_view_can_not_be_evaluated_on_is_counted_without_values(
    hc_assets, tmp_path, resources
):
    file = tmp_path / "one.json"
    columns = [{"name": "given", "path": "name.given"}]
    file.write_text(json.dumps({"resource": "Patient", "select": [{"column": columns}]}))
    done = hc_assets("views", "run", file, resources)
    assert done.exit_code == 1
    assert done.stdout == "given\n\n" or done.stdout == 'given\n""\n'
    assert "1 resources refused: select[0].column[0].path: several values" in done.stderr
    assert "Ann" not in done.stderr


def test_check_prints_each_fault_with_its_path(hc_assets, view, tmp_path):
    assert hc_assets("views", "check", view).exit_code == 0
    assert hc_assets("views", "check", view).stdout == ""
    faulty = tmp_path / "faulty.json"
    faulty.write_text(
        json.dumps(VIEW | {"where": [{"path": "name.nope("}], "resource": "Patients"})
    )
    done = hc_assets("views", "check", view, faulty)
    assert done.exit_code == 1
    assert done.stdout.startswith(f"{faulty}: resource: found 'Patients'")
    run = hc_assets("views", "run", faulty, tmp_path)
    assert (run.exit_code, run.stdout) == (2, "")
    assert "resource: found 'Patients'" in run.stderr


def test_wrong_usage_and_what_is_not_there_are_said(hc_assets, view, tmp_path):
    for arguments, code in (
        (["check", tmp_path / "none.json"], 3),
        (["run", tmp_path / "none.json"], 3),
        (["run", view, tmp_path / "none"], 3),
        (["run", view, "--format", "xml"], 2),
        (["run", view, "--format", "parquet"], 2),
    ):
        assert hc_assets("views", *arguments).exit_code == code
