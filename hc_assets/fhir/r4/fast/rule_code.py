"""Invariants as code for the fast path's stack machine, compiled from their FHIRPath.

Belongs here: which expressions the machine can decide, and how they are written for it. What it
does with the code is in `fhir/r4/fast/native/rules.c`; any part that it can't decide becomes "can't
tell", which never lets a resource pass.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

from hc_assets.fhir.fhirpath.parser import parse
from hc_assets.fhir.fhirpath.syntax import (
    Call,
    Constant,
    Expression,
    Literal,
    Member,
    Operation,
)
from hc_assets.fhir.r4.definitions import Element, Invariant, r4
from hc_assets.fhir.r4.rules.errata import expression_of

Code = list[int]

# The machine's operations, in the order of `enum Operation`.
# fmt: off
OPERATIONS = (
    "END", "PUSH_VALUE", "EXISTS", "ABSENT_GIVES", "EQUALS", "IN", "AND", "OR", "XOR", "IMPLIES",
    "NOT", "IS_TRUE", "SAME", "ABOVE_ZERO", "NOT_BELOW_ZERO", "IN_ORDER", "HAS_CODING",
    "STARTS_WITH", "CONTAINS", "COMPUTABLE_NAME", "RANGE_IN_ORDER", "NO_SHARED_CODING", "HAS_INNER",
)
# fmt: on
_OP = {name: number for number, name in enumerate(OPERATIONS)}
# Outcomes, in the order of the enumeration beside it.
TRUTHS = _NO, _YES, _EMPTY, _UNKNOWN = range(4)
UNKNOWN: Code = [_OP["PUSH_VALUE"], _UNKNOWN]

_LOGIC = {"and": "AND", "or": "OR", "xor": "XOR", "implies": "IMPLIES"}
_COMPUTABLE_NAME = "[A-Z]([A-Za-z0-9_]){0,254}"
_UCUM = "http://unitsofmeasure.org"
# obs-7, which compares whole lists of codings: the machine has an operation for it alone.
_SHARED_CODING = "component.code.where(coding.intersect(%resource.code.coding).exists())"
_MOMENTS = frozenset({"date", "dateTime", "instant"})
# Functions that give nothing for nothing.
_EMPTY_FOR_EMPTY = frozenset(
    {"where", "select", "first", "last", "tail", "trace", "resolve", "children", "descendants"}
    | {"matches", "startsWith", "contains", "toInteger", "as", "ofType", "not"}
)
_FOR_EMPTY: dict[str, bool | int] = {
    "exists": False,
    "empty": True,
    "all": True,
    "isDistinct": True,
    "count": 0,
    "hasValue": False,
}


class Captures(NamedTuple):
    """Where the machine finds the values of a type's elements: slots by element name."""

    slots: dict[str, int]
    limit: int

    def slot(self, name: str) -> int | None:
        """The slot of an element, made where there is room; None where there is none."""
        if name not in self.slots and len(self.slots) < self.limit:
            self.slots[name] = len(self.slots)
        return self.slots.get(name)


class _Path(NamedTuple):
    """An expression that starts at an element: what is done with it, in order."""

    element: str
    parts: tuple[Call | str, ...]


def _path(expression: Expression, type_name: str) -> _Path | None:
    """Take an expression apart that starts at an element; None for any other."""
    parts: list[Call | str] = []
    node: Expression | None = expression
    while isinstance(node, Member | Call):
        parts.append(node.name if isinstance(node, Member) else node)
        node = node.base
    parts.reverse()
    if node is not None:
        return None
    if len(parts) > 1 and parts[0] == type_name:
        del parts[0]
    first = parts[0]
    return _Path(first, tuple(parts[1:])) if isinstance(first, str) else None


class _Nothing:
    """An empty collection."""


_NOTHING = _Nothing()
_Outcome = bool | int | _Nothing | None


def _outcome_of_empty(parts: Sequence[Call | str]) -> _Outcome:
    """What parts give for an element that isn't there; None where that can't be decided."""
    value: bool | int | _Nothing = _NOTHING
    for part in parts:
        name = part if isinstance(part, str) else part.name
        if isinstance(value, _Nothing):
            if isinstance(part, Call) and name in _FOR_EMPTY:
                value = _FOR_EMPTY[name]
            elif isinstance(part, Call) and name not in _EMPTY_FOR_EMPTY:
                return None
        elif name == "not" and isinstance(value, bool):
            value = not value
        else:
            return None
    return value


