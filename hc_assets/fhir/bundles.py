"""Bytes of a landed file become raw resources, byte for byte.

Belongs here: finding where each entry or line begins and ends, and what it says of itself. Whether
it is a valid resource is judged in `validation.py`.
"""

import gzip
import json
import re
import zlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import BinaryIO

import msgspec

_GZIP_MAGIC = b"\x1f\x8b"
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_WHITE_SPACE = b" \t\r\n"
# What R4 allows as a type and an id, and nothing around them: no query, version or server.
_TYPE_AND_ID = re.compile(r"([A-Z][A-Za-z]*)/([A-Za-z0-9\-.]{1,64})")


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


_NAMES_IN_A_BUNDLE = {"entry": b'"entry"'}
_NAMES_IN_AN_ENTRY = {name: b'"%b"' % name.encode() for name in ("resource", "request", "fullUrl")}
_ENOUGH_TO_FIND_IT = 64

_ABSENT = msgspec.Raw(b"null")
# What msgspec raises for bytes that it can't read: no JSON, text that is not UTF-8, and nesting
# beyond its depth.
_Unreadable = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)


class _Request(msgspec.Struct):
    method: str | None = None
    url: str | None = None


class _BundleEntry(msgspec.Struct):
    full_url: str | None = msgspec.field(name="fullUrl", default=None)
    resource: msgspec.Raw = _ABSENT
    request: _Request | None = None


class _Head(msgspec.Struct):
    # Raw: a resource whose id is a number is wrong, but its type can still be told.
    resource_type: msgspec.Raw = msgspec.field(name="resourceType", default=_ABSENT)
    id: msgspec.Raw = _ABSENT


class _Bundle(msgspec.Struct):
    entry: list[msgspec.Raw] = []


_decode_head = msgspec.json.Decoder(_Head).decode
_decode_entry = msgspec.json.Decoder(_BundleEntry).decode
_decode_bundle = msgspec.json.Decoder(_Bundle).decode
_decode_text = msgspec.json.Decoder(str).decode


def read_entries(file: BinaryIO, media_type: str, *, keep_bundles: bool = False) -> Iterator[Entry]:
    """Split a file into its entries. Never raises for what the file holds.

    Args:
        file: open at its beginning, seekable; gzip is recognised by content.
        media_type: `application/fhir+ndjson` for lines. Any other file is taken as one JSON
            document; where it is not one but its first line is, as lines after all.
        keep_bundles: give a document that is a Bundle as one entry, the Bundle itself.

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
    yield from _document(data, keep_bundles=keep_bundles)


def _document(data: bytes, *, keep_bundles: bool) -> Iterator[Entry]:
    data = data.removeprefix(_BYTE_ORDER_MARK)
    if not data.strip(_WHITE_SPACE):
        yield Entry(0, data, "the file is empty" if not data else "the file is blank")
        return
    whole = _resource(0, data.strip(_WHITE_SPACE))
    if whole.resource_type == "Bundle" and not keep_bundles:
        yield from _bundle(data)
    elif whole.problem and _first_line_is_json(data):
        yield from _split_lines(data)
    else:
        yield whole


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
        _refuse_repeated(data, "Bundle", _NAMES_IN_A_BUNDLE)
    except _Unreadable as error:
        yield Entry(0, data, f"Bundle.entry can't be read: {_reason(error)}", "Bundle")
        return
    except _RepeatedNameError as error:
        yield Entry(0, data, str(error), "Bundle")
        return
    for position, raw in enumerate(entries):
        yield _from_bundle(position, bytes(raw))


def _from_bundle(position: int, raw: bytes) -> Entry:
    try:
        entry = _decode_entry(raw)
        resource = bytes(entry.resource)
        _refuse_repeated(_around(raw, resource), "Bundle.entry", _NAMES_IN_AN_ENTRY)
    except _Unreadable as error:
        return Entry(position, raw, f"Bundle.entry can't be read: {_reason(error)}")
    except _RepeatedNameError as error:
        return Entry(position, raw, str(error))
    method = entry.request.method if entry.request else None
    url = entry.request.url if entry.request else None
    if method == "DELETE":
        # The method decides: a body has no meaning in a DELETE, and R4 gives such entries none.
        named = _TYPE_AND_ID.fullmatch(url or "")
        if named is None:
            problem = "Bundle.entry is a DELETE whose request.url is not <type>/<id>"
            return Entry(position, raw, problem, None, None, entry.full_url, method, url)
        return Entry(position, None, None, named[1], named[2], entry.full_url, method, url)
    if resource == b"null":
        problem = "Bundle.entry has no resource"
        return Entry(position, raw, problem, None, None, entry.full_url, method, url)
    taken = _resource(position, resource)
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


def _around(raw: bytes, resource: bytes) -> bytes:
    """Give an entry without its resource, whose names are validation's matter."""
    if resource == b"null":
        return raw
    # Found by its first bytes: searching for all of them costs as much as decoding.
    first = resource[:_ENOUGH_TO_FIND_IT]
    start = raw.find(first)
    while not raw.startswith(resource, start):
        start = raw.find(first, start + 1)
    return raw[:start] + b"null" + raw[start + len(resource) :]


def _resource(position: int, data: bytes) -> Entry:
    try:
        head = _decode_head(data)
        return Entry(position, data, None, _text(head.resource_type), _text(head.id))
    except msgspec.ValidationError:
        return Entry(position, data, "expected a JSON object, found another JSON value")
    except _Unreadable as error:
        return Entry(position, data, f"not JSON: {_reason(error)}")


def _text(raw: msgspec.Raw) -> str | None:
    return _decode_text(raw) if bytes(raw).startswith(b'"') else None


class _RepeatedNameError(Exception):
    """An object has two members of one name: which one is meant can't be told."""


def _refuse_repeated(text: bytes, place: str, names: Mapping[str, bytes]) -> None:
    """Refuse an object that says something twice: msgspec would drop the first in silence.

    Counting is cheap and rules out nearly every text; names deeper inside are told apart by
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


def _reason(error: Exception) -> str:
    if isinstance(error, RecursionError):
        return "nested too deeply"
    if isinstance(error, UnicodeDecodeError):
        return "text that is not UTF-8"
    return str(error).removeprefix("JSON is malformed: ")
