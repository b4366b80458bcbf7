"""Which types a path can give, as far as the definitions of R4 say it before any data is seen.

Belongs here: types of expressions. What a view does with them is in `reading.py`; whether a value
is of a type is asked of `fhir/fhirpath`.
"""

from collections.abc import Mapping

from hc_assets.fhir.fhirpath import Temporal, TypeView, functions
from hc_assets.fhir.fhirpath.syntax import (
    LOOKING_AT_EACH,
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
)
from hc_assets.fhir.views.definition import Family

# Names of types; none where a path can give nothing, None where nothing is known of it.
Types = frozenset[str] | None

_BOOLEAN = frozenset({"boolean"})
_STRING = frozenset({"string"})
_INTEGER = frozenset({"integer"})
_DECIMAL = frozenset({"decimal"})
# Whose argument is the name of a type.
_OF_TYPES = frozenset({"ofType", "as", "is", "getReferenceKey"})
_ANY_RESOURCE = frozenset({"Resource", "DomainResource"})
_NUMBERS = frozenset({"integer", "decimal", "positiveInt", "unsignedInt", "integer64"})
_WHOLE = _NUMBERS - {"decimal"}
_SAME = frozenset(
    {"where", "first", "last", "tail", "skip", "take", "single", "distinct", "trace", "exclude"}
    | {"intersect", "lowBoundary", "highBoundary", "abs", "sort"}
)
_GIVES: Mapping[str, frozenset[str]] = {
    **dict.fromkeys(("count", "length", "indexOf", "toInteger", "precision"), _INTEGER),
    **dict.fromkeys(("ceiling", "floor", "truncate"), _INTEGER),
    **dict.fromkeys(("toDecimal", "round", "sqrt", "ln", "log", "exp"), _DECIMAL),
    **dict.fromkeys(("getResourceKey", "getReferenceKey", "join", "toString"), _STRING),
    **dict.fromkeys(("substring", "upper", "lower", "replace", "replaceMatches"), _STRING),
    **dict.fromkeys(("trim", "split", "encode", "decode", "escape", "unescape"), _STRING),
    "toChars": _STRING,
    "extension": frozenset({"Extension"}),
    "toBoolean": _BOOLEAN,
    "toDate": frozenset({"date"}),
    "toDateTime": frozenset({"dateTime"}),
    "toTime": frozenset({"time"}),
    "now": frozenset({"dateTime"}),
    "today": frozenset({"date"}),
}
_TRUTHS = frozenset({"and", "or", "xor", "implies", "=", "!=", "~", "!~", "<", "<=", ">", ">="})


