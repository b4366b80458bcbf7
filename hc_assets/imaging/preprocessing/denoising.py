"""Noise and speckle lowered where nothing is to be seen but them.

Belongs here: one filter, and the two guesses of how much noise there is.
"""

import cv2
import numpy as np
from numpy.typing import NDArray

# Median of the absolute value of a normal variable, over its deviation
_MAD = 0.67449


def adaptive_mean(
    pixels: NDArray[np.float32],
    noise: NDArray[np.float32] | float,
    *,
    side: int,
    counts: NDArray[np.bool_] | None = None,
) -> NDArray[np.float32]:
    """Move each pixel towards the mean of its surroundings, the more the less happens there.

    The local linear minimum mean square error filter of Lee (IEEE PAMI 2:165, 1980), which MATLAB
    and SciPy call Wiener's: mean + (value - mean) * max(0, 1 - noise / variance). Where there is
    an edge the variance is high, and the pixel stays.

    Args:
        pixels: rows by columns, finite.
        noise: variance of the noise, everywhere or pixel by pixel.
        side: of the surroundings, odd.
        counts: True where a pixel counts; others neither change nor bear on their neighbours.

    Returns:
        Values within the range of those that count.
    """
    mean: NDArray[np.float32]
    square: NDArray[np.float32]
    if counts is None or counts.all():
        mean, square = _mean(pixels, side), _mean_square(pixels, side)
    else:
        weight = counts.astype(np.float32)
        share = np.maximum(_mean(weight, side), np.float32(0.5 / side**2))
        mean = np.divide(_mean(pixels * weight, side), share, dtype=np.float32)
        square = np.divide(_mean_square(pixels * weight, side), share, dtype=np.float32)
    variance = np.maximum(square - mean * mean, np.float32(1e-20))
    kept = np.clip(1 - np.asarray(noise, np.float32) / variance, 0, 1)
    filtered = np.asarray(mean + (pixels - mean) * kept, np.float32)
    return filtered if counts is None else np.where(counts, filtered, pixels)


def _mean(pixels: NDArray[np.float32], side: int) -> NDArray[np.float32]:
    made = cv2.boxFilter(pixels, cv2.CV_32F, (side, side), borderType=cv2.BORDER_REFLECT)
    return np.asarray(made, np.float32)


def _mean_square(pixels: NDArray[np.float32], side: int) -> NDArray[np.float32]:
    made = cv2.sqrBoxFilter(pixels, cv2.CV_32F, (side, side), borderType=cv2.BORDER_REFLECT)
    return np.asarray(made, np.float32)


def additive_noise(pixels: NDArray[np.float32], counts: NDArray[np.bool_]) -> float:
    """Variance of noise that is the same everywhere, in modality units squared.

    The median absolute diagonal detail (Donoho and Johnstone, Biometrika 81:425, 1994) of Haar's
    wavelet: what is left of a 2 by 2 square after its mean and slopes.

    Args:
        pixels: rows by columns, finite.
        counts: True where a pixel counts: air that a scanner has set to zero holds no noise.
    """
    rows, columns = (size // 2 * 2 for size in pixels.shape)
    x, inside = pixels[:rows, :columns], counts[:rows, :columns]
    detail = (x[::2, ::2] - x[1::2, ::2] - x[::2, 1::2] + x[1::2, 1::2]) / 2
    whole = inside[::2, ::2] & inside[1::2, ::2] & inside[::2, 1::2] & inside[1::2, 1::2]
    if not whole.any():
        return 0.0
    return float((np.median(np.abs(detail[whole]).astype(np.float64)) / _MAD) ** 2)


def speckle_noise(
    pixels: NDArray[np.float32], counts: NDArray[np.bool_], *, side: int
) -> NDArray[np.float32]:
    """Variance of speckle at each pixel: it grows with the square of the brightness.

    The lower quartile of the local coefficients of variation is taken as that of speckle alone, as
    in the filters of Lee and of Kuan (Lopes et al., IEEE TGRS 28:992, 1990).

    Args:
        pixels: rows by columns, 0 to 1.
        counts: True where a pixel counts.
        side: of the surroundings that coefficients are measured in, odd.
    """
    mean, square = _mean(pixels, side), _mean_square(pixels, side)
    variance = np.maximum(square - mean * mean, 0)
    lit = counts & (mean > 0.02)
    if not lit.any():
        return np.zeros_like(pixels)
    share = float(np.quantile(variance[lit] / mean[lit] ** 2, 0.25))
    return np.asarray(np.float32(share) * mean * mean, np.float32)
