"""A Bundle becomes its entries, byte for byte, and Parameters the resources that they hold.

Belongs here: finding where each begins and ends and what an entry's request asks for. What is held
by what is held is gone into in `unpacking.py`.
"""

from collections.abc import Iterator
from contextlib import suppress
from datetime import datetime

import msgspec
from msgspec.structs import replace

from hc_assets.fhir.bundles.entries import (
    ABSENT,
    Entry,
    Unreadable,
    decode_head,
    resource_entry,
    text_in,
)
from hc_assets.fhir.bundles.not_data import NO_ENTRIES, NO_RESOURCES
from hc_assets.fhir.bundles.repeated_names import RepeatedNameError, refuse_repeated, without
from hc_assets.fhir.bundles.requests import deleted, refusal, requested_id, set_aside
from hc_assets.fhir.bundles.sources import base_of_entries, with_source
from hc_assets.fhir.r4.json_faults import words
from hc_assets.fhir.times import finer_digits, moment_of

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


class _Held(msgspec.Struct):
    resource: msgspec.Raw = ABSENT


class _Parameter(msgspec.Struct):
    resource: msgspec.Raw = ABSENT
    part: msgspec.Raw = ABSENT


class _Parameters(msgspec.Struct):
    parameter: msgspec.Raw = ABSENT


# Raw: what is wrong with the Bundle itself must not hide its entries.
class _Bundle(msgspec.Struct):
    entry: list[msgspec.Raw] = []
    type: msgspec.Raw = ABSENT
    meta: msgspec.Raw = ABSENT
    timestamp: msgspec.Raw = ABSENT


class _Meta(msgspec.Struct):
    last_updated: msgspec.Raw = msgspec.field(name="lastUpdated", default=ABSENT)


_decode_entry = msgspec.json.Decoder(_BundleEntry).decode
_decode_resource = msgspec.json.Decoder(_Held).decode
_decode_bundle = msgspec.json.Decoder(_Bundle).decode
_decode_meta = msgspec.json.Decoder(_Meta).decode
_decode_parameters = msgspec.json.Decoder(_Parameters).decode
_decode_parameter = msgspec.json.Decoder(_Parameter).decode
_decode_list = msgspec.json.Decoder(list[msgspec.Raw]).decode
_NO_REQUEST = _Request()
# A time, and what of its text is finer than a microsecond.
_Moment = tuple[datetime | None, str | None]
_NO_MOMENT: _Moment = (None, None)


def held_by_bundle(whole: Entry, kept_whole: frozenset[str]) -> list[Entry]:
    """Split a Bundle.

    Args:
        whole: the Bundle.
        kept_whole: values of Bundle.type that are not split.

    Returns:
        Its entries, in order, each with its number as position. The Bundle itself alone where it is
        kept whole; with a reason where it can't be split or has no entry.
    """
    data = whole.resource or b""
    try:
        bundle = _decode_bundle(data)
        bundle_type = text_in(bundle.type)
        refuse_repeated(without(data, bundle.entry), "Bundle")
    except Unreadable as error:
        problem = f"Bundle.entry can't be read: {words(error, data, None)}"
        return [replace(whole, problem=problem)]
    except RepeatedNameError as error:
        return [replace(whole, problem=str(error))]
    if bundle_type in kept_whole:
        return [whole]
    if not bundle.entry:
        return [replace(whole, not_data=NO_ENTRIES)]
    made_at = _made_at(bundle)
    base = base_of_entries(data, bundle.entry)
    here = f"{whole.place or 'Bundle'}.entry"
    return [
        with_source(_from_bundle(position, bytes(raw), made_at, f"{here}[{position}]"), base)
        for position, raw in enumerate(bundle.entry)
    ]


def held_by_parameters(whole: Entry) -> list[Entry]:
    """Take the resources out of Parameters.

    Args:
        whole: the Parameters.

    Returns:
        What `resource` of each parameter, and of the parts of each, holds. The Parameters alone,
        with a reason, where they hold none, or where it can't be told what they hold.
    """
    data = whole.resource or b""
    try:
        found = list(resources_in_parameters(data, whole.place or "Parameters"))
        refuse_repeated(without(data, [raw for _, raw in found]), "Parameters")
    except Unreadable as error:
        return [replace(whole, problem=f"not JSON: {words(error, data, None)}")]
    except RepeatedNameError as error:
        return [replace(whole, problem=str(error))]
    if not found:
        return [replace(whole, not_data=NO_RESOURCES)]
    return [
        replace(resource_entry(number, bytes(raw)), place=place)
        for number, (place, raw) in enumerate(found)
    ]


def resources_in_parameters(data: bytes, place: str) -> Iterator[tuple[str, msgspec.Raw]]:
    """Find the resources in Parameters, in order, as views of the text.

    Args:
        data: the Parameters.
        place: of them, which those of the resources begin with.

    Raises:
        DecodeError: they are no JSON object.
    """
    yield from _resources_in(_decode_parameters(data).parameter, f"{place}.parameter")


