"""Lookup tables of grayscale and palettes (PS3.3 C.11.1, C.11.2, C.7.6.3.1.5).

Belongs here: reading a table from a header and sending values through it. When a table applies is
decided in `frames.py` and `display.py`.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom.dataelem import DataElement, RawDataElement
from pydicom.dataset import Dataset
from pydicom.pixels.processing import apply_color_lut
from pydicom.tag import BaseTag

from hc_assets.imaging.headers.elements import Elements, MalformedValueError
from hc_assets.imaging.headers.reading import (
    PARSE_ERRORS,
    Header,
    quiet_pydicom,
    raise_if_ours,
)

_DESCRIPTOR = 0x00283002
_DATA = 0x00283006
_PALETTE_TAGS = (
    *(0x00281101, 0x00281102, 0x00281103),
    *(0x00281201, 0x00281202, 0x00281203),
    *(0x00281221, 0x00281222, 0x00281223),
    0x00089205,  # PixelPresentation
)


@dataclass(frozen=True)
class LookupTable:
    """A table from whole numbers to whole numbers.

    Attributes:
        first: the input that the first entry is for; smaller ones get that entry too.
        entries: the outputs, as float32.
        bits: of an output.
    """

    first: int
    entries: NDArray[np.float32]
    bits: int

    def apply(self, values: NDArray[Any]) -> NDArray[np.float32]:
        """Send values through the table.

        Args:
            values: of any shape; rounded where they are not whole.

        Returns:
            Outputs of the same shape. Inputs beyond the ends get the first or last entry.
        """
        # int64: a difference of 16-bit numbers does not fit into 16 bits
        at = np.rint(values).astype(np.int64) if values.dtype.kind == "f" else values.astype("i8")
        looked_up: NDArray[np.float32] = self.entries[
            np.clip(at - self.first, 0, len(self.entries) - 1)
        ]
        return looked_up


def read_lookup_table(item: Elements, *, is_input_signed: bool) -> LookupTable | None:
    """Read a Modality LUT or VOI LUT from its item.

    Args:
        item: of ModalityLUTSequence or VOILUTSequence.
        is_input_signed: whether the inputs can be negative; decides how the first input is read,
            which is sent as US or SS at the writer's whim.

    Returns:
        The table; None where descriptor or data are missing or do not go together.
    """
    descriptor = _whole_numbers(item, _DESCRIPTOR)
    if len(descriptor) != 3:
        return None
    count, first, bits = descriptor
    count = (count % 2**16) or 2**16  # 0 stands for 65,536
    if is_input_signed and first >= 2**15:
        first -= 2**16
    elif not is_input_signed and first < 0:
        first += 2**16
    entries = _entries(item, count)
    if entries is None or not 1 <= bits <= 16:
        return None
    return LookupTable(first, entries, bits)


def _entries(item: Elements, count: int) -> NDArray[np.float32] | None:
    element = item.raw.get(_DATA)
    if not isinstance(element, RawDataElement) or not isinstance(element.value, bytes):
        return None
    data = element.value
    if len(data) < count:
        return None
    order = "<" if element.is_little_endian else ">"
    if len(data) >= 2 * count:
        return np.frombuffer(data, order + "u2", count).astype(np.float32)
    return np.frombuffer(data, "u1", count).astype(np.float32)


def _whole_numbers(item: Elements, tag: int) -> list[int]:
    try:
        return [value for value in item.values(tag) if isinstance(value, int)]
    except MalformedValueError:
        return []


def apply_palette(values: NDArray[Any], header: Header) -> NDArray[Any]:
    """Turn indices of a palette into colours.

    Args:
        values: rows by columns, indices.
        header: with the palette.

    Returns:
        Rows by columns by 3, uint8 or uint16 as the palette's entries are.

    Raises:
        ValueError: there is no palette, or it is one that is not understood.
    """
    elements: dict[BaseTag, DataElement | RawDataElement] = {
        BaseTag(tag): header.elements[tag] for tag in _PALETTE_TAGS if tag in header.elements
    }
    palette = Dataset(elements)
    palette.set_original_encoding(header.is_implicit, header.is_little_endian)
    palette.PixelRepresentation = int(values.dtype.kind == "i")
    try:
        with quiet_pydicom():
            if not header.is_little_endian:
                _to_little_endian(palette)
            colors = apply_color_lut(values, palette)
    except PARSE_ERRORS as error:
        raise_if_ours(error)
        raise ValueError(f"the palette can't be used: {error}") from error
    return np.ascontiguousarray(colors[..., :3])


def _to_little_endian(palette: Dataset) -> None:
    """Turn the entries of a big-endian file's palette, which pydicom 3.0 reads as they are.

    Segmented palettes are left as they are: those it reads by the file's byte order.
    """
    for tag in (0x00281201, 0x00281202, 0x00281203):
        if tag in palette and isinstance(palette[tag].value, bytes):
            entries = palette[tag].value
            if len(entries) % 2 == 0:
                palette[tag].value = np.frombuffer(entries, ">u2").astype("<u2").tobytes()
