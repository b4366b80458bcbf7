"""FHIRPath's infix operators: logic with three values, equality, order, membership, union.

Belongs here: for each operator a function that builds its closure from its operands' closures.
Arithmetic is in `arithmetic.py`; how a tree is walked belongs to `compiler.py`.
"""

from collections.abc import Callable, Sequence

from hc_assets.fhir.fhirpath import kept
from hc_assets.fhir.fhirpath.equality import (
    compare,
    equal,
    equivalent,
    match_in_any_order,
    raw,
)
from hc_assets.fhir.fhirpath.errors import UndecidableError
from hc_assets.fhir.fhirpath.model import Collection, Scope
from hc_assets.fhir.fhirpath.singletons import check_length, single, text_of

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
        lefts, rights = left(items, scope), right(items, scope)
        if not lefts or not rights:
            return None  # whatever the other side is
        one, other = single(lefts), single(rights)
        if one is None or other is None:
            return None
        try:
            order = compare(one, other)
        except UndecidableError:
            if not scope.environment.is_lenient:
                raise
            return None
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
        texts = [text_of(operand(items, scope)) or "" for operand in operands]
        check_length(sum(map(len, texts)))
        return ["".join(texts)]

    return run
