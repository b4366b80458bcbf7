import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hc_assets.fhir.enrichment.batch_index import PatientFacts
from hc_assets.fhir.enrichment.significance.range_texts import End, TextRange, range_of
from hc_assets_tests.fhir.enrichment.judged_observations import (
    code_of,
    coded,
    enriched,
    parts,
    quantity,
    significance_of,
)

UNITS = ("", "mmol/L", "%", "10*3/uL", "x10^9/L", "mL/min/1.73 m2", "/HPF", "[IU]/L")


@pytest.mark.parametrize(
    ("text", "low", "high", "unit"),
    [
        ("3.5 - 5.1 mmol/L", 3.5, 5.1, "mmol/L"),
        ("3.5\u20135.1", 3.5, 5.1, ""),
        ("3,5 - 5,1 mmol/L", 3.5, 5.1, "mmol/L"),
        ("3.5 to 5.1", 3.5, 5.1, ""),
        ("3.5~5.1", 3.5, 5.1, ""),
        ("between 3.5 and 5.1 mmol/L", 3.5, 5.1, "mmol/L"),
        ("(3.5-5.1)", 3.5, 5.1, ""),
        ("Normal: 3.5-5.1", 3.5, 5.1, ""),
        ("Reference range: 3.5 to 5.1 mmol/L", 3.5, 5.1, "mmol/L"),
        ("42% - 50%", 42, 50, "%"),
        ("-2 - 2", -2, 2, ""),
        ("-2--1", -2, -1, ""),
        ("4 - 11 x 10⁹/L", 4, 11, "x 10^9/L"),
        ("1,234.5 - 2,000", 1234.5, 2000, ""),
        ("5 - 1,000", 5, 1000, ""),
        ("up to 40 U/L", None, 40, "U/L"),
        ("40 or less", None, 40, ""),
        ("\u2264 40", None, 40, ""),
        ("< or = 40", None, 40, ""),
        ("at least 60", 60, None, ""),
        (">=60", 60, None, ""),
        ("60 and above", 60, None, ""),
        ("10 - 5", 10, 5, ""),  # that is what it says
    ],
)
def test_a_text_of_one_reading_is_read(text, low, high, unit):
    found = range_of(text)
    assert found is not None
    assert (found.low and found.low.value, found.high and found.high.value) == (low, high)
    assert (found.unit, found.may_be_grouped) == (unit, False)
    assert all(end.is_within for end in (found.low, found.high) if end is not None)


@pytest.mark.parametrize(
    ("text", "low", "high"),
    [
        ("<5.0", None, End(5.0, False)),
        ("less than 5 mg/dL", None, End(5.0, False)),
        ("> 60", End(60.0, False), None),
        ("above 60", End(60.0, False), None),
        (">3.5 and <5.1", End(3.5, False), End(5.1, False)),
        (">3.5 - <=5.1", End(3.5, False), End(5.1)),
    ],
)
def test_a_limit_that_is_itself_not_normal_is_known_as_such(text, low, high):
    found = range_of(text)
    assert found is not None
    assert (found.low, found.high) == (low, high)


@pytest.mark.parametrize(
    "text",
    ["", "5", "see the report", "M: 13-17 F: 12-15", "male 13-17", "<3.5 or >5.1", "<1:40", "1-2-3",
     "2011-01-02", "100 ± 5", "5 000 - 6 000", "150 000 - 450 000", "0,9 - 1.1", "70-99 (fasting)",
     "3.5 - 5.1; children 3 - 6", "3.5 mmol/L - 5.1 mg/dL", "not < 5", "1.2.3 - 4", "- 5", "5 -",
     "9" * 400],
)  # fmt: skip
def test_a_text_of_no_reading_or_several_is_left(text):
    found = range_of(text)
    assert found is None or found.unit  # what is no unit is left where the unit is looked up


@pytest.mark.parametrize("text", ["150,000 - 450,000", "4.000-10.000", "<1,500"])
def test_a_sign_that_may_part_thousands_is_known_as_such(text):
    found = range_of(text)
    assert found is not None
    assert found.may_be_grouped


_decimals = st.decimals(min_value=0, max_value=900, places=2).map(str)


@given(
    _decimals,
    _decimals,
    st.sampled_from(UNITS),
    st.sampled_from((" - ", "-", " to ", "\u2013")),
    st.sampled_from((".", ",")),
)
def test_any_range_that_is_written_is_read_as_it_was_written(low, high, unit, to, sign):
    written = (
        f"{low}{to}{high} {unit}".replace(".", sign) if not unit else f"{low}{to}{high} {unit}"
    )
    found = range_of(written)
    assert found == TextRange(End(float(low)), End(float(high)), unit)


