"""FHIRPath's arithmetic: numbers exactly, texts, quantities by their units, dates and durations.

Belongs here: `+`, `-`, `*`, `/`, `div`, `mod` and signs. Conversions of units are in
`quantities.py`, the calendar in `dates.py`, functions on numbers in `functions/numbers.py`.
"""

from collections.abc import Callable, Sequence
from decimal import Context, Decimal

from hc_assets.fhir.fhirpath.dates import moved
from hc_assets.fhir.fhirpath.equality import as_quantity, as_temporal, is_number, raw
from hc_assets.fhir.fhirpath.errors import EvaluationError
from hc_assets.fhir.fhirpath.model import Collection, Item, Scope
from hc_assets.fhir.fhirpath.operators import Collect
from hc_assets.fhir.fhirpath.quantities import added_quantities, is_calendar, multiplied
from hc_assets.fhir.fhirpath.singletons import check_length, number_of, single
from hc_assets.fhir.fhirpath.values import Quantity

Number = int | Decimal

_LARGEST_EXPONENT = 100
_MOST_DIGITS = 200
# Sums and products of numbers within these limits are exact.
EXACT = Context(prec=1_000)
_DIVISION = Context(prec=28)


def decimal_of(number: Number) -> Decimal:
    """A number as a decimal that can be calculated with.

    Raises:
        EvaluationError: it has more than 200 digits, or an exponent beyond 100.
    """
    value = Decimal(number)
    if abs(value.adjusted()) > _LARGEST_EXPONENT or len(value.as_tuple().digits) > _MOST_DIGITS:
        raise EvaluationError("a number too large to calculate with")
    return value


def negative(number: Number) -> Number:
    """A number with the other sign and all its digits."""
    return number.copy_negate() if isinstance(number, Decimal) else -number


def added(operands: Sequence[Collect]) -> Collect:
    """`a + b + …`: numbers or quantities added, strings joined, a date moved; empty if one is."""

    def run(items: Collection, scope: Scope) -> Collection:
        total: Item | None = None
        parts = [operand(items, scope) for operand in operands]
        if not all(parts):
            return []
        for part in parts:
            item = single(part)
            if item is None or raw(item) is None:
                return []
            total = item if total is None else _sum(total, item, 1)
            if total is None:
                return []
        return [] if total is None else [total]

    return run


def _sum(left: Item, right: Item, sign: int) -> Item | None:
    """The sum, or with a sign of -1 the difference."""
    one, other = raw(left), raw(right)
    if is_number(one) and is_number(other):
        return _sum_of_numbers(one, other, sign)
    amount = as_quantity(right)
    if amount is not None:
        moment = as_temporal(left)
        if moment is not None:
            return moved(moment, amount, sign)
        base = as_quantity(left)
        if base is not None:
            return added_quantities(base, amount, sign)
    if isinstance(one, str) and isinstance(other, str) and sign > 0:
        check_length(len(one) + len(other))
        return one + other
    raise EvaluationError("a sum of values that can't be added")


def _sum_of_numbers(one: Number, other: Number, sign: int) -> Number:
    if isinstance(one, int) and isinstance(other, int):
        return one + sign * other
    first, second = decimal_of(one), decimal_of(other)
    return EXACT.add(first, second) if sign > 0 else EXACT.subtract(first, second)


def _product(one: Number, other: Number) -> Number:
    if isinstance(one, int) and isinstance(other, int):
        if max(one.bit_length(), other.bit_length()) > 10 * _MOST_DIGITS:
            raise EvaluationError("a number too large to calculate with")
        return one * other
    return EXACT.multiply(decimal_of(one), decimal_of(other))


def _divided(one: Number, other: Number) -> Number | None:
    return None if other == 0 else _DIVISION.divide(decimal_of(one), decimal_of(other))


def _whole(one: Number, other: Number) -> Number | None:
    return None if other == 0 else int(EXACT.divide_int(decimal_of(one), decimal_of(other)))


def _rest(one: Number, other: Number) -> Number | None:
    if other == 0:
        return None
    rest = EXACT.remainder(decimal_of(one), decimal_of(other))
    return int(rest) if isinstance(one, int) and isinstance(other, int) else rest


_NUMBERS: dict[str, Callable[[Number, Number], Number | None]] = {
    "*": _product,
    "/": _divided,
    "div": _whole,
    "mod": _rest,
}


def calculated(operator: str, left: Collect, right: Collect) -> Collect:
    """`a - b`, `a * b`, `a / b`, `a div b`, `a mod b`; empty if one is, or by zero."""

    def run(items: Collection, scope: Scope) -> Collection:
        lefts, rights = left(items, scope), right(items, scope)
        if not lefts or not rights:
            return []  # whatever the other side is
        one, other = single(lefts), single(rights)
        if one is None or other is None:
            return []
        first, second = raw(one), raw(other)
        if first is None or second is None:
            return []
        result: Item | None
        if operator == "-":
            result = _sum(one, other, -1)
        elif is_number(first) and is_number(second):
            result = _NUMBERS[operator](first, second)
        else:
            result = _of_quantities(operator, one, other)
        return [] if result is None else [result]

    return run


def _of_quantities(operator: str, left: Item, right: Item) -> Quantity | None:
    one, other = _amount(left), _amount(right)
    if one is None or other is None or operator not in "*/":
        raise EvaluationError("a value that is no number where a number is expected")
    is_division = operator == "/"
    for duration, factor in ((one, raw(right)), (other, raw(left))):
        # A number of times a duration of the calendar is still one.
        if is_calendar(duration) and is_number(factor) and (duration is one or not is_division):
            value = _NUMBERS[operator](duration.value, factor)
            return None if value is None else Quantity(decimal_of(value), duration.unit, False)
    return multiplied(one, other, is_division)


def _amount(item: Item) -> Quantity | None:
    value = raw(item)
    return Quantity(Decimal(value), "1", is_ucum=True) if is_number(value) else as_quantity(item)


def signed(operator: str, operand: Collect) -> Collect:
    """`-a` and `+a` on a number or a quantity."""

    def run(items: Collection, scope: Scope) -> Collection:
        found = operand(items, scope)
        if len(found) == 1 and (amount := as_quantity(found[0])) is not None:
            value = negative(amount.value) if operator == "-" else amount.value
            return [Quantity(Decimal(value), amount.unit, amount.is_ucum)]
        number = number_of(found)
        if number is None:
            return []
        return [negative(number) if operator == "-" else number]

    return run
