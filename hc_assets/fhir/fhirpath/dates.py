"""Dates and times moved by durations, by the calendar.

Belongs here: adding a duration to a date, a dateTime or a time of day. Their form and order are in
`values.py`; the parts of a date are in `functions/dates.py`.
"""

from calendar import monthrange
from dataclasses import replace
from datetime import MAXYEAR, UTC, datetime, timedelta
from decimal import Decimal

from hc_assets.fhir.fhirpath.errors import EvaluationError
from hc_assets.fhir.fhirpath.values import CALENDAR_UNITS, Fields, Quantity, Temporal, date_time

_UCUM = {"wk": "week", "d": "day", "h": "hour", "min": "minute", "s": "second", "ms": "millisecond"}
_MONTHS = {"year": 12, "month": 1}
_SECONDS = {
    "week": Decimal(604_800),
    "day": Decimal(86_400),
    "hour": Decimal(3_600),
    "minute": Decimal(60),
    "second": Decimal(1),
    "millisecond": Decimal("0.001"),
}
# How long the last field of a value is, by the number of its fields; year and month in days.
_DAYS_OF_YEAR, _DAYS_OF_MONTH = 365, 30
_LENGTHS = {3: 86_400, 4: 3_600, 5: 60}
_DATE_FIELDS = 3
_DAY = 86_400
_LARGEST_EXPONENT = 20


def moved(moment: Temporal, duration: Quantity, sign: int) -> Temporal | None:
    """A date or time, later or earlier by a duration.

    Fractions count for seconds alone. What is less precise than the duration is moved by whole
    steps of its own: `@2014 + 24 months` is `@2016`. A day that the month doesn't have becomes its
    last; a time of day begins anew at midnight.

    Args:
        moment: the date or time; the result is as precise.
        duration: of the calendar, or in UCUM's weeks and shorter.
        sign: 1 for later, -1 for earlier.

    Returns:
        None where the calendar ends.

    Raises:
        EvaluationError: the quantity is no duration of the calendar, or too long.
    """
    name = _UCUM.get(duration.unit, duration.unit) if duration.is_ucum else duration.unit
    if name not in CALENDAR_UNITS:
        raise EvaluationError("a date moved by what is no duration of the calendar")
    if duration.value.adjusted() > _LARGEST_EXPONENT:
        raise EvaluationError("a duration too long")
    value = sign * duration.value
    if name not in ("second", "millisecond"):
        value = Decimal(int(value))
    if moment.is_time:
        if name not in _SECONDS or name in ("week", "day"):
            raise EvaluationError("a time of day moved by days")
        return _later_time(moment, value * _SECONDS[name])
    try:
        if name in _MONTHS:
            fields = _by_months(moment.written, int(value) * _MONTHS[name])
        else:
            fields = _by_seconds(moment.written, value * _SECONDS[name])
        offset = moment.offset if moment.is_zoned else None
        return date_time(fields, offset, moment.is_date_time)
    except (OverflowError, ValueError):
        return None


def _by_months(fields: Fields, months: int) -> Fields:
    year, month, day = int(fields[0]), *map(int, (*fields[1:_DATE_FIELDS], 1, 1)[:2])
    if len(fields) == 1:
        months = _whole(Decimal(months), 12) * 12
    years, rest = divmod(year * 12 + month - 1 + months, 12)
    if not 1 <= years <= MAXYEAR:
        raise OverflowError
    last = monthrange(years, rest + 1)[1]
    return (years, rest + 1, min(day, last), *fields[_DATE_FIELDS:])[: len(fields)]


def _by_seconds(fields: Fields, seconds: Decimal) -> Fields:
    if len(fields) < _DATE_FIELDS:
        days = _whole(seconds, _DAY)
        if len(fields) == 1:
            return _by_months(fields, 12 * _whole(Decimal(days), _DAYS_OF_YEAR))
        return _by_months(fields, _whole(Decimal(days), _DAYS_OF_MONTH))
    length = _LENGTHS.get(len(fields))
    if length is not None:
        seconds = Decimal(_whole(seconds, length) * length)
    year, month, day = map(int, fields[:_DATE_FIELDS])
    total = _seconds_of(fields[_DATE_FIELDS:]) + seconds
    days = int(total // _DAY) - (1 if total < 0 and total % _DAY else 0)
    date = datetime(year, month, day, tzinfo=UTC) + timedelta(days=days)
    clock = _clock(total - days * _DAY)
    return (date.year, date.month, date.day, *clock)[: len(fields)]


def _later_time(moment: Temporal, seconds: Decimal) -> Temporal:
    length = {1: 3_600, 2: 60}.get(len(moment.fields))
    if length is not None:
        seconds = Decimal(_whole(seconds, length) * length)
    total = (_seconds_of(moment.fields) + seconds) % _DAY
    clock = _clock(total + _DAY if total < 0 else total)
    return replace(moment, fields=clock[: len(moment.fields)])


def _whole(value: Decimal, length: int) -> int:
    """How many whole steps of a length a value has, towards zero."""
    return int(value / length)


def _seconds_of(clock: Fields) -> Decimal:
    return sum(
        (Decimal(field) * length for field, length in zip(clock, (3_600, 60, 1), strict=False)),
        Decimal(0),
    )


def _clock(seconds: Decimal) -> Fields:
    whole = int(seconds // 60)
    return (*divmod(whole, 60), seconds - whole * 60)
