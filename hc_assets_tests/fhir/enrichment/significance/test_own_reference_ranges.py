from typing import Any

import pytest

from hc_assets.fhir.enrichment.batch_index import PatientFacts
from hc_assets.fhir.times import span_of
from hc_assets_tests.fhir.enrichment.judged_observations import (
    code_of,
    coded,
    enriched,
    quantity,
    significance_of,
)

# --- The observation's own ranges ---


def own(low: float | None = None, high: float | None = None, **rest: Any) -> dict[str, Any]:
    ends = {"low": low, "high": high}
    return {n: quantity(v, "mmol/L") for n, v in ends.items() if v is not None} | rest


def years(low: int | None = None, high: int | None = None) -> dict[str, Any]:
    ends = {"low": low, "high": high}
    return {"age": {n: quantity(v, "a") for n, v in ends.items() if v is not None}}


def sex(code: str) -> dict[str, Any]:
    return {"appliesTo": [coded(code, "http://snomed.info/sct")]}


MALE, FEMALE = sex("248153007"), sex("248152002")


def aged(unit: str, low: float | None = None, high: float | None = None) -> dict[str, Any]:
    ends = {"low": low, "high": high}
    return {"age": {n: quantity(v, unit) for n, v in ends.items() if v is not None}}


@pytest.mark.parametrize(
    ("born", "applies"),
    [
        ("2020-05-25", "d"),
        ("2020-05-04", "wk"),
        ("2020-02-01", "mo"),
        ("2019-07-01", "a"),
        ("2019-05", "a"),
        ("2017-06-02", "a"),
        ("2020-05", None),  # of days or of weeks
        ("2010-01-01", None),
    ],
)
def test_ages_in_days_weeks_and_months_are_not_taken_for_years(born, applies):
    highs = {"d": 10, "wk": 20, "mo": 30, "a": 40}
    ranges = [
        own(high=highs["d"]) | aged("d", 0, 7),
        own(high=highs["wk"]) | aged("wk", 1, 8),
        own(high=highs["mo"]) | aged("mo", 2, 10),
        own(high=highs["a"]) | aged("mo", 10, 24.0) | {"text": "second year"},
        own(high=highs["a"]) | aged("a", 1, 2),
    ]
    found = significance_of(
        PatientFacts(birth=span_of(born)),
        code={"text": "x"},
        valueQuantity=quantity(5, "mmol/L"),
        referenceRange=ranges,
    )
    if applies is None:
        assert found is None
    else:
        assert found is not None
        assert found["interval"]["high"]["value"] == highs[applies]


def by_ranges(value: float, *ranges: dict[str, Any], loinc: str = "2823-3") -> str | None:
    return code_of(
        code=coded(loinc), valueQuantity=quantity(value, "mmol/L"), referenceRange=list(ranges)
    )


@pytest.mark.parametrize(("value", "code"), [(98, "L"), (99, "N"), (104, "N"), (105, "H")])
def test_the_own_range_comes_before_the_table(value, code):
    assert by_ranges(value, own(99, 104), loinc="2075-0") == code


@pytest.mark.parametrize(
    ("loinc", "value", "ranges", "code"),
    [
        ("2823-3", 7.5, [own(3.5, 5.1)], "HH"),
        ("2823-3", 6.2, [own(3.5, 5.1)], "H"),
        ("2951-2", 105, [own(135, 145)], "LL"),
        ("2951-2", 105, [own(145, 135)], "LL"),  # whatever the range
        ("2951-2", 105, [own(100, 110), own(135, 145)], "LL"),
        ("2951-2", 130, [own(135, 145, type={"text": "Normal Range"})], "L"),
        ("2345-7", 2.5, [own(3.9, 5.6)], "LL"),  # the table's 54 mg/dL
        ("2345-7", 30, [own(3.9, 5.6)], "HH"),
    ],
)
def test_critical_limits_hold_whatever_the_own_range_is(loinc, value, ranges, code):
    assert by_ranges(value, *ranges, loinc=loinc) == code


def test_a_critical_value_names_the_table_and_keeps_the_own_interval():
    found = significance_of(
        code=coded("2823-3"), valueQuantity=quantity(7.5, "mmol/L"), referenceRange=[own(3.5, 5.1)]
    )
    assert found["evidence"] == "reference-table"
    assert found["interval"] == {"low": quantity(3.5, "mmol/L"), "high": quantity(5.1, "mmol/L")}
    assert "Kost" in found["reason"]
    assert "normal: the observation's reference range" in found["reason"]


def test_critical_limits_of_children_hold_for_children():
    child = PatientFacts(birth=span_of("2010-01-01"), sex="male")
    members = {"code": coded("2951-2"), "valueQuantity": quantity(105, "mmol/L")}
    assert code_of(child, **members, referenceRange=[own(135, 145)]) == "LL"


def test_critical_limits_hold_for_nobody_whose_age_is_unknown():
    found = significance_of(
        None,
        code=coded("2823-3"),
        valueQuantity=quantity(7.5, "mmol/L"),
        referenceRange=[own(3, 5)],
    )
    assert found["interpretation"]["code"] == "H"


def rules_of(value: float, *ranges: dict[str, Any], loinc: str = "2823-3") -> list[str]:
    members = {"code": coded(loinc), "valueQuantity": quantity(value, "mmol/L")}
    return [issue.rule for issue in enriched(**members, referenceRange=list(ranges)).issues]


def test_a_normal_range_that_holds_a_critical_value_is_an_issue():
    assert by_ranges(7.5, own(3, 8)) == "HH"
    assert rules_of(7.5, own(3, 8)) == ["reference-range"]
    assert rules_of(7.5, own(3, 5)) == []


