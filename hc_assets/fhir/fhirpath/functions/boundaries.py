"""FHIRPath's boundaries and precision: the interval that a value stands for as it is written.

Belongs here: `lowBoundary`, `highBoundary` and `precision` of numbers, dates, times and quantities.
How values compare belongs to `equality.py`.
"""

from calendar import monthrange
from collections.abc import Mapping
from dataclasses import replace
from decimal import ROUND_CEILING, ROUND_FLOOR, Context, Decimal

from hc_assets.fhir.fhirpath.equality import as_quantity, as_temporal, is_number, raw
from hc_assets.fhir.fhirpath.errors import EvaluationError
from hc_assets.fhir.fhirpath.model import Collection, Item, Scope
from hc_assets.fhir.fhirpath.singletons import Function, integer_of, single
from hc_assets.fhir.fhirpath.values import Fields, Quantity, Temporal, date_time

# Digits that a precision counts up to year, month, … second and its thousandths.
_DATE_DIGITS: tuple[int, ...] = (4, 6, 8)
_DATE_TIME_DIGITS: tuple[int, ...] = (4, 6, 8, 10, 12, 14, 17)
_TIME_DIGITS: tuple[int, ...] = (2, 4, 6, 9)
_DATE_FIELDS = 3
_HIGHEST = (12, 31, 23, 59, Decimal(59))
_MILLISECONDS = Decimal("0.001")
# Where a time has no offset it may be anywhere on Earth: in Kiribati or on Baker Island.
_EARLIEST, _LATEST = 14 * 60, -12 * 60
_MOST_PLACES = 31
_LEAST_DEFAULT = 8
_LARGEST_EXPONENT = 100
_EXACT = Context(prec=2 * _LARGEST_EXPONENT + 2 * _MOST_PLACES)


def places(number: int | Decimal) -> int:
    """Decimal places of a number as it is written; a number such as `1E3` has none."""
    exponent = 0 if isinstance(number, int) else int(number.as_tuple().exponent)
    return max(-exponent, 0)


def number_boundary(number: int | Decimal, digits: int | None, is_high: bool) -> Decimal | None:
    """The end of the interval of all numbers that round to a number.

    Args:
        number: with its digits; `1.0` stands for 0.95 to 1.05.
        digits: decimal places of the result; None for as many as it takes, at least 8.
        is_high: the upper end.

    Returns:
        The end, rounded away from the number; None where there can't be so many places.

    Raises:
        EvaluationError: the number has more than 100 digits.
    """
    value = Decimal(number)
    if abs(value.adjusted()) > _LARGEST_EXPONENT or places(value) > _LARGEST_EXPONENT:
        raise EvaluationError("a number too large to round")
    wanted = max(_LEAST_DEFAULT, places(value) + 1) if digits is None else digits
    if not 0 <= wanted <= _MOST_PLACES:
        return None
    exponent = int(value.as_tuple().exponent)
    half = Decimal((0, (5,), exponent - 1))
    end = _EXACT.add(value, half) if is_high else _EXACT.subtract(value, half)
    rounding = ROUND_CEILING if is_high else ROUND_FLOOR
    return end.quantize(Decimal((0, (1,), -wanted)), rounding, _EXACT)


