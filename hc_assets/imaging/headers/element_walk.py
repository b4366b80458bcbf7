"""From bytes to raw data elements and items (PS3.5 section 7), as scanners write them.

Belongs here: where each element begins and ends, in any encoding, and where the bytes break off.
What a file is and how it is encoded is in `reading.py`; what a value means is in `elements.py`.
"""

import mmap
import struct
from collections.abc import Callable
from typing import NamedTuple

from pydicom.datadict import dictionary_VR
from pydicom.dataelem import RawDataElement
from pydicom.tag import BaseTag
from pydicom.valuerep import VR

Bytes = bytes | mmap.mmap

UNDEFINED = 0xFFFFFFFF
VRS = frozenset(vr.value.encode() for vr in VR if len(vr.value) == 2)

_LONG = frozenset(
    (b"OB", b"OD", b"OF", b"OL", b"OV", b"OW", b"SQ", b"SV", b"UC", b"UN", b"UR", b"UT", b"UV")
)
_ITEM = 0xFFFEE000
_ITEM_END = 0xFFFEE00D
_SEQUENCE_END = 0xFFFEE0DD
_DELIMITERS = 0xFFFE
_LITTLE_ITEMS = (b"\xfe\xff\x00\xe0", b"\xfe\xff\xdd\xe0")
_PIXEL_GROUP = 0x7FE0
# So many elements in a row are no accident
_IN_A_ROW = 3
# Sequences and items within one another; real ones stay below twenty
_MOST_LEVELS = 400


class CutOffError(Exception):
    """The bytes end within an element."""


class DamagedError(Exception):
    """The bytes are no elements; the text says why and quotes none of them."""


class TooDeepError(Exception):
    """Sequences are nested deeper than any writer means."""


class Head(NamedTuple):
    """The beginning of an element.

    Attributes:
        tag: of the element.
        vr: as sent, also one that does not exist; None where it is implicit.
        length: of the value in bytes, or `UNDEFINED`.
        value: where the value begins.
    """

    tag: int
    vr: str | None
    length: int
    value: int


class _Open(NamedTuple):
    """A sequence or an item, of undefined length, that is walked through."""

    is_item: bool
    is_implicit: bool
    is_little: bool


def read_head(data: Bytes, at: int, end: int, *, is_implicit: bool, is_little: bool) -> Head:
    """Read tag, VR and length of an element.

    A VR that does not exist is read as DCMTK reads it: two capitals may be a VR of the future,
    whose length has four bytes behind two that are zero; all others have a length of two bytes.
    Where the element reads on as implicit VR, it is taken for that.

    Raises:
        CutOffError: there is no room for it.
    """
    if end - at < 8:
        raise CutOffError
    order = "<" if is_little else ">"
    group, element = struct.unpack_from(order + "HH", data, at)
    tag = group << 16 | element
    (whole,) = struct.unpack_from(order + "L", data, at + 4)
    sent = data[at + 4 : at + 6]
    # A delimiter has no VR; what has one was an element before its tag was damaged
    if is_implicit or tag == _ITEM or (group == _DELIMITERS and sent not in VRS):
        return Head(tag, None, whole, at + 8)
    if sent in _LONG:
        if end - at < 12:
            raise CutOffError
        return Head(tag, sent.decode(), struct.unpack_from(order + "L", data, at + 8)[0], at + 12)
    (short,) = struct.unpack_from(order + "H", data, at + 6)
    if sent in VRS:
        return Head(tag, sent.decode(), short, at + 8)
    if reads_on(data, at, end, is_implicit=True, is_little=is_little):
        return Head(tag, None, whole, at + 8)
    odd = sent.decode("latin-1")
    if short == 0 and sent.isalpha() and sent.isupper() and end - at >= 12:
        (long,) = struct.unpack_from(order + "L", data, at + 8)
        if long == UNDEFINED or at + 12 + long <= end:
            return Head(tag, odd, long, at + 12)
    return Head(tag, odd, short, at + 8)


def reads_on(data: Bytes, at: int, end: int, *, is_implicit: bool, is_little: bool) -> bool:
    """Whether what begins here can be the next elements of a dataset.

    Args:
        data: the bytes.
        at: where the first one would begin.
        end: of the dataset or item.
        is_implicit: whether the first one is implicit VR; the others may be either.
        is_little: byte order.
    """
    if not is_implicit:
        return _reads_on(data, at, end, 0, is_little)
    return any(_reads_on(data, at, end, count, is_little) for count in (_IN_A_ROW, 1))


