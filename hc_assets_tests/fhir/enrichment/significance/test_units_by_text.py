"""Units without a UCUM code: what their text can be, and that it is read where one reading fits."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hc_assets.fhir.enrichment.significance.unit_texts import readings
from hc_assets.fhir.enrichment.significance.units import is_ucum
from hc_assets_tests.fhir.enrichment.judged_observations import (
    UCUM,
    code_of,
    coded,
    enriched,
    parts,
    quantity,
)


@pytest.mark.parametrize("system", [{}, {"system": UCUM}])
@pytest.mark.parametrize(
    ("loinc", "value", "unit", "code"),
    [
        ("17861-6", 7.7, "mg/dL", "L"),
        ("17861-6", 7.7, "MG/DL", "L"),
        ("17861-6", 7.7, "mg/dl", "L"),
        ("17861-6", 7.7, "mg/100 mL", "L"),
        ("17861-6", 7.7, "mg%", "L"),
        ("17861-6", 4.0, "mEq/L", "L"),
        ("2951-2", 160, "mmol/L", "HH"),
        ("2951-2", 160, "mmol/l", "HH"),
        ("2951-2", 160, "mEq/L", "HH"),
        ("2951-2", 160, "MEQ/L", "HH"),
        ("2345-7", 5.0, "mmol/L", "N"),
        ("2160-0", 90, "umol/L", "N"),
        ("2160-0", 90, "\u00b5mol/L", "N"),
        ("2160-0", 90, "\u03bcmol/l", "N"),
        ("8867-4", 72, "beats/minute", "N"),
        ("8867-4", 72, "bpm", "N"),
        ("8867-4", 131, "/min", "HH"),
        ("9279-1", 25, "breaths per minute", "HH"),
        ("2708-6", 91, "%", "LL"),
        ("2708-6", 91, "percent", "LL"),
        ("4548-4", 5.7, "%", "H"),
        ("8480-6", 181, "mm[Hg]", "HH"),
        ("8480-6", 181, "mmHg", "HH"),
        ("8480-6", 181, "mm Hg", "HH"),
        ("8310-5", 35.0, "\u00b0C", "LL"),
        ("8310-5", 35.0, "C", "LL"),
        ("8310-5", 102, "deg F", "H"),
        ("6690-2", 12, "K/uL", "H"),
        ("6690-2", 12, "10*3/uL", "H"),
        ("6690-2", 12, "10^3/uL", "H"),
        ("6690-2", 12, "x10E3/uL", "H"),
        ("6690-2", 12, "10\u00b3/\u00b5L", "H"),
        ("6690-2", 12, "\u00d710\u2079/L", "H"),
        ("6690-2", 12, "G/L", "H"),
        ("6690-2", 12_000, "cells/uL", "H"),
        ("718-7", 130, "g/L", "N"),
        ("718-7", 130, "G/L", "N"),
        ("1742-6", 50, "IU/L", "H"),
        ("1742-6", 50, "units/L", "H"),
        ("3016-3", 5, "mIU/L", "H"),
        ("3016-3", 5, "uIU/mL", "H"),
        ("33914-3", 50, "mL/min/1.73m2", "L"),
        ("33914-3", 50, "mL/min/1.73", "L"),
        ("785-6", 20, "pg/cell", "L"),
        ("33914-3", 50, "mL/min/1.73 m\u00b2", "L"),
        ("39156-5", 30, "kg/m^2", "H"),
    ],
)
def test_a_unit_of_one_possible_reading_is_read(loinc, value, unit, code, system):
    made = enriched(code=coded(loinc), valueQuantity={"value": value, "unit": unit, **system})
    assert parts(json.loads(made.resource))["interpretation"]["code"] == code
    (issue,) = made.issues
    assert (issue.rule, issue.expression) == ("unit-code", "Observation.valueQuantity")
    assert "no UCUM code" in issue.diagnostics


@pytest.mark.parametrize(
    ("loinc", "unit"),
    [
        ("8310-5", "deg"),  # of Celsius or Fahrenheit
        ("8310-5", "\u00b0"),
        ("6690-2", "mil/uL"),  # a thousand, or a million
        ("17861-6", "Mg/dL"),  # by UCUM a megagram
    ],
)
def test_a_unit_of_two_possible_readings_is_an_issue_and_no_guess(loinc, unit):
    made = enriched(code=coded(loinc), valueQuantity={"value": 37, "unit": unit})
    assert parts(json.loads(made.resource)) is None
    assert {issue.rule for issue in made.issues} == {"unit-ambiguous"}


def test_a_code_that_ucum_does_not_have_is_read_as_a_text():
    made = enriched(code=coded("8480-6"), valueQuantity=quantity(181, "mmHg"))
    assert parts(json.loads(made.resource))["interpretation"]["code"] == "HH"
    assert [issue.rule for issue in made.issues] == ["unit-code"]


def test_a_code_that_ucum_has_is_what_it_says_whatever_its_text():
    value = {"value": 12, "unit": "10*3/uL", "system": UCUM, "code": "K/uL"}
    assert code_of(code=coded("6690-2"), valueQuantity=value) is None


def test_the_issue_says_once_how_the_unit_is_read():
    value = {"unit": "F", "value": 98.6}
    (issue,) = enriched(code=coded("8310-5"), valueQuantity=value).issues
    assert issue.diagnostics.endswith("as [degF]")
    for unit, read in (("mmHg", "mm[Hg]"), ("K/uL", "10*3/uL")):
        loinc = "8480-6" if unit == "mmHg" else "6690-2"
        end = {"value": 30, "unit": unit}
        (issue,) = enriched(
            code=coded(loinc), valueQuantity=end, referenceRange=[{"high": end}]
        ).issues
        assert issue.diagnostics.endswith(f"as {read}")


def own(low: dict[str, Any], high: dict[str, Any]) -> list[dict[str, Any]]:
    return [{"low": low, "high": high}]


@pytest.mark.parametrize(
    ("value", "end", "rules"),
    [
        ({"unit": "mg/dL"}, {"unit": "mg/dL"}, ["unit-code"]),
        ({"unit": "mg/dL"}, {"unit": "mg/dl"}, ["unit-code"]),
        ({"unit": "mg/dL", "system": UCUM, "code": "mg/dL"}, {"unit": "mg/dl"}, ["unit-code"]),
        ({"unit": "mg/dL"}, {"unit": "mg/dL", "system": UCUM, "code": "mg/dL"}, ["unit-code"]),
        ({"unit": "mg/dL"}, {}, []),
        ({"unit": "AU"}, {"unit": "AU"}, ["unit-code"]),
    ],
)
def test_an_own_range_is_compared_by_the_texts_of_units(value, end, rules):
    made = enriched(
        code={"text": "x"},
        valueQuantity={"value": 7.7, **value},
        referenceRange=own({"value": 8.5, **end}, {"value": 10.5, **end}),
    )
    assert parts(json.loads(made.resource))["interpretation"]["code"] == "L"
    assert [issue.rule for issue in made.issues] == rules


def test_the_unit_of_the_range_is_named_where_it_is_the_one_without_a_code():
    made = enriched(
        code={"text": "x"},
        valueQuantity=quantity(7.7, "mg/dL"),
        referenceRange=own({"value": 8.5, "unit": "mg/dl"}, {"value": 10.5, "unit": "mg/dl"}),
    )
    assert [issue.expression for issue in made.issues] == ["Observation.referenceRange"]


@given(st.text(max_size=12))
def test_each_reading_of_any_text_is_ucum(text):
    assert all(is_ucum(each) for each in readings(text))
