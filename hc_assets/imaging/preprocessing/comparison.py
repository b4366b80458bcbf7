"""A frame before and after preprocessing, small, with the histograms of both.

Belongs here: which frames may be shown, what is kept of them, and the drawing.
"""

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from hc_assets.imaging.pixels.display import displayed
from hc_assets.imaging.pixels.frames import Frame
from hc_assets.imaging.preprocessing.contrast import luminance
from hc_assets.imaging.preprocessing.geometry import placed
from hc_assets.imaging.quality.burned_in_text import burned_in_text

PICTURE_BYTES = 64 * 1024
SIDE = 96
BINS = 48
# Modalities whose scanners write no text into original pixels; ultrasound and captures do
_WITHOUT_TEXT = frozenset(["CT", "MR", "PT", "NM", "CR", "DX", "MG"])
_GAP = 4


@dataclass(frozen=True)
class Comparison:
    """What is kept of a frame to look at.

    Attributes:
        before: as the file would be displayed, 96 by 96, 8 bits for the eye alone.
        after: the array, likewise.
        counts_before: histogram of the values between their least and greatest, 48 bins.
        counts_after: histogram of the array from 0 to 1, 48 bins.
        limits: least and greatest value before, in modality units.
    """

    before: NDArray[np.uint8]
    after: NDArray[np.uint8]
    counts_before: tuple[int, ...]
    counts_after: tuple[int, ...]
    limits: tuple[float, float]


def may_be_shown(frame: Frame) -> bool:
    """Whether a frame is an original image of a kind that carries no text, and none was seen in it.

    BurnedInAnnotation is absent in most files, which means unknown; so what may hold text is held
    back, whatever else the header says, and so is whatever shows a face.
    """
    context = frame.context
    return (
        context.modality in _WITHOUT_TEXT
        and not (context.is_secondary or context.is_recognizable or frame.is_color)
        and not burned_in_text(frame).is_probable
    )


def compared(frame: Frame, array: NDArray[np.floating[Any]]) -> Comparison:
    """Keep what is to be looked at.

    Args:
        frame: as decoded.
        array: what became of it, 0 to 1.
    """
    visible = displayed(frame)
    if frame.is_color:
        visible = luminance(visible, 1.0)
    values = frame.pixels if frame.padding is None else frame.pixels[~frame.padding]
    values = values[np.isfinite(values)].astype(np.float64)
    low, high = (float(values.min()), float(values.max())) if values.size else (0.0, 0.0)
    after = array.astype(np.float32)
    return Comparison(
        before=_small(visible, frame.context.spacing),
        after=_small(after, None),
        counts_before=_counted(values, low, high),
        counts_after=_counted(after, 0.0, 1.0),
        limits=(low, high),
    )


def _counted(values: NDArray[Any], low: float, high: float) -> tuple[int, ...]:
    if not high > low or not np.isfinite(high - low):
        return (int(values.size), *[0] * (BINS - 1))
    return tuple(int(count) for count in np.histogram(values, BINS, (low, high))[0])


def _small(pixels: NDArray[np.float32], spacing: tuple[float, float] | None) -> NDArray[np.uint8]:
    small = placed(pixels, (SIDE, SIDE), spacing).pixels
    return np.rint(np.clip(small, 0, 1) * 255).astype(np.uint8)


def drawn(comparison: Comparison) -> bytes:
    """Draw before, its histogram, after, its histogram side by side.

    Returns:
        A greyscale PNG of 396 by 96 pixels, below 64 KB, without any text.
    """
    panels = [
        comparison.before,
        _bars(comparison.counts_before),
        comparison.after,
        _bars(comparison.counts_after),
    ]
    gap = np.full((SIDE, _GAP), 255, np.uint8)
    row = np.hstack([each for panel in panels for each in (panel, gap)][:-1])
    done, encoded = cv2.imencode(".png", row)
    if not done or encoded.nbytes > PICTURE_BYTES:  # 38 KB uncompressed: it can't be
        raise ValueError("the picture could not be made small enough")
    return encoded.tobytes()


def _bars(counts: tuple[int, ...]) -> NDArray[np.uint8]:
    """Bars as high as the square root of their counts: air would flatten all others."""
    roots = np.sqrt(np.array(counts, np.float64))
    heights = np.rint(roots / max(float(roots.max()), 1.0) * SIDE)
    up = np.arange(SIDE, 0, -1)[:, None]
    bars = np.where(up <= np.repeat(heights, SIDE // BINS)[None], 200, 30)
    return bars.astype(np.uint8)
