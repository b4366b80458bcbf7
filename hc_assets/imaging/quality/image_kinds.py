"""Whether a frame is an acquisition, or a page: a screen, a report, a test pattern.

Belongs here: deciding it, by what the header says first, and by the pixels where it says nothing.
What is done about it is decided where frames are scored (`rows.py`); only what is scored is
preprocessed, made a volume of, or put into a training set.

A page that is taken for an acquisition has a score that means nothing; an acquisition that is taken
for a page is lost. So only what leaves no doubt counts, and nothing of modalities whose images are
screens and photographs by nature. Thresholds are our own, chosen on pages that are drawn by
`hc_assets_tests/imaging/quality/pages.py`, so that no frame of the public files at hand is lost.
"""

import re
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from hc_assets.imaging.pixels.frame_context import FrameContext
from hc_assets.imaging.pixels.frames import Frame
from hc_assets.imaging.quality.burned_in_text import text_boxes

ACQUISITION = "acquisition"
"""What a scanner measured, or what was computed from that."""
SECONDARY_CAPTURE = "secondary_capture"
"""What a screen showed: a picture of images, a rendering, a colour map."""
REPORT = "report"
"""A page of text or curves: a dose report, a protocol, a worksheet."""
TEST_PATTERN = "test_pattern"
"""A drawing that displays are adjusted with."""
CAPTURES = frozenset({SECONDARY_CAPTURE, REPORT, TEST_PATTERN})
"""What is neither scored nor preprocessed: the reason of each of its metrics is its name."""

# Grey by nature: colour is a display of them, and without a place in the patient they are captures
_SLICES = frozenset({"CT", "MR", "PT"})
_GREY = _SLICES | {"NM"}
# Whose pixels are looked at: counts are few in PT and NM, and radiographs may be flat fields
_LOOKED_AT = frozenset({"CT", "MR", "US"})

# Words of ImageType (0008,0008), from its third value on
_TERMS = (
    (TEST_PATTERN, r"TEST ?PATTERN|SMPTE|TG ?18"),
    (
        REPORT,
        r"DOSE (INFO|INFORMATION|REPORT|RECORD|SUMMARY|PAGE|SHEET)|REPORT|WORK ?SHEET|TEXT"
        r"|CT SOM\d+ PROT|PROTOCOL|GRAPH|CHART|PLOT|HISTOGRAM",
    ),
    (
        SECONDARY_CAPTURE,
        r"(SCREEN|PRINT) ?(SAVE|SAVED|SHOT|CAPTURE|GRAB|DUMP|SCREEN)|SECONDARY CAPTURE",
    ),
)
_PAGES = tuple((kind, re.compile(rf"\b(?:{terms})\b")) for kind, terms in _TERMS)
# Of slices only: a photograph may be called anything
_RENDERED = re.compile(r"\b(?:VRT|VOLREN|SSD|(?:VOLUME|SURFACE) RENDER(?:ED|ING)?)\b")
# Of secondary images of slices that have no place in the patient
_COMPOSITE = re.compile(r"\b(?:LOCALIZER|SCOUT|DOSE|SUMMARY)\b")
# Conversion Type (0008,0064): scanned documents and drawings; and what else came from no scanner
_DOCUMENTS = frozenset({"SD", "DRW"})
_CONVERTED = frozenset({"DV", "DI", "DF", "WSD", "SI", "SYN"})
_BYTE = 8

# Share of a page that is background, and how far around its value that reaches, of the range
_BACKGROUND, _NEAR = 0.6, 0.04
# Of a screen test no single background is asked for; its steps are flat
_LEAST_STEP, _STEPS = 0.003, 9
# Pixels a side: wider than strokes of text; and how much of a page may be solid yet not flat
_STROKE, _MOST_TEXTURE = 9, 0.01
_LEAST_SIDE = 64
_ALIKE = 0.5
_LINES = 4


@dataclass(frozen=True)
class ImageKind:
    """What a frame shows.

    Attributes:
        name: one of the names above.
        evidence: what says so, joined by `_and_`: `image_type`, `sop_class`, `conversion_type`,
            `photometric` of the header, `content` of the pixels; None for acquisitions.
    """

    name: str
    evidence: str | None = None


def image_kind(frame: Frame) -> ImageKind:
    """Decide whether a frame is an acquisition of its modality.

    Args:
        frame: as decoded.

    Returns:
        The kind. ImageType decides where one of its values names a page. A scanned document or a
        drawing is a report. In CT, MR and PT, colour, the classes of secondary captures, and
        conversions from elsewhere are captures, unless the frame is grey, of more than 8 bits and
        has its place in the patient; in NM, colour is. Else the pixels of CT, MR and US decide.
        Labels, and any other modality, are acquisitions.
    """
    context = frame.context
    if context.is_labels:
        return ImageKind(ACQUISITION)
    named = _named(context)
    if named is not None:
        return named
    found = _captured(context, is_color=frame.is_color)
    if found:
        return ImageKind(SECONDARY_CAPTURE, "_and_".join(found))
    drawn = _drawn(frame)
    return ImageKind(ACQUISITION) if drawn is None else ImageKind(drawn, "content")


