"""Expression constraints of SNOMED CT: whether the text of one can be read.

Belongs here: the brief and the long syntax of ECL 2.2, as a reader that says yes or no. Which
concepts an expression stands for needs SNOMED CT itself; filters and history supplements, which
stand in double braces, are not looked into.
"""

import re
from typing import NamedTuple

_CONCEPT = r"[0-9]{6,18}(?:\s*\|[^|]*\|)?"
_ALTERNATE = r"[A-Za-z][A-Za-z0-9-]*#(?:[A-Za-z0-9._-]+|\"[^\"]*\")(?:\s*\|[^|]*\|)?"
_TEXT = r'"(?:[^"\\]|\\.)*"'
_TOKEN = re.compile(
    rf"\s*(?:(?P<braces>\{{\{{(?:{_TEXT}|[^\"}}]|\}}(?!\}}))*\}}\}})"
    rf"|(?P<concept>{_CONCEPT}|{_ALTERNATE})"
    r"|(?P<number>#[+-]?[0-9]+(?:\.[0-9]+)?)"
    rf"|(?P<text>{_TEXT})"
    r"|(?P<range>[0-9]+\s*\.\.\s*(?:[0-9]+|\*))"
    r"|(?P<word>[A-Za-z]+)"
    r"|(?P<sign><<!|>>!|<<|>>|<!|>!|!!<|!!>|<=|>=|!=|<>|[<>^*():,.={}\[\]]))"
)
_COMMENT = re.compile(r"/\*.*?\*/", re.DOTALL)
_OPERATORS = frozenset(
    {"<<!", ">>!", "<<", ">>", "<!", ">!", "!!<", "!!>", "<", ">"}
    | {"descendantorselfof", "descendantof", "childof", "childorselfof", "ancestorof"}
    | {"ancestororselfof", "parentof", "parentorselfof", "top", "bottom"}
)
_MEMBER_OF = frozenset({"^", "memberof"})
_JOINTS = frozenset({"and", "or", ",", "minus"})
_COMPARISONS = frozenset({"=", "!=", "<>", "<", "<=", ">", ">="})


class _Token(NamedTuple):
    kind: str
    text: str


class _UnreadableError(Exception):
    """The text is no expression constraint."""


class _Reader:
    """Reads one expression; its methods follow the rules of the grammar."""

    def __init__(self, text: str) -> None:
        self._tokens = _tokens(_COMMENT.sub(" ", text))
        self._at = 0

    @property
    def _next(self) -> _Token:
        return self._tokens[self._at] if self._at < len(self._tokens) else _Token("end", "")

    def _takes(self, *texts: str) -> bool:
        """Whether one of some signs or words comes next; it is behind then."""
        if self._next.kind in ("sign", "word") and self._next.text in texts:
            self._at += 1
            return True
        return False

    def _takes_kind(self, *kinds: str) -> bool:
        if self._next.kind in kinds:
            self._at += 1
            return True
        return False

    def _must(self, is_there: bool) -> None:
        if not is_there:
            raise _UnreadableError

    def whole(self) -> None:
        self._expression()
        self._must(self._next.kind == "end")

    def _expression(self) -> None:
        self._part()
        if self._takes(":"):
            self._refinement()
        elif self._takes("."):
            self._part()
            while self._takes("."):
                self._part()
        else:
            while self._takes(*_JOINTS):
                self._part()

    def _part(self) -> None:
        self._takes(*_OPERATORS)
        if self._takes(*_MEMBER_OF) and self._takes("["):
            if not self._takes("*"):
                self._must(self._takes_kind("word"))
                while self._takes(","):
                    self._must(self._takes_kind("word"))
            self._must(self._takes("]"))
        if self._takes("("):
            self._expression()
            self._must(self._takes(")"))
        else:
            self._must(self._takes_kind("concept") or self._takes("*", "any"))
        while self._takes_kind("braces"):
            pass

    def _refinement(self) -> None:
        self._refined()
        while self._takes("and", "or", ","):
            self._refined()

    def _refined(self) -> None:
        """An attribute, a group of them in braces, or either in brackets."""
        self._cardinality()
        if self._takes("{"):
            self._refinement()
            self._must(self._takes("}"))
            return
        start = self._at
        if self._takes("("):
            try:
                self._refinement()
                self._must(self._takes(")"))
            except _UnreadableError:
                self._at = start  # the attribute's name is in brackets
            else:
                return
        self._cardinality()
        self._takes("r", "reverseof")
        self._part()
        self._must(self._takes(*_COMPARISONS))
        if self._takes("("):
            self._at -= 1
            if self._values():
                return
        if not (self._takes_kind("number", "text") or self._takes("true", "false")):
            self._part()

    def _values(self) -> bool:
        """A set of texts in brackets; False, with nothing behind, for anything else."""
        start = self._at
        self._takes("(")
        while self._takes_kind("number", "text"):
            pass
        if self._at > start + 1 and self._takes(")"):
            return True
        self._at = start
        return False

    def _cardinality(self) -> None:
        if self._takes("["):
            self._must(self._takes_kind("range"))
            self._must(self._takes("]"))


def _tokens(text: str) -> list[_Token]:
    """Take a text apart.

    Raises:
        _UnreadableError: something in it belongs to no expression.
    """
    found, at, end = [], 0, len(text.rstrip())
    while at < end:
        match = _TOKEN.match(text, at)
        if match is None or match.lastgroup is None:
            raise _UnreadableError
        found.append(_Token(match.lastgroup, match[match.lastgroup].lower()))
        at = match.end()
    return found


def is_expression_constraint(text: str) -> bool:
    """Whether a text is an expression constraint of SNOMED CT by its syntax.

    >>> is_expression_constraint("< 19829001 |Disorder of lung| : 116676008 = << 79654002")
    True
    >>> is_expression_constraint("234234 << 234234")
    False
    """
    try:
        _Reader(text).whole()
    except (_UnreadableError, RecursionError):
        return False
    return True
