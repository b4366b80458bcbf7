"""From a file to its raw data elements, for any DICOM there is and nothing that is not.

Belongs here: what a file is, where its dataset begins, how it is encoded, where its pixels lie.
What an element's bytes mean is in `elements.py`; what pixels mean is in `imaging/pixels/frames.py`.
"""

import logging
import mmap
import struct
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from traceback import extract_tb
from typing import BinaryIO, cast

from pydicom.datadict import dictionary_has_tag
from pydicom.dataelem import RawDataElement
from pydicom.uid import (
    UID,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
)

from hc_assets.core.transient import is_transient_itself
from hc_assets.imaging.headers.dataset_encoding import INFLATED_LIMITS, encoding, inflated
from hc_assets.imaging.headers.element_walk import (
    UNDEFINED,
    VRS,
    Bytes,
    CutOffError,
    DamagedError,
    Head,
    TooDeepError,
    read_elements,
    reads_on,
)
from hc_assets.imaging.headers.file_kinds import describe_bytes
from hc_assets.imaging.headers.file_meta import file_meta, transfer_syntax
from hc_assets.lake.archives import ArchiveLimits

Element = RawDataElement

PIXEL_TAGS = {
    0x7FE00008: "FloatPixelData",
    0x7FE00009: "DoubleFloatPixelData",
    0x7FE00010: "PixelData",
}
_PACKAGE = Path(__file__).parents[2].name
_PREFIX_AT = 128
_FIRST_GROUPS = {0x0002, 0x0004, 0x0008}

NO_PREFIX = "no preamble and no DICM prefix"
NO_SYNTAX = "no TransferSyntaxUID: guessed from the encoding"
TRUNCATED = "the header is truncated: the file ends within an element"

PARSE_ERRORS = (
    ValueError,
    TypeError,
    KeyError,
    IndexError,
    AttributeError,
    NotImplementedError,
    OverflowError,
    EOFError,
    OSError,
    RecursionError,
    struct.error,
)
"""What pydicom's readers raise on data that breaks the rules of PS3.5.

Whoever catches them asks `raise_if_ours` which of them the data are not to blame for."""


