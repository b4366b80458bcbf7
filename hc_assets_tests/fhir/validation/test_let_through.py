"""Rules that only warn where a deployment says so: what is let through, what never is, what counts.

Belongs here: the setting and what becomes of issues. That the pipeline goes on with them is in
`test_workers.py` and its neighbours.
"""

import ast
import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

import hc_assets
from hc_assets.core.setting_errors import SettingError
from hc_assets.fhir.references import links, local_targets
from hc_assets.fhir.settings import FhirSettings
from hc_assets.fhir.validation import has_errors, validate
from hc_assets.fhir.validation.business_rules import BusinessRules
from hc_assets.fhir.validation.files import validate_files
from hc_assets.fhir.validation.issue_columns import issue_lists
from hc_assets.fhir.validation.let_through import LetThrough, count_let_through
from hc_assets.fhir.validation.rule_names import OTHERS, STRUCTURAL, known_rules, refuse_unknown
from hc_assets.fhir.verdicts.batches import none_let_through
from hc_assets.lake.discovery import Found
from hc_assets.lake.layout import Layout
from hc_assets_tests.fhir.worker_runs import QUARANTINED, VALIDATED, Run

_LONG = "e" + "Ab3.-Z9x" * 11


def _observation(**members: Any) -> bytes:
    found = {"resourceType": "Observation", "id": "1", "status": "final", "code": {"text": "x"}}
    return json.dumps(found | members).encode()


def _rules(issues: list[Any], severity: str) -> set[str]:
    return {issue.rule for issue in issues if issue.severity == severity}


@pytest.mark.parametrize(
    "members",
    [
        {"id": _LONG},
        {"subject": {"reference": f"Patient/{_LONG}"}},
        {"subject": {"reference": f"Patient/{_LONG}/_history/{_LONG}"}},
        {"meta": {"versionId": _LONG}},
    ],
)
def test_an_id_that_is_only_too_long_breaks_a_rule_of_its_own(members: dict[str, Any]) -> None:
    issues = validate(_observation(**members))
    assert _rules(issues, "error") == {"id-length"}
    milder = LetThrough.of(["id-length"]).applied(issues)
    assert not has_errors(milder)
    assert "id-length" in _rules(milder, "warning")


@pytest.mark.parametrize("id_", [f"{_LONG}_", "a b", "x" * 70 + "/"])
def test_an_id_that_is_wrong_otherwise_is_not_let_through_with_long_ones(id_: str) -> None:
    assert _rules(validate(_observation(id=id_)), "error") == {"primitive-format"}


def test_a_reference_to_an_id_too_long_still_has_to_name_the_right_type() -> None:
    issues = validate(_observation(subject={"reference": f"Medication/{_LONG}"}))
    assert _rules(issues, "error") == {"id-length", "reference-target"}


def test_long_ids_are_followed_as_others_are() -> None:
    raw = _observation(subject={"reference": f"Patient/{_LONG}"})
    assert links(raw, "Observation", "1", {}) == (_LONG, None)
    assert local_targets([f"Patient/{_LONG}"]) == [f"Patient/{_LONG}"]


def test_a_rule_warns_in_the_resources_of_its_source_alone() -> None:
    issues = validate(_observation(id=_LONG, nosuch=1))
    let_through = LetThrough.of(["https://a.org/fhir:id-length", "unknown-member"])
    assert _rules(let_through.applied(issues, "https://a.org/fhir"), "error") == set()
    for source in ("https://b.org/fhir", None):
        assert _rules(let_through.applied(issues, source), "error") == {"id-length"}
    assert let_through.entries() == ["https://a.org/fhir:id-length", "unknown-member"]


def test_without_the_setting_nothing_changes() -> None:
    issues = validate(_observation(id=_LONG))
    assert LetThrough().applied(issues, "a") is issues


def test_what_can_t_be_read_is_never_let_through() -> None:
    for raw in (b"{", b"[]", b"1", b'{"id": "1"}', b'{"resourceType": "Pat"}'):
        issues = LetThrough(known_rules() - STRUCTURAL).applied(validate(raw))
        assert has_errors(issues)


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ('["id-length", "HOSPITAL:dom-3"]', {"id-length", "HOSPITAL:dom-3"}),
        ("id-length, HOSPITAL:us-1", None),
        ("id-length,HOSPITAL:vs-2,", {"id-length", "HOSPITAL:vs-2"}),
        ("", set()),
    ],
)
def test_the_setting_is_a_json_list_or_names_with_commas(
    monkeypatch: pytest.MonkeyPatch, written: str, expected: set[str] | None
) -> None:
    monkeypatch.setenv("HC_FHIR_RULES_AS_WARNINGS", written)
    if expected is None:
        with pytest.raises(SettingError, match="no rule 'us-1'"):
            FhirSettings()
    else:
        assert FhirSettings().fhir_rules_as_warnings == expected


def test_a_name_that_is_no_rule_is_refused_with_those_near_it() -> None:
    with pytest.raises(ValueError, match="no rule 'id-lenght'; near it are id-length"):
        refuse_unknown(["id-lenght"])