def _named(context: FrameContext) -> ImageKind | None:
    words = _words(context)
    for kind, pattern in _PAGES:
        if pattern.search(words):
            return ImageKind(kind, "image_type")
    if context.conversion_type in _DOCUMENTS:
        return ImageKind(REPORT, "conversion_type")
    if context.modality in _SLICES and _RENDERED.search(words):
        return ImageKind(SECONDARY_CAPTURE, "image_type")
    return None


def _words(context: FrameContext) -> str:
    """What an image is, plain: the first two values, as DERIVED, may be those of slices, too."""
    return " / ".join(re.sub(r"[^A-Z0-9]+", " ", value) for value in context.image_type[2:])


def _captured(context: FrameContext, *, is_color: bool) -> list[str]:
    """What of the header says that a slice is a picture of one."""
    if is_color and context.modality in _GREY:
        return ["photometric", *(["sop_class"] if context.is_capture_class else [])]
    has_place = context.position is not None and context.orientation is not None
    is_byte = context.bits_stored <= _BYTE
    if context.modality not in _SLICES or (has_place and not is_byte):
        return []
    found = [("sop_class", context.is_capture_class)]
    if not has_place:
        is_secondary = "SECONDARY" in context.image_type[1:2]
        is_composite = is_byte or _COMPOSITE.search(_words(context)) is not None
        found.append(("conversion_type", context.conversion_type in _CONVERTED))
        found.append(("image_type", is_secondary and is_composite))
    return [name for name, is_so in found if is_so]


def _drawn(frame: Frame) -> str | None:
    """Return which page the pixels are, if any: what is solid there is flat, as no measurement is.

    A page of text has one background, lines of text, and no solid part but flat ones. A pattern has
    at least nine flat steps of grey. Noise, speckle or texture in any larger part make an image.
    """
    context = frame.context
    if context.modality not in _LOOKED_AT or context.image_regions:
        return None
    pixels = frame.pixels.max(axis=2) if frame.is_color else frame.pixels
    if min(pixels.shape) < _LEAST_SIDE or not _is_plain(pixels):
        return None
    is_flat = _is_flat(pixels, 1 if context.bits_stored <= _BYTE else 0)
    grey = _eight_bits(pixels)
    value = int(np.bincount(grey.ravel(), minlength=256).argmax())
    marks = cv2.absdiff(grey, np.full_like(grey, value)) > round(_NEAR * 255)
    solid = cv2.morphologyEx(marks.astype(np.uint8), cv2.MORPH_OPEN, _square(_STROKE))
    inner = cv2.erode(solid, _square(3)).astype(bool)
    if np.count_nonzero(inner & ~is_flat) > _MOST_TEXTURE * grey.size:
        return None
    if len(_steps(grey, is_flat)) >= _STEPS:
        return TEST_PATTERN
    if np.count_nonzero(~marks) < _BACKGROUND * grey.size:
        return None
    return REPORT if len(text_boxes(frame)) >= _LINES else None


def _is_plain(pixels: NDArray[Any]) -> bool:
    """Whether half of the neighbours are alike, as they are in few acquisitions: quick to see."""
    if np.count_nonzero(pixels[:, 1:] == pixels[:, :-1]) < _ALIKE * pixels.size:
        return False
    low, high = float(pixels.min()), float(pixels.max())
    return bool(np.isfinite([low, high]).all() and high > low)


def _square(side: int) -> NDArray[np.uint8]:
    return np.ones((side, side), np.uint8)


def _eight_bits(pixels: NDArray[Any]) -> NDArray[np.uint8]:
    low, high = float(pixels.min()), float(pixels.max())
    scaled = (pixels.astype(np.float32) - np.float32(low)) * np.float32(255 / (high - low))
    grey: NDArray[np.uint8] = np.clip(scaled, 0, 255).astype(np.uint8)
    return grey


def _is_flat(pixels: NDArray[Any], tolerance: int) -> NDArray[np.bool_]:
    """Where a pixel and its neighbours are alike; lossy compression moves bytes by a level."""
    values = pixels.astype(np.float32)
    flat: NDArray[np.bool_] = (
        cv2.dilate(values, _square(3)) - cv2.erode(values, _square(3)) <= tolerance
    )
    return flat


def _steps(grey: NDArray[np.uint8], is_flat: NDArray[np.bool_]) -> list[int]:
    """Levels of flat parts, each apart from the next."""
    counts = np.bincount(grey[is_flat], minlength=256)
    levels: list[int] = []
    for level in np.flatnonzero(counts >= _LEAST_STEP * grey.size):
        if not levels or level - levels[-1] > 2:
            levels.append(int(level))
    return levels
