import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hc_assets.fhir.enrichment.significance.interpretation_texts import code_of_text
from hc_assets.fhir.enrichment.significance.interpretations import DISPLAYS, contradict
from hc_assets_tests.fhir.enrichment.judged_observations import coded, enriched, parts, quantity

V3 = "http://terminology.hl7.org/CodeSystem/v3-ObservationInterpretation"
# What the codes of change, of synergy and of site-specific scales are called means nothing here.
_UNREAD = {"MS", "SYN-R", "SYN-S", "VS"}


@pytest.mark.parametrize("code", sorted(DISPLAYS.keys() - _UNREAD))
def test_the_display_of_a_code_is_read_as_that_code_or_as_one_of_its_meaning(code):
    found = code_of_text(DISPLAYS[code])
    assert found is not None
    assert found == code or DISPLAYS[found] == DISPLAYS[code] or found == code[0]
    assert not contradict(found, code)


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("High", "H"),
        ("L", "L"),
        ("h", "H"),
        ("abnormal", "A"),
        ("CRITICAL HIGH", "HH"),
        ("Critically low", "LL"),
        ("H - High", "H"),
        ("High (H)", "H"),
        ("(H)", "H"),
        ("Non-Reactive", "NR"),
        ("within normal limits", "N"),
        ("Negative.", "NEG"),
    ],
)
def test_a_word_of_one_meaning_is_read(text, code):
    assert code_of_text(text) == code


@pytest.mark.parametrize(
    "text",
    ["", "not high", "high for age", "High/Low", "R", "I", "S", "borderline", "decreased",
     "see comment", "H*", "higher", "no high values", "x" * 500, "high, repeat"],
)  # fmt: skip
def test_a_text_of_another_meaning_or_several_is_left(text):
    assert code_of_text(text) is None


@given(st.text(max_size=20))
def test_no_text_is_too_odd(text):
    assert code_of_text(text) is None or code_of_text(text) in DISPLAYS


@given(st.sampled_from(sorted(DISPLAYS)), st.sampled_from((str.upper, str.lower, str.title)),
       st.sampled_from(("", "  ", "\t")))  # fmt: skip
def test_letters_and_white_space_change_no_reading(code, cased, around):
    plain = code_of_text(DISPLAYS[code])
    assert code_of_text(around + cased(DISPLAYS[code]) + around) == plain


# --- As an interpretation of an observation ---


def judged(value: float, *said: dict[str, Any]) -> tuple[Any, list[str]]:
    made = enriched(
        code=coded("2823-3"), valueQuantity=quantity(value, "mmol/L"), interpretation=list(said)
    )
    found = parts(json.loads(made.resource))
    pair = found and (found["interpretation"]["code"], found["evidence"])
    return pair, [issue.rule for issue in made.issues]


@pytest.mark.parametrize("code", ["H", "L", "N", "HH", "LL", "A", "AA"])
@pytest.mark.parametrize("value", [2.0, 3.0, 4.0, 5.5, 7.0])
def test_a_text_says_of_a_value_what_its_code_says(code, value):
    assert judged(value, {"text": DISPLAYS[code]}) == judged(value, coded(code, V3))


def test_a_text_is_taken_where_nothing_else_is_known():
    made = enriched(code={"text": "x"}, valueString="many", interpretation=[{"text": "High"}])
    found = parts(json.loads(made.resource))
    assert found is not None
    assert (found["interpretation"]["code"], found["evidence"]) == ("H", "interpretation")


def test_a_code_of_hl7s_comes_before_the_text_beside_it():
    assert judged(4.0, coded("N", V3) | {"text": "High"}) == (("N", "reference-table"), [])
    # One of a change is no interpretation of the value, whatever its text.
    assert judged(4.0, coded("D", V3) | {"text": "Low"}) == (("N", "reference-table"), [])


def test_the_text_beside_a_code_of_others_is_read():
    said = coded("hi", "urn:laboratory") | {"text": "High"}
    assert judged(4.0, said) == (("N", "reference-table"), ["interpretation-agrees"])


def test_texts_that_contradict_one_another_are_an_issue():
    found = judged(4.0, {"text": "High"}, {"text": "Low"})
    assert found == (("N", "reference-table"), ["interpretation-agrees"])
    assert judged(4.0, {"text": "see below"}) == (("N", "reference-table"), [])
