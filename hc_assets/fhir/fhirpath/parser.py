"""Reads FHIRPath: text to syntax tree, by precedence climbing over a flat list of tokens.

Belongs here: the grammar, the escapes of strings, the limits on an expression's size. What names
and functions mean belongs to `compiler.py`.
"""

import re
from decimal import Decimal
from typing import NamedTuple

from hc_assets.fhir.fhirpath.errors import EvaluationError, FhirPathSyntaxError
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
    parts,
)
from hc_assets.fhir.fhirpath.values import CALENDAR_WORDS, Quantity, parse_temporal

# An expression is compiled and evaluated by nested calls: these limits keep both far from Python's
# own limit of recursion. The longest of R4's invariants has 121 tokens and nests 11 deep.
MAX_TOKENS = 4000
MAX_DEPTH = 100
_MAX_NESTING = 30
_MAX_DIGITS = 28

_PRECEDENCE = {
    "implies": 1,
    "or": 2,
    "xor": 2,
    "and": 3,
    "in": 4,
    "contains": 4,
    "=": 5,
    "~": 5,
    "!=": 5,
    "!~": 5,
    "<=": 6,
    "<": 6,
    ">": 6,
    ">=": 6,
    "|": 7,
    "is": 8,
    "as": 8,
    "+": 9,
    "-": 9,
    "&": 9,
    "*": 10,
    "/": 10,
    "div": 10,
    "mod": 10,
}
_CHAINED = frozenset({"and", "or", "|", "+", "&"})
_RESERVED = frozenset({"and", "or", "xor", "implies", "div", "mod"})
_ESCAPES = {"r": "\r", "n": "\n", "t": "\t", "f": "\f"} | {c: c for c in "'\"`\\/"}

_TIME = r"\d\d(?::\d\d(?::\d\d(?:\.\d+)?)?)?"
_TOKEN = re.compile(
    rf"""
    (?P<space>\s+|//[^\r\n]*|/\*.*?\*/)
  | (?P<temporal>@(?:T{_TIME}|\d{{4}}(?:-\d\d(?:-\d\d)?)?(?:T(?:{_TIME})?(?:Z|[+-]\d\d:\d\d)?)?))
  | (?P<number>\d+(?:\.\d+)?)
  | (?P<string>'(?:[^'\\]|\\.)*')
  | (?P<quoted>`(?:[^`\\]|\\.)*`)
  | (?P<constant>%(?:[A-Za-z_][A-Za-z0-9_-]*|'(?:[^'\\]|\\.)*'|`(?:[^`\\]|\\.)*`))
  | (?P<variable>\$(?:this|index|total)\b)
  | (?P<word>[A-Za-z_][A-Za-z0-9_]*)
  | (?P<sign><=|>=|!=|!~|[-+*/|&<>=~.,()\[\]{{}}])
    """,
    re.VERBOSE | re.DOTALL | re.ASCII,
)


class _Token(NamedTuple):
    kind: str
    text: str
    position: int


def parse(text: str) -> Expression:
    """Read an expression.

    Args:
        text: FHIRPath, as in the `expression` of an invariant.

    Returns:
        Its syntax tree, at most `MAX_DEPTH` deep.

    Raises:
        FhirPathSyntaxError: it isn't FHIRPath, or it is larger than the limits above.
    """
    parser = _Parser(_tokens(text))
    expression = parser.expression(1)
    parser.expect_end()
    _check_depth(expression)
    return expression


def _tokens(text: str) -> list[_Token]:
    tokens = []
    position = 0
    while position < len(text):
        match = _TOKEN.match(text, position)
        if match is None or match.lastgroup is None:
            raise FhirPathSyntaxError("unexpected character or unfinished literal", position)
        if match.lastgroup != "space":
            tokens.append(_Token(match.lastgroup, match.group(), position))
            if len(tokens) > MAX_TOKENS:
                raise FhirPathSyntaxError(f"more than {MAX_TOKENS} tokens", position)
        position = match.end()
    tokens.append(_Token("end", "", len(text)))
    return tokens


def _check_depth(expression: Expression) -> None:
    level = [expression]
    for _ in range(MAX_DEPTH):
        level = [part for node in level for part in parts(node)]
        if not level:
            return
    raise FhirPathSyntaxError(f"nested more than {MAX_DEPTH} deep")


def _unescape(token: _Token) -> str:
    body = token.text[1:-1]
    if "\\" not in body:
        return body
    pieces = []
    position = 0
    while (slash := body.find("\\", position)) >= 0:
        pieces.append(body[position:slash])
        letter = body[slash + 1]
        position = slash + 2
        if letter == "u":
            code = body[position : position + 4]
            if not re.fullmatch("[0-9A-Fa-f]{4}", code):
                raise FhirPathSyntaxError("unfinished \\u escape", token.position)
            pieces.append(chr(int(code, 16)))
            position += 4
        elif letter in _ESCAPES:
            pieces.append(_ESCAPES[letter])
        else:
            raise FhirPathSyntaxError(f"unknown escape \\{letter}", token.position)
    pieces.append(body[position:])
    return "".join(pieces)


