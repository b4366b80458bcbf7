"""A dataset as DICOM JSON (PS3.18 Annex F), without pixels and other bulk.

Belongs here: the JSON form and its limits. Typed columns are made in `read.py`.
"""

import base64
import math
from dataclasses import dataclass, field
from typing import Any

import msgspec

from hc_assets.imaging.headers.element_walk import UNDEFINED
from hc_assets.imaging.headers.elements import (
    BYTES_VRS,
    TEXT_VRS,
    Elements,
    MalformedValueError,
    Value,
    tag_name,
    unknown_character_sets,
)

BINARY_LIMIT = 4 * 1024
"""Bytes of a binary value from which it counts as bulk."""
TEXT_LIMIT = 64 * 1024
"""Bytes of a text from which it counts as bulk."""
SEQUENCE_LIMIT = 8 * 1024**2
"""Bytes of values in sequences that the JSON of a dataset holds; what follows is left out. Room for
the functional groups of some thousands of frames, from which series have their positions."""
DEPTH_LIMIT = 32
"""Sequences within sequences that are followed; real ones stay below ten."""

_OVERLAY_DATA = 0x60003000
_CHARACTER_SET = 0x00080005


@dataclass
class _Writing:
    budget: int
    is_inflated: bool
    notes: list[str] = field(default_factory=list)


def dicom_json(elements: Elements, *, is_inflated: bool = False) -> tuple[str, list[str]]:
    """Write a dataset as DICOM JSON.

    Args:
        elements: of the dataset, without its pixels.
        is_inflated: whether the dataset was deflated, so that places in it are not places in the
            file.

    Returns:
        JSON text, and notes on what is malformed or left out. A malformed number or date is kept
        as the text that was sent; what is left out, in sequences too, has a BulkDataURI whose
        fragment gives offset and length in the file, or in the inflated dataset: without one it
        would be an element that was sent empty (F.2.5).
    """
    writing = _Writing(SEQUENCE_LIMIT, is_inflated)
    model = _dataset(elements, writing, depth=0)
    return msgspec.json.encode(model).decode(), writing.notes


def _dataset(elements: Elements, writing: _Writing, *, depth: int) -> dict[str, Any]:
    model = {}
    for tag in elements.raw:
        if tag & 0xFFFF == 0:
            # Group lengths are not part of the model (F.2.2)
            if elements.has_odd_vr(tag):
                writing.notes.append(_odd_vr_note(elements, tag))
            continue
        model[f"{tag:08X}"] = _element(elements, tag, writing, depth)
    return model


def _element(elements: Elements, tag: int, writing: _Writing, depth: int) -> dict[str, Any]:
    vr = elements.vr(tag)
    if vr == "SQ":
        return _sequence(elements, tag, writing, depth)
    size = _size(elements, tag)
    if depth:
        writing.budget -= size
    place = _place(elements, tag, writing)
    if is_bulk(tag, vr, size):
        writing.notes.append(bulk_note(tag, size))
        return bulk_model(vr, place)
    return element_model(elements, tag, vr, writing.notes, place)


def _size(elements: Elements, tag: int) -> int:
    return len(elements.raw[tag].value or b"")


def _place(elements: Elements, tag: int, writing: _Writing) -> str:
    place = place_in_file(elements.raw[tag].value_tell, _size(elements, tag))
    return place.replace("#", "#inflated&", 1) if writing.is_inflated else place


def is_bulk(tag: int, vr: str, size: int) -> bool:
    """Whether a value of so many bytes is left out of the JSON."""
    limit = TEXT_LIMIT if vr in TEXT_VRS else BINARY_LIMIT
    return size > limit or tag & 0xFF00FFFF == _OVERLAY_DATA


def bulk_note(tag: int, size: int) -> str:
    """What is noted of a value that is left out."""
    return f"{tag_name(tag)}: {size} bytes left out of the JSON"


def place_in_file(offset: int, size: int) -> str:
    """Where a value lies in the file, as a relative URI."""
    return f"#offset={offset}&length={size}"


