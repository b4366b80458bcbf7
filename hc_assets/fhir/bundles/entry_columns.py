"""The entries of a file as Arrow columns: at once where they are regular, else one by one.

Belongs here: calling `fhir/r4/fast/native/entries.c`, and making columns of spans of the text. It
gives what `bundles.read_entries` gives; where the compiled code can't decide, that is called.
"""

import ctypes
from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from functools import cache, partial
from typing import Any, BinaryIO, NamedTuple

import msgspec
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from hc_assets.core.compiled import load_library
from hc_assets.fhir.bundles.entries import Entry, resource_entry
from hc_assets.fhir.bundles.formats import HEAD_BYTES, other_format
from hc_assets.fhir.bundles.read import ending, entries_of_document, entries_of_lines
from hc_assets.fhir.bundles.sources import only_base, own_source
from hc_assets.fhir.bundles.text_streams import (
    BYTE_ORDER_MARK,
    DEFAULT_TEXT_LIMITS,
    LINES,
    DamagedTextError,
    Lines,
    TextLimits,
    bounded_lines,
    head_of,
    read_text,
    unpacked,
)
from hc_assets.fhir.bundles.unpacking import Judge, as_a_whole
from hc_assets.fhir.schemas import RAW_BUNDLES

# Arrow's binary columns count bytes with 32 bits.
_MAX_BYTES = 2**31 - 1
# The members of Entry, in order, by the columns that hold them.
_ENTRY_COLUMNS = tuple(
    "request_if_none_exist" if name == "if_none_exist" else name for name in Entry.__struct_fields__
)
# `Row` of fhir/r4/fast/native/entry_rows.h: begin and end of each, then the position.
_SPANS = (
    "resource",
    "resource_type",
    "resource_id",
    "full_url",
    "request_method",
    "request_url",
    "request_if_none_exist",
)
_ADDRESSED = ("full_url", "request_method", "request_url", "resource_type", "resource_id")
_WIDTH = 2 * len(_SPANS) + 1
_LAYOUT = {"version": 1, "EntryRow": _WIDTH * np.dtype(np.int64).itemsize}
_NO_ROOM = -2
# A guess at the size of an entry; where there are more, the text is read again.
_BYTES_PER_ENTRY = 512

_members = msgspec.structs.astuple

EntryColumns = Mapping[str, pa.Array]
_Rows = npt.NDArray[np.int64]


class Bounds(NamedTuple):
    """How much is yielded at a time.

    Attributes:
        rows: entries.
        size: bytes of resources; the entry that exceeds them is the last.
    """

    rows: int = 2_000
    size: int = 16 * 1024**2


DEFAULT_BOUNDS = Bounds()


@cache
def _library() -> ctypes.CDLL:
    library = load_library("hc_assets.fhir.r4.fast._fast_path", _LAYOUT)
    text_and_rows = (ctypes.c_char_p, ctypes.c_size_t, ctypes.c_void_p, ctypes.c_int64)
    library.hc_regular_entries.argtypes = text_and_rows
    library.hc_regular_entries.restype = ctypes.c_int64
    library.hc_regular_lines.argtypes = (*text_and_rows, ctypes.c_int64)
    library.hc_regular_lines.restype = ctypes.c_int64
    library.hc_gather.argtypes = (
        ctypes.c_char_p,
        ctypes.c_void_p,
        ctypes.c_int64,
        ctypes.c_int64,
        ctypes.c_void_p,
    )
    library.hc_gather.restype = None
    return library