@pytest.mark.parametrize(
    ("value", "ranges"),
    [
        (4.0, [own(5.1, 3.5)]),  # reversed
        (5.0, [own(3.5, 4.5), own(4.6, 5.5)]),  # they disagree
        (5.0, [own(3.5, 4.5, **sex("248152002")), own(4.6, 5.5, **sex("248152002"))]),
    ],
)
def test_ranges_that_can_not_be_used_give_nothing_and_an_issue(value, ranges):
    assert by_ranges(value, *ranges) is None
    assert rules_of(value, *ranges) == ["reference-range"]
    said = [coded("H", "http://terminology.hl7.org/CodeSystem/v3-ObservationInterpretation")]
    members = {"code": coded("2823-3"), "valueQuantity": quantity(value, "mmol/L")}
    assert code_of(**members, referenceRange=ranges, interpretation=said) is None


def test_ranges_that_differ_and_agree_on_the_value_are_no_issue():
    assert by_ranges(4.0, own(3.5, 5.1), own(3.4, 5.0)) == "N"
    assert rules_of(4.0, own(3.5, 5.1), own(3.4, 5.0)) == []


def test_a_usable_range_beside_a_reversed_one_counts():
    assert by_ranges(6.0, own(5.1, 3.5), own(3.5, 5.1)) == "H"
    assert rules_of(6.0, own(5.1, 3.5), own(3.5, 5.1)) == ["reference-range"]


def test_an_own_range_needs_no_known_patient_and_says_that_it_is_the_evidence():
    found = significance_of(
        None,
        code={"text": "x"},
        valueQuantity=quantity(5, "mmol/L"),
        referenceRange=[own(high=4)],
    )
    assert (found["interpretation"]["code"], found["evidence"]) == ("H", "reference-range")
    assert found["interval"] == {"high": quantity(4, "mmol/L")}


@pytest.mark.parametrize(
    ("ranges", "code"),
    [
        ([own(1, 2, **MALE), own(4, 6, **FEMALE)], "N"),
        ([own(4, 6), own(1, 2, **FEMALE)], "H"),  # the more specific one
        ([own(1, 2, **years(high=17)), own(4, 6, **years(low=18))], "N"),
        ([own(1, 2, **years(18, 64)), own(4, 6, **years(65, 99))], "H"),
        ([own(1, 2, **years(low=41))], "N"),  # of others: the table says
        ([own(1, 2, **MALE)], "N"),
        ([own(1, 2, **sex("77386006"))], "N"),  # of the pregnant: it is unknown from here
        ([own(1, 2, type=coded("therapeutic", "x"))], "N"),
        ([own(1, 2, type=coded("treatment", "x") | {"text": "Normal"})], "N"),
        ([own(1, 2, type={"text": "Severe"})], "N"),
        ([own(1, 2, type=coded("normal", "x"))], "H"),
        ([own(1, 2, type={"text": "Normal range"})], "H"),
        ([{"text": "up to 2"}], "H"),
        ([{"text": "see the report"}], "N"),
    ],
)
def test_an_own_range_counts_where_it_is_for_this_patient(ranges, code):
    assert by_ranges(5.0, *ranges) == code


def test_an_own_range_in_another_unit_is_converted_or_an_issue():
    value = quantity(1500, "mg")
    grams = [{"high": quantity(1, "g")}]
    made = significance_of(code={"text": "x"}, valueQuantity=value, referenceRange=grams)
    assert made["interpretation"]["code"] == "H"
    assert made["interval"]["high"] == quantity(1000, "mg")
    issues = enriched(
        code={"text": "x"}, valueQuantity=value, referenceRange=[{"high": quantity(1, "m")}]
    ).issues
    assert [issue.rule for issue in issues] == ["unit-convertible"]


def test_an_own_range_is_converted_by_the_molar_mass_of_what_was_measured():
    grams = [{"low": quantity(70, "mg/dL"), "high": quantity(99, "mg/dL")}]
    found = significance_of(
        code=coded("2345-7"), valueQuantity=quantity(6, "mmol/L"), referenceRange=grams
    )
    assert (found["interpretation"]["code"], found["evidence"]) == ("H", "reference-range")
    assert found["interval"]["high"]["value"] == pytest.approx(5.495, abs=1e-3)


def test_an_own_range_without_a_unit_is_in_that_of_the_value():
    ranges = [{"low": {"value": 2}, "high": {"value": 3}}]
    found = significance_of(
        code={"text": "x"}, valueQuantity=quantity(5, "mg"), referenceRange=ranges
    )
    assert found["interpretation"]["code"] == "H"


@pytest.mark.parametrize(
    ("comparator", "value", "code"),
    [
        ("<", 2, "L"),
        ("<=", 1, "L"),
        ("<", 5, None),
        ("<", 50, None),
        (">", 9, None),
        (">", 10, "H"),
        (">=", 99, "H"),
        (">", 5, None),
    ],
)
def test_a_value_with_a_comparator_is_judged_where_it_is_certain(comparator, value, code):
    found = quantity(value, "mmol/L", comparator=comparator)
    ranges = [own(3, 9)]
    assert code_of(code={"text": "x"}, valueQuantity=found, referenceRange=ranges) == code


def test_a_value_below_something_normal_is_normal_where_nothing_is_too_low():
    found = quantity(5, "mmol/L", comparator="<")
    assert code_of(code={"text": "x"}, valueQuantity=found, referenceRange=[own(high=9)]) == "N"
