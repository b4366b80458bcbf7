"""FHIRPath's infix operators: logic with three values, equality, order, membership, arithmetic.

Belongs here: for each operator a function that builds its closure from its operands' closures. How
a tree is walked belongs to `compiler.py`.
"""

from collections.abc import Callable, Sequence
from decimal import Decimal

from hc_assets.fhir.fhirpath import kept
from hc_assets.fhir.fhirpath.equality import (
    compare,
    equal,
    equivalent,
    is_number,
    match_in_any_order,
    raw,
)
from hc_assets.fhir.fhirpath.errors import EvaluationError
from hc_assets.fhir.fhirpath.model import Collection, Item, Scope
from hc_assets.fhir.fhirpath.singletons import number_of, single, text_of

# What a compiled expression is: given the items that it looks at, it gives a collection, or, where
# only the truth matters, a truth value (None for unknown).
Collect = Callable[[Collection, Scope], Collection]
Truth = Callable[[Collection, Scope], bool | None]


def either(operands: Sequence[Truth]) -> Truth:
    """`a or b or …`: true as soon as one is; unknown if none is but one is unknown."""

    def of_two(items: Collection, scope: Scope) -> bool | None:
        left = first(items, scope)
        if left is True:
            return True
        right = second(items, scope)
        if right is True:
            return True
        return None if left is None or right is None else False

    def of_many(items: Collection, scope: Scope) -> bool | None:
        answer: bool | None = False
        for operand in operands:
            value = operand(items, scope)
            if value is True:
                return True
            if value is None:
                answer = None
        return answer

    if len(operands) > 2:
        return of_many
    first, second = operands
    return of_two


def both(operands: Sequence[Truth]) -> Truth:
    """`a and b and …`: false as soon as one is; unknown if none is but one is unknown."""

    def run(items: Collection, scope: Scope) -> bool | None:
        answer: bool | None = True
        for operand in operands:
            value = operand(items, scope)
            if value is False:
                return False
            if value is None:
                answer = None
        return answer

    return run


def exclusive(operands: Sequence[Truth]) -> Truth:
    """`a xor b`: unknown if one is."""
    left, right = operands

    def run(items: Collection, scope: Scope) -> bool | None:
        one, other = left(items, scope), right(items, scope)
        return None if one is None or other is None else one != other

    return run


def implies(operands: Sequence[Truth]) -> Truth:
    """`a implies b`: true if a is false or b is true, else false or unknown as a and b are."""
    left, right = operands

    def run(items: Collection, scope: Scope) -> bool | None:
        condition = left(items, scope)
        if condition is False:
            return True
        conclusion = right(items, scope)
        return None if condition is None and conclusion is False else conclusion

    return run


def negated(operand: Truth) -> Truth:
    """`not`: unknown stays unknown."""

    def run(items: Collection, scope: Scope) -> bool | None:
        value = operand(items, scope)
        return None if value is None else not value

    return run


def equals(left: Collect, right: Collect) -> Truth:
    """`a = b`: both of one length and equal item by item; unknown if either is empty."""

    def run(items: Collection, scope: Scope) -> bool | None:
        one, other = left(items, scope), right(items, scope)
        if not one or not other:
            return None
        if len(one) != len(other):
            return False
        answers = [equal(a, b) for a, b in zip(one, other, strict=True)]
        if False in answers:
            return False
        return None if None in answers else True

    return run


def is_equivalent(left: Collect, right: Collect) -> Truth:
    """`a ~ b`: both of one length and equivalent in some order; two empty ones are."""

    def run(items: Collection, scope: Scope) -> bool | None:
        return match_in_any_order(left(items, scope), right(items, scope), equivalent)

    return run


_ORDERS: dict[str, Callable[[int], bool]] = {
    "<": lambda order: order < 0,
    "<=": lambda order: order <= 0,
    ">": lambda order: order > 0,
    ">=": lambda order: order >= 0,
}
ORDER_OPERATORS = frozenset(_ORDERS)


