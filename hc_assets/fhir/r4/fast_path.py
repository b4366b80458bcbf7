"""The fast path: is this resource certainly valid? It may say that it can't tell.

Belongs here: what holds for a resource as a whole, around the structs of `decoders.py`: repeated
member names, empty objects, contained resources, bundle entries. Issues in words belong to
`walker.py`.
"""

import re
from collections.abc import Callable
from functools import cache
from typing import Any, NamedTuple

import msgspec
from msgspec import UNSET

from hc_assets.fhir.r4.decoders import decoder
from hc_assets.fhir.r4.definitions import r4
from hc_assets.fhir.r4.fast_bundles import Piece, bundle_is_right, entry_of
from hc_assets.fhir.r4.fast_references import references_resolve
from hc_assets.fhir.r4.json_text import MAX_DEPTH, exceeds_depth, has_repeated_names
from hc_assets.fhir.r4.primitives import MAX_STRING_LENGTH

_TYPE_FIRST = re.compile(rb'\s*\{\s*"resourceType"\s*:\s*"([A-Za-z]{1,40})"')
_EMPTY_OBJECT = re.compile(rb"\{\}")  # a pattern finds it in half the time that `in` takes
_CONTROL_ESCAPE = re.compile(rb"\\(?:u00[01]|[bf])")
# Levels that extensions or bundles may add without leaving half of the levels allowed: the deepest
# type of R4 has 14, a level of extension adds its array, itself and its value.
_FEW = 8
# 64 extensions inside one another, with their URLs, take more bytes than this; so do identifiers.
_TOO_SHORT_TO_NEST = 1400
_BACKSLASH, _HASH = 0x5C, 0x23
_ENCODER = msgspec.json.Encoder(decimal_format="number")


class _CannotTellError(Exception):
    """The fast path can't tell that the resource is valid."""


class _Head(msgspec.Struct):
    resourceType: str  # noqa: N815 - FHIR's name


_HEAD = msgspec.json.Decoder(_Head)
_Decode = Callable[[bytes], Any]


@cache
def _decode_of(name: bytes) -> tuple[str, _Decode]:
    resource_type = name.decode()
    if resource_type not in r4().resource_names:
        raise _CannotTellError
    return resource_type, decoder(resource_type).decode


def _type_of(raw: bytes) -> tuple[str, _Decode]:
    """The resource type that a text names, and what decodes it."""
    match = _TYPE_FIRST.match(raw)
    return _decode_of(match[1] if match else _HEAD.decode(raw).resourceType.encode())


class _Accepted(NamedTuple):
    """A resource that is valid by itself.

    Attributes:
        resource_type: its type.
        struct: it, decoded.
        pieces: it and each contained resource: type, and compact JSON without the others.
        without_narrative: locations of domain resources in it that have no narrative.
    """

    resource_type: str
    struct: Any
    pieces: list[Piece]
    without_narrative: list[str]


def _compact(raw: bytes, struct: Any) -> bytes:
    r"""Write a struct back, and refuse repeated member names, which msgspec drops in silence.

    All strings are written back with the same quotes, unless one was hidden as `\u0022`. So equal
    numbers of quotes prove that no member, whose name has two, was dropped.
    """
    text = _ENCODER.encode(struct)
    is_whole = text.count(b'"') == raw.count(b'"')
    if _BACKSLASH in raw and b"\\u0022" in raw:
        is_whole = False
    if not is_whole and has_repeated_names(raw):
        raise _CannotTellError
    return text


@cache
def _is_flat(resource_type: str) -> bool:
    """Whether no element of a type can hold another of its own kind.

    Extensions, and identifiers within references within identifiers, are left out: those can.
    """
    pending, above = [(resource_type, frozenset[str]())], frozenset({"Extension", "Reference"})
    while pending:
        name, outer = pending.pop()
        if name in outer:
            return False
        for element in r4().type(name).elements:
            inner = {ref.code for ref in element.types} - above - {"Resource"}
            pending += [
                (code, outer | {name}) for code in inner if r4().type(code).kind != "primitive-type"
            ]
    return True


