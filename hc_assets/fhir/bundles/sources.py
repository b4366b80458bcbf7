"""Which source an entry is of, as far as the addresses in it say so.

Belongs here: reading a RESTful address (R4 http, 3.1.0.1.2), and what of the addresses of an entry
and its Bundle counts. A source that was named when files were landed goes before all of it: that is
put in by `workers.py`.
"""

import re
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import msgspec

from hc_assets.core.source_names import base_of
from hc_assets.fhir.bundles.entries import ABSENT, Entry, Unreadable, text_in

_RESTFUL = re.compile(r"(.*?)/?([A-Z][A-Za-z]*)/([A-Za-z0-9\-.]+)", re.DOTALL)
_HAS_ADDRESS = re.compile(rb'"fullUrl"\s*:\s*"http', re.IGNORECASE)


class Address(NamedTuple):
    """Where a resource is: below the base of a server, a path, or neither.

    Attributes:
        base: of a server, in one way of writing; None where the address names none.
        path: what precedes type and id where there is no server: "" for `Patient/1`, "/" for
            `/Patient/1`, "/fhir" for `/fhir/Patient/1`; "" where there is one.
        resource_type: of the resource.
        resource_id: of the resource.
    """

    base: str | None
    path: str
    resource_type: str
    resource_id: str


def address(url: str | None) -> Address | None:
    """Read an address that ends in type and id; None where it does not, or is no address."""
    found = _RESTFUL.fullmatch(url or "")
    if found is None:
        return None
    before = (url or "")[: found.start(2)]
    if not before or before == "/" or (before.startswith("/") and not before.startswith("//")):
        path = before.rstrip("/") or before
        return Address(None, path, found[2], found[3]) if _is_path(path) else None
    base = base_of(before)
    return None if base is None else Address(base, "", found[2], found[3])


def _is_path(path: str) -> bool:
    return not any(each in path for each in "?#$ ")


def own_source(
    full_url: str | None,
    method: str | None,
    url: str | None,
    resource_type: str | None,
    resource_id: str | None,
) -> str | None:
    """The base that an entry's own addresses name, where they are those of its resource.

    Args:
        full_url: Bundle.entry.fullUrl.
        method: of its request; what a DELETE deletes is named by its url before all else.
        url: of its request.
        resource_type: of its resource, where it is known.
        resource_id: of its resource, where it is known.
    """
    named = (url, full_url) if method == "DELETE" else (full_url, url)
    for each in named:
        # Most addresses are URNs, or relative
        found = address(each) if each and "://" in each else None
        if (
            found is not None
            and resource_type in (None, found.resource_type)
            and resource_id in (None, found.resource_id)
        ):
            return found.base
    return None


def only_base(full_urls: Iterable[str | None]) -> str | None:
    """The base that the fullUrls of a Bundle share; None where there is none, or several."""
    bases: set[str | None] = set()
    for each in full_urls:
        found = address(each) if each and "://" in each else None
        if found is not None:
            bases.add(found.base)
            if len(bases) > 1:
                return None
    return next(iter(bases), None)


class _Addressed(msgspec.Struct):
    full_url: msgspec.Raw = msgspec.field(name="fullUrl", default=ABSENT)


_decode_addressed = msgspec.json.Decoder(_Addressed).decode


def base_of_entries(data: bytes, entries: Sequence[msgspec.Raw]) -> str | None:
    """The base that the fullUrls of a Bundle's entries share, by its text.

    Args:
        data: of the Bundle.
        entries: of it, each as JSON.
    """
    if not _HAS_ADDRESS.search(data):
        return None
    return only_base(map(_full_url, entries))


def _full_url(entry: msgspec.Raw) -> str | None:
    try:
        return text_in(_decode_addressed(entry).full_url)
    except Unreadable:
        return None  # said of the entry when it is split


def with_source(entry: Entry, of_bundle: str | None) -> Entry:
    """Note the source of an entry: what it names itself, else that of its Bundle."""
    named = own_source(
        entry.full_url,
        entry.request_method,
        entry.request_url,
        entry.resource_type,
        entry.resource_id,
    )
    source = named or of_bundle
    return entry if source is None else msgspec.structs.replace(entry, source=source)