class _Parser:
    """Walks the tokens; each method reads one rule of the grammar and leaves the rest."""

    def __init__(self, tokens: list[_Token]) -> None:
        self._tokens = tokens
        self._next = 0
        self._nesting = 0

    def _peek(self) -> _Token:
        return self._tokens[self._next]

    def _take(self) -> _Token:
        token = self._tokens[self._next]
        if token.kind == "end":
            raise FhirPathSyntaxError("the expression ends too soon", token.position)
        self._next += 1
        return token

    def _take_if(self, sign: str) -> bool:
        token = self._peek()
        if token.kind == "sign" and token.text == sign:
            self._next += 1
            return True
        return False

    def _expect(self, sign: str) -> None:
        if not self._take_if(sign):
            raise FhirPathSyntaxError(f"expected {sign}", self._peek().position)

    def expect_end(self) -> None:
        token = self._peek()
        if token.kind != "end":
            raise FhirPathSyntaxError("expected an operator or the end", token.position)

    def expression(self, lowest: int) -> Expression:
        """Operators that bind at least as tightly as `lowest`; all associate to the left."""
        left = self._prefixed()
        while True:
            token = self._peek()
            precedence = _PRECEDENCE.get(token.text) if token.kind in ("word", "sign") else None
            if precedence is None or precedence < lowest:
                return left
            self._next += 1
            if token.text in ("is", "as"):
                left = TypeOperation(token.text, left, self._type_name())
            else:
                left = _joined(token.text, left, self.expression(precedence + 1))

    def _nested(self) -> Expression:
        self._nesting += 1
        if self._nesting > _MAX_NESTING:
            raise FhirPathSyntaxError(
                f"brackets nested more than {_MAX_NESTING} deep", self._peek().position
            )
        inner = self.expression(1)
        self._nesting -= 1
        return inner

    def _prefixed(self) -> Expression:
        signs = []
        while (token := self._peek()).kind == "sign" and token.text in "+-":
            signs.append(token.text)
            self._next += 1
        operand = self._path()
        for sign in reversed(signs):
            operand = Unary(sign, operand)
        return operand

    def _path(self) -> Expression:
        base = self._term()
        while True:
            if self._take_if("."):
                base = self._invocation(base)
            elif self._take_if("["):
                base = Indexer(base, self._nested())
                self._expect("]")
            else:
                return base

    def _term(self) -> Expression:
        token = self._peek()
        match token.kind:
            case "number":
                return self._number()
            case "string":
                return Literal(_unescape(self._take()))
            case "temporal":
                return self._temporal()
            case "variable":
                return Variable(self._take().text[1:])
            case "constant":
                return Constant(_constant_name(self._take()))
            case "word" if token.text in ("true", "false"):
                return Literal(self._take().text == "true")
            case "word" | "quoted":
                return self._invocation(None)
        if self._take_if("("):
            inner = self._nested()
            self._expect(")")
            return inner
        if self._take_if("{"):
            self._expect("}")
            return EmptyCollection()
        raise FhirPathSyntaxError("expected a value, a name or a bracket", token.position)

    def _temporal(self) -> Literal:
        token = self._take()
        try:
            return Literal(parse_temporal(token.text[1:]))
        except EvaluationError as error:
            raise FhirPathSyntaxError(str(error), token.position) from error

    def _number(self) -> Literal:
        token = self._take()
        if len(token.text) > _MAX_DIGITS:
            raise FhirPathSyntaxError(f"a number of more than {_MAX_DIGITS} digits", token.position)
        value = Decimal(token.text)
        unit = self._peek()
        if unit.kind == "string":
            return Literal(Quantity(value, _unescape(self._take()), is_ucum=True))
        if unit.kind == "word" and unit.text in CALENDAR_WORDS:
            return Literal(Quantity(value, CALENDAR_WORDS[self._take().text], is_ucum=False))
        return Literal(value if "." in token.text else int(token.text))

    def _name(self) -> str:
        token = self._take()
        if token.kind == "quoted":
            return _unescape(token)
        if token.kind != "word" or token.text in _RESERVED:
            raise FhirPathSyntaxError("expected a name", token.position)
        return token.text

    def _invocation(self, base: Expression | None) -> Expression:
        if self._peek().kind == "variable" and base is not None:
            raise FhirPathSyntaxError("a variable can't follow a dot", self._peek().position)
        position = self._peek().position
        name = self._name()
        if not self._take_if("("):
            return Member(base, name)
        arguments: list[Expression] = []
        if not self._take_if(")"):
            arguments.append(self._argument(name))
            while self._take_if(","):
                arguments.append(self._argument(name))
            self._expect(")")
        return Call(base, name, tuple(arguments), position)

    def _argument(self, function: str) -> Expression:
        argument = self._nested()
        token = self._peek()
        if function == "sort" and token.kind == "word" and token.text in ("asc", "desc"):
            self._next += 1
            return Unary("-", argument) if token.text == "desc" else argument
        return argument

    def _type_name(self) -> str:
        name = self._name()
        return f"{name}.{self._name()}" if self._take_if(".") else name


def _joined(operator: str, left: Expression, right: Expression) -> Operation:
    """One node for `a or b or c`: a long list of alternatives doesn't nest."""
    if operator in _CHAINED and isinstance(left, Operation) and left.operator == operator:
        return Operation(operator, (*left.operands, right))
    return Operation(operator, (left, right))


def _constant_name(token: _Token) -> str:
    name = token.text[1:]
    return _unescape(_Token("string", name, token.position)) if name[0] in "'`" else name
