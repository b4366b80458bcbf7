"""Profiles of one type in an element's type.profile: alternatives, a core type among them."""

from collections.abc import Callable
from typing import Any

import pytest

Json = dict[str, Any]
Finding = Callable[..., list[tuple[str, str, str]]]
CORE = "http://hl7.org/fhir/StructureDefinition/"
BASE = "https://example.org/StructureDefinition/"


def _address(country: str) -> Json:
    return {"id": "Address.country", "path": "Address.country", "fixedString": country}


def _patient(profile: Callable[..., Json], *profiles: str) -> Json:
    types = [{"code": "Address", "profile": list(profiles)}]
    return profile("Patient", {"id": "Patient.address", "path": "Patient.address", "type": types})


FRENCH = {"resourceType": "Patient", "address": [{"country": "FR"}]}


@pytest.mark.parametrize("own_first", [True, False])
def test_a_value_that_is_only_of_the_core_type_conforms_where_that_is_an_alternative(
    findings: Finding, profile: Callable[..., Json], own_first: bool
) -> None:
    alternatives = [f"{BASE}au", f"{CORE}Address"]
    patient = _patient(profile, *(alternatives if own_first else reversed(alternatives)))
    au = profile("Address", _address("AU"), name="au", kind="complex-type")
    assert findings(FRENCH, patient, au) == []


def test_without_the_core_type_one_of_the_profiles_has_to_fit(
    findings: Finding, profile: Callable[..., Json]
) -> None:
    patient = _patient(profile, f"{BASE}au", f"{BASE}nz")
    others = [
        profile("Address", _address(country), name=country.lower(), kind="complex-type")
        for country in ("AU", "NZ")
    ]
    assert findings(FRENCH, patient, *others) == [("error", "profile-type", "Patient.address[0]")]
    fitting = {"resourceType": "Patient", "address": [{"country": "NZ"}]}
    assert findings(fitting, patient, *others) == []


def test_a_contained_resource_is_of_one_of_the_types_that_are_named(
    findings: Finding, profile: Callable[..., Json]
) -> None:
    alternatives = [f"{CORE}Patient", f"{BASE}named"]
    types = [{"code": "Resource", "profile": alternatives}]
    element = {"id": "Observation.contained", "path": "Observation.contained", "type": types}
    observation = profile("Observation", element)
    name = {"id": "Organization.name", "path": "Organization.name", "min": 1}
    named = profile("Organization", name, name="named")

    def observed(contained: Json) -> Json:
        return {"resourceType": "Observation", "status": "final", "contained": [contained]}

    for fits in ({"resourceType": "Patient"}, {"resourceType": "Organization", "name": "x"}):
        assert findings(observed(fits), observation, named) == []
    for fails in ({"resourceType": "Device"}, {"resourceType": "Organization"}):
        found = findings(observed(fails), observation, named)
        assert [(severity, rule) for severity, rule, _ in found] == [("error", "profile-type")]


def test_a_single_core_type_is_asked_for_as_well(
    findings: Finding, profile: Callable[..., Json]
) -> None:
    types = [{"code": "Resource", "profile": [f"{CORE}Patient"]}]
    element = {"id": "Observation.contained", "path": "Observation.contained", "type": types}
    device = {
        "resourceType": "Observation",
        "status": "final",
        "contained": [{"resourceType": "Device"}],
    }
    found = findings(device, profile("Observation", element))
    assert [rule for _, rule, _ in found] == ["profile-type"]
