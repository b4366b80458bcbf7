"""Dates and times as intervals of microseconds in UTC.

Belongs here: what each of FHIR's types of time becomes. A time without an offset is taken for UTC,
as whoever asks without one.
"""

from collections.abc import Iterator
from datetime import date, datetime
from functools import lru_cache
from typing import Any

from hc_assets.fhir.search.values import Interval

_EPOCH = date(1970, 1, 1).toordinal()
_SECOND = 1_000_000
_DAY = 86_400 * _SECOND
_YEAR, _MONTH, _DATE, _MINUTE = 4, 7, 10, 16
_PLACES = 6
_CACHED = 65_536


@lru_cache(maxsize=_CACHED)
def interval(text: str) -> Interval:
    """The time that a date, dateTime or instant stands for.

    Args:
        text: as FHIR writes it; minutes suffice, as in queries.

    Raises:
        ValueError: it is written otherwise, or no calendar has it.
    """
    length = len(text)
    if length == _YEAR:
        year = int(text)
        return Interval(_midnight(year, 1, 1), _midnight(year, 12, 31) + _DAY)
    if length == _MONTH:
        year, month = int(text[:4]), int(text[5:])
        low = _midnight(year, month, 1)
        return Interval(low, low + _days_of(year, month) * _DAY)
    if length == _DATE:
        low = (date.fromisoformat(text).toordinal() - _EPOCH) * _DAY
        return Interval(low, low + _DAY)
    return _moment(text)


def _midnight(year: int, month: int, day: int) -> int:
    return (date(year, month, day).toordinal() - _EPOCH) * _DAY


def _days_of(year: int, month: int) -> int:
    if month == 12:
        return 31
    return date(year, month + 1, 1).toordinal() - date(year, month, 1).toordinal()


def _moment(text: str) -> Interval:
    leap = 0
    if text[_MINUTE : _MINUTE + 3] == ":60":  # a leap second, which Python's clock doesn't have
        text, leap = f"{text[:_MINUTE]}:59{text[_MINUTE + 3 :]}", _SECOND
    moment = datetime.fromisoformat(text)
    offset = moment.utcoffset()
    low = (moment.toordinal() - _EPOCH) * _DAY + leap + moment.microsecond
    low += (moment.hour * 3600 + moment.minute * 60 + moment.second) * _SECOND
    if offset is not None:
        low -= (offset.days * 86_400 + offset.seconds) * _SECOND
    return Interval(low, low + _width(text))


def _width(text: str) -> int:
    """How long the last field is that is written."""
    if text[_MINUTE : _MINUTE + 1] != ":":
        return 60 * _SECOND
    digits = 0
    if text[_MINUTE + 3 : _MINUTE + 4] == ".":
        while text[_MINUTE + 4 + digits : _MINUTE + 5 + digits].isdigit():
            digits += 1
    return 10 ** (_PLACES - digits) if digits <= _PLACES else 1


def of_text(value: Any) -> Iterator[Interval]:
    """A date, dateTime or instant."""
    if isinstance(value, str):
        yield interval(value)


def of_period(value: Any) -> Iterator[Interval]:
    """A Period, open where it has no start or no end."""
    start, end = value.get("start"), value.get("end")
    if start is not None or end is not None:
        low = None if start is None else interval(start).low
        yield Interval(low, None if end is None else interval(end).high)


def of_timing(value: Any) -> Iterator[Interval]:
    """A Timing: from its first event, or the start of its bounds, to its last."""
    times = [interval(event) for event in value.get("event", ()) if isinstance(event, str)]
    bounds = value.get("repeat", {}).get("boundsPeriod")
    if bounds is not None:
        times.extend(of_period(bounds))
    if times:
        lows, highs = [each.low for each in times], [each.high for each in times]
        yield Interval(
            None if None in lows else min(low for low in lows if low is not None),
            None if None in highs else max(high for high in highs if high is not None),
        )
