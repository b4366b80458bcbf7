"""Encapsulated pixel data become encoded frames (PS3.5 A.4).

Belongs here: offset tables, fragments, and where the file ends among them. What an encoded frame
holds is `decoding.py`'s.
"""

import io
import struct
from collections.abc import Iterator
from typing import BinaryIO

from pydicom.encaps import generate_frames

from hc_assets.imaging.headers.reading import Header


def bytes_from(stream: BinaryIO, offset: int) -> int:
    """How many bytes a stream has from an offset on; it is left at its end."""
    stream.seek(0, 2)
    return max(0, stream.tell() - offset)


class TruncatedError(Exception):
    """The file ends within a fragment."""


def encoded_frames(stream: BinaryIO, header: Header, start: int, frames: int) -> Iterator[bytes]:
    """Cut encapsulated pixel data into encoded frames, one in memory at a time.

    Args:
        stream: with the pixel data.
        header: of the file.
        start: of the offset table in the stream.
        frames: how many there should be.

    Raises:
        TruncatedError: behind the last frame that is whole.
    """
    complete, cut = _fragments(stream, start)
    offsets = _extended_offsets(header, bytes_from(stream, start))
    stream.seek(start)
    if cut is None:
        yield from generate_frames(stream, number_of_frames=frames, extended_offsets=offsets)
        return
    if complete:
        whole = io.BytesIO(stream.read(cut - start))
        found = list(generate_frames(whole, number_of_frames=min(complete, frames)))
        # With a fragment or more for each frame, the one that is cut off belongs to the last
        yield from found if complete < frames else found[:-1]
    raise TruncatedError


def _fragments(stream: BinaryIO, start: int) -> tuple[int, int | None]:
    """Walk the items of encapsulated pixel data.

    Returns:
        How many fragments are whole, and where the first one begins that is not.
    """
    end = start + bytes_from(stream, start)
    at, items = start, 0
    while at + 8 <= end:
        stream.seek(at)
        tag, length = struct.unpack("<4sL", stream.read(8))
        if tag != b"\xfe\xff\x00\xe0":
            return max(0, items - 1), None
        if at + 8 + length > end:
            return max(0, items - 1), at
        items += 1  # the first is the offset table
        at += 8 + length
    return max(0, items - 1), None


def _extended_offsets(header: Header, available: int) -> tuple[bytes, bytes] | None:
    """The extended offset table; None where there is none, or its frames would overlap."""
    found = []
    for tag in (0x7FE00001, 0x7FE00002):
        element = header.elements.get(tag)
        if element is None or not isinstance(element.value, bytes) or not element.value:
            return None
        found.append(element.value)
    offsets, lengths = found
    if len(offsets) != len(lengths) or len(lengths) % 8:
        return None
    if sum(length for (length,) in struct.iter_unpack("<Q", lengths)) > available:
        return None  # read one after the other, they would take up more than the file has
    return offsets, lengths