def _reads_on(data: Bytes, at: int, end: int, implicit: int, is_little: bool) -> bool:
    """As `reads_on`, of which so many must be implicit VR."""
    order = "<" if is_little else ">"
    last = -1
    for number in range(_IN_A_ROW):
        if at == end:
            return number > 0
        if end - at < 8:
            return False
        group, element = struct.unpack_from(order + "HH", data, at)
        tag = group << 16 | element
        (length,) = struct.unpack_from(order + "L", data, at + 4)
        if tag in (_ITEM_END, _SEQUENCE_END):
            return number > 0 and length == 0
        if tag <= last or group == _DELIMITERS:
            return False
        value = at + 8
        sent = data[at + 4 : at + 6]
        if sent in VRS and number >= implicit:
            (length,) = struct.unpack_from(order + "H", data, at + 6)
            if sent in _LONG:
                if end - at < 12:
                    return False
                (length,) = struct.unpack_from(order + "L", data, at + 8)
                value = at + 12
        elif number == implicit == 0:
            return False
        if group == _PIXEL_GROUP or length == UNDEFINED:
            return number > 0 or length == UNDEFINED or value + length <= end
        at, last = value + length, tag
        if at > end:
            return False
    return True


def read_elements(
    data: Bytes,
    at: int,
    end: int,
    *,
    is_implicit: bool,
    is_little: bool,
    found: dict[int, RawDataElement],
    notes: list[str],
    is_open: bool = False,
    base: int = 0,
    stop: Callable[[Head], bool] = lambda _: False,
) -> int:
    """Read elements one behind the other.

    Args:
        data: the bytes.
        at: where the first one begins.
        end: of the dataset or item, where it is known.
        is_implicit: VR encoding.
        is_little: byte order.
        found: takes the elements; what came before an error stays there.
        notes: takes what was odd.
        is_open: whether it is an item of undefined length, which ends with its delimiter.
        base: where `data` begins in the stream that offsets count in.
        stop: of which element on nothing is read.

    Returns:
        Where the first byte is that was not read.

    Raises:
        CutOffError: the bytes end within an element, or before the delimiter.
        DamagedError: they are no elements.
        TooDeepError: sequences go on and on.
    """
    while at < end or is_open:
        head = read_head(data, at, end, is_implicit=is_implicit, is_little=is_little)
        if stop(head):
            return at
        if head.tag >> 16 == _DELIMITERS:
            if head.length and head.vr is None:
                raise DamagedError("an item where an element must be")
            at = head.value + head.length
            if is_open and head.tag == _ITEM_END and head.vr is None:
                return at
            notes.append("a delimiter where none belongs is passed over")
            continue
        vr, inner_little, value_end, at = _extent(data, head, end, is_implicit, is_little)
        name = f"({head.tag >> 16:04X},{head.tag & 0xFFFF:04X})"
        if vr != head.vr and _is_odd(head.vr):
            notes.append(f"{name} has a VR that does not exist: read as {vr}")
        if head.tag in found:
            notes.append(f"{name} is sent twice: the last one counts")
        found[head.tag] = RawDataElement(
            BaseTag(head.tag),
            vr,
            head.length,
            data[head.value : value_end],
            base + head.value,
            is_implicit_VR=is_implicit or head.vr is None,
            is_little_endian=inner_little,
        )
    return at


def _is_odd(vr: str | None) -> bool:
    return vr is not None and vr.encode("latin-1") not in VRS


def read_items(
    data: bytes, *, is_implicit: bool, is_little: bool, notes: list[str], base: int = 0
) -> list[dict[int, RawDataElement]]:
    """Read the items of a sequence.

    Args:
        data: its value.
        is_implicit: VR encoding of the dataset that it is in. Within explicit VR an item may be
            implicit, which its first element tells.
        is_little: byte order.
        notes: takes what was odd.
        base: where `data` begins in the stream that offsets count in.

    Raises:
        CutOffError: the bytes end within an item's element.
        DamagedError: they are no items.
    """
    items: list[dict[int, RawDataElement]] = []
    at, end = 0, len(data)
    while at < end:
        tag, length = _item_head(data, at, end, is_little)
        at += 8
        if tag == _SEQUENCE_END:
            break
        if tag == _ITEM_END:
            notes.append("a delimiter where none belongs is passed over")
            continue
        is_open = length == UNDEFINED
        item_end = end if is_open else min(end, at + length)
        inner = is_implicit or is_implicit_item(data, at, item_end, is_little)
        if not is_open and at + length > end:
            notes.append("an item is longer than its sequence, with which it ends")
            is_open = _has_end(data, at, end, _Open(True, inner, is_little))
        item: dict[int, RawDataElement] = {}
        at = read_elements(
            data,
            at,
            item_end,
            is_implicit=inner,
            is_little=is_little,
            found=item,
            notes=notes,
            is_open=is_open,
            base=base,
        )
        items.append(item)
    return items


