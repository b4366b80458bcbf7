"""Turns a syntax tree of FHIRPath into closures: no tree is walked when an expression is evaluated.

Belongs here: what each node of a tree means. Functions and operators are looked up in the modules
named after them; the short cuts for the commonest shapes are in `shortcuts.py`.
"""

from collections.abc import Callable, Sequence
from typing import Any

from hc_assets.fhir.fhirpath import boundaries as fhirpath_boundaries
from hc_assets.fhir.fhirpath import collections as fhirpath_collections
from hc_assets.fhir.fhirpath import conversions as fhirpath_conversions
from hc_assets.fhir.fhirpath import criteria as fhirpath_criteria
from hc_assets.fhir.fhirpath import keys as fhirpath_keys
from hc_assets.fhir.fhirpath import operators as fhirpath_operators
from hc_assets.fhir.fhirpath import strings as fhirpath_strings
from hc_assets.fhir.fhirpath.constants import constant
from hc_assets.fhir.fhirpath.errors import EvaluationError, FhirPathSyntaxError
from hc_assets.fhir.fhirpath.kept import asked_once
from hc_assets.fhir.fhirpath.model import Collection, Node, Scope, TypeView
from hc_assets.fhir.fhirpath.operators import Collect, Truth
from hc_assets.fhir.fhirpath.shortcuts import equals_text, has_member
from hc_assets.fhir.fhirpath.singletons import Function, integer_of, truth_of
from hc_assets.fhir.fhirpath.syntax import (
    Call,
    Constant,
    EmptyCollection,
    Expression,
    Indexer,
    Literal,
    Member,
    Operation,
    TypeOperation,
    Unary,
    Variable,
    fixed_by,
    uses_variable,
)
from hc_assets.fhir.fhirpath.types import type_test

_LOGIC: dict[str, Callable[[Sequence[Truth]], Truth]] = {
    "and": fhirpath_operators.both,
    "or": fhirpath_operators.either,
    "xor": fhirpath_operators.exclusive,
    "implies": fhirpath_operators.implies,
}
_OPPOSITE = {"!=": "=", "!~": "~"}
_TRUTH_OPERATORS = frozenset(
    {*_LOGIC, *_OPPOSITE, *_OPPOSITE.values(), "in", "contains"}
    | fhirpath_operators.ORDER_OPERATORS
)
_TESTS_WITH_CRITERIA = frozenset({"exists", "all", "is"})


