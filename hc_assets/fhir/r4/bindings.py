"""Required bindings: whether a code is in its value set.

Belongs here: membership, and the checks of form that stand in for code systems whose codes can't
be listed. Which codes a value set holds is decided when the table is built, in `expansion.py`.
"""

import re
from collections.abc import Callable
from functools import cache

from hc_assets.fhir.r4.definitions import r4

# RFC 6838: type and subtype of restricted names, then parameters, whose values stay unchecked:
# HL7's own examples have spaces in them. Codes such as `xml` and `json` are in use for
# CapabilityStatement.format, whose definition says so.
_MIME = re.compile(
    r"[A-Za-z0-9][A-Za-z0-9!#$&^_.+-]{0,126}(?:/[A-Za-z0-9*][A-Za-z0-9!#$&^_.+*-]{0,126})?"
    r"(?: ?;[!-~]*(?: [!-~]+)*)?"
)
# RFC 5646, without the registry: language, script, region, variants, extensions, private use.
_LANGUAGE = re.compile(r"(?:[A-Za-z]{2,8}|[xXiI])(?:[-_][A-Za-z0-9]{1,8})*")
_CURRENCY = re.compile(r"[A-Z]{3}")
# UCUM: printable ASCII without white space; the grammar is not checked.
_UCUM = re.compile(r"[!-~]+")


def _anything(_: str) -> bool:
    return True


def _matcher(pattern: re.Pattern[str]) -> Callable[[str], bool]:
    return lambda code: pattern.fullmatch(code) is not None


SYNTAX_CHECKS: dict[str, Callable[[str], bool]] = {
    "any": _anything,
    "currency": _matcher(_CURRENCY),
    "language": _matcher(_LANGUAGE),
    "mime": _matcher(_MIME),
    "ucum": _matcher(_UCUM),
}


@cache
def codes_of(value_set: str) -> frozenset[str] | None:
    """The codes of a value set whatever their system; None where they can't be listed."""
    found = r4().value_set(value_set)
    if found.syntax:
        return None
    return frozenset(code for codes in found.codes.values() for code in codes)


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
    return SYNTAX_CHECKS[r4().value_set(value_set).syntax](code)


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
        return SYNTAX_CHECKS[r4().value_set(value_set).syntax](code)
    return isinstance(system, str) and (system, code) in _pairs_of(value_set)


def expectation(value_set: str) -> str:
    """What a value set expects, in words that fit on a line."""
    codes = codes_of(value_set)
    if codes is None:
        syntax = r4().value_set(value_set).syntax
        return f"a code of the form {syntax} (value set {value_set})"
    few = sorted(codes)
    listed = ", ".join(few[:12]) + (", ..." if len(few) > 12 else "")
    return f"one of {listed} (value set {value_set})"
