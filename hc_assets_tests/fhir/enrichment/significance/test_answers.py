import json
from typing import Any

import pytest

from hc_assets_tests.fhir.enrichment.columns.both_ways import both_ways, validated
from hc_assets_tests.fhir.enrichment.judged_observations import LOINC, code_of, coded, quantity

CATEGORY = "http://terminology.hl7.org/CodeSystem/observation-category"
SURVEY, VITAL = coded("survey", CATEGORY), coded("vital-signs", CATEGORY)
ANSWERED = [{"reference": "QuestionnaireResponse/q"}]
RANGE = [{"low": {"value": 0}, "high": {"value": 4}}]
HIGH = coded("H", "http://terminology.hl7.org/CodeSystem/v3-ObservationInterpretation")


@pytest.mark.parametrize(
    ("members", "code"),
    [
        ({"category": [SURVEY]}, None),
        ({"category": [SURVEY], "interpretation": [HIGH]}, None),
        ({"derivedFrom": ANSWERED}, None),
        ({"valueQuantity": quantity(9, "{score}")}, None),
        ({"category": [SURVEY, VITAL]}, "H"),
        ({"category": [VITAL], "derivedFrom": ANSWERED}, "H"),
        ({"category": [coded("survey", "urn:x")]}, "H"),
        ({}, "H"),
    ],
)
def test_answers_are_no_findings(members, code):
    sent = {"code": {"text": "x"}, "valueQuantity": quantity(9, "kg"), "referenceRange": RANGE}
    assert code_of(**(sent | members)) == code


def two(first: dict[str, Any], second: dict[str, Any], **members: Any) -> list[list[str]]:
    """Rules that two observations of one code at one time break."""
    sent = {
        "resourceType": "Observation",
        "status": "final",
        "code": {"coding": [{"system": LOINC, "code": "93034-7"}]},
        "subject": {"reference": "Patient/p"},
        "effectiveDateTime": "2020-01-01T10:00:00Z",
        **members,
    }
    resources = [sent | {"id": "a"} | first, sent | {"id": "b"} | second]
    made, _ = both_ways(validated(json.dumps(each).encode() for each in resources))
    return [
        [issue["rule"] for issue in issues if issue["rule"] == "not-contradicted"]
        for issues in made["issues"].to_pylist()
    ]


@pytest.mark.parametrize(
    ("first", "second", "members"),
    [
        ({"valueString": "x"}, {"valueString": "y"}, {"category": [SURVEY]}),
        ({"valueQuantity": quantity(1, "h")}, {"valueQuantity": quantity(2, "h")},
         {"category": [SURVEY]}),
        ({"valueString": "x"}, {"valueString": "y"}, {"derivedFrom": ANSWERED}),
        ({"valueQuantity": quantity(1, "{score}")}, {"valueQuantity": quantity(2, "{score}")}, {}),
    ],
)  # fmt: skip
def test_answers_do_not_contradict_one_another(first, second, members):
    assert two(first, second, **members) == [[], []]


def test_measurements_still_do():
    values = {"valueQuantity": quantity(1, "kg")}, {"valueQuantity": quantity(2, "kg")}
    expected = [["not-contradicted"], ["not-contradicted"]]
    assert two(*values) == expected
    assert two(*values, category=[VITAL]) == expected
    assert two(*values, category=[SURVEY, VITAL]) == expected
