"""JSON resources as texts with places in them: what stands where, without decoding the rest.

Belongs here: calling `fhir/enrichment/columns/native/resource_texts.c` for a whole column at once,
and reading single members. Resources of one source come in few shapes, so whatever depends on the
names of a resource's members alone is worked out once for each shape (`Names`).
"""

import ctypes
from collections.abc import Sequence
from functools import cache, lru_cache
from typing import Any, NamedTuple

import msgspec
import numpy as np
import numpy.typing as npt
import pyarrow as pa

from hc_assets.core.compiled import load_library

_MALFORMED, _FULL = -1, -2
_REFERENCES_PER_ROW, _MEMBERS_PER_ROW = 8, 24
_CACHED_SHAPES = 16_384
_LAYOUT = {
    "version": 1,
    "Span": 2 * np.dtype(np.int32).itemsize,
    "Reference": 3 * np.dtype(np.int64).itemsize,
}

_decode_text = msgspec.json.Decoder(str).decode
Numbers = npt.NDArray[np.int64]


class Names:
    """Names of a resource's members, in order; equal ones are the same object.

    Attributes:
        listed: the names.
        places: index of each.
    """

    __slots__ = ("listed", "places")

    def __init__(self, listed: tuple[str, ...]) -> None:
        """Take the names."""
        self.listed = listed
        self.places = {name: place for place, name in enumerate(listed)}


@lru_cache(maxsize=_CACHED_SHAPES)
def _names(listed: tuple[bytes, ...]) -> Names:
    return Names(tuple(text_of(b'"%b"' % name) for name in listed))


class Resource(NamedTuple):
    """A JSON object as text.

    Attributes:
        text: the whole of it.
        names: of its members.
        ends: where each member's value begins and ends in the text, in pairs, in order.
    """

    text: bytes
    names: Names
    ends: Sequence[int]

    def raw(self, name: str) -> bytes | None:
        """JSON of a member; None where there is none of that name."""
        place = self.names.places.get(name)
        return None if place is None else self.at(place)

    def at(self, place: int) -> bytes:
        """JSON of the member at a place."""
        return self.text[self.ends[2 * place] : self.ends[2 * place + 1]]


class Texts(NamedTuple):
    """Texts one after the other: text `i` is `buffer[offsets[i] : offsets[i + 1]]`."""

    buffer: bytes
    offsets: Numbers


class Compact(NamedTuple):
    """Compact texts, and the references in them.

    Attributes:
        texts: without white space between their tokens; empty where there was none.
        references: rows of three: number of the text, and where in the buffer the text of a
            `Reference.reference` begins and ends, without its quotes.
    """

    texts: Texts
    references: Numbers


def text_of(raw: bytes) -> str:
    """Text that a JSON string stands for."""
    return _decode_text(raw) if b"\\" in raw else raw[1:-1].decode()


@cache
def _library() -> ctypes.CDLL:
    library = load_library("hc_assets.fhir.enrichment.columns._resource_texts", _LAYOUT)
    number, place = ctypes.c_int64, ctypes.c_void_p
    library.hc_compact.argtypes = [place, place, number, place, place, place, number]
    library.hc_members.argtypes = [place, place, number, place, place, place, number, place, place]
    library.hc_members.argtypes += [number]
    library.hc_compact.restype = library.hc_members.restype = number
    return library


def texts_of(resources: pa.Array) -> Texts:
    """Return a binary column as texts; what is null is empty."""
    filled = resources.fill_null(b"") if resources.null_count else resources
    _, places, data = filled.buffers()
    offsets = np.frombuffer(places, np.int32)[filled.offset : filled.offset + len(filled) + 1]
    return Texts(data.to_pybytes() if data is not None else b"", offsets.astype(np.int64))


def compacted(resources: pa.Array) -> Compact:
    """Take the white space from between the tokens of JSON texts, and change nothing else.

    Args:
        resources: binary, valid JSON each, or null.

    Raises:
        ValueError: a text is no JSON.
    """
    filled = resources.fill_null(b"") if resources.null_count else resources
    _, places, data = filled.buffers()
    sent = np.frombuffer(places, np.int32)[filled.offset : filled.offset + len(filled) + 1]
    out = np.empty(int(sent[-1] - sent[0]), np.uint8)
    offsets = np.empty(len(sent), np.int64)
    capacity = _REFERENCES_PER_ROW * len(sent)
    while True:
        found = np.empty((capacity, 3), np.int64)
        count = _library().hc_compact(
            data.address if data is not None else None,
            sent.ctypes.data,
            len(filled),
            out.ctypes.data,
            offsets.ctypes.data,
            found.ctypes.data,
            capacity,
        )
        if count != _FULL:
            break
        capacity *= 4
    if count == _MALFORMED:
        raise ValueError("a resource is no JSON")
    return Compact(Texts(out[: offsets[-1]].tobytes(), offsets), found[:count])


