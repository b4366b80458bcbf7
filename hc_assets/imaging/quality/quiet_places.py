"""Where an image varies least: what is left there is noise.

Belongs here: deviations in windows. What they mean for an image is stated in `noise.py`.
"""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from hc_assets.imaging.quality.samples import Image, Mask, sampled

# Windows enough for a decile; ours
_LEAST_WINDOWS = 64
# Pixels that are looked at, in strips of so many rows: bounds the work
_MOST_PIXELS, _STRIP = 2**20, 64


@dataclass(frozen=True)
class Quiet:
    """How much an image varies where it varies least.

    Attributes:
        deviation: the first decile of the deviations in windows, in the image's unit, not corrected
            for being the quietest; of those that are not constant.
        with_constant: the same of all; 0 where a tenth of the windows are constant.
    """

    deviation: float
    with_constant: float


def quiet_places(image: Image, mask: Mask, window: int, *, is_level: bool = False) -> Quiet | None:
    """Find the quietest tenth of the windows that lie in a mask.

    Args:
        image: rows by columns.
        mask: where windows may lie.
        window: side of a window, odd.
        is_level: whether the slope of a window is taken off, so that it does not count.

    Returns:
        Their deviations; None where there are too few windows that are not constant.
    """
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    if not rows.size:
        return None
    box = np.s_[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    image, mask = _strips(image[box], mask[box])
    where = _with_windows_inside(mask, window)
    if not where.any():
        return None
    # Near their middle, squares in float32 keep enough digits; around -1000 they would not
    middle = sampled(image, mask)
    image = image - np.float32(np.median(middle))
    mean = cv2.boxFilter(image, cv2.CV_64F, (window, window))
    square = cv2.sqrBoxFilter(image, cv2.CV_64F, (window, window))
    variance = square - mean * mean
    if is_level:
        variance = np.subtract(variance, _of_slope(image, window), dtype=np.float64)
    # Places that are constant to the last bit were clipped or drawn: they tell nothing of noise
    least = (1e-6 * float(np.abs(middle).max())) ** 2
    is_noisy = where & (variance > least)
    windows, noisy = np.count_nonzero(where), np.count_nonzero(is_noisy)
    if noisy < max(_LEAST_WINDOWS, 0.25 * windows):
        return None
    values = sampled(variance, is_noisy)
    rank = 0.1 * windows - (windows - noisy)
    of_all = float(np.quantile(values, rank / noisy)) if rank > 0 else 0.0
    count = window**2
    scale = count / (count - (3 if is_level else 1))
    deviations = np.sqrt(scale * np.array([np.quantile(values, 0.1), of_all]))
    return Quiet(float(deviations[0]), float(deviations[1]))


def _strips(image: Image, mask: Mask) -> tuple[Image, Mask]:
    """Of a large image, strips of rows at even distances; no window lies across a seam."""
    every = -(-image.size // _MOST_PIXELS)
    blocks = len(image) // _STRIP
    if every == 1 or blocks < 2 * every:
        return image, mask
    shape = (blocks, _STRIP, image.shape[1])
    inside = mask[: blocks * _STRIP].reshape(shape)[::every].copy()
    inside[:, -1] = False
    kept = image[: blocks * _STRIP].reshape(shape)[::every]
    flat = (-1, image.shape[1])
    return kept.reshape(flat), inside.reshape(flat)


def _of_slope(image: Image, window: int) -> NDArray[np.float64]:
    """Variance in each window that a plane through it explains."""
    at = np.arange(window) - (window - 1) / 2
    box = np.full(window, 1 / window)
    slope = at / window
    across = cv2.sepFilter2D(image, cv2.CV_64F, slope, box)
    along = cv2.sepFilter2D(image, cv2.CV_64F, box, slope)
    return np.asarray((across**2 + along**2) / float((at**2).mean()), np.float64)


def _with_windows_inside(mask: Mask, window: int) -> Mask:
    kernel = np.ones((window, window), np.uint8)
    inside: Mask = cv2.erode(
        mask.astype(np.uint8), kernel, borderType=cv2.BORDER_CONSTANT, borderValue=0
    ).astype(bool)
    return inside
