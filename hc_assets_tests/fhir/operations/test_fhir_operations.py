import json
from typing import Any

import dagster as dg
import msgspec
import pytest
from fhir.resources.R4B.provenance import Provenance

from hc_assets.fhir.enrichment.extension_definitions import published
from hc_assets.fhir.operations import batch_provenance
from hc_assets.fhir.operations.pipeline_metrics import totals
from hc_assets.fhir.operations.provenance import Step
from hc_assets.fhir.operations.trend_plots import trend_markdown, trend_png
from hc_assets.fhir.validation import has_errors, validate
from hc_assets.fhir.validation.problems import internal_errors
from hc_assets.lake.layout import Layout
from hc_assets.settings import Settings
from hc_assets_tests.conftest import DataFolder

BASE = Settings.model_fields["fhir_extension_base"].default


def lines(*resources: dict[str, Any]) -> str:
    return "".join(json.dumps(each) + "\n" for each in resources)


def patient(number: int, **members: Any) -> dict[str, Any]:
    return {"resourceType": "Patient", "id": f"p{number}", "gender": "female", **members}


def of_patient(type_: str, number: int, subject: str, **members: Any) -> dict[str, Any]:
    made = {"resourceType": type_, "id": f"{type_.lower()}{number}"}
    return {**made, "subject": {"reference": subject}, **members}


@pytest.fixture(scope="module")
def ingested(tmp_path_factory) -> DataFolder:
    """Two batches: of 20 patients, and of 20 that have lost their gender and know their birth."""
    files = tmp_path_factory.mktemp("files")
    folder = DataFolder(tmp_path_factory.mktemp("operations") / "data")

    def ingest(name: str, *resources: dict[str, Any]) -> None:
        path = files / f"{name}.ndjson"
        path.write_text(lines(*resources) + '{"resourceType": "Jane Doe"}\n')
        assert folder.run("ingest", path).exit_code == 0

    ingest(
        "first",
        *(patient(n) for n in range(20)),
        of_patient("Condition", 1, "Patient/p1"),
        of_patient("Condition", 2, "Patient/nobody"),
        of_patient("Condition", 3, "https://example.org/fhir/Patient/p1"),
    )
    second = [{k: v for k, v in patient(n).items() if k != "gender"} for n in range(20, 40)]
    ingest("second", *({**each, "birthDate": "1980-01-01"} for each in second))
    return folder


def outcomes(folder: DataFolder) -> dict[str, dict[str, Any]]:
    report = msgspec.json.decode(folder.run("report", "--format", "json").stdout)
    return {check["check"]: check for check in report["checks"]}


def test_operations_tell_how_the_pipeline_does(ingested):
    query = ingested.query
    rows = query(
        "SELECT files, entries, valid, quarantined, seconds > 0, entries_per_second > 0 "
        "FROM fhir.pipeline_metrics ORDER BY batch"
    )
    assert rows == [(1, 24, 23, 1, True, True), (1, 21, 20, 1, True, True)]
    by_type = query(
        "SELECT t.resource_type, t.entries, t.valid, t.quarantined, t.scored "
        "FROM (SELECT unnest(by_type) AS t FROM fhir.pipeline_metrics ORDER BY batch)"
        " LIMIT 3"
    )
    # Whatever stands where a type should stand is not shown.
    assert by_type == [
        ("Condition", 3, 3, 0, 3),
        ("Patient", 20, 20, 0, 20),
        ("unknown", 1, 0, 1, 0),
    ]
    assert query("SELECT avg(mean_quality) BETWEEN 0.1 AND 0.9 FROM fhir.pipeline_metrics") == [
        (True,)
    ]
    found = outcomes(ingested)
    assert found["references_resolve"]["value"] == 1.0
    assert found["references_resolve"]["severity"] == "WARN"
    assert found["schema_is_steady"]["value"] == 2.0
    assert found["enriched_resources_valid"]["passed"] is True
    assert found["enriched_resources_valid"]["is_blocking"] is False
    assert found["mean_quality_at_least_threshold"]["passed"] is False
    assert found["quarantine_rate_by_rule"]["passed"] is True


