"""A rule that is added to the table takes effect wherever resources are enriched."""

import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
import pytest

from hc_assets.fhir.enrichment.enricher import Enricher
from hc_assets.fhir.enrichment.extension_definitions import published
from hc_assets.fhir.enrichment.extension_model import ExtensionDefinition, ExtensionValue
from hc_assets.fhir.enrichment.extensions import extension
from hc_assets.fhir.enrichment.rules import NOTHING, RULES, Addition, Rule, Subject
from hc_assets.fhir.enrichment.workers import enrich_rows
from hc_assets.fhir.r4.issues import Issue
from hc_assets.lake.layout import Layout
from hc_assets_tests.fhir.enrichment.columns.both_ways import LANDED, OPTIONS, both_ways, validated
from hc_assets_tests.fhir.enrichment.judged_observations import LOINC, UCUM
from hc_assets_tests.fhir.worker_runs import ENRICHED, Run

NAME, OTHER = "size-class", "other-class"
URL, OTHER_URL = (f"{OPTIONS.extension_base}/{name}" for name in (NAME, OTHER))
OBSERVATION = {
    "resourceType": "Observation",
    "id": "o",
    "status": "final",
    "code": {"coding": [{"system": LOINC, "code": "2345-7"}]},
    "effectiveDateTime": "2020-01-01T10:00:00Z",
    "valueQuantity": {"value": 90, "unit": "mg/dL", "system": UCUM, "code": "mg/dL"},
    "subject": {"reference": "Patient/p"},
    "encounter": {"reference": "Encounter/e"},
}
PART = {name: OBSERVATION[name] for name in ("code", "valueQuantity")}
PERIOD = {"start": "2020-01-01T09:00:00Z", "end": "2020-01-01T11:00:00Z"}
RESOURCES: dict[str, dict[str, Any]] = {
    "Patient": {"resourceType": "Patient", "id": "p", "gender": "male", "birthDate": "1970-01-01"},
    "Encounter": {"resourceType": "Encounter", "id": "e", "status": "finished", "period": PERIOD},
    "Observation": OBSERVATION,
    "Condition": {"resourceType": "Condition", "id": "c", "subject": {"reference": "Patient/p"}},
    "Device": {"resourceType": "Device", "id": "d"},
}
RESOURCES["Encounter"]["class"] = {"code": "AMB"}


def marked(subject: Subject, name: str = NAME, text: str = "x") -> bytes:
    return extension(subject.extension_base, name, valueString=text)


def rule(
    add: Callable[[Subject], Addition],
    *types: str,
    name: str = NAME,
    needs: tuple[str, ...] = (),
    elements: tuple[str, ...] = (),
) -> Rule:
    definition = ExtensionDefinition(
        name, name, name, types or ("Element",), ExtensionValue(("string",), "text")
    )
    of_types = frozenset(types) or None
    return Rule(name, of_types, frozenset(needs), add, (definition,), elements=frozenset(elements))


def added_to(made: bytes, url: str = URL) -> list[str]:
    listed = json.loads(made).get("extension", [])
    return [each["valueString"] for each in listed if each["url"] == url]


def enriched(*resources: dict[str, Any], rules: tuple[Rule, ...]) -> tuple[list[bytes], float]:
    """What rules make of resources, both ways, and that once more makes the same."""
    made, share = both_ways(validated(json.dumps(r).encode() for r in resources), rules=rules)
    texts = made["resource"].to_pylist()
    again, _ = both_ways(validated(texts), rules=rules)
    assert again["resource"].to_pylist() == texts
    return texts, share


@pytest.mark.parametrize("type_", RESOURCES)
def test_a_rule_adds_to_resources_of_its_type_alone(type_):
    def size(subject: Subject) -> Addition:
        return Addition([marked(subject, text=f"{subject.type} on {subject.today}")])

    listed = list(RESOURCES.values())
    before, share_before = enriched(*listed, rules=RULES)
    made, share = enriched(*listed, rules=(*RULES, rule(size, type_)))
    for name, old, new in zip(RESOURCES, before, made, strict=True):
        expected = [f"{name} on 2026-03-01"] if name == type_ else []
        assert added_to(new) == expected
        assert (old == new) == (name != type_)
    assert share == share_before  # what is added at the end is added by columns


def test_a_rule_without_types_adds_to_all():
    every = rule(lambda subject: Addition([marked(subject)]))
    made, _ = enriched(*RESOURCES.values(), rules=(*RULES, every))
    assert [added_to(each) for each in made] == [["x"]] * len(RESOURCES)


