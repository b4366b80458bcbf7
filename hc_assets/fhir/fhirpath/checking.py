"""The strict reading of an expression: what can be known to be wrong before there is any data.

Belongs here: elements that no type has where they are asked for, order that there is not, criteria
that are no truth values. Without it such expressions give nothing, as FHIRPath has it.
"""

from collections.abc import Iterable

from hc_assets.fhir.fhirpath.calls import type_argument
from hc_assets.fhir.fhirpath.errors import FhirPathSyntaxError
from hc_assets.fhir.fhirpath.model import TYPE_INFO, TypeView
from hc_assets.fhir.fhirpath.parser import parse
from hc_assets.fhir.fhirpath.syntax import (
    LOOKING_AT_EACH,
    Call,
    Constant,
    Expression,
    Indexer,
    Literal,
    Member,
    Operation,
    TypeOperation,
    Variable,
    parts,
)

# The types that a value may be of; None where they aren't known.
Types = frozenset[str] | None

_SAME = frozenset(
    {
        *("where", "first", "last", "tail", "single", "skip", "take", "distinct", "trace", "sort"),
        *("exclude", "intersect", "defineVariable"),
    }
)
_ORDERED = frozenset({"first", "last", "tail", "skip", "take"})
_UNORDERED = frozenset({"children", "descendants"})
_OPEN = frozenset({"", "Resource", "DomainResource", "Element", "BackboneElement"})


def check_strictly(expression: str, types: TypeView, start: str) -> None:
    """Read an expression strictly.

    Args:
        expression: FHIRPath that compiles.
        types: the types of the data.
        start: the type that the expression looks at.

    Raises:
        FhirPathSyntaxError: it asks for an element that no type has there, for the order of
            children, or has a criterion of `iif` that is no truth value; the text names it.
    """
    _Checker(types, start).types_of(parse(expression), frozenset({start}))


class _Checker:
    """Infers the types of each part from those of what it looks at."""

    def __init__(self, types: TypeView, start: str) -> None:
        self._types = types
        self._context = frozenset({start})
        # From within a resource its own type isn't known.
        self._resource: Types = self._context if types.is_a(start, "Resource") else None

    def types_of(self, expression: Expression, context: Types) -> Types:
        match expression:
            case Variable("this"):
                return context
            case Constant("context"):
                return self._context
            case Constant("resource" | "rootResource"):
                return self._resource
            case Member(None, name) if name[0].isupper():
                return self._named(name, context)
            case Member(base, name):
                owners = context if base is None else self.types_of(base, context)
                return self._element(name, owners)
            case Indexer(base, index):
                self.types_of(index, context)
                _refuse_order(base, "an index")
                return self.types_of(base, context)
            case TypeOperation("as", operand, name):
                return self._of_type(self.types_of(operand, context), name)
            case Operation("|", operands):
                return _all(self.types_of(operand, context) for operand in operands)
            case Call():
                return self._call(expression, context)
        for part in parts(expression):
            self.types_of(part, context)
        return None

    def _named(self, name: str, context: Types) -> Types:
        if context is None:
            return None
        fitting = frozenset(each for each in context if self._types.is_a(each, name))
        if fitting or not context.isdisjoint(_OPEN):
            return fitting or None
        return self._element(name, context)

    def _element(self, name: str, owners: Types) -> Types:
        if owners is None or not owners.isdisjoint(_OPEN):
            return None
        found: set[str] = set()
        member = ""
        for owner in owners:
            for key, (element, code) in (self._types.members(owner) or {}).items():
                if element == name:
                    found.add(code)
                elif key == name:
                    member = element
        if not found:
            hint = f"; {member} is its name in FHIRPath" if member else ""
            where = ", ".join(sorted(owners)) or "no type"
            raise FhirPathSyntaxError(f"no element {name} of {where}{hint}")
        return frozenset(found)

    def _of_type(self, found: Types, name: str) -> Types:
        local = name.rpartition(".")[2]
        if found is None or self._types.members(local) is None:
            return None
        fitting = frozenset(each for each in found if self._types.is_a(each, local))
        return fitting or frozenset({local})

    def _call(self, call: Call, context: Types) -> Types:
        base = context if call.base is None else self.types_of(call.base, context)
        name = call.name
        if name in ("as", "ofType"):
            return self._of_type(base, type_argument(call))
        if name in ("is", "getReferenceKey"):
            return None
        if name in _ORDERED and call.base is not None:
            _refuse_order(call.base, name)
        if name == "iif":
            _refuse_text(call)
        looking_at = base if name in LOOKING_AT_EACH else context
        arguments = [self.types_of(argument, looking_at) for argument in call.arguments]
        if name in _SAME:
            return base
        if name == "select":
            return arguments[0]
        if name in ("union", "combine"):
            return _all([base, *arguments])
        if name == "iif":
            return _all(arguments[1:])
        if name == "extension":
            return frozenset({"Extension"})
        return frozenset({TYPE_INFO}) if name == "type" else None


def _all(found: Iterable[Types]) -> Types:
    together: set[str] = set()
    for each in found:
        if each is None:
            return None
        together |= each
    return frozenset(together)


def _refuse_order(base: Expression, what: str) -> None:
    if isinstance(base, Call) and base.name in _UNORDERED:
        raise FhirPathSyntaxError(f"{what} of {base.name}, which has no order", base.position)


def _refuse_text(call: Call) -> None:
    criterion = call.arguments[0]
    if isinstance(criterion, Literal) and not isinstance(criterion.value, bool):
        raise FhirPathSyntaxError("a criterion of iif that is no truth value", call.position)