def test_each_step_of_a_batch_has_a_provenance_that_leaves_with_the_data(ingested):
    rows = ingested.query(
        "SELECT batch, step, resource_id, resource FROM fhir.provenance_resources ORDER BY batch"
    )
    assert len(rows) == 6
    exports = ingested.path / "exports"
    lines = (exports / "fhir_provenance" / "Provenance.ndjson").read_bytes().splitlines()
    assert sorted(lines) == sorted(row[3] for row in rows)
    definitions = {path.name for path in (exports / "fhir_definitions").iterdir()}
    assert definitions == set(published(BASE))
    for batch, step, id_, resource in rows:
        assert not has_errors(validate(resource))
        Provenance.model_validate_json(resource)
        made = json.loads(resource)
        assert made["id"] == id_ == f"{batch}-{step}"
        assert made["agent"][0]["who"]["identifier"]["value"].startswith(f"{step}/")
        for named in (*made["target"], *(each["what"] for each in made["entity"])):
            assert len(named["identifier"]["value"]) == 64
    validated = json.loads(next(row[3] for row in rows if row[1] == "validate"))
    counts = [target["extension"][0]["valueUnsignedInt"] for target in validated["target"]]
    assert sorted(counts) in ([1, 20], [1, 23])


def test_metrics_of_batches_that_have_not_changed_are_kept(ingested):
    with dg.DagsterInstance.from_config(str(ingested.path / "dagster")) as instance:
        key = dg.AssetKey(["fhir", "pipeline_metrics"])
        records = instance.fetch_materializations(key, limit=2).records
    counted = [record.asset_materialization.metadata["batches_counted"].value for record in records]
    assert counted == [1, 1]
    trends = records[0].asset_materialization.metadata["trends"].value
    assert trends.startswith("![")
    assert len(trends) < 64 * 1024


# --- Totals and trends ---


def row(batch: str, **members: Any) -> dict[str, Any]:
    made = {
        "batch": batch,
        "entries": 10,
        "valid": 9,
        "quarantined": 1,
        "error_rate": 0.1,
        "not_data": 0,
    }
    made |= {"mean_quality": 0.9, "seconds": 2.0, "entries_per_second": 5.0}
    by_type = [{"resource_type": "Patient", "entries": 10}]
    made |= {"by_type": by_type, "quarantined_by_rule": [{"rule": "dom-2", "entries": 1}]}
    return made | members


def test_totals_add_up_over_batches():
    rows = [row("a"), row("b"), row("c", seconds=None, entries_per_second=None)]
    assert totals(rows) == {
        "batches": 3,
        "entries": 30,
        "valid": 27,
        "quarantined": 3,
        "not_data": 0,
        "error_rate": 0.1,
        "entries_per_second": 5.0,  # of those that were measured
        "entries_by_type": {"Patient": 30},
        "quarantined_by_rule": {"dom-2": 3},
    }
    assert totals([])["error_rate"] == 0.0


@pytest.mark.parametrize("count", [0, 1, 80])
def test_trends_are_a_small_picture_that_the_same_rows_always_give(count):
    rows = [row(f"2026010{n}T000000Z-x", mean_quality=None) for n in range(count)]
    picture = trend_png(rows)
    assert picture.startswith(b"\x89PNG")
    assert len(trend_markdown(rows)) < 64 * 1024
    assert trend_png(rows) == picture


def test_a_provenance_that_raises_costs_its_step_its_own(ingested, monkeypatch):
    made = batch_provenance.provenance

    def failing(step: Step, **named: Any) -> bytes:
        if step.name == "validate":
            raise MemoryError("Jane Doe")
        return made(step, **named)

    monkeypatch.setattr(batch_provenance, "provenance", failing)
    ((batch,), *_) = ingested.query("SELECT batch FROM fhir.provenance_resources ORDER BY batch")
    rows = batch_provenance.batch_provenance(Layout.of(ingested.path), str(batch), BASE)
    assert rows["step"].to_pylist() == ["split", "validate", "enrich"]
    assert [each is None for each in rows["resource"].to_pylist()] == [False, True, False]
    ((error, count),) = internal_errors(rows["issues"].chunks).items()
    assert count == 1
    assert error.startswith("MemoryError at ")
    assert "Jane" not in str(rows["issues"])
