"""Bytes of a landed file become raw resources, byte for byte.

Belongs here: finding where each entry or line begins and ends, and what it says of itself. Whether
it is a valid resource is judged in `validation.py`.
"""

import gzip
import io
import zlib
from collections.abc import Iterable, Iterator
from typing import Any, BinaryIO, cast

import msgspec
import pyarrow as pa

from hc_assets.fhir.bundle_splitting import split_bundle
from hc_assets.fhir.entries import Entry, Unreadable, data_only, decode_head, resource_entry

_GZIP_MAGIC = b"\x1f\x8b"
_ZSTD_MAGIC = b"\x28\xb5\x2f\xfd"
_MAGICS = (_GZIP_MAGIC, _ZSTD_MAGIC)
_DAMAGED = (EOFError, zlib.error, OSError)
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_WHITE_SPACE = b" \t\r\n"


# A document is attested, and a message sent, as a whole: among the lines of an export they are
# resources that were stored, whereas the other types carry resources.
_KEPT_WHOLE_IN_LINES = frozenset({"document", "message"})


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
    whole = resource_entry(0, data.strip(_WHITE_SPACE))
    if keep_bundles and not whole.problem:
        yield whole
    elif whole.resource_type == "Bundle":
        yield from split_bundle(data)
    elif whole.problem and _first_line_is_json(data):
        yield from _lines(data.split(b"\n"), keep_bundles=keep_bundles)
    elif whole.resource_type is None and _is_bulk_manifest(whole.resource):
        yield Entry(0, whole.resource, "a Bulk Data manifest: it lists files and holds no resource")
    else:
        yield data_only(whole)


class _Manifest(msgspec.Struct):
    transaction_time: str = msgspec.field(name="transactionTime")
    output: list[Any]


def _is_bulk_manifest(data: bytes | None) -> bool:
    try:
        msgspec.json.decode(data or b"", type=_Manifest)
    except Unreadable:
        return False
    return True


def _first_line_is_json(data: bytes) -> bool:
    first, separator, rest = data.lstrip(_WHITE_SPACE).partition(b"\n")
    if not separator or not rest.strip(_WHITE_SPACE):
        return False
    try:
        decode_head(first)
    except Unreadable:
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
    whole = resource_entry(position, line)
    if keep_bundles:
        return (whole,)
    if whole.resource_type != "Bundle":
        return (data_only(whole),)
    return split_bundle(line, position, kept_whole=_KEPT_WHOLE_IN_LINES)