@given(st.text(max_size=30))
def test_no_text_is_too_odd(text):
    found = range_of(text)
    assert found is None or (found.low is not None or found.high is not None)


@given(st.text(alphabet="0123456789.,-<>= tomlL/u%", max_size=14))
def test_what_is_read_has_each_digit_of_the_text(text):
    found = range_of(text)
    if found is not None:
        ends = [end.value for end in (found.low, found.high) if end is not None]
        digits = sum(each.isdigit() for each in text) - sum(each.isdigit() for each in found.unit)
        # A number has no more digits than were written, leading zeros and empty decimals aside.
        assert sum(len(f"{abs(value):g}".replace(".", "")) for value in ends) <= digits + len(ends)


# --- As a range of an observation ---


def both_ways(value: float, low: float | None, high: float | None, **rest: Any) -> tuple[Any, Any]:
    """Significance by a range of numbers, and by the same as text."""
    ends = {name: quantity(end, "mmol/L") for name, end in (("low", low), ("high", high)) if end}
    if low and high:
        text = f"{low} - {high} mmol/L"
    else:
        text = f"up to {high} mmol/L" if high else f"at least {low} mmol/L"
    return tuple(  # type: ignore[return-value]
        significance_of(
            code=coded("2823-3"),
            valueQuantity=quantity(value, "mmol/L", **rest),
            referenceRange=[r],
        )
        for r in (ends, {"text": text})
    )


_ends = st.none() | st.integers(10, 90).map(lambda each: each / 10)


@settings(max_examples=40)
@given(
    st.integers(10, 120).map(lambda each: each / 10),
    st.tuples(_ends, _ends).filter(lambda ends: ends != (None, None)),
    st.sampled_from((None, "<", ">=")),
)
def test_a_range_as_text_says_what_the_same_in_numbers_says(value, ends, comparator):
    rest = {"comparator": comparator} if comparator else {}
    coded_, by_text = both_ways(value, *ends, **rest)
    assert (coded_ is None) == (by_text is None)
    if coded_ is not None:
        assert "text" in by_text.pop("reason") or by_text["interpretation"]["code"] in ("LL", "HH")
        del coded_["reason"]
        assert coded_ == by_text


def judged(value: dict[str, Any], *texts: str, **rest: Any) -> tuple[str | None, list[str]]:
    made = enriched(
        code={"text": "x"},
        valueQuantity=value,
        referenceRange=[{"text": text} | rest for text in texts],
    )
    found = parts(json.loads(made.resource))
    return found and found["interpretation"]["code"], [issue.rule for issue in made.issues]


@pytest.mark.parametrize(
    ("value", "text", "code"),
    [
        (quantity(4.9, "mg"), "<5.0", "N"),
        (quantity(5.0, "mg"), "<5.0", "H"),
        (quantity(5.0, "mg", comparator="<"), "<5.0", "N"),
        (quantity(5.0, "mg"), "up to 5.0", "N"),
        (quantity(60, "mg"), "> 60", "L"),
        (quantity(60, "mg", comparator=">"), "> 60", "N"),
        (quantity(60, "mg"), ">= 60 mg", "N"),
        (quantity(1500, "mg"), "up to 1 g", "H"),  # converted
        (quantity(900, "mg"), "up to 1 g", "N"),
        (quantity(4.2, "10*3/uL"), "1,500 - 4,500", "N"),  # of a value with decimals
        (quantity(4.2, "10*9/L"), "4.0 - 11.0 x10^9/L", "N"),
        (quantity(4, "{AU}"), "0 - 5 {AU}", "N"),
        ({"value": 4, "unit": "/HPF"}, "0-5 /HPF", "N"),
    ],
)
def test_a_range_as_text_counts(value, text, code):
    found, rules = judged(value, text)
    assert found == code
    assert rules in ([], ["unit-code"])


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (quantity(200, "mg"), "150,000 - 450,000"),
        (quantity(6500, "/uL"), "4.000 - 10.000"),
        (quantity(2.5, "10*3/uL"), "1,500 - 4,500 /uL"),
        (quantity(70, "mg"), "> 60 years"),
        (quantity(70, "mg"), "> 60 in adults"),
        (quantity(70, "mg"), "negative"),
        (quantity(6, "10*6/uL"), "4 - 5 mil/uL"),
        ({"value": 6}, "4 - 5 mg"),
    ],
)
def test_a_text_that_may_mean_something_else_says_nothing(value, text):
    assert judged(value, text) == (None, [])