def bulk_model(vr: str, place: str) -> dict[str, Any]:
    """Model of a value that is left out, with its place."""
    return {"vr": vr, "BulkDataURI": place}


def element_model(
    elements: Elements, tag: int, vr: str, notes: list[str], place: str
) -> dict[str, Any]:
    """Model of an element that is neither a sequence nor bulk.

    Args:
        elements: those that it is among.
        tag: its tag.
        vr: its VR as `elements` has it.
        notes: takes what is malformed, and what was sent in another way than it is read.
        place: of its bytes.
    """
    if elements.has_odd_vr(tag):
        notes.append(_odd_vr_note(elements, tag))
        data = elements.raw[tag].value
        return {"vr": vr, "InlineBinary": base64.b64encode(data).decode()} if data else {"vr": vr}
    if not elements.fits_character_set(tag):
        notes.append(
            f"{tag_name(tag)} has bytes that are not of its character set; as sent: {place}"
        )
    try:
        values = elements.values(tag)
    except MalformedValueError as error:
        notes.append(str(error))
        if vr in TEXT_VRS:
            return {"vr": vr, "Value": error.text.split("\\")}
        return {"vr": vr, "InlineBinary": base64.b64encode(error.data).decode()}
    if not values:
        return {"vr": vr}
    if tag == _CHARACTER_SET and (unknown := unknown_character_sets(values)):
        notes.append(f"{tag_name(tag)} has no such term: {', '.join(unknown)[:64]!r}")
    if isinstance(values[0], bytes):
        return {
            "vr": vr if vr in BYTES_VRS else "UN",
            "InlineBinary": base64.b64encode(values[0]).decode(),
        }
    return {"vr": vr, "Value": [_value(vr, value) for value in values]}


def _odd_vr_note(elements: Elements, tag: int) -> str:
    sent = str(elements.raw[tag].VR)
    is_plain = sent.isascii() and sent.isprintable()
    shown = f"'{sent}'" if is_plain else sent.encode("latin-1").hex()
    return f"{tag_name(tag)} has the VR {shown}, which does not exist: kept as UN"


def _sequence(elements: Elements, tag: int, writing: _Writing, depth: int) -> dict[str, Any]:
    is_open = elements.raw[tag].length == UNDEFINED
    size = 0 if is_open else _size(elements, tag)
    left_out = bulk_model("SQ", _place(elements, tag, writing))
    if depth >= DEPTH_LIMIT:
        writing.notes.append(f"{tag_name(tag)}: nested too deep, left out of the JSON")
        return left_out
    if size > writing.budget or writing.budget <= 0:
        writing.notes.append(f"{tag_name(tag)}: a large sequence, left out of the JSON")
        return left_out
    try:
        odd: list[str] = []
        items = elements.items(tag, odd)
    except MalformedValueError as error:
        writing.notes.append(str(error))
        return left_out
    writing.notes += [f"{tag_name(tag)}: {note}" for note in odd]
    model: list[dict[str, Any]] = []
    for item in items:
        if writing.budget <= 0:
            writing.notes.append(
                f"{tag_name(tag)}: items from {len(model) + 1} on left out of the JSON;"
                f" all: {_place(elements, tag, writing)}"
            )
            break
        model.append(_dataset(item, writing, depth=depth + 1))
    return {"vr": "SQ", "Value": model} if model else {"vr": "SQ"}


def _value(vr: str, value: Value) -> Any:
    if vr == "PN":
        return _person_name(str(value))
    if value == "":
        return None  # an empty value between two others (F.2.5)
    if isinstance(value, float) and not math.isfinite(value):
        # JSON has no such numbers; PS3.18 F.2.2.1 writes them as these strings
        return "NaN" if math.isnan(value) else ("inf" if value > 0 else "-inf")
    return value


def _person_name(text: str) -> dict[str, str] | None:
    groups = zip(("Alphabetic", "Ideographic", "Phonetic"), text.split("="), strict=False)
    return {name: part for name, part in groups if part} or None