def _check_text(text: bytes, resource_type: str, depth: int) -> None:
    """Refuse what the structs can't see, by looking at the compact text.

    An empty object breaks ele-1 (one with nothing but an id isn't decoded); control characters are
    worth a warning; in a long text a string may be too long; a short one can't be nested too deep,
    nor can most types, so that they need no counting.
    """
    if (
        _EMPTY_OBJECT.search(text)
        or (_BACKSLASH in text and _CONTROL_ESCAPE.search(text))
        or len(text) > MAX_STRING_LENGTH
    ):
        raise _CannotTellError
    if len(text) < _TOO_SHORT_TO_NEST:
        return
    # Written back, the extensions of an element or of an extension come first in it.
    nested = text.count(b'{"extension":[') + text.count(b'"assigner":')
    is_shallow = nested <= _FEW and depth <= _FEW and _is_flat(resource_type)
    if not is_shallow and exceeds_depth(text, MAX_DEPTH - depth):
        raise _CannotTellError


def _check_contained(text: bytes, struct: Any, resource_type: str) -> list[Piece]:
    """dom-2 to dom-5, and ref-1: only references from the container to its contained resources."""
    types: dict[str, str] = {}
    pieces: list[Piece] = []
    for raw in struct.contained or ():
        inner = bytes(raw)
        inner_type, decode = _type_of(inner)
        contained = decode(inner)
        inner_text = _compact(inner, contained)
        _check_text(inner_text, inner_type, _FEW)
        meta = contained.meta
        name = f"#{contained.id or ''}"
        if (
            not contained.id
            or name in types
            or getattr(contained, "contained", None)
            or (meta and (meta.versionId or meta.lastUpdated or meta.security))
            or inner_type == "Bundle"
            or _HASH in inner_text
        ):
            raise _CannotTellError
        types[name] = inner_type
        pieces.append((inner_type, inner_text))
        text = text.replace(inner, b"")
    if references_resolve(resource_type, text, b"#", types) != types.keys():
        raise _CannotTellError
    return [(resource_type, text), *pieces]


def _check_bundle(bundle: Any, depth: int) -> list[str]:
    """The bundle's own rules, and each of its entries."""
    bare = []
    entries = []
    for position, entry in enumerate(bundle.entry or ()):
        found = _Accepted("", None, [], [])
        if entry.resource is not UNSET:
            found = _accept(bytes(entry.resource), depth + 3)
            here = f"Bundle.entry[{position}].resource"
            bare += [here + "".join(path.partition(".")[1:]) for path in found.without_narrative]
        entries.append(entry_of(entry, found.resource_type, found.struct, found.pieces))
    if not bundle_is_right(bundle, entries):
        raise _CannotTellError
    return bare


def _accept(raw: bytes, depth: int) -> _Accepted:
    """Decide on a resource that is a document, or an entry some levels down in one."""
    resource_type, decode = _type_of(raw)
    struct = decode(raw)
    text = _compact(raw, struct)
    if resource_type == "Bundle":
        found = _check_bundle(struct, depth)
        for entry in struct.entry or ():
            entry.resource = UNSET
        _check_text(_ENCODER.encode(struct), resource_type, depth)
        return _Accepted(resource_type, struct, [(resource_type, text)], found)
    _check_text(text, resource_type, depth)
    pieces = [(resource_type, text)]
    if not hasattr(struct, "contained"):
        return _Accepted(resource_type, struct, pieces, [])
    if struct.contained or (_HASH in text and b'"#' in text):
        pieces = _check_contained(text, struct, resource_type)
    return _Accepted(resource_type, struct, pieces, [] if struct.text else [resource_type])


def accept(raw: bytes) -> list[str] | None:
    """Decide whether a resource is certainly valid.

    Args:
        raw: the resource as JSON; any bytes.

    Returns:
        Where it is valid, the FHIRPath locations of domain resources in it that have no narrative
        (dom-6); None where the thorough path must decide.
    """
    try:
        return _accept(raw, 0).without_narrative
    except (_CannotTellError, msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
