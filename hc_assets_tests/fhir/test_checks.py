from collections import Counter
from typing import Any

import msgspec
import pytest

from hc_assets.fhir import assets
from hc_assets.fhir.enrichment.enricher import Enricher
from hc_assets.fhir.validation.business_rules import BusinessRules
from hc_assets.fhir.validation.resource_work import ResourceWork
from hc_assets.fhir.validation.workers import Judged, validate_rows


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


def test_an_enriched_resource_that_is_not_valid_blocks_what_is_downstream(
    hc_assets, query, patients, data_dir, monkeypatch
):
    enriched = Enricher.enriched

    def spoiling(enricher: Enricher, *arguments: Any, **named: Any) -> Any:
        made = enriched(enricher, *arguments, **named)
        if made.resource_id == "p3":
            return made._replace(resource=made.resource[:-1] + b',"gender":"unheard of"}')
        return made

    with monkeypatch.context() as patch:
        patch.setattr(Enricher, "enriched", spoiling)
        result = hc_assets("ingest", patients)
    assert result.exit_code == 1
    assert "enriched_resources_valid" in result.stderr
    check = outcomes(hc_assets)["enriched_resources_valid"]
    assert (check["passed"], check["severity"], check["is_blocking"]) == (False, "ERROR", True)
    assert (check["value"], check["threshold"]) == (1.0, 0.0)
    assert query("SELECT count(*) FROM fhir.enriched_resources") == [(9,)]
    made = "SELECT count(*) FROM duckdb_tables() WHERE table_name = 'resource_versions'"
    assert query(made) == [(0,)]
    assert not (data_dir / "exports" / "fhir").exists()

    # Nor does a run of what is made of all batches take it in; a repaired enrichment lets it pass.
    assert hc_assets("ingest", patients).exit_code == 0
    assert query("SELECT count(*) FROM fhir.current_resources") == [(8,)]
    assert outcomes(hc_assets)["enriched_resources_valid"]["passed"] is True


def test_a_step_that_raises_is_named_without_its_words(hc_assets, patients, monkeypatch):
    def failing(work: ResourceWork, **_: object) -> Judged:
        raise ZeroDivisionError("Jane Doe")

    monkeypatch.setattr(assets, "validate_rows", failing)
    result = hc_assets("ingest", patients)
    assert result.exit_code == 4
    assert "validated_and_quarantined_resources failed with ZeroDivisionError" in result.stderr
    assert "Jane" not in result.output