def is_implicit_item(data: Bytes, at: int, end: int, is_little: bool) -> bool:
    """Whether an item within explicit VR is implicit, or begins with a VR that does not exist."""
    if data[at + 4 : at + 6] in VRS:
        return False
    return reads_on(data, at, end, is_implicit=True, is_little=is_little)


def is_little_sequence(data: Bytes, at: int, *, otherwise: bool) -> bool:
    """Byte order of a sequence that was sent as UN, by its first item.

    It is to be little endian (PS3.5 6.2.2 note 4), also in a big endian file; not all writers know.
    """
    first = bytes(data[at : at + 4])
    if first in _LITTLE_ITEMS:
        return True
    return otherwise and first[::-1] not in _LITTLE_ITEMS


def _extent(
    data: Bytes, head: Head, end: int, is_implicit: bool, is_little: bool
) -> tuple[str | None, bool, int, int]:
    """VR and byte order of a value, where it ends, and where the next element begins."""
    if head.length != UNDEFINED:
        stop = head.value + head.length
        if stop > end:
            raise CutOffError
        return head.vr, is_little, stop, stop
    vr, little = _open_vr(data, head, is_little)
    if vr != "SQ":
        stop = _delimiter(data, head.value, end, is_little)
        return vr, little, stop, stop + 8
    after = _behind_sequence(data, head.value, end, is_implicit or head.vr is None, little)
    return vr, little, after - 8, after


def _open_vr(data: Bytes, head: Head, is_little: bool) -> tuple[str | None, bool]:
    """VR and byte order of a value of undefined length; what begins with an item is a sequence."""
    if head.vr == "UN":
        return "SQ", is_little_sequence(data, head.value, otherwise=True)
    if head.vr is not None and not _is_odd(head.vr):
        return head.vr, is_little
    try:
        return str(dictionary_VR(head.tag)), is_little
    except KeyError:
        first = bytes(data[head.value : head.value + 4])
        is_sequence = (first if is_little else first[1::-1] + first[:1:-1]) in _LITTLE_ITEMS
        return ("SQ" if is_sequence else head.vr), is_little


def _delimiter(data: Bytes, at: int, end: int, is_little: bool) -> int:
    mark = struct.pack("<HHL" if is_little else ">HHL", 0xFFFE, 0xE0DD, 0)
    found = data.find(mark, at, end)
    if found < 0:
        raise CutOffError
    return found


def _item_head(data: Bytes, at: int, end: int, is_little: bool) -> tuple[int, int]:
    if end - at < 8:
        raise CutOffError
    group, element, length = struct.unpack_from("<HHL" if is_little else ">HHL", data, at)
    tag = group << 16 | element
    if tag not in (_ITEM, _SEQUENCE_END) and not (tag == _ITEM_END and length == 0):
        raise DamagedError("no item where one must be in a sequence")
    return tag, length


def _behind_sequence(data: Bytes, at: int, end: int, is_implicit: bool, is_little: bool) -> int:
    """Where a sequence of undefined length ends."""
    return _behind(data, at, end, _Open(False, is_implicit, is_little))


def _has_end(data: Bytes, at: int, end: int, item: _Open) -> bool:
    """Whether an item has a delimiter of its own, so that its length counts for nothing."""
    try:
        return _behind(data, at, end, item) <= end
    except (CutOffError, DamagedError):
        return False


def _behind(data: Bytes, at: int, end: int, first: _Open) -> int:
    """Where a sequence or item ends by its delimiter; without recursion, however deep it goes."""
    levels = [first]
    while levels:
        if len(levels) > _MOST_LEVELS:
            raise TooDeepError
        _, implicit, little = level = levels[-1]
        if not level.is_item:
            tag, length = _item_head(data, at, end, little)
            at += 8
            if tag == _SEQUENCE_END:
                levels.pop()
            elif length != UNDEFINED and at + length <= end:
                at += length
            elif tag == _ITEM:
                inner = implicit or is_implicit_item(data, at, end, little)
                levels.append(_Open(True, inner, little))
            continue
        head = read_head(data, at, end, is_implicit=implicit, is_little=little)
        if head.tag >> 16 == _DELIMITERS:
            if head.length and head.vr is None:
                raise DamagedError("an item where an element must be")
            at = head.value + head.length
            if head.tag == _ITEM_END and head.vr is None:
                levels.pop()
        elif head.length != UNDEFINED:
            at = head.value + head.length
        else:
            vr, inner_little = _open_vr(data, head, little)
            at = head.value
            if vr == "SQ":
                levels.append(_Open(False, implicit or head.vr is None, inner_little))
            else:
                at = _delimiter(data, at, end, little) + 8
        if at > end:
            raise CutOffError
    return at
