"""FHIRPath functions that convert between types.

Belongs here: how a value prints and is read. Functions on strings belong to `functions/strings.py`,
conversions of units to `quantities.py`.
"""

import re
from collections.abc import Callable, Mapping
from decimal import Decimal

from hc_assets.fhir.fhirpath.equality import as_quantity, as_temporal, is_number, raw
from hc_assets.fhir.fhirpath.errors import EvaluationError
from hc_assets.fhir.fhirpath.model import Collection, Item, Scope
from hc_assets.fhir.fhirpath.quantities import comparable, converted
from hc_assets.fhir.fhirpath.singletons import Function, single, text_of
from hc_assets.fhir.fhirpath.values import (
    CALENDAR_WORDS,
    Quantity,
    Temporal,
    parse_temporal,
)

_INTEGER = re.compile(r"[+-]?\d{1,28}", re.ASCII)
_DECIMAL = re.compile(r"[+-]?\d{1,28}(\.\d{1,28})?", re.ASCII)
_QUANTITY = re.compile(r"([+-]?\d{1,28}(?:\.\d{1,28})?)\s*(?:'([^']+)'|([A-Za-z]+))?", re.ASCII)
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


def _to_quantity(_: Scope, items: Collection, unit: Collection | None = None) -> Collection:
    item = single(items)
    quantity = None if item is None else _quantity(item)
    if quantity is None or unit is None:
        return [] if quantity is None else [quantity]
    wanted = text_of(unit)
    if wanted is None:
        return []
    word = CALENDAR_WORDS.get(wanted)
    found = converted(quantity, word or wanted, is_ucum=word is None)
    return [] if found is None else [found]


def _quantity(item: Item) -> Quantity | None:
    value = raw(item)
    if isinstance(value, bool | int | Decimal):
        return Quantity(Decimal(value), "1", is_ucum=True)
    if not isinstance(value, str):
        return as_quantity(item)
    match = _QUANTITY.fullmatch(value)
    if match is None:
        return None
    number, code, word = match.groups()
    if word is not None:
        unit = CALENDAR_WORDS.get(word)
        return None if unit is None else Quantity(Decimal(number), unit, is_ucum=False)
    return Quantity(Decimal(number), code or "1", is_ucum=True)


def _converts_to_quantity(
    scope: Scope, items: Collection, unit: Collection | None = None
) -> bool | None:
    return bool(_to_quantity(scope, items, unit)) if items else None


def _comparable(_: Scope, items: Collection, other: Collection) -> bool | None:
    left, right = single(items), single(other)
    if left is None or right is None:
        return None
    one, two = as_quantity(left), as_quantity(right)
    return one is not None and two is not None and comparable(one, two)


def _converts(
    convert: Callable[[Scope, Collection], Collection],
) -> Callable[[Scope, Collection], bool | None]:
    def apply(scope: Scope, items: Collection) -> bool | None:
        return bool(convert(scope, items)) if items else None

    return apply


# Functions that give true, false or nothing (None).
TESTS: Mapping[str, Function] = {
    "convertsToString": Function(0, 0, _converts(_to_string)),
    "convertsToInteger": Function(0, 0, _converts(_to_integer)),
    "convertsToDecimal": Function(0, 0, _converts(_to_decimal)),
    "convertsToBoolean": Function(0, 0, _converts(_to_boolean)),
    "convertsToDate": Function(0, 0, _converts(_to_date)),
    "convertsToDateTime": Function(0, 0, _converts(_to_date_time)),
    "convertsToTime": Function(0, 0, _converts(_to_time)),
    "convertsToQuantity": Function(0, 1, _converts_to_quantity),
    "comparable": Function(1, 1, _comparable),
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
    "toQuantity": Function(0, 1, _to_quantity),
}
