"""Quantities compared, added, multiplied and converted, exactly.

Belongs here: what two quantities have in common, by UCUM and by the calendar. UCUM's units are in
`units.py`; how quantities print and are read is in `functions/conversions.py`.
"""

from decimal import ROUND_HALF_UP, Context, Decimal
from fractions import Fraction
from typing import NamedTuple

from hc_assets.fhir.fhirpath.errors import EvaluationError, UndecidableError
from hc_assets.fhir.fhirpath.units import Unit, unit
from hc_assets.fhir.fhirpath.values import CALENDAR_UNITS, Quantity

# Digits of a number that a conversion gives, where it has no end.
_DIGITS = Context(prec=28)
_LARGEST_EXPONENT = 100
_ONE = "1"
# Calendar durations in UCUM, where they are as long. A month and a year of the calendar are not.
_UCUM_OF_CALENDAR = {
    "week": "wk",
    "day": "d",
    "hour": "h",
    "minute": "min",
    "second": "s",
    "millisecond": "ms",
}
# FHIRPath reckons with 30 days a month and 365 a year where it must have days.
_DAY = Fraction(86_400)
_CALENDAR_SECONDS = {"year": 365 * _DAY, "month": 30 * _DAY}
_MONTHS = {"year": 12, "month": 1}
_DEFINITE = {"year": "a", "month": "mo"}
_SECOND = frozenset({("s", 1)})


class _Measure(NamedTuple):
    """A quantity in base units.

    Attributes:
        amount: how much.
        step: what one of its last digit is.
        kind: what it can be compared with: a dimension, or `calendar`.
    """

    amount: Fraction
    step: Fraction
    kind: object


def _unit(quantity: Quantity) -> Unit | None:
    """The unit in UCUM, a calendar's where it is as long; None where there is none."""
    if quantity.is_ucum:
        return unit(quantity.unit)
    code = _UCUM_OF_CALENDAR.get(quantity.unit)
    return None if code is None else unit(code)


def _exact(value: Decimal) -> Fraction:
    if (
        abs(value.adjusted()) > _LARGEST_EXPONENT
        or len(value.as_tuple().digits) > _LARGEST_EXPONENT
    ):
        raise EvaluationError("a number too large to convert")
    return Fraction(value)


def _step(value: Decimal) -> Fraction:
    exponent = min(int(value.as_tuple().exponent), 0)
    return Fraction(1, 10**-exponent)


def _measures(left: Quantity, right: Quantity) -> tuple[_Measure, _Measure] | None:
    """Both in the same terms; None where one has a unit that isn't known.

    Raises:
        UndecidableError: one is of the calendar and the other is not.
    """
    if left.unit == right.unit and left.is_ucum == right.is_ucum:
        return _by(left, Fraction(1), left.unit), _by(right, Fraction(1), left.unit)
    calendar = [each.unit for each in (left, right) if is_calendar(each) and each.unit in _MONTHS]
    if calendar:
        if left.is_ucum or right.is_ucum:
            raise UndecidableError("a calendar's months or years beside units of UCUM")
        if len(calendar) == 2:
            return _by(left, Fraction(_MONTHS[left.unit]), "month"), _by(
                right, Fraction(_MONTHS[right.unit]), "month"
            )
        first, second = (_seconds(each) for each in (left, right))
        return None if first is None or second is None else (first, second)
    one, other = _unit(left), _unit(right)
    if one is None or other is None:
        return None
    return _in_base(left, one), _in_base(right, other)


def _seconds(quantity: Quantity) -> _Measure | None:
    found = _CALENDAR_SECONDS.get(quantity.unit)
    if found is None:
        base = _unit(quantity)
        found = None if base is None else base.factor
    return None if found is None else _by(quantity, found, _SECOND)


def _by(quantity: Quantity, factor: Fraction, kind: object) -> _Measure:
    return _Measure(_exact(quantity.value) * factor, _step(quantity.value) * factor, kind)


def _in_base(quantity: Quantity, base: Unit) -> _Measure:
    amount = (_exact(quantity.value) + base.shift) * base.factor
    return _Measure(amount, _step(quantity.value) * base.factor, base.dimension)


def is_calendar(quantity: Quantity) -> bool:
    """Whether it is a duration of the calendar such as `3 months`."""
    return not quantity.is_ucum and quantity.unit in CALENDAR_UNITS


def equal_quantities(left: Quantity, right: Quantity) -> bool | None:
    """Whether two quantities are the same: `1 'g'` and `1000 'mg'`.

    Returns:
        False where they are of different dimensions; None where a unit isn't known, or a month or
        year of the calendar stands beside a definite duration.
    """
    try:
        measures = _measures(left, right)
    except UndecidableError:
        return None
    if measures is None:
        return None
    one, other = measures
    return one.kind == other.kind and one.amount == other.amount


def equivalent_quantities(left: Quantity, right: Quantity) -> bool:
    """Whether two quantities are the same to the precision of the less precise one.

    A month or year of the calendar is as long as UCUM's here.
    """
    if left.is_ucum != right.is_ucum:
        left, right = _definite(left), _definite(right)
    measures = _measures(left, right)
    if measures is None:
        return False
    one, other = measures
    if one.kind != other.kind:
        return False
    step = max(one.step, other.step)
    return _rounded(one.amount / step) == _rounded(other.amount / step)


def _rounded(number: Fraction) -> int:
    """To a whole number, halves away from zero."""
    whole = (2 * abs(number.numerator) + number.denominator) // (2 * number.denominator)
    return whole if number >= 0 else -whole


