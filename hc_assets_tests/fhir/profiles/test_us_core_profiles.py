import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from hc_assets.fhir.profiles import ProfileSet, load_profiles

Json = dict[str, Any]
US_CORE = "http://hl7.org/fhir/us/core/StructureDefinition/"
CATEGORY = "http://terminology.hl7.org/CodeSystem/observation-category"
LOINC, UCUM = "http://loinc.org", "http://unitsofmeasure.org"
PATIENT: Json = {
    "resourceType": "Patient",
    "extension": [
        {
            "url": f"{US_CORE}us-core-race",
            "extension": [
                {
                    "url": "ombCategory",
                    "valueCoding": {
                        "system": "urn:oid:2.16.840.1.113883.6.238",
                        "code": "2106-3",
                        "display": "White",
                    },
                },
                {"url": "text", "valueString": "White"},
            ],
        },
        {"url": f"{US_CORE}us-core-birthsex", "valueCode": "F"},
    ],
    "identifier": [{"system": "https://example.org/mrn", "value": "1"}],
    "name": [{"family": "Example", "given": ["Eve"]}],
    "gender": "female",
}


def _pressure(code: str, value: int) -> Json:
    return {
        "code": {"coding": [{"system": LOINC, "code": code}]},
        "valueQuantity": {"value": value, "unit": "mmHg", "system": UCUM, "code": "mm[Hg]"},
    }


BLOOD_PRESSURE: Json = {
    "resourceType": "Observation",
    "status": "final",
    "category": [{"coding": [{"system": CATEGORY, "code": "vital-signs"}]}],
    "code": {"coding": [{"system": LOINC, "code": "85354-9"}]},
    "subject": {"reference": "Patient/1"},
    "effectiveDateTime": "2020-01-01",
    "component": [_pressure("8480-6", 120), _pressure("8462-4", 80)],
}


@pytest.fixture(scope="module")
def folder(package_folder: Callable[[str, str], Path]) -> Path:
    return package_folder("HC_US_CORE_PACKAGE", "US Core's definitions (npm hl7.fhir.us.core)")


@pytest.fixture(scope="module")
def profiles(folder: Path) -> ProfileSet:
    return load_profiles([folder])


def _errors(profiles: ProfileSet, resource: Json, name: str) -> list[tuple[str, str]]:
    url = US_CORE + name
    if url not in profiles.urls:
        pytest.skip(f"the package has no {name}")
    issues = profiles.validate(json.dumps(resource).encode(), [url])
    return [(i.rule, i.expression) for i in issues if i.severity in ("fatal", "error")]


def test_the_package_s_examples_conform_to_the_profiles_that_they_name(
    folder: Path, profiles: ProfileSet
) -> None:
    count = 0
    for path in sorted(folder.rglob("*.json")):
        raw = path.read_bytes()
        if f'"{US_CORE}'.encode() not in raw or b'"StructureDefinition"' in raw:
            continue
        issues = profiles.validate(raw)
        assert [(path.name, i) for i in issues if i.severity in ("fatal", "error")] == []
        count += 1
    if not count:
        pytest.skip("the package has no examples")


def test_a_good_patient_and_a_good_blood_pressure_conform(profiles: ProfileSet) -> None:
    assert _errors(profiles, PATIENT, "us-core-patient") == []
    assert _errors(profiles, BLOOD_PRESSURE, "us-core-blood-pressure") == []


@pytest.mark.parametrize(
    ("drop", "place"),
    [
        (("name",), "Patient.name"),
        (("gender",), "Patient.gender"),
        (("identifier",), "Patient.identifier"),
        (("identifier", 0, "system"), "Patient.identifier[0].system"),
        (("identifier", 0, "value"), "Patient.identifier[0].value"),
        (("extension", 0, "extension", 1), "Patient.extension[0].extension"),
    ],
)
def test_what_us_core_s_patient_must_have_is_missed(
    profiles: ProfileSet, drop: tuple[str | int, ...], place: str
) -> None:
    patient: Any = copy.deepcopy(PATIENT)
    holder = patient
    for step in drop[:-1]:
        holder = holder[step]
    del holder[drop[-1]]
    assert ("profile-cardinality", place) in _errors(profiles, patient, "us-core-patient")


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"category": None}, ("profile-cardinality", "Observation.category")),
        ({"subject": None}, ("profile-cardinality", "Observation.subject")),
        (
            {"subject": {"reference": "Group/1"}},
            ("profile-reference-target", "Observation.subject"),
        ),
        ({"code": {"text": "x"}}, ("profile-pattern", "Observation.code")),
        (
            {"component": [_pressure("8480-6", 120)]},
            ("profile-cardinality", "Observation.component"),
        ),
        ({"effectiveDateTime": "2020"}, ("vs-1", "Observation.effectiveDateTime")),
        (
            {
                "component": [
                    _pressure("8462-4", 80),
                    _pressure("8480-6", 120) | {"valueQuantity": {}},
                ]
            },
            ("profile-cardinality", "Observation.component[1].valueQuantity.value"),
        ),
    ],
)
def test_what_breaks_us_core_s_blood_pressure_is_found(
    profiles: ProfileSet, change: Json, expected: tuple[str, str]
) -> None:
    changed = BLOOD_PRESSURE | change
    resource = {name: value for name, value in changed.items() if value is not None}
    assert expected in _errors(profiles, resource, "us-core-blood-pressure")
