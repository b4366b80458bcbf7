"""Dates and times are read exactly and ordered as far as their precision goes."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hc_assets.fhir.fhirpath import EvaluationError
from hc_assets.fhir.fhirpath.values import compare_temporal, parse_temporal

_OFFSETS = st.integers(-14 * 60, 14 * 60).map(lambda m: timezone(timedelta(minutes=m)))
_EPOCH = datetime(1900, 1, 1, tzinfo=UTC)
_MOMENTS = st.builds(
    lambda seconds, zone: (_EPOCH + timedelta(seconds=seconds)).astimezone(zone),
    st.integers(0, 200 * 365 * 24 * 3600),
    _OFFSETS,
)


@given(_MOMENTS, _MOMENTS)
def test_moments_are_ordered_as_in_utc(one: datetime, other: datetime) -> None:
    order = compare_temporal(parse_temporal(one.isoformat()), parse_temporal(other.isoformat()))
    assert order == (one > other) - (one < other)


@given(_MOMENTS, st.integers(1, 5))
def test_partial_values_agree_or_are_undecidable(moment: datetime, length: int) -> None:
    whole = parse_temporal(moment.isoformat(timespec="seconds"))
    in_utc = moment.astimezone(UTC).isoformat(timespec="seconds")
    short = parse_temporal(in_utc[: {1: 4, 2: 7, 3: 10, 4: 13, 5: 16}[length]] + "Z" * (length > 3))
    assert compare_temporal(whole, short) is None
    assert compare_temporal(short, whole) is None
    assert compare_temporal(short, short) == 0


@pytest.mark.parametrize(
    "text",
    [
        "",
        "201",
        "2014-1",
        "2014-02-30",
        "2014-00",
        "2014-01T10:00",
        "24:00",
        "10:60",
        "2014-01-01T10:00:00+10",
        "2014-01-01 10:00",
        "0000",
        "١٩٩٠",
        "0001-01-01T00:00:00+14:00",
    ],
)
def test_what_no_calendar_has_is_refused(text: str) -> None:
    with pytest.raises(EvaluationError):
        parse_temporal(text)


def test_the_sign_of_an_offset_holds_for_its_minutes() -> None:
    assert parse_temporal("2014-01-01T00:00:00-00:30") == parse_temporal("2014-01-01T00:30:00Z")
    assert parse_temporal("2014-01-01T00:00:00+05:45") == parse_temporal("2013-12-31T18:15:00Z")


def test_a_leap_second_is_a_time() -> None:
    leap, after = parse_temporal("2016-12-31T23:59:60Z"), parse_temporal("2017-01-01T00:00:00Z")
    assert compare_temporal(leap, after) == -1
