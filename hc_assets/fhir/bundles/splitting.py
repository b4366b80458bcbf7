"""A Bundle becomes its entries, byte for byte.

Belongs here: finding where each entry begins and ends and what its request asks for. Files are
read in `read.py`.
"""

import json
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

import msgspec

from hc_assets.fhir.bundles.entries import (
    ABSENT,
    Entry,
    Unreadable,
    data_only,
    reason,
    resource_entry,
)
from hc_assets.fhir.bundles.requests import deleted, refusal, requested_id
from hc_assets.fhir.times import moment_of

_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_NAMES_IN_A_BUNDLE = {"entry": b'"entry"'}
_NAMES_IN_AN_ENTRY = {name: b'"%b"' % name.encode() for name in ("resource", "request", "fullUrl")}
_ENOUGH_TO_FIND_IT = 64

_NONE: frozenset[str] = frozenset()


class _Request(msgspec.Struct):
    method: str | None = None
    url: str | None = None
    if_none_exist: str | None = msgspec.field(name="ifNoneExist", default=None)


class _BundleEntry(msgspec.Struct):
    full_url: str | None = msgspec.field(name="fullUrl", default=None)
    resource: msgspec.Raw = ABSENT
    request: _Request | None = None
    response: Any = None


class _Bundle(msgspec.Struct):
    entry: list[msgspec.Raw] = []
    type: Any = None
    meta: Any = None
    timestamp: Any = None


_decode_entry = msgspec.json.Decoder(_BundleEntry, float_hook=str).decode
_decode_bundle = msgspec.json.Decoder(_Bundle, float_hook=str).decode
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
        _refuse_repeated(data, "Bundle", _NAMES_IN_A_BUNDLE)
    except Unreadable as error:
        yield Entry(first, data, f"Bundle.entry can't be read: {reason(error)}", "Bundle")
        return
    except _RepeatedNameError as error:
        yield Entry(first, data, str(error), "Bundle")
        return
    if isinstance(bundle.type, str) and bundle.type in kept_whole:
        yield resource_entry(first, data)
        return
    if not bundle.entry:
        yield Entry(first, data, "the Bundle has no entry", "Bundle")
    made_at = _made_at(bundle)
    for position, raw in enumerate(bundle.entry, start=first):
        yield _from_bundle(position, bytes(raw), made_at)


def _made_at(bundle: _Bundle) -> datetime | None:
    return _moment(_member(bundle.meta, "lastUpdated")) or _moment(bundle.timestamp)


def _from_bundle(position: int, raw: bytes, made_at: datetime | None) -> Entry:
    try:
        entry = _decode_entry(raw)
        resource = bytes(entry.resource)
        _refuse_repeated(_around(raw, resource), "Bundle.entry", _NAMES_IN_AN_ENTRY)
    except Unreadable as error:
        return Entry(position, raw, f"Bundle.entry can't be read: {reason(error)}")
    except _RepeatedNameError as error:
        return Entry(position, raw, str(error))
    return _requested(position, entry, raw, made_at)


def _requested(position: int, entry: _BundleEntry, raw: bytes, made_at: datetime | None) -> Entry:
    """Return what an entry wants stored or deleted, or why that can't be."""
    request = entry.request or _NO_REQUEST
    method, url = request.method, request.url
    modified = _moment(_member(entry.response, "lastModified")) if entry.response else None
    full_url, condition = entry.full_url, request.if_none_exist
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


def _member(value: Any, name: str) -> Any:
    return value.get(name) if isinstance(value, dict) else None


def _moment(text: Any) -> datetime | None:
    try:
        moment = moment_of(text)
    except ValueError:
        return None  # no instant: reported for the Bundle by its validation
    return moment if moment is not None and moment.tzinfo is not None else None


def _around(raw: bytes, resource: bytes) -> bytes:
    """Return an entry without its resource, whose names are validation's matter."""
    if resource == b"null":
        return raw
    # Found by its first bytes: searching for all of them costs as much as decoding.
    first = resource[:_ENOUGH_TO_FIND_IT]
    start = raw.find(first)
    while not raw.startswith(resource, start):
        start = raw.find(first, start + 1)
    return raw[:start] + b"null" + raw[start + len(resource) :]


class _RepeatedNameError(Exception):
    """An object has two members of one name: it is ambiguous which one is meant."""


def _refuse_repeated(text: bytes, place: str, names: Mapping[str, bytes]) -> None:
    """Refuse an object that repeats a name: msgspec would drop the first in silence.

    Counting is cheap and rules out nearly every text; names deeper inside are separated by
    reading.
    """
    suspects = [name for name, quoted in names.items() if text.count(quoted) > 1]
    if not suspects:
        return
    outermost: list[str] = []

    def members(pairs: list[tuple[str, object]]) -> None:
        nonlocal outermost
        outermost = [name for name, _ in pairs]  # the outermost object comes last

    plain = text.removeprefix(_BYTE_ORDER_MARK).decode(errors="replace")
    json.loads(plain, object_pairs_hook=members, parse_int=str, parse_float=str)
    for name in suspects:
        if outermost.count(name) > 1:
            raise _RepeatedNameError(f"{place} says `{name}` twice")
