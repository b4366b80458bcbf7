"""Limits that depend on an age or a sex that isn't known: nothing is found, and that is said."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hc_assets.fhir.enrichment.batch_index import PatientFacts
from hc_assets.fhir.enrichment.demographics import Ages
from hc_assets.fhir.enrichment.significance.fitting import fitting
from hc_assets.fhir.enrichment.significance.limits import LIMITS_BY_LOINC
from hc_assets.fhir.times import span_of
from hc_assets_tests.fhir.enrichment.judged_observations import coded, enriched, parts, quantity

RULE = "limits-need-patient"
MALE = {"appliesTo": [coded("248153007", "http://snomed.info/sct")]}


def judged(
    patient: PatientFacts | None, loinc: str | None, value: dict[str, Any], *ranges: dict[str, Any]
) -> tuple[str | None, list[str]]:
    """Code of the significance; what is missing by the texts of the issues."""
    members = {"referenceRange": list(ranges)} if ranges else {}
    code = coded(loinc) if loinc else {"text": "x"}
    made = enriched(patient, code=code, valueQuantity=value, **members)
    for issue in made.issues:
        assert (issue.severity, issue.rule, issue.code) == ("information", RULE, "incomplete")
        assert issue.expression == "Observation.valueQuantity"
    found = parts(json.loads(made.resource))
    said = [issue.diagnostics.partition(" of the patient")[0] for issue in made.issues]
    return found and found["interpretation"]["code"], [each.split("no ")[1] for each in said]


def somebody(born: str | None = None, sex: str | None = None) -> PatientFacts:
    return PatientFacts(birth=span_of(born) if born else None, sex=sex)


POTASSIUM, HEMOGLOBIN = quantity(9.0, "mmol/L"), quantity(13, "g/dL")


@pytest.mark.parametrize(
    ("patient", "loinc", "value", "code", "missing"),
    [
        (None, "2823-3", POTASSIUM, None, ["age"]),
        (somebody(sex="male"), "2823-3", POTASSIUM, None, ["age"]),
        (somebody("2002-06"), "2823-3", POTASSIUM, None, ["age"]),  # 17 or 18
        (somebody("0001-01-01"), "2823-3", POTASSIUM, None, ["age"]),  # a date that stands for none
        (somebody("2019-12-01"), "2823-3", POTASSIUM, None, []),  # nothing is known of infants
        (somebody("1980"), "2823-3", POTASSIUM, "HH", []),  # the same for both sexes
        (somebody("1980"), "718-7", HEMOGLOBIN, None, ["sex"]),
        (somebody("1980", "other"), "718-7", HEMOGLOBIN, None, ["sex"]),
        (somebody("1980"), "718-7", quantity(6, "g/dL"), "LL", []),  # critical for either
        (somebody("1980", "female"), "718-7", HEMOGLOBIN, "N", []),
        (None, "718-7", HEMOGLOBIN, None, ["age and sex"]),
        (somebody(sex="male"), "718-7", HEMOGLOBIN, None, ["age"]),
        (somebody("2010-01-01"), "718-7", HEMOGLOBIN, None, []),  # nor of children's
        (None, "1234-5", POTASSIUM, None, []),  # of no row
    ],
)
def test_what_of_the_patient_is_missing_is_said(patient, loinc, value, code, missing):
    assert judged(patient, loinc, value) == (code, missing)


@pytest.mark.parametrize(
    ("patient", "ranges", "code", "missing"),
    [
        # The own range says what is normal; what is critical depends on the age still.
        (None, [{"high": quantity(5, "mmol/L")}], "H", ["age"]),
        (somebody("1980"), [{"high": quantity(5, "mmol/L")}], "HH", []),
        # Ranges that depend on what isn't known are not used.
        (somebody("1980"), [{"high": quantity(9.5, "mmol/L")} | MALE], "HH", []),
        (None, [{"high": quantity(9.5, "mmol/L")} | MALE], None, ["sex", "age"]),
        (None, [{"text": "up to 9.5"} | MALE], None, ["sex", "age"]),
    ],
)
def test_ranges_of_the_observation_are_no_exception(patient, ranges, code, missing):
    assert judged(patient, "2823-3", POTASSIUM, *ranges) == (code, missing)


def test_a_range_for_certain_ages_is_noted_where_the_age_is_unknown():
    of_adults = {"high": quantity(5, "mg"), "age": {"low": quantity(18, "a")}}
    assert judged(None, None, quantity(6, "mg"), of_adults) == (None, ["age"])
    assert judged(somebody("2002-06"), None, quantity(6, "mg"), of_adults) == (None, ["age"])
    assert judged(somebody("2010"), None, quantity(6, "mg"), of_adults) == (None, [])
    assert judged(somebody("1980"), None, quantity(6, "mg"), of_adults) == ("H", [])
    both = of_adults | MALE
    assert judged(None, None, quantity(6, "mg"), both) == (None, ["age and sex"])
    # It is for others, whatever the age.
    assert judged(somebody(sex="female"), None, quantity(6, "mg"), both) == (None, [])


def test_a_range_for_everybody_needs_no_patient():
    ranges = [{"high": quantity(5, "mg")}, {"high": quantity(9, "mg")} | MALE]
    assert judged(None, None, quantity(6, "mg"), *ranges) == ("H", [])


@settings(max_examples=50)
@given(
    st.sampled_from(sorted(LIMITS_BY_LOINC)),
    st.integers(0, 120),
    st.sampled_from(("male", "female")),
)
def test_who_is_known_lacks_nothing_and_knowing_less_never_finds_more(code, age, sex):
    known = fitting(code, Ages(age, age), sex)
    assert not known.missing | known.missing_of_critical
    for ages, given_sex in ((None, sex), (Ages(age, age), None), (None, None)):
        less = fitting(code, ages, given_sex)
        assert less.missing_of_critical <= less.missing
        if less.row is None and known.row is not None:
            assert less.missing
        if less.row is not None and not less.normal:
            assert known.row is not None
            assert less.row.critical_low == known.row.critical_low
            assert less.row.critical_high == known.row.critical_high
