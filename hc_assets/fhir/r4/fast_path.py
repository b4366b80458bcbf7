"""The fast path: is this resource certainly valid? It may say that it can't tell.

Belongs here: what holds for a resource as a whole, around the structs of `decoders.py`: repeated
member names, empty objects, contained resources, bundle entries. Issues in words belong to
`walker.py`.
"""

import re
from typing import Any

import msgspec
from msgspec import UNSET

from hc_assets.fhir.r4.decoders import decoder
from hc_assets.fhir.r4.definitions import r4
from hc_assets.fhir.r4.fast_bundles import bundle_is_right, entry_of
from hc_assets.fhir.r4.fast_references import references_resolve
from hc_assets.fhir.r4.json_text import (
    exceeds_depth,
    has_repeated_names,
    minified,
)
from hc_assets.fhir.r4.primitives import MAX_STRING_LENGTH

_TYPE_FIRST = re.compile(rb'\{"resourceType":"([A-Za-z]{1,40})"')
_ID_ALONE = re.compile(rb'\{"id":"[^"]*"\}')
_CONTROL_ESCAPE = re.compile(rb"\\(?:u00[01]|[bf])")
_FRAGMENT = re.compile(rb'"reference":"#([^"]*)"')
_ENCODER = msgspec.json.Encoder(decimal_format="number")


class _Head(msgspec.Struct):
    resourceType: str  # noqa: N815 - FHIR's name


_HEAD = msgspec.json.Decoder(_Head)


class _CannotTellError(Exception):
    """The fast path can't tell that the resource is valid."""


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
        or exceeds_depth(text)
    ):
        raise _CannotTellError


def _check_size(size: int) -> None:
    """Refuse what is so long that a string in it may be too long."""
    if size > MAX_STRING_LENGTH:
        raise _CannotTellError


def _check_names(text: bytes, struct: Any) -> None:
    r"""Refuse repeated member names, which msgspec drops in silence.

    Written back, a struct is never longer than the text it came from: numbers with digits to keep
    are kept as text, and msgspec escapes in strings only what JSON demands. So equal lengths prove
    that nothing was dropped; other lengths may come from `\u00e9` or `\\/`, and are looked into.
    """
    if len(_ENCODER.encode(struct)) != len(text) and has_repeated_names(text):
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
    if referred != types.keys() or not references_resolve(resource_type, text, types):
        raise _CannotTellError


def _check_bundle(bundle: Any) -> list[str]:
    """The bundle's own rules, and each of its entries."""
    bare = []
    entries = []
    for position, entry in enumerate(bundle.entry or ()):
        text, kind, struct = b"", "", None
        if entry.resource is not UNSET:
            text = bytes(entry.resource)
            kind, struct, found = _accept(text)
            here = f"Bundle.entry[{position}].resource"
            bare += [here + "".join(place.partition(".")[1:]) for place in found]
        entries.append(entry_of(entry, kind, struct, text))
    if not bundle_is_right(bundle, entries):
        raise _CannotTellError
    return bare


def _accept(text: bytes) -> tuple[str, Any, list[str]]:
    """Type and struct of a resource that is valid, and where narrative is missing in it."""
    resource_type = _resource_type(text)
    struct = decoder(resource_type).decode(text)
    if resource_type == "Bundle":
        entries = struct.entry or ()
        inside = sum(len(bytes(e.resource)) for e in entries if e.resource is not UNSET)
        _check_size(len(text) - inside)
        _check_names(text, struct)
        return resource_type, struct, _check_bundle(struct)
    _check_size(len(text))
    _check_names(text, struct)
    is_domain_resource = hasattr(struct, "contained")
    if is_domain_resource and (struct.contained or b'"#' in text):
        _check_contained(text, struct, resource_type)
    return resource_type, struct, [resource_type] if is_domain_resource and not struct.text else []


def accept(raw: bytes) -> Accepted | None:
    """Decide whether a resource is certainly valid.

    Args:
        raw: the resource as JSON; any bytes.

    Returns:
        What is known of it where it is valid; None where the thorough path must decide.
    """
    try:
        text = minified(raw)
        _check_text(text)
        return Accepted(tuple(_accept(text)[2]))
    except (_CannotTellError, msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
