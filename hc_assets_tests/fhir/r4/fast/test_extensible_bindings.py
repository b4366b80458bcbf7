"""Codes outside of the value set of an extensible binding: a warning, by both paths."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hc_assets.fhir.r4.bindings import extensible_codes, extensible_of
from hc_assets.fhir.r4.code_systems import code_systems
from hc_assets.fhir.r4.definitions import Element, TypeRef, r4
from hc_assets.fhir.r4.fast.fast_path import accept
from hc_assets.fhir.r4.issues import Findings
from hc_assets.fhir.r4.rules.value_rules import Places, check_complex
from hc_assets.fhir.r4.thorough_path import thorough_issues
from hc_assets.fhir.validation import has_errors, validate
from hc_assets.fhir.validation.redacted_issues import without_values

RULE = "extensible-binding"
TERMINOLOGY = "http://terminology.hl7.org/CodeSystem/"
ACT, TYPES, UCUM = f"{TERMINOLOGY}v3-ActCode", f"{TERMINOLOGY}v2-0203", "http://unitsofmeasure.org"


def _encounter(**coding: str) -> bytes:
    resource = {"resourceType": "Encounter", "status": "finished", "class": coding}
    return json.dumps(resource).encode()


def _patient(*codings: dict[str, str], **members: Any) -> bytes:
    concept = ({"coding": list(codings)} if codings else {}) | members
    return json.dumps({"resourceType": "Patient", "identifier": [{"type": concept}]}).encode()


def _type(code: str, system: str = TYPES, **members: str) -> dict[str, str]:
    return {"system": system, "code": code, **members}


def _warned(raw: bytes) -> list[tuple[str, str]]:
    """Places and rules of the issues about codes; the fast path accepts none that has any."""
    issues = [issue for issue in validate(raw) if issue.rule in (RULE, "code-system")]
    assert not has_errors(validate(raw))
    if issues:
        assert accept(raw) is None
    return [(issue.rule, issue.expression) for issue in issues]


def test_a_code_outside_of_the_value_set_warns_with_the_nearest_of_it() -> None:
    (issue,) = [issue for issue in validate(_patient(_type("MRT"))) if issue.rule == RULE]
    assert (issue.severity, issue.code) == ("warning", "code-invalid")
    assert issue.expression == "Patient.identifier[0].type"
    assert "http://hl7.org/fhir/ValueSet/identifier-type" in issue.diagnostics
    assert issue.diagnostics.endswith("the nearest one is MR")
    shown = without_values(issue).diagnostics
    assert "MRT" not in shown
    assert shown.endswith("the nearest one is MR")


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        (_encounter(system=ACT, code="AMB"), []),
        (_encounter(system=ACT, code="PUBLICPOL"), [(RULE, "Encounter.class")]),
        # What its code system does not have at all is said once.
        (_encounter(system=ACT, code="IMPP"), [("code-system", "Encounter.class.code")]),
        (_encounter(system="urn:of:ours", code="PUBLICPOL"), []),
        (_encounter(code="PUBLICPOL"), []),
        (_encounter(system=ACT, code="PUBLICPOL", version="0.1"), []),
        (_patient(_type("SS")), [(RULE, "Patient.identifier[0].type")]),
        (_patient(_type("SS"), _type("MR")), []),  # one is enough
        (_patient(_type("SS"), _type("x", "urn:of:ours")), [(RULE, "Patient.identifier[0].type")]),
        (_patient(_type("x", "urn:of:ours")), []),
        (_patient(_type("mr")), []),  # the code system does not say that case counts
        (_patient(text="social security number"), []),
    ],
)
def test_what_is_outside_is_told(raw: bytes, expected: list[tuple[str, str]]) -> None:
    assert _warned(raw) == expected


@pytest.mark.parametrize(("code", "is_outside"), [("wk", False), ("a", False), ("s", True)])
def test_units_of_ages_are_bound_as_their_type_is(code: str, is_outside: bool) -> None:
    age = {"value": 3, "system": UCUM, "code": code, "unit": code}
    resource = {"resourceType": "Condition", "subject": {"display": "x"}, "onsetAge": age}
    found = _warned(json.dumps(resource).encode())
    assert found == ([(RULE, "Condition.onsetAge")] if is_outside else [])


def _bound() -> list[tuple[str, Element, TypeRef, str]]:
    found = []
    for name in sorted(r4().type_names):
        for element in r4().type(name).elements:
            for ref in element.types:
                url = extensible_of(element, ref)
                if url and extensible_codes(url):
                    found.append((name, element, ref, url))
    return found


BOUND = _bound()


def _issues(element: Element, ref: TypeRef, coding: dict[str, str]) -> list[str]:
    findings = Findings()
    value: dict[str, Any] = {"coding": [coding]} if ref.code == "CodeableConcept" else coding
    check_complex(value, element, ref, Places("x", "x"), findings)
    return [issue.rule for issue in findings.issues if issue.rule == RULE]


def test_every_code_of_every_bound_value_set_is_within_and_none_is_an_error() -> None:
    assert len({url for _, _, _, url in BOUND}) > 60
    for _, element, ref, url in BOUND:
        for system, codes in extensible_codes(url).items():
            for code in codes.codes:
                assert _issues(element, ref, {"system": system, "code": code}) == []


@settings(max_examples=50)
@given(st.sampled_from(BOUND), st.data())
def test_a_code_of_the_system_and_not_of_the_value_set_is_outside(bound: Any, data: Any) -> None:
    _, element, ref, url = bound
    system = data.draw(st.sampled_from(sorted(extensible_codes(url))))
    codes = extensible_codes(url)[system]
    known = code_systems().get(system)
    outside = [code for code in known.codes if not codes.has(code)] if known else ["nosuch"]
    if outside:
        code = data.draw(st.sampled_from(outside))
        assert _issues(element, ref, {"system": system, "code": code}) == [RULE]


_CODINGS = st.lists(
    st.sampled_from(
        [
            *(_type(code) for code in ("MR", "mr", "SS", "MRT", "nosuch")),
            *(_type("SS", version="0.1"), _type("SS", "urn:of:ours"), {"code": "SS"}),
            {"system": TYPES},
        ]
    ),
    max_size=3,
)


@settings(max_examples=50)
@given(_CODINGS, st.booleans())
def test_the_fast_path_accepts_no_concept_that_the_thorough_one_warns_of(
    codings: list[dict[str, str]], is_escaped: bool
) -> None:
    raw = _patient(*codings, text="x")
    raw = raw.replace(b"/", b"\\/").replace(b'"SS"', b'"\\u0053S"') if is_escaped else raw
    rules = {issue.rule for issue in thorough_issues(raw)} & {RULE, "code-system"}
    known = {"MR", "mr"} & {each.get("code") for each in codings if each.get("system") == TYPES}
    if accept(raw) is not None:
        assert not rules
    assert (RULE in rules) <= (not known)