class PathTypes:
    """Types of the paths of one view."""

    def __init__(self, types: TypeView, resource: str) -> None:
        """Look types up.

        Args:
            types: of R4.
            resource: type of the view's resources.
        """
        self._types, self._resource = types, resource
        self._unknown: list[str] = []
        self._tests = {*functions.tests(types), "exists", "all", "is"}

    def unknown(self, tree: Expression, focus: Types) -> list[str]:
        """What an expression asks for that no type has there, each in words.

        Args:
            tree: the expression.
            focus: types of what it looks at.
        """
        self._unknown = []
        self.of(tree, focus)
        return list(dict.fromkeys(self._unknown))

    def of(self, tree: Expression, focus: Types) -> Types:  # noqa: PLR0911 - one a kind
        """Types that an expression can give.

        Args:
            tree: the expression.
            focus: types of what it looks at.
        """
        match tree:
            case Literal(value):
                return _literal(value)
            case EmptyCollection():
                return frozenset()
            case Variable("this"):
                return focus
            case Variable("index") | Constant("rowIndex"):
                return _INTEGER
            case Constant("resource"):
                return frozenset({self._resource})
            case Constant(name):
                return None if name in ("rootResource", "context") else _STRING
            case Member(base, name):
                return self._member(base, name, focus)
            case Indexer(base, _) | Unary(_, base):
                return self.of(base, focus)
            case TypeOperation("is", operand, _):
                self.of(operand, focus)
                return _BOOLEAN
            case TypeOperation(_, operand, name):
                return self._narrowed(self.of(operand, focus), name)
            case Call():
                return self._call(tree, focus)
            case Operation(operator, operands):
                return self._operation(operator, [self.of(each, focus) for each in operands])
        return None

    def _member(self, base: Expression | None, name: str, focus: Types) -> Types:
        before = focus if base is None else self.of(base, focus)
        if before is None:
            return None
        if base is None and name[:1].isupper():
            named = frozenset(each for each in before if self._types.is_a(each, name))
            if named:
                return named
        found: set[str] = set()
        hint = ""
        for type_ in before:
            members = self._types.members(type_)
            if members is None or type_ in _ANY_RESOURCE:
                return None
            found |= {code for element, code in members.values() if element == name}
            if name in members:
                hint = f"; {members[name][0]} is its name in FHIRPath"
        if before and not found:
            self._unknown.append(f"no element {name} of {', '.join(sorted(before))}{hint}")
        return None if found & {*_ANY_RESOURCE, ""} else frozenset(found)

    def _narrowed(self, types: Types, name: str) -> Types:
        local = name.rpartition(".")[2]
        if types is None:
            return frozenset({local[:1].lower() + local[1:] if name != local else local})
        return frozenset(each for each in types if self._types.is_a(each, local))

    def _call(self, call: Call, focus: Types) -> Types:
        name, arguments = call.name, call.arguments
        base = focus if call.base is None else self.of(call.base, focus)
        if name not in _OF_TYPES:
            for each in arguments:  # for what is unknown in them
                self.of(each, base if name in LOOKING_AT_EACH else focus)
        if name in self._tests:
            return _BOOLEAN
        match name, arguments:
            case "ofType" | "as", (Member(None, type_),):
                return self._narrowed(base, type_)
            case "ofType" | "as", (Member(Member(None, _), type_),):
                return self._narrowed(base, type_)
            case "select", (projection,):
                return self.of(projection, base)
            case "iif", (_, one, *others):
                return _either([self.of(each, base) for each in (one, *others)])
            case "union" | "combine", (other,):
                return _either([base, self.of(other, focus)])
        return base if name in _SAME else _GIVES.get(name)

    def _operation(self, operator: str, operands: list[Types]) -> Types:
        if operator in _TRUTHS or operator in ("in", "contains"):
            return _BOOLEAN
        if operator == "|":
            return _either(operands)
        if operator == "&":
            return _STRING
        if operator == "/":
            return _DECIMAL
        joined = _either(operands)
        if joined is None or not joined:
            return joined
        if joined <= _WHOLE:
            return _INTEGER
        if joined <= _NUMBERS:
            return _DECIMAL
        return _STRING if operator == "+" and families(joined) == {"text"} else None


def _either(alternatives: list[Types]) -> Types:
    found: frozenset[str] = frozenset()
    for each in alternatives:
        if each is None:
            return None
        found |= each
    return found


def _literal(value: object) -> Types:
    if isinstance(value, bool):
        return _BOOLEAN
    if isinstance(value, str):
        return _STRING
    if isinstance(value, int):
        return _INTEGER
    if isinstance(value, Temporal):
        if value.is_time:
            return frozenset({"time"})
        return frozenset({"dateTime" if len(value.fields) > 3 else "date"})
    return frozenset({"Quantity"}) if hasattr(value, "unit") else _DECIMAL


def family_of(type_: str) -> Family | None:
    """How values of a primitive type are kept; None for a type that is none."""
    if not type_[:1].islower():
        return None
    if type_ == "boolean":
        return "boolean"
    if type_ in _WHOLE:
        return "integer"
    return "decimal" if type_ == "decimal" else "text"


def families(names: frozenset[str]) -> set[Family | None]:
    """How values of several types are kept; with None where one of them is no primitive."""
    return {family_of(name) for name in names}
