"""How evenly an object is lit.

Belongs here: the smooth shading and what it leaves of uniformity. Stripes are in `artifacts.py`.
"""

import cv2
import numpy as np
from numpy.typing import NDArray

from hc_assets.imaging.regions import Mask, NotMeasurableError, Regions, tissues

_BLOCKS = 32
_LEAST_BLOCKS = 24


def integral_uniformity(regions: Regions, zero: float) -> float:
    """Integral uniformity of the shading over the object.

    Args:
        regions: of the frame.
        zero: the value that stands for no signal (`noise.zero_level`): without that shift the
            measure explodes on Hounsfield units, where water is 0.

    Returns:
        Percent, 0 to 100: 100 (1 - (max - min) / (max + min)), as the ACR defines it for phantoms
        (MRI Quality Control Manual, 2015). Maximum and minimum are those of a smooth surface of
        second order, fitted to the object with a level of its own for each of its two main
        tissues, so that anatomy is not taken for shading.

    Raises:
        NotMeasurableError: the object is too small.
    """
    pair = tissues(regions)
    masks = pair if pair is not None else (regions.main,)
    step = max(3, min(regions.image.shape) // _BLOCKS)
    rows = [_blocks(regions.image - np.float32(zero), mask, step) for mask in masks]
    points = np.concatenate(rows)
    if len(points) < _LEAST_BLOCKS:
        raise NotMeasurableError("object_too_small")
    level = np.repeat(np.arange(len(rows)), [len(row) for row in rows])
    y, x = (2 * points[:, :2] / np.array(regions.image.shape) - 1).T
    surface = np.stack([y, x, y * x, y * y, x * x], axis=1)
    levels = (level[:, None] == np.arange(len(rows))).astype(np.float64)
    weights = np.sqrt(points[:, 3])[:, None]
    design = np.hstack([levels, surface])
    found, *_ = np.linalg.lstsq(design * weights, points[:, 2:3] * weights, rcond=None)
    shading = surface @ found[len(rows) :, 0]
    main = int(np.argmax(levels.sum(axis=0)))
    field = found[main, 0] + shading
    low, high = float(field.min()), float(field.max())
    if high + low <= 0:
        raise NotMeasurableError("no_signal_above_air")
    return 100 * min(1.0, max(0.0, 1 - (high - low) / (high + low)))


def _blocks(image: NDArray[np.float32], mask: Mask, step: int) -> NDArray[np.float64]:
    """Row, column, mean and number of the pixels of a mask in blocks that are half in it."""
    size = (image.shape[1] // step, image.shape[0] // step)
    box = np.s_[: size[1] * step, : size[0] * step]
    counts = cv2.resize(mask[box].astype(np.float32), size, interpolation=cv2.INTER_AREA)
    sums = cv2.resize(np.where(mask, image, 0)[box], size, interpolation=cv2.INTER_AREA)
    row, column = np.nonzero(counts >= 0.5)
    count = counts[row, column].astype(np.float64)
    mean = sums[row, column] / count
    return np.stack([(row + 0.5) * step, (column + 0.5) * step, mean, count], axis=1)
