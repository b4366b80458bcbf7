"""Regular expressions of FHIRPath, kept from taking exponential time.

Belongs here: compiling a pattern for Python's `re` after looking for loops within loops that can
match the same text in many ways. What `matches` means belongs to `functions/strings.py`.
"""

import re
import warnings
from dataclasses import dataclass, field
from functools import cache, lru_cache

from hc_assets.fhir.fhirpath.errors import UndecidableError

# Even without nested loops a pattern may take time that grows with the square of the text: at this
# length that is about a second.
MAX_TEXT = 10_000
_MANY = 10
_ALPHABET = [chr(code) for code in range(128)] + ["é", "漢"]
_QUANTIFIER = re.compile(r"(?:[*+?]|\{(\d*)(,?)(\d*)\})[?+]?", re.ASCII)
_CLASS = re.compile(r"\[\^?\]?(?:[^\]\\]|\\.)*\]", re.DOTALL)
_GROUP_START = re.compile(r"\((?:\?(?::|[=!]|<[=!]|P?<[A-Za-z]\w*>))?")
_ESCAPE = re.compile(r"\\(?:x[0-9A-Fa-f]{2}|u[0-9A-Fa-f]{4}|[^0-9ku])", re.DOTALL)


@dataclass(slots=True)
class _Span:
    """What is known of a part of a pattern.

    Attributes:
        first: characters that it may begin with.
        is_nullable: it matches the empty text.
        loops: for each repeated character class in it that may be followed by what comes after the
            part: the characters that the class matches.
    """

    first: frozenset[str] = frozenset()
    is_nullable: bool = True
    loops: list[frozenset[str]] = field(default_factory=list)


@lru_cache(maxsize=512)
def compile_pattern(pattern: str) -> re.Pattern[str]:
    """Compile a pattern; `.` matches line ends too, as in HL7's validator.

    Args:
        pattern: a regular expression in the syntax that Java, PCRE and Python share.

    Raises:
        UndecidableError: Python's `re` doesn't know the syntax, or the pattern might take
            exponential time: a loop holds another loop, or alternatives, that can match the same
            text in several ways. The test errs on the side of refusal.
    """
    with warnings.catch_warnings():
        # `[[` and `--` may change their meaning in a later Python; FHIR means them literally.
        warnings.simplefilter("ignore", FutureWarning)
        try:
            compiled = re.compile(pattern, re.DOTALL)
        except (re.error, OverflowError, RecursionError) as error:
            raise UndecidableError("a regular expression of another dialect") from error
        _Scanner(pattern, compiled.flags).check()
    return compiled


@cache
def _characters(atom: str, flags: int) -> frozenset[str]:
    test = re.compile(atom, flags)
    return frozenset(letter for letter in _ALPHABET if test.fullmatch(letter))


class _Scanner:
    """Reads the structure of a pattern that `re` has accepted."""

    def __init__(self, pattern: str, flags: int) -> None:
        self._pattern = pattern
        self._flags = flags
        self._position = 0
        self._loop_depth = 0

    def check(self) -> None:
        if self._pattern.startswith("(?"):
            # Flags such as (?i) stand at the start alone; they don't change the structure.
            flags = re.match(r"\(\?[a-z]+\)", self._pattern)
            self._position = flags.end() if flags else 0
        self._alternatives()
        if self._position < len(self._pattern):
            raise UndecidableError("a regular expression of unknown structure")

    def _alternatives(self) -> tuple[_Span, bool]:
        """The span of `a|b|c`, and whether two of the alternatives may begin alike."""
        spans = [self._sequence()]
        while self._pattern.startswith("|", self._position):
            self._position += 1
            spans.append(self._sequence())
        whole = _Span(
            frozenset().union(*(span.first for span in spans)),
            any(span.is_nullable for span in spans),
            [loop for span in spans for loop in span.loops],
        )
        overlaps = sum(len(span.first) for span in spans) > len(whole.first)
        return whole, overlaps and len(spans) > 1

    def _sequence(self) -> _Span:
        whole = _Span()
        while self._position < len(self._pattern) and self._pattern[self._position] not in "|)":
            whole = self._followed(whole, self._repeated())
        return whole

    def _followed(self, before: _Span, after: _Span) -> _Span:
        if self._loop_depth:
            _refuse_overlap(before.loops, after.first)
        return _Span(
            before.first | after.first if before.is_nullable else before.first,
            before.is_nullable and after.is_nullable,
            [*before.loops, *after.loops] if after.is_nullable else after.loops,
        )

    def _repeated(self) -> _Span:
        start = self._position
        is_group = self._pattern[start] == "("
        end, is_many, may_be_none = self._quantifier_after(start)
        self._loop_depth += is_many
        span, overlaps = self._group() if is_group else (self._atom(), False)
        self._loop_depth -= is_many
        self._position = end
        if is_many and is_group:
            _refuse_overlap(span.loops, span.first)
            if overlaps or span.is_nullable:
                raise UndecidableError("a regular expression that may take exponential time")
        if is_many and not is_group:
            span.loops = [span.first]
        span.is_nullable = span.is_nullable or may_be_none
        return span

    def _quantifier_after(self, start: int) -> tuple[int, bool, bool]:
        """Where the quantified part ends, whether it is a loop, whether it may be left out."""
        end = self._end_of_atom(start)
        match = _QUANTIFIER.match(self._pattern, end)
        if match is None or match.group() == "{}":
            return end, False, False
        text, low, comma, high = match.group(0), match.group(1), match.group(2), match.group(3)
        if text[0] in "*+?":
            return match.end(), text[0] != "?", text[0] != "+"
        least = int(low or 0)
        is_many = (comma == "," and not high) or int(high or least) > _MANY
        return match.end(), is_many, least == 0

    def _end_of_atom(self, start: int) -> int:
        pattern = self._pattern
        if pattern[start] != "(":
            return self._simple_atom(start)
        depth, position = 0, start
        while position < len(pattern):
            letter = pattern[position]
            if letter in "[\\":
                position = self._simple_atom(position)
                continue
            depth += (letter == "(") - (letter == ")")
            position += 1
            if depth == 0:
                return position
        raise UndecidableError("a regular expression of unknown structure")

    def _simple_atom(self, start: int) -> int:
        for kind in (_CLASS, _ESCAPE):
            match = kind.match(self._pattern, start)
            if match:
                return match.end()
        if self._pattern[start] in "[\\":
            raise UndecidableError("a regular expression of unknown structure")
        return start + 1

    def _group(self) -> tuple[_Span, bool]:
        match = _GROUP_START.match(self._pattern, self._position)
        if match is None or self._pattern.startswith("?", match.end()):
            raise UndecidableError("a regular expression of unknown structure")
        self._position = match.end()
        inner = self._alternatives()
        self._position += 1
        looks_around = match.group().endswith(("=", "!"))
        return (_Span(), False) if looks_around else inner

    def _atom(self) -> _Span:
        end = self._simple_atom(self._position)
        atom = self._pattern[self._position : end]
        if atom in ("^", "$", r"\b", r"\B", r"\A", r"\Z", r"\z"):
            return _Span()
        return _Span(_characters(atom, self._flags), is_nullable=False)


def _refuse_overlap(loops: list[frozenset[str]], next_: frozenset[str]) -> None:
    if any(not loop.isdisjoint(next_) for loop in loops):
        raise UndecidableError("a regular expression that may take exponential time")
