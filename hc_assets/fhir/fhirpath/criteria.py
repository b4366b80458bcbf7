"""FHIRPath functions whose argument is worked out for each item: where, select, all, repeat, iif.

Belongs here: for each such function a builder of its closure from the closures of its arguments.
Functions whose arguments are values belong to `collections.py`.
"""

from dataclasses import replace

from hc_assets.fhir.fhirpath.equality import identity
from hc_assets.fhir.fhirpath.errors import EvaluationError
from hc_assets.fhir.fhirpath.model import Collection, Scope
from hc_assets.fhir.fhirpath.operators import Collect, Truth

_MOST_REPEATED = 1_000_000


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
        return [found for item in base(items, scope) for found in projection([item], scope)]

    def indexed(items: Collection, scope: Scope) -> Collection:
        return [
            found
            for index, item in enumerate(base(items, scope))
            for found in projection([item], replace(scope, index=index))
        ]

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
            if len(found) > _MOST_REPEATED:
                raise EvaluationError("a repetition that goes on and on")
            pending = fresh
        return list(found.values())

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
