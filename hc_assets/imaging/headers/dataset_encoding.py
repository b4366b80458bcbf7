"""How a dataset is encoded: deflated or not, implicit or explicit VR, byte order (PS3.5 Annex A).

Belongs here: finding that out from the transfer syntax and from the bytes, which may contradict it.
Reading the elements is in `element_walk.py`; what a file is, in `reading.py`.
"""

import struct
import zlib

from pydicom.datadict import dictionary_has_tag
from pydicom.uid import (
    UID,
    ExplicitVRBigEndian,
    ImplicitVRLittleEndian,
    PrivateTransferSyntaxes,
)

from hc_assets.core.settings import CoreSettings
from hc_assets.imaging.headers.element_walk import (
    UNDEFINED,
    VRS,
    Bytes,
    CutOffError,
    DamagedError,
    read_head,
)
from hc_assets.lake.archives import ArchiveLimits

GE_PRIVATE_BIG_ENDIAN = "1.2.840.113619.5.2"
"""Implicit VR little endian, with pixel data that are big endian: of GE's older scanners."""

_INFLATED_BYTES = 2 * 1024**3
INFLATED_LIMITS = ArchiveLimits(size=_INFLATED_BYTES)
"""What a deflated dataset may take up: a bomb asks for a thousand times its size."""

LIMITS_OF_INDEXED = ArchiveLimits(size=_INFLATED_BYTES, always=_INFLATED_BYTES)
"""The same of files in the index, which a deployment's own limits let through."""

# So many are no accident
_ENOUGH = 8
_INFLATED_AT_ONCE = 1024**2


def inflated_limits(settings: CoreSettings) -> ArchiveLimits:
    """Take the limits that a deployment's settings name, and no more than fits into memory."""
    limits = ArchiveLimits.configured(settings)
    return limits._replace(size=min(limits.size, _INFLATED_BYTES))


def inflated(deflated: bytes, notes: list[str], limit: int) -> bytes:
    """Inflate a dataset (PS3.5 A.5), also one in a wrapper of zlib or gzip.

    Args:
        deflated: the bytes behind the file meta information.
        notes: takes what was odd.
        limit: bytes that the dataset may take up.

    Returns:
        The dataset, as far as it can be inflated.

    Raises:
        DamagedError: nothing of it can be, or it is larger than allowed.
    """
    window = _deflate_window(deflated)
    if window != -zlib.MAX_WBITS:
        notes.append("the deflated dataset has a wrapper that PS3.5 A.5 does not know")
    inflate = zlib.decompressobj(window)
    pieces: list[bytes] = []
    size = 0
    waiting = deflated
    while waiting and size <= limit and not inflate.eof:
        try:
            piece = inflate.decompress(waiting, _INFLATED_AT_ONCE)
        except zlib.error as error:
            if not size:
                raise DamagedError(f"the deflated dataset is damaged: {error}") from error
            notes.append(f"the deflated dataset is damaged: it breaks off after {size} bytes")
            return b"".join(pieces)
        pieces.append(piece)
        size += len(piece)
        waiting = inflate.unconsumed_tail
    if size > limit:
        raise DamagedError(f"the deflated dataset takes up more than {limit} bytes")
    if not inflate.eof:
        notes.append("the deflated dataset is truncated")
    return b"".join(pieces)


def _deflate_window(deflated: bytes) -> int:
    """What zlib calls the window: bare, or in a wrapper of zlib or of gzip (RFC 1950, RFC 1952)."""
    head = deflated[:2]
    if head == b"\x1f\x8b":
        return zlib.MAX_WBITS | 16
    # Bare deflate can begin so, too: then it is no element that comes out
    if len(head) == 2 and head[0] & 0x0F == 8 and int.from_bytes(head, "big") % 31 == 0:
        for window in (-zlib.MAX_WBITS, zlib.MAX_WBITS):
            try:
                first = zlib.decompressobj(window).decompress(deflated, 64)
            except zlib.error:
                continue
            if first[4:6] in VRS:
                return window
    return -zlib.MAX_WBITS


def encoding(data: Bytes, at: int, syntax: UID | None, notes: list[str]) -> tuple[bool, bool]:
    """Find out VR encoding and byte order; the data win where they contradict the file meta.

    Args:
        data: with the dataset.
        at: where it begins.
        syntax: of the file meta; None where that has none.
        notes: takes what was odd.

    Returns:
        Whether it is implicit VR, and whether it is little endian.
    """
    first = data[at : at + 6]
    if len(first) < 6:
        return syntax == ImplicitVRLittleEndian, syntax != ExplicitVRBigEndian
    is_little = syntax != ExplicitVRBigEndian
    is_implicit = first[4:6] not in VRS
    if syntax is None:
        group = struct.unpack_from("<H", first)[0]
        # Group 0008 of big-endian data reads as 0800 here
        return is_implicit, is_implicit or group < 0x0400
    if syntax in PrivateTransferSyntaxes:
        declared = PrivateTransferSyntaxes[PrivateTransferSyntaxes.index(syntax)]
        return bool(declared.is_implicit_VR), bool(declared.is_little_endian)
    declares_implicit = syntax in (ImplicitVRLittleEndian, GE_PRIVATE_BIG_ENDIAN)
    if is_implicit and not declares_implicit:
        # Implicit, or the first VR is one that does not exist
        explicit = _elements_in_a_row(data, at, is_implicit=False, is_little=is_little)
        is_implicit = any(
            _elements_in_a_row(data, at, is_implicit=True, is_little=order) > explicit
            for order in (True, False)
        )
    declared, swapped = (
        _elements_in_a_row(data, at, is_implicit=is_implicit, is_little=order)
        for order in (is_little, not is_little)
    )
    if swapped > declared:
        is_little = not is_little
        found = "little" if is_little else "big"
        notes.append(f"the dataset is {found} endian, against its transfer syntax")
    if is_implicit != declares_implicit:
        found = "implicit" if is_implicit else "explicit"
        notes.append(f"the dataset is {found} VR, against its transfer syntax")
    return is_implicit, is_little


def _elements_in_a_row(data: Bytes, at: int, *, is_implicit: bool, is_little: bool) -> int:
    """How many elements that DICOM knows, or private ones, are read so, up to `_ENOUGH`."""
    count, end = 0, len(data)
    while count < _ENOUGH and at < end:
        try:
            head = read_head(data, at, end, is_implicit=is_implicit, is_little=is_little)
        except CutOffError:
            break
        is_known = head.tag >> 16 & 1 or head.tag & 0xFFFF == 0 or dictionary_has_tag(head.tag)
        if not is_known or (head.length != UNDEFINED and head.value + head.length > end):
            break
        count += 1
        if head.length == UNDEFINED:
            break
        at = head.value + head.length
    return count
