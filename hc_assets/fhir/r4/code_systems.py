"""The code systems that R4 publishes whole: which codes they have, and which one was meant.

Belongs here: look-up in `code_systems.json.gz`, which `fhir/r4/build/code_systems.py` writes. Value
sets, which bindings name, belong to `bindings.py`.
"""

import difflib
import gzip
from collections.abc import Iterable
from functools import cache, lru_cache
from pathlib import Path
from typing import NamedTuple

import msgspec

CODE_SYSTEMS_PATH = Path(__file__).with_name("code_systems.json.gz")
# A code that is no further from what was written may have been meant: how many kinds of characters
# differ, how much longer or shorter it is, and `difflib`'s ratio.
_MAX_KINDS = 4
_MAX_LENGTHS = 2
_LEAST_RATIO = 0.7
_BITS = 64


class CodeSystem(msgspec.Struct, frozen=True, omit_defaults=True):
    """A code system of which all codes are known.

    Attributes:
        codes: those of every level of its hierarchy.
        versions: as they are published in R4.
        ignores_case: whether a code may be written in other cases: where the code system says so,
            or doesn't say.
    """

    codes: tuple[str, ...]
    versions: tuple[str, ...] = ()
    ignores_case: bool = False


@cache
def code_systems() -> dict[str, CodeSystem]:
    """All of them, by URL; read on first use."""
    content = gzip.decompress(CODE_SYSTEMS_PATH.read_bytes())
    return msgspec.json.decode(content, type=dict[str, CodeSystem])


class _Candidate(NamedTuple):
    code: str
    folded: str
    kinds: int


class _Index(NamedTuple):
    codes: frozenset[str]
    candidates: tuple[_Candidate, ...]


def _kinds(text: str) -> int:
    """Which characters a text has, as bits: several share one."""
    found = 0
    for character in text:
        found |= 1 << ord(character) % _BITS
    return found


@cache
def _index(url: str) -> _Index:
    system = code_systems()[url]
    candidates = _candidates(system.codes)
    codes = (each.folded for each in candidates) if system.ignores_case else system.codes
    return _Index(frozenset(codes), candidates)


@cache
def _candidates(codes: tuple[str, ...]) -> tuple[_Candidate, ...]:
    return tuple(_Candidate(code, code.casefold(), _kinds(code.casefold())) for code in codes)


def is_unknown_code(system: str, version: object, code: str) -> bool:
    """Whether a code is certainly not in its code system.

    Args:
        system: URL of the code system, with or without `|version`.
        version: `Coding.version`; anything but a string counts as absent.
        code: the code.

    Returns:
        False as well where the code system isn't at hand, or another version of it is meant.
    """
    found = code_systems().get(system)
    if found is None or (isinstance(version, str) and version not in found.versions):
        return False
    return (code.casefold() if found.ignores_case else code) not in _index(system).codes


@lru_cache(maxsize=4096)
def nearest_code(system: str, code: str) -> str | None:
    """The code of a code system that was probably meant; None where none is near.

    Args:
        system: URL of a code system at hand.
        code: one that it doesn't have.
    """
    return _nearest(_index(system).candidates, code)


@lru_cache(maxsize=4096)
def nearest_of(codes: tuple[str, ...], code: str) -> str | None:
    """The one of some codes that was probably meant; None where none is near."""
    return _nearest(_candidates(codes), code)


def _nearest(candidates: Iterable[_Candidate], code: str) -> str | None:
    folded = code.casefold()
    kinds, size = _kinds(folded), len(folded)
    near = {
        each.folded: each.code
        for each in candidates
        if abs(len(each.folded) - size) <= _MAX_LENGTHS
        and (each.kinds ^ kinds).bit_count() <= _MAX_KINDS
    }
    best = difflib.get_close_matches(folded, near, n=1, cutoff=_LEAST_RATIO)
    return near[best[0]] if best else None
