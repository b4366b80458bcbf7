"""A Bundle becomes its entries, byte for byte.

Belongs here: finding where each entry begins and ends and what its request asks for. Files are
read in `read.py`.
"""

from collections.abc import Iterator
from contextlib import suppress
from datetime import datetime

import msgspec

from hc_assets.fhir.bundles.entries import (
    ABSENT,
    Entry,
    Unreadable,
    data_only,
    resource_entry,
    text_in,
)
from hc_assets.fhir.bundles.repeated_names import RepeatedNameError, refuse_repeated, without
from hc_assets.fhir.bundles.requests import deleted, refusal, requested_id
from hc_assets.fhir.r4.json_faults import words
from hc_assets.fhir.times import moment_of

_NONE: frozenset[str] = frozenset()


# Optional texts are unset rather than None: null is no value of a member, as `validate` says. What
# isn't used is declared for its JSON type.
_Text = str | msgspec.UnsetType
_ZERO = msgspec.Raw(b"0")


class _Request(msgspec.Struct):
    method: _Text = msgspec.UNSET
    url: _Text = msgspec.UNSET
    if_none_exist: _Text = msgspec.field(name="ifNoneExist", default=msgspec.UNSET)
    if_match: _Text = msgspec.field(name="ifMatch", default=msgspec.UNSET)
    if_none_match: _Text = msgspec.field(name="ifNoneMatch", default=msgspec.UNSET)
    if_modified_since: _Text = msgspec.field(name="ifModifiedSince", default=msgspec.UNSET)


class _Response(msgspec.Struct):
    last_modified: _Text = msgspec.field(name="lastModified", default=msgspec.UNSET)
    status: _Text = msgspec.UNSET
    location: _Text = msgspec.UNSET
    etag: _Text = msgspec.UNSET


class _Search(msgspec.Struct):
    mode: _Text = msgspec.UNSET
    score: msgspec.Raw = _ZERO

    def __post_init__(self) -> None:
        # Not declared as a number: there are decimals that no type of Python's holds.
        if bytes(self.score)[:1] not in b"-0123456789":
            raise ValueError("Expected a number in `$.search.score`")


class _Link(msgspec.Struct):
    relation: _Text = msgspec.UNSET
    url: _Text = msgspec.UNSET


class _BundleEntry(msgspec.Struct):
    full_url: _Text = msgspec.field(name="fullUrl", default=msgspec.UNSET)
    resource: msgspec.Raw = ABSENT
    request: _Request | msgspec.UnsetType = msgspec.UNSET
    response: _Response | msgspec.UnsetType = msgspec.UNSET
    search: _Search | msgspec.UnsetType = msgspec.UNSET
    link: list[_Link] | msgspec.UnsetType = msgspec.UNSET


# Raw: what is wrong with the Bundle itself must not hide its entries.
class _Bundle(msgspec.Struct):
    entry: list[msgspec.Raw] = []
    type: msgspec.Raw = ABSENT
    meta: msgspec.Raw = ABSENT
    timestamp: msgspec.Raw = ABSENT


class _Meta(msgspec.Struct):
    last_updated: msgspec.Raw = msgspec.field(name="lastUpdated", default=ABSENT)


_decode_entry = msgspec.json.Decoder(_BundleEntry).decode
_decode_bundle = msgspec.json.Decoder(_Bundle).decode
_decode_meta = msgspec.json.Decoder(_Meta).decode
_NO_REQUEST = _Request()


def split_bundle(
    data: bytes, first: int = 0, *, kept_whole: frozenset[str] = _NONE
) -> Iterator[Entry]:
    """Split a Bundle.

    Args:
        data: its JSON, valid as such.
        first: position of its first entry.
        kept_whole: types of Bundles that are one entry, the Bundle itself.

    Yields:
        Its entries, in order; one with a problem where it can't be split, or has none.
    """
    try:
        bundle = _decode_bundle(data)
        bundle_type = text_in(bundle.type)
        refuse_repeated(without(data, bundle.entry), "Bundle")
    except Unreadable as error:
        yield Entry(
            first, data, f"Bundle.entry can't be read: {words(error, data, None)}", "Bundle"
        )
        return
    except RepeatedNameError as error:
        yield Entry(first, data, str(error), "Bundle")
        return
    if bundle_type in kept_whole:
        yield resource_entry(first, data)
        return
    if not bundle.entry:
        yield Entry(first, data, "the Bundle has no entry", "Bundle")
    made_at = _made_at(bundle)
    for position, raw in enumerate(bundle.entry, start=first):
        yield _from_bundle(position, bytes(raw), made_at)


def _made_at(bundle: _Bundle) -> datetime | None:
    # Neither a Meta nor a text: said of the Bundle by whoever validates it.
    stated = timestamp = None
    with suppress(*Unreadable):
        stated = _moment(text_in(_decode_meta(bundle.meta).last_updated))
    with suppress(*Unreadable):
        timestamp = _moment(text_in(bundle.timestamp))
    return stated or timestamp


def _from_bundle(position: int, raw: bytes, made_at: datetime | None) -> Entry:
    try:
        entry = _decode_entry(raw)
        # What is in the resource is validation's matter.
        carried = [] if entry.resource is ABSENT else [entry.resource]
        refuse_repeated(without(raw, carried), "Bundle.entry")
    except Unreadable as error:
        return Entry(position, raw, f"Bundle.entry can't be read: {words(error, raw, None)}")
    except RepeatedNameError as error:
        return Entry(position, raw, str(error))
    return _requested(position, entry, raw, made_at)


def _requested(position: int, entry: _BundleEntry, raw: bytes, made_at: datetime | None) -> Entry:
    """Return what an entry wants stored or deleted, or why that can't be."""
    request = entry.request or _NO_REQUEST
    method, url = _text(request.method), _text(request.url)
    modified = _moment(_text(entry.response.last_modified)) if entry.response else None
    full_url, condition = _text(entry.full_url), _text(request.if_none_exist)
    of_request = (full_url, method, url, condition)
    if method == "DELETE":
        # The method decides: a body has no meaning in a DELETE, and R4 gives such entries none.
        named = deleted(url)
        if named is None:
            problem = "Bundle.entry is a DELETE whose request.url is not <type>/<id>"
            return Entry(position, raw, problem, None, None, *of_request, modified)
        return Entry(position, None, None, *named, *of_request, modified or made_at)
    resource = bytes(entry.resource)
    if resource == b"null":
        problem = "Bundle.entry has no resource"
        return Entry(position, raw, problem, None, None, *of_request, modified)
    taken = resource_entry(position, resource)
    type_, id_ = taken.resource_type, taken.resource_id
    if taken.problem is not None:
        return Entry(position, resource, taken.problem, type_, id_, *of_request, modified)
    refused = data_only(taken).problem or refusal(method, url, type_, id_)
    if refused is not None:
        return Entry(position, raw, refused, type_, id_, *of_request, modified)
    return Entry(
        position, resource, None, type_, id_ or requested_id(method, url), *of_request, modified
    )


def _text(value: _Text) -> str | None:
    return None if value is msgspec.UNSET else value


def _moment(text: str | None) -> datetime | None:
    try:
        moment = moment_of(text)
    except ValueError:
        return None  # no instant: reported for the Bundle by its validation
    return moment if moment is not None and moment.tzinfo is not None else None