class Compiler:
    """Compiles one tree for one table of types."""

    def __init__(self, types: TypeView, shortcuts: bool = True) -> None:
        """Prepare to compile.

        Args:
            types: that members of JSON objects and names of types are resolved by.
            shortcuts: False to leave out the short cuts; the meaning is the same.
        """
        self._types = types
        self._shortcuts = shortcuts
        self._tests: dict[str, Function] = {
            **fhirpath_collections.TESTS,
            **fhirpath_strings.TESTS,
            **fhirpath_conversions.TESTS,
        }
        self._values: dict[str, Function] = {
            **fhirpath_collections.VALUES,
            **fhirpath_collections.navigation(types),
            **fhirpath_strings.VALUES,
            **fhirpath_conversions.VALUES,
            **fhirpath_boundaries.VALUES,
        }
        # By identity of the tree's node: a part that is asked for twice is compiled once.
        self._collects: dict[int, Collect] = {}
        self._truths: dict[int, Truth] = {}
        # Of parts that are kept, by how they are written.
        self._marks: dict[str, object] = {}

    def collect(self, expression: Expression) -> Collect:
        """The closure that gives an expression's collection.

        Raises:
            FhirPathSyntaxError: a function, constant or type that isn't known, or a wrong number of
                arguments.
        """
        found = self._collects.get(id(expression))
        if found is None:
            if self._is_truth(expression):
                found = _as_collection(self.truth(expression))
            else:
                found = _leaf(expression) or self._kept(expression, self._compound(expression))
            self._collects[id(expression)] = found
        return found

    def truth(self, expression: Expression) -> Truth:
        """The closure that gives an expression's truth value: True, False or None for unknown.

        Raises:
            FhirPathSyntaxError: as for `collect`.
        """
        found = self._truths.get(id(expression))
        if found is None:
            if self._is_truth(expression):
                found = self._formed_truth(expression)
            else:
                found = _as_truth(self.collect(expression))
            self._truths[id(expression)] = found
        return found

    def _is_truth(self, expression: Expression) -> bool:
        """Whether an expression gives a truth value by its form."""
        match expression:
            case Operation(operator, _):
                return operator in _TRUTH_OPERATORS
            case TypeOperation(operator, _, _):
                return operator == "is"
            case Call(_, name, _, _):
                return name in self._tests or name in _TESTS_WITH_CRITERIA
        return False

    def _base(self, expression: Expression | None) -> Collect:
        """Without a base, a step starts from what is looked at."""
        return _itself if expression is None else self.collect(expression)

    def _kept(self, expression: Expression, collect: Collect) -> Collect:
        """The same; where it depends on the resources or the context alone, it is asked once."""
        constants = fixed_by(expression) if self._shortcuts else frozenset()
        if not constants:
            return collect
        # The same part may stand in several places: what it gives is the same.
        mark = self._marks.setdefault(repr(expression), object())

        return asked_once(collect, constants, mark)

    # What gives a collection

    def _compound(self, expression: Expression) -> Collect:
        match expression:
            case Member(base, name):
                return self._member(base, name)
            case Call():
                return self._call(expression)
            case Operation(operator, operands):
                return self._operation(operator, operands)
            case Indexer(base, index):
                return self._indexer(self.collect(base), self.collect(index))
            case Unary(operator, operand):
                return fhirpath_operators.signed(operator, self.collect(operand))
            case TypeOperation(_, operand, type_name):
                return self._of_type(self.collect(operand), type_name)
        raise FhirPathSyntaxError("an expression of unknown kind")

    def _member(self, base: Expression | None, name: str) -> Collect:
        step, is_a = self._types.step, self._types.is_a
        if base is not None:
            source = self.collect(base)
            return lambda items, scope: step(source(items, scope), name)
        if not _may_be_type(name):
            return lambda items, _: step(items, name)

        def type_or_member(items: Collection, _: Scope) -> Collection:
            # A path may begin with the type that it starts from: Appointment.status.
            named: Collection = [
                item for item in items if isinstance(item, Node) and is_a(item.type_name, name)
            ]
            return named or step(items, name)

        return type_or_member

    def _indexer(self, base: Collect, index: Collect) -> Collect:
        def run(items: Collection, scope: Scope) -> Collection:
            found, position = base(items, scope), integer_of(index(items, scope))
            if position is None or position < 0:
                return []
            return found[position : position + 1]

        return run

    def _of_type(self, base: Collect, type_name: str) -> Collect:
        # `as` on several items keeps those of the type: HL7's validator lets it for R4, whose
        # dom-3 is written that way.
        fits = type_test(self._types, type_name)
        return lambda items, scope: [item for item in base(items, scope) if fits(item)]

    def _operation(self, operator: str, operands: tuple[Expression, ...]) -> Collect:
        parts = [self.collect(operand) for operand in operands]
        if operator == "|":
            return fhirpath_operators.united(parts)
        if operator == "&":
            return fhirpath_operators.concatenated(parts)
        if operator == "+":
            return fhirpath_operators.added(parts)
        left, right = parts
        return fhirpath_operators.calculated(operator, left, right)

    def _call(self, call: Call) -> Collect:
        name, arguments = call.name, call.arguments
        base = self._base(call.base)
        match name, len(arguments):
            case ("as" | "ofType", 1):
                return self._of_type(base, _type_argument(call))
            case ("where", 1):
                criterion = self.truth(arguments[0])
                return fhirpath_criteria.where(base, criterion, _is_indexed(arguments[0]))
            case ("select", 1):
                projection = self.collect(arguments[0])
                return fhirpath_criteria.select(base, projection, _is_indexed(arguments[0]))
            case ("repeat", 1):
                return fhirpath_criteria.repeat(base, self.collect(arguments[0]))
            case ("aggregate", 1 | 2):
                start = self.collect(arguments[1]) if arguments[1:] else None
                return fhirpath_criteria.aggregate(base, self.collect(arguments[0]), start)
            case ("iif", 2 | 3):
                otherwise = self.collect(arguments[2]) if arguments[2:] else None
                return fhirpath_criteria.conditional(
                    base, self.truth(arguments[0]), self.collect(arguments[1]), otherwise
                )
            case ("getResourceKey", 0):
                return fhirpath_keys.of_resources(base)
            case ("getReferenceKey", 0 | 1):
                wanted = _type_argument(call) if arguments else None
                return fhirpath_keys.of_references(base, self._types, wanted)
            case ("trace", 1 | 2):
                for argument in arguments:
                    self.collect(argument)  # it must be good FHIRPath, though nothing is traced
                return base
        return self._applied(self._values, call)

    def _applied(self, functions: dict[str, Function], call: Call) -> Callable[..., Any]:
        function = functions.get(call.name)
        if function is None:
            raise FhirPathSyntaxError(f"unknown function {call.name}", call.position)
        if not function.least <= len(call.arguments) <= function.most:
            raise FhirPathSyntaxError(
                f"{call.name} doesn't take {len(call.arguments)} arguments", call.position
            )
        apply = function.apply
        base = self._base(call.base)
        # Arguments look at the context of the whole call, not at what it is applied to.
        arguments = [self.collect(argument) for argument in call.arguments]
        if not arguments:
            return lambda items, scope: apply(scope, base(items, scope))
        if len(arguments) == 1:
            only = arguments[0]
            return lambda items, scope: apply(scope, base(items, scope), only(items, scope))
        return lambda items, scope: apply(
            scope, base(items, scope), *(argument(items, scope) for argument in arguments)
        )

    # What gives a truth value

    def _formed_truth(self, expression: Expression) -> Truth:
        match expression:
            case Operation("and" | "or" | "xor" | "implies" as operator, operands):
                return _LOGIC[operator]([self.truth(operand) for operand in operands])
            case Operation(operator, (left, right)):
                return self._comparison(operator, left, right)
            case TypeOperation(_, operand, type_name):
                return self._is(self.collect(operand), type_name)
            case Call():
                return self._test(expression)
        raise FhirPathSyntaxError("an expression of unknown kind")

    def _comparison(self, operator: str, left: Expression, right: Expression) -> Truth:
        match operator:
            case "=":
                return self._equals(left, right)
            case "!=" | "!~":
                same = self._comparison(_OPPOSITE[operator], left, right)
                return fhirpath_operators.negated(same)
            case "~":
                return fhirpath_operators.is_equivalent(self.collect(left), self.collect(right))
            case "in":
                return self._contained(left, right)
            case "contains":
                return self._contained(right, left)
        return fhirpath_operators.ordered(operator, self.collect(left), self.collect(right))

    def _equals(self, left: Expression, right: Expression) -> Truth:
        general = fhirpath_operators.equals(self.collect(left), self.collect(right))
        match left, right:
            case (Member(base, name), Literal(str(text))) if self._shortcuts:
                if base is not None or not _may_be_type(name):
                    return equals_text(self._types, self._base(base), name, text, general)
        return general

    def _contained(self, item: Expression, collection: Expression) -> Truth:
        match collection:
            case Operation("|", operands) if self._shortcuts:
                values = [part.value for part in operands if isinstance(part, Literal)]
                texts = frozenset(value for value in values if isinstance(value, str))
                if len(texts) == len(operands):
                    return fhirpath_operators.contained_in_constants(self.collect(item), texts)
        return fhirpath_operators.contained(self.collect(item), self.collect(collection))

    def _is(self, base: Collect, type_name: str) -> Truth:
        fits = type_test(self._types, type_name)

        def run(items: Collection, scope: Scope) -> bool | None:
            found = base(items, scope)
            if not found:
                return None
            if len(found) > 1:
                raise EvaluationError("the type of several values at once")
            return fits(found[0])

        return run

    def _test(self, call: Call) -> Truth:
        name, arguments = call.name, call.arguments
        match name, len(arguments):
            case ("exists", 0):
                return self._exists(call.base)
            case ("empty", 0):
                return fhirpath_operators.negated(self._exists(call.base))
            case ("not", 0) if call.base is not None:
                return fhirpath_operators.negated(self.truth(call.base))
            case ("is", 1):
                return self._is(self._base(call.base), _type_argument(call))
            case ("exists" | "all", 1):
                build = fhirpath_criteria.exists if name == "exists" else fhirpath_criteria.for_all
                criterion = self.truth(arguments[0])
                return build(self._base(call.base), criterion, _is_indexed(arguments[0]))
        return self._applied(self._tests, call)

    def _exists(self, base: Expression | None) -> Truth:
        match base:
            case Member(inner, name) if self._shortcuts:
                if inner is not None or not _may_be_type(name):
                    return has_member(self._types, self._base(inner), name)
        found = self._base(base)
        return lambda items, scope: bool(found(items, scope))


