import errno
import hashlib
import json
from collections import Counter
from typing import Any

import msgspec
import pyarrow as pa
import pytest

from hc_assets.fhir import assets
from hc_assets.fhir.enrichment import judging
from hc_assets.fhir.enrichment.enricher import Enricher
from hc_assets.fhir.validation import Issue, validate, workers
from hc_assets.fhir.validation.business_rules import BusinessRules
from hc_assets.fhir.validation.resource_work import ResourceWork
from hc_assets.fhir.validation.workers import Judged, validate_rows
from hc_assets.lake.parts import PartWriter
from hc_assets_tests.fhir.validation.test_arrival_shapes import shapes


@pytest.fixture
def patients(tmp_path):
    path = tmp_path / "patients.ndjson"
    good = "".join(f'{{"resourceType": "Patient", "id": "p{n}"}}\n' for n in range(8))
    path.write_text(good + '{"resourceType": "Patient", "id": "p0"}\n{"resourceType": "Pat')
    return path


def outcomes(hc_assets) -> dict[str, dict]:
    report = msgspec.json.decode(hc_assets("report", "--format", "json").stdout)
    return {check["check"]: check for check in report["checks"]}


def test_a_low_validation_rate_fails_its_check_and_stops_nothing(hc_assets, query, patients):
    assert hc_assets("ingest", patients).exit_code == 0
    check = outcomes(hc_assets)["validation_rate_at_least_threshold"]
    assert (check["passed"], check["severity"], check["is_blocking"]) == (False, "ERROR", False)
    assert (check["value"], check["threshold"]) == (0.9, 0.95)
    assert query("SELECT count(*) FROM fhir.current_resources") == [(8,)]
    assert hc_assets("report").exit_code == 1


def test_the_threshold_comes_from_settings(hc_assets, patients, monkeypatch):
    monkeypatch.setenv("HC_VALIDATION_RATE_THRESHOLD", "0.9")
    hc_assets("ingest", patients)
    assert outcomes(hc_assets)["validation_rate_at_least_threshold"]["passed"] is True
    assert hc_assets("report").exit_code == 0


def test_an_id_that_comes_twice_is_a_warning(hc_assets, patients):
    hc_assets("ingest", patients)
    check = outcomes(hc_assets)["identifiers_unique"]
    assert (check["passed"], check["severity"], check["value"]) == (False, "WARN", 1.0)


def test_what_is_refused_for_another_release_is_counted_by_release(hc_assets, query, tmp_path):
    r5 = {"resourceType": "Procedure", "id": "a", "recorded": "2024"}
    stu3 = {"resourceType": "Patient", "id": "b", "animal": {"species": {"text": "dog"}}}
    wrong = {"resourceType": "Patient", "id": "c", "gender": "x"}
    profile = "http://hl7.org/fhir/5.0/StructureDefinition/Patient"
    named = {"resourceType": "Patient", "id": "d", "meta": {"profile": [profile]}}
    lines = "\n".join(json.dumps(each) for each in (r5, stu3, wrong, named, r5 | {"id": "e"}))
    (tmp_path / "drop").mkdir()
    (tmp_path / "drop" / "a.ndjson").write_text(lines)
    (tmp_path / "drop" / "b.csv").write_text("Id,NAME\n1,x\n")
    assert hc_assets("ingest", tmp_path / "drop").exit_code == 0
    check = outcomes(hc_assets)["refused_entries_not_of_another_release"]
    assert (check["passed"], check["severity"], check["value"]) == (False, "ERROR", 0.6)
    reasons = query(
        "SELECT issue.diagnostics FROM fhir.quarantined_resources, unnest(issues) AS t(issue)"
        " WHERE issue.rule IN ('fhir-version', 'unreadable') ORDER BY 1"
    )
    assert reasons == [
        ("Patient.animal is STU3",),
        ("Procedure.recorded is R5",),
        ("Procedure.recorded is R5",),
        ("not JSON: the file is CSV",),
    ]


