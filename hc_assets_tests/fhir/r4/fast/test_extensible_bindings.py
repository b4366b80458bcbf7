"""Units outside of the value set of a type of quantities warn, by both paths; codings do not."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hc_assets.fhir.r4.bindings import extensible_codes, extensible_of
from hc_assets.fhir.r4.definitions import TypeRef
from hc_assets.fhir.r4.fast.code_sets import BOUND_QUANTITIES
from hc_assets.fhir.r4.fast.fast_path import accept
from hc_assets.fhir.validation import has_errors, validate
from hc_assets.fhir.validation.redacted_issues import without_values

RULE = "extensible-binding"
TERMINOLOGY = "http://terminology.hl7.org/CodeSystem/"
ACT, TYPES, UCUM = f"{TERMINOLOGY}v3-ActCode", f"{TERMINOLOGY}v2-0203", "http://unitsofmeasure.org"


def _encounter(**coding: str) -> bytes:
    resource = {"resourceType": "Encounter", "status": "finished", "class": coding}
    return json.dumps(resource).encode()


def _patient(code: str) -> bytes:
    concept = {"coding": [{"system": TYPES, "code": code}]}
    return json.dumps({"resourceType": "Patient", "identifier": [{"type": concept}]}).encode()


def _aged(**age: Any) -> bytes:
    resource = {"resourceType": "Condition", "subject": {"display": "x"}, "onsetAge": age}
    return json.dumps(resource).encode()


def _warned(raw: bytes) -> list[tuple[str, str]]:
    """Places and rules of the issues about codes; the fast path accepts none that has any."""
    issues = [issue for issue in validate(raw) if issue.rule in (RULE, "code-system")]
    assert not has_errors(validate(raw))
    if issues:
        assert accept(raw) is None
    return [(issue.rule, issue.expression) for issue in issues]


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        # R4 lets a sender take another code where none of the value set fits
        (_encounter(system=ACT, code="PUBLICPOL"), []),
        (_patient("SS"), []),
        # What its code system does not have is no code
        (_encounter(system=ACT, code="IMPP"), [("code-system", "Encounter.class.code")]),
        (_patient("MRT"), []),
        (_patient("nosuch"), [("code-system", "Patient.identifier[0].type.coding[0].code")]),
    ],
)
def test_codes_that_their_code_system_has_are_taken_whatever_the_binding(
    raw: bytes, expected: list[tuple[str, str]]
) -> None:
    assert _warned(raw) == expected
    if not expected:
        assert accept(raw) is not None  # without the thorough path: such codes are common


@pytest.mark.parametrize(
    ("code", "is_outside"), [("wk", False), ("a", False), ("s", True), ("yr", True)]
)
def test_units_of_ages_are_bound_as_their_type_is(code: str, is_outside: bool) -> None:
    found = _warned(_aged(value=3, system=UCUM, code=code, unit=code))
    assert found == ([(RULE, "Condition.onsetAge")] if is_outside else [])


def test_a_unit_outside_of_the_value_set_warns_with_the_nearest_of_it() -> None:
    raw = _aged(value=3, system=UCUM, code="mo_", unit="months")
    (issue,) = [issue for issue in validate(raw) if issue.rule == RULE]
    assert (issue.severity, issue.code) == ("warning", "code-invalid")
    assert "http://hl7.org/fhir/ValueSet/age-units" in issue.diagnostics
    shown = without_values(issue).diagnostics
    assert "mo_" not in shown
    assert shown.endswith("the nearest one is mo")


@pytest.mark.parametrize("type_", BOUND_QUANTITIES)
def test_every_bound_type_of_quantities_has_its_units_at_hand(type_: str) -> None:
    url = extensible_of(TypeRef(type_))
    assert extensible_codes(url)[UCUM]


@settings(max_examples=50)
@given(
    st.sampled_from(["a", "mo", "s", "\\u0061", "", "nosuch"]),
    st.sampled_from([UCUM, UCUM.replace("/", "\\/"), "urn:of:ours"]),
    st.sampled_from(["code", "unit"]),
)
def test_the_fast_path_accepts_no_unit_that_the_thorough_one_warns_of(
    code: str, system: str, member: str
) -> None:
    age = f'{{"value":3,"system":"{system}","{member}":"{code}"}}'
    raw = _aged().replace(b'"onsetAge": {}', f'"onsetAge": {age}'.encode())
    if accept(raw) is not None:
        assert not [issue for issue in validate(raw) if issue.rule == RULE]