def _definite(quantity: Quantity) -> Quantity:
    code = None if quantity.is_ucum else _DEFINITE.get(quantity.unit)
    return quantity if code is None else Quantity(quantity.value, code, is_ucum=True)


def compare_quantities(left: Quantity, right: Quantity) -> int:
    """Order two quantities: -1, 0 or 1.

    Raises:
        UndecidableError: there is no order between them: their dimensions differ, a unit isn't
            known, or a month or year of the calendar stands beside a definite duration.
    """
    measures = _measures(left, right)
    if measures is None or measures[0].kind != measures[1].kind:
        raise UndecidableError("quantities of different units")
    one, other = measures
    return (one.amount > other.amount) - (one.amount < other.amount)


def canonical(quantity: Quantity) -> tuple[Fraction, object] | None:
    """A quantity in base units, with its dimension; None where its unit isn't known.

    Months and years of the calendar are in months.
    """
    if is_calendar(quantity) and quantity.unit in _MONTHS:
        return _exact(quantity.value) * _MONTHS[quantity.unit], "month"
    base = _unit(quantity)
    if base is None:
        return None
    return _in_base(quantity, base).amount, base.dimension


def comparable(left: Quantity, right: Quantity) -> bool:
    """Whether two quantities have an order."""
    try:
        compare_quantities(left, right)
    except UndecidableError:
        return False
    return True


def number_from(amount: Fraction) -> Decimal:
    """A fraction as a decimal: exact where it ends, else to 28 digits."""
    denominator = amount.denominator
    twos = fives = 0
    while denominator % 2 == 0:
        denominator, twos = denominator // 2, twos + 1
    while denominator % 5 == 0:
        denominator, fives = denominator // 5, fives + 1
    if denominator != 1:
        return _DIGITS.divide(Decimal(amount.numerator), Decimal(amount.denominator))
    places = max(twos, fives)
    digits = amount.numerator * 10**places // amount.denominator
    return Decimal((int(digits < 0), tuple(map(int, str(abs(digits)))), -places))


def converted(quantity: Quantity, code: str, is_ucum: bool) -> Quantity | None:
    """A quantity in another unit.

    Args:
        quantity: the quantity.
        code: of UCUM, or a word of the calendar.
        is_ucum: which of the two.

    Returns:
        None where it can't be converted.
    """
    target = Quantity(Decimal(1), code, is_ucum)
    if (quantity.unit, quantity.is_ucum) == (code, is_ucum):
        return quantity
    base = _unit(target)
    if base is not None and (own := _unit(quantity)) is not None:
        if own.dimension != base.dimension:
            return None
        amount = (_exact(quantity.value) + own.shift) * own.factor / base.factor - base.shift
        return Quantity(number_from(amount), code, is_ucum)
    try:
        measures = _measures(quantity, target)
    except UndecidableError:
        return None
    if measures is None or measures[0].kind != measures[1].kind:
        return None
    return Quantity(number_from(measures[0].amount / measures[1].amount), code, is_ucum)


def added_quantities(left: Quantity, right: Quantity, sign: int) -> Quantity | None:
    """The sum, or with a sign of -1 the difference, in the smaller of the two units.

    Returns:
        None where one doesn't become the other.
    """
    if (left.unit, left.is_ucum) != (right.unit, right.is_ucum):
        in_right = converted(left, right.unit, right.is_ucum)
        if in_right is None:
            return None
        if abs(in_right.value) >= abs(left.value):
            left = in_right
        else:
            other = converted(right, left.unit, left.is_ucum)
            if other is None:
                return None
            right = other
    total = _exact(left.value) + sign * _exact(right.value)
    return Quantity(_with_places(total, left.value, right.value), left.unit, left.is_ucum)


def _with_places(amount: Fraction, *parts: Decimal) -> Decimal:
    """A sum with as many decimal places as the most precise part of it has."""
    number = number_from(amount)
    exponent = min(*(int(part.as_tuple().exponent) for part in parts), 0)
    if int(number.as_tuple().exponent) <= exponent:
        return number
    return number.quantize(Decimal((0, (1,), exponent)), ROUND_HALF_UP, Context(prec=300))


def multiplied(left: Quantity, right: Quantity, is_division: bool) -> Quantity | None:
    """The product, or quotient, of two quantities.

    Returns:
        None by zero, or where a unit isn't UCUM's.
    """
    one, other = _code(left), _code(right)
    if one is None or other is None or (is_division and not right.value):
        return None
    if is_division:
        amount = _exact(left.value) / _exact(right.value)
    else:
        amount = _exact(left.value) * _exact(right.value)
    return Quantity(number_from(amount), _joined(one, other, is_division), is_ucum=True)


def _code(quantity: Quantity) -> str | None:
    code = quantity.unit if quantity.is_ucum else _UCUM_OF_CALENDAR.get(quantity.unit)
    found = None if code is None else unit(code)
    # Degrees of another zero can't be multiplied.
    return None if found is None or found.shift else code


def _joined(one: str, other: str, is_division: bool) -> str:
    if other == _ONE:
        return one
    if is_division:
        if one == other:
            return _ONE
        divisor = f"({other})" if "." in other or "/" in other else other
        return f"/{divisor}" if one == _ONE else f"{one}/{divisor}"
    if one == _ONE:
        return other
    if one == other and one.isalpha():
        return f"{one}2"
    return f"{one}.{f'({other})' if '/' in other else other}"
