"""The index row of a well-formed file, read by compiled code; whatever is odd is refused.

Belongs here: calling `imaging/headers/native/header_walk.c` and filling the gaps that it leaves in
the JSON. Typed columns of the bytes that it points at are made in `fast_columns.py`. What a row is,
is reported by `read.py`, whose thorough reader takes every file that is refused here, and gives the
same row of every other.
"""

import ctypes
import mmap
import os
import struct
import threading
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import msgspec
from pydicom._dicom_dict import DicomDictionary
from pydicom.charset import convert_encodings, python_encoding

from hc_assets.core.compiled import load_library
from hc_assets.imaging.headers.columns import COLUMNS, sop_class_name
from hc_assets.imaging.headers.dicom_json import (
    BINARY_LIMIT,
    SEQUENCE_LIMIT,
    TEXT_LIMIT,
    bulk_model,
    bulk_note,
    element_model,
    is_bulk,
    place_in_file,
)
from hc_assets.imaging.headers.elements import AMBIGUOUS_BYTES, Elements, private_creators
from hc_assets.imaging.headers.fast_columns import VRS, FastColumns, Found
from hc_assets.imaging.headers.functional_groups import MACROS
from hc_assets.imaging.headers.reading import NO_PREFIX, NO_SYNTAX, quiet_pydicom
from hc_assets.lake.hashes import HEAD_BYTES, head_hash

_OUTCOMES = _DONE, _REFUSED, _MORE = range(3)

_JSON_BYTES = 32 * 1024**2
_NUMBERS = 15
_SLOT_NUMBERS = 3
_CREATOR_NUMBERS = 3
_GAP_NUMBERS = 12
_MAX_GAPS = 4096
_MAX_CREATORS = 32
_CHARACTER_SET = 0x00080005
_CACHED = 20_000
_CACHED_BYTES = 1024
_NUMBERS_FORMAT = struct.Struct(f"={_NUMBERS}I")
_SLOTS_FORMAT = struct.Struct(f"={_SLOT_NUMBERS * len(COLUMNS)}I")
_FIRST_SLOT = 4 * _NUMBERS
_FIRST_CREATOR = _FIRST_SLOT + 4 * _SLOT_NUMBERS * len(COLUMNS)
_FIRST_GAP = _FIRST_CREATOR + 4 * _CREATOR_NUMBERS * _MAX_CREATORS

_LAYOUT = {
    "version": 1,
    "outcomes": len(_OUTCOMES),
    "vrs": len(VRS),
    "numbers": _NUMBERS,
    "gap numbers": _GAP_NUMBERS,
    "slot numbers": _SLOT_NUMBERS,
    "creator numbers": _CREATOR_NUMBERS,
    "text limit": TEXT_LIMIT,
    "binary limit": BINARY_LIMIT,
    "sequence limit": SEQUENCE_LIMIT,
}


class _Refused(Exception):  # noqa: N818 - an outcome, not a fault
    """The thorough reader has to look at the file."""


def fast_header(path: Path, head: str = "") -> dict[str, object] | None:
    """Read what the index says about a file.

    Args:
        path: the file.
        head: `hashes.head_hash` of the file, where nothing but bytes that have it may be read.

    Returns:
        As `headers.read_header`; None where the thorough reader has to look at the file, also
        because it can't be read; with `head` also where its beginning is another, or is not all
        that the header needs.
    """
    reader = _reader()
    try:
        file = os.open(path, os.O_RDONLY | getattr(os, "O_BINARY", 0))
    except OSError:
        return None  # the thorough reader meets the same and says what is wrong
    try:
        return reader.read(file, head)
    except (OSError, _Refused):
        return None
    finally:
        os.close(file)


