"""Encoded frames that need no codec: deflated ones, packed bits, items of plain cells.

Belongs here: from their bytes to arrays, in plain Python. Frames of codecs are decoded in a process
of their own (`isolation.py`); which way a frame goes is decided in `decoding.py`.
"""

import struct
import zlib
from typing import Any

from numpy.typing import NDArray
from pydicom.pixels.decoders.base import get_decoder
from pydicom.uid import ExplicitVRLittleEndian

from hc_assets.imaging.pixels.packbits import unpack_segment
from hc_assets.imaging.pixels.pixel_description import PixelDescription

Pixels = NDArray[Any]


def inflated_frame(data: bytes, description: PixelDescription) -> tuple[Pixels, str]:
    """Array and PhotometricInterpretation of a deflated frame (PS3.5 A.4.13).

    Raises:
        zlib.error: it is damaged.
        ValueError: it is too short.
    """
    needed = -(-description.frame_bits // 8)
    inflate = zlib.decompressobj(-zlib.MAX_WBITS)
    return plain_frame(inflate.decompress(data, needed), description)


def run_lengths_of_bits(data: bytes, description: PixelDescription) -> tuple[Pixels, str]:
    """Array and PhotometricInterpretation of single bits in run lengths (PS3.5 Annex G).

    Raises:
        ValueError: the frame is damaged or too short.
    """
    if len(data) < 64:
        raise ValueError("the frame is shorter than its RLE header")
    count, start, end = struct.unpack_from("<LLL", data)
    if count != 1:
        raise ValueError(f"{count} RLE segments, 1 is needed for single bits")
    needed = -(-description.frame_bits // 8)
    return plain_frame(unpack_segment(data[start : end or None], needed), description)


def plain_frame(data: bytes, description: PixelDescription) -> tuple[Pixels, str]:
    """Array and PhotometricInterpretation of little-endian cells.

    Raises:
        ValueError: there are too few.
    """
    native = {"pixel_keyword": "PixelData", "pixel_vr": "OB"}
    options: dict[str, Any] = description.options() | native
    values, properties = get_decoder(ExplicitVRLittleEndian).as_array(data, index=0, **options)
    return values, str(properties["photometric_interpretation"])
