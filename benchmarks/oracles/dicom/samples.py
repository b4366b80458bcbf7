"""What a reader's cells mean as stored values, by that reader's own words (PS3.5 8.1.1).

Belongs here: the way from cells to values that can be compared, and when two frames are alike.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Cells:
    """How a reader describes its cells.

    Attributes:
        rows: of a frame.
        columns: of a frame.
        samples: of a pixel.
        allocated: bits of a cell.
        stored: bits of a value.
        high_bit: the highest of them.
        is_signed: whether that is a sign.
        frames: number of frames.
        photometric: PhotometricInterpretation.
        is_planar: whether colors lie one behind the other.
    """

    rows: int
    columns: int
    samples: int
    allocated: int
    stored: int
    high_bit: int
    is_signed: bool
    frames: int
    photometric: str
    is_planar: bool

    @property
    def frame_bytes(self) -> int:
        """Bytes of a frame; 0 where cells are no whole bytes, or the figures can't be."""
        if self.allocated % 8 or not 0 < self.stored <= self.allocated <= 64:
            return 0
        return self.rows * self.columns * self.samples * self.allocated // 8


def frames_of(data: bytes, cells: Cells, most: int) -> list[NDArray[Any] | None]:
    """Cut little-endian cells into frames of stored values; None for those that are not whole."""
    size = cells.frame_bytes
    if cells.allocated == 1:
        return _single_bits(data, cells, most)
    if not size or cells.photometric == "YBR_FULL_422":
        return []
    found: list[NDArray[Any] | None] = []
    for start in range(0, min(max(cells.frames, 1), most) * size, size):
        piece = data[start : start + size]
        found.append(_frame(piece, cells) if len(piece) == size else None)
    return found


def _single_bits(data: bytes, cells: Cells, most: int) -> list[NDArray[Any] | None]:
    bits = np.unpackbits(np.frombuffer(data, np.uint8), bitorder="little")
    size = cells.rows * cells.columns
    pieces = [bits[at * size : (at + 1) * size] for at in range(min(cells.frames, most))]
    shape = cells.rows, cells.columns
    return [piece.reshape(shape) if piece.size == size else None for piece in pieces]


def _frame(data: bytes, cells: Cells) -> NDArray[Any]:
    values = np.frombuffer(data, f"<u{cells.allocated // 8}")
    values = stored_values(values, cells)
    if cells.samples == 1:
        return values.reshape(cells.rows, cells.columns)
    if cells.is_planar:
        return np.moveaxis(values.reshape(cells.samples, cells.rows, cells.columns), 0, -1)
    return values.reshape(cells.rows, cells.columns, cells.samples)


def stored_values(values: NDArray[Any], cells: Cells) -> NDArray[Any]:
    """Values without the bits that are none of theirs."""
    size = values.dtype.itemsize
    unsigned = (
        values.astype(f"u{size}", copy=False)
        if values.dtype.kind == "u"
        else values.view(f"u{size}")
    )
    width = size * 8
    high = cells.high_bit if cells.stored - 1 <= cells.high_bit < width else cells.stored - 1
    moved = unsigned << np.array(width - 1 - high, unsigned.dtype)
    if cells.is_signed:
        moved = moved.view(f"i{size}")
    shifted: NDArray[Any] = moved >> np.array(width - cells.stored, moved.dtype)
    return shifted


def to_rgb(values: NDArray[Any], photometric: str) -> NDArray[Any]:
    """Colors as RGB."""
    if values.ndim != 3 or not photometric.startswith("YBR_FULL") or values.dtype != np.uint8:
        return values
    luma, blue, red = (values[..., number].astype(np.float64) for number in range(3))
    blue, red = blue - 128, red - 128
    rgb = np.stack(
        [luma + 1.402 * red, luma - 0.344136 * blue - 0.714136 * red, luma + 1.772 * blue], -1
    )
    return np.clip(np.rint(rgb), 0, 255).astype(np.uint8)


def are_alike(one: NDArray[Any], other: NDArray[Any], *, is_lossy: bool) -> bool:
    """Whether two frames are the same picture; a lossy codec's may differ by a little."""
    if one.shape != other.shape:
        return False
    if np.array_equal(one, other, equal_nan=one.dtype.kind == "f"):
        return True
    if not is_lossy and one.ndim == 2:
        return False
    first, second = one.astype(np.float64), other.astype(np.float64)
    spread = max(float(np.ptp(first)), 1.0)
    # Colors differ by the rounding of each reader's way to RGB
    limit = 0.02 * spread if is_lossy else 1.5
    return bool(np.abs(first - second).mean() <= limit)
