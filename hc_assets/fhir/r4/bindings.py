"""Bindings: whether a code is in the value set that its element is bound to.

Belongs here: membership, and the checks of form that stand in for code systems whose codes can't be
listed. Which codes a value set holds is decided when the table is built, in
`fhir/r4/build/expansion.py`.
"""

import re
from functools import cache

from hc_assets.fhir.r4.definitions import TypeRef, r4

# Checks of form, anchored at both ends; both validation paths use them.
SYNTAX_PATTERNS: dict[str, str] = {
    "any": r"\A",
    # ISO 4217 is not at hand: three capital letters.
    "currency": r"\A[A-Z]{3}\Z",
    # RFC 5646, without the registry: language, script, region, variants, extensions, private use.
    "language": r"\A(?:[A-Za-z]{2,8}|[xXiI])(?:[-_][A-Za-z0-9]{1,8})*\Z",
    # RFC 6838: type and subtype of restricted names, then parameters, whose values stay unchecked:
    # HL7's own examples have spaces in them. Codes such as `xml` and `json` are in use for
    # CapabilityStatement.format, whose definition says so.
    "mime": (
        r"\A[A-Za-z0-9][A-Za-z0-9!#$&^_.+-]{0,126}(?:/[A-Za-z0-9*][A-Za-z0-9!#$&^_.+*-]{0,126})?"
        r"(?: ?;[!-~]*(?: [!-~]+)*)?\Z"
    ),
    # UCUM: printable ASCII without white space; the grammar is not checked.
    "ucum": r"\A[!-~]+\Z",
}
_COMPILED = {name: re.compile(pattern) for name, pattern in SYNTAX_PATTERNS.items()}


@cache
def codes_of(value_set: str) -> frozenset[str] | None:
    """The codes of a value set whatever their system; None where they can't be listed."""
    found = r4().value_set(value_set)
    if found.syntax:
        return None
    return frozenset(code for codes in found.codes.values() for code in codes)


def _has_syntax(value_set: str, code: str) -> bool:
    return _COMPILED[r4().value_set(value_set).syntax].search(code) is not None


@cache
def _pairs_of(value_set: str) -> frozenset[tuple[str, str]]:
    found = r4().value_set(value_set)
    return frozenset((system, code) for system, codes in found.codes.items() for code in codes)


def allows_code(value_set: str, code: str) -> bool:
    """Whether a value set has a code, for elements of type code, string and uri.

    Args:
        value_set: URL of a value set in the table.
        code: the code.

    Returns:
        True where the set has it; for sets that can't be listed, where its form is right.
    """
    codes = codes_of(value_set)
    if codes is not None:
        return code in codes
    return _has_syntax(value_set, code)


def allows_coding(value_set: str, system: object, code: object) -> bool:
    """Whether a value set has a Coding.

    Args:
        value_set: URL of a value set in the table.
        system: Coding.system; anything but a string counts as absent.
        code: Coding.code; anything but a string counts as absent.

    Returns:
        True where the set has that code of that system.
    """
    if not isinstance(code, str):
        return False
    if codes_of(value_set) is None:
        return _has_syntax(value_set, code)
    return isinstance(system, str) and (system, code) in _pairs_of(value_set)


def extensible_codes(value_set: str) -> dict[str, tuple[str, ...]]:
    """The codes of the value set of an extensible binding by system; empty where R4 has not all."""
    return r4().value_set(value_set).codes if value_set in r4().value_set_urls else {}


def extensible_of(ref: TypeRef) -> str:
    """URL of the value set that the units of a type of quantities are bound to; "" for others.

    Extensible bindings of codings are not looked at: R4 lets a sender take another code where none
    of the set fits, and one that its code system has shows that somebody meant it.
    """
    return r4().type(ref.code).extensible


def expectation(value_set: str) -> str:
    """What a value set expects, in words that fit on a line."""
    codes = codes_of(value_set)
    if codes is None:
        syntax = r4().value_set(value_set).syntax
        return f"a code of the form {syntax} (value set {value_set})"
    few = sorted(codes)
    listed = ", ".join(few[:12]) + (", ..." if len(few) > 12 else "")
    return f"one of {listed} (value set {value_set})"
