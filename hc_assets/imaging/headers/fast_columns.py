"""Typed columns of the bytes that the fast reader points at, remembered from file to file.

Belongs here: the short way from plain bytes to a value. Bytes that are not plain go to
`columns.TypedColumns`, which says what each column means.
"""

import math
import mmap
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date

from pydicom.datadict import dictionary_VR
from pydicom.dataelem import RawDataElement
from pydicom.tag import BaseTag

from hc_assets.imaging.headers.columns import COLUMNS, Column, ColumnValue, Kind, TypedColumns
from hc_assets.imaging.headers.elements import Elements
from hc_assets.imaging.headers.reading import quiet_pydicom

VRS: tuple[str | None, ...] = (
    *(None, "AE", "AS", "AT", "CS", "DA", "DS", "DT", "FD", "FL", "IS", "LO", "LT", "OB", "OD"),
    *("OF", "OL", "OV", "OW", "PN", "SH", "SL", "SQ", "SS", "ST", "SV", "TM", "UC", "UI", "UL"),
    *("UN", "UR", "US", "UT", "UV", "US or SS"),
)
"""VRs by number, as in imaging/headers/native/header_walk.c; None is one that it could not tell."""
ABSENT = len(VRS)

_US = VRS.index("US")
_REMEMBERED = 4096
_ESCAPE = 0x1B


@dataclass(frozen=True)
class Found:
    """What the bytes of a file's elements are to be read with.

    Attributes:
        data: the file from its first byte on, as far as its header goes.
        encodings: Python codecs of its character sets.
        is_signed: whether its PixelRepresentation says that pixels are signed.
        is_little_endian: byte order of its dataset.
    """

    data: bytes | mmap.mmap
    encodings: tuple[str, ...]
    is_signed: bool
    is_little_endian: bool

    def elements(self, sent: Mapping[int, tuple[str | None, bytes]]) -> Elements:
        """Elements of which VR (None: unknown) and bytes are given by tag."""
        raw = {
            tag: RawDataElement(
                *(BaseTag(tag), vr, len(value), value, 0),
                is_implicit_VR=vr is None,
                is_little_endian=self.is_little_endian,
            )
            for tag, (vr, value) in sent.items()
        }
        return Elements(raw, self.encodings, self.is_signed)


class FastColumns:
    """Makes typed columns, and remembers what it made of which bytes."""

    def __init__(self) -> None:
        self._columns: list[tuple[Column, int, _Converter, dict[bytes, ColumnValue]]] = []
        for column in COLUMNS:
            vr = dictionary_VR(column.tag)
            self._columns.append((column, VRS.index(vr), _converter(column, vr), {}))

    def row(
        self, found: Found, slots: tuple[int, ...], notes: list[str], *, has_pixels: bool
    ) -> dict[str, object]:
        """Make the typed columns of a file.

        Args:
            found: what its bytes are to be read with.
            slots: for each of `COLUMNS` number of the VR (`ABSENT`: no such element), offset, size.
            notes: takes what is malformed.
            has_pixels: whether it has pixels, without which it has no frames.

        Returns:
            The columns by name.
        """
        row: dict[str, object] = {}
        data = found.data
        for (column, usual_vr, convert, known), vr, at, size in zip(
            self._columns, slots[::3], slots[1::3], slots[2::3], strict=True
        ):
            if vr == ABSENT:
                row[column.name] = None
                continue
            value = data[at : at + size]
            if vr == usual_vr and (found.is_little_endian or vr != _US):
                if value in known:
                    row[column.name] = known[value]
                    continue
                try:
                    made = convert(value)
                except ValueError:
                    pass  # not plain
                else:
                    if len(known) >= _REMEMBERED:
                        known.clear()
                    row[column.name] = known[value] = made
                    continue
            if column.kind is Kind.FRAMES and not has_pixels:
                continue
            typed = TypedColumns(found.elements({column.tag: (VRS[vr], value)}))
            with quiet_pydicom():
                row[column.name] = typed.value(column)
            notes += typed.notes
        if not has_pixels:
            row["frames"] = None
        elif row["frames"] is None:
            row["frames"] = 1
        return row


_Converter = Callable[[bytes], ColumnValue]


def _converter(column: Column, vr: str) -> _Converter:
    """The short way of a column. What it returns is what `TypedColumns` makes without a note.

    It raises ValueError where the bytes are not plain.
    """
    match column.kind:
        case Kind.TEXT:
            return _text
        case Kind.TEXTS:
            return lambda data: [part for part in _parts(data) if part] or None
        case Kind.WHOLE if vr == "US":
            return _short
        case Kind.WHOLE:
            return lambda data: _whole(data, column.limit)
        case Kind.NUMBER:
            return _number
        case Kind.NUMBERS:
            return lambda data: _numbers(data, column.limit)
        case Kind.DATE:
            return _date
        case Kind.FRAMES:
            return lambda data: _count(data, column.limit)


def _parts(data: bytes) -> list[str]:
    if not data.isascii() or _ESCAPE in data:
        raise ValueError
    return [part.strip("\0 ") for part in data.decode("ascii").split("\\")]


def _text(data: bytes) -> str | None:
    (text,) = _parts(data)
    return text or None


def _short(data: bytes) -> int | None:
    if not data:
        return None
    low, high = data
    return low | high << 8


def _whole(data: bytes, below: int) -> int | None:
    text = data.strip(b"\0 ")
    if not text:
        return None
    if not text.isdigit() or len(text) > 15:
        raise ValueError
    value = int(text)
    if value >= below:
        raise ValueError
    return value


def _count(data: bytes, below: int) -> int | None:
    value = _whole(data, below)
    if not value:
        raise ValueError
    return value


def _number(data: bytes) -> float | None:
    text = data.strip(b"\0 ")
    return _decimal(text) if text else None


def _numbers(data: bytes, count: int) -> list[float] | None:
    if not data.strip(b"\0 "):
        return None
    values = [_decimal(part.strip(b"\0 ")) for part in data.split(b"\\")]
    if count and len(values) != count:
        raise ValueError
    return values


def _decimal(text: bytes) -> float:
    value = float(text)
    if not math.isfinite(value) or b"_" in text:
        raise ValueError
    return value


def _date(data: bytes) -> date | None:
    text = data.strip(b"\0 ")
    if not text:
        return None
    if len(text) != 8 or not text.isdigit():
        raise ValueError
    return date(int(text[:4]), int(text[4:6]), int(text[6:]))
