"""FHIRPath functions on single numbers: rounding, roots, powers, logarithms.

Belongs here: what each function gives, to 28 digits where a result has no end. Infix arithmetic
belongs to `arithmetic.py`.
"""

from collections.abc import Callable, Mapping
from decimal import ROUND_CEILING, ROUND_FLOOR, ROUND_HALF_UP, Context, Decimal

from hc_assets.fhir.fhirpath.arithmetic import EXACT, decimal_of, negative
from hc_assets.fhir.fhirpath.equality import as_quantity
from hc_assets.fhir.fhirpath.errors import EvaluationError
from hc_assets.fhir.fhirpath.model import Collection, Scope
from hc_assets.fhir.fhirpath.singletons import Function, integer_of, number_of
from hc_assets.fhir.fhirpath.values import Quantity

_RESULT = Context(prec=28)
# Results are worked out with some digits more, so that whole ones come out whole.
_WORKING = Context(prec=40)
_MOST_PLACES = 100
_LARGEST_POWER = 1_000


def _of_number(
    change: Callable[[Decimal], int],
) -> Callable[[Scope, Collection], Collection]:
    def apply(_: Scope, items: Collection) -> Collection:
        number = number_of(items)
        return [] if number is None else [change(decimal_of(number))]

    return apply


def _round(_: Scope, items: Collection, digits: Collection | None = None) -> Collection:
    number = number_of(items)
    places = 0 if digits is None else integer_of(digits)
    if number is None or places is None:
        return []
    if not 0 <= places <= _MOST_PLACES:
        raise EvaluationError("a number rounded to other than 0 to 100 places")
    return [decimal_of(number).quantize(Decimal((0, (1,), -places)), ROUND_HALF_UP, EXACT)]


def _abs(_: Scope, items: Collection) -> Collection:
    if len(items) == 1 and (amount := as_quantity(items[0])) is not None:
        return [Quantity(amount.value.copy_abs(), amount.unit, amount.is_ucum)]
    number = number_of(items)
    if number is None:
        return []
    return [negative(number) if number < 0 else number]


def _result(value: Decimal) -> Decimal:
    """Rounded to the digits of a result; a whole one without a fraction of zeros."""
    rounded = _RESULT.plus(value)
    whole = rounded.to_integral_value()
    return whole if whole == rounded and abs(rounded.adjusted()) < _RESULT.prec else rounded


def _calculated(
    calculate: Callable[[Decimal], Decimal | None],
) -> Callable[[Scope, Collection], Collection]:
    def apply(_: Scope, items: Collection) -> Collection:
        number = number_of(items)
        value = None if number is None else calculate(decimal_of(number))
        return [] if value is None else [_result(value)]

    return apply


def _sqrt(number: Decimal) -> Decimal | None:
    return None if number < 0 else _WORKING.sqrt(number)


def _ln(number: Decimal) -> Decimal | None:
    return None if number <= 0 else _WORKING.ln(number)


def _exp(number: Decimal) -> Decimal:
    if abs(number) > _LARGEST_POWER:
        raise EvaluationError("a power too large to calculate")
    return _WORKING.exp(number)


def _log(_: Scope, items: Collection, base: Collection) -> Collection:
    number, of = number_of(items), number_of(base)
    if number is None or of is None or number <= 0 or of <= 0 or of == 1:
        return []
    logarithms = [_WORKING.ln(decimal_of(each)) for each in (number, of)]
    return [_result(_WORKING.divide(*logarithms))]


def _power(_: Scope, items: Collection, exponent: Collection) -> Collection:
    base, power = number_of(items), number_of(exponent)
    if base is None or power is None:
        return []
    if not -_LARGEST_POWER <= power <= _LARGEST_POWER:
        raise EvaluationError("a power too large to calculate")
    value, is_whole = decimal_of(base), power == int(power)
    if (not is_whole and value < 0) or (power < 0 and not value):
        return []
    if isinstance(base, int) and is_whole and power >= 0:
        return [base ** int(power)]
    if is_whole and power >= 0:
        exact = Decimal(1)
        for _index in range(int(power)):
            exact = decimal_of(EXACT.multiply(exact, value))
        return [exact]
    return [_result(_WORKING.power(value, decimal_of(power)))]


# Functions that give a collection.
VALUES: Mapping[str, Function] = {
    "abs": Function(0, 0, _abs),
    "ceiling": Function(0, 0, _of_number(lambda n: int(n.to_integral_value(ROUND_CEILING)))),
    "floor": Function(0, 0, _of_number(lambda n: int(n.to_integral_value(ROUND_FLOOR)))),
    "truncate": Function(0, 0, _of_number(int)),
    "round": Function(0, 1, _round),
    "sqrt": Function(0, 0, _calculated(_sqrt)),
    "ln": Function(0, 0, _calculated(_ln)),
    "exp": Function(0, 0, _calculated(_exp)),
    "log": Function(1, 1, _log),
    "power": Function(1, 1, _power),
}
