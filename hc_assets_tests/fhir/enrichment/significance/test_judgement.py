import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ucumvert import PintUcumRegistry

from hc_assets.fhir.enrichment.batch_index import PatientFacts
from hc_assets.fhir.enrichment.significance.limits import LIMITS, LIMITS_BY_LOINC
from hc_assets.fhir.times import span_of
from hc_assets_tests.fhir.enrichment.judged_observations import (
    code_of,
    coded,
    enriched,
    parts,
    quantity,
    significance_of,
)

# --- The table ---


@pytest.mark.parametrize(
    ("value", "code"),
    [(2.7, "LL"), (2.8, "L"), (3.4, "L"), (3.5, "N"), (5.0, "N"), (5.1, "H"), (6.3, "HH")],
)
def test_a_value_is_held_against_the_table(value, code):
    assert code_of(code=coded("2823-3"), valueQuantity=quantity(value, "mmol/L")) == code


@pytest.mark.parametrize(
    ("loinc", "value", "unit", "code"),
    [
        # A random glucose, one while fasting, one 2 hours after 75 g.
        ("2345-7", 125, "mg/dL", "N"),
        ("2345-7", 126, "mg/dL", "H"),
        ("2345-7", 484, "mg/dL", "H"),
        ("2345-7", 485, "mg/dL", "HH"),
        ("1558-6", 99, "mg/dL", "N"),
        ("1558-6", 100, "mg/dL", "H"),
        ("1558-6", 53, "mg/dL", "LL"),
        ("1518-0", 139, "mg/dL", "N"),
        ("1518-0", 140, "mg/dL", "H"),
        # CO2 content has wider limits than bicarbonate, and critical ones.
        ("2028-9", 30, "mmol/L", "N"),
        ("2028-9", 41, "mmol/L", "HH"),
        ("1963-8", 28, "mmol/L", "N"),
        ("1963-8", 41, "mmol/L", "H"),
        # "Less than" in the source: the limit itself is high.
        ("8480-6", 130, "mm[Hg]", "H"),
        ("8480-6", 180, "mm[Hg]", "H"),
        ("8480-6", 181, "mm[Hg]", "HH"),
        ("8480-6", 90, "mm[Hg]", "N"),
        ("8480-6", 89, "mm[Hg]", "L"),
        ("39156-5", 25, "kg/m2", "H"),
        ("39156-5", 18.5, "kg/m2", "N"),
        ("2085-9", 40, "mg/dL", "N"),
        ("2085-9", 39, "mg/dL", "L"),
        ("4548-4", 5.6, "%", "N"),
        ("4548-4", 5.7, "%", "H"),
        # The score of 3 in NEWS2 is critical.
        ("8867-4", 40, "/min", "LL"),
        ("8867-4", 41, "/min", "L"),
        ("8867-4", 131, "/min", "HH"),
        ("9279-1", 8, "/min", "LL"),
        ("9279-1", 25, "/min", "HH"),
        ("8310-5", 35.0, "Cel", "LL"),
        ("8310-5", 38.0, "Cel", "N"),
        ("2708-6", 91, "%", "LL"),
        ("2708-6", 96, "%", "N"),
    ],
)
def test_limits_are_those_of_the_sources(loinc, value, unit, code):
    assert code_of(code=coded(loinc), valueQuantity=quantity(value, unit)) == code


def test_the_reason_names_limit_and_source():
    found = significance_of(code=coded("2823-3"), valueQuantity=quantity(6.5, "mmol/L"))
    assert found["interpretation"] == {
        "system": "http://terminology.hl7.org/CodeSystem/v3-ObservationInterpretation",
        "code": "HH",
        "display": "Critical high",
    }
    assert found["evidence"] == "reference-table"
    assert (found["interval"]["low"]["value"], found["interval"]["high"]["value"]) == (3.5, 5)
    assert found["interval"]["low"]["code"] == "mmol/L"
    assert found["reason"].startswith("above the critical limit of 6.2 mmol/L")
    assert "Kost" in found["reason"]
    assert "normal: American Board of Internal Medicine" in found["reason"]


@pytest.mark.parametrize(
    ("loinc", "value", "unit", "code"),
    [
        ("2345-7", 5.0, "mmol/L", "N"),  # 90 mg/dL
        ("2345-7", 2.9, "mmol/L", "LL"),  # 52 mg/dL
        ("2345-7", 8.0, "mmol/L", "H"),
        ("2093-3", 5.2, "mmol/L", "H"),  # 201 mg/dL
        ("2160-0", 90.0, "umol/L", "N"),  # 1.02 mg/dL
        ("17861-6", 5.0, "meq/L", "N"),  # 10.02 mg/dL
        ("8310-5", 98.6, "[degF]", "N"),
        ("8310-5", 102.0, "[degF]", "H"),
        ("8480-6", 18.0, "kPa", "H"),  # 135 mm[Hg]
        ("6690-2", 12.0, "10*9/L", "H"),
        ("718-7", 130.0, "g/L", "N"),
        ("8867-4", 72.0, "{beats}/min", "N"),
    ],
)
def test_units_are_converted(loinc, value, unit, code):
    assert code_of(code=coded(loinc), valueQuantity=quantity(value, unit)) == code


@pytest.mark.parametrize(
    ("loinc", "value"),
    [
        ("2345-7", quantity(5.0, "mm[Hg]")),
        ("2345-7", quantity(5.0, "bogus")),
        ("2345-7", quantity(5.0)),
        ("2345-7", {"value": 5.0, "unit": "mmoles"}),  # of what volume?
        ("4548-4", quantity(48.0, "mmol/mol")),  # IFCC is another measure than NGSP
        ("3016-3", quantity(1.0, "mg/L")),
    ],
)
def test_a_unit_that_can_not_be_converted_is_an_issue_and_no_guess(loinc, value):
    made = enriched(code=coded(loinc), valueQuantity=value)
    (issue,) = made.issues
    assert (issue.rule, issue.expression) == ("unit-convertible", "Observation.valueQuantity")
    assert parts(json.loads(made.resource)) is None


