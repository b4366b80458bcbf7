"""The Bundle that answers a search.

Belongs here: its shape, and resources of which only some members are wanted. A resource that is
wanted whole is the bytes as they are stored.
"""

import uuid
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import msgspec

from hc_assets.fhir.r4.definitions import r4
from hc_assets.fhir.search.problems import outcome_of
from hc_assets.fhir.search.query import Query

_SUBSETTED = msgspec.Raw(
    b'{"system":"http://terminology.hl7.org/CodeSystem/v3-ObservationValue","code":"SUBSETTED"}'
)
_members = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_list = msgspec.json.Decoder(list[msgspec.Raw]).decode
_ALWAYS = frozenset({"resourceType", "id", "meta"})


@dataclass(frozen=True, slots=True)
class Found:
    """A resource of an answer.

    Attributes:
        type: of the resource.
        id: of the resource.
        source: "" where nothing names one.
        content: as it is stored.
        mode: match, or include.
    """

    type: str
    id: str
    source: str
    content: bytes
    mode: str


def searchset(
    query: Query, found: Iterable[Found], total: int | None, page: str | None, next_page: str | None
) -> bytes:
    """The Bundle.

    Args:
        query: that is answered.
        found: resources, matches first.
        total: of the matches; None where it was not asked for.
        page: that this is; None for the first.
        next_page: what names the page after; None where this is the last.
    """
    links = [{"relation": "self", "url": _url(query, page)}]
    if next_page is not None:
        links.append({"relation": "next", "url": _url(query, next_page)})
    bundle: dict[str, Any] = {"resourceType": "Bundle", "type": "searchset"}
    if total is not None:
        bundle["total"] = total
    bundle["link"] = links
    entries = [_entry(query, each) for each in found]
    if query.dropped:
        outcome = outcome_of(query.dropped, "warning")
        entries.append({"resource": outcome, "search": {"mode": "outcome"}})
    if entries:
        bundle["entry"] = entries
    return msgspec.json.encode(bundle)


def _url(query: Query, page: str | None) -> str:
    if page is None:
        return query.link
    return f"{query.link}{'&' if '?' in query.link else '?'}_page={page}"


def _entry(query: Query, found: Found) -> dict[str, Any]:
    content = found.content
    if found.mode == "match" and (query.elements or query.summary in ("text", "data")):
        content = _subset(query, found)
    return {
        "fullUrl": full_url(found.source, found.type, found.id),
        "resource": msgspec.Raw(content),
        "search": {"mode": found.mode},
    }


def full_url(source: str, type_: str, id_: str) -> str:
    """Address of a resource: below that of its server, else a URN that is always the same."""
    if source.startswith(("http://", "https://")):
        return f"{source.rstrip('/')}/{type_}/{id_}"
    return f"urn:uuid:{uuid.uuid5(uuid.NAMESPACE_URL, f'{source}/{type_}/{id_}')}"


def _subset(query: Query, found: Found) -> bytes:
    members = _members(found.content)
    if query.summary == "data":
        kept = frozenset(members.keys() - {"text"})
    else:
        wanted = ("text",) if query.summary == "text" else query.elements
        kept = _ALWAYS | _wanted(found.type, tuple(wanted))
    meta = _members(members["meta"]) if "meta" in members else {}
    tags: Sequence[msgspec.Raw] = _list(meta["tag"]) if "tag" in meta else []
    tagged: dict[str, Any] = {**meta, "tag": [*tags, _SUBSETTED]}
    chosen: dict[str, Any] = {
        name: value for name, value in members.items() if name.removeprefix("_") in kept
    }
    return msgspec.json.encode({**chosen, "meta": tagged})


@cache
def _wanted(type_: str, names: tuple[str, ...]) -> frozenset[str]:
    """Members of the elements that are wanted, and of those that must be there."""
    bare = {name.removesuffix("[x]") for name in names}
    return frozenset(
        member
        for element in r4().type(type_).elements
        if element.min > 0 or element.name.removesuffix("[x]") in bare
        for member, _ in element.members()
    )
