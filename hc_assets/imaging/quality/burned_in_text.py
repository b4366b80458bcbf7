"""Whether text is probably burned into a frame: what the header says, and what the pixels show.

Belongs here: finding text-like marks, and bringing header and pixels together. What is done about
it is decided where frames are shown (`imaging/quality_report/thumbnails.py`) and where training
sets are made.

Thresholds are our own, chosen on letters in the first three fonts of
`benchmarks/burned_in_text.py`, which counts how often text is found, in other fonts too, and how
often where there is none;
docs/quality-score.md has its figures. Heights, widths and distances are in pixels of the image that
is searched, 1,024 at most a side.
"""

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from hc_assets.imaging.pixels.frame_context import FrameContext
from hc_assets.imaging.pixels.frames import Frame
from hc_assets.imaging.quality.samples import sample

# Acquired slices and counts, not screens: annotation lies in the header, not in the pixels
_SELDOM_ANNOTATED = frozenset(["CT", "MR", "PT", "NM", "SEG", "RTDOSE", "RTIMAGE"])
# Sides beyond which an image is shrunk, and up to which it is enlarged
_LARGEST, _SMALL = 1024, 512
# The widest stroke, and how far it stands out, of 255
_STROKE = 13
_CONTRAST = 40
# Of letters
_HEIGHTS = (6, 90)
# Bounds the work: pairs of marks are compared
_MOST_GLYPHS = 1500
# Three alike stand in a line by chance
_GLYPHS_OF_A_LINE = 4
# Share of letters in what is raised on a line, and how dense what is around it may be, in shares of
# the line's own density: in noise both are alike
_SHARE_OF_LETTERS, _DENSITY_BESIDE = 0.75, 0.6

Mask = NDArray[np.uint8]


@dataclass(frozen=True)
class Box:
    """A rectangle of pixels of the stored frame that a line of text lies in."""

    row: int
    column: int
    height: int
    width: int


@dataclass(frozen=True)
class BurnedInText:
    """What is known of text in a frame.

    Attributes:
        is_probable: True where the header says YES or text was seen, even where the header says NO;
            False where the pixels were looked at and none was seen, or the header says NO; None
            where nobody looked and the header says nothing.
        evidence: `tag`, `pixels` or `tag_and_pixels` for what says so; None where nothing does.
        boxes: where text was seen, from the top.
    """

    is_probable: bool | None
    evidence: str | None
    boxes: tuple[Box, ...] = ()


def burned_in_text(frame: Frame, *, is_page: bool = False) -> BurnedInText:
    """Return whether text is probably burned into a frame.

    Args:
        frame: as decoded.
        is_page: whether it is no acquisition (`image_kinds.py`).

    The pixels of slices as acquired (CT, MR, PT, NM and the like) are looked at only where they are
    pages, secondary captures or in colour: no scanner writes into the others, and bones and vessels
    are no easier to distinguish from letters. BurnedInAnnotation (0028,0301) is of type 3 in most
    modules: where it is absent that means unknown, not NO.
    """
    context = frame.context
    is_searched = is_page or is_looked_at(context, is_color=frame.is_color)
    boxes = text_boxes(frame) if is_searched else None
    is_declared = context.burned_in_annotation == "YES"
    if is_declared or boxes:
        found = [name for name, is_so in (("tag", is_declared), ("pixels", bool(boxes))) if is_so]
        return BurnedInText(True, "_and_".join(found), tuple(boxes or ()))
    is_known = boxes is not None or context.burned_in_annotation == "NO"
    return BurnedInText(False if is_known else None, None)


def is_looked_at(context: FrameContext, *, is_color: bool) -> bool:
    """Whether the pixels of such a frame are searched for text."""
    if context.is_labels:
        return False
    return is_color or context.is_secondary or context.modality not in _SELDOM_ANNOTATED


def text_boxes(frame: Frame) -> list[Box]:
    """Find lines of text.

    Args:
        frame: as decoded.

    Returns:
        A box for each line of at least four marks that look like letters, from the top: of one
        brightness, brighter or darker than what is around, with strokes that are thin for their
        height, side by side on one line. Marks of 6 to 90 pixels' height are seen, of frames with
        more than 1,024 rows or columns after shrinking them to that, of those with at most 512
        after enlarging them twofold.

    Stroke width as the sign of text is from Epshtein et al., CVPR 2010; here it is the distance
    transform's maximum within a connected component of the top-hat of the image.
    """
    image, factor = _grey(frame)
    found = [box for polarity in (image, 255 - image) for box in _lines(polarity)]
    return sorted(
        (_scaled(box, factor, frame.pixels.shape) for box in found),
        key=lambda box: (box.row, box.column),
    )