def test_a_text_in_reverse_is_no_range_and_an_issue():
    assert judged(quantity(6, "mg"), "10 - 5 mg") == (None, ["reference-range"])


def test_texts_that_disagree_give_nothing_and_an_issue():
    assert judged(quantity(6, "mg"), "1 - 5", "6 - 9") == (None, ["reference-range"])
    assert judged(quantity(6, "mg"), "1 - 7", "6 - 9") == ("N", [])


def test_a_text_is_for_whom_its_range_is_for():
    male = {"appliesTo": [coded("248153007", "http://snomed.info/sct")]}
    assert judged(quantity(6, "mg"), "1 - 5", **male) == (None, [])
    assert judged(quantity(6, "mg"), "1 - 5", type={"text": "Severe"}) == (None, [])


def test_the_numbers_of_a_range_come_before_its_text():
    own = [{"high": quantity(5, "mg"), "text": "up to 7"}]
    assert code_of(code={"text": "x"}, valueQuantity=quantity(6, "mg"), referenceRange=own) == "H"


def test_the_table_is_critical_beside_a_range_as_text():
    found = significance_of(
        code=coded("2823-3"),
        valueQuantity=quantity(7.5, "mmol/L"),
        referenceRange=[{"text": "3.5 - 5.1"}],
    )
    assert (found["interpretation"]["code"], found["evidence"]) == ("HH", "reference-table")
    assert "read from its text" in found["reason"]


# --- The result that is normal ---

POSITIVE, NEGATIVE = "10828004", "260385009"
V3 = "http://terminology.hl7.org/CodeSystem/v3-ObservationInterpretation"


def result(said: str | None = None, /, *texts: str, **value: Any) -> tuple[Any, list[str]]:
    members = {"interpretation": [coded(said, V3)]} if said else {}
    made = enriched(
        code={"text": "x"}, referenceRange=[{"text": text} for text in texts], **value, **members
    )
    found = parts(json.loads(made.resource))
    pair = found and (found["interpretation"]["code"], found["evidence"])
    return pair, [issue.rule for issue in made.issues]


@pytest.mark.parametrize(
    ("value", "text", "code"),
    [
        ({"valueCodeableConcept": coded(POSITIVE, "http://snomed.info/sct")}, "negative", "A"),
        ({"valueCodeableConcept": coded(NEGATIVE, "http://snomed.info/sct")}, "Not detected", "N"),
        ({"valueCodeableConcept": {"text": "Reactive"}}, "Normal: Non-Reactive", "A"),
        ({"valueString": "NEGATIVE"}, "Negative", "N"),
        ({"valueString": "Detected"}, "None detected", "A"),
        ({"valueString": "negative"}, "positive", "A"),
    ],
)
def test_a_result_is_held_against_the_one_that_the_range_names(value, text, code):
    assert result(None, text, **value) == ((code, "reference-range"), [])


def test_a_result_beside_a_text_of_no_result_is_what_it_was():
    positive = {"valueCodeableConcept": coded(POSITIVE, "http://snomed.info/sct")}
    assert result(None, "see below", **positive) == (("POS", "coded-result"), [])
    assert result(None, "negative", "positive", **positive) == (("POS", "coded-result"), [])
    assert result(None, "negative", valueString="a few") == (None, [])
    assert result(None, "negative", valueString="7") == (None, [])


@pytest.mark.parametrize(("said", "rules"), [("N", 1), ("NEG", 1), ("POS", 0), ("A", 0)])
def test_an_interpretation_is_held_against_result_and_range(said, rules):
    positive = {"valueCodeableConcept": coded(POSITIVE, "http://snomed.info/sct")}
    found = result(said, "negative", **positive)
    assert found == (("A", "reference-range"), ["interpretation-agrees"] * rules)


def test_a_result_of_one_sex_is_noted_where_the_sex_is_unknown():
    male = {"appliesTo": [coded("248153007", "http://snomed.info/sct")], "text": "negative"}
    made = enriched(
        PatientFacts(), code={"text": "x"}, valueString="positive", referenceRange=[male]
    )
    assert [issue.rule for issue in made.issues] == ["limits-need-patient"]
