"""Invariants become code that decides them, or says that it can't.

Belongs here: which rules the compiled machine decides, on resources that keep and break them.
"""

import json
from typing import Any

import pytest

from hc_assets.fhir.r4.definitions import r4
from hc_assets.fhir.r4.fast.fast_path import accept
from hc_assets.fhir.r4.fast.rule_code import UNKNOWN, Captures, RuleCompiler
from hc_assets.fhir.r4.thorough_path import thorough_issues


def _codes(type_name: str) -> dict[str, list[int]]:
    strings: dict[str, int] = {}
    compiler = RuleCompiler(
        type_name, Captures({}, 8), lambda text: strings.setdefault(text, len(strings))
    )
    return {rule.key: compiler.rule(rule) for rule in r4().type(type_name).invariants}


def test_most_invariants_are_decided_at_least_in_part() -> None:
    codes = {
        (name, key): code for name in sorted(r4().type_names) for key, code in _codes(name).items()
    }
    undecided = [place for place, code in codes.items() if code[:-1] == UNKNOWN]
    assert len(codes) > 200
    assert len(undecided) < 0.25 * len(codes)


_OBSERVATION: dict[str, Any] = {
    "resourceType": "Observation",
    "status": "final",
    "code": {"coding": [{"system": "http://loinc.org", "code": "55284-4"}]},
}
_CONDITION: dict[str, Any] = {"resourceType": "Condition", "subject": {"reference": "Patient/1"}}
_IN_ERROR = "http://terminology.hl7.org/CodeSystem/condition-ver-status"
_CLINICAL = "http://terminology.hl7.org/CodeSystem/condition-clinical"


def _concept(system: str, code: str) -> dict[str, Any]:
    return {"coding": [{"system": system, "code": code}]}


# Rule, what keeps it, what breaks it.
_CASES: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "obs-6": (
        {**_OBSERVATION, "valueString": "x"},
        {**_OBSERVATION, "valueString": "x", "dataAbsentReason": {"text": "y"}},
    ),
    "obs-7": (
        {**_OBSERVATION, "valueString": "x", "component": [{"code": {"text": "y"}}]},
        {**_OBSERVATION, "valueString": "x", "component": [{"code": _OBSERVATION["code"]}]},
    ),
    "con-4": (
        {
            **_CONDITION,
            "abatementString": "x",
            "clinicalStatus": _concept(_CLINICAL, "resolved"),
        },
        {**_CONDITION, "abatementString": "x", "clinicalStatus": _concept(_CLINICAL, "active")},
    ),
    "con-5": (
        {**_CONDITION, "verificationStatus": _concept(_IN_ERROR, "entered-in-error")},
        {
            **_CONDITION,
            "verificationStatus": _concept(_IN_ERROR, "entered-in-error"),
            "clinicalStatus": _concept(_CLINICAL, "active"),
        },
    ),
    "per-1": (
        {**_OBSERVATION, "effectivePeriod": {"start": "2024-01-31", "end": "2024-02-01"}},
        {**_OBSERVATION, "effectivePeriod": {"start": "2024-02-01", "end": "2024-01-31"}},
    ),
    "qty-3": (
        {**_OBSERVATION, "valueQuantity": {"value": 1, "system": "http://x.org", "code": "y"}},
        {**_OBSERVATION, "valueQuantity": {"value": 1, "code": "y"}},
    ),
    "rng-2": (
        {**_OBSERVATION, "valueRange": {"low": {"value": 1}, "high": {"value": 1.5}}},
        {**_OBSERVATION, "valueRange": {"low": {"value": 2}, "high": {"value": 1.5}}},
    ),
    "org-2": (
        {"resourceType": "Organization", "name": "x", "address": [{"use": "work"}]},
        {"resourceType": "Organization", "name": "x", "address": [{"use": "home"}]},
    ),
    "org-1": (
        {"resourceType": "Organization", "identifier": [{"value": "1"}]},
        {"resourceType": "Organization", "active": True},
    ),
    "lst-2": (
        {
            "resourceType": "List",
            "status": "current",
            "mode": "working",
            "entry": [{"item": {"display": "x"}}],
        },
        {
            "resourceType": "List",
            "status": "current",
            "mode": "working",
            "entry": [{"item": {"display": "x"}, "deleted": True}],
        },
    ),
    "app-3": (
        {
            "resourceType": "Appointment",
            "status": "proposed",
            "participant": [{"actor": {"display": "x"}, "status": "accepted"}],
        },
        {
            "resourceType": "Appointment",
            "status": "booked",
            "participant": [{"actor": {"display": "x"}, "status": "accepted"}],
        },
    ),
}


@pytest.mark.parametrize("rule", sorted(_CASES))
def test_a_rule_kept_is_accepted_and_a_rule_broken_is_not(rule: str) -> None:
    kept, broken = (json.dumps(resource).encode() for resource in _CASES[rule])
    assert accept(kept) is not None
    assert accept(broken) is None
    assert rule in {issue.rule for issue in thorough_issues(broken)}


@pytest.mark.parametrize(
    ("start", "end"),
    [
        ("2024-01-01T12:00:00+02:00", "2024-01-01T10:00:00Z"),
        ("2024-01-01T23:59:59-05:00", "2024-01-02T05:00:00.5+00:00"),
        ("2024-02-29T00:00:00.250Z", "2024-02-29T00:00:00.251Z"),
    ],
)
def test_times_of_several_zones_are_put_in_order(start: str, end: str) -> None:
    resource = {**_OBSERVATION, "effectivePeriod": {"start": start, "end": end}}
    assert accept(json.dumps(resource).encode()) is not None
    turned = {**_OBSERVATION, "effectivePeriod": {"start": end, "end": start}}
    is_same_moment = start.endswith("12:00:00+02:00")
    assert (accept(json.dumps(turned).encode()) is not None) == is_same_moment