def _grey(frame: Frame) -> tuple[NDArray[np.uint8], float]:
    """The frame as 8 bits of its range less 0.1 % on either side, and how much it was shrunk."""
    pixels = frame.pixels
    values = pixels.max(axis=2) if frame.is_color else pixels
    counts = np.isfinite(values) if values.dtype.kind == "f" else np.ones(values.shape, bool)
    if frame.padding is not None:
        counts &= ~frame.padding
    known = sample(values[counts])
    if not known.size:
        return np.zeros((1, 1), np.uint8), 1.0
    low, high = (float(end) for end in np.quantile(known, [0.001, 0.999]))
    if high <= low:  # text alone, on nothing
        low, high = float(values[counts].min()), float(values[counts].max())
    if high <= low:
        return np.zeros((1, 1), np.uint8), 1.0
    x = np.where(counts, values, low).astype(np.float32)
    grey = np.clip((x - low) * np.float32(255 / (high - low)), 0, 255).astype(np.uint8)
    longest = max(grey.shape)
    factor = longest / _LARGEST if longest > _LARGEST else 0.5 if longest <= _SMALL else 1.0
    if factor != 1.0:
        size = (max(1, round(grey.shape[1] / factor)), max(1, round(grey.shape[0] / factor)))
        how = cv2.INTER_AREA if factor > 1 else cv2.INTER_LINEAR
        grey = cv2.resize(grey, size, interpolation=how).astype(np.uint8)
    return grey, factor


@dataclass(frozen=True)
class _Marks:
    """Connected components that may be letters; arrays of one length."""

    left: NDArray[np.float64]
    top: NDArray[np.float64]
    width: NDArray[np.float64]
    height: NDArray[np.float64]
    level: NDArray[np.float64]
    area: NDArray[np.float64]

    @property
    def fill(self) -> NDArray[np.float64]:
        """Share of the rectangle around each that it covers."""
        share: NDArray[np.float64] = self.area / (self.width * self.height)
        return share


def _lines(image: NDArray[np.uint8]) -> list[tuple[int, int, int, int]]:
    marks, mask = _marks(image)
    if len(marks.left) < _GLYPHS_OF_A_LINE:
        return []
    line = _line_numbers(*_neighbours(marks), len(marks.left))
    members = np.bincount(line)
    lines = []
    for number in np.flatnonzero(members >= _GLYPHS_OF_A_LINE):
        of_line = line == number
        if _is_written(marks, of_line):
            box = _box_around(marks, of_line)
            if _stands_alone(mask, box, float(marks.area[of_line].sum())):
                lines.append(box)
    return lines


def _box_around(marks: _Marks, of_line: NDArray[np.bool_]) -> tuple[int, int, int, int]:
    """Row, column, height and width of the rectangle around some marks."""
    left, top = marks.left[of_line].min(), marks.top[of_line].min()
    right = (marks.left + marks.width)[of_line].max()
    bottom = (marks.top + marks.height)[of_line].max()
    return int(top), int(left), int(bottom - top), int(right - left)


def _stands_alone(mask: Mask, box: tuple[int, int, int, int], letters: float) -> bool:
    """Whether a line is of letters mostly, and they denser than what is around, unlike in noise."""
    row, column, height, width = box
    inside = np.count_nonzero(mask[row : row + height, column : column + width])
    around = mask[
        max(0, row - height) : row + 2 * height, max(0, column - height) : column + width + height
    ]
    beside = (np.count_nonzero(around) - inside) / max(around.size - height * width, 1)
    is_dense = beside <= _DENSITY_BESIDE * inside / (height * width)
    return bool(is_dense and letters >= _SHARE_OF_LETTERS * inside)


