"""How evenly an object is lit.

Belongs here: the smooth shading and what it leaves of uniformity. Stripes are in `artifacts/`.
"""

import cv2
import numpy as np
from numpy.typing import NDArray

from hc_assets.imaging.quality.regions import NotMeasurableError, Regions
from hc_assets.imaging.quality.samples import Mask

# Along the shorter side: bounds the work
_BLOCKS = 32
# Ours: a surface of second order with two levels has seven coefficients, and noise
_LEAST_BLOCKS = 24
# In shares of the data's weight; ours. It takes less than half a percent off a shading that the
# data do show
_RESTRAINT = 0.001


def integral_uniformity(regions: Regions, zero: float, noise_sd: float) -> float:
    """Integral uniformity of the shading over the object.

    Args:
        regions: of the frame.
        zero: the value that stands for no signal (`noise.zero_level`): without that shift the
            measure explodes on Hounsfield units, where water is 0.
        noise_sd: standard deviation of the noise, in modality units.

    Returns:
        Percent, 0 to 100: 100 (1 - (max - min) / (max + min)), as the ACR defines it for phantoms
        (MRI Quality Control Manual, 2015). Maximum and minimum are those of a smooth surface of
        second order, fitted to the object with a level of its own for each of its two main
        tissues, so that anatomy is not taken for shading.

    Raises:
        NotMeasurableError: the object is too small.
    """
    pair = regions.tissues
    masks = pair if pair is not None else (regions.main,)
    sides = [int(np.count_nonzero(regions.valid.any(axis=axis))) for axis in (0, 1)]
    step = max(3, min(sides) // _BLOCKS)
    rows = [_blocks(regions.image - np.float32(zero), mask, step) for mask in masks]
    points = np.concatenate(rows)
    if len(points) < _LEAST_BLOCKS:
        raise NotMeasurableError("object_too_small")
    at = np.argwhere(np.logical_or.reduce(masks))
    center, reach = (at.max(axis=0) + at.min(axis=0)) / 2, np.ptp(at, axis=0) / 2
    level = np.repeat(np.arange(len(rows)), [len(row) for row in rows])
    levels = (level[:, None] == np.arange(len(rows))).astype(np.float64)
    design = np.hstack([levels, _surface((points[:, :2] - center) / reach)])
    found = _fitted(design, points[:, 2], points[:, 3], free=len(rows))
    places = (at[:: max(1, len(at) // 4096)] - center) / reach
    level_here = found[np.argmax(levels.sum(axis=0))]
    field = level_here + _evident(design, points, found, len(rows), noise_sd) * (
        _surface(places) @ found[len(rows) :]
    )
    low, high = float(field.min()), float(field.max())
    if high + low <= 0:
        raise NotMeasurableError("no_signal_above_air")
    return 100 * min(1.0, max(0.0, 1 - (high - low) / (high + low)))


def _fitted(
    design: NDArray[np.float64],
    values: NDArray[np.float64],
    weights: NDArray[np.float64],
    *,
    free: int,
) -> NDArray[np.float64]:
    """Weighted least squares that hold back all but the first coefficients where data say little.

    On a small or oddly shaped object the terms of a surface trade against one another, and without
    that restraint their extremes would be inventions.
    """
    root = np.sqrt(weights)[:, None]
    count = design.shape[1]
    restraint = np.sqrt(_RESTRAINT * weights.sum()) * np.eye(count)[free:]
    found, *_ = np.linalg.lstsq(
        np.vstack([design * root, restraint]),
        np.concatenate([values * root[:, 0], np.zeros(count - free)]),
        rcond=None,
    )
    return np.asarray(found)


def _evident(
    design: NDArray[np.float64],
    points: NDArray[np.float64],
    found: NDArray[np.float64],
    free: int,
    noise_sd: float,
) -> float:
    """Share of what varies within the tissues that the surface explains, 0 to 1.

    Anatomy that no level stands for bends the surface too, but leaves much that it can't explain.
    """
    weights = points[:, 3]
    surface = design[:, free:] @ found[free:]
    left = points[:, 2] - design @ found
    explained = float(np.cov(surface, aweights=weights))
    # Noise is left of any surface: that is no sign of anatomy
    of_noise = noise_sd**2 * len(weights) / float(weights.sum())
    unexplained = max(0.0, float(np.average(left**2, weights=weights)) - of_noise)
    return explained / (explained + unexplained) if explained > 0 else 0.0


def _surface(places: NDArray[np.float64]) -> NDArray[np.float64]:
    y, x = places.T
    return np.stack([y, x, y * x, y * y, x * x], axis=1)


def _blocks(image: NDArray[np.float32], mask: Mask, step: int) -> NDArray[np.float64]:
    """Row, column, mean and number of the pixels of a mask in blocks that are half in it."""
    size = (image.shape[1] // step, image.shape[0] // step)
    box = np.s_[: size[1] * step, : size[0] * step]
    counts = cv2.resize(mask[box].astype(np.float32), size, interpolation=cv2.INTER_AREA)
    sums = cv2.resize(np.where(mask, image, 0)[box], size, interpolation=cv2.INTER_AREA)
    row, column = np.nonzero(counts >= 0.5)
    count = counts[row, column].astype(np.float64)
    mean = sums[row, column] / count
    middle = (step - 1) / 2
    return np.stack([row * step + middle, column * step + middle, mean, count], axis=1)
