"""Vital signs on the fast path: usual ones are accepted, and none that R4's profiles object to.

Belongs here: that both paths agree on Observations with a vital sign's code. What the profiles
demand is in the tests of profiles.
"""

import copy
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hc_assets.fhir.profiles.core_profiles import core_profile_issues
from hc_assets.fhir.r4.core_profiles import core_profiles
from hc_assets.fhir.r4.fast.fast_path import accept
from hc_assets.fhir.r4.thorough_path import thorough_issues

_LOINC = "http://loinc.org"
_CATEGORY = "http://terminology.hl7.org/CodeSystem/observation-category"


def _quantity(unit: str) -> dict[str, Any]:
    return {"value": 1.5, "unit": unit, "system": "http://unitsofmeasure.org", "code": unit}


def _coded(code: str, system: str = _LOINC) -> dict[str, Any]:
    return {"coding": [{"system": system, "code": code}]}


def _vital_sign(code: str) -> dict[str, Any]:
    """An Observation that conforms to the profile of its code."""
    sign = core_profiles().vital_signs[code]
    found = {
        "resourceType": "Observation",
        "status": "final",
        "category": [_coded("vital-signs", _CATEGORY)],
        "code": _coded(code),
        "subject": {"reference": "Patient/1"},
        "effectiveDateTime": "2024-05-01",
    }
    if sign.units:
        return found | {"valueQuantity": _quantity(sign.units[0])}
    return found | {
        "component": [
            {"code": _coded(each), "valueQuantity": _quantity(units[0])}
            for each, units in sign.components.items()
        ]
    }


_USUAL = [_vital_sign(c) for c, s in core_profiles().vital_signs.items() if s.units or s.components]


@pytest.mark.parametrize("indent", [None, 1])
@pytest.mark.parametrize("resource", _USUAL, ids=lambda r: r["code"]["coding"][0]["code"])
def test_usual_vital_signs_take_the_fast_path(resource: dict[str, Any], indent: int | None) -> None:
    for members in (
        {},
        {"category": [_coded("exam", _CATEGORY), *resource["category"]]},
        {"meta": {"profile": ["http://example.org/own"]}},
        {
            "code": {
                "coding": [
                    *_coded("x", "http://snomed.info/sct")["coding"],
                    *resource["code"]["coding"],
                ]
            }
        },
    ):
        raw = json.dumps(resource | members, indent=indent).encode()
        assert accept(raw) == ["Observation"]
        assert core_profile_issues(raw) == []


_OTHERS: list[Any] = [
    *({}, [], "x", 1, None),
    *(_quantity("kg"), _quantity("mm[Hg]"), _quantity("{score}"), {"value": 1, "unit": "kg"}),
    *(_coded("8480-6"), _coded("8867-4"), _coded("vital-signs", _CATEGORY), _coded("vital-signs")),
    {
        "coding": [
            _coded("exam", _CATEGORY)["coding"][0],
            _coded("vital-signs", _CATEGORY)["coding"][0],
        ]
    },
    *("2024", "2024-05", "2024-05-01T10:00:00Z", "http://loinc.org", "8867-4", "Group/1", "#p"),
    {"reference": "Group/1"},
    {"reference": "urn:uuid:0b4ab6a3-5a9e-4a3c-8f0e-3f2a5a7e7d10"},
    {"identifier": {"value": "x"}},
    _coded("unknown", "http://terminology.hl7.org/CodeSystem/data-absent-reason"),
]
_MEMBERS = [
    *("category", "code", "subject", "valueQuantity", "valueString", "component", "hasMember"),
    *("effectiveDateTime", "effectivePeriod", "effectiveInstant", "dataAbsentReason", "coding"),
    *("system", "code", "unit", "value", "reference", "derivedFrom", "referenceRange", "display"),
]


def _containers(value: Any) -> list[Any]:
    found = [value] if isinstance(value, dict | list) else []
    for child in value.values() if isinstance(value, dict) else value if found else ():
        found += _containers(child)
    return found


@st.composite
def _mutants(draw: st.DrawFn) -> bytes:
    resource = copy.deepcopy(draw(st.sampled_from(_USUAL)))
    for _ in range(draw(st.integers(1, 3))):
        place = draw(st.sampled_from(_containers(resource)))
        other = copy.deepcopy(draw(st.sampled_from(_OTHERS)))
        if isinstance(place, list):
            if place and draw(st.booleans()):
                other = copy.deepcopy(draw(st.sampled_from(place)))
            place.insert(draw(st.integers(0, len(place))), other)
            continue
        names = sorted(place) or _MEMBERS
        match draw(st.sampled_from(["drop", "replace", "add"])):
            case "drop":
                place.pop(draw(st.sampled_from(names)), None)
            case "replace":
                place[draw(st.sampled_from(names))] = other
            case _:
                place[draw(st.sampled_from(_MEMBERS))] = other
    return json.dumps(resource).encode()


@given(_mutants())
@settings(max_examples=400, deadline=None)
def test_nothing_is_accepted_that_the_profiles_object_to(raw: bytes) -> None:
    if accept(raw) is not None:
        assert {issue.rule for issue in thorough_issues(raw)} <= {"dom-6"}
        assert core_profile_issues(raw) == []


_URN = "urn:uuid:0b4ab6a3-5a9e-4a3c-8f0e-3f2a5a7e7d10"


@pytest.mark.parametrize(
    ("subject", "is_accepted"),
    [
        ({"resourceType": "Patient"}, True),
        ({"resourceType": "Group", "type": "person", "actual": True}, False),
    ],
)
def test_the_subject_of_a_transaction_s_vital_sign_is_a_patient(
    subject: dict[str, Any], is_accepted: bool
) -> None:
    request = {"method": "POST", "url": "Observation"}
    observation = _vital_sign("8867-4") | {"subject": {"reference": _URN}}
    other = "urn:uuid:1b4ab6a3-5a9e-4a3c-8f0e-3f2a5a7e7d10"
    entries = [
        {"fullUrl": other, "resource": observation, "request": request},
        {"fullUrl": _URN, "resource": subject, "request": request},
    ]
    bundle = {"resourceType": "Bundle", "type": "transaction", "entry": entries}
    raw = json.dumps(bundle).encode()
    assert (accept(raw) is not None) == is_accepted
    assert (core_profile_issues(raw) == []) == is_accepted
