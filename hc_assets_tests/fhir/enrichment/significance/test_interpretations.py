import json
from typing import Any

import pytest

from hc_assets.fhir.enrichment.significance.interpretations import DISPLAYS, contradict
from hc_assets_tests.fhir.enrichment.judged_observations import (
    coded,
    enriched,
    parts,
    quantity,
)

V3 = "http://terminology.hl7.org/CodeSystem/v3-ObservationInterpretation"
V2 = "http://terminology.hl7.org/CodeSystem/v2-0078"
RANGE = [{"low": quantity(3.5, "mmol/L"), "high": quantity(5.1, "mmol/L")}]


def judged(*codes: str, system: str = V3, **members: Any) -> tuple[Any, list[str]]:
    """Code and evidence of the significance, and the rules of the issues."""
    said = [coded(code, system) for code in codes]
    made = enriched(**({"code": coded("2823-3")} | members), interpretation=said)
    resource = json.loads(made.resource)
    assert resource["interpretation"] == said
    found = parts(resource)
    told = found and (found["interpretation"]["code"], found["evidence"])
    return told, [issue.rule for issue in made.issues]


def potassium(value: float, *codes: str, **rest: Any) -> tuple[Any, list[str]]:
    return judged(*codes, valueQuantity=quantity(value, "mmol/L"), referenceRange=RANGE, **rest)


@pytest.mark.parametrize(
    ("value", "theirs", "ours"),
    [
        (7.5, "N", ("HH", "reference-table")),
        (6.0, "L", ("H", "reference-range")),
        (3.0, "H", ("L", "reference-range")),
        (4.0, "H", ("N", "reference-range")),
        (4.0, "A", ("N", "reference-range")),
        (6.0, "N", ("H", "reference-range")),
    ],
)
def test_an_interpretation_that_contradicts_ours_is_an_issue(value, theirs, ours):
    assert potassium(value, theirs) == (ours, ["interpretation-agrees"])
    assert potassium(value, theirs, system=V2) == (ours, ["interpretation-agrees"])


@pytest.mark.parametrize(
    ("value", "theirs", "ours"),
    [
        (7.5, "H", ("HH", "reference-table")),  # the graver of the two
        (6.0, "HH", ("HH", "interpretation")),
        (6.0, "HU", ("H", "reference-range")),
        (6.0, "A", ("H", "reference-range")),
        (7.5, "AA", ("HH", "reference-table")),
        (4.0, "N", ("N", "reference-range")),
        (4.0, "D", ("N", "reference-range")),  # gone down, which is no contradiction
        (4.0, "X", ("N", "reference-range")),
    ],
)
def test_one_that_agrees_is_none(value, theirs, ours):
    assert potassium(value, theirs) == (ours, [])


@pytest.mark.parametrize(
    "members",
    [
        {"valueQuantity": quantity(5, "mmol/L"), "code": {"text": "x"}},
        {"valueString": "many", "code": {"text": "x"}},
        {"valueQuantity": quantity(5, "mmol/L", comparator="<")},
    ],
)
def test_where_we_have_nothing_theirs_is_taken(members):
    assert judged("H", **members) == (("H", "interpretation"), [])


def test_theirs_is_taken_beside_a_unit_that_can_not_be_converted():
    found = judged("H", valueQuantity=quantity(5, "mm[Hg]"))
    assert found == (("H", "interpretation"), ["unit-convertible"])


def test_of_a_component_it_is_its_own():
    part = {"code": coded("8480-6"), "valueQuantity": quantity(120, "mm[Hg]")}
    made = enriched(code=coded("85354-9"), component=[part | {"interpretation": [coded("H", V3)]}])
    assert [issue.expression for issue in made.issues] == [
        "Observation.component[0].interpretation"
    ]


def test_those_that_contradict_one_another_are_not_taken():
    found = judged("H", "L", valueQuantity=quantity(5, "mmol/L"), code={"text": "x"})
    assert found == (None, ["interpretation-agrees"])


def test_codes_of_no_meaning_are_not_taken():
    value = {"valueQuantity": quantity(5, "mmol/L"), "code": {"text": "x"}}
    assert judged("D", **value) == (None, [])
    assert judged("H", system="urn:ours", **value) == (None, [])


@pytest.mark.parametrize(("theirs", "rules"), [("POS", []), ("NEG", ["interpretation-agrees"])])
def test_a_coded_result_is_held_against_it_as_well(theirs, rules):
    value = coded("10828004", "http://snomed.info/sct")
    found = judged(theirs, code={"text": "x"}, valueCodeableConcept=value)
    assert found == (("POS", "coded-result"), rules)


def test_no_code_contradicts_itself_and_each_contradiction_is_mutual():
    for one in DISPLAYS:
        assert not contradict(one, one)
        for other in DISPLAYS:
            assert contradict(one, other) == contradict(other, one)
