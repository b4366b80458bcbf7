"""Tables of views follow the current resources by batch, and are the same from scratch."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from hc_assets.core.columns import note
from hc_assets.core.domain import Catalog
from hc_assets.domains import warehouse_of
from hc_assets.fhir.views.declared import PREFIX, view_files
from hc_assets.fhir.views.schemas import TABLES, declared_view
from hc_assets.fhir.views.shares import Share, shares_in
from hc_assets.fhir.views.table import ViewTable
from hc_assets.fhir.views.update import UpdatedView, plan, updated
from hc_assets.fhir.views.verdicts import columns_as_declared, every_resource_accounted_for
from hc_assets.fhir.views.workers import make_shares
from hc_assets.lake.layout import Layout
from hc_assets.lake.parts import Commit, commit, read_commit
from hc_assets.lake.tables import read_partition
from hc_assets_tests.conftest import DataFolder

PATIENT = {"resourceType": "Patient", "id": "p", "gender": "female"}


def observation(id_: str, value: str, **members: Any) -> str:
    """An Observation whose value is written as it is here."""
    text = json.dumps(
        {
            "resourceType": "Observation",
            "id": id_,
            "status": "final",
            "code": {"text": "x"},
            "subject": {"reference": "Patient/p"},
            "valueQuantity": {"value": "@", "unit": "mg"},
        }
        | members
    )
    return text.replace('"@"', value)


def bundle(*entries: dict[str, Any]) -> str:
    return json.dumps({"resourceType": "Bundle", "type": "transaction", "entry": list(entries)})


class Lake:
    """A lake without assets of views, whose tables are brought up here as the asset does."""

    def __init__(self, folder: DataFolder) -> None:
        self.folder, self.layout = folder, Layout.of(folder.path)
        self._count = 0

    def ingest(self, text: str, suffix: str = "ndjson") -> str:
        """Ingest a file; its batch."""
        self._count += 1
        file = self.folder.path.parent / f"{self._count}.{suffix}"
        file.write_text(text)
        before = set(self.batches())
        assert self.folder.run("ingest", file).exit_code == 0
        (new,) = set(self.batches()) - before
        return new

    def batches(self) -> list[str]:
        return [p.name for p in self.layout.batches("fhir").glob("2*")]

    def update(self, *views: str) -> dict[str, UpdatedView]:
        """Bring tables up, as the asset does."""
        with warehouse_of(self.layout).read() as connection:
            planned = plan(connection, self.layout, views)
        made = [share for work in planned.work for share in make_shares(work)]
        found = {each.view: each for each in updated(planned, made)}
        for view, each in found.items():
            table = f"{PREFIX}{view}"
            version = TABLES[table].code_version
            commit(self.layout, table, None, each.parts, inputs=each.inputs, code_version=version)
        return found

    def rows(self, view: str) -> list[dict[str, Any]]:
        return read_partition(self.layout, f"{PREFIX}{view}", None).to_table().to_pylist()

    def commit(self, view: str) -> Commit:
        made = read_commit(self.layout.partition(f"{PREFIX}{view}", None))
        assert made is not None
        return made


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Lake:
    """A lake of one batch: a patient and two observations."""
    made = Lake(DataFolder(tmp_path_factory.mktemp("lake") / "data"))
    lines = [json.dumps(PATIENT), observation("a", "1.00"), observation("b", "2.0")]
    made.ingest("\n".join(lines))
    return made


@pytest.fixture(autouse=True)
def _shipped(shipped_catalog: Catalog) -> None:
    """The views that come with the package are there."""


def test_tables_follow_what_batches_bring_replace_and_delete(lake):
    made = lake.update("observation", "patient")
    assert (made["observation"].made, made["observation"].resources) == (1, 2)
    assert [(r["observation_key"], r["value"]) for r in lake.rows("observation")] == [
        ("Observation/a", "1.00"),
        ("Observation/b", "2.0"),
    ]
    assert {r["patient_key"] for r in lake.rows("observation")} == {
        r["patient_key"] for r in lake.rows("patient")
    }
    kept = lake.commit("patient").parts

    second = lake.ingest("\n".join([observation("b", "2.50"), observation("c", "3")]))
    made = lake.update("observation", "patient")
    assert (made["observation"].made, made["patient"].made) == (2, 0), "only what has changed"
    assert [r["value"] for r in lake.rows("observation")] == ["1.00", "2.50", "3"]
    assert lake.commit("patient").parts == kept

    third = lake.ingest(bundle({"request": {"method": "DELETE", "url": "Observation/a"}}), "json")
    made = lake.update("observation", "patient")
    assert made["observation"].made == 0, "a share of nothing is none"
    assert [r["value"] for r in lake.rows("observation")] == ["2.50", "3"]
    assert set(shares_in(lake.commit("observation"))) == {second}

    assert lake.folder.run("batches", "retract", third, "--reason", "a test").exit_code == 0
    lake.update("observation", "patient")
    assert [r["value"] for r in lake.rows("observation")] == ["1.00", "2.50", "3"]
    assert lake.folder.run("batches", "retract", second, "--reason", "a test").exit_code == 0
    lake.update("observation", "patient")
    assert [r["value"] for r in lake.rows("observation")] == ["1.00", "2.0"]

    before = {view: lake.commit(view) for view in ("observation", "patient")}
    for view in before:
        folder = lake.layout.partition(f"{PREFIX}{view}", None)
        for path in folder.iterdir():
            path.unlink()
    lake.update("observation", "patient")
    assert {view: lake.commit(view) for view in before} == before, "the same bytes from scratch"


def test_a_part_that_is_gone_is_made_again(lake):
    lake.update("observation")
    before = lake.commit("observation")
    (lake.layout.partition(f"{PREFIX}observation", None) / before.parts[0].name).unlink()
    lake.update("observation")
    assert lake.commit("observation") == before


def test_rows_are_told_apart_by_their_source(lake):
    patient = json.dumps(PATIENT | {"gender": "male"})
    file = lake.folder.path.parent / "other.ndjson"
    file.write_text(patient)
    assert lake.folder.run("ingest", file, "--source", "clinic").exit_code == 0
    lake.update("patient")
    found = {(row["patient_key"], row["source"], row["gender"]) for row in lake.rows("patient")}
    assert found == {("Patient/p", None, "female"), ("Patient/p", "clinic", "male")}


def test_each_view_that_comes_along_is_generated_and_says_what_its_columns_are(shared_data):
    bundles = sorted((shared_data / "fhir" / "synthea_bundles").glob("*.json"))[:2]
    resources = [
        json.dumps(entry["resource"]).encode()
        for path in bundles
        for entry in json.loads(path.read_bytes())["entry"]
    ]
    assert len(view_files()) == 12
    for name in view_files():
        view = declared_view(name)
        assert view.name == name
        assert view.title
        assert all(column.type and column.description for column in view.columns())
        fast, general = ViewTable(view), ViewTable(view, general=True)
        assert fast.is_generated
        assert fast.rows(resources) == general.rows(resources)


def test_blood_pressures_have_both_values_in_one_row():
    def coded(code: str, **others: Any) -> dict[str, Any]:
        coding = [{"system": "http://example.org", "code": "x"}]
        return {
            "code": {"coding": [*coding, {"system": "http://loinc.org", "code": code}]},
            **others,
        }

    unit = {"unit": "mmHg", "code": "mm[Hg]"}
    absent = {"coding": [{"code": "unknown"}]}
    components = [
        coded("8462-4", valueQuantity={"value": 76, **unit}),
        coded("8480-6", dataAbsentReason=absent),
    ]
    measured = {"resourceType": "Observation", "id": "o", "component": components}
    others = [measured | coded(code) for code in ("85354-9", "8480-6")]
    made = ViewTable(declared_view("us_core_blood_pressure")).rows(
        [json.dumps(each).encode() for each in others]
    )
    (row,) = made.rows.to_pylist()
    assert {name: value for name, value in row.items() if value is not None} == {
        "observation_key": "Observation/o",
        "systolic_absent_reason": "unknown",
        "diastolic": "76",
        "diastolic_unit": "mmHg",
        "diastolic_unit_code": "mm[Hg]",
    }


def test_columns_are_made_from_current_resources(shipped_catalog):
    for table in (name for name in shipped_catalog.tables if name.startswith(PREFIX)):
        assert all(note(field).description for field in shipped_catalog.schemas[table])
        made_from = {s for each in shipped_catalog.column_sources(table).values() for s in each}
        assert {source.table for source in made_from} == {"fhir/current_resources"}


def test_the_check_counts_what_was_read_and_refused():
    shares = {"a": Share("d", 3, 1, {"select[0]: why": 1}), "b": Share("e", 2, 1)}
    verdict = every_resource_accounted_for(5, shares)
    assert verdict.passed
    assert verdict.counts == {"arrived": 5, "kept": 4, "set_aside": 1, "select[0]: why": 1}
    assert not every_resource_accounted_for(6, shares).passed
    wanted = pa.schema([pa.field("a", pa.string())])
    assert columns_as_declared(wanted, [wanted, wanted]).passed
    assert not columns_as_declared(wanted, [wanted, pa.schema([pa.field("a", pa.int64())])]).passed


@pytest.fixture(scope="module")
def views(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of one view of the user's own."""
    folder = tmp_path_factory.mktemp("views")
    columns = [{"name": "who", "path": "getResourceKey()"}, {"name": "twice", "path": "id & id"}]
    view = {"resource": "Patient", "description": "Whose.", "select": [{"column": columns}]}
    (folder / "own.json").write_text(json.dumps(view))
    return folder


