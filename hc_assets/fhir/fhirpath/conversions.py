"""FHIRPath functions that convert between types, and arithmetic on single numbers.

Belongs here: how a value prints and is read, rounding. Functions on strings belong to
`strings.py`, infix arithmetic to `operators.py`.
"""

import re
from collections.abc import Callable, Mapping
from decimal import ROUND_CEILING, ROUND_FLOOR, ROUND_HALF_UP, Decimal

from hc_assets.fhir.fhirpath.equality import as_temporal, is_number, raw
from hc_assets.fhir.fhirpath.errors import EvaluationError
from hc_assets.fhir.fhirpath.model import Collection, Item, Scope
from hc_assets.fhir.fhirpath.singletons import Function, integer_of, number_of, single
from hc_assets.fhir.fhirpath.values import Quantity, Temporal, parse_temporal

_INTEGER = re.compile(r"[+-]?\d{1,28}", re.ASCII)
_DECIMAL = re.compile(r"[+-]?\d{1,28}(\.\d{1,28})?", re.ASCII)
_TRUE = frozenset({"true", "t", "yes", "y", "1", "1.0"})
_FALSE = frozenset({"false", "f", "no", "n", "0", "0.0"})
_LARGEST_EXPONENT = 100
_MOST_BITS = 332  # of a whole number that has 100 digits
_DATE_FIELDS = 3


def printed(item: Item) -> str | None:
    """An item as a string, as `toString()` gives it; None for an element that is no primitive.

    Raises:
        EvaluationError: a number with an exponent beyond 100: it would print as so many digits.
    """
    value = raw(item)
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Decimal):
        if abs(value.adjusted()) > _LARGEST_EXPONENT:
            raise EvaluationError("a number too large to print")
        return f"{value:f}"
    if isinstance(value, int) and value.bit_length() > _MOST_BITS:
        raise EvaluationError("a number too large to print")
    if isinstance(value, str | int):
        return str(value)
    if isinstance(value, Quantity):
        unit = f"'{value.unit}'" if value.is_ucum else value.unit
        return f"{value.value:f} {unit}"
    if isinstance(value, Temporal):
        return _printed_temporal(value)
    return None


def _printed_temporal(value: Temporal) -> str:
    fields = [_two_digits(field) for field in value.written]
    if value.is_time:
        return ":".join(fields)
    date, clock = "-".join([fields[0].zfill(4), *fields[1:3]]), ":".join(fields[3:])
    if not clock:
        return date
    return f"{date}T{clock}{_printed_offset(value.offset) if value.is_zoned else ''}"


def _printed_offset(minutes: int) -> str:
    if not minutes:
        return "Z"
    hours, rest = divmod(abs(minutes), 60)
    return f"{'-' if minutes < 0 else '+'}{hours:02d}:{rest:02d}"


def _two_digits(field: int | Decimal) -> str:
    whole, dot, fraction = str(field).partition(".")
    return whole.zfill(2) + dot + fraction


def _to_string(_: Scope, items: Collection) -> Collection:
    text = None if (item := single(items)) is None else printed(item)
    return [] if text is None else [text]


def _to_integer(_: Scope, items: Collection) -> Collection:
    value = None if (item := single(items)) is None else raw(item)
    if isinstance(value, bool | int):
        return [int(value)]
    if isinstance(value, str) and _INTEGER.fullmatch(value):
        return [int(value)]
    return []


def _to_decimal(_: Scope, items: Collection) -> Collection:
    value = None if (item := single(items)) is None else raw(item)
    if isinstance(value, bool | int | Decimal):
        return [Decimal(value)]
    if isinstance(value, str) and _DECIMAL.fullmatch(value):
        return [Decimal(value)]
    return []


def _to_boolean(_: Scope, items: Collection) -> Collection:
    value = None if (item := single(items)) is None else raw(item)
    if isinstance(value, bool):
        return [value]
    if is_number(value):
        return [value == 1] if value in (0, 1) else []
    if isinstance(value, str) and value.lower() in _TRUE | _FALSE:
        return [value.lower() in _TRUE]
    return []


def _moment(items: Collection) -> Temporal | None:
    item = single(items)
    if item is None:
        return None
    try:
        return parse_temporal(item) if isinstance(item, str) else as_temporal(item)
    except EvaluationError:
        return None  # FHIRPath: what doesn't convert is empty


def _to_date_time(_: Scope, items: Collection) -> Collection:
    moment = _moment(items)
    return [] if moment is None or moment.is_time else [moment]


def _to_date(_: Scope, items: Collection) -> Collection:
    moment = _moment(items)
    if moment is None or moment.is_time:
        return []
    return [Temporal(False, moment.written[:_DATE_FIELDS], False)]


def _to_time(_: Scope, items: Collection) -> Collection:
    moment = _moment(items)
    return [moment] if moment is not None and moment.is_time else []


def _converts(
    convert: Callable[[Scope, Collection], Collection],
) -> Callable[[Scope, Collection], bool | None]:
    def apply(scope: Scope, items: Collection) -> bool | None:
        return bool(convert(scope, items)) if items else None

    return apply


def _of_number(
    change: Callable[[Decimal], int],
) -> Callable[[Scope, Collection], Collection]:
    def apply(_: Scope, items: Collection) -> Collection:
        number = number_of(items)
        if number is None:
            return []
        if abs(Decimal(number).adjusted()) > _LARGEST_EXPONENT:
            raise EvaluationError("a number too large to round")
        return [change(Decimal(number))]

    return apply


def _round(_: Scope, items: Collection, digits: Collection | None = None) -> Collection:
    number = number_of(items)
    places = 0 if digits is None else integer_of(digits)
    if number is None or places is None:
        return []
    return [Decimal(number).quantize(Decimal(1).scaleb(-places), ROUND_HALF_UP)]


def _abs(_: Scope, items: Collection) -> Collection:
    number = number_of(items)
    if number is None:
        return []
    return [-number if number < 0 else number]


# Functions that give true, false or nothing (None).
TESTS: Mapping[str, Function] = {
    "convertsToString": Function(0, 0, _converts(_to_string)),
    "convertsToInteger": Function(0, 0, _converts(_to_integer)),
    "convertsToDecimal": Function(0, 0, _converts(_to_decimal)),
    "convertsToBoolean": Function(0, 0, _converts(_to_boolean)),
    "convertsToDate": Function(0, 0, _converts(_to_date)),
    "convertsToDateTime": Function(0, 0, _converts(_to_date_time)),
    "convertsToTime": Function(0, 0, _converts(_to_time)),
}

# Functions that give a collection.
VALUES: Mapping[str, Function] = {
    "toString": Function(0, 0, _to_string),
    "toInteger": Function(0, 0, _to_integer),
    "toDecimal": Function(0, 0, _to_decimal),
    "toBoolean": Function(0, 0, _to_boolean),
    "toDate": Function(0, 0, _to_date),
    "toDateTime": Function(0, 0, _to_date_time),
    "toTime": Function(0, 0, _to_time),
    "abs": Function(0, 0, _abs),
    "ceiling": Function(0, 0, _of_number(lambda n: int(n.to_integral_value(ROUND_CEILING)))),
    "floor": Function(0, 0, _of_number(lambda n: int(n.to_integral_value(ROUND_FLOOR)))),
    "truncate": Function(0, 0, _of_number(int)),
    "round": Function(0, 1, _round),
}