class UnreadableFile(Exception):  # noqa: N818 - an outcome with a row of its own, not a fault
    """No DICOM header can be read from a file.

    Attributes:
        reason: what is wrong with it, for a person; it may quote bytes of the file.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


@dataclass(frozen=True)
class PixelPlace:
    """Where the pixel data of a file lie.

    Attributes:
        keyword: PixelData, FloatPixelData or DoubleFloatPixelData.
        vr: OB, OW, OF, OD or UN; None where the encoding is implicit.
        offset: of the first byte of the value, in the file (in the inflated dataset if deflated).
        length: declared length of the value in bytes; None where undefined (encapsulated).
    """

    keyword: str
    vr: str | None
    offset: int
    length: int | None


@dataclass(frozen=True)
class Header:
    """The raw elements of a dataset up to its pixels.

    Attributes:
        meta: file meta elements by tag.
        elements: dataset elements by tag, in the order of the file.
        transfer_syntax: of the file meta; guessed from the encoding where that is missing.
        is_implicit: whether the dataset is implicit VR.
        is_little_endian: its byte order.
        is_inflated: whether the dataset was deflated, so that places in it are not in the file.
        pixels: where the pixels are; None where there are none.
        warnings: what was odd.
    """

    meta: dict[int, Element]
    elements: dict[int, Element]
    transfer_syntax: UID
    has_transfer_syntax: bool
    is_implicit: bool
    is_little_endian: bool
    is_inflated: bool
    pixels: PixelPlace | None
    warnings: tuple[str, ...]


@contextmanager
def quiet_pydicom() -> Iterator[None]:
    """Keep pydicom from putting header values into logs and warnings, which others may read."""
    logger = logging.getLogger("pydicom")
    was_disabled = logger.disabled
    logger.disabled = True
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.disabled = was_disabled


@contextmanager
def opened(path: Path) -> Iterator[BinaryIO]:
    """Open a file such that a read never asks for more memory than the file has bytes.

    Args:
        path: the file.

    Yields:
        A readable, seekable object.

    Raises:
        UnreadableFile: it is missing, a folder, empty, or may not be read.
        OSError: it could not be opened for another reason, which is not the file's.
    """
    # Only of opening it is the file accused, not of what its reader raises
    with _mapped(path) as mapped:
        yield cast(BinaryIO, mapped)


def _mapped(path: Path) -> mmap.mmap:
    try:
        with path.open("rb") as file:
            # A length field of 4 GiB costs nothing: a memory map reads up to its end.
            return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    except ValueError as error:
        raise UnreadableFile("the file is empty (0 bytes)") from error
    except FileNotFoundError as error:
        raise UnreadableFile("the file is not there") from error
    except IsADirectoryError as error:
        raise UnreadableFile("this is a folder, not a file") from error
    except PermissionError as error:
        raise UnreadableFile("no permission to read the file") from error


def raise_if_ours(error: BaseException) -> None:
    """Raise an error again that the file is not to blame for.

    Args:
        error: one of `PARSE_ERRORS`. What the operating system refused is not the file's, other
            than an end of the data that pydicom calls so; nor is an attribute that code of ours
            asked for and that is not there: that is a mistake, whatever the file holds.
    """
    if isinstance(error, OSError) and (error.errno is not None or is_transient_itself(error)):
        raise error
    if isinstance(error, AttributeError):
        frames = extract_tb(error.__traceback__)
        if frames and f"/{_PACKAGE}/" in frames[-1].filename:
            raise error


def parse(
    file: BinaryIO, *, inflated_limits: ArchiveLimits = INFLATED_LIMITS
) -> tuple[Header, BinaryIO]:
    """Read the elements of a dataset up to its pixels.

    Args:
        file: at any position; what `opened` gives, or bytes in memory.
        inflated_limits: of a deflated dataset.

    Returns:
        The header, and the stream that its pixel offset counts in: `file`, or the inflated dataset.

    Raises:
        UnreadableFile: it is not DICOM, or is damaged so that no header can be had.
    """
    start = _dataset_start(file)
    has_prefix = start > 0
    notes: list[str] = []
    if not has_prefix:
        notes.append(NO_PREFIX)
    data = _all_bytes(file)
    with quiet_pydicom():
        try:
            meta, at = file_meta(data, start, notes)
        except DamagedError as error:
            raise UnreadableFile(str(error)) from error
        syntax = transfer_syntax(meta)
        stream, is_inflated = file, False
        if syntax == DeflatedExplicitVRLittleEndian and not reads_on(
            data, at, len(data), is_implicit=False, is_little=True
        ):
            try:
                deflated = data[at:]
                limit = inflated_limits.unpacked(len(deflated))
                data, at, is_inflated = inflated(deflated, notes, limit), 0, True
            except DamagedError as error:
                raise UnreadableFile(str(error)) from error
            stream = BytesIO(data)
        elif syntax == DeflatedExplicitVRLittleEndian:
            notes.append("the dataset is not deflated, against its transfer syntax")
        is_implicit, is_little = encoding(data, at, syntax, notes)
        elements, pixels = _elements(data, at, is_implicit, is_little, notes)
    _require_plausible(meta, elements, pixels, has_prefix=has_prefix)
    if syntax is None:
        notes.append(NO_SYNTAX)
    header = Header(
        meta=meta,
        elements=elements,
        transfer_syntax=syntax or _guessed_syntax(is_implicit, is_little),
        has_transfer_syntax=syntax is not None,
        is_implicit=is_implicit,
        is_little_endian=is_little,
        is_inflated=is_inflated,
        pixels=pixels,
        warnings=tuple(dict.fromkeys(notes)),
    )
    return header, stream


def _dataset_start(file: BinaryIO) -> int:
    file.seek(0)
    head = file.read(_PREFIX_AT + 4)
    if head[_PREFIX_AT:] == b"DICM":
        return len(head)
    if len(head) < 8 or not _looks_like_element(head):
        raise UnreadableFile(f"not DICOM: {describe_bytes(head)}")
    return 0


def _looks_like_element(head: bytes) -> bool:
    """Whether a dataset could begin here: in one of the first groups, or with a known element."""
    (group, element), swapped = struct.unpack_from("<HH", head), struct.unpack_from(">HH", head)
    if head[4:6] in VRS:
        return any(g in _FIRST_GROUPS or _is_known(g, e) for g, e in ((group, element), swapped))
    # Implicit VR: with a length that can be
    length = struct.unpack_from("<L", head, 4)[0]
    return _is_known(group, element) and length < 2**16


def _is_known(group: int, element: int) -> bool:
    if element == 0:
        return group in _FIRST_GROUPS
    return dictionary_has_tag(group << 16 | element)


def _all_bytes(file: BinaryIO) -> Bytes:
    if isinstance(cast(object, file), mmap.mmap):
        return cast(mmap.mmap, file)
    file.seek(0)
    return file.read()


def _guessed_syntax(is_implicit: bool, is_little: bool) -> UID:
    if is_implicit:
        return ImplicitVRLittleEndian
    return ExplicitVRLittleEndian if is_little else ExplicitVRBigEndian


def _elements(
    data: Bytes, at: int, is_implicit: bool, is_little: bool, notes: list[str]
) -> tuple[dict[int, Element], PixelPlace | None]:
    place: PixelPlace | None = None

    def at_pixels(head: Head) -> bool:
        nonlocal place
        if head.tag not in PIXEL_TAGS:
            return False
        declared = None if head.length == UNDEFINED else head.length
        vr = head.vr if head.vr is None or head.vr.encode("latin-1") in VRS else None
        place = PixelPlace(PIXEL_TAGS[head.tag], vr, head.value, declared)
        return True

    elements: dict[int, Element] = {}
    try:
        read_elements(
            data,
            at,
            len(data),
            is_implicit=is_implicit,
            is_little=is_little,
            found=elements,
            notes=notes,
            stop=at_pixels,
        )
    except CutOffError:
        # Of the last value there is only a piece: no value is better than a wrong one
        notes.append(TRUNCATED)
    except TooDeepError as error:
        raise UnreadableFile("sequences are nested too deep") from error
    except DamagedError as error:
        if len(elements) < 4:
            raise UnreadableFile(f"the header is damaged: {error}") from error
        notes.append("the header is damaged after its first elements: the rest is left out")
    return elements, place


def _require_plausible(
    meta: dict[int, Element],
    elements: dict[int, Element],
    pixels: PixelPlace | None,
    *,
    has_prefix: bool,
) -> None:
    """Distinguish a dataset from bytes that happened to parse.

    Raises:
        UnreadableFile: too few of the elements are ones that DICOM knows.
    """
    if not elements and pixels is None:
        if has_prefix and meta:
            raise UnreadableFile("truncated: nothing follows the file meta information")
        where = "the DICM prefix" if has_prefix else "what looked like a first element"
        raise UnreadableFile(f"not DICOM or truncated: no data element follows {where}")
    known = sum(dictionary_has_tag(tag) or tag & 0x1FFFF == 0 for tag in elements)
    public = sum((tag >> 16) % 2 == 0 for tag in elements)
    # Behind a prefix and file meta a dataset may well be small or all private
    needed = 0 if has_prefix and meta else 3
    if known < needed or known * 2 < public:
        raise UnreadableFile(
            f"not DICOM: {known} of {len(elements)} elements are ones that DICOM knows"
        )