def in_process(data: Path, views: Path, *commands: list[str]) -> Any:
    """Run commands in a process of their own, which the views are read in anew."""
    environment = os.environ | {
        "HC_DATA_DIR": str(data),
        "DAGSTER_HOME": "",
        "HC_VIEWS": str(views),
        "HC_SHIPPED_VIEWS": "true",
    }
    code = (
        "import hc_assets_tests.quick_record\n"
        "from hc_assets.cli.main import app\n"
        f"codes = [app(each, standalone_mode=False) or 0 for each in {commands!r}]\n"
        "raise SystemExit(max(codes))"
    )
    command = [sys.executable, "-c", code]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


def test_ingest_makes_the_tables_and_their_checks_hold(tmp_path, views):
    file = tmp_path / "a.ndjson"
    file.write_text("\n".join([json.dumps(PATIENT), observation("a", "1.00")]))
    out = tmp_path / "report.json"
    commands = ["ingest", str(file)], ["report", "--format", "json", "--out", str(out)]
    done = in_process(tmp_path / "data", views, *commands)
    assert done.returncode == 0, done.stderr
    layout = Layout.of(tmp_path / "data")
    for view in ("own", "observation", "immunization"):
        made = read_commit(layout.partition(f"{PREFIX}{view}", None))
        assert made is not None
        assert made.rows == (0 if view == "immunization" else 1)
    rows = DataFolder(tmp_path / "data").query(
        "SELECT who, twice, value, unit FROM fhir_views.own "
        "JOIN (SELECT patient_key AS who, value, value_unit AS unit FROM fhir_views.observation)"
        " USING (who)"
    )
    assert rows == [("Patient/p", "pp", "1.00", "mg")]
    checks = [
        each
        for each in json.loads(out.read_text())["checks"]
        if each["asset"].startswith(PREFIX) and each["check"].startswith("every")
    ]
    assert len(checks) == 13
    assert all(each["passed"] for each in checks)


def test_a_faulty_view_stops_what_would_run_it_and_is_named_with_the_place(tmp_path, views):
    faulty = tmp_path / "views"
    faulty.mkdir()
    text = (views / "own.json").read_text().replace("id & id", "id.nope()")
    (faulty / "own.json").write_text(text)
    file = tmp_path / "a.ndjson"
    file.write_text(json.dumps(PATIENT))
    done = in_process(tmp_path / "data", faulty, ["ingest", str(file)])
    assert done.returncode == 2
    assert "own.json: select[0].column[1].path: unknown function nope" in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "data" / "lake").exists()