class RuleCompiler:
    """Compiles the rules that stand on one type.

    Args:
        type_name: a type in the table.
        captures: of the type; elements whose values rules look at get slots.
        string: returns the number of a string in the packed table.
    """

    def __init__(self, type_name: str, captures: Captures, string: Callable[[str], int]) -> None:
        self._type_name = type_name
        self._captures = captures
        self._string = string
        self._elements = {
            element.name: (number, element)
            for number, element in enumerate(r4().type(type_name).elements)
        }

    def rule(self, invariant: Invariant) -> Code:
        """The code of a rule; it ends with END.

        Args:
            invariant: a rule on the type, or on an element of the type.
        """
        expression = expression_of(invariant.key, invariant.expression)
        if expression == f"value.empty() or {_SHARED_CODING}.empty()":
            return [*self._no_shared_coding(), _OP["END"]]
        return [*self._truth(parse(expression)), _OP["END"]]

    def _no_shared_coding(self) -> Code:
        code = self._single("code", "CodeableConcept")
        slot = self._captures.slot("component")
        if code is None or slot is None:
            return UNKNOWN
        no_value = [_OP["EXISTS"], self._elements["value"][0], _OP["NOT"]]
        component = [self._elements["component"][0], slot]
        return [*no_value, _OP["NO_SHARED_CODING"], *code, *component, _OP["OR"]]

    def _truth(self, node: Expression) -> Code:
        """An expression that gives a boolean or nothing."""
        match node:
            case Operation(operator, operands) if operator in _LOGIC:
                code = self._truth(operands[0])
                for operand in operands[1:]:
                    code += [*self._truth(operand), _OP[_LOGIC[operator]]]
                return code
            case Operation("=" | "!=", (left, right)):
                equal = self._equality(left, right)
                return [*equal, _OP["NOT"]] if node.operator == "!=" else equal
            case Operation("in", (left, right)):
                return self._membership(left, right)
            case Operation(">" | ">=" | "<" | "<=", (left, right)):
                return self._comparison(node.operator, left, right)
            case Call(Call(None, "where", (criterion,), _), "exists", (), _):
                return [*self._truth(criterion), _OP["IS_TRUE"]]
            case Call(Call(None, "where", (criterion,), _), "empty", (), _):
                return [*self._truth(criterion), _OP["IS_TRUE"], _OP["NOT"]]
            case Call(base, "not", (), _) if base is not None:
                return [*self._truth(base), _OP["NOT"]]
            case _:
                path = _path(node, self._type_name)
                return UNKNOWN if path is None else self._of_path(path)

    def _found(self, name: str) -> tuple[int, Element] | None:
        return self._elements.get(name)

    def _single(self, name: str, *types: str) -> list[int] | None:
        """Element and slot of an element with one value of a type; None where there is no such."""
        found = self._found(name)
        if found is None:
            return None
        number, element = found
        slot = None
        if not element.is_list and not element.is_choice:
            code = element.types[0].code
            is_right = code in types if types else r4().type(code).kind == "primitive-type"
            slot = self._captures.slot(name) if is_right else None
        return None if slot is None else [number, slot]

    def _of_path(self, path: _Path) -> Code:
        found = self._found(path.element)
        if found is None:
            return UNKNOWN
        number, element = found
        names = tuple(part if isinstance(part, str) else part.name for part in path.parts)
        if not names:
            place = self._single(path.element, "boolean")
            return UNKNOWN if place is None else [_OP["EQUALS"], *place, self._string("true")]
        if names in (("exists",), ("hasValue",)):
            return [_OP["EXISTS"], number]
        if names == ("empty",):
            return [_OP["EXISTS"], number, _OP["NOT"]]
        special = self._coding(path, names) or self._text(path) or self._inner(path, element)
        return special or self._without(number, _outcome_of_empty(path.parts))

    @staticmethod
    def _without(number: int, outcome: _Outcome) -> Code:
        """What is known where an element isn't there; where it is there, nothing."""
        if isinstance(outcome, bool):
            return [_OP["ABSENT_GIVES"], number, _YES if outcome else _NO]
        if isinstance(outcome, _Nothing):
            return [_OP["ABSENT_GIVES"], number, _EMPTY]
        return UNKNOWN

    def _coding(self, path: _Path, names: tuple[str, ...]) -> Code | None:
        """`concept.coding.where(system = '...' and code = '...').exists()`, or `.empty()`."""
        if names[:2] != ("coding", "where") or names[2:] not in (("exists",), ("empty",)):
            return None
        place = self._single(path.element, "CodeableConcept")
        where = path.parts[1]
        if place is None or not isinstance(where, Call):
            return None
        wanted = _required_coding(where.arguments[0])
        if wanted is None:
            return None
        system, codes = wanted
        numbers = [self._string(code) for code in codes]
        code = [_OP["HAS_CODING"], *place, self._string(system), len(numbers), *numbers]
        return [*code, _OP["NOT"]] if names[2:] == ("empty",) else code

    def _text(self, path: _Path) -> Code | None:
        """Tests of a string by one function."""
        if len(path.parts) != 1 or not isinstance(path.parts[0], Call):
            return None
        call = path.parts[0]
        match call.arguments:
            case (Literal(str() as wanted),):
                place = self._single(path.element)
            case _:
                return None
        if place is None:
            return None
        if call.name == "matches" and wanted == _COMPUTABLE_NAME:
            return [_OP["COMPUTABLE_NAME"], *place]
        operation = {"startsWith": "STARTS_WITH", "contains": "CONTAINS"}.get(call.name)
        return None if operation is None else [_OP[operation], *place, self._string(wanted)]

    def _inner(self, path: _Path, element: Element) -> Code | None:
        """`element.member.exists()`, or `.empty()`: whether any of its values has a member."""
        match path.parts:
            case (str() as member, Call() as call):
                types = {ref.code for ref in element.types}
            case _:
                return None
        ending = {"exists": [], "empty": [_OP["NOT"]]}.get(call.name)
        if ending is None:
            return None
        slot = self._captures.slot(path.element)
        if element.is_choice or len(types) != 1 or slot is None:
            return None
        children = {child.name: child for child in r4().type(*types).elements}
        if member not in children or children[member].is_choice:
            return None
        number = self._elements[path.element][0]
        names = [self._string(member), self._string(f"_{member}")]
        code = [_OP["HAS_INNER"], number, slot, *names]
        return [*code, *ending]

    def _equality(self, left: Expression, right: Expression) -> Code:
        wanted = _constant(right)
        path = _path(left, self._type_name)
        if wanted is not None and path is not None and not path.parts:
            place = self._single(path.element)
            return UNKNOWN if place is None else [_OP["EQUALS"], *place, self._string(wanted)]
        if wanted is not None or path is None:
            return UNKNOWN
        return [*self._truth(left), *self._truth(right), _OP["SAME"]]

    def _membership(self, left: Expression, right: Expression) -> Code:
        options = right.operands if isinstance(right, Operation) and right.operator == "|" else ()
        wanted = [_constant(option) for option in options]
        path = _path(left, self._type_name)
        if path is None or path.parts or not wanted or None in wanted:
            return UNKNOWN
        place = self._single(path.element)
        numbers = [self._string(option) for option in wanted if option is not None]
        return UNKNOWN if place is None else [_OP["IN"], *place, len(numbers), *numbers]

    def _comparison(self, operator: str, left: Expression, right: Expression) -> Code:
        if isinstance(right, Literal) and isinstance(right.value, int):
            return self._against_number(operator, left, right.value)
        if operator in (">", ">="):
            left, right = right, left
        paths = _path(left, self._type_name), _path(right, self._type_name)
        names = [path.element for path in paths if path is not None and not path.parts]
        if len(names) != 2 or operator not in ("<=", ">="):
            return UNKNOWN
        for operation, types in (
            ("IN_ORDER", tuple(_MOMENTS)),
            ("RANGE_IN_ORDER", ("SimpleQuantity", "Quantity")),
        ):
            places = [self._single(name, *types) for name in names]
            if places[0] is not None and places[1] is not None:
                return [_OP[operation], *places[0], *places[1]]
        return UNKNOWN

    def _against_number(self, operator: str, left: Expression, number: int) -> Code:
        match left:
            case Operation("+", operands) if operator == ">" and number == 0:
                # A sum of counts is above zero where one of the elements is there.
                code: Code = []
                for operand in operands:
                    code += self._against_number(">", operand, 0)
                return code + [_OP["OR"]] * (len(operands) - 1)
        path = _path(left, self._type_name)
        found = None if path is None else self._found(path.element)
        if path is None or found is None:
            return UNKNOWN
        if not path.parts:
            operation = {">": "ABOVE_ZERO", ">=": "NOT_BELOW_ZERO"}.get(operator)
            place = self._single(path.element, "decimal", "integer")
            if number != 0 or operation is None or place is None:
                return UNKNOWN
            return [_OP[operation], *place]
        counts_itself = len(path.parts) == 1 and isinstance(path.parts[0], Call)
        if _outcome_of_empty(path.parts) != 0 or not counts_itself or operator not in (">", "<="):
            return UNKNOWN
        if operator == ">" and number == 0:
            return [_OP["EXISTS"], found[0]]
        if operator == "<=" and not found[1].is_list:
            return [_OP["PUSH_VALUE"], _YES if number >= 1 else _UNKNOWN]
        return self._without(found[0], operator == "<=")


def _constant(node: Expression) -> str | None:
    """A constant as it is in JSON, without quotes; None for what is none."""
    match node:
        case Literal(bool() as value):
            return "true" if value else "false"
        case Literal(str() as value):
            return value
        case Literal(int() as value):
            return str(value)
        case Constant("ucum"):
            return _UCUM
        case _:
            return None


def _required_coding(criterion: Expression) -> tuple[str, list[str]] | None:
    """System and codes of `system = '...' and (code = '...' or code = '...')`."""
    match criterion:
        case Operation(
            "and", (Operation("=", (Member(None, "system"), Literal(str() as system))), b)
        ):
            options = b.operands if isinstance(b, Operation) and b.operator == "or" else (b,)
        case _:
            return None
    codes = []
    for option in options:
        match option:
            case Operation("=", (Member(None, "code"), Literal(str() as code))):
                codes.append(code)
            case _:
                return None
    return system, codes
