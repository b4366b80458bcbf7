"""The fast path: is this resource certainly valid? It may say that it can't tell.

Belongs here: what holds for a resource as a whole, around the structs of `decoders.py`: repeated
member names, empty objects, contained resources, bundle entries. Issues in words belong to
`walker.py`.
"""

import re
from functools import cache
from typing import Any

import msgspec
from msgspec import UNSET

from hc_assets.fhir.r4.decoders import decoder
from hc_assets.fhir.r4.definitions import r4
from hc_assets.fhir.r4.fast_bundles import bundle_is_right, entry_of
from hc_assets.fhir.r4.fast_references import references_resolve
from hc_assets.fhir.r4.json_text import (
    MAX_DEPTH,
    exceeds_depth,
    has_repeated_names,
    minified,
)
from hc_assets.fhir.r4.primitives import MAX_STRING_LENGTH

_TYPE_FIRST = re.compile(rb'\{"resourceType":"([A-Za-z]{1,40})"')
# Text that begins so is taken for compact until its length tells otherwise.
_LOOKS_COMPACT = re.compile(rb'\{"[A-Za-z]+":[^ \t\r\n]')
_ID_ALONE = re.compile(rb'\{"id":"[^"]*"\}')
_CONTROL_ESCAPE = re.compile(rb"\\(?:u00[01]|[bf])")
_FRAGMENT = re.compile(rb'"reference":"#([^"]*)"')
# Levels that extensions or bundles may add without leaving half of the levels allowed: the deepest
# type of R4 has 14, a level of extension adds its array, itself and its value.
_FEW = 8
_ENCODER = msgspec.json.Encoder(decimal_format="number")


class _Head(msgspec.Struct):
    resourceType: str  # noqa: N815 - FHIR's name


_HEAD = msgspec.json.Decoder(_Head)


class _CannotTellError(Exception):
    """The fast path can't tell that the resource is valid."""


class _NotCompactError(Exception):
    """The text has white space between its tokens."""


class Accepted(msgspec.Struct, frozen=True):
    """What the fast path knows of a valid resource.

    Attributes:
        without_narrative: FHIRPath locations of domain resources without narrative (dom-6).
    """

    without_narrative: tuple[str, ...] = ()


def _resource_type(text: bytes) -> str:
    match = _TYPE_FIRST.match(text)
    name = match[1].decode("ascii") if match else _HEAD.decode(text).resourceType
    if name not in r4().resource_names:
        raise _CannotTellError
    return name


def _check_text(text: bytes) -> None:
    """Refuse what the structs can't see, by looking at the bytes of a whole document.

    An empty object, or one with nothing but an id, breaks ele-1; control characters are worth a
    warning.
    """
    if (
        b"{}" in text
        or (b'{"id":"' in text and _ID_ALONE.search(text))
        or (b"\\" in text and _CONTROL_ESCAPE.search(text))
    ):
        raise _CannotTellError


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


def _check_depth(text: bytes, resource_type: str, depth: int) -> None:
    """Refuse what may be nested too deep; most types can't be, and need no counting."""
    if _is_flat(resource_type):
        nested = text.count(b'"extension":') + text.count(b'"assigner":')
        if nested <= _FEW and depth <= _FEW:
            return
    if exceeds_depth(text, MAX_DEPTH - depth):
        raise _CannotTellError


def _check_size(size: int) -> None:
    """Refuse what is so long that a string in it may be too long."""
    if size > MAX_STRING_LENGTH:
        raise _CannotTellError


def _check_names(text: bytes, struct: Any) -> None:
    r"""Refuse repeated member names, which msgspec drops in silence.

    Written back, a struct is never longer than the text it came from: numbers with digits to keep
    are kept as text, and msgspec escapes in strings only what JSON demands. So equal lengths prove
    that nothing was dropped, and that there is no white space to hide what the bytes are searched
    for; other lengths may come from `\u00e9` or `\\/`, and are looked into.
    """
    if len(_ENCODER.encode(struct)) == len(text):
        return
    if minified(text) != text:
        raise _NotCompactError
    if has_repeated_names(text):
        raise _CannotTellError


def _check_contained(text: bytes, struct: Any, resource_type: str) -> None:
    """dom-2 to dom-5, and ref-1: only references from the container to its contained resources."""
    types: dict[str, str] = {}
    for raw in struct.contained or ():
        inner = bytes(raw)
        inner_type = _resource_type(inner)
        contained = decoder(inner_type).decode(inner)
        _check_names(inner, contained)
        meta = contained.meta
        name = f"#{contained.id or ''}"
        if (
            not contained.id
            or name in types
            or getattr(contained, "contained", None)
            or (meta and (meta.versionId or meta.lastUpdated or meta.security))
            or inner_type == "Bundle"
            or b'"#' in inner
        ):
            raise _CannotTellError
        types[name] = inner_type
        text = text.replace(inner, b"")
    referred = {f"#{match.decode()}" for match in _FRAGMENT.findall(text)}
    if referred != types.keys() or not references_resolve(resource_type, text, b"#", types):
        raise _CannotTellError


def _check_bundle(bundle: Any, depth: int) -> list[str]:
    """The bundle's own rules, and each of its entries."""
    bare = []
    entries = []
    for position, entry in enumerate(bundle.entry or ()):
        text, kind, struct = b"", "", None
        if entry.resource is not UNSET:
            text = bytes(entry.resource)
            kind, struct, found = _accept(text, depth + 3)
            here = f"Bundle.entry[{position}].resource"
            bare += [here + "".join(place.partition(".")[1:]) for place in found]
        entries.append(entry_of(entry, kind, struct, text))
    if not bundle_is_right(bundle, entries):
        raise _CannotTellError
    return bare


def _accept(text: bytes, depth: int) -> tuple[str, Any, list[str]]:
    """Type and struct of a resource that is valid, and where narrative is missing in it."""
    resource_type = _resource_type(text)
    struct = decoder(resource_type).decode(text)
    if resource_type == "Bundle":
        entries = struct.entry or ()
        inside = sum(len(bytes(e.resource)) for e in entries if e.resource is not UNSET)
        _check_size(len(text) - inside)
        _check_names(text, struct)
        return resource_type, struct, _check_bundle(struct, depth)
    _check_size(len(text))
    _check_depth(text, resource_type, depth)
    _check_names(text, struct)
    is_domain_resource = hasattr(struct, "contained")
    if is_domain_resource and (struct.contained or b'"#' in text):
        _check_contained(text, struct, resource_type)
    return resource_type, struct, [resource_type] if is_domain_resource and not struct.text else []


def _accepted(text: bytes) -> Accepted:
    _check_text(text)
    return Accepted(tuple(_accept(text, 0)[2]))


def accept(raw: bytes) -> Accepted | None:
    """Decide whether a resource is certainly valid.

    Args:
        raw: the resource as JSON; any bytes.

    Returns:
        What is known of it where it is valid; None where the thorough path must decide.
    """
    try:
        text = raw if _LOOKS_COMPACT.match(raw) else minified(raw)
        try:
            return _accepted(text)
        except _NotCompactError:
            return _accepted(minified(raw))
    except (_CannotTellError, msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