class _Reader:
    """The compiled walk with its buffers; one per thread."""

    def __init__(self, library: ctypes.CDLL) -> None:
        self._walk = library.hc_dicom_header
        # Mapped, so that only what is used takes up memory
        self._json = (ctypes.c_char * _JSON_BYTES).from_buffer(mmap.mmap(-1, _JSON_BYTES))
        self._answer = ctypes.create_string_buffer(_FIRST_GAP + 4 * _GAP_NUMBERS * _MAX_GAPS)
        self._columns = FastColumns()
        self._fragments: dict[tuple[object, ...], bytes] = {}
        self._owners: dict[tuple[object, ...], list[str] | None] = {}

    def read(self, file: int, expected: str) -> dict[str, object]:
        """Make the row of an open file whose beginning has the expected hash, where one is.

        Raises:
            _Refused: the file is not plainly regular.
            OSError: it can't be read.
        """
        size = os.fstat(file).st_size
        head = os.pread(file, HEAD_BYTES, 0)
        if expected and head_hash(head) != expected:
            raise _Refused
        outcome = self._walked(head, len(head), size)
        if outcome == _DONE:
            return self._row(head)
        if outcome != _MORE or expected:
            raise _Refused
        # A private copy, since ctypes takes the address of writable memory only
        with mmap.mmap(file, size, access=mmap.ACCESS_COPY) as mapped:
            first = ctypes.c_char.from_buffer(mapped)
            try:
                outcome = self._walked(ctypes.byref(first), size, size)
            finally:
                del first
            if outcome != _DONE:
                raise _Refused
            return self._row(mapped)

    def _walked(self, data: Any, have: int, size: int) -> int:
        answer: int = self._walk(
            *(data, have, size, self._json, _JSON_BYTES, self._answer),
            *(len(COLUMNS), _MAX_GAPS, _MAX_CREATORS),
        )
        return answer

    def _row(self, data: bytes | mmap.mmap) -> dict[str, object]:
        (
            json_size,
            gaps,
            has_pixels,
            is_signed,
            set_at,
            set_size,
            syntax_at,
            syntax_size,
            class_at,
            class_size,
            instance_at,
            instance_size,
            creators,
            is_bare,
            is_big,
        ) = _NUMBERS_FORMAT.unpack_from(self._answer)
        encodings = _encodings(data[set_at : set_at + set_size])
        found = Found(data, encodings, bool(is_signed), not is_big)
        notes = [NO_PREFIX] if is_bare else []
        if not syntax_size:
            notes.append(NO_SYNTAX)
        slots = _SLOTS_FORMAT.unpack_from(self._answer, _FIRST_SLOT)
        row = self._columns.row(found, slots, notes, has_pixels=bool(has_pixels))
        if not row["sop_class_uid"]:
            row["sop_class_uid"] = _meta_text(data[class_at : class_at + class_size])
        row["sop_class"] = sop_class_name(row["sop_class_uid"])
        if not row["sop_instance_uid"]:
            row["sop_instance_uid"] = _meta_text(data[instance_at : instance_at + instance_size])
        row["has_pixels"] = bool(has_pixels)
        row["transfer_syntax_uid"] = (
            _syntax(data[syntax_at : syntax_at + syntax_size]) if syntax_size else None
        )
        row["private_creators"] = self._private_creators(found, creators) if creators else None
        text = self._json_text(found, json_size, gaps, notes)
        row["dicom_json"] = text
        row["warnings"] = list(dict.fromkeys(notes)) if notes else notes
        return row

    def _private_creators(self, found: Found, count: int) -> list[str] | None:
        numbers = struct.unpack_from(f"={3 * count}I", self._answer, _FIRST_CREATOR)
        data = found.data
        sent = tuple(
            (VRS[vr], data[at : at + size])
            for vr, at, size in zip(numbers[::3], numbers[1::3], numbers[2::3], strict=True)
        )
        key = (found.encodings, *sent)
        if key not in self._owners:
            if len(self._owners) > _CACHED:
                self._owners.clear()
            elements = found.elements(
                {0x00090010 + number: each for number, each in enumerate(sent)}
            )
            with quiet_pydicom():
                self._owners[key] = private_creators(elements)
        return self._owners[key]

    def _json_text(self, found: Found, size: int, gaps: int, notes: list[str]) -> str:
        text = ctypes.string_at(self._json, size)
        if not gaps:
            return text.decode("ascii")
        pieces: list[bytes] = []
        done = 0
        numbers = struct.unpack_from(f"={_GAP_NUMBERS * gaps}I", self._answer, _FIRST_GAP)
        for first in range(0, len(numbers), _GAP_NUMBERS):
            at, *gap = numbers[first : first + _GAP_NUMBERS]
            pieces += (text[done:at], self._fragment(found, gap, notes))
            done = at
        pieces.append(text[done:])
        return b"".join(pieces).decode()

    def _fragment(self, found: Found, gap: list[int], notes: list[str]) -> bytes:
        tag, vr_number, at, size, depth, owner_at, owner_size, set_at, set_size, implicit, big = gap
        # Only of what was sent without VR, or as UN, it could not be known
        vr = VRS[vr_number] or (None if implicit else "UN")
        owner = found.data[owner_at : owner_at + owner_size]
        value = found.data[at : at + size] if size <= _CACHED_BYTES else b""
        if depth:
            # An item may have a character set and, sent as UN, a byte order of its own
            encodings = _encodings(found.data[set_at : set_at + set_size])
            found = replace(found, encodings=encodings, is_little_endian=not big)
            if tag == _CHARACTER_SET:
                _encodings(value)
        key = (tag, vr, value, owner, found.encodings, found.is_signed, found.is_little_endian)
        if size <= _CACHED_BYTES:
            fragment = self._fragments.get(key)
            if fragment is not None:
                return fragment
        # What is surely bulk need not be copied
        sent = {tag: (vr, found.data[at : at + size] if size <= TEXT_LIMIT else b"")}
        if owner:
            sent[(tag & 0xFFFF0000) | (tag >> 8 & 0xFF)] = ("LO", owner)
        with quiet_pydicom():
            fragment, odd = _gap_json(found.elements(sent), tag, size, at)
        if not odd and size <= _CACHED_BYTES:
            if len(self._fragments) > _CACHED:
                self._fragments.clear()
            self._fragments[key] = fragment
        notes += odd
        return fragment


