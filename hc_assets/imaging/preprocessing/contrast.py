"""Contrast: ranges stretched to 0 to 1, and histograms equalised locally.

Belongs here: changes of value that do not move anything.
"""

import cv2
import numpy as np
from numpy.typing import NDArray

from hc_assets.imaging.display import stretched

_TOP_16_BITS = 65535


def between_percentiles(
    pixels: NDArray[np.float32], low: float, high: float, counts: NDArray[np.bool_] | None = None
) -> NDArray[np.float32]:
    """Stretch the values between two percentiles to 0 to 1, and clip the rest.

    Args:
        pixels: of any shape, finite.
        low: percentile that becomes 0, 0 to 100.
        high: percentile that becomes 1, above `low`.
        counts: True where a pixel counts for the percentiles; None where all do.

    Returns:
        Values from 0 to 1; where the two percentiles are equal, the whole range stretched.
    """
    counted = pixels if counts is None or not counts.any() else pixels[counts]
    # A regular sample is enough for two percentiles, and sorting millions of pixels is not quick
    # In doubles: the range of extreme floats is beyond floats
    sample = counted.reshape(-1)[:: max(1, counted.size // 2**18)].astype(np.float64)
    bottom, top = np.percentile(sample, [low, high])
    if top <= bottom:
        return stretched(pixels)
    scaled = (pixels.astype(np.float64) - bottom) / (np.float64(top) - bottom)
    clipped: NDArray[np.float32] = np.clip(scaled, 0, 1).astype(np.float32)
    return clipped


def equalised(pixels: NDArray[np.float32], *, clip_limit: float, tiles: int) -> NDArray[np.float32]:
    """Equalise the histogram locally with limited contrast (CLAHE, Zuiderveld 1994), in 16 bits.

    Args:
        pixels: rows by columns, 0 to 1: already stretched, so that all 16 bits are used.
        clip_limit: how far a bin may rise above the mean one.
        tiles: along each side.

    Returns:
        Values from 0 to 1.
    """
    clahe = cv2.createCLAHE(clipLimit=clip_limit, tileGridSize=(tiles, tiles))
    as_16_bits = np.rint(pixels * _TOP_16_BITS).astype(np.uint16)
    applied: NDArray[np.float32] = clahe.apply(as_16_bits).astype(np.float32) / np.float32(
        _TOP_16_BITS
    )
    return applied


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
