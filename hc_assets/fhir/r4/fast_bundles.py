"""Bundles on the fast path: identity of entries and references between them.

Belongs here: what is checked of a decoded bundle beside its entries' own validity. The rules
themselves, with words, belong to `bundle_rules.py` and `bundle_references.py`.
"""

import re
from typing import Any, NamedTuple

from hc_assets.fhir.r4.bundle_rules import FULL_URL_OPTIONAL
from hc_assets.fhir.r4.fast_references import references_resolve

_URN_UUID = re.compile(
    r"urn:uuid:[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}\Z"
)


# A resource or a contained one: its type, and compact JSON without the others.
Piece = tuple[str, bytes]


class FastEntry(NamedTuple):
    """An entry of a bundle as the fast path sees it; absent parts are empty."""

    full_url: str
    resource_type: str
    resource_id: str
    pieces: list[Piece]
    changes: str


def entry_of(entry: Any, resource_type: str, resource: Any, pieces: list[Piece]) -> FastEntry:
    """Gather what identifies an entry.

    Args:
        entry: the struct of the entry.
        resource_type: type of its resource; "" where it has none.
        resource: the struct of its resource, or None.
        pieces: the resource and its contained ones.
    """
    request = entry.request
    changes = request.url if request and request.method in ("PUT", "DELETE", "PATCH") else ""
    resource_id = "" if resource is None else (resource.id or "")
    return FastEntry(entry.fullUrl or "", resource_type, resource_id, pieces, changes)


def _is_identified(entry: FastEntry, bundle_type: str) -> bool:
    """Whether an entry's fullUrl is certainly right, or certainly not needed."""
    url = entry.full_url
    if not url:
        return bundle_type in FULL_URL_OPTIONAL and not any(
            b'"reference":' in text for _, text in entry.pieces
        )
    if not entry.resource_type:
        return False
    if url.startswith("urn:"):
        return _URN_UUID.match(url) is not None
    suffix = f"/{entry.resource_type}/{entry.resource_id}"
    return bool(entry.resource_id) and url.startswith("http") and url.endswith(suffix)


def bundle_is_right(bundle: Any, entries: list[FastEntry]) -> bool:
    """Whether a bundle's own rules certainly hold.

    Args:
        bundle: the struct of the bundle.
        entries: its entries, each valid by itself.
    """
    kind = bundle.type
    if kind in ("document", "message", "searchset", "history"):
        return False  # left to the thorough path
    if not all(_is_identified(entry, kind) for entry in entries):
        return False
    urls = [e.full_url or f"{e.resource_type}/{e.resource_id}" for e in entries]
    changes = [entry.changes for entry in entries if entry.changes]
    if len(set(urls)) != len(urls) or len(set(changes)) != len(changes):
        return False
    types = {entry.full_url: entry.resource_type for entry in entries if entry.full_url}
    return all(_urns_resolve(entry, types) for entry in entries)


def _urns_resolve(entry: FastEntry, types: dict[str, str]) -> bool:
    """Whether every URN in an entry is an entry's fullUrl, of a type that may stand there."""
    return all(
        references_resolve(resource_type, text, b"urn:", types) is not None
        for resource_type, text in entry.pieces
    )