class Members(NamedTuple):
    """Where the members of some JSON objects are.

    Attributes:
        texts: the objects.
        first: int64, one more than texts: where a text's members begin in `values`.
        values: int32, rows of two: where a value begins and ends in its text.
        alike: int32, of each text the first with members of the same names in the same order.
        shapes: those names, by the first text that has them.
    """

    texts: Texts
    first: Numbers
    values: npt.NDArray[np.int32]
    alike: npt.NDArray[np.int32]
    shapes: dict[int, Names]

    def places(self, name: str) -> Numbers:
        """Where a member's value begins and ends in the texts; -1 where there is none."""
        at = {row: names.places.get(name, -1) for row, names in self.shapes.items()}
        return self.values_at(np.array([at[row] for row in self.alike.tolist()], np.int64))

    def values_at(self, places: Numbers) -> Numbers:
        """Where values begin and end in the texts, by the place of one member of each, or -1."""
        is_there = places >= 0
        found = np.full((len(places), 2), -1, np.int64)
        found[is_there] = self.values[self.first[:-1][is_there] + places[is_there]]
        found[is_there] += self.texts.offsets[:-1][is_there, None]
        return found

    def resource(self, row: int) -> Resource:
        """The object of a text that is not empty."""
        begin, end = self.texts.offsets[row : row + 2].tolist()
        first, until = self.first[row : row + 2].tolist()
        ends: list[int] = self.values[first:until].ravel().tolist()
        return Resource(self.texts.buffer[begin:end], self.shapes[int(self.alike[row])], ends)


def members_in(texts: Texts) -> Members:
    """Find the members of each text.

    Args:
        texts: JSON objects; one that is empty has none.

    Raises:
        ValueError: a text is no JSON object.
    """
    rows = len(texts.offsets) - 1
    capacity = _MEMBERS_PER_ROW * (rows + 1)
    table = np.empty(1 << (2 * rows + 1).bit_length(), np.int32)
    alike, first = np.empty(rows, np.int32), np.empty(rows + 1, np.int64)
    while True:
        names, values = np.empty((capacity, 2), np.int32), np.empty((capacity, 2), np.int32)
        count = _library().hc_members(
            texts.buffer,
            texts.offsets.ctypes.data,
            rows,
            first.ctypes.data,
            names.ctypes.data,
            values.ctypes.data,
            capacity,
            alike.ctypes.data,
            table.ctypes.data,
            len(table),
        )
        if count != _FULL:
            break
        capacity *= 4
    if count == _MALFORMED:
        raise ValueError("a resource is no JSON object")
    shapes: dict[int, Names] = {}
    for row in np.unique(alike).tolist():
        start = int(texts.offsets[row])
        of_row = names[first[row] : first[row + 1]] + start
        shapes[row] = _names(tuple(texts.buffer[b:e] for b, e in of_row.tolist()))
    return Members(texts, first, values[:count], alike, shapes)


def read_one(text: bytes) -> Resource:
    """Find the members of one text.

    Raises:
        ValueError: it is no JSON object.
    """
    if not text:
        raise ValueError("a resource is no JSON object")
    return members_in(Texts(text, np.array([0, len(text)], np.int64))).resource(0)


def spliced(text: bytes, changes: Sequence[tuple[int, int, bytes]], appended: bytes) -> bytes:
    """Write an object with changes.

    Args:
        text: JSON of the object, without white space at its end; with a member at least.
        changes: from where to where something else stands, in the order of the text.
        appended: members to be added at its end, each with a comma before it.
    """
    if not changes:
        return b"%b%b}" % (text[:-1], appended)
    parts: list[Any] = []
    at = 0
    for begin, end, new in changes:
        parts += text[at:begin], new
        at = end
    return b"".join((*parts, text[at:-1], appended, b"}"))
