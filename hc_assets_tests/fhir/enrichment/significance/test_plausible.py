import json
from typing import Any

import pytest

from hc_assets.fhir.enrichment.batch_index import PatientFacts
from hc_assets.fhir.enrichment.significance.limits import LIMITS
from hc_assets.fhir.enrichment.significance.plausible import BOUNDS, BOUNDS_BY_LOINC
from hc_assets_tests.fhir.enrichment.enriching import AGE, AGE_GROUP, RISK, extension, patient
from hc_assets_tests.fhir.enrichment.enriching import enriched as enriched_resource
from hc_assets_tests.fhir.enrichment.judged_observations import (
    ADULT,
    coded,
    enriched,
    parts,
    quantity,
)

HIGH = coded("H", "http://terminology.hl7.org/CodeSystem/v3-ObservationInterpretation")
NORMAL = [{"low": {"value": 0}, "high": {"value": 10_000}}]


def judged(
    loinc: str, value: float, unit: str, who: PatientFacts | None = ADULT, **rest: Any
) -> tuple[bool, list[str]]:
    found = quantity(value, unit) | rest.pop("quantity", {})
    made = enriched(who, code=coded(loinc), valueQuantity=found, **rest)
    return parts(json.loads(made.resource)) is not None, [issue.rule for issue in made.issues]


@pytest.mark.parametrize(
    ("loinc", "value", "unit"),
    [
        ("8310-5", 370, "Cel"),
        ("8310-5", 98.6, "Cel"),  # degrees of Fahrenheit
        ("8310-5", 37, "[degF]"),
        ("2951-2", -140, "mmol/L"),
        ("2951-2", 1400, "mmol/L"),
        ("2823-3", -4, "mmol/L"),
        ("6690-2", -7, "10*3/uL"),
        ("777-3", -1, "10*9/L"),
        ("8867-4", 0, "/min"),
        ("8867-4", -60, "/min"),
        ("8867-4", 999, "/min"),
        ("59408-5", 101, "%"),
        ("2708-6", 1.5, "1"),
        ("8302-2", 1.75, "cm"),  # metres
        ("8302-2", 175, "m"),
        ("8302-2", 70, "[ft_i]"),
        ("29463-7", 70_000, "kg"),
        ("30525-0", 2025, "a"),
        ("30525-0", -1, "a"),
        ("718-7", -13, "g/dL"),
        ("8480-6", -120, "mm[Hg]"),
        ("1558-6", 90_000, "mg/dL"),
        ("751-8", -2, "10*3/uL"),  # of no code in the table: a count
        ("2324-2", -20, "U/L"),
        ("8328-7", -300, "Cel"),
    ],
)
@pytest.mark.parametrize("who", [ADULT, None])
def test_a_value_that_nobody_has_is_an_issue_and_no_finding(loinc, value, unit, who):
    rest = {"referenceRange": NORMAL, "interpretation": [HIGH]}
    assert judged(loinc, value, unit, who, **rest) == (False, ["plausible-value"])


@pytest.mark.parametrize(
    ("loinc", "value", "unit", "comparator"),
    [
        ("2951-2", 105, "mmol/L", None),
        ("2951-2", 180, "mmol/L", None),
        ("8310-5", 42, "Cel", None),
        ("8310-5", 98.6, "[degF]", None),
        ("8867-4", 250, "/min", None),
        ("59408-5", 100, "%", None),
        ("2708-6", 0.98, "1", None),
        ("1558-6", 2656, "mg/dL", None),
        ("2823-3", 20, "mmol/L", "<"),  # it may be anything below
        ("1925-7", -15, "mmol/L", None),  # a base excess
        ("33037-3", -1, "mmol/L", None),  # an anion gap
    ],
)
def test_what_somebody_has_had_is_none(loinc, value, unit, comparator):
    rest = {"comparator": comparator} if comparator else {}
    _, rules = judged(loinc, value, unit, quantity=rest, referenceRange=NORMAL)
    assert "plausible-value" not in rules


@pytest.mark.parametrize(
    ("value", "comparator", "is_issue"),
    [(0, "<", True), (-1, "<", True), (16, ">", True), (15, ">=", False), (0.4, ">", False)],
)
def test_a_comparator_leaves_open_what_it_leaves_open(value, comparator, is_issue):
    _, rules = judged("2823-3", value, "mmol/L", quantity={"comparator": comparator})
    assert ("plausible-value" in rules) is is_issue


@pytest.mark.parametrize("value", [quantity(-140), {"value": -140, "unit": "bogus"}])
def test_what_is_negative_in_any_unit_is_one_in_none(value):
    made = enriched(code=coded("2951-2"), valueQuantity=value)
    assert [issue.rule for issue in made.issues] == ["plausible-value"]


def test_a_height_in_a_unit_of_mass_is_an_issue():
    assert judged("8302-2", 175, "kg") == (False, ["unit-convertible"])


def test_a_component_is_named_where_it_is_the_one():
    pressure = {"code": coded("8480-6"), "valueQuantity": quantity(1200, "mm[Hg]")}
    made = enriched(code=coded("85354-9"), component=[pressure])
    (issue,) = made.issues
    assert issue.expression == "Observation.component[0].valueQuantity"
    assert "1200" not in issue.diagnostics


@pytest.mark.parametrize("born", ["0001-01-01", "1753-01-01", "1900-01-01", "2026-03-04", "2126"])
def test_an_age_that_nobody_has_is_an_issue_and_no_finding(born):
    made = enriched_resource(patient(birthDate=born, gender="female"))
    resource = json.loads(made.resource)
    assert not any(extension(resource, url) for url in (AGE, AGE_GROUP, RISK))
    assert [(i.rule, i.expression) for i in made.issues] == [
        ("plausible-value", "Patient.birthDate")
    ]


@pytest.mark.parametrize("born", ["1903-06-01", "1903", "2026-03-01", "2026"])
def test_an_age_that_somebody_has_is_none(born):
    made = enriched_resource(patient(birthDate=born))
    assert extension(json.loads(made.resource), AGE) is not None
    assert made.issues == []


def test_an_age_at_death_is_held_against_the_same():
    made = enriched_resource(patient(birthDate="1800-01-01", deceasedDateTime="1870"))
    assert made.issues == []


def test_each_code_has_one_row_of_bounds():
    codes = [code for bounds in BOUNDS for code in bounds.codes]
    assert len(codes) == len(set(codes))


def test_what_is_normal_or_critical_is_plausible():
    for row in LIMITS:
        for code in row.codes:
            bounds = BOUNDS_BY_LOINC.get(code)
            if bounds is None or row.sources == ():  # of children, in another unit
                continue
            assert bounds.unit == row.unit
            for limit in (row.low, row.high, row.critical_low, row.critical_high):
                assert limit is None or bounds.low < limit <= bounds.high, row.name
