"""What this project says of a file, in the form of all readers.

Belongs here: our row, our JSON and our frames made comparable. The others' are in `dcmtk.py` and
`judges.py`.
"""

import base64
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import numpy as np
from numpy.typing import NDArray

from benchmarks.oracles.dicom.neutral import (
    BYTES,
    ITEMS,
    NUMBERS,
    TEXT,
    TEXTS,
    UNKNOWN,
    Dataset,
    Element,
    of_text,
)
from hc_assets.imaging.headers.elements import dataset_elements
from hc_assets.imaging.headers.read import read_header
from hc_assets.imaging.headers.reading import UnreadableFile, opened, parse
from hc_assets.imaging.pixels.decoding import StoredFrame, stored_frames
from hc_assets.imaging.pixels.pixel_description import UndescribedPixelsError, describe_pixels

Row = dict[str, object]


@dataclass(frozen=True)
class OurFrame:
    """A frame of ours.

    Attributes:
        values: stored values; None where it is refused.
        words: why it is refused, or what is odd about it.
    """

    values: NDArray[Any] | None
    words: tuple[str, ...]


def row_of(path: Path) -> tuple[Row | None, str]:
    """Our index row; None and the reason of a file that is refused."""
    try:
        return read_header(path), ""
    except UnreadableFile as error:
        return None, error.reason


def warnings_of(row: Row) -> list[str]:
    """What a row warns of."""
    warnings = row["warnings"]
    return [str(each) for each in warnings] if isinstance(warnings, list) else []


def dataset_of(row: Row, data: bytes) -> Dataset:
    """The dataset of a row's JSON.

    Args:
        row: ours.
        data: the file, from which what the JSON leaves out is taken by its place.
    """
    model = json.loads(str(row["dicom_json"]))
    # What is no element of a dataset before its pixels, no judge is asked about
    return _dataset(
        {tag: each for tag, each in model.items() if tag[:4] != "0002" and tag < "7FE0"}, data
    )


def _dataset(model: dict[str, Any], data: bytes) -> Dataset:
    return {tag: _element(element, data) for tag, element in model.items()}


def _element(element: dict[str, Any], data: bytes) -> Element:
    vr = element["vr"]
    if "BulkDataURI" in element:
        place = parse_qs(element["BulkDataURI"].lstrip("#"))
        if vr == "SQ" or "inflated" in element["BulkDataURI"]:
            return vr, UNKNOWN, None
        offset, length = int(place["offset"][0]), int(place["length"][0])
        return vr, BYTES, data[offset : offset + length].hex()
    if vr == "SQ":
        return vr, ITEMS, [_dataset(item, data) for item in element.get("Value", [])]
    if "InlineBinary" in element:
        return vr, BYTES, base64.b64decode(element["InlineBinary"]).hex()
    values = ["" if value is None else value for value in element.get("Value", [])]
    if vr == "PN":
        order = ("Alphabetic", "Ideographic", "Phonetic")
        names = ["=".join(name.get(part, "") for part in order) if name else "" for name in values]
        return of_text(vr, "\\".join(names))
    if vr in TEXTS and all(isinstance(value, str) for value in values):
        return of_text(vr, "\\".join(values))
    if all(isinstance(value, int | float) for value in values):
        return vr, NUMBERS, [float(value) for value in values]
    try:
        return vr, NUMBERS, [float(value) for value in values]  # NaN and the like are texts
    except ValueError:
        return vr, TEXT, [str(value) for value in values]


def frames_of(path: Path, most: int) -> list[OurFrame]:
    """Our frames as stored values, before rescale; so many of them at most.

    Raises:
        UnreadableFile: no header can be had.
    """
    with opened(path) as file:
        header, stream = parse(file)
        if header.pixels is None:
            return []
        try:
            described = describe_pixels(
                dataset_elements(header), is_float=header.pixels.keyword != "PixelData"
            )
        except UndescribedPixelsError as error:
            return [OurFrame(None, (error.reason,))]
        wanted = frozenset(range(min(most, described.frames + 1)))
        found = stored_frames(stream, header, header.pixels, described, wanted=wanted)
        return [
            OurFrame(np.array(frame.values), frame.notes)
            if isinstance(frame, StoredFrame)
            else OurFrame(None, (frame.reason, *(words for _, words in frame.decoders)))
            for frame in found
        ]