@pytest.mark.parametrize("rule", ["json-syntax", "resource-type", "internal-error"])
def test_rules_without_which_no_stage_goes_on_can_t_warn(rule: str) -> None:
    with pytest.raises(ValueError, match="can't warn"):
        refuse_unknown([rule])


def test_constraints_of_given_profiles_are_rules_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rule = {"key": "own-1", "severity": "error", "human": "x", "expression": "true"}
    profile = {
        "resourceType": "StructureDefinition",
        "url": "http://a.b/p",
        "type": "Patient",
        "kind": "resource",
        "derivation": "constraint",
        "baseDefinition": "http://hl7.org/fhir/StructureDefinition/Patient",
        "differential": {"element": [{"path": "Patient", "constraint": [rule]}]},
    }
    path = tmp_path / "p.json"
    path.write_text(json.dumps(profile))
    monkeypatch.setenv("HC_FHIR_RULES_AS_WARNINGS", "own-1")
    with pytest.raises(SettingError, match="own-1"):
        FhirSettings()
    monkeypatch.setenv("HC_FHIR_PROFILES", str(path))
    assert FhirSettings().fhir_rules_as_warnings == {"own-1"}


# Where a call has the rule of an issue.
_PLACES = {"error": 2, "add": 3, "note": 2, "Issue": 3}


def test_every_rule_that_validation_names_is_known() -> None:
    package = Path(hc_assets.__file__).parent / "fhir"
    named = set()
    for path in [*(package / "r4").rglob("*.py"), *(package / "profiles").glob("*.py")]:
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if not isinstance(node, ast.Call):
                continue
            name = getattr(node.func, "attr", getattr(node.func, "id", ""))
            place = _PLACES.get(name, 99)
            rule = node.args[place] if place < len(node.args) else None
            if isinstance(rule, ast.Constant):
                named.add(rule.value)
    assert len(named) > 50
    assert named <= known_rules()
    assert not OTHERS & STRUCTURAL


def test_what_is_let_through_is_counted_by_rule_and_other_warnings_are_not() -> None:
    let_through = LetThrough.of(["id-length", "unknown-member"])
    rows = [
        let_through.applied(validate(_observation(id=_LONG, nosuch=1))),
        let_through.applied(validate(_observation(id=_LONG))),
        let_through.applied(validate(_observation())),
    ]
    counts = count_let_through([issue_lists(rows)])
    assert counts == {"id-length": 2, "unknown-member": 1}
    verdict = none_let_through(counts, 3)
    assert not verdict.passed
    assert verdict.explanation == (
        "3 breaches of rules let through in 3 resources: id-length 2, unknown-member 1"
    )
    none = issue_lists([[]])
    assert none_let_through(count_let_through([none, pa.array([], none.type)]), 1).passed


def test_files_are_judged_by_the_same_setting(tmp_path: Path) -> None:
    path = tmp_path / "o.ndjson"
    path.write_bytes(_observation(id=_LONG) + b"\n" + _observation(status="nosuch"))
    found = [Found(path, path.name)]
    strict = list(validate_files(found))
    milder = list(validate_files(found, let_through=LetThrough.of(["id-length"])))
    assert [sum(each.invalid() for each in checked) for checked in (strict, milder)] == [2, 1]
    assert milder[0].by_rule["warning id-length"] == 1


def test_what_another_release_has_is_no_error_once_what_r4_refuses_is_let_through() -> None:
    triggered = [{"observation": {"reference": "Observation/2"}, "type": "reflex"}]
    issues = validate(_observation(triggeredBy=triggered))
    assert _rules(issues, "error") == {"unknown-member", "fhir-version"}
    assert _rules(LetThrough.of(["cardinality"]).applied(issues), "error") == {
        "unknown-member",
        "fhir-version",
    }
    milder = LetThrough.of(["unknown-member"]).applied(issues)
    assert not has_errors(milder)
    assert "fhir-version" in _rules(milder, "warning")


def test_what_is_let_through_goes_on_with_its_patient_and_its_mark(tmp_path: Path) -> None:
    run = Run(Layout.of(tmp_path), rules=BusinessRules(let_through=LetThrough.of(["id-length"])))
    subject = {"reference": f"Patient/{_LONG}"}
    long, other = _observation(id=_LONG, subject=subject), _observation(id=_LONG, nosuch=1)
    found = run.all(a__ndjson=long + b"\n" + other)
    (kept,), (set_aside,) = found[VALIDATED], found[QUARANTINED]
    assert (kept["resource_id"], kept["patient_id"]) == (_LONG, _LONG)
    assert kept["resource"] == long
    marked = [i["diagnostics"] for i in kept["warnings"] if i["rule"] == "id-length"]
    assert len(marked) == 2
    assert all(text.startswith("let through: ") for text in marked)
    errors = {i["rule"] for i in set_aside["issues"] if i["severity"] == "error"}
    assert errors == {"unknown-member"}
