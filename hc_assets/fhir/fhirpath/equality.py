"""When two items of FHIRPath are the same, and which comes first.

Belongs here: equality, equivalence, order and identity over all kinds of items, by HL7's reading of
them where the standard leaves room. What dates and quantities are belongs to `values.py`.
"""

from collections.abc import Callable, Hashable
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

from hc_assets.fhir.fhirpath.errors import EvaluationError, UndecidableError
from hc_assets.fhir.fhirpath.model import Item, Node
from hc_assets.fhir.fhirpath.quantities import (
    canonical,
    compare_quantities,
    equal_quantities,
    equivalent_quantities,
)
from hc_assets.fhir.fhirpath.values import Quantity, Temporal, compare_temporal, parse_temporal

UCUM = "http://unitsofmeasure.org"
_TEMPORAL_TYPES = frozenset({"date", "dateTime", "instant", "time"})
_QUANTITY_TYPES = frozenset(
    {"Quantity", "SimpleQuantity", "MoneyQuantity", "Age", "Count", "Distance", "Duration"}
)


def raw(item: Item) -> Any:
    """The value of an item: JSON for a node, the item itself otherwise."""
    return item.value if isinstance(item, Node) else item


def is_number(value: Any) -> bool:
    """Whether a value is a number; Python's booleans aren't."""
    return isinstance(value, int | Decimal) and not isinstance(value, bool)


def as_temporal(item: Item) -> Temporal | None:
    """The date or time that an item is; None where it is something else.

    Raises:
        EvaluationError: it should be one by its type, but isn't written as one.
    """
    if isinstance(item, Temporal):
        return item
    if isinstance(item, Node) and item.type_name in _TEMPORAL_TYPES and isinstance(item.value, str):
        return parse_temporal(item.value, item.type_name != "date")
    return None


def as_quantity(item: Item) -> Quantity | None:
    """The quantity that an item is; None where it is something else or has no value.

    Raises:
        UndecidableError: its comparator says that the value is a bound only.
    """
    if isinstance(item, Quantity):
        return item
    if not isinstance(item, Node) or item.type_name not in _QUANTITY_TYPES:
        return None
    json = item.value
    if not isinstance(json, dict) or not is_number(json.get("value")):
        return None
    if "comparator" in json:
        raise UndecidableError("a quantity with a comparator")
    system, code = json.get("system"), json.get("code")
    if system == UCUM and isinstance(code, str):
        return Quantity(Decimal(json["value"]), code, is_ucum=True)
    # Another system makes one unit with its code; without a code there is the printed unit alone.
    unit = f"{system}|{code}" if code is not None else f"|{json.get('unit')}"
    return Quantity(Decimal(json["value"]), unit, is_ucum=False)


def equal(left: Item, right: Item) -> bool | None:
    """Whether two items are equal (`=`); None where it can't be decided, as for 2014 and 2014-01.

    Elements are equal when their JSON is, whatever the order of members. A primitive without a
    value equals none that has one, as in HL7's validator.
    """
    one, other = raw(left), raw(right)
    if isinstance(one, str) and isinstance(other, str):
        if one == other:
            return True
        if not (_is_temporal_node(left) and _is_temporal_node(right)):
            return False
    first = as_temporal(left)
    second = as_temporal(right) if first is not None else None
    if first is not None and second is not None:
        if first.is_time != second.is_time:
            return False
        order = compare_temporal(first, second)
        return None if order is None else order == 0
    if isinstance(left, Quantity) or isinstance(right, Quantity):
        return _equal_quantities(left, right)
    if is_number(one) and is_number(other):
        return bool(one == other)
    return _frozen(one, left) == _frozen(other, right)


def _is_temporal_node(item: Item) -> bool:
    return isinstance(item, Node) and item.type_name in _TEMPORAL_TYPES


def _equal_quantities(left: Item, right: Item) -> bool | None:
    one, other = as_quantity(left), as_quantity(right)
    if one is None or other is None:
        return False
    return equal_quantities(one, other)