def temporal_boundary(moment: Temporal, digits: int | None, is_high: bool) -> Temporal | None:
    """The first or last moment of the time that a date or time stands for.

    Args:
        moment: as precise as it was written.
        digits: precision of the result as FHIRPath counts it: 4 for a year, 17 for milliseconds, 9
            for those of a time of day; None for the finest.
        is_high: the last moment.

    Returns:
        The moment; a time without an offset gets the one that is earliest, or latest. None where
        FHIRPath has no such precision.
    """
    is_date = not moment.is_date_time and len(moment.fields) <= _DATE_FIELDS
    steps = _TIME_DIGITS if moment.is_time else _DATE_DIGITS if is_date else _DATE_TIME_DIGITS
    wanted = steps[-1] if digits is None else digits
    if wanted not in steps:
        return None
    # A second has two precisions: with its fraction, and without.
    seconds = 0 if steps is _DATE_DIGITS else len(steps) - 1
    has_fraction = wanted == steps[-1] and seconds > 0
    count = seconds if has_fraction else steps.index(wanted) + 1
    fields = _filled(moment.written, _DATE_FIELDS if moment.is_time else 0, count, is_high)
    if count == seconds:
        fields = (*fields[:-1], _second(Decimal(fields[-1]), has_fraction, is_high))
    if moment.is_time:
        return replace(moment, fields=fields, local=())
    if count <= _DATE_FIELDS:
        return Temporal(False, fields, False, is_date_time=moment.is_date_time)
    offset = moment.offset if moment.is_zoned else (_LATEST if is_high else _EARLIEST)
    try:
        return date_time(fields, offset)
    except OverflowError:  # beyond the calendar in UTC: the year 10000, or the one before 1
        outside = (10_000, 1, 1, 0, 0, Decimal(0)) if is_high else (0, 12, 31, 23, 59, Decimal(59))
        return Temporal(False, outside[: len(fields)], True, offset, fields, True)


def _filled(written: Fields, first: int, count: int, is_high: bool) -> Fields:
    """The fields, cut or filled up to so many with the least or the greatest there are."""
    fields = list(written[:count])
    while len(fields) < count:
        position = first + len(fields)
        if not is_high:
            fields.append(1 if position in (1, 2) else 0)
        elif position == 2:
            fields.append(monthrange(int(fields[0]), int(fields[1]))[1])
        else:
            fields.append(_HIGHEST[position - 1])
    return tuple(fields)


def _second(second: Decimal, has_fraction: bool, is_high: bool) -> Decimal:
    whole = Decimal(int(second))
    if not has_fraction:
        return whole
    if second != whole:  # written with a fraction: it is exact
        return second.quantize(_MILLISECONDS) if places(second) < 3 else second
    is_written = places(second) > 0
    return whole + (Decimal("0.999") if is_high and not is_written else Decimal("0.000"))


def precision_of(item: Item) -> int | None:
    """Digits of a number, its decimal places; of a date or time as FHIRPath counts them.

    Returns:
        None where the item is neither.
    """
    value = raw(item)
    if is_number(value):
        return places(value)
    moment = as_temporal(item)
    if moment is None:
        return None
    steps = _TIME_DIGITS if moment.is_time else _DATE_TIME_DIGITS
    count = len(moment.fields)
    if count < len(steps) - 1:
        return steps[count - 1]
    return steps[-1] if places(Decimal(moment.written[-1])) else steps[-2]


def _boundary(items: Collection, digits: Collection | None, is_high: bool) -> Collection:
    item = single(items)
    wanted = None if digits is None else integer_of(digits)
    if item is None or (digits is not None and wanted is None):
        return []
    value = raw(item)
    if is_number(value):
        end = number_boundary(value, wanted, is_high)
        return [] if end is None else [end]
    if (moment := as_temporal(item)) is not None:
        bound = temporal_boundary(moment, wanted, is_high)
        return [] if bound is None else [bound]
    if (quantity := as_quantity(item)) is not None:
        end = number_boundary(quantity.value, wanted, is_high)
        return [] if end is None else [Quantity(end, quantity.unit, quantity.is_ucum)]
    if value is None or isinstance(value, dict):
        return []  # an element without a value has no boundary
    raise EvaluationError("a boundary of what is no number, date, time or quantity")


def _low(_: Scope, items: Collection, digits: Collection | None = None) -> Collection:
    return _boundary(items, digits, is_high=False)


def _high(_: Scope, items: Collection, digits: Collection | None = None) -> Collection:
    return _boundary(items, digits, is_high=True)


def _precision(_: Scope, items: Collection) -> Collection:
    item = single(items)
    digits = None if item is None else precision_of(item)
    return [] if digits is None else [digits]


# Functions that give a collection.
VALUES: Mapping[str, Function] = {
    "lowBoundary": Function(0, 1, _low),
    "highBoundary": Function(0, 1, _high),
    "precision": Function(0, 0, _precision),
}
