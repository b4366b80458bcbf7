"""FHIRPath functions whose argument is an expression: where, select, all, repeat, iif, sort.

Belongs here: for each such function a builder of its closure from the closures of its arguments.
How a call becomes one is in `calls.py`; functions whose arguments are values are in `functions/`.
"""

from collections.abc import Sequence
from dataclasses import replace
from functools import cmp_to_key

from hc_assets.fhir.fhirpath.constants import is_constant
from hc_assets.fhir.fhirpath.equality import compare, identity
from hc_assets.fhir.fhirpath.errors import EvaluationError
from hc_assets.fhir.fhirpath.model import Collection, Item, Scope
from hc_assets.fhir.fhirpath.operators import Collect, Truth
from hc_assets.fhir.fhirpath.singletons import MOST_ITEMS, limited, single


def where(base: Collect, criterion: Truth, uses_index: bool) -> Collect:
    """Items for which the criterion is true."""

    def plain(items: Collection, scope: Scope) -> Collection:
        return [item for item in base(items, scope) if criterion([item], scope) is True]

    def indexed(items: Collection, scope: Scope) -> Collection:
        return [
            item
            for index, item in enumerate(base(items, scope))
            if criterion([item], replace(scope, index=index)) is True
        ]

    return indexed if uses_index else plain


def exists(base: Collect, criterion: Truth, uses_index: bool) -> Truth:
    """Whether the criterion is true of any item."""
    matching = where(base, criterion, uses_index)

    def run(items: Collection, scope: Scope) -> bool:
        return bool(matching(items, scope))

    return run


def for_all(base: Collect, criterion: Truth, uses_index: bool) -> Truth:
    """Whether the criterion is true of every item; unknown counts as not."""

    def plain(items: Collection, scope: Scope) -> bool:
        return all(criterion([item], scope) is True for item in base(items, scope))

    def indexed(items: Collection, scope: Scope) -> bool:
        return all(
            criterion([item], replace(scope, index=index)) is True
            for index, item in enumerate(base(items, scope))
        )

    return indexed if uses_index else plain


def select(base: Collect, projection: Collect, uses_index: bool) -> Collect:
    """What the projection gives for each item, one after the other."""

    def plain(items: Collection, scope: Scope) -> Collection:
        return limited(
            [found for item in base(items, scope) for found in projection([item], scope)]
        )

    def indexed(items: Collection, scope: Scope) -> Collection:
        return limited(
            [
                found
                for index, item in enumerate(base(items, scope))
                for found in projection([item], replace(scope, index=index))
            ]
        )

    return indexed if uses_index else plain


def repeat(base: Collect, projection: Collect) -> Collect:
    """What the projection gives, and gives for that, and so on, each once."""

    def run(items: Collection, scope: Scope) -> Collection:
        found = {}
        pending = base(items, scope)
        while pending:
            fresh: Collection = []
            for item in pending:
                for result in projection([item], scope):
                    key = identity(result)
                    if key not in found:
                        found[key] = result
                        fresh.append(result)
            if len(found) > MOST_ITEMS:
                raise EvaluationError("a repetition that goes on and on")
            pending = fresh
        return list(found.values())

    return run


def repeat_all(base: Collect, projection: Collect) -> Collect:
    """What the projection gives, and gives for that, and so on, also where it is there already."""

    def run(items: Collection, scope: Scope) -> Collection:
        found: Collection = []
        pending = base(items, scope)
        while pending:
            pending = [result for item in pending for result in projection([item], scope)]
            found += pending
            limited(found)
        return found

    return run


def aggregate(base: Collect, step: Collect, start: Collect | None) -> Collect:
    """The last `$total` when the step is worked out for each item in turn."""

    def run(items: Collection, scope: Scope) -> Collection:
        total = [] if start is None else start(items, scope)
        for index, item in enumerate(base(items, scope)):
            total = step([item], replace(scope, index=index, total=total))
        return total

    return run


def conditional(
    base: Collect, criterion: Truth, then: Collect, otherwise: Collect | None
) -> Collect:
    """`iif`: one branch or the other, both looking at the input as a whole."""

    def run(items: Collection, scope: Scope) -> Collection:
        found = base(items, scope)
        if criterion(found, scope) is True:
            return then(found, scope)
        return [] if otherwise is None else otherwise(found, scope)

    return run


def at_most_one(base: Collect) -> Collect:
    """The same, for a function that can be applied to one item alone."""

    def run(items: Collection, scope: Scope) -> Collection:
        found = base(items, scope)
        single(found)
        return found

    return run


def sort(base: Collect, keys: Sequence[tuple[Collect, bool]]) -> Collect:
    """Items in the order of their keys, those that are equal as they stood; no key comes first.

    Args:
        base: gives the items.
        keys: for each key its expression, and whether its order is descending.
    """

    def order(left: Sequence[Item | None], right: Sequence[Item | None]) -> int:
        for one, other, (_, is_descending) in zip(left, right, keys, strict=True):
            if one is None or other is None:
                found: int | None = int(one is not None) - int(other is not None)
            else:
                found = compare(one, other)
            if found:
                return -found if is_descending else found
        return 0

    def run(items: Collection, scope: Scope) -> Collection:
        found = base(items, scope)
        values = [[single(key([item], scope)) for key, _ in keys] for item in found]

        def order_of_places(left: int, right: int) -> int:
            return order(values[left], values[right])

        places = sorted(range(len(found)), key=cmp_to_key(order_of_places))
        return [found[place] for place in places]

    return run


def coalesce(base: Collect, choices: Sequence[Collect]) -> Collect:
    """The first of some expressions that gives anything."""

    def run(items: Collection, scope: Scope) -> Collection:
        found = base(items, scope)
        for choice in choices:
            if result := choice(found, scope):
                return result
        return []

    return run


def define_variable(base: Collect, name: str, value: Collect | None) -> Collect:
    """Keep a value, or the input itself, under a name for what comes after."""

    def run(items: Collection, scope: Scope) -> Collection:
        found = base(items, scope)
        defined = found if value is None else value(found, scope)
        if is_constant(name) or (scope.variables is not None and name in scope.variables):
            raise EvaluationError("a variable that is there already")
        scope.variables = {**(scope.variables or {}), name: defined}
        return found

    return run


def variable(name: str) -> Collect:
    """`%name` of a variable that the expression itself defines."""

    def run(_: Collection, scope: Scope) -> Collection:
        if scope.variables is None or name not in scope.variables:
            raise EvaluationError("a variable that isn't defined here")
        return scope.variables[name]

    return run


def with_own_variables(collect: Collect) -> Collect:
    """The same; what it defines ends with it."""

    def run(items: Collection, scope: Scope) -> Collection:
        return collect(items, replace(scope))

    return run


def truth_with_own_variables(truth: Truth) -> Truth:
    """The same for a truth value."""

    def run(items: Collection, scope: Scope) -> bool | None:
        return truth(items, replace(scope))

    return run