def _gap_json(elements: Elements, tag: int, size: int, at: int) -> tuple[bytes, list[str]]:
    """JSON of an element that compiled code left to us, and what is malformed in it."""
    vr = elements.vr(tag)
    if vr == "SQ":
        raise _Refused  # its items are more than one value
    if is_bulk(tag, vr, size):
        model = bulk_model(vr, place_in_file(at, size))
        return msgspec.json.encode(model), [bulk_note(tag, size)]
    notes: list[str] = []
    model = element_model(elements, tag, vr, notes, place_in_file(at, size))
    return msgspec.json.encode(model), notes


@lru_cache(maxsize=256)
def _encodings(data: bytes) -> tuple[str, ...]:
    """Codecs of a SpecificCharacterSet of which plain ASCII text is safe to read as it is.

    Raises:
        _Refused: it is misspelt, or its first codec has other ideas of ASCII.
    """
    names = [name.strip("\0 ") for name in data.decode("ascii", "replace").split("\\")]
    if any(name not in python_encoding for name in names):
        raise _Refused
    with quiet_pydicom():
        encodings = tuple(convert_encodings(names)) if any(names) else ("iso8859",)
    plain = bytes(range(0x20, 0x7F))
    if plain.decode(encodings[0]) != plain.decode("ascii"):
        raise _Refused
    return encodings


@lru_cache(maxsize=256)
def _syntax(data: bytes) -> str:
    if not data.isascii():
        raise _Refused
    return data.decode("ascii").rstrip("\0 ")


def _meta_text(data: bytes) -> str | None:
    if not data.isascii() or b"\\" in data:
        raise _Refused
    return data.decode("ascii").strip("\0 ") or None


_readers = threading.local()


def _reader() -> _Reader:
    if not hasattr(_readers, "reader"):
        _readers.reader = _Reader(_library())
    reader: _Reader = _readers.reader
    return reader


@lru_cache(maxsize=1)
def _library() -> ctypes.CDLL:
    library = load_library("hc_assets.imaging.headers._header_walk", _LAYOUT)
    library.hc_dicom_header.argtypes = [
        *(ctypes.c_void_p, ctypes.c_uint64, ctypes.c_uint64, ctypes.c_void_p, ctypes.c_uint64),
        *(ctypes.c_void_p, ctypes.c_uint32, ctypes.c_uint32, ctypes.c_uint32),
    ]
    _give_dictionary(library)
    return library


def _give_dictionary(library: ctypes.CDLL) -> None:
    numbers = {vr: number for number, vr in enumerate(VRS) if vr}
    tags = sorted(int(tag) for tag in DicomDictionary)
    vrs = (
        AMBIGUOUS_BYTES.get(str(DicomDictionary[tag][0]), str(DicomDictionary[tag][0]))
        for tag in tags
    )
    slots = {column.tag: number for number, column in enumerate(COLUMNS, 1)}
    refused = library.hc_dicom_dictionary(
        struct.pack(f"={len(tags)}I", *tags),
        bytes(numbers.get(AMBIGUOUS_BYTES.get(vr, vr), 0) for vr in vrs),
        bytes(slots.get(tag, 0) for tag in tags),
        len(tags),
        struct.pack(f"={len(COLUMNS)}I", *(MACROS.get(column.tag, 0) for column in COLUMNS)),
        len(COLUMNS),
    )
    if refused:
        raise ValueError(
            f"the DICOM dictionary has {len(tags)} tags: more than header_walk.c takes"
        )
