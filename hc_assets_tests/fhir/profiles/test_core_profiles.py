"""R4's own profiles: held against what names them, and against vital signs that don't.

Belongs here: which resources they are held against and how bad a breach is. That compiled code
agrees is in the tests of the fast path.
"""

import copy
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from hc_assets.fhir.profiles import ProfileError, ProfileSet, load_profiles
from hc_assets.fhir.profiles.core_profiles import core_profile_urls
from hc_assets.fhir.r4.build.core_profiles import build_core_profiles
from hc_assets.fhir.r4.build.package import read_package
from hc_assets.fhir.r4.core_profiles import CORE_PROFILES_PATH, core_profiles
from hc_assets.fhir.validation import has_errors, is_valid, validate
from hc_assets.fhir.validation.profile_rules import given_profiles, loaded, profile_issues

Json = dict[str, Any]
CORE = "http://hl7.org/fhir/StructureDefinition/"
CATEGORY = "http://terminology.hl7.org/CodeSystem/observation-category"
UCUM = "http://unitsofmeasure.org"


def _coded(code: str, system: str = "http://loinc.org") -> Json:
    return {"coding": [{"system": system, "code": code}]}


def _quantity(code: str) -> Json:
    return {"value": 72, "unit": code, "system": UCUM, "code": code}


HEART_RATE: Json = {
    "resourceType": "Observation",
    "status": "final",
    "category": [_coded("vital-signs", CATEGORY)],
    "code": _coded("8867-4"),
    "subject": {"reference": "Patient/1"},
    "effectiveDateTime": "2024-05-01",
    "valueQuantity": _quantity("/min"),
}
BLOOD_PRESSURE: Json = {
    **{name: value for name, value in HEART_RATE.items() if name != "valueQuantity"},
    "code": _coded("85354-9"),
    "component": [
        {"code": _coded("8480-6"), "valueQuantity": _quantity("mm[Hg]")},
        {"code": _coded("8462-4"), "valueQuantity": _quantity("mm[Hg]")},
    ],
}


def _found(resource: Json) -> list[tuple[str, str, str]]:
    issues = validate(json.dumps(resource).encode())
    return [(i.severity, i.rule, i.expression) for i in issues if i.rule != "dom-6"]


def _named(resource: Json, *profiles: str) -> Json:
    return {**resource, "meta": {"profile": [f"{CORE}{profile}" for profile in profiles]}}


def _without(resource: Json, *path: str | int) -> Json:
    changed = copy.deepcopy(resource)
    *way, last = path
    holder: Any = changed
    for step in way:
        holder = holder[step]
    del holder[last]
    return changed


def _with(resource: Json, value: Any, *path: str | int) -> Json:
    changed = copy.deepcopy(resource)
    *way, last = path
    holder: Any = changed
    for step in way:
        holder = holder[step]
    holder[last] = value
    return changed


MUTANTS = [
    (_without(HEART_RATE, "category"), "heartrate", "profile-cardinality", "category"),
    (_without(HEART_RATE, "subject"), "heartrate", "profile-cardinality", "subject"),
    (_without(HEART_RATE, "effectiveDateTime"), "heartrate", "profile-cardinality", "effective"),
    (_without(HEART_RATE, "valueQuantity"), "heartrate", "vs-2", ""),
    (
        _without(HEART_RATE, "valueQuantity", "unit"),
        *("heartrate", "profile-cardinality", "valueQuantity.unit"),
    ),
    (
        _with(HEART_RATE, "/s", "valueQuantity", "code"),
        *("heartrate", "profile-fixed", "valueQuantity.code"),
    ),
    (_with(HEART_RATE, "2024-05", "effectiveDateTime"), "heartrate", "vs-1", "effectiveDateTime"),
    (
        _with(HEART_RATE, {"reference": "Device/1"}, "subject"),
        *("heartrate", "profile-reference-target", "subject"),
    ),
    (_without(BLOOD_PRESSURE, "component", 1), "bp", "profile-cardinality", "component"),
    (
        _without(BLOOD_PRESSURE, "component", 1, "valueQuantity"),
        *("bp", "vs-3", "component[1]"),
    ),
    (
        _with(BLOOD_PRESSURE, "kPa", "component", 0, "valueQuantity", "code"),
        *("bp", "profile-fixed", "component[0].valueQuantity.code"),
    ),
]


@pytest.mark.parametrize(("resource", "profile", "rule", "place"), MUTANTS)
def test_what_a_resource_names_is_an_error_and_what_its_code_asks_a_warning(
    resource: Json, profile: str, rule: str, place: str
) -> None:
    where = f"Observation.{place}".rstrip(".")
    assert ("error", rule, where) in _found(_named(resource, profile))
    unnamed = _found(resource)
    assert ("warning", rule, where) in unnamed
    assert {severity for severity, _, _ in unnamed} == {"warning"}
    assert not is_valid(json.dumps(_named(resource, profile)).encode())
    assert is_valid(json.dumps(resource).encode())


@pytest.mark.parametrize("resource", [HEART_RATE, BLOOD_PRESSURE])
def test_vital_signs_that_conform_have_no_issue(resource: Json) -> None:
    profile = "bp" if "component" in resource else "heartrate"
    assert _found(resource) == []
    assert _found(_named(resource, profile, "vitalsigns")) == []


def test_what_is_an_error_is_not_repeated_as_a_warning() -> None:
    found = _found(_named(_without(HEART_RATE, "subject"), "vitalsigns"))
    assert [each for each in found if each[2] == "Observation.subject"] == [
        ("error", "profile-cardinality", "Observation.subject")
    ]


