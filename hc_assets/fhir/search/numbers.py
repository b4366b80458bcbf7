"""Numbers and quantities as intervals: all that round to what is written.

Belongs here: implicit precision, comparators, ranges, units of UCUM in base units, outward to the
last of 28 digits where they have no end. UCUM's table is in `fhir/fhirpath/units.py`.
"""

from collections.abc import Iterator
from decimal import ROUND_CEILING, ROUND_FLOOR, Context, Decimal
from fractions import Fraction
from functools import lru_cache
from typing import Any, NamedTuple

from hc_assets.fhir.fhirpath.equality import UCUM
from hc_assets.fhir.fhirpath.units import unit
from hc_assets.fhir.search.values import Amount, Number

CURRENCIES = "urn:iso:std:iso:4217"
_EXACT = Context(prec=11_000)
_DOWN, _UP = Context(prec=28, rounding=ROUND_FLOOR), Context(prec=28, rounding=ROUND_CEILING)
# What the validator lets through: IEEE 754's decimal128 has an exponent of 6144.
_LARGEST_EXPONENT = 6_200
_CACHED = 4_096


class _Base(NamedTuple):
    """A unit in base units: `(value + shift) * over / under`."""

    over: Decimal
    under: Decimal
    shift: Fraction
    name: str


def bounds(value: int | Decimal) -> tuple[Decimal, Decimal]:
    """The numbers that round to a number as it is written: `1.0` from 0.95 to below 1.05.

    Raises:
        ValueError: it has more than 6,200 digits before or after the point.
    """
    number = Decimal(value)
    exponent = int(number.as_tuple().exponent)
    if abs(number.adjusted()) > _LARGEST_EXPONENT or abs(exponent) > _LARGEST_EXPONENT:
        raise ValueError("a number of more digits than an index keeps")
    half = Decimal((0, (5,), exponent - 1))
    return _EXACT.subtract(number, half), _EXACT.add(number, half)


def is_number(value: Any) -> bool:
    """Whether JSON is a number; Python's booleans aren't."""
    return isinstance(value, int | Decimal) and not isinstance(value, bool)


def of_number(value: Any) -> Iterator[Number]:
    """A decimal or integer."""
    if is_number(value):
        yield Number(*bounds(value), Decimal(value))


def of_number_range(value: Any) -> Iterator[Number]:
    """A Range of numbers."""
    for each in of_range(value):
        yield Number(each.low, each.high)


@lru_cache(maxsize=_CACHED)
def _base(code: str) -> _Base | None:
    found = unit(code)
    if found is None:
        return None
    name = ".".join(
        base if power == 1 else f"{base}{power}" for base, power in sorted(found.dimension)
    )
    over, under = Decimal(found.factor.numerator), Decimal(found.factor.denominator)
    return _Base(over, under, found.shift, name or "1")


def _in_base(value: Decimal | None, base: _Base, context: Context) -> Decimal | None:
    if value is None:
        return None
    if base.shift:
        moved = Fraction(value) + base.shift
        over = _EXACT.multiply(Decimal(moved.numerator), base.over)
        return context.divide(over, _EXACT.multiply(Decimal(moved.denominator), base.under))
    return context.divide(_EXACT.multiply(value, base.over), base.under)


def amount(
    low: Decimal | None,
    high: Decimal | None,
    system: Any,
    code: Any,
    printed: Any,
    *,
    value: Decimal | None = None,
) -> Amount:
    """A quantity from its bounds, its unit, and where it is no range its number."""
    base = _base(code) if system == UCUM and isinstance(code, str) else None
    if base is None:
        return Amount(low, high, system, code, printed, value=value)
    base_low, base_high = _in_base(low, base, _DOWN), _in_base(high, base, _UP)
    itself = _in_base(value, base, _DOWN)
    return Amount(low, high, system, code, printed, base_low, base_high, base.name, value, itself)


def of_quantity(value: Any) -> Iterator[Amount]:
    """A Quantity and what specialises it; a comparator opens its interval."""
    number = value.get("value")
    if not is_number(number):
        return
    low: Decimal | None
    high: Decimal | None
    low, high = bounds(number)
    comparator = value.get("comparator")
    if comparator in ("<", "<="):
        low = None
        high = Decimal(number) if comparator == "<" else high
    elif comparator in (">", ">="):
        high = None
        low = Decimal(number) if comparator == ">" else low
    exact = None if comparator in ("<", "<=", ">", ">=") else Decimal(number)
    yield amount(low, high, value.get("system"), value.get("code"), value.get("unit"), value=exact)


def of_range(value: Any) -> Iterator[Amount]:
    """A Range; its ends are as exact as they are written, its unit is that of either end."""
    ends = value.get("low") or {}, value.get("high") or {}
    numbers = [end.get("value") if is_number(end.get("value")) else None for end in ends]
    if numbers == [None, None]:
        return
    unit_of = ends[0] if numbers[0] is not None else ends[1]
    low = None if numbers[0] is None else bounds(numbers[0])[0]
    high = None if numbers[1] is None else bounds(numbers[1])[1]
    yield amount(low, high, unit_of.get("system"), unit_of.get("code"), unit_of.get("unit"))


def of_money(value: Any) -> Iterator[Amount]:
    """Money: its currency is its unit."""
    if is_number(value.get("value")):
        low, high = bounds(value["value"])
        currency = value.get("currency")
        yield Amount(low, high, CURRENCIES, currency, currency, value=Decimal(value["value"]))
