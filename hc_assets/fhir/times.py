"""FHIR's dates and times as Python's.

Belongs here: reading the text of a valid date, dateTime or instant. Whether it is valid is judged
in `fhir/validation/__init__.py`.
"""

import re
from calendar import monthrange
from datetime import date, datetime, timedelta
from functools import lru_cache
from typing import NamedTuple

_DATE_LENGTH = len("2026-01-31")
_DAY_MICROSECONDS = 86_400_000_000
_EPOCH = date(1970, 1, 1).toordinal()
# Dates and times come again and again: all of an encounter share a few.
_CACHED_TEXTS = 65_536
_SECOND = re.compile(r"T\d\d:\d\d:(\d\d)(?:\.(\d+))?")
# Greater than any digit, as texts are compared.
_LEAP = "L"
_LEAP_SECOND = re.compile(r"(.{17})60(?:\.\d+)?(.*)")


def day_of(text: object) -> date | None:
    """Day of a date or dateTime; None where it is less precise than a day, or absent."""
    if not isinstance(text, str) or len(text) < _DATE_LENGTH:
        return None
    return date.fromisoformat(text[:_DATE_LENGTH])


def first_day_of(text: str) -> date | None:
    """First day that a date, which may state only year and month, can be."""
    padded = {len("2026"): f"{text}-01-01", len("2026-01"): f"{text}-01"}.get(len(text), text)
    return day_of(padded)


def moment_of(text: object) -> datetime | None:
    """Moment of a dateTime or instant; None where it has no time of the day, or is absent.

    Returns:
        With the offset that the text has; what is finer than a microsecond is cut off. A leap
        second, which Python can't hold, becomes the microsecond before it.
    """
    if not isinstance(text, str) or "T" not in text:
        return None
    leap = _LEAP_SECOND.fullmatch(text)
    return datetime.fromisoformat(f"{leap[1]}59.999999{leap[2]}" if leap else text)


def finer_digits(text: object) -> str:
    """Digits of a dateTime's or instant's second that `moment_of` cuts off, as a text to sort by.

    Of two times of one microsecond, the one whose text is greater is the later one. Zeros at the
    end are left out, so that equal times have equal texts. What a leap second becomes is earlier
    than it is: its text begins with a letter, and holds all of its fraction.
    """
    found = _SECOND.search(text) if isinstance(text, str) else None
    if found is None:
        return ""
    fraction = (found[2] or "").rstrip("0")
    return f"{_LEAP}{fraction}" if found[1] == "60" else fraction[6:]


class Span(NamedTuple):
    """What a date or time can mean: microseconds since 1970-01-01 UTC, first and last.

    A date has no time zone; it is taken as UTC, and whoever compares it with a time allows a day.
    """

    first: int
    last: int
    has_time: bool


def first_and_last_day(text: str) -> tuple[date, date]:
    """First and last day that a date or dateTime, which may state only its year or month, can be.

    Raises:
        ValueError: the text is none.
    """
    if len(text) >= _DATE_LENGTH:
        day = date.fromisoformat(text[:_DATE_LENGTH])
        return day, day
    year, month = int(text[:4]), int(text[5:7]) if len(text) > len("2026") else 0
    last_month = month or 12
    last_day = monthrange(year, last_month)[1]
    return date(year, month or 1, 1), date(year, last_month, last_day)


@lru_cache(maxsize=_CACHED_TEXTS)
def span_of(text: str) -> Span:
    """Microseconds that a valid date, dateTime or instant can mean.

    Raises:
        ValueError: the text is none of them.
    """
    moment = moment_of(text)
    if moment is not None:
        at = _microseconds(moment)
        return Span(at, at, has_time=True)
    first, last = first_and_last_day(text)
    return Span(_day_start(first), _day_start(last) + _DAY_MICROSECONDS - 1, has_time=False)


def _microseconds(moment: datetime) -> int:
    offset = moment.utcoffset() or timedelta(0)
    day = _day_start(moment.date())
    seconds = moment.hour * 3600 + moment.minute * 60 + moment.second - int(offset.total_seconds())
    return day + seconds * 1_000_000 + moment.microsecond


def _day_start(day: date) -> int:
    return (day.toordinal() - _EPOCH) * _DAY_MICROSECONDS


def day_from(microseconds: int) -> date:
    """Day, UTC, of a number of microseconds since 1970-01-01."""
    return date.fromordinal(_EPOCH + microseconds // _DAY_MICROSECONDS)


def in_order(first: Span, second: Span) -> bool | None:
    """Whether one time does not lie after another; None where neither can be decided.

    Where one has a time of the day and the other has not, a day is allowed: the latter may be of
    any time zone. Dates that are less precise than a day, and overlap, decide nothing.
    """
    slack = _DAY_MICROSECONDS if first.has_time != second.has_time else 0
    if first.first > second.last + slack:
        return False
    vague = max(first.last - first.first, second.last - second.first) >= _DAY_MICROSECONDS
    if vague and first.last > second.first:
        return None
    return True
