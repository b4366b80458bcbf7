"""What a compressed frame says about itself, read before any decoder gets it.

Belongs here: the few header bytes of JPEG, JPEG-LS and JPEG 2000. Decoding is in `decoding.py`.
"""

import struct
from typing import NamedTuple

_JPEG_START = b"\xff\xd8"
_END = b"\xff\xd9"
# Behind the end there may be padding
_TAIL = 64
_JFIF, _ADOBE = 0xE0, 0xEE
_J2K_START = b"\xff\x4f\xff\x51"
# Start-of-frame markers, JPEG-LS's F7 among them; C4, C8 and CC are other things
_FRAME_MARKERS = (frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}) | {0xF7}


class Codestream(NamedTuple):
    """What the header of a codestream says.

    Attributes:
        rows: of the image; 0 where a JPEG gives them only after its first scan.
        columns: of the image.
        components: of a pixel.
        precision: bits of a sample, the most of all components.
        is_signed: whether samples have a sign; None where the format can't say, as JPEG.
        is_ended: whether it has an end marker.
        color: RGB or YCbCr, where a marker of a JPEG (JFIF, Adobe) says which; else None.
    """

    rows: int
    columns: int
    components: int
    precision: int
    is_signed: bool | None
    is_ended: bool = True
    color: str | None = None


def read_codestream(data: bytes) -> Codestream | None:
    """Read the header of a compressed frame.

    Args:
        data: the frame.

    Returns:
        What it says; None where the format is another one or the header is damaged.
    """
    if data.startswith(_JPEG_START):
        return _jpeg(data)
    start = data.find(_J2K_START, 0, 4096)  # behind the boxes of a JP2 file, if it is one
    if start >= 0:
        return _j2k(data, start)
    return None


def _jpeg(data: bytes) -> Codestream | None:
    at = 2
    color = None
    while at + 10 <= len(data):
        if data[at] != 0xFF:
            return None
        marker = data[at + 1]
        if marker == 0xFF:
            at += 1
            continue
        if marker in _FRAME_MARKERS:
            precision, rows, columns, components = struct.unpack_from(">BHHB", data, at + 4)
            return Codestream(
                rows, columns, components, precision, None, _END in data[-_TAIL:], color
            )
        color = _color(marker, data[at + 4 : at + 16]) or color
        at += 2 + struct.unpack_from(">H", data, at + 2)[0]
    return None


def _color(marker: int, content: bytes) -> str | None:
    """Color space by the segment of JFIF (always YCbCr) or of Adobe (its last byte)."""
    if marker == _JFIF and content.startswith(b"JFIF\0"):
        return "YCbCr"
    if marker == _ADOBE and content.startswith(b"Adobe") and len(content) == 12:
        return {0: "RGB", 1: "YCbCr"}.get(content[11])
    return None


def _j2k(data: bytes, start: int) -> Codestream | None:
    at = start + 8  # behind SOC, SIZ, its length and Rsiz
    if at + 34 > len(data):
        return None
    right, bottom, left, top = struct.unpack_from(">LLLL", data, at)
    (components,) = struct.unpack_from(">H", data, at + 32)
    depths = data[at + 34 : at + 34 + 3 * components : 3]
    if len(depths) != components or not components:
        return None
    precision = max(depth & 0x7F for depth in depths) + 1
    is_signed = any(depth & 0x80 for depth in depths)
    return Codestream(
        bottom - top, right - left, components, precision, is_signed, _END in data[-_TAIL:]
    )
