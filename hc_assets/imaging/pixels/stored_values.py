"""What cells of pixel data hold becomes stored values: sign and range (PS3.5 8.1.1).

Belongs here: BitsStored, HighBit and PixelRepresentation held against what a codestream says and
what the cells hold. How frames are decoded is in `decoding.py`.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from hc_assets.imaging.pixels.codestreams import Codestream
from hc_assets.imaging.pixels.pixel_description import PixelDescription


class UnknownSignError(Exception):
    """It is not known which bit is the sign; the text has both figures."""


def contradiction(
    codestream: Codestream, description: PixelDescription, *, is_dct: bool = False
) -> str | None:
    """Why a codestream can't be the frame that a header describes; None where it can.

    Args:
        codestream: what it says.
        description: what the header says.
        is_dct: whether it is a JPEG of 8 or of 12 bits, whose decoders go by the header's.
    """
    rows = codestream.rows or description.rows
    if (rows, codestream.columns) != (description.rows, description.columns):
        return other_size(rows, codestream.columns, description)
    if codestream.components != description.samples:
        return (
            f"the compressed image has {codestream.components} components, the header says"
            f" {description.samples}"
        )
    if codestream.precision > description.bits_allocated:
        return (
            f"the compressed image has {codestream.precision} bits, the header says"
            f" {description.bits_allocated} allocated"
        )
    if is_dct and codestream.precision > 8 >= description.bits_stored:
        return (
            f"the compressed image has {codestream.precision} bits, the header says"
            f" {description.bits_stored} stored"
        )
    return None


def other_size(rows: int, columns: int, description: PixelDescription) -> str:
    """What is said of an image whose size the header contradicts."""
    return (
        f"the compressed image is {columns} by {rows} pixels, the header says"
        f" {description.columns} by {description.rows}"
    )


def stored_values(
    cells: NDArray[Any],
    description: PixelDescription,
    codestream: Codestream | None = None,
    *,
    is_lossy: bool = False,
) -> tuple[NDArray[Any], tuple[str, ...]]:
    """Make stored values of what cells hold.

    Bits above the highest that is stored are no part of a value (PS3.5 8.1.1). What a lossy codec
    makes of values may lie beyond their range: there it is kept.

    Args:
        cells: integers as a decoder gives them; anything else comes back as it is.
        description: of the pixels.
        codestream: what that says; None for uncompressed pixels and run lengths.
        is_lossy: whether values come back changed.

    Returns:
        Values of the same shape and kind, and notes: on those that are outside of the stated
        range, on colors of which the codestream says something else than the header, and on a
        codestream without an end.

    Raises:
        UnknownSignError: the codestream has fewer bits than are stored, and its highest is set in
            signed pixels: a negative value, or a large one.
    """
    values, notes = _within_range(cells, description, codestream, is_lossy=is_lossy)
    if codestream is not None and codestream.components == 3 and codestream.color:
        is_rgb = description.photometric == "RGB"
        if is_rgb != (codestream.color == "RGB"):
            words = f"the compressed image is {codestream.color} by its own words, the header says"
            notes = (*notes, f"{words} {description.photometric}")
    if codestream is not None and not codestream.is_ended:
        notes = (*notes, "the compressed image has no end marker: pixels may be missing")
    return values, notes


def _within_range(
    cells: NDArray[Any],
    description: PixelDescription,
    codestream: Codestream | None,
    *,
    is_lossy: bool,
) -> tuple[NDArray[Any], tuple[str, ...]]:
    if cells.dtype.kind not in "iu" or cells.dtype.itemsize * 8 < description.bits_stored:
        return cells, ()
    bits = description.high_bit + 1
    low, high = 0, 2**bits - 1
    if description.is_signed:
        low, high = -(2 ** (bits - 1)), 2 ** (bits - 1) - 1
    least, most = int(cells.min()), int(cells.max())
    if codestream is not None:
        half = 2 ** (codestream.precision - 1)
        has_sign_bit = least < 0 or most >= half
        if description.is_signed and not codestream.is_signed and codestream.precision < bits:
            if has_sign_bit:
                raise UnknownSignError(
                    f"the compressed image has {codestream.precision} bits without a sign, the"
                    f" header says {bits} with one: it is not known which bit that is"
                )
        elif codestream.is_signed and not description.is_signed and has_sign_bit:
            raise UnknownSignError(
                "the compressed image has signed values, PixelRepresentation 0 says unsigned"
            )
    if low <= least and most <= high:
        return cells, ()
    if is_lossy and (codestream is None or codestream.precision > bits):
        return cells, (
            f"values are {least} to {most}, BitsStored and PixelRepresentation say {low} to {high}",
        )
    return _without_high_bits(cells, bits, is_signed=description.is_signed)


def _without_high_bits(
    cells: NDArray[Any], bits: int, *, is_signed: bool
) -> tuple[NDArray[Any], tuple[str, ...]]:
    width = cells.dtype.itemsize * 8
    unsigned = cells.view(f"u{cells.dtype.itemsize}")
    above = unsigned >> bits
    if is_signed:
        unused = width - bits
        values = (unsigned << unused).view(f"i{cells.dtype.itemsize}") >> unused
        # Zeros above a negative value are only a sign that was not extended
        is_odd = (above != 0) & (above != 2**unused - 1)
        is_odd |= (above != 0) & (values >= 0)
    else:
        values = (unsigned & np.array(2**bits - 1, unsigned.dtype)).astype(cells.dtype)
        is_odd = above != 0
    odd = int(np.count_nonzero(is_odd))
    if not odd:
        return values, ()
    return values, (
        f"{odd} samples have bits above HighBit {bits - 1}, which are no part of the values",
    )