@pytest.mark.parametrize(
    ("born", "sex", "loinc", "value", "unit", "code"),
    [
        ("1980", "female", "718-7", 13, "g/dL", "N"),
        ("1980", "male", "718-7", 13, "g/dL", "L"),
        ("1980", "other", "718-7", 13, "g/dL", None),
        ("1980", "other", "718-7", 6, "g/dL", "LL"),  # for women as for men
        ("1980", None, "718-7", 21, "g/dL", "HH"),
        ("0001-01-01", "male", "718-7", 13, "g/dL", None),  # a date that stands for none
        ("1890", "male", "718-7", 13, "g/dL", None),
        ("1980", None, "718-7", 13, "g/dL", None),
        (None, "male", "718-7", 13, "g/dL", None),
        ("2020-01-01", None, "8867-4", 150, "/min", "N"),  # five months
        ("2018-01-01", None, "8867-4", 150, "/min", "H"),  # two years
        ("1980", None, "8867-4", 150, "/min", "HH"),
        ("2020-05-20", None, "8867-4", 200, "/min", "N"),  # twelve days
        ("2001-01-01", None, "2085-9", 30, "mg/dL", None),  # ATP III is for 20 years and older
        ("2010-01-01", None, "2823-3", 4.0, "mmol/L", None),  # the table is for adults
        ("2002-06-01", None, "2823-3", 4.0, "mmol/L", "N"),  # 18 that day
        ("2002-06-02", None, "2823-3", 4.0, "mmol/L", None),
        ("2010-01-01", None, "2823-3", 6.5, "mmol/L", "HH"),  # which the table knows of children
        ("2010-01-01", None, "2951-2", 120, "mmol/L", "LL"),
        ("2010-01-01", None, "2345-7", 45, "mg/dL", "LL"),
        ("2019-12-01", None, "2823-3", 6.5, "mmol/L", None),  # and not of infants
        ("2002-06", None, "2823-3", 4.0, "mmol/L", None),  # 17 or 18
    ],
)
def test_rows_are_chosen_by_age_at_that_time_and_by_sex(born, sex, loinc, value, unit, code):
    patient = PatientFacts(birth=span_of(born) if born else None, sex=sex)
    assert code_of(patient, code=coded(loinc), valueQuantity=quantity(value, unit)) == code


def test_the_table_does_not_interpret_for_an_unknown_patient():
    assert code_of(None, code=coded("2823-3"), valueQuantity=quantity(9.0, "mmol/L")) is None


@pytest.mark.parametrize("status", ["entered-in-error", "cancelled", "registered", "unknown"])
def test_what_is_not_a_result_has_no_significance(status):
    value = quantity(9.0, "mmol/L")
    assert code_of(status=status, code=coded("2823-3"), valueQuantity=value) is None


# --- Components ---


def test_components_are_judged_each_by_itself():
    made = enriched(
        code=coded("85354-9"),
        component=[
            {"code": coded("8480-6"), "valueQuantity": quantity(185, "mm[Hg]")},
            {"code": coded("8462-4"), "valueQuantity": quantity(75, "mm[Hg]")},
            {"code": coded("8478-0"), "valueQuantity": quantity(90, "mm[Hg]")},
            {"code": coded("8867-4"), "valueQuantity": quantity(90, "kg")},
        ],
    )
    resource = json.loads(made.resource)
    found = [parts(each) for each in resource["component"]]
    assert [each and each["interpretation"]["code"] for each in found] == ["HH", "N", None, None]
    assert parts(resource) is None
    assert [issue.expression for issue in made.issues] == ["Observation.component[3].valueQuantity"]


# --- Coded results ---


@pytest.mark.parametrize(
    ("snomed", "code"), [("10828004", "POS"), ("260385009", "NEG"), ("1", None)]
)
def test_a_coded_result_has_its_interpretation(snomed, code):
    value = coded(snomed, "http://snomed.info/sct")
    assert code_of(code={"text": "x"}, valueCodeableConcept=value) == code


# --- The table itself ---


@pytest.mark.parametrize("row", LIMITS, ids=lambda row: f"{row.name} {row.ages}")
def test_each_row_is_sound(row):
    limits = [row.critical_low, row.low, row.high, row.critical_high]
    stated = [limit for limit in limits if limit is not None]
    assert stated
    assert stated == sorted(stated)
    assert bool(row.sources) is (row.low is not None or row.high is not None)
    assert row.source or row.critical_source
    assert row.ages[0] < row.ages[1]
    assert row.codes


def test_each_unit_of_the_table_is_ucum():
    registry = PintUcumRegistry()
    for unit in {row.unit for row in LIMITS}:
        assert registry.from_ucum(unit) is not None


def test_rows_of_a_code_exclude_one_another():
    for rows in LIMITS_BY_LOINC.values():
        for number, one in enumerate(rows):
            for other in rows[number + 1 :]:
                apart = one.ages[1] <= other.ages[0] or other.ages[1] <= one.ages[0]
                assert apart or (one.sex and other.sex and one.sex != other.sex), one.name


@given(st.floats(0.5, 15), st.floats(0.5, 15))
def test_a_higher_value_is_never_judged_lower(one, other):
    order = ["LL", "L", "N", "H", "HH"]
    low, high = (
        code_of(code=coded("2823-3"), valueQuantity=quantity(value, "mmol/L"))
        for value in sorted((one, other))
    )
    assert order.index(low) <= order.index(high)
