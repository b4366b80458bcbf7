import math
from datetime import UTC, date, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hc_assets.fhir.quality import EXPECTED_ELEMENTS, score
from hc_assets.fhir.times import day_of, moment_of

FULL_PATIENT = {
    "resourceType": "Patient",
    "identifier": [],
    "name": [],
    "gender": "female",
    "birthDate": "1970-01-01",
    "address": [],
    "telecom": [],
}


def consistency(**members: object) -> float | None:
    return score({"resourceType": "Basic", **members}, 0).consistency


def test_a_resource_with_all_that_is_expected_and_no_warning_scores_one():
    full = score(FULL_PATIENT, 0)
    assert (full.quality_score, full.completeness, full.validity) == (1.0, 1.0, 1.0)


def test_completeness_is_the_share_of_the_expected_elements():
    half = {name: FULL_PATIENT[name] for name in ("resourceType", "name", "gender", "birthDate")}
    assert score(half, 0).completeness == 0.5


def test_one_member_of_a_choice_is_enough():
    seen = {"resourceType": "Observation", "status": "final", "valueInteger": 1, "component": []}
    assert score(seen, 0).completeness == 2 / 6


def test_a_type_without_expectations_has_no_completeness_and_still_a_score():
    basic = score({"resourceType": "Basic"}, 1)
    assert (basic.completeness, basic.consistency) == (None, None)
    assert basic.quality_score == basic.validity == 0.9


def test_the_score_weighs_the_parts_that_exist():
    patient = {**FULL_PATIENT, "birthDate": "1970-01-02", "deceasedDateTime": "1970-01-01"}
    del patient["address"], patient["telecom"], patient["name"]
    found = score(patient, 2)
    assert (found.completeness, found.validity, found.consistency) == (0.5, 0.8, 0.0)
    assert math.isclose(found.quality_score, 0.5 * 0.5 + 0.3 * 0.8 + 0.2 * 0.0)
    without_dates = {k: v for k, v in patient.items() if k != "deceasedDateTime"}
    assert math.isclose(score(without_dates, 2).quality_score, (0.25 + 0.24) / 0.8, abs_tol=1e-6)


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
        ("2020-01", "2019-01-01", None),
        ("2020-01-01", "2019", None),
        ("2020-01-01", None, None),
        (None, None, None),
    ],
)
def test_dates_in_the_wrong_order_are_inconsistent_only_where_that_is_certain(first, second, holds):
    assert consistency(effectiveDateTime=first, issued=second) == holds
    assert consistency(period={"start": first, "end": second}) == holds


def test_consistency_is_the_share_of_the_facts_that_hold():
    good, bad = {"start": "2020", "end": "2021"}, {"start": "2020-01-02", "end": "2020-01-01"}
    fine = {"start": "2020-01-01", "end": "2020-01-02"}
    assert consistency(period=good, performedPeriod=fine, effectivePeriod=bad) == 0.5


@given(
    st.sampled_from([*EXPECTED_ELEMENTS, "Basic"]),
    st.sets(st.sampled_from(sorted({n for e in EXPECTED_ELEMENTS.values() for c in e for n in c}))),
    st.integers(0, 50),
)
def test_more_elements_never_lower_a_score_and_more_warnings_never_raise_it(type_, names, warnings):
    resource = {"resourceType": type_, **dict.fromkeys(names, "x")}
    found = score(resource, warnings)
    assert 0 <= found.quality_score <= 1
    assert score(resource, warnings + 1).quality_score <= found.quality_score
    for name in ("birthDate", "status", "code"):
        assert score({**resource, name: "x"}, warnings).quality_score >= found.quality_score


def test_a_day_is_read_from_dates_that_have_one():
    assert day_of("2020-02-29") == date(2020, 2, 29)
    assert day_of("2020-02-29T23:59:60+14:00") == date(2020, 2, 29)
    assert day_of("2020-02") is None
    assert day_of("2020") is None
    assert day_of(None) is None
    assert day_of(5) is None


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