def compare(left: Item, right: Item) -> int | None:
    """Order two items: -1, 0 or 1; None where it can't be decided or one has no value.

    Raises:
        EvaluationError: they are of kinds that have no common order.
        UndecidableError: quantities of different units.
    """
    one, other = raw(left), raw(right)
    if one is None or other is None:
        return None
    if is_number(one) and is_number(other):
        return int(one > other) - int(one < other)
    first, second = as_temporal(left), as_temporal(right)
    if first is not None and second is not None:
        return compare_temporal(first, second)
    if first is None and second is None and isinstance(one, str) and isinstance(other, str):
        return (one > other) - (one < other)
    if _may_be_quantity(left) and _may_be_quantity(right):
        amount, limit = as_quantity(left), as_quantity(right)
        return None if amount is None or limit is None else compare_quantities(amount, limit)
    raise EvaluationError("a comparison of values that have no common order")


def _may_be_quantity(item: Item) -> bool:
    return isinstance(item, Quantity) or (
        isinstance(item, Node) and item.type_name in _QUANTITY_TYPES
    )


def equivalent(left: Item, right: Item) -> bool:
    """Whether two items are equivalent (`~`).

    Strings without regard to case and width of spaces, numbers to the precision of the less precise
    one, dates of different precision never, elements member by member in any order.
    """
    one, other = raw(left), raw(right)
    if is_number(one) and is_number(other):
        return _equivalent_numbers(Decimal(one), Decimal(other))
    if isinstance(one, str) and isinstance(other, str) and not _is_temporal_node(left):
        return _normal(one) == _normal(other)
    if _may_be_quantity(left) and _may_be_quantity(right):
        amount, limit = as_quantity(left), as_quantity(right)
        if amount is not None and limit is not None:
            return equivalent_quantities(amount, limit)
    if isinstance(one, dict) and isinstance(other, dict):
        return _equivalent_json(one, other)
    return equal(left, right) is True


def _normal(text: str) -> str:
    return " ".join(text.casefold().split())


def _equivalent_numbers(one: Decimal, other: Decimal) -> bool:
    exponents = [int(number.as_tuple().exponent) for number in (one, other)]
    unit = Decimal(1).scaleb(min(max(exponents), 0))
    return one.quantize(unit, ROUND_HALF_UP) == other.quantize(unit, ROUND_HALF_UP)


_MOST_MATCHED = 100


def match_in_any_order(left: list[Any], right: list[Any], fit: Callable[[Any, Any], bool]) -> bool:
    """Whether each item of a list has one of its own that fits it in the other.

    Raises:
        UndecidableError: so many are neither in one place nor few, that trying takes too long.
    """
    if len(left) != len(right):
        return False
    # What stands side by side needs no search.
    apart = [(one, other) for one, other in zip(left, right, strict=True) if not fit(one, other)]
    if len(apart) > _MOST_MATCHED:
        raise UndecidableError("the equivalence of long lists in different order")
    rest = [other for _, other in apart]
    for one, _ in apart:
        match = next((i for i, other in enumerate(rest) if fit(one, other)), None)
        if match is None:
            return False
        del rest[match]
    return True


def _equivalent_json(one: Any, other: Any) -> bool:
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(
            _equivalent_json(value, other[name]) for name, value in one.items()
        )
    if isinstance(one, list) and isinstance(other, list):
        return match_in_any_order(one, other, _equivalent_json)
    if isinstance(one, str | int | Decimal) and isinstance(other, str | int | Decimal):
        return equivalent(one, other)
    return one is other


def identity(item: Item) -> Hashable:
    """A key that two items share exactly when they are equal, for `distinct` and its kin.

    Dates that can't be distinguished for lack of precision count as different.
    """
    try:
        moment = as_temporal(item)
    except EvaluationError:
        moment = None  # not written as a date: it is compared as text, its form is another rule's
    if moment is not None:
        return ("temporal", moment)
    if isinstance(item, Quantity):
        return ("quantity", canonical(item) or item)
    return _frozen(raw(item), item)


def _frozen(value: Any, item: Item) -> Hashable:
    if value is None and isinstance(item, Node):
        return ("no value", _frozen_json(item.extra))
    return _frozen_json(value)


def _frozen_json(value: Any) -> Hashable:
    if isinstance(value, bool):
        return ("boolean", value)
    if isinstance(value, dict):
        return frozenset((name, _frozen_json(part)) for name, part in value.items())
    if isinstance(value, list):
        return tuple(map(_frozen_json, value))
    frozen: Hashable = value
    return frozen