def test_a_rule_sees_patient_and_encounter_in_both_ways():
    def known(subject: Subject) -> Addition:
        patient, encounter = subject.patient, subject.encounter
        if patient is None or encounter is None or encounter.start is None:
            return NOTHING
        return Addition([marked(subject, text=f"{patient.sex} {encounter.start.has_time}")])

    made, share = enriched(*RESOURCES.values(), rules=(*RULES, rule(known, "Observation")))
    assert [added_to(each) for each in made] == [[], [], ["male True"], [], []]
    assert share == 0.8


def test_a_rule_is_not_applied_without_a_member_that_it_needs():
    needy = rule(lambda subject: Addition([marked(subject)]), needs=("birthDate", "period"))
    made, _ = enriched(*RESOURCES.values(), rules=(needy,))
    assert [bool(added_to(each)) for each in made] == [True, True, False, False, False]


def test_rules_add_in_their_order_behind_what_was_sent():
    first = rule(lambda subject: Addition([marked(subject, text="1")]))
    second = rule(lambda subject: Addition([marked(subject, OTHER, "2")]), name=OTHER)
    sent = RESOURCES["Device"] | {"extension": [{"url": "urn:e", "valueString": "0"}]}
    made, share = enriched(sent, RESOURCES["Condition"], rules=(first, second))
    texts = [[each["valueString"] for each in json.loads(text)["extension"]] for text in made]
    assert texts == [["0", "1", "2"], ["1", "2"]]
    assert share == 0.5  # not at the end of the first


def test_what_is_added_to_elements_is_added_row_by_row():
    def to_parts(subject: Subject, name: str) -> Addition:
        parts = json.loads(subject.text)["component"]
        return Addition(
            of_elements={"component": [[marked(subject, name)], *([] for _ in parts[1:])]}
        )

    added = tuple(
        rule(partial(to_parts, name=name), name=name, needs=("component",), elements=("component",))
        for name in (NAME, OTHER)
    )
    sent = OBSERVATION | {"component": [PART, PART]}
    later = OBSERVATION | {"id": "later", "effectiveDateTime": "2020-01-02T10:00:00Z"}
    (made, _), share = enriched(sent, later, rules=(*RULES, *added))
    first, last = json.loads(made)["component"]
    assert [each["url"] for each in first["extension"]] == [URL, OTHER_URL]
    assert "extension" not in last
    assert share == 0.5


def test_what_a_rule_notes_is_an_issue_of_the_row():
    noted = Issue(severity="warning", code="value", expression="", rule="odd", diagnostics="odd")
    odd = rule(lambda _: Addition(issues=[noted]), "Device")
    sent = [json.dumps(RESOURCES[name]).encode() for name in ("Device", "Condition")]
    made, share = both_ways(validated(sent), rules=(odd,))
    assert [[each["rule"] for each in row] for row in made["issues"].to_pylist()] == [["odd"], []]
    assert share == 1


def test_a_rule_adds_in_the_worker(tmp_path: Path):
    run = Run(Layout.of(tmp_path))
    lines = b"\n".join(json.dumps(each).encode() for each in RESOURCES.values())
    before = {row["resource_id"]: row["resource"] for row in run.all(a__ndjson=lines)[ENRICHED]}
    every = rule(lambda subject: Addition([marked(subject)]), "Encounter", "Observation", "Patient")
    run.enrich_rows = partial(enrich_rows, rules=(*RULES, every))
    again = {row["resource_id"]: row["resource"] for row in run.all(a__ndjson=lines)[ENRICHED]}
    changed = {id_ for id_ in before if before[id_] != again[id_]}
    assert changed == {"e", "o", "p"}
    assert all(added_to(again[id_]) == ["x"] for id_ in changed)


def test_the_extension_of_a_removed_rule_is_kept_as_sent():
    sent = RESOURCES["Device"] | {"extension": [{"url": URL, "valueString": "theirs"}]}
    (kept,), _ = enriched(sent, rules=RULES)
    (replaced,), _ = enriched(sent, rules=(rule(lambda s: Addition([marked(s, text="ours")])),))
    assert (added_to(kept), added_to(replaced)) == (["theirs"], ["ours"])


def test_the_extensions_of_a_rule_are_published():
    every = rule(lambda subject: Addition([marked(subject)]), "Device")
    made = published(OPTIONS.extension_base, (*RULES, every))
    assert made.keys() - published(OPTIONS.extension_base).keys() == {
        f"StructureDefinition-{NAME}.json"
    }
    assert msgspec.json.decode(made[f"StructureDefinition-{NAME}.json"])["url"] == URL


def test_one_resource_by_itself_gets_what_rules_add():
    every = rule(lambda subject: Addition([marked(subject)]))
    made = Enricher(LANDED, OPTIONS, (every,))(b'{"resourceType":"Basic","id":"b"}')
    assert added_to(made.resource) == ["x"]
