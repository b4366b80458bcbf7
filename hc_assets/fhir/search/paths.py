"""Expressions of search parameters as routes: which JSON members lead to the values.

Belongs here: what of FHIRPath becomes a route. What doesn't is evaluated by `fhir/fhirpath`; how
routes are walked is in `plan.py`.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

from hc_assets.fhir.fhirpath.model import TypeView
from hc_assets.fhir.fhirpath.parser import parse
from hc_assets.fhir.fhirpath.syntax import (
    Call,
    Expression,
    Literal,
    Member,
    Operation,
    TypeOperation,
)
from hc_assets.fhir.search.references import type_of

# Whether a route goes on from a value: called with the value and the resource.
Test = Callable[[Any, Any], bool]
Hop = str | Test


@dataclass(frozen=True, slots=True)
class Route:
    """A way through JSON.

    Attributes:
        hops: members to step into, and tests that a value must pass.
        type_name: the type of the values at its end.
        owner: the type whose member the end is; "" for the resource itself.
    """

    hops: tuple[Hop, ...]
    type_name: str
    owner: str = ""


class _NoRouteError(Exception):
    """The expression is more than a way through members."""


def alternatives(expression: str) -> list[Expression]:
    """The operands of an expression's outermost unions."""
    found: list[Expression] = []
    pending = [parse(expression)]
    while pending:
        tree = pending.pop(0)
        match tree:
            case Operation("|", operands):
                pending = [*operands, *pending]
            case _:
                found.append(tree)
    return found


def routes(tree: Expression, type_name: str, types: TypeView) -> list[Route] | None:
    """The routes of one alternative, from a value of a type.

    Args:
        tree: without a union at its root.
        type_name: what it starts from; its own name may begin the expression.
        types: the types that there are.

    Returns:
        None where it must be evaluated as FHIRPath; none at all where it is of another type.
    """
    try:
        return _routes(tree, Route((), type_name), types)
    except _NoRouteError:
        return None


def extension_values(route: Route, types: TypeView) -> list[Route]:
    """A route; where it ends at an extension, whose value is meant, those to its values."""
    return [*_step(route, "value", types)] if route.type_name == "Extension" else [route]


def _routes(tree: Expression | None, start: Route, types: TypeView) -> list[Route]:
    match tree:
        case None:
            return [start]
        case Member(None, name) if name[0].isupper():
            return [start] if types.is_a(start.type_name, name) else []
        case Member(base, name):
            return [each for at in _routes(base, start, types) for each in _step(at, name, types)]
        case TypeOperation("as", operand, name):
            return _of_type(_routes(operand, start, types), name, types)
        case Call(base, "as" | "ofType", (Member(None, name),), _) if base is not None:
            return _of_type(_routes(base, start, types), name, types)
        case Call(base, "where", (criterion,), _) if base is not None:
            test = _test(criterion)
            found = _routes(base, start, types)
            return [replace(each, hops=(*each.hops, test)) for each in found]
        case Call(base, "extension", (Literal(str(url)),), _):
            found = _routes(base, start, types)
            test = _member_is("url", url)
            stepped = [each for at in found for each in _step(at, "extension", types)]
            return [replace(each, hops=(*each.hops, test)) for each in stepped]
    raise _NoRouteError


def _step(at: Route, name: str, types: TypeView) -> Iterator[Route]:
    members = types.members(at.type_name)
    if members is None or at.type_name == "Resource":
        raise _NoRouteError  # what it is shows only in the data
    for member, (element, code) in members.items():
        if element == name:
            yield Route((*at.hops, member), code, at.type_name)


def _of_type(found: list[Route], name: str, types: TypeView) -> list[Route]:
    if types.members(name) is None:
        name = name[0].lower() + name[1:]  # R4 has a DateTime for a dateTime
    return [each for each in found if types.is_a(each.type_name, name)]


def _test(criterion: Expression) -> Test:
    match criterion:
        case TypeOperation("is", Call(None, "resolve", (), _), name):
            return _refers_to(name)
        case Operation("=", (Member(None, name), Literal(str(text)))):
            return _member_is(name, text)
    raise _NoRouteError


# One test for all that ask the same: routes that agree so far are walked once.
@cache
def _refers_to(name: str) -> Test:
    return lambda value, root: type_of(value, root) == name


@cache
def _member_is(name: str, text: str) -> Test:
    return lambda value, _: value.get(name) == text
