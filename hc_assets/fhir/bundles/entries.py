"""One JSON text becomes an entry: its bytes, and what they say about themselves.

Belongs here: an entry, and reading its type and id. Where entries begin and end in a Bundle or a
file is found in `splitting.py` and `read.py`.
"""

from collections.abc import Iterable, Iterator
from datetime import datetime

import msgspec

from hc_assets.core.fence import InternalError, fenced_each
from hc_assets.fhir.bundles.before_faults import Shown, shown_before
from hc_assets.fhir.r4.issues import Issue
from hc_assets.fhir.r4.json_faults import fault_in, within, words


class Entry(msgspec.Struct, frozen=True):
    """One entry of a bundle, one line of an NDJSON file, or a file that is one resource.

    Attributes:
        position: entry or line number, from 0.
        resource: JSON bytes as received; the whole entry, or file, where there is a `problem`.
        problem: why no resource could be taken from here; None where one was.
        resource_type: resourceType, where it is a text.
        resource_id: id, where it is a text; else the one that a PUT's url names.
        full_url: Bundle.entry.fullUrl.
        request_method: Bundle.entry.request.method.
        request_url: Bundle.entry.request.url.
        if_none_exist: Bundle.entry.request.ifNoneExist.
        last_modified: Bundle.entry.response.lastModified; of a deletion without one, when the
            Bundle says that it was made (meta.lastUpdated, timestamp).
        last_modified_digits: of that time, behind its microseconds; see `finer_digits`.
        response_etag: Bundle.entry.response.etag.
        source: that its addresses name, if any.
        not_data: why nothing is to be kept of what is here, though it may be valid; None where
            it is data.
        issues: what is wrong with a Bundle or Parameters as a whole, of the entry that stands for
            it beside those that it was taken apart into; none for any other.
        place: where it stands in its file or line, a FHIRPath; None for a file or a line itself,
            and for the entries of a Bundle that is one.
    """

    position: int
    resource: bytes | None
    problem: str | None = None
    resource_type: str | None = None
    resource_id: str | None = None
    full_url: str | None = None
    request_method: str | None = None
    request_url: str | None = None
    if_none_exist: str | None = None
    last_modified: datetime | None = None
    last_modified_digits: str | None = None
    response_etag: str | None = None
    source: str | None = None
    not_data: str | None = None
    issues: tuple[Issue, ...] = ()
    place: str | None = None


ABSENT = msgspec.Raw(b"null")
# What msgspec raises for bytes that it can't read: no JSON, text that is not UTF-8, and nesting
# beyond its depth.
Unreadable = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)


class _Head(msgspec.Struct):
    # Raw: a resource whose id is a number is wrong, but its type is still known.
    resource_type: msgspec.Raw = msgspec.field(name="resourceType", default=ABSENT)
    id: msgspec.Raw = ABSENT


decode_head = msgspec.json.Decoder(_Head).decode
_decode_text = msgspec.json.Decoder(str).decode


def resource_entry(position: int, data: bytes, line: int | None = None) -> Entry:
    """Return the entry that a text is, with a problem where it is no JSON object.

    Args:
        position: of the entry.
        data: the text.
        line: of the file that the text begins in, from 1; None where that is not known.
    """
    try:
        head = decode_head(data)
        return Entry(position, data, None, text_in(head.resource_type), text_in(head.id))
    except msgspec.ValidationError:
        found = "a JSON array" if data.lstrip()[:1] == b"[" else "another JSON value"
        return Entry(position, data, f"expected a JSON object, found {found}")
    except Unreadable as error:
        fault = fault_in(error, data)
        shown = Shown() if fault is None else shown_before(data, fault)
        said = f"not JSON: {words(error, data, line)}"
        problem = within(said, shown.place) if shown.place else said
        return Entry(position, data, problem, shown.resource_type, shown.resource_id)


def text_in(raw: msgspec.Raw | bytes) -> str | None:
    """Text that a JSON string stands for; None for any other value."""
    text = bytes(raw)
    if not text.startswith(b'"'):
        return None
    return _decode_text(text) if b"\\" in text else text[1:-1].decode()


def fenced_entries(
    entries: Iterable[Entry], first: int = 0, data: bytes | None = None
) -> Iterator[Entry]:
    """Give entries; where splitting raises, the last one has the internal error as its problem.

    Args:
        entries: each made when it is asked for.
        first: position of the first.
        data: what they are split from, where it is small enough to be kept beside the problem.
    """
    position = first
    for entry in fenced_each(entries):
        if isinstance(entry, InternalError):
            yield Entry(position, data, entry.text)
        else:
            position = entry.position + 1
            yield entry
