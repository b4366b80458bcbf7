"""What a compressed frame says about its own size, read before any decoder gets it.

Belongs here: the few header bytes of JPEG, JPEG-LS and JPEG 2000. Decoding is in `decoding.py`.
"""

import struct

_JPEG_START = b"\xff\xd8"
_J2K_START = b"\xff\x4f\xff\x51"
# Start-of-frame markers, JPEG-LS's F7 among them; C4, C8 and CC are other things
_FRAME_MARKERS = (frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}) | {0xF7}


def codestream_size(data: bytes) -> tuple[int, int, int] | None:
    """Read rows, columns and components of a compressed frame.

    Args:
        data: the frame.

    Returns:
        Rows, columns and components; None where the format is another one or the header is
        damaged. Rows are 0 where a JPEG gives them only after its first scan.
    """
    if data.startswith(_JPEG_START):
        return _jpeg_size(data)
    start = data.find(_J2K_START, 0, 4096)  # behind the boxes of a JP2 file, if it is one
    if start >= 0:
        return _j2k_size(data, start)
    return None


def _jpeg_size(data: bytes) -> tuple[int, int, int] | None:
    at = 2
    while at + 10 <= len(data):
        if data[at] != 0xFF:
            return None
        marker = data[at + 1]
        if marker == 0xFF:
            at += 1
            continue
        if marker in _FRAME_MARKERS:
            rows, columns, components = struct.unpack_from(">HHB", data, at + 5)
            return rows, columns, components
        at += 2 + struct.unpack_from(">H", data, at + 2)[0]
    return None


def _j2k_size(data: bytes, start: int) -> tuple[int, int, int] | None:
    at = start + 8  # behind SOC, SIZ, its length and Rsiz
    if at + 34 > len(data):
        return None
    right, bottom, left, top = struct.unpack_from(">LLLL", data, at)
    (components,) = struct.unpack_from(">H", data, at + 32)
    return bottom - top, right - left, components
