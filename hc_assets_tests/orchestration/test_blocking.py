"""What a blocking check holds back is published by no run, and costs no other batch."""

import json
from collections import Counter

from hc_assets.fhir import assets
from hc_assets.fhir.validation.business_rules import BusinessRules
from hc_assets.fhir.validation.resource_work import ResourceWork
from hc_assets.fhir.validation.workers import Judged, validate_rows


def test_a_blocked_batch_is_left_out_until_a_run_of_it_passes(
    hc_assets, query, tmp_path, monkeypatch
):
    monkeypatch.setenv("HC_BATCH_FILES", "1")
    sent = tmp_path / "sent"
    sent.mkdir()
    for name in ("a", "b"):
        (sent / f"{name}.ndjson").write_text(f'{{"resourceType":"Patient","id":"{name}"}}\n')
    bad, good = hc_assets("land", sent).stdout.split()

    def losing(work: ResourceWork, rules: BusinessRules, **named: object) -> Judged:
        if work.batch == bad:
            return Judged([], [], Counter())
        return validate_rows(work, rules, **named)  # type: ignore[arg-type]

    with monkeypatch.context() as patch:
        patch.setattr(assets, "validate_rows", losing)
        result = hc_assets("ingest", sent)
    assert result.exit_code == 1
    assert f"ingest_fhir {bad}: a blocking check failed" in result.stderr
    found = {
        each["key"]: each for each in json.loads(hc_assets("batches", "--format", "json").stdout)
    }
    assert (found[bad]["state"], found[good]["state"]) == ("blocked", "published")
    assert found[bad]["detail"] == "fhir/validated_resources: every_entry_accounted_for"
    assert query("SELECT resource_id FROM fhir.current_resources") == [("b",)]

    assert hc_assets("ingest", sent).exit_code == 0
    assert len(query("SELECT 1 FROM fhir.current_resources")) == 2
    assert "blocked" not in hc_assets("batches").stdout