def test_a_lost_entry_blocks_what_is_downstream(hc_assets, query, patients, monkeypatch):
    def losing(work: ResourceWork, rules: BusinessRules, **_: object) -> Judged:
        judged = validate_rows(work, rules)
        return Judged(judged.validated, [], judged.broken_rules)

    monkeypatch.setattr(assets, "validate_rows", losing)

    result = hc_assets("ingest", patients)

    assert result.exit_code == 1
    assert "every_entry_accounted_for" in result.stderr
    assert outcomes(hc_assets)["every_entry_accounted_for"]["passed"] is False
    assert query("SELECT count(*) FROM fhir.enriched_resources") == [(0,)]


def test_a_blocked_batch_is_finished_by_the_next_ingest(hc_assets, query, patients, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(assets, "validate_rows", lambda work, **_: Judged([], [], Counter()))
        assert hc_assets("ingest", patients).exit_code == 1
    assert hc_assets("ingest", patients).exit_code == 0
    assert query("SELECT count(*) FROM fhir.current_resources") == [(8,)]


def test_a_row_that_enrichment_would_break_goes_on_as_it_was_sent(
    hc_assets, query, patients, monkeypatch
):
    enriched = Enricher.enriched

    def spoiling(enricher: Enricher, *arguments: Any, **named: Any) -> Any:
        made = enriched(enricher, *arguments, **named)
        if made.resource_id == "p3":
            return made._replace(resource=made.resource[:-1] + b',"gender":"unheard of"}')
        return made

    monkeypatch.setattr(Enricher, "enriched", spoiling)
    assert hc_assets("ingest", patients).exit_code == 0
    check = outcomes(hc_assets)["enriched_resources_valid"]
    assert (check["passed"], check["severity"], check["is_blocking"]) == (False, "ERROR", False)
    assert (check["value"], check["threshold"]) == (1.0, 0.0)
    assert "required-binding at Patient.gender" in check["explanation"]
    assert "unheard" not in str(check)
    assert query("SELECT count(*) FROM fhir.current_resources") == [(8,)]
    stored = "SELECT resource FROM fhir.current_resources WHERE resource_id = 'p3'"
    assert query(stored) == [(b'{"resourceType": "Patient", "id": "p3"}',)]


def test_a_step_that_raises_is_named_without_its_words(hc_assets, patients, monkeypatch):
    def failing(work: ResourceWork, **_: object) -> Judged:
        raise ZeroDivisionError("Jane Doe")

    monkeypatch.setattr(assets, "validate_rows", failing)
    result = hc_assets("ingest", patients)
    assert result.exit_code == 4
    assert "validated_and_quarantined_resources failed with ZeroDivisionError" in result.stderr
    assert "Jane" not in result.output


def test_a_step_that_raises_says_which_file_it_was_at(hc_assets, patients, monkeypatch):
    def full(writer: PartWriter, batch: pa.RecordBatch) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(PartWriter, "write", full)
    result = hc_assets("ingest", patients)
    assert result.exit_code == 4
    sha256 = hashlib.sha256(patients.read_bytes()).hexdigest()
    assert f"raw_bundles failed with OSError, file {sha256[:12]} of 20" in result.stderr
    assert "patients.ndjson" not in result.stderr


def test_internal_errors_fail_a_check_and_stop_nothing(hc_assets, query, patients, monkeypatch):
    def failing(resource: bytes) -> list[Issue]:
        if b'"p3"' in resource:
            raise RecursionError("Jane Doe")
        return validate(resource)

    monkeypatch.setattr(workers, "validate", failing)
    assert hc_assets("ingest", patients).exit_code == 0
    checks = msgspec.json.decode(hc_assets("report", "--format", "json").stdout)["checks"]
    of_quarantine, of_enriched = (
        next(c for c in checks if (c["check"], c["asset"]) == ("no_internal_errors", asset))
        for asset in ("fhir/quarantined_resources", "fhir/enriched_resources")
    )
    assert (of_quarantine["passed"], of_quarantine["severity"]) == (False, "ERROR")
    assert (of_quarantine["value"], of_quarantine["is_blocking"]) == (1.0, False)
    assert "RecursionError at workers.py:" in of_quarantine["explanation"]
    assert "Jane" not in str(checks)
    assert of_enriched["passed"]
    assert query("SELECT count(*) FROM fhir.current_resources") == [(7,)]


def test_a_resource_whose_enrichment_raises_goes_on_as_it_was_sent(
    hc_assets, query, patients, monkeypatch
):
    enriched = Enricher.enriched

    def failing(enricher: Enricher, *arguments: Any, **named: Any) -> Any:
        made = enriched(enricher, *arguments, **named)
        if made.resource_id == "p3":
            raise MemoryError
        return made

    monkeypatch.setattr(Enricher, "enriched", failing)
    assert hc_assets("ingest", patients).exit_code == 0
    checks = msgspec.json.decode(hc_assets("report", "--format", "json").stdout)["checks"]
    values = {c["asset"]: c["value"] for c in checks if c["check"] == "no_internal_errors"}
    assert values["fhir/enriched_resources"] == 1.0
    sent = b'{"resourceType": "Patient", "id": "p3"}'
    rows = query("SELECT resource FROM fhir.current_resources WHERE resource_id = 'p3'")
    assert rows == [(sent,)]
    rules = "SELECT issues[1].rule, issues[1].severity, quality_score FROM fhir.enriched_resources"
    assert query(f"{rules} WHERE resource_id = 'p3'") == [("internal-error", "warning", None)]


def test_a_resource_that_cannot_be_judged_again_goes_on_as_it_was_sent(
    hc_assets, query, patients, monkeypatch
):
    def failing(address: int, offsets: list[int]) -> list[int]:
        raise AttributeError("Jane Doe")

    monkeypatch.setattr(judging, "undecided", failing)
    assert hc_assets("ingest", patients).exit_code == 0
    report = msgspec.json.decode(hc_assets("report", "--format", "json").stdout)
    checks = {(c["asset"], c["check"]): c for c in report["checks"]}
    check = checks["fhir/enriched_resources", "no_internal_errors"]
    assert (check["passed"], check["severity"], check["value"]) == (False, "ERROR", 9.0)
    assert "AttributeError at workers.py:" in check["explanation"]
    assert "Jane" not in str(checks)
    assert query("SELECT count(*) FROM fhir.current_resources") == [(8,)]


def test_what_arrives_in_one_folder_is_data_invalid_or_no_data(hc_assets, query, tmp_path):
    # In archives are the same files once more
    made = [shape for name, shape in shapes(7).items() if " in " not in name]
    for number, shape in enumerate(made):
        path = tmp_path / "drop" / f"{number}" / f"f{shape.suffix}"
        path.parent.mkdir(parents=True)
        path.write_bytes(shape.content)
    assert hc_assets("ingest", tmp_path / "drop").exit_code == 0
    counts = query(
        "SELECT (SELECT count(*) FROM fhir.raw_bundles),"
        " (SELECT count(*) FROM fhir.validated_resources),"
        " (SELECT count(*) FROM fhir.quarantined_resources WHERE class = 'invalid'),"
        " (SELECT count(*) FROM fhir.quarantined_resources WHERE class = 'not_data')"
    )
    (every, data, invalid, not_data) = counts[0]
    different = {shape.content: shape for shape in made}.values()
    assert invalid == sum(shape.invalid for shape in different)
    assert not_data == sum(shape.not_data for shape in different)
    assert every == data + invalid + not_data
    found = outcomes(hc_assets)
    value = found["validation_rate_at_least_threshold"]["value"]
    assert value == data / (data + invalid)
    assert found["every_entry_accounted_for"]["passed"]
    assert "is missing (1 listed)" in found["export_complete"]["explanation"]
