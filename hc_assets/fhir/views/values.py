"""What becomes of a value of FHIRPath in a column.

Belongs here: one value at a time, exact to the digit. A decimal is kept as the text of its number,
for neither a binary float nor a decimal of fixed scale has the digits that were written; dates and
times are kept as written, since they may be partial.
"""

from collections.abc import Callable, Mapping
from decimal import Decimal

from hc_assets.fhir.fhirpath import Item
from hc_assets.fhir.fhirpath.equality import raw
from hc_assets.fhir.fhirpath.functions.conversions import printed
from hc_assets.fhir.views.definition import Family

Kept = str | bool | int
_LARGEST, _SMALLEST = 2**63 - 1, -(2**63)


class NotKeptError(Exception):
    """A value that a column of its kind can't hold; says why without quoting it."""


def decimal_text(number: int | Decimal) -> str:
    """Text of a number with all its digits, as JSON would have it.

    >>> decimal_text(Decimal("1.00")), decimal_text(Decimal("1E+2")), decimal_text(7)
    ('1.00', '1E+2', '7')
    """
    if isinstance(number, int):
        return str(number)
    exponent = number.as_tuple().exponent
    return format(number, "f") if isinstance(exponent, int) and exponent <= 0 else str(number)


def _text(item: Item) -> str | None:
    value = raw(item)
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | Decimal):
        return decimal_text(value)
    text = None if isinstance(value, dict) else printed(item)
    if text is None:
        raise NotKeptError("a value that is no primitive")
    return text


def _boolean(item: Item) -> bool | None:
    value = raw(item)
    if value is None or isinstance(value, bool):
        return value
    raise NotKeptError("a value that is no boolean")


def _integer(item: Item) -> int | None:
    value = raw(item)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int):
        raise NotKeptError("a value that is no whole number")
    if not _SMALLEST <= value <= _LARGEST:
        raise NotKeptError("a whole number beyond 64 bits")
    return value


def _decimal(item: Item) -> str | None:
    value = raw(item)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | Decimal):
        raise NotKeptError("a value that is no number")
    return decimal_text(value)


KEEPERS: Mapping[Family, Callable[[Item], Kept | None]] = {
    "text": _text,
    "boolean": _boolean,
    "integer": _integer,
    "decimal": _decimal,
}
