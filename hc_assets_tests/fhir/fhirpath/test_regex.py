"""Patterns that could take exponential time are distinguished from those that can't."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hc_assets.fhir.fhirpath import UndecidableError
from hc_assets.fhir.fhirpath.regex import compile_pattern


@pytest.mark.parametrize(
    "pattern",
    [
        r"^[A-Z]([A-Za-z0-9_]){0,254}$",
        r"^[a-zA-Z0-9\/\-_\[\]\@]+$",
        r"^[A-Za-z][A-Za-z0-9]*(\.[a-z][A-Za-z0-9]*(\[x])?)*$",
        r"""^[^\s\.,:;\'"\/|?!@#$%&*()\[\]{}]{1,64}(\.[^\s\.,:;\'"\/|?!@#$%&*()\[\]{}]{1,64}"""
        r"(\[x\])?(\:[^\s\.]+)?)*$",
        r"\..*",
        r"^http:\/\/hl7\.org\/fhirpath\/System\.[A-Z][A-Za-z]+$",
        r"(0|([1-9][0-9]*))(\.[0-9]+)?",
        r"(urn:oid:)?[0-2](\.(0|[1-9][0-9]*))+",
        r"(?i)(a+b)*",
        r"(?:ab|cd)+",
        r"(a(?=b)b)+",
        r"(ab{2}c?)*x",
        r"x{}",
        r"[[]a",
    ],
)
def test_patterns_with_one_way_to_match_are_compiled(pattern: str) -> None:
    assert isinstance(compile_pattern(pattern), re.Pattern)


@pytest.mark.parametrize(
    "pattern",
    [
        r"(a+)+$",
        r"(a*)*",
        r"(a|a)*$",
        r"(a|ab?)*$",
        r"([a-z]+[0-9]*)+",
        r"(.*b)+",
        r"(a+b?)+c",
        r"(a?a?)*",
        r"((a+)b?)+",
        r"(?i)(a+A)+",
        r"(\w+\s?)*$",
        r"(a{1,50}){20}",
        r"(a+){,}",
    ],
)
def test_patterns_with_many_ways_to_match_are_refused(pattern: str) -> None:
    with pytest.raises(UndecidableError, match="exponential"):
        compile_pattern(pattern)


@pytest.mark.parametrize("pattern", [r"\p{L}", "(", r"(a)\1", r"(?#x)a", "[", "*", r"(?P=a)"])
def test_other_dialects_are_undecidable(pattern: str) -> None:
    with pytest.raises(UndecidableError):
        compile_pattern(pattern)


_PIECES = st.sampled_from([*r"ab.()[]{}|*+?^$\,-1", "(?:", "[^", "{2,}", "{1,64}", r"\s", r"\d"])


@given(st.lists(_PIECES, max_size=25).map("".join))
def test_any_pattern_compiles_or_is_undecidable(pattern: str) -> None:
    try:
        compile_pattern(pattern)
    except UndecidableError:
        return


# Loops in loops that a text of 40 letters would keep busy for ages, were they let through.
_ATOMS = st.sampled_from(["a", "b", "[ab]", ".", "[^b]"])
_LOOPS = st.sampled_from(["*", "+", "{1,}", "{0,30}", "?", ""])
_SIMPLE = st.lists(st.tuples(_ATOMS, _LOOPS).map("".join), min_size=1, max_size=3).map("".join)
_NESTED = st.tuples(st.lists(_SIMPLE, min_size=1, max_size=3).map("|".join), _LOOPS).map(
    lambda parts: f"({parts[0]}){parts[1]}"
)


@given(st.lists(st.one_of(_SIMPLE, _NESTED), max_size=2).map("".join))
def test_what_is_let_through_ends_soon(pattern: str) -> None:
    try:
        compiled = compile_pattern(f"^{pattern}$")
    except UndecidableError:
        return
    for text in ("a" * 40 + "c", "ab" * 20 + "c", "b" * 40 + "c"):
        compiled.search(text)