def read_columns(
    file: BinaryIO,
    media_type: str,
    bounds: Bounds = DEFAULT_BOUNDS,
    limits: TextLimits = DEFAULT_TEXT_LIMITS,
    *,
    judge: Judge | None = None,
) -> Iterator[EntryColumns]:
    """Split a file into its entries. Never raises for what the file holds.

    Args:
        file: open at its beginning, seekable; gzip and zstd are recognised by content.
        media_type: as for `bundles.read_entries`.
        bounds: of what is yielded at a time.
        limits: of what is read. What exceeds them is an entry with a problem.
        judge: as for `bundles.read_entries`.

    Yields:
        Columns of `RAW_BUNDLES` by name, except those of the batch and the file: as many
        rows as the bounds allow.
    """
    stream = unpacked(file, limits)
    other = other_format(head_of(stream, HEAD_BYTES), in_lines=media_type == LINES)
    if other is not None:
        yield columns_of([Entry(0, None, other)])
        return
    if media_type == LINES:
        yield from _of_lines(Lines(bounded_lines(stream, limits.text)), bounds, judge)
        return
    try:
        data = read_text(stream, limits.text)
    except DamagedTextError as error:
        yield columns_of([Entry(0, None, str(error))])
        return
    text = data.removeprefix(BYTE_ORDER_MARK)
    rows = _spans(text, len(text) // _BYTES_PER_ENTRY + 1, _library().hc_regular_entries)
    if rows is None:
        yield from _one_by_one(entries_of_document(data, judge=judge), bounds)
        return
    full_urls = _texts(text, rows, 2 * _SPANS.index("full_url"), pa.string())
    base = only_base(full_urls.to_pylist()) if _has_address(full_urls) else None
    for start, until in _portions(rows, bounds):
        yield _gathered(text, rows[start:until], base)
    if judge is not None:
        whole = partial(resource_entry, len(rows), text)
        for entry in as_a_whole(text, judge, whole):
            yield columns_of([entry])


def _of_lines(lines: Lines, bounds: Bounds, judge: Judge | None) -> Iterator[EntryColumns]:
    position = 0
    for block in _blocks(lines, bounds):
        text = b"".join(block)
        rows = _spans(text, len(block), _library().hc_regular_lines, position)
        if rows is None:
            first = lines.count - len(block) + 1
            entries = entries_of_lines(block, position, line=first, judge=judge)
            position = yield from _one_by_one(entries, bounds)
            continue
        if len(rows):
            yield _gathered(text, rows)
        position += len(block)
    for entry in ending(lines, position):
        yield columns_of([entry])


def _blocks(lines: Iterable[bytes], bounds: Bounds) -> Iterator[list[bytes]]:
    block: list[bytes] = []
    size = 0
    for line in lines:
        block.append(line)
        size += len(line)
        if len(block) >= bounds.rows or size >= bounds.size:
            yield block
            block, size = [], 0
    if block:
        yield block


def _one_by_one(entries: Iterator[Entry], bounds: Bounds) -> Generator[EntryColumns, None, int]:
    """Yield columns of entries, some at a time; returns what a generator of entries returns."""
    pending: list[Entry] = []
    size = 0
    while True:
        try:
            entry = next(entries)
        except StopIteration as end:
            if pending:
                yield columns_of(pending)
            return end.value or 0
        pending.append(entry)
        size += len(entry.resource or b"")
        if len(pending) >= bounds.rows or size >= bounds.size:
            yield columns_of(pending)
            pending, size = [], 0


def columns_of(entries: Sequence[Entry]) -> EntryColumns:
    """Return the columns of entries, of which there is at least one."""
    values = dict(zip(_ENTRY_COLUMNS, zip(*map(_members, entries), strict=True), strict=True))
    values["issues"] = tuple(msgspec.to_builtins(each) or None for each in values["issues"])
    return {name: pa.array(column, RAW_BUNDLES.field(name).type) for name, column in values.items()}


def _spans(text: bytes, room: int, function: Any, *arguments: int) -> _Rows | None:
    """Where the entries are; None where the compiled code can't decide."""
    if len(text) > _MAX_BYTES:
        return None
    while True:
        rows = np.empty((room, _WIDTH), np.int64)
        count = function(text, len(text), rows.ctypes.data, room, *arguments)
        if count >= 0:
            return rows[:count]
        if count != _NO_ROOM:
            return None
        room *= 4


def _portions(rows: _Rows, bounds: Bounds) -> Iterator[tuple[int, int]]:
    """First row of each batch, and the one behind its last."""
    sizes = np.cumsum(rows[:, 1] - rows[:, 0])
    start = 0
    while start < len(rows):
        before = sizes[start - 1] if start else 0
        full = int(np.searchsorted(sizes, before + bounds.size)) + 1
        until = min(start + bounds.rows, full, len(rows))
        yield start, until
        start = until


def _gathered(text: bytes, rows: _Rows, base: str | None = None) -> EntryColumns:
    """The columns of entries, by where they are in the text; `base` is that of their Bundle."""
    count = len(rows)
    columns: dict[str, pa.Array] = {"position": pa.array(rows[:, -1])}
    for number, name in enumerate(_SPANS):
        columns[name] = _texts(text, rows, 2 * number, RAW_BUNDLES.field(name).type)
    for name in (
        *("problem", "last_modified", "last_modified_digits", "response_etag"),
        *("not_data", "issues", "place"),
    ):
        columns[name] = pa.nulls(count, RAW_BUNDLES.field(name).type)
    columns["source"] = _sources(columns, base)
    return columns


def _has_address(urls: pa.Array) -> bool:
    return bool(pc.any(pc.match_substring(urls, "://")).as_py())


def _sources(columns: EntryColumns, base: str | None) -> pa.Array:
    """The source of each entry, as `sources.with_source` has it."""
    type_ = RAW_BUNDLES.field("source").type
    if not any(_has_address(columns[name]) for name in ("full_url", "request_url")):
        count = len(columns["position"])
        return pa.nulls(count, type_) if base is None else pa.repeat(pa.scalar(base, type_), count)
    rows = zip(*(columns[name].to_pylist() for name in _ADDRESSED), strict=True)
    return pa.array([own_source(*row) or base for row in rows], type_)


def _texts(text: bytes, rows: _Rows, column: int, type_: pa.DataType) -> pa.Array:
    begins, count = rows[:, column], len(rows)
    known = begins >= 0
    if not known.any():
        return pa.nulls(count, type_)
    ends = np.zeros(count + 1, np.int32)
    np.cumsum(rows[:, column + 1] - begins, out=ends[1:])
    joined = np.empty(int(ends[-1]), np.uint8)
    first = rows.ctypes.data + column * rows.itemsize
    _library().hc_gather(text, first, rows.strides[0] // rows.itemsize, count, joined.ctypes.data)
    validity = None if known.all() else pa.py_buffer(np.packbits(known, bitorder="little"))
    buffers = [validity, pa.py_buffer(ends), pa.py_buffer(joined)]
    return pa.Array.from_buffers(type_, count, buffers)
