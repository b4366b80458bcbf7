"""The file meta information (PS3.10 section 7.1), as writers send it.

Belongs here: its elements, and where the dataset begins behind them. What a file is, is found out
in `reading.py`; how its dataset is encoded, in `dataset_encoding.py`.
"""

from pydicom.dataelem import RawDataElement
from pydicom.uid import UID

from hc_assets.imaging.headers.element_walk import (
    VRS,
    Bytes,
    CutOffError,
    DamagedError,
    TooDeepError,
    read_elements,
    reads_on,
)


def file_meta(data: Bytes, start: int, notes: list[str]) -> tuple[dict[int, RawDataElement], int]:
    """Read the file meta information.

    Args:
        data: the file.
        start: where it begins, if there is one.
        notes: takes what was odd.

    Returns:
        Its elements by tag, and where the dataset begins.

    Raises:
        DamagedError: it can't be read; the text says why.
    """
    if len(data) < start + 6 or data[start : start + 2] != b"\x02\x00":
        if start:
            notes.append("no file meta information")
        return {}, start
    is_implicit = data[start + 4 : start + 6] not in VRS
    if is_implicit:
        notes.append("file meta information is implicit VR")
    meta: dict[int, RawDataElement] = {}
    try:
        at = read_elements(
            data,
            start,
            len(data),
            is_implicit=is_implicit,
            is_little=True,
            found=meta,
            notes=notes,
            stop=lambda head: head.tag >> 16 != 2,
        )
    except CutOffError as error:
        raise DamagedError("truncated: the file meta information is cut off") from error
    except DamagedError as error:
        raise DamagedError(f"file meta information is damaged: {error}") from error
    at = _dataset_start(data, start, at, meta, notes)
    if any(element.VR and element.VR.encode("latin-1") not in VRS for element in meta.values()):
        notes.append("file meta information has a VR that does not exist")
    return meta, at


def _dataset_start(
    data: Bytes, start: int, at: int, meta: dict[int, RawDataElement], notes: list[str]
) -> int:
    """Where the dataset begins, if not behind the last element of group 2.

    The information goes on behind an element of another group where all that its group length
    names is elements, with one of its own among them.
    """
    length = meta.get(0x00020000)
    if length is None or not isinstance(length.value, bytes) or len(length.value) != 4:
        return at
    end = length.value_tell + 4 + int.from_bytes(length.value, "little")
    if start < end < at and _is_dataset(data, end) and not _is_dataset(data, at):
        notes.append("file meta information has an element that is longer than its group")
        return end
    if not at < end <= len(data):
        return at
    rest: dict[int, RawDataElement] = {}
    try:
        read_elements(*(data, at, end), is_implicit=False, is_little=True, found=rest, notes=[])
    except (CutOffError, DamagedError, TooDeepError):
        return at
    if not any(tag >> 16 == 2 for tag in rest):
        return at
    notes.append("file meta information has an element of another group")
    meta.update({tag: element for tag, element in rest.items() if tag >> 16 == 2})
    return end


def _is_dataset(data: Bytes, at: int) -> bool:
    return any(
        reads_on(data, at, len(data), is_implicit=implicit, is_little=little)
        for implicit, little in ((False, True), (True, True), (False, False))
    )


def transfer_syntax(meta: dict[int, RawDataElement]) -> UID | None:
    """TransferSyntaxUID; None where there is none, or it is blank."""
    element = meta.get(0x00020010)
    if element is None or not element.value:
        return None
    value = element.value
    text = value.decode("ascii", "replace") if isinstance(value, bytes) else str(value)
    return UID(text.rstrip("\0 ")) or None