def _marks(image: NDArray[np.uint8]) -> tuple[_Marks, Mask]:
    kernel = cv2.getStructuringElement(cv2.MORPH_RECT, (_STROKE, _STROKE))
    raised = cv2.morphologyEx(image, cv2.MORPH_TOPHAT, kernel)
    # Half of the highest nearby: smooth edges, which would join letters, are left out
    highest = cv2.dilate(raised, kernel)
    mask = ((raised >= _CONTRAST) & (raised >= highest // 2)).astype(np.uint8)
    count, labels, stats, _ = cv2.connectedComponentsWithStats(mask, connectivity=8)
    left, top, width, height, area = (stats[:, column].astype(np.float64) for column in range(5))
    at = np.flatnonzero(mask)
    label = labels.ravel()[at]
    levels = image.ravel()[at].astype(np.float64)
    contrast = _means(label, raised.ravel()[at], count)
    mean = _means(label, levels, count)
    deviation = np.sqrt(np.maximum(_means(label, levels**2, count) - mean**2, 0))
    distance = np.asarray(cv2.distanceTransform(mask, cv2.DIST_L2, 3), np.float32).ravel()[at]
    thickest = np.zeros(count, np.float32)
    np.maximum.at(thickest, np.asarray(label, np.intp), distance)
    # No wider than a W and no narrower than an l; no outline; of one brightness; of a thin stroke
    good = (
        (np.arange(count) > 0)
        & (height >= _HEIGHTS[0])
        & (height <= _HEIGHTS[1])
        & (width <= 4 * height)
        & (height <= 12 * width)
        & (area > 0.12 * width * height)
        & (deviation <= 0.25 * contrast)
        & (2 * thickest <= 0.35 * height + 2.5)
    )
    chosen = np.flatnonzero(good)
    if len(chosen) > _MOST_GLYPHS:
        chosen = np.sort(chosen[np.argsort(-contrast[chosen], kind="stable")[:_MOST_GLYPHS]])
    found = (each[chosen] for each in (left, top, width, height, mean, area))
    return _Marks(*found), mask


def _means(label: NDArray[Any], values: NDArray[Any], count: int) -> NDArray[np.float64]:
    sums = np.bincount(label, weights=values, minlength=count)
    return sums / np.maximum(np.bincount(label, minlength=count), 1)


def _line_numbers(
    first: NDArray[np.intp], second: NDArray[np.intp], count: int
) -> NDArray[np.intp]:
    """Assign marks that are neighbours, of neighbours too, the number of the first among them."""
    numbers = np.arange(count)
    while True:
        lower = numbers.copy()
        np.minimum.at(lower, first, numbers[second])
        if (lower == numbers).all():
            return numbers
        numbers = lower


def _neighbours(marks: _Marks) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Pairs of marks that stand side by side on one line, alike in height and brightness."""
    bottom, right = marks.top + marks.height, marks.left + marks.width
    tall = np.maximum.outer(marks.height, marks.height)
    small = np.minimum.outer(marks.height, marks.height)
    gap = np.maximum.outer(marks.left, marks.left) - np.minimum.outer(right, right)
    # On one line, or with tops on one: p and y reach below it
    bottoms = np.abs(np.subtract.outer(bottom, bottom)) <= 0.2 * tall
    tops = np.abs(np.subtract.outer(marks.top, marks.top)) <= 0.1 * tall
    aligned = bottoms | tops
    alike = np.abs(np.subtract.outer(marks.level, marks.level)) <= 30
    near = (gap <= 1.3 * tall) & (gap >= -0.25 * small)
    first, second = np.nonzero(aligned & alike & near & (tall <= 1.7 * small))
    return first, second


def _is_written(marks: _Marks, of_line: NDArray[np.bool_]) -> bool:
    """Whether marks differ as letters do; the ticks of a scale are all alike."""
    width, height, fill = marks.width[of_line], marks.height[of_line], marks.fill[of_line]
    is_varied = np.ptp(width) > 1 and np.ptp(fill) > 0.08
    return bool(is_varied and np.median(width) > 0.25 * np.median(height))


def _scaled(box: tuple[int, int, int, int], factor: float, shape: tuple[int, ...]) -> Box:
    row, column = (int(np.floor(end * factor)) for end in box[:2])
    height, width = (int(np.ceil(size * factor)) for size in box[2:])
    return Box(row, column, min(height, shape[0] - row), min(width, shape[1] - column))