def ordered(operator: str, left: Collect, right: Collect) -> Truth:
    """`a < b` and its kin: unknown if either is empty or they can't be compared for precision."""
    fits = _ORDERS[operator]

    def run(items: Collection, scope: Scope) -> bool | None:
        one, other = single(left(items, scope)), single(right(items, scope))
        if one is None or other is None:
            return None
        order = compare(one, other)
        return None if order is None else fits(order)

    return run


def contained(item: Collect, collection: Collect) -> Truth:
    """`item in collection`: unknown for no item; of several all must be in it.

    The standard has several items end the evaluation; HL7's validator has it this way.
    """

    def run(items: Collection, scope: Scope) -> bool | None:
        wanted = item(items, scope)
        if not wanted:
            return None
        return kept.all_in(wanted, collection(items, scope))

    return run


def contained_in_constants(item: Collect, constants: frozenset[str]) -> Truth:
    """`item in ('a' | 'b')`, where the collection is a list of strings."""

    def run(items: Collection, scope: Scope) -> bool | None:
        wanted = item(items, scope)
        if not wanted:
            return None
        values = [raw(one) for one in wanted]
        return all(isinstance(value, str) and value in constants for value in values)

    return run


def united(operands: Sequence[Collect]) -> Collect:
    """`a | b | …`: all items of all, without repetitions."""
    first, *others = operands

    def run(items: Collection, scope: Scope) -> Collection:
        found = first(items, scope)
        for operand in others:
            found = kept.united(found, operand(items, scope))
        return found

    return run


def concatenated(operands: Sequence[Collect]) -> Collect:
    """`a & b & …`: strings joined; an empty operand counts as the empty string."""

    def run(items: Collection, scope: Scope) -> Collection:
        return ["".join(text_of(operand(items, scope)) or "" for operand in operands)]

    return run


def added(operands: Sequence[Collect]) -> Collect:
    """`a + b + …`: numbers added or strings joined; empty if one is."""

    def run(items: Collection, scope: Scope) -> Collection:
        values = []
        for operand in operands:
            item = single(operand(items, scope))
            value = None if item is None else raw(item)
            if value is None:
                return []
            values.append(value)
        if all(isinstance(value, str) for value in values):
            return ["".join(values)]
        if all(map(is_number, values)):
            total: Item = sum(values)
            return [total]
        raise EvaluationError("a sum of values that can't be added")

    return run


def _divided(one: int | Decimal, other: int | Decimal) -> int | Decimal | None:
    return None if other == 0 else Decimal(one) / Decimal(other)


def _whole(one: int | Decimal, other: int | Decimal) -> int | Decimal | None:
    return None if other == 0 else int(Decimal(one) // Decimal(other))


def _rest(one: int | Decimal, other: int | Decimal) -> int | Decimal | None:
    if other == 0:
        return None
    rest = Decimal(one) % Decimal(other)
    return int(rest) if isinstance(one, int) and isinstance(other, int) else rest


_ARITHMETIC: dict[str, Callable[[int | Decimal, int | Decimal], int | Decimal | None]] = {
    "-": lambda one, other: one - other,
    "*": lambda one, other: one * other,
    "/": _divided,
    "div": _whole,
    "mod": _rest,
}


def calculated(operator: str, left: Collect, right: Collect) -> Collect:
    """`a - b`, `a * b`, `a / b`, `a div b`, `a mod b` on numbers; empty if one is, or by zero."""
    calculate = _ARITHMETIC[operator]

    def run(items: Collection, scope: Scope) -> Collection:
        one, other = number_of(left(items, scope)), number_of(right(items, scope))
        if one is None or other is None:
            return []
        result = calculate(one, other)
        return [] if result is None else [result]

    return run


def signed(operator: str, operand: Collect) -> Collect:
    """`-a` and `+a` on a number."""

    def run(items: Collection, scope: Scope) -> Collection:
        number = number_of(operand(items, scope))
        if number is None:
            return []
        return [-number if operator == "-" else number]

    return run
