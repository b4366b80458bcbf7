"""FHIRPath functions whose arguments are expressions or types, not values: how each is compiled.

Belongs here: from a call in the tree to the builder of its closure. The closures are in
`criteria.py`; functions whose arguments are values are in `functions/`.
"""

from collections.abc import Callable, Mapping
from difflib import get_close_matches
from typing import NamedTuple, Protocol

from hc_assets.fhir.fhirpath import criteria
from hc_assets.fhir.fhirpath.errors import FhirPathSyntaxError
from hc_assets.fhir.fhirpath.functions import keys
from hc_assets.fhir.fhirpath.model import TypeView
from hc_assets.fhir.fhirpath.operators import Collect, Truth
from hc_assets.fhir.fhirpath.syntax import Call, Expression, Literal, Member, Unary, uses_variable
from hc_assets.fhir.fhirpath.types import type_filter, type_of


class Compiling(Protocol):
    """What a builder asks of the compiler."""

    @property
    def types(self) -> TypeView:
        """The types of the data."""

    def base(self, expression: Expression | None) -> Collect:
        """What a function is applied to."""

    def inner(self, expression: Expression) -> Collect:
        """An argument, with variables of its own."""

    def inner_truth(self, expression: Expression) -> Truth:
        """An argument whose truth alone matters."""


class Form(NamedTuple):
    """How a function is compiled.

    Attributes:
        least: least number of arguments.
        most: greatest number of arguments.
        build: gives the closure of a call.
    """

    least: int
    most: int
    build: Callable[[Compiling, Call], Collect]


def is_indexed(expression: Expression) -> bool:
    """Whether an expression asks for the position of what it looks at."""
    return uses_variable(expression, "index")


def type_argument(call: Call) -> str:
    """The name of a type that is a call's only argument.

    Raises:
        FhirPathSyntaxError: it is something else.
    """
    match call.arguments:
        case (Member(None, name),):
            return name
        case (Member(Member(None, namespace), name),):
            return f"{namespace}.{name}"
    raise FhirPathSyntaxError(f"{call.name} takes the name of a type", call.position)


def unknown_function(call: Call, known: frozenset[str]) -> FhirPathSyntaxError:
    """The error for a function that there is not, with the name that is nearest to it."""
    near = get_close_matches(call.name, known, 1)
    hint = f"; did you mean {near[0]}?" if near else ""
    return FhirPathSyntaxError(f"unknown function {call.name}{hint}", call.position)


def check_count(call: Call, least: int, most: int) -> None:
    """Hold a call to the number of arguments that its function takes.

    Raises:
        FhirPathSyntaxError: there are more, or fewer.
    """
    count = len(call.arguments)
    if not least <= count <= most:
        noun = "argument" if count == 1 else "arguments"
        raise FhirPathSyntaxError(f"{call.name} doesn't take {count} {noun}", call.position)


def _of_type(compiling: Compiling, call: Call) -> Collect:
    return type_filter(compiling.base(call.base), compiling.types, type_argument(call))


def _where(compiling: Compiling, call: Call) -> Collect:
    (argument,) = call.arguments
    criterion = compiling.inner_truth(argument)
    return criteria.where(compiling.base(call.base), criterion, is_indexed(argument))


def _select(compiling: Compiling, call: Call) -> Collect:
    (argument,) = call.arguments
    projection = compiling.inner(argument)
    return criteria.select(compiling.base(call.base), projection, is_indexed(argument))


def _repeat(compiling: Compiling, call: Call) -> Collect:
    return criteria.repeat(compiling.base(call.base), compiling.inner(call.arguments[0]))


def _repeat_all(compiling: Compiling, call: Call) -> Collect:
    return criteria.repeat_all(compiling.base(call.base), compiling.inner(call.arguments[0]))


def _aggregate(compiling: Compiling, call: Call) -> Collect:
    step, *start = (compiling.inner(argument) for argument in call.arguments)
    return criteria.aggregate(compiling.base(call.base), step, start[0] if start else None)


def _iif(compiling: Compiling, call: Call) -> Collect:
    criterion = compiling.inner_truth(call.arguments[0])
    then, *otherwise = (compiling.inner(argument) for argument in call.arguments[1:])
    base = compiling.base(call.base)
    if call.base is not None:
        base = criteria.at_most_one(base)
    return criteria.conditional(base, criterion, then, otherwise[0] if otherwise else None)


def _sort(compiling: Compiling, call: Call) -> Collect:
    keys_: list[tuple[Collect, bool]] = []
    for argument in call.arguments:
        match argument:
            case Unary("-", operand):
                keys_.append((compiling.inner(operand), True))
            case _:
                keys_.append((compiling.inner(argument), False))
    return criteria.sort(compiling.base(call.base), keys_ or [(lambda items, _: items, False)])


def _coalesce(compiling: Compiling, call: Call) -> Collect:
    choices = [compiling.inner(argument) for argument in call.arguments]
    return criteria.coalesce(compiling.base(call.base), choices)


def _define(compiling: Compiling, call: Call) -> Collect:
    name, *value = call.arguments
    if not isinstance(name, Literal) or not isinstance(name.value, str):
        raise FhirPathSyntaxError("defineVariable takes a name as a literal", call.position)
    given = compiling.inner(value[0]) if value else None
    return criteria.define_variable(compiling.base(call.base), name.value, given)


def _trace(compiling: Compiling, call: Call) -> Collect:
    for argument in call.arguments:
        compiling.inner(argument)  # it must be good FHIRPath, though nothing is traced
    return compiling.base(call.base)


def _type(compiling: Compiling, call: Call) -> Collect:
    base, types = compiling.base(call.base), compiling.types
    return lambda items, scope: [type_of(types, item) for item in base(items, scope)]


def _resource_key(compiling: Compiling, call: Call) -> Collect:
    return keys.of_resources(compiling.base(call.base))


def _reference_key(compiling: Compiling, call: Call) -> Collect:
    wanted = type_argument(call) if call.arguments else None
    return keys.of_references(compiling.base(call.base), compiling.types, wanted)


_ANY_NUMBER = 100
FORMS: Mapping[str, Form] = {
    "as": Form(1, 1, _of_type),
    "ofType": Form(1, 1, _of_type),
    "where": Form(1, 1, _where),
    "select": Form(1, 1, _select),
    "repeat": Form(1, 1, _repeat),
    "repeatAll": Form(1, 1, _repeat_all),
    "aggregate": Form(1, 2, _aggregate),
    "iif": Form(2, 3, _iif),
    "sort": Form(0, _ANY_NUMBER, _sort),
    "coalesce": Form(1, _ANY_NUMBER, _coalesce),
    "defineVariable": Form(1, 2, _define),
    "trace": Form(1, 2, _trace),
    "type": Form(0, 0, _type),
    "getResourceKey": Form(0, 0, _resource_key),
    "getReferenceKey": Form(0, 1, _reference_key),
}