def _itself(items: Collection, _: Scope) -> Collection:
    return items


def _leaf(expression: Expression) -> Collect | None:
    """The closure of an expression that has no parts; None of any other."""
    match expression:
        case Literal(value):
            values: Collection = [value]
            return lambda _items, _scope: values
        case EmptyCollection():
            return lambda _items, _scope: []
        case Variable("this"):
            return _itself
        case Variable("index"):
            return lambda _, scope: [scope.index]
        case Variable():
            return lambda _, scope: scope.total or []
        case Constant(name):
            return constant(name)
    return None


def _may_be_type(name: str) -> bool:
    return name[:1].isupper()


def _is_indexed(expression: Expression) -> bool:
    return uses_variable(expression, "index")


def _as_collection(truth: Truth) -> Collect:
    def run(items: Collection, scope: Scope) -> Collection:
        value = truth(items, scope)
        return [] if value is None else [value]

    return run


def _as_truth(collect: Collect) -> Truth:
    return lambda items, scope: truth_of(collect(items, scope))


def _type_argument(call: Call) -> str:
    match call.arguments:
        case (Member(None, name),):
            return name
        case (Member(Member(None, namespace), name),):
            return f"{namespace}.{name}"
    raise FhirPathSyntaxError(f"{call.name} takes the name of a type", call.position)
