"""Contrast: ranges stretched to 0 to 1, colour to grey.

Belongs here: changes of value that treat every place alike. Local contrast is in
`local_contrast.py`.
"""

import numpy as np
from numpy.typing import NDArray

from hc_assets.imaging.pixels.display import stretched
from hc_assets.imaging.quality.samples import sampled

# Differences of values below this are within float32
_SAFE = 1e30


def between_percentiles(
    pixels: NDArray[np.float32], low: float, high: float, counts: NDArray[np.bool_] | None = None
) -> NDArray[np.float32]:
    """Stretch the values between two percentiles to 0 to 1, and clip the rest.

    Args:
        pixels: rows by columns, finite.
        low: percentile that becomes 0, 0 to 100.
        high: percentile that becomes 1, above `low`.
        counts: True where a pixel counts for the percentiles; None where all do.

    Returns:
        Values from 0 to 1; where the two percentiles are equal, the whole range stretched.
    """
    counted = np.ones(pixels.shape, np.bool_) if counts is None or not counts.any() else counts
    # A regular sample is enough for two percentiles, and sorting millions of pixels is not quick;
    # extremes are asked for themselves
    inside = sampled(pixels, counted).astype(np.float64)
    bottom, top = np.percentile(inside, [low, high])
    if low == 0 or high == 100:
        every = pixels[counted]
        bottom = float(every.min()) if low == 0 else bottom
        top = float(every.max()) if high == 100 else top
    if top <= bottom:
        return stretched(pixels)
    return between(pixels, float(bottom), float(top))


def between(pixels: NDArray[np.float32], bottom: float, top: float) -> NDArray[np.float32]:
    """Stretch the values between two to 0 to 1, and clip the rest.

    Args:
        pixels: of any shape, finite.
        bottom: becomes 0.
        top: becomes 1, above `bottom`.
    """
    if max(abs(bottom), abs(top)) > _SAFE or top - bottom < 1 / _SAFE:
        wide = (pixels.astype(np.float64) - bottom) / (top - bottom)
        return np.clip(wide, 0, 1).astype(np.float32)
    with np.errstate(over="ignore"):  # what overflows is far outside, and is clipped
        scaled = pixels - np.float32(bottom)
        scaled *= np.float32(1 / (top - bottom))
    clipped: NDArray[np.float32] = np.clip(scaled, 0, 1, out=scaled)
    return clipped


def luminance(pixels: NDArray[np.integer | np.floating], top: float) -> NDArray[np.float32]:
    """Grey of an RGB frame (ITU-R BT.601 weights), 0 to 1.

    Args:
        pixels: rows by columns by 3.
        top: highest value that the bits can hold.
    """
    weights = np.array([0.299, 0.587, 0.114], np.float32)
    grey = (pixels.astype(np.float32) @ weights) / np.float32(top or 1.0)
    clipped: NDArray[np.float32] = np.clip(grey, 0, 1).astype(np.float32)
    return clipped
