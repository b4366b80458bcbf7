"""From a frame's matrix to a pipeline's: resampled at its true proportions, and letterboxed.

Belongs here: resampling and the transform that leads back. What the values mean is not its matter.
"""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Placed:
    """A resampled frame in its place.

    Attributes:
        pixels: of the wanted shape, float32.
        window: where the frame is; the rest are margins.
        source_to_array: (row, column) in the array = [[a, b, c], [d, e, f]] times
            (row, column, 1) in the frame, pixel centres at whole numbers.
    """

    pixels: NDArray[np.float32]
    window: tuple[slice, slice]
    source_to_array: tuple[float, float, float, float, float, float]


def letterbox(
    pixels: NDArray[np.float32],
    shape: tuple[int, int],
    spacing: tuple[float, float] | None,
) -> Placed:
    """Resample a frame to fit a shape at its true proportions, centred, with margins of 0.

    Shrinking averages areas, so that fine detail does not alias; growing interpolates linearly, so
    that no value leaves the range of the frame.

    Args:
        pixels: rows by columns.
        shape: rows and columns wanted.
        spacing: mm between rows and between columns, or their ratio; None means square pixels.
    """
    rows, columns = pixels.shape
    row_size, column_size = spacing or (1.0, 1.0)
    height, width = rows * row_size, columns * column_size
    scale = min(shape[0] / height, shape[1] / width)
    new_rows = min(shape[0], max(1, round(height * scale)))
    new_columns = min(shape[1], max(1, round(width * scale)))
    shrinks = new_rows < rows or new_columns < columns
    method = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    resampled = cv2.resize(pixels, (new_columns, new_rows), interpolation=method)
    top, left = (shape[0] - new_rows) // 2, (shape[1] - new_columns) // 2
    placed = np.zeros(shape, np.float32)
    window = (slice(top, top + new_rows), slice(left, left + new_columns))
    placed[window] = resampled
    a, e = new_rows / rows, new_columns / columns
    # Pixel areas map onto each other, so centres move by half a pixel of either scale.
    affine = (a, 0.0, (a - 1) / 2 + top, 0.0, e, (e - 1) / 2 + left)
    return Placed(placed, window, affine)
