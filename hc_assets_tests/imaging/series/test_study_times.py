"""Dates and times of DICOM as FHIR dateTimes, earliest first by instant."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hc_assets.imaging.series.study_times import earliest, start


def said(day, time=None, offset=None) -> str | None:
    found = start(day, time, offset)
    return found and found.text


@pytest.mark.parametrize(
    ("time", "clock"),
    [
        ("10", "10:00:00"),
        ("1020", "10:20:00"),
        ("102030", "10:20:30"),
        ("102030.5", "10:20:30.5"),
        ("102030.123456", "10:20:30.123456"),
        ("10:20:30", "10:20:30"),
        ("10:20:30.25", "10:20:30.25"),
        ("10:20", "10:20:00"),
        ("235960", "23:59:60"),
        ("102030 ", "10:20:30"),
    ],
)
def test_every_legal_form_of_a_time_is_read(time, clock):
    assert said("20260102", time, "+0100") == f"2026-01-02T{clock}+01:00"


@pytest.mark.parametrize(
    "time", ["24", "1060", "102061", "10:2030", "1020:30", "10.5", "1020.5", "1", "102", "10-11"]
)
def test_what_is_no_time_leaves_the_date(time):
    assert said("20260102", time, "+0100") == "2026-01-02"


@pytest.mark.parametrize(
    ("day", "expected"),
    [
        ("19990102", "1999-01-02"),
        ("1999.01.02", "1999-01-02"),
        ("19990102 ", "1999-01-02"),
        ("1999.0102", None),
        ("1999-01-02", None),
        ("19990102-19990103", None),
        ("19990230", None),
        ("1999", None),
        ("", None),
        (None, None),
    ],
)
def test_dates_of_dicom_and_of_acr_nema_are_read_and_no_others(day, expected):
    assert said(day) == expected


@pytest.mark.parametrize(
    ("offset", "expected"),
    [
        ("+0000", "+00:00"),
        ("-0000", "+00:00"),
        ("-1200", "-12:00"),
        ("+1400", "+14:00"),
        ("+0545 ", "+05:45"),
        ("+1430", None),
        ("-1230", None),
        ("0100", None),
        ("+01:00", None),
        ("+0160", None),
    ],
)
def test_an_offset_is_one_of_dicom_or_the_time_is_not_said(offset, expected):
    text = "2026-01-02" + (f"T10:00:00{expected}" if expected else "")
    assert said("20260102", "10", offset) == text


offsets = st.integers(-12 * 60, 14 * 60)
moments = st.datetimes(datetime(1900, 1, 2), datetime(2100, 1, 1))  # noqa: DTZ001 - of a zone each


@settings(max_examples=50)
@given(st.lists(st.tuples(moments, offsets), min_size=1, max_size=5))
def test_the_earliest_is_the_first_instant_whatever_the_zones(sent):
    starts, aware = [], []
    for moment, minutes in sent:
        hours, rest = divmod(abs(minutes), 60)
        zone = f"{'-' if minutes < 0 else '+'}{hours:02}{rest:02}"
        starts.append(start(f"{moment:%Y%m%d}", f"{moment:%H%M%S.%f}", zone))
        aware.append(moment.replace(tzinfo=timezone(timedelta(minutes=minutes))))
    found = earliest(starts)
    assert datetime.fromisoformat(found).astimezone(UTC) == min(aware).astimezone(UTC)


def test_a_date_alone_is_the_start_only_of_an_earlier_day():
    moment = start("20260102", "080000", "+0900")
    assert earliest([moment, start("20260102", None, None)]) == moment.text
    assert earliest([moment, start("20260101", "2359", "")]) == "2026-01-01"
    assert earliest([]) is None
