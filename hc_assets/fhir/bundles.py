"""Bytes of a landed file become raw resources, byte for byte.

Belongs here: finding where each entry or line begins and ends, and what it says of itself. Whether
it is a valid resource is judged in `validation.py`.
"""

import gzip
import io
import json
import zlib
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from typing import Any, BinaryIO, cast

import msgspec
import pyarrow as pa

from hc_assets.fhir.requests import asked_id, deleted, refusal
from hc_assets.fhir.times import moment_of

_GZIP_MAGIC = b"\x1f\x8b"
_ZSTD_MAGIC = b"\x28\xb5\x2f\xfd"
_MAGICS = (_GZIP_MAGIC, _ZSTD_MAGIC)
_DAMAGED = (EOFError, zlib.error, OSError)
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_WHITE_SPACE = b" \t\r\n"


class Entry(msgspec.Struct, frozen=True):
    """One entry of a bundle, one line of an NDJSON file, or a file that is one resource.

    Attributes:
        position: entry or line number, from 0.
        resource: JSON bytes as received; the whole entry, or file, where `problem` is said.
        problem: why no resource could be taken from here; None where one was.
        resource_type: resourceType, where it is a text.
        resource_id: id, where it is a text; else the one that a PUT's url names.
        full_url: Bundle.entry.fullUrl.
        request_method: Bundle.entry.request.method.
        request_url: Bundle.entry.request.url.
        if_none_exist: Bundle.entry.request.ifNoneExist.
        last_modified: Bundle.entry.response.lastModified; of a deletion without one, when the
            Bundle says that it was made (meta.lastUpdated, timestamp).
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


_NAMES_IN_A_BUNDLE = {"entry": b'"entry"'}
_NAMES_IN_AN_ENTRY = {name: b'"%b"' % name.encode() for name in ("resource", "request", "fullUrl")}
_ENOUGH_TO_FIND_IT = 64

_ABSENT = msgspec.Raw(b"null")
_NONE: frozenset[str] = frozenset()
# What msgspec raises for bytes that it can't read: no JSON, text that is not UTF-8, and nesting
# beyond its depth.
_Unreadable = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)


# A document is attested, and a message sent, as a whole: among the lines of an export they are
# resources that were stored, whereas the other types carry resources.
_KEPT_WHOLE_IN_LINES = frozenset({"document", "message"})


class _Request(msgspec.Struct):
    method: str | None = None
    url: str | None = None
    if_none_exist: str | None = msgspec.field(name="ifNoneExist", default=None)


class _BundleEntry(msgspec.Struct):
    full_url: str | None = msgspec.field(name="fullUrl", default=None)
    resource: msgspec.Raw = _ABSENT
    request: _Request | None = None
    response: Any = None


class _Head(msgspec.Struct):
    # Raw: a resource whose id is a number is wrong, but its type can still be told.
    resource_type: msgspec.Raw = msgspec.field(name="resourceType", default=_ABSENT)
    id: msgspec.Raw = _ABSENT


class _Bundle(msgspec.Struct):
    entry: list[msgspec.Raw] = []
    type: Any = None
    meta: Any = None
    timestamp: Any = None


_decode_head = msgspec.json.Decoder(_Head).decode
_decode_entry = msgspec.json.Decoder(_BundleEntry, float_hook=str).decode
_decode_bundle = msgspec.json.Decoder(_Bundle, float_hook=str).decode
_decode_text = msgspec.json.Decoder(str).decode
_NO_REQUEST = _Request()


def read_entries(file: BinaryIO, media_type: str, *, keep_bundles: bool = False) -> Iterator[Entry]:
    """Split a file into its entries. Never raises for what the file holds.

    Args:
        file: open at its beginning, seekable; gzip and zstd are recognised by content.
        media_type: `application/fhir+ndjson` for lines. Any other file is taken as one JSON
            document; where it is not one but its first line is, as lines after all.
        keep_bundles: give a document or line that is a Bundle as one entry, the Bundle itself.

    Yields:
        Entries in the file's order, at least one. What can't be split, and a Bundle without
        entries, is an entry with a problem that names what was found; a gzip file cut short yields
        the lines before the cut, then the problem. A line that is a Bundle yields its entries,
        which are counted on, so that positions stay unique; a document or message among lines is
        one entry.
    """
    # The media type is told by the file's name, without .gz or .zst.
    stream = _unpacked(file)
    if media_type == "application/fhir+ndjson":
        yield from _lines(stream, keep_bundles=keep_bundles)
        return
    try:
        data = stream.read()
    except _DAMAGED as error:
        yield Entry(0, None, _damage(error))
        return
    yield from _document(data, keep_bundles=keep_bundles)


def is_packed(file: BinaryIO) -> bool:
    """Whether a file is packed with gzip or zstd, by its content.

    Args:
        file: open, seekable; left at its beginning.
    """
    return _magic(file) != b""


def _magic(file: BinaryIO) -> bytes:
    file.seek(0)
    head = file.read(max(map(len, _MAGICS)))
    file.seek(0)
    return next((magic for magic in _MAGICS if head.startswith(magic)), b"")


def _unpacked(file: BinaryIO) -> BinaryIO:
    magic = _magic(file)
    if magic == _GZIP_MAGIC:
        return cast(BinaryIO, gzip.GzipFile(fileobj=file))
    if magic == _ZSTD_MAGIC:
        packed = pa.CompressedInputStream(pa.PythonFile(file, mode="r"), "zstd")
        return io.BufferedReader(packed)
    return file


def _damage(error: Exception) -> str:
    # Arrow reads zstd and raises a bare OSError; a failing disk has a number.
    if isinstance(error, OSError) and not isinstance(error, gzip.BadGzipFile):
        if error.errno is not None:
            raise error
        return "zstd is damaged"
    return f"gzip is damaged: {error}"


def _document(data: bytes, *, keep_bundles: bool) -> Iterator[Entry]:
    data = data.removeprefix(_BYTE_ORDER_MARK)
    if not data.strip(_WHITE_SPACE):
        yield Entry(0, data, "the file is empty" if not data else "the file is blank")
        return
    whole = _resource(0, data.strip(_WHITE_SPACE))
    if keep_bundles and not whole.problem:
        yield whole
    elif whole.resource_type == "Bundle":
        yield from _bundle(data)
    elif whole.problem and _first_line_is_json(data):
        yield from _lines(data.split(b"\n"), keep_bundles=keep_bundles)
    elif whole.resource_type is None and _is_bulk_manifest(whole.resource):
        yield Entry(0, whole.resource, "a Bulk Data manifest: it lists files and holds no resource")
    else:
        yield _data_only(whole)


class _Manifest(msgspec.Struct):
    transaction_time: str = msgspec.field(name="transactionTime")
    output: list[Any]


def _is_bulk_manifest(data: bytes | None) -> bool:
    try:
        msgspec.json.decode(data or b"", type=_Manifest)
    except _Unreadable:
        return False
    return True


def _data_only(entry: Entry) -> Entry:
    """Set aside what tells of a request, a search or an export: it is not to be stored."""
    if entry.resource_type != "OperationOutcome" or entry.problem:
        return entry
    return msgspec.structs.replace(
        entry, problem="an OperationOutcome: it tells of a request and is no data"
    )


def _first_line_is_json(data: bytes) -> bool:
    first, separator, rest = data.lstrip(_WHITE_SPACE).partition(b"\n")
    if not separator or not rest.strip(_WHITE_SPACE):
        return False
    try:
        _decode_head(first)
    except _Unreadable:
        return False
    return True


def _lines(stream: Iterable[bytes], *, keep_bundles: bool) -> Iterator[Entry]:
    position = 0
    empty = True
    try:
        for number, line in enumerate(stream):
            stripped = (line if number else line.removeprefix(_BYTE_ORDER_MARK)).strip(_WHITE_SPACE)
            if not stripped:
                position += 1
                continue
            empty = False
            for found in _of_line(position, stripped, keep_bundles=keep_bundles):
                yield found
                position += 1
    except _DAMAGED as error:
        yield Entry(position, None, _damage(error))
        return
    if empty:
        yield Entry(0, b"", "the file is blank" if position else "the file is empty")


def _of_line(position: int, line: bytes, *, keep_bundles: bool) -> Iterable[Entry]:
    whole = _resource(position, line)
    if keep_bundles:
        return (whole,)
    if whole.resource_type != "Bundle":
        return (_data_only(whole),)
    return _bundle(line, position, kept_whole=_KEPT_WHOLE_IN_LINES)


def _bundle(data: bytes, first: int = 0, *, kept_whole: frozenset[str] = _NONE) -> Iterator[Entry]:
    try:
        bundle = _decode_bundle(data)
        _refuse_repeated(data, "Bundle", _NAMES_IN_A_BUNDLE)
    except _Unreadable as error:
        yield Entry(first, data, f"Bundle.entry can't be read: {_reason(error)}", "Bundle")
        return
    except _RepeatedNameError as error:
        yield Entry(first, data, str(error), "Bundle")
        return
    if isinstance(bundle.type, str) and bundle.type in kept_whole:
        yield _resource(first, data)
        return
    if not bundle.entry:
        yield Entry(first, data, "the Bundle has no entry", "Bundle")
    made_at = _moment(_member(bundle.meta, "lastUpdated")) or _moment(bundle.timestamp)
    for position, raw in enumerate(bundle.entry, start=first):
        yield _from_bundle(position, bytes(raw), made_at)


def _from_bundle(position: int, raw: bytes, made_at: datetime | None) -> Entry:
    try:
        entry = _decode_entry(raw)
        resource = bytes(entry.resource)
        _refuse_repeated(_around(raw, resource), "Bundle.entry", _NAMES_IN_AN_ENTRY)
    except _Unreadable as error:
        return Entry(position, raw, f"Bundle.entry can't be read: {_reason(error)}")
    except _RepeatedNameError as error:
        return Entry(position, raw, str(error))
    return _asked_for(position, entry, raw, made_at)


def _asked_for(position: int, entry: _BundleEntry, raw: bytes, made_at: datetime | None) -> Entry:
    """Give what an entry asks to be stored or deleted, or why that can't be."""
    request = entry.request or _NO_REQUEST
    method, url = request.method, request.url
    modified = _moment(_member(entry.response, "lastModified")) if entry.response else None
    full_url, condition = entry.full_url, request.if_none_exist
    asked = (full_url, method, url, condition)
    if method == "DELETE":
        # The method decides: a body has no meaning in a DELETE, and R4 gives such entries none.
        named = deleted(url)
        if named is None:
            problem = "Bundle.entry is a DELETE whose request.url is not <type>/<id>"
            return Entry(position, raw, problem, None, None, *asked, modified)
        return Entry(position, None, None, *named, *asked, modified or made_at)
    resource = bytes(entry.resource)
    if resource == b"null":
        problem = "Bundle.entry has no resource"
        return Entry(position, raw, problem, None, None, *asked, modified)
    taken = _resource(position, resource)
    type_, id_ = taken.resource_type, taken.resource_id
    if taken.problem is not None:
        return Entry(position, resource, taken.problem, type_, id_, *asked, modified)
    refused = _data_only(taken).problem or refusal(method, url, type_, id_)
    if refused is not None:
        return Entry(position, raw, refused, type_, id_, *asked, modified)
    return Entry(position, resource, None, type_, id_ or asked_id(method, url), *asked, modified)


def _member(value: Any, name: str) -> Any:
    return value.get(name) if isinstance(value, dict) else None


def _moment(text: Any) -> datetime | None:
    try:
        moment = moment_of(text)
    except ValueError:
        return None  # no instant: said of the Bundle by whoever validates it
    return moment if moment is not None and moment.tzinfo is not None else None


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
    text = bytes(raw)
    if not text.startswith(b'"'):
        return None
    return _decode_text(text) if b"\\" in text else text[1:-1].decode()


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