def test_a_profile_of_another_type_is_an_error() -> None:
    assert _found({"resourceType": "Patient"} | _named({}, "bp")) == [
        ("error", "profile-type", "Patient")
    ]


def test_resources_inside_bundles_and_contained_ones_are_held_too() -> None:
    bad = _named(_without(HEART_RATE, "subject"), "heartrate")
    bundle = {"resourceType": "Bundle", "type": "collection"}
    entries = [{"fullUrl": "https://a.org/Observation/1", "resource": bad | {"id": "1"}}]
    places = [place for severity, _, place in _found(bundle | {"entry": entries})]
    assert places == ["Bundle.entry[0].resource.subject"]


def test_escaped_names_are_names() -> None:
    raw = json.dumps(_named(_without(HEART_RATE, "subject"), "heartrate"))
    escaped = raw.replace("StructureDefinition/heart", "StructureDefinition\\/\\u0068eart")
    assert escaped != raw
    assert not is_valid(escaped.encode())


_OTHERS = {
    "cholesterol": {"resourceType": "Observation", "status": "final", "code": _coded("35200-5")},
    "groupdefinition": {"resourceType": "Group", "type": "person", "actual": True},
    "actualgroup": {"resourceType": "Group", "type": "person", "actual": False},
    "shareablevalueset": {"resourceType": "ValueSet", "status": "active"},
    "computableplandefinition": {"resourceType": "PlanDefinition", "status": "active"},
    "catalog": {
        "resourceType": "Composition",
        "status": "final",
        "type": {"text": "x"},
        "date": "2024",
        "author": [{"reference": "Practitioner/1"}],
        "title": "x",
    },
    "lipidprofile": {"resourceType": "DiagnosticReport", "status": "final", "code": _coded("x")},
}


@pytest.mark.parametrize("profile", _OTHERS)
def test_other_profiles_of_r4_are_known_without_any_package(profile: str) -> None:
    assert {s for s, _, _ in _found(_OTHERS[profile])} <= {"warning"}
    errors = [rule for severity, rule, _ in _found(_named(_OTHERS[profile], profile))]
    assert any(rule.startswith("profile-") for rule in errors)


def test_profiles_of_a_deployment_may_build_on_r4_s_own(
    load: Callable[..., ProfileSet], profile: Callable[..., Json]
) -> None:
    method = {"id": "Observation.method", "path": "Observation.method", "min": 1}
    own = profile("Observation", method, baseDefinition=f"{CORE}heartrate")
    issues = load(own).validate(json.dumps(_without(HEART_RATE, "subject")).encode(), [own["url"]])
    assert sorted(issue.expression for issue in issues) == [
        "Observation.method",
        "Observation.subject",
    ]
    assert load(own).urls == {own["url"]}


def _written(folder: Path, definition: Json) -> tuple[Path]:
    path = folder / "p.json"
    path.write_text(json.dumps(definition))
    return (path,)


def test_r4_s_own_are_not_held_twice_beside_those_of_a_deployment(
    tmp_path: Path, profile: Callable[..., Json]
) -> None:
    paths = _written(tmp_path, profile("Patient"))
    raw = json.dumps(_named(_without(HEART_RATE, "subject"), "heartrate")).encode()
    assert has_errors(validate(raw))
    assert profile_issues(raw, given_profiles(paths)) == []


def test_a_profile_may_be_demanded_of_each_resource_of_a_type(
    tmp_path: Path, profile: Callable[..., Json]
) -> None:
    named = {"id": "Patient.name", "path": "Patient.name", "min": 1}
    own = profile("Patient", named)
    profiles = given_profiles(_written(tmp_path, own), [f"Patient={own['url']}"])
    assert [i.rule for i in profile_issues(b'{"resourceType":"Patient"}', profiles)] == [
        "profile-cardinality"
    ]
    assert profile_issues(b'{"resourceType":"Group"}', profiles) == []
    vital = given_profiles([], [f"Observation={CORE}vitalsigns"])
    raw = json.dumps(_without(HEART_RATE, "subject")).encode()
    assert [i.expression for i in profile_issues(raw, vital)] == ["Observation.subject"]


@pytest.mark.parametrize(
    ("demand", "text"),
    [
        ("Patient=https://a.org/none", "found no such profile"),
        (f"Patient={CORE}bp", "found a profile of Observation, expected one of Patient"),
        (f"Pateint={CORE}bp", "found no resource type"),
    ],
)
def test_a_demand_that_can_t_be_met_is_refused(demand: str, text: str) -> None:
    with pytest.raises(ProfileError, match=text):
        loaded(given_profiles([], [demand]))


@pytest.mark.skipif("HC_R4_PACKAGE" not in os.environ, reason="HC_R4_PACKAGE names no package")
def test_the_shipped_profiles_are_those_of_the_package() -> None:
    package = read_package(Path(os.environ["HC_R4_PACKAGE"]))
    assert build_core_profiles(package) == CORE_PROFILES_PATH.read_bytes()
    assert CORE_PROFILES_PATH.stat().st_size < 20_000
    published = {
        url
        for url, structure in package.structures.items()
        if structure.get("derivation") == "constraint" and structure["kind"] == "resource"
    }
    assert published < core_profile_urls()  # beside those of data types
    assert len(published) > 40
    bodies = load_profiles([Path(os.environ["HC_R4_PACKAGE"])])
    assert core_profile_urls() <= bodies.urls


def test_each_vital_sign_has_its_own_profile() -> None:
    profiles = [sign.profile for sign in core_profiles().vital_signs.values()]
    assert len(set(profiles)) == len(profiles) == 10
