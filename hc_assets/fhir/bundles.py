"""Bytes of a landed file become raw resources, byte for byte.

Belongs here: finding where each entry or line begins and ends, and what it says of itself. Whether
it is a valid resource is judged in `validation.py`.
"""

import gzip
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, BinaryIO

import msgspec

_GZIP_MAGIC = b"\x1f\x8b"
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_WHITE_SPACE = b" \t\r\n"


@dataclass(frozen=True)
class Entry:
    """One entry of a bundle, one line of an NDJSON file, or a file that is one resource.

    Attributes:
        position: entry or line number, from 0.
        resource: JSON bytes as received; the whole entry, or file, where `problem` is said.
        problem: why no resource could be taken from here; None where one was.
        resource_type: resourceType, where it is a text.
        resource_id: id, where it is a text.
        full_url: Bundle.entry.fullUrl.
        request_method: Bundle.entry.request.method.
        request_url: Bundle.entry.request.url.
    """

    position: int
    resource: bytes | None
    problem: str | None = None
    resource_type: str | None = None
    resource_id: str | None = None
    full_url: str | None = None
    request_method: str | None = None
    request_url: str | None = None


_ABSENT = msgspec.Raw(b"null")
# What msgspec raises for bytes that it can't read; the second for nesting beyond its depth.
_Unreadable = (msgspec.DecodeError, RecursionError)


class _Request(msgspec.Struct):
    method: str | None = None
    url: str | None = None


class _BundleEntry(msgspec.Struct):
    full_url: str | None = msgspec.field(name="fullUrl", default=None)
    resource: msgspec.Raw = _ABSENT
    request: _Request | None = None


class _Head(msgspec.Struct):
    # Any: a resource whose id is a number is wrong, but its type can still be told.
    resource_type: Any = msgspec.field(name="resourceType", default=None)
    id: Any = None


class _Bundle(msgspec.Struct):
    entry: list[msgspec.Raw] = []


_decode_head = msgspec.json.Decoder(_Head).decode
_decode_entry = msgspec.json.Decoder(_BundleEntry).decode
_decode_bundle = msgspec.json.Decoder(_Bundle).decode
_decode_raw = msgspec.json.Decoder(msgspec.Raw).decode


def read_entries(file: BinaryIO, media_type: str) -> Iterator[Entry]:
    """Split a file into its entries. Never raises for what the file holds.

    Args:
        file: open at its beginning, seekable; gzip is recognised by content.
        media_type: `application/fhir+ndjson` for lines. Any other file is taken as one JSON
            document; where it is not one but its first line is, as lines after all.

    Yields:
        Entries in the file's order. What can't be split is an entry with a problem that names what
        was found; a gzip file cut short yields the lines before the cut, then the problem.
    """
    magic = file.read(len(_GZIP_MAGIC))
    file.seek(0)
    is_gzip = magic == _GZIP_MAGIC
    # The media type is told by the file's name, without .gz.
    stream = gzip.GzipFile(fileobj=file) if is_gzip else file
    if media_type == "application/fhir+ndjson":
        yield from _lines(stream)
        return
    try:
        data = stream.read()
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        yield Entry(0, None, f"gzip is damaged: {error}")
        return
    yield from _document(data)


def _document(data: bytes) -> Iterator[Entry]:
    data = data.removeprefix(_BYTE_ORDER_MARK)
    if not data.strip(_WHITE_SPACE):
        yield Entry(0, data, "the file is empty" if not data else "the file is blank")
        return
    try:
        head = _decode_head(data)
    except msgspec.ValidationError:
        yield Entry(0, data, "expected a JSON object, found another JSON value")
        return
    except _Unreadable as error:
        if _first_line_is_json(data):
            yield from _split_lines(data)
        else:
            yield Entry(0, data, f"not JSON: {_reason(error)}")
        return
    if head.resource_type == "Bundle":
        yield from _bundle(data)
    else:
        yield _resource(0, data.strip(_WHITE_SPACE))


def _first_line_is_json(data: bytes) -> bool:
    first, separator, rest = data.lstrip(_WHITE_SPACE).partition(b"\n")
    if not separator or not rest.strip(_WHITE_SPACE):
        return False
    try:
        _decode_head(first)
    except _Unreadable:
        return False
    return True


def _split_lines(data: bytes) -> Iterator[Entry]:
    for position, line in enumerate(data.split(b"\n")):
        entry = _line(position, line)
        if entry is not None:
            yield entry


def _lines(stream: Iterable[bytes]) -> Iterator[Entry]:
    position = 0
    empty = True
    try:
        for line in stream:
            found = _line(position, line.removeprefix(_BYTE_ORDER_MARK) if not position else line)
            if found is not None:
                empty = False
                yield found
            position += 1
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        yield Entry(position, None, f"gzip is damaged: {error}")
        return
    if empty:
        yield Entry(0, b"", "the file is blank" if position else "the file is empty")


def _line(position: int, line: bytes) -> Entry | None:
    stripped = line.strip(_WHITE_SPACE)
    return _resource(position, stripped) if stripped else None


def _bundle(data: bytes) -> Iterator[Entry]:
    try:
        entries = _decode_bundle(data).entry
    except _Unreadable as error:
        yield Entry(0, data, f"Bundle.entry can't be read: {_reason(error)}", "Bundle")
        return
    for position, raw in enumerate(entries):
        try:
            entry = _decode_entry(raw)
        except _Unreadable as error:
            yield Entry(position, bytes(raw), f"Bundle.entry can't be read: {_reason(error)}")
            continue
        yield _from_bundle(position, entry, bytes(raw))


def _from_bundle(position: int, entry: _BundleEntry, raw: bytes) -> Entry:
    method = entry.request.method if entry.request else None
    url = entry.request.url if entry.request else None
    if bytes(entry.resource) == b"null":
        if method != "DELETE":
            problem = "Bundle.entry has no resource"
            return Entry(position, raw, problem, None, None, entry.full_url, method, url)
        type_, _, id_ = (url or "").partition("/")
        if not (type_ and id_) or "?" in id_ or "/" in id_:
            problem = "Bundle.entry is a DELETE whose request.url is not <type>/<id>"
            return Entry(position, raw, problem, None, None, entry.full_url, method, url)
        return Entry(position, None, None, type_, id_, entry.full_url, method, url)
    taken = _resource(position, bytes(entry.resource))
    return Entry(
        position,
        taken.resource,
        taken.problem,
        taken.resource_type,
        taken.resource_id,
        entry.full_url,
        method,
        url,
    )


def _resource(position: int, data: bytes) -> Entry:
    try:
        head = _decode_head(data)
    except msgspec.ValidationError:
        return Entry(position, data, "expected a JSON object, found another JSON value")
    except _Unreadable as error:
        return Entry(position, data, f"not JSON: {_reason(error)}")
    type_ = head.resource_type if isinstance(head.resource_type, str) else None
    id_ = head.id if isinstance(head.id, str) else None
    return Entry(position, data, None, type_, id_)


def _reason(error: Exception) -> str:
    if isinstance(error, RecursionError):
        return "nested too deeply"
    return str(error).removeprefix("JSON is malformed: ")
