"""Encapsulated pixel data become encoded frames (PS3.5 A.4).

Belongs here: fragments, offset tables, and where the file ends among them. What an encoded frame
holds is `decoding.py`'s.
"""

import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import BinaryIO

from hc_assets.imaging.headers.reading import Header

_ITEM = b"\xfe\xff\x00\xe0"
# Of the sequence; where a writer left that out, padding or signatures
_ENDS = (b"\xfe\xff\xdd\xe0", b"\xfc\xff\xfc\xff", b"\xfa\xff\xfa\xff")
_EXTENDED_OFFSETS = 0x7FE00001
# How a codestream begins: JPEG and JPEG-LS, JPEG 2000, the boxes of JP2
_STARTS = (b"\xff\xd8\xff", b"\xff\x4f\xff\x51", b"\x00\x00\x00\x0cjP")
_END = b"\xff\xd9"
_HEAD_BYTES = 6
_TAIL_BYTES = 16
_CODESTREAMS = frozenset(
    f"1.2.840.10008.1.2.4.{number}"
    for number in (50, 51, 53, 55, 57, 70, 80, 81, 90, 91, 92, 93, 201, 202, 203)
)
"""Transfer syntaxes whose frames begin with one of `_STARTS` and end with `_END`."""
_ONE_EACH = frozenset(
    (
        "1.2.840.10008.1.2.5",  # RLE Lossless (A.4.2)
        "1.2.840.10008.1.2.1.98",  # Encapsulated Uncompressed Explicit VR Little Endian
        "1.2.840.10008.1.2.8.1",  # Deflated Image Frame Compression
    )
)
"""Transfer syntaxes of which a fragment is always a frame."""


def bytes_from(stream: BinaryIO, offset: int) -> int:
    """How many bytes a stream has from an offset on; it is left at its end."""
    stream.seek(0, 2)
    return max(0, stream.tell() - offset)


class TruncatedError(Exception):
    """The file ends within a fragment."""


class UnknownFramesError(Exception):
    """It is not known which fragments make the frames that follow; the text says why."""


@dataclass(frozen=True)
class _Fragment:
    """A fragment.

    Attributes:
        item: where its item begins, counted from the first one behind the offset table.
        at: where its bytes begin in the stream.
        length: of its bytes.
        is_whole: whether the file has all of them.
        is_start: whether a codestream begins with it.
        is_end: whether a codestream ends with it.
    """

    item: int
    at: int
    length: int
    is_whole: bool
    is_start: bool
    is_end: bool


@dataclass(frozen=True)
class _Encapsulated:
    """Pixel data as they lie in the file.

    Attributes:
        fragments: in order; only the last may be cut off.
        is_ended: whether something follows them, so that none is missing.
        tables: offsets of the extended table and of the basic one, those that are there.
    """

    fragments: list[_Fragment]
    is_ended: bool
    tables: list[list[int]]


def encoded_frames(stream: BinaryIO, header: Header, start: int, frames: int) -> Iterator[bytes]:
    """Cut encapsulated pixel data into encoded frames, one in memory at a time.

    An offset table is believed where it can be right: each offset is where an item begins, and no
    codestream begins elsewhere. With as many fragments as frames each is one, whatever a table has.

    Args:
        stream: with the pixel data.
        header: of the file.
        start: of the offset table in the stream.
        frames: how many there should be; those beyond come, too.

    Raises:
        TruncatedError: behind the last frame that is whole.
        UnknownFramesError: there are fewer frames, or it is not known where they begin.
    """
    found = _encapsulated(stream, header, start)
    syntax = str(header.transfer_syntax)
    has_codestreams = syntax in _CODESTREAMS
    groups = _groups(found, frames, syntax)
    known = groups if len(groups) == frames else _at_their_offsets(groups, found, frames)
    for group in known:
        last = group[-1]
        is_cut = has_codestreams and last is found.fragments[-1] and not last.is_end
        if not last.is_whole or (is_cut and not found.is_ended):
            raise TruncatedError
        pieces = []
        for fragment in group:
            stream.seek(fragment.at)
            pieces.append(stream.read(fragment.length))
        yield b"".join(pieces)
    if len(known) < len(groups):
        raise UnknownFramesError(
            f"{len(found.fragments)} fragments for {frames} frames, not where the offset table has"
            " them: it is not known which frame this is"
        )
    if len(groups) < frames:
        if not found.is_ended:
            raise TruncatedError
        raise UnknownFramesError(
            f"NumberOfFrames is {frames}, the pixel data hold {len(groups)} frames"
        )


