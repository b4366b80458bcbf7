"""System values of FHIRPath that JSON has no type for: dates and times, quantities.

Belongs here: their form, how they are read, the order of dates and times. Strings, booleans and
numbers are Python's own; equality over all kinds of items belongs to `equality.py`, what quantities
have in common to `quantities.py`.
"""

import re
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from hc_assets.fhir.fhirpath.errors import EvaluationError

_TIME = r"(\d\d)(?::(\d\d)(?::(\d\d(?:\.\d+)?))?)?"
_ONLY_TIME = re.compile(rf"T?{_TIME}", re.ASCII)
_DATE_TIME = re.compile(
    rf"(\d{{4}})(?:-(\d\d)(?:-(\d\d))?)?(?:T(?:{_TIME})?(?:(Z)|([+-]\d\d):(\d\d))?)?", re.ASCII
)
_DATE_FIELDS = 3
_HOUR = 60
_DAY = 24 * _HOUR
CALENDAR_UNITS = frozenset(
    {"year", "month", "week", "day", "hour", "minute", "second", "millisecond"}
)
# Words for durations of the calendar, each with its singular.
CALENDAR_WORDS = {unit + plural: unit for unit in CALENDAR_UNITS for plural in ("", "s")}

Fields = tuple[int | Decimal, ...]


@dataclass(frozen=True, slots=True)
class Temporal:
    """A date, a date with time, or a time of day, as precise as it was written.

    Attributes:
        is_time: a time of day, without a date.
        fields: year, month, day, hour, minute, second as far as given; hour, minute, second for a
            time of day. Seconds are Decimal and hold the fraction, the others int. Times with an
            offset are moved to UTC.
        is_zoned: an offset was given.
        offset: it in minutes, east of Greenwich positive; 0 where none was given. Like what
            follows it is no part of what makes two values the same.
        local: the fields on the clock of that offset, as they were written.
        is_date_time: a dateTime, even where it has no time (`@2014T`).
    """

    is_time: bool
    fields: Fields
    is_zoned: bool
    offset: int = field(default=0, compare=False)
    local: Fields = field(default=(), compare=False)
    is_date_time: bool = field(default=False, compare=False)

    @property
    def written(self) -> Fields:
        """The fields on the clock of the value's own offset."""
        return self.local or self.fields


@dataclass(frozen=True, slots=True)
class Quantity:
    """A number with a unit.

    Attributes:
        value: the number.
        unit: UCUM code (`is_ucum`), else a calendar word in the singular such as `year`.
        is_ucum: which of the two.
    """

    value: Decimal
    unit: str
    is_ucum: bool


def parse_temporal(text: str, is_date_time: bool = False) -> Temporal:
    """Read a date, date-time or time as FHIR and FHIRPath write them, the `@` left out.

    Args:
        text: `2014`, `2014-01-25T14:30:14.559+10:00`, `T14:30`, `14:30:00` and what lies between.
        is_date_time: True where a date without a time is a dateTime by its type.

    Raises:
        EvaluationError: it is written otherwise, or no calendar or clock has it.
    """
    if match := _ONLY_TIME.fullmatch(text):
        return Temporal(True, _clock(*match.groups()), False)
    match = _DATE_TIME.fullmatch(text)
    if match is None:
        raise EvaluationError("a date or time that isn't written as one")
    *written, zulu, offset_hours, offset_minutes = match.groups()
    date = tuple(int(field) for field in written[:_DATE_FIELDS] if field is not None)
    clock = _clock(*written[_DATE_FIELDS:])
    if clock and len(date) < _DATE_FIELDS:
        raise EvaluationError("a time after an incomplete date")
    year, month, day = (*date, 1, 1)[:_DATE_FIELDS]
    try:
        datetime(year, month, day, tzinfo=UTC)
        is_zoned = zulu is not None or offset_hours is not None
        # The sign stands with the hours, yet holds for the minutes too.
        sign = -1 if offset_hours is not None and offset_hours[0] == "-" else 1
        minutes = _HOUR * abs(int(offset_hours or 0)) + int(offset_minutes or 0)
        return date_time(
            date + clock, sign * minutes if is_zoned else None, is_date_time or "T" in text
        )
    except (ValueError, OverflowError) as error:
        raise EvaluationError("a date that no calendar has") from error


def date_time(local: Fields, offset: int | None, is_date_time: bool = True) -> Temporal:
    """A date or date with time from its fields.

    Args:
        local: year to second, as far as known, on the clock of the offset.
        offset: in minutes; None where there is none.
        is_date_time: False for a date.

    Raises:
        OverflowError: in UTC it is before the year 1 or after 9999.
    """
    fields = local
    if offset and len(local) > _DATE_FIELDS:
        year, month, day, hour, minute, *second = (*local, 0) if len(local) == 4 else local
        days, rest = divmod(int(hour) * _HOUR + int(minute) - offset, _DAY)
        date = (year, month, day)
        if days:
            moved = datetime(int(year), int(month), int(day), tzinfo=UTC) + timedelta(days=days)
            date = (moved.year, moved.month, moved.day)
        fields = (*date, *divmod(rest, _HOUR), *second)
    return Temporal(False, fields, offset is not None, offset or 0, local, is_date_time)


def _clock(*written: str | None) -> tuple[int | Decimal, ...]:
    hour, minute, second = written
    fields: list[int | Decimal] = [int(field) for field in (hour, minute) if field is not None]
    if second is not None:
        fields.append(Decimal(second))
    # A second 60 is a leap second.
    if any(field > limit for field, limit in zip(fields, (23, 59, 60), strict=False)):
        raise EvaluationError("a time that no clock has")
    return tuple(fields)


def compare_temporal(left: Temporal, right: Temporal) -> int | None:
    """Order two dates or times, field by field, as FHIRPath does.

    Returns:
        -1, 0 or 1; None where it can't be decided: they agree as far as both go, one goes further,
        or one has an offset and the other has a time without.

    Raises:
        EvaluationError: one is a time of day, the other is not.
    """
    if left.is_time != right.is_time:
        raise EvaluationError("a date compared with a time of day")
    has_times = min(len(left.fields), len(right.fields)) > _DATE_FIELDS
    if has_times and left.is_zoned != right.is_zoned:
        return None
    for one, other in zip(left.fields, right.fields, strict=False):
        if one != other:
            return -1 if one < other else 1
    return 0 if len(left.fields) == len(right.fields) else None
