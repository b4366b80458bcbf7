from typing import Any

import pytest

from hc_assets_tests.fhir.validation.judged_resources import errors, observation, patient, without

VALID_CASES: dict[str, dict[str, Any]] = {
    "extension in place of a value": observation(
        _effectiveDateTime={"extension": [{"url": "http://x.org/a", "valueString": "b"}]},
    ),
    "extension in place of a required value": {
        **without(observation(), "status"),
        "_status": {
            "extension": [
                {
                    "url": "http://hl7.org/fhir/StructureDefinition/data-absent-reason",
                    "valueCode": "unknown",
                }
            ]
        },
    },
    "null beside an extension": patient(
        name=[
            {
                "given": ["a", None],
                "_given": [None, {"extension": [{"url": "http://x.org/a", "valueString": "b"}]}],
            }
        ]
    ),
    "leap day": patient(birthDate="2000-02-29"),
    "leap second": observation(effectiveDateTime="2016-12-31T23:59:60Z"),
    "reference to any server": observation(subject={"reference": "https://x.org/r4/Patient/1"}),
    "reference of a logical kind": observation(subject={"identifier": {"value": "x"}}),
    "contained resource that names its container": patient(
        contained=[
            {
                "resourceType": "Observation",
                "id": "o",
                "status": "final",
                "code": {"text": "x"},
                "subject": {"reference": "#"},
            }
        ]
    ),
    "decimal of many digits": observation(valueQuantity={"value": 10**30}),
    "MIME type with parameter": {
        "resourceType": "Binary",
        "contentType": "text/plain; charset=utf-8",
        "data": "QUJD",
    },
}


@pytest.mark.parametrize("name", VALID_CASES)
def test_rare_but_valid_is_accepted(name: str) -> None:
    assert errors(VALID_CASES[name]) == set()
