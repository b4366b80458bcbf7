import json
import math
from datetime import UTC, date, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hc_assets.fhir.enrichment.columns.resource_texts import read_one
from hc_assets.fhir.enrichment.consistency import NO_FACTS, consistency
from hc_assets.fhir.enrichment.expected_elements import EXPECTED_ELEMENTS
from hc_assets.fhir.enrichment.quality import Completeness, score
from hc_assets.fhir.r4.definitions import r4
from hc_assets.fhir.times import Span, day_from, day_of, first_and_last_day, moment_of, span_of

PATIENT = ("identifier", "name", "gender", "birthDate", "address", "telecom")
completeness = Completeness(EXPECTED_ELEMENTS)


def share(**members: Any) -> float | None:
    seen = read_one(json.dumps(members).encode())
    return consistency("Basic", seen, NO_FACTS).share


def test_completeness_is_the_share_of_the_elements_that_matter():
    assert completeness("Patient", PATIENT) == 1.0
    assert completeness("Patient", PATIENT[:3]) == 0.5
    assert completeness("Patient", ("_birthDate", "id", "meta")) == 0.0


def test_one_member_of_a_choice_is_enough():
    assert completeness("Observation", ("status", "valueInteger", "component")) == 2 / 6
    assert completeness("Observation", ("valueset", "valuation", "value")) == 0.0


def test_a_type_without_expectations_has_no_completeness():
    assert completeness("Basic", ("code",)) is None
    assert Completeness({"Basic": ()})("Basic", ("code",)) is None


@pytest.mark.parametrize("name", ["", "Status", "value[y]", "a.b", "a||b", "a|", "a*"])
def test_what_is_no_name_of_an_element_is_refused(name):
    with pytest.raises(ValueError, match="Basic"):
        Completeness({"Basic": (name,)})


def test_every_element_of_the_table_is_one_of_r4():
    types = r4()
    for type_, elements in EXPECTED_ELEMENTS.items():
        found = {e.name + "[x]" * e.is_choice for e in types.type(type_).elements}
        named = {name for element in elements for name in element.split("|")}
        assert named <= found, type_


def test_the_score_weighs_the_parts_that_exist():
    assert score(1.0, 0, 1.0) == (1.0, 1.0, 1.0, 1.0)
    found = score(0.5, 2, 0.0)
    assert (found.completeness, found.validity, found.consistency) == (0.5, 0.8, 0.0)
    assert math.isclose(found.quality_score, 0.5 * 0.5 + 0.3 * 0.8 + 0.2 * 0.0)
    assert math.isclose(score(0.5, 2, None).quality_score, (0.25 + 0.24) / 0.8, abs_tol=1e-6)
    assert score(None, 1, None) == (0.9, None, 0.9, None)


SHARES = st.none() | st.floats(0, 1)


@given(SHARES, st.integers(0, 50), SHARES)
def test_a_better_part_never_lowers_a_score(complete, warnings, consistent):
    found = score(complete, warnings, consistent).quality_score
    assert 0 <= found <= 1
    assert score(complete, warnings + 1, consistent).quality_score <= found
    if complete is not None:
        assert score(min(1.0, complete + 0.1), warnings, consistent).quality_score >= found
    if consistent is not None:
        assert score(complete, warnings, min(1.0, consistent + 0.1)).quality_score >= found


# --- Dates ---


@pytest.mark.parametrize(
    ("first", "second", "holds"),
    [
        ("2020-01-01", "2020-01-02", 1.0),
        ("2020-01-01", "2020-01-01", 1.0),
        ("2020-01-02", "2020-01-01", 0.0),
        ("2020-01-02", "2020-01-01T23:59:59Z", 1.0),  # the same day, west of here
        ("2020-01-02T00:00:00Z", "2020-01-01", 1.0),
        ("2020-01-03", "2020-01-01T23:59:59Z", 0.0),
        ("2020-01-02T00:30:00+10:00", "2020-01-01T15:00:00Z", 1.0),
        ("2020-01-01T23:30:00-05:00", "2020-01-02T04:29:59Z", 0.0),
        ("2020-01-01T10:00:00Z", "2020-01-01T09:00:00Z", 0.0),
        ("2020-01-01T10:00:00.0000001Z", "2020-01-01T10:00:00Z", 1.0),  # below our resolution
        ("2016-12-31T23:59:60Z", "2017-01-01T00:00:00Z", 1.0),
        ("9999-12-31", "9999-12-31T23:59:60Z", 1.0),
        # Dates that state less than a day are ranges.
        ("2020-01", "2019-01-01", 0.0),
        ("2020-01", "2020-02-01", 1.0),
        ("2020-01", "2020-01-15", None),
        ("2020", "2020", None),
        ("2020-01-01", "2019", 0.0),
        ("2019", "2020-01-01", 1.0),
        ("2020-01-01", None, None),
        (None, None, None),
    ],
)
def test_dates_in_the_wrong_order_are_inconsistent_only_where_that_is_certain(first, second, holds):
    assert share(effectiveDateTime=first, issued=second) == holds
    assert share(period={"start": first, "end": second}) == holds


def test_consistency_is_the_share_of_the_facts_that_hold():
    good, bad = {"start": "2020", "end": "2021"}, {"start": "2020-01-02", "end": "2020-01-01"}
    vague = {"start": "2020", "end": "2020-05-01"}
    assert share(period=good, performedPeriod=vague, effectivePeriod=bad) == 0.5


def test_a_day_is_read_from_dates_that_have_one():
    assert day_of("2020-02-29") == date(2020, 2, 29)
    assert day_of("2020-02-29T23:59:60+14:00") == date(2020, 2, 29)
    assert day_of("2020-02") is None
    assert day_of("2020") is None
    assert day_of(None) is None
    assert day_of(5) is None


def test_a_date_that_states_less_than_a_day_is_the_days_that_it_can_be():
    assert first_and_last_day("2020") == (date(2020, 1, 1), date(2020, 12, 31))
    assert first_and_last_day("2020-02") == (date(2020, 2, 1), date(2020, 2, 29))
    assert first_and_last_day("2020-02-07T00:00:00Z") == (date(2020, 2, 7), date(2020, 2, 7))


def test_a_moment_is_read_from_times_that_have_one():
    assert moment_of("2020-01-01T12:00:00.123456789+02:00") == datetime(
        2020, 1, 1, 10, 0, 0, 123456, tzinfo=UTC
    )
    before_new_year = datetime(2016, 12, 31, 23, 59, 59, 999999, tzinfo=UTC)
    assert moment_of("2016-12-31T23:59:60Z") == before_new_year
    assert moment_of("2017-01-01T12:59:60.75+13:00") == before_new_year
    assert moment_of("2020-01-01") is None
    assert moment_of(None) is None


@given(st.datetimes(), st.integers(-12 * 60, 14 * 60))
def test_a_moment_of_any_offset_is_itself(naive, minutes):
    moment = naive.replace(tzinfo=timezone(timedelta(minutes=minutes)))
    assert moment_of(moment.isoformat()) == moment
    since = moment - datetime(1970, 1, 1, tzinfo=UTC)
    microseconds = since // timedelta(microseconds=1)
    assert span_of(moment.isoformat()) == Span(microseconds, microseconds, has_time=True)


@given(st.dates())
def test_a_date_spans_its_day(day):
    first, last, has_time = span_of(day.isoformat())
    assert (day_from(first), day_from(last), has_time) == (day, day, False)
    assert last - first == 86_400_000_000 - 1
