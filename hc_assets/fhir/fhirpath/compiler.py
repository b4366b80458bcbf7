"""Turns a syntax tree of FHIRPath into closures: no tree is walked when an expression is evaluated.

Belongs here: what each node of a tree means. Functions are looked up in `calls.py` and in
`functions/`, operators in the modules named after them; the short cuts for the commonest shapes are
in `shortcuts.py`.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from hc_assets.fhir.fhirpath import arithmetic, criteria, functions, operators
from hc_assets.fhir.fhirpath.calls import (
    FORMS,
    check_count,
    is_indexed,
    type_argument,
    unknown_function,
)
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
    defined_in,
    fixed_by,
)
from hc_assets.fhir.fhirpath.types import type_filter, type_test

_LOGIC: dict[str, Callable[[Sequence[Truth]], Truth]] = {
    "and": operators.both,
    "or": operators.either,
    "xor": operators.exclusive,
    "implies": operators.implies,
}
NO_VARIABLES: Mapping[str, Collection] = {}
_OPPOSITE = {"!=": "=", "!~": "~"}
_TRUTH_OPERATORS = frozenset(
    {*_LOGIC, *_OPPOSITE, *_OPPOSITE.values(), "in", "contains"} | operators.ORDER_OPERATORS
)
_TESTS_WITH_CRITERIA = frozenset({"exists", "all", "is"})


class Compiler:
    """Compiles one tree for one table of types."""

    def __init__(
        self,
        tree: Expression,
        types: TypeView,
        shortcuts: bool = True,
        variables: Mapping[str, Collection] = NO_VARIABLES,
    ) -> None:
        """Prepare to compile.

        Args:
            tree: what is to be compiled, as a whole.
            types: that members of JSON objects and names of types are resolved by.
            shortcuts: False to leave out the short cuts; the meaning is the same.
            variables: values of constants that FHIRPath doesn't have, without the percent sign.
        """
        self.types = types
        self._variables = variables
        self._defined = defined_in(tree)
        # A short cut may work a part out twice, and what defines a variable must not be.
        self._shortcuts = shortcuts and not self._defined
        self._tests: dict[str, Function] = functions.tests(types)
        self._values: dict[str, Function] = functions.values(types)
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
                found = self._leaf(expression) or self._kept(expression, self._compound(expression))
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

    def base(self, expression: Expression | None) -> Collect:
        """What a step or function is applied to; without a base it is what is looked at."""
        return _itself if expression is None else self.collect(expression)

    def inner(self, expression: Expression) -> Collect:
        """The same as `collect` for an argument or operand: what it defines ends with it."""
        found = self.collect(expression)
        return criteria.with_own_variables(found) if self._defines(expression) else found

    def inner_truth(self, expression: Expression) -> Truth:
        """The same as `truth` for an argument or operand: what it defines ends with it."""
        found = self.truth(expression)
        return criteria.truth_with_own_variables(found) if self._defines(expression) else found

    def _defines(self, expression: Expression) -> bool:
        return bool(self._defined) and bool(defined_in(expression))

    def _leaf(self, expression: Expression) -> Collect | None:
        """The closure of an expression that has no parts; None of any other."""
        match expression:
            case Constant(name) if name in self._variables:
                given = self._variables[name]
                return lambda _items, _scope: given
            case Constant(name) if name in self._defined:
                return criteria.variable(name)
        return _leaf(expression)

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
                return self._indexer(self.collect(base), self.inner(index))
            case Unary(operator, operand):
                return arithmetic.signed(operator, self.inner(operand))
            case TypeOperation(_, operand, type_name):
                return type_filter(self.inner(operand), self.types, type_name)
        raise FhirPathSyntaxError("an expression of unknown kind")

    def _member(self, base: Expression | None, name: str) -> Collect:
        step, is_a = self.types.step, self.types.is_a
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

    def _operation(self, operator: str, operands: tuple[Expression, ...]) -> Collect:
        parts = [self.inner(operand) for operand in operands]
        if operator == "|":
            return operators.united(parts)
        if operator == "&":
            return operators.concatenated(parts)
        if operator == "+":
            return arithmetic.added(parts)
        left, right = parts
        return arithmetic.calculated(operator, left, right)

    def _call(self, call: Call) -> Collect:
        form = FORMS.get(call.name)
        if form is None:
            return self._applied(self._values, call)
        check_count(call, form.least, form.most)
        return form.build(self, call)

    def _applied(self, known: dict[str, Function], call: Call) -> Callable[..., Any]:
        function = known.get(call.name)
        if function is None:
            names = {*self._tests, *self._values, *FORMS, *_TESTS_WITH_CRITERIA}
            raise unknown_function(call, frozenset(names))
        check_count(call, function.least, function.most)
        apply = function.apply
        base = self.base(call.base)
        # Arguments look at the context of the whole call, not at what it is applied to.
        arguments = [self.inner(argument) for argument in call.arguments]
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
                return _LOGIC[operator]([self.inner_truth(operand) for operand in operands])
            case Operation(operator, (left, right)):
                return self._comparison(operator, left, right)
            case TypeOperation(_, operand, type_name):
                return self._is(self.inner(operand), type_name)
            case Call():
                return self._test(expression)
        raise FhirPathSyntaxError("an expression of unknown kind")

    def _comparison(self, operator: str, left: Expression, right: Expression) -> Truth:
        match operator:
            case "=":
                return self._equals(left, right)
            case "!=" | "!~":
                same = self._comparison(_OPPOSITE[operator], left, right)
                return operators.negated(same)
            case "~":
                return operators.is_equivalent(self.inner(left), self.inner(right))
            case "in":
                return self._contained(left, right)
            case "contains":
                return self._contained(right, left)
        return operators.ordered(operator, self.inner(left), self.inner(right))

    def _equals(self, left: Expression, right: Expression) -> Truth:
        general = operators.equals(self.inner(left), self.inner(right))
        match left, right:
            case (Member(base, name), Literal(str(text))) if self._shortcuts:
                if base is not None or not _may_be_type(name):
                    return equals_text(self.types, self.base(base), name, text, general)
        return general

    def _contained(self, item: Expression, collection: Expression) -> Truth:
        match collection:
            case Operation("|", operands) if self._shortcuts:
                values = [part.value for part in operands if isinstance(part, Literal)]
                texts = frozenset(value for value in values if isinstance(value, str))
                if len(texts) == len(operands):
                    return operators.contained_in_constants(self.inner(item), texts)
        return operators.contained(self.inner(item), self.inner(collection))

    def _is(self, base: Collect, type_name: str) -> Truth:
        fits = type_test(self.types, type_name)

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
                return operators.negated(self._exists(call.base))
            case ("not", 0) if call.base is not None:
                return operators.negated(self.truth(call.base))
            case ("is", 1):
                return self._is(self.base(call.base), type_argument(call))
            case ("exists" | "all", 1):
                build = criteria.exists if name == "exists" else criteria.for_all
                criterion = self.inner_truth(arguments[0])
                return build(self.base(call.base), criterion, is_indexed(arguments[0]))
        return self._applied(self._tests, call)

    def _exists(self, base: Expression | None) -> Truth:
        match base:
            case Member(inner, name) if self._shortcuts:
                if inner is not None or not _may_be_type(name):
                    return has_member(self.types, self.base(inner), name)
        found = self.base(base)
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


def _as_collection(truth: Truth) -> Collect:
    def run(items: Collection, scope: Scope) -> Collection:
        value = truth(items, scope)
        return [] if value is None else [value]

    return run


def _as_truth(collect: Collect) -> Truth:
    return lambda items, scope: truth_of(collect(items, scope))