def _resources_in(listed: msgspec.Raw, place: str) -> Iterator[tuple[str, msgspec.Raw]]:
    # What is no list of objects holds no resource; that it is none is found where Parameters are
    # judged as a whole.
    with suppress(*Unreadable):
        for number, raw in enumerate(_decode_list(listed)):
            with suppress(*Unreadable):
                parameter = _decode_parameter(raw)
                here = f"{place}[{number}]"
                if parameter.resource is not ABSENT:
                    yield f"{here}.resource", parameter.resource
                if parameter.part is not ABSENT:
                    yield from _resources_in(parameter.part, f"{here}.part")


def _made_at(bundle: _Bundle) -> _Moment:
    # Neither a Meta nor a text: said of the Bundle by whoever validates it.
    stated = timestamp = _NO_MOMENT
    with suppress(*Unreadable):
        stated = _moment(text_in(_decode_meta(bundle.meta).last_updated))
    with suppress(*Unreadable):
        timestamp = _moment(text_in(bundle.timestamp))
    return timestamp if stated == _NO_MOMENT else stated


def _from_bundle(position: int, raw: bytes, made_at: _Moment, place: str) -> Entry:
    try:
        entry = _decode_entry(raw)
        # What is in the resource is validation's matter.
        carried = [] if entry.resource is ABSENT else [entry.resource]
        refuse_repeated(without(raw, carried), "Bundle.entry")
    except Unreadable as error:
        problem = f"Bundle.entry can't be read: {words(error, raw, None)}"
        return Entry(position, raw, problem, *_identity_in(raw), place=place)
    except RepeatedNameError as error:
        return Entry(position, raw, str(error), place=place)
    return _requested(position, entry, raw, made_at, place)


def _identity_in(raw: bytes) -> tuple[str | None, str | None]:
    """Type and id of the resource of an entry whose other members can't be read."""
    try:
        head = decode_head(_decode_resource(raw).resource)
        return text_in(head.resource_type), text_in(head.id)
    except Unreadable:
        return None, None


def _requested(
    position: int, entry: _BundleEntry, raw: bytes, made_at: _Moment, place: str
) -> Entry:
    """Return what an entry wants stored or deleted, or why that can't be."""
    request = entry.request or _NO_REQUEST
    method, url = _text(request.method), _text(request.url)
    modified, etag = _NO_MOMENT, None
    if entry.response:
        modified, etag = _moment(_text(entry.response.last_modified)), _text(entry.response.etag)
    whole = Entry(
        position,
        raw,
        full_url=_text(entry.full_url),
        request_method=method,
        request_url=url,
        if_none_exist=_text(request.if_none_exist),
        last_modified=modified[0],
        last_modified_digits=modified[1],
        response_etag=etag,
        place=place,
    )
    if method == "DELETE":
        # The method decides: a body has no meaning in a DELETE, and R4 gives such entries none.
        return _deletion(whole, made_at)
    resource = None if entry.resource is ABSENT else bytes(entry.resource)
    if resource is None or resource == b"null":
        problem, aside = _without_resource(entry, method, is_null=resource is not None)
        return replace(whole, problem=problem, not_data=aside)
    taken = resource_entry(position, resource)
    type_, id_ = taken.resource_type, taken.resource_id
    problem = taken.problem or refusal(method, url, type_, id_)
    if problem is not None:
        kept = resource if taken.problem else raw
        return replace(whole, resource=kept, problem=problem, resource_type=type_, resource_id=id_)
    return replace(
        whole,
        resource=resource,
        resource_type=type_,
        resource_id=id_ or requested_id(method, url),
        # What has no type is for validation to refuse.
        not_data=set_aside(method, url) if type_ is not None else None,
        place=f"{place}.resource",
    )


def _deletion(whole: Entry, made_at: _Moment) -> Entry:
    named = deleted(whole.request_url)
    if named is not None:
        modified = (whole.last_modified, whole.last_modified_digits)
        at = made_at if modified == _NO_MOMENT else modified
        return replace(
            whole,
            resource=None,
            resource_type=named[0],
            resource_id=named[1],
            last_modified=at[0],
            last_modified_digits=at[1],
        )
    unclear = "Bundle.entry is a DELETE whose request.url is not <type>/<id>"
    if not whole.request_url:
        return replace(whole, problem=unclear)
    return replace(whole, not_data=f"{unclear}: nothing is deleted")


def _without_resource(
    entry: _BundleEntry, method: str | None, *, is_null: bool
) -> tuple[str | None, str | None]:
    """Return the problem of an entry without resource, or why R4 lets it have none."""
    request = entry.request or _NO_REQUEST
    refused = refusal(method, None, None, None)
    if refused is not None:
        return refused, None
    if is_null or not (entry.request or entry.response):
        return "Bundle.entry has no resource", None
    aside = set_aside(method, _text(request.url))
    if aside is None and entry.request:
        aside = "Bundle.entry has no resource: its request stores nothing"
    return None, aside or "Bundle.entry has no resource: it reports on a request"


def _text(value: _Text) -> str | None:
    return None if value is msgspec.UNSET else value


def _moment(text: str | None) -> _Moment:
    try:
        moment = moment_of(text)
    except ValueError:
        return _NO_MOMENT  # no instant: reported for the Bundle by its validation
    if moment is None or moment.tzinfo is None:
        return _NO_MOMENT
    return moment, finer_digits(text)
