import json

import pyarrow as pa
import pytest
from upath import UPath

from hc_assets.fhir.enrichment.judging import RULE, invalid_enrichments
from hc_assets.fhir.schemas import TABLES
from hc_assets.fhir.verdicts.batches import (
    all_still_valid,
    count_by_class,
    entries_by_rule,
    mean_quality,
    names_one_of,
    quality_at_least,
    quarantine_rate_at_most,
    some_are_named,
)
from hc_assets.lake.layout import Layout
from hc_assets.lake.parts import PartWriter, commit
from hc_assets.lake.tables import LakeTable, read_partition
from hc_assets_tests.fhir.worker_runs import Run

KEYS = {"batch": "b", "source_file": "f", "position": 0}


def table(tmp_path: UPath, name: str, rows: list[dict[str, object]]) -> LakeTable:
    layout = Layout.of(tmp_path)
    with PartWriter(layout.partition(name, "b"), TABLES[name].schema) as writer:
        writer.write(pa.RecordBatch.from_pylist([KEYS | row for row in rows], TABLES[name].schema))
    commit(layout, name, "b", writer.parts)
    return read_partition(layout, name, "b")


def test_the_mean_of_scores_leaves_deletions_out(tmp_path):
    scores = [0.5, 1.0, None]
    rows = [{"quality_score": score} for score in scores]
    assert mean_quality(table(tmp_path, "fhir/enriched_resources", rows)) == (0.75, 2)


def test_a_batch_without_resources_has_no_mean_and_no_fault(tmp_path):
    deletion = [{"quality_score": None}]
    assert mean_quality(table(tmp_path, "fhir/enriched_resources", deletion)) == (None, 0)
    verdict = quality_at_least(None, 0, 0.8)
    assert (verdict.passed, verdict.explanation) == (True, "there is no resource to score")


@pytest.mark.parametrize(("mean", "passed"), [(0.8, True), (0.7999, False)])
def test_the_mean_is_held_against_the_threshold(mean, passed):
    verdict = quality_at_least(mean, 5, 0.8)
    assert (verdict.passed, verdict.value, verdict.threshold) == (passed, mean, 0.8)


def issue(rule: str, severity: str = "error") -> dict[str, str]:
    return {"severity": severity, "code": "invalid", "rule": rule}


def test_an_entry_counts_once_for_each_rule_that_it_breaks(tmp_path):
    rows = [
        {
            "issues": [issue("obs-7"), issue("obs-7"), issue("dom-6", "warning")],
            "class": "invalid",
        },
        {"issues": [issue("obs-7"), issue("unreadable", "fatal")], "class": "invalid"},
        {"issues": [issue("not-data", "information")], "class": "not_data"},
    ]
    quarantined = table(tmp_path, "fhir/quarantined_resources", rows)
    assert entries_by_rule(quarantined) == {"obs-7": 2, "unreadable": 1}
    assert count_by_class(quarantined) == {"invalid": 2, "not_data": 1}


def test_the_most_frequent_rule_decides():
    verdict = quarantine_rate_at_most({"a": 1, "b": 6}, 100, 0.05)
    assert (verdict.passed, verdict.value) == (False, 0.06)
    assert "6 of 100 entries break b" in verdict.explanation
    assert verdict.counts == {"rule b": 6, "rule a": 1}
    assert quarantine_rate_at_most({"b": 5}, 100, 0.05).passed
    assert quarantine_rate_at_most({}, 0, 0.05).passed


def test_what_enrichment_left_out_is_counted_by_rule_and_place(tmp_path):
    texts = ["extensions left out: it would break rng-2", "all left out: it would break rng-2"]
    lists = [
        [
            {
                "rule": RULE,
                "expression": f"Observation.extension[{n}].valueRange",
                "diagnostics": text,
            }
        ]
        for n, text in enumerate(texts)
    ]
    rows = [{"issues": each} for each in [*lists, [], None, [{"rule": "unit-convertible"}]]]
    enriched = table(tmp_path, "fhir/enriched_resources", rows)
    found = invalid_enrichments(batch["issues"] for batch in enriched.batches(["issues"]))
    assert found == {"rng-2 at Observation.extension.valueRange": 2}
    verdict = all_still_valid(found, 5)
    assert (verdict.passed, verdict.value) == (False, 2.0)
    assert "2 by rng-2 at Observation.extension.valueRange" in verdict.explanation
    assert all_still_valid({}, 5).passed


def test_profiles_that_no_resource_names_are_a_finding(tmp_path):
    run = Run(Layout.of(tmp_path))
    url = "https://example.org/StructureDefinition/p"
    patient = {"resourceType": "Patient", "meta": {"profile": [f"{url}|1.0"]}}
    raw = run.split(*run.land(a__json=json.dumps(patient).encode()))
    assert names_one_of({"https://example.org/other", url}, raw)
    assert not names_one_of({"https://example.org/other", url[:-1]}, raw)
    assert not names_one_of(set(), raw)
    assert some_are_named(given=2, named=True).passed
    assert some_are_named(given=0, named=False).passed
    unnamed = some_are_named(given=2, named=False)
    assert not unnamed.passed
    assert "HC_FHIR_PROFILE_FOR" in unnamed.explanation