def _groups(found: _Encapsulated, frames: int, syntax: str) -> list[list[_Fragment]]:
    """Fragments of each frame, as far as they are there; of more frames, if there are more.

    Raises:
        UnknownFramesError: several ways to divide them are possible.
    """
    fragments = found.fragments
    each_is_one = [[fragment] for fragment in fragments]
    if syntax in _ONE_EACH:
        if frames == 1 and fragments:
            return [fragments]
        # What has no bytes is no frame, unless one for each was sent
        is_each = len(fragments) == frames
        return [each for each in each_is_one if is_each or each[0].length]
    has_codestreams = syntax in _CODESTREAMS
    every = range(len(fragments))
    if len(fragments) == frames and (not has_codestreams or _can_begin(found, every)):
        return each_is_one
    places = [number for number in every if fragments[number].is_start]
    # Behind an end one begins for certain; SPIFF headers of JPEG-LS hold the same bytes
    certain = [number for number in places if number == 0 or fragments[number - 1].is_end]
    for table in found.tables:
        starts = _starts(table, found, frames)
        if starts is None:
            continue
        if not has_codestreams or (set(certain) <= set(starts) and _can_begin(found, starts)):
            return _divided(fragments, starts)
    if frames == 1 and len(places) <= 1:
        return [fragments] if fragments else []
    if has_codestreams:
        filled = [fragment for fragment in fragments if fragment.length]
        if len(filled) == len(places):
            return [[fragment] for fragment in filled]
        if (
            0 in places
            and places == certain
            and (len(places) == frames or _are_clean(found, places))
        ):
            return _divided(fragments, places)
    raise UnknownFramesError(
        f"{len(fragments)} fragments for {frames} frames, and no offset table that fits them:"
        " it is not known which belong together"
    )


def _can_begin(found: _Encapsulated, starts: Iterable[int]) -> bool:
    """Whether a codestream begins at each start, or at least ends just before it."""
    fragments = found.fragments
    return all(
        fragments[start].is_start or start == 0 or fragments[start - 1].is_end for start in starts
    )


def _divided(fragments: list[_Fragment], starts: list[int]) -> list[list[_Fragment]]:
    ends = [*starts[1:], len(fragments)]
    return [fragments[start:end] for start, end in zip(starts, ends, strict=True)]


def _starts(table: list[int], found: _Encapsulated, frames: int) -> list[int] | None:
    """Numbers of the fragments that a table says frames begin with; None where it can't be right.

    Of a file that is cut off, the offsets beyond its end are passed over.
    """
    if len(table) != frames or not table or table[0] != 0 or not found.fragments:
        return None
    if any(one >= other for one, other in pairwise(table)):
        return None
    number_of = {fragment.item: number for number, fragment in enumerate(found.fragments)}
    last = found.fragments[-1]
    end = last.item + 8 + last.length
    within = [offset for offset in table if offset < end]
    if len(within) < len(table) and found.is_ended:
        return None
    starts = [number_of.get(offset, -1) for offset in within]
    return None if -1 in starts else starts


def _at_their_offsets(
    groups: list[list[_Fragment]], found: _Encapsulated, frames: int
) -> list[list[_Fragment]]:
    """Of too few or too many frames those before the first that a table has elsewhere.

    Which one is missing, or should not be there, tells only a table of all that there should be:
    what follows would be taken for another frame.
    """
    for table in found.tables:
        if len(table) != frames or table[0] != 0 or sorted(set(table)) != table:
            continue
        ends = [*table[1:], None]
        for number, (group, start, end) in enumerate(zip(groups, table, ends, strict=False)):
            last = group[-1]
            if group[0].item != start or end not in (None, last.item + 8 + last.length):
                return groups[:number]
    return groups


def _are_clean(found: _Encapsulated, places: list[int]) -> bool:
    """Whether codestreams end just before each place where one begins, and nowhere else."""
    ends = {number for number, each in enumerate(found.fragments) if each.is_end}
    expected = {place - 1 for place in places if place} | {len(found.fragments) - 1}
    if not found.is_ended:
        return ends | {len(found.fragments) - 1} == expected
    return ends == expected


def _encapsulated(stream: BinaryIO, header: Header, start: int) -> _Encapsulated:
    end = start + bytes_from(stream, start)
    fragments: list[_Fragment] = []
    tables = _extended_table(header)
    at, first, is_ended = start, start, False
    while at < end:
        stream.seek(at)
        item = stream.read(8)
        if len(item) < 8 or item[:4] != _ITEM:
            is_ended = item[:4] in _ENDS
            break
        (length,) = struct.unpack_from("<L", item, 4)
        head = stream.read(min(_HEAD_BYTES, length))
        is_table = at == start and not head.startswith(_STARTS)
        if is_table:
            # The offset table, which a few writers leave out
            stream.seek(at + 8)
            table = stream.read(length) if at + 8 + length <= end else b""
            if table and length % 4 == 0:
                tables.append([offset for (offset,) in struct.iter_unpack("<L", table)])
            first = at + 8 + length
        else:
            is_whole = at + 8 + length <= end
            tail = b""
            if is_whole:
                stream.seek(at + 8 + length - min(length, _TAIL_BYTES))
                tail = stream.read(min(length, _TAIL_BYTES))
            fragments.append(
                _Fragment(
                    at - first, at + 8, length, is_whole, head.startswith(_STARTS), _END in tail
                )
            )
        at += 8 + length
    return _Encapsulated(fragments, is_ended, tables)


def _extended_table(header: Header) -> list[list[int]]:
    """Offsets of the Extended Offset Table (PS3.3 C.7.6.3.1.8), if there is one.

    Its lengths are not needed: they say again what the items say.
    """
    element = header.elements.get(_EXTENDED_OFFSETS)
    data = element.value if element is not None else None
    if not data or len(data) % 8:
        return []
    return [[offset for (offset,) in struct.iter_unpack("<Q", data)]]
