"""From a frame's matrix to a recipe's: resampled, placed, and the way back to the patient.

Belongs here: resampling, flips and transforms. What the values mean is not its matter.
"""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from hc_assets.imaging.preprocessing.parameters import Aspect

Affine = tuple[float, float, float, float, float, float]
Plane = tuple[float, float, float, float, float, float, float, float, float]


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
    source_to_array: Affine


def placed(
    pixels: NDArray[np.float32],
    shape: tuple[int, int],
    spacing: tuple[float, float] | None,
    *,
    aspect: Aspect = "letterbox",
    flips: tuple[bool, bool] = (False, False),
) -> Placed:
    """Resample a frame to a shape.

    Shrinking averages areas, so that fine detail does not alias; growing interpolates linearly, so
    that no value leaves the range of the frame.

    Args:
        pixels: rows by columns.
        shape: rows and columns wanted.
        spacing: mm between rows and between columns, or their ratio; None means square pixels.
        aspect: `letterbox` keeps true proportions and centres the frame between margins of 0;
            `stretch` fills the shape.
        flips: whether rows and whether columns are turned round.
    """
    rows, columns = pixels.shape
    new_rows, new_columns = shape
    if aspect == "letterbox":
        row_size, column_size = spacing or (1.0, 1.0)
        height, width = rows * row_size, columns * column_size
        scale = min(shape[0] / height, shape[1] / width)
        new_rows = min(shape[0], max(1, round(height * scale)))
        new_columns = min(shape[1], max(1, round(width * scale)))
    resampled = _resampled(pixels, new_rows, new_columns)
    if any(flips):
        resampled = resampled[:: -1 if flips[0] else 1, :: -1 if flips[1] else 1]
    top, left = (shape[0] - new_rows) // 2, (shape[1] - new_columns) // 2
    window = (slice(top, top + new_rows), slice(left, left + new_columns))
    made = np.zeros(shape, np.float32)
    made[window] = resampled
    # Pixel areas map onto each other, so centres move by half a pixel of either scale.
    down = _along(rows, new_rows, top, is_flipped=flips[0])
    across = _along(columns, new_columns, left, is_flipped=flips[1])
    return Placed(made, window, (down[0], 0.0, down[1], 0.0, across[0], across[1]))


def _resampled(pixels: NDArray[np.float32], rows: int, columns: int) -> NDArray[np.float32]:
    """First what shrinks, then what grows: one call would not average a side that shrinks."""
    smaller = min(rows, pixels.shape[0]), min(columns, pixels.shape[1])
    if smaller != pixels.shape:
        pixels = _resized(pixels, smaller, cv2.INTER_AREA)
    if smaller != (rows, columns):
        pixels = _resized(pixels, (rows, columns), cv2.INTER_LINEAR)
    return pixels


def _resized(
    pixels: NDArray[np.float32], shape: tuple[int, int], method: int
) -> NDArray[np.float32]:
    made = cv2.resize(pixels, shape[::-1], interpolation=method)
    return np.asarray(made, np.float32).reshape(shape)


def _along(size: int, new_size: int, start: int, *, is_flipped: bool) -> tuple[float, float]:
    scale = new_size / size
    if is_flipped:
        return -scale, start + new_size - (scale + 1) / 2
    return scale, (scale - 1) / 2 + start


def array_to_patient(
    source_to_array: Affine,
    position: tuple[float, ...],
    orientation: tuple[float, ...],
    spacing: tuple[float, float],
) -> Plane:
    """Lead from the pixels of an array to the patient (PS3.3 C.7.6.2.1.1).

    Args:
        source_to_array: as in `Placed`.
        position: ImagePositionPatient, mm.
        orientation: ImageOrientationPatient: direction of a row, then of a column.
        spacing: PixelSpacing: mm between rows and between columns.

    Returns:
        [[a, b, c], [d, e, f], [g, h, i]] row by row: (x, y, z) in mm, toward the patient's left,
        back and head (LPS), = this times (row, column, 1) in the array.
    """
    along_row, along_column = np.array(orientation[:3]), np.array(orientation[3:])
    of_frame = np.column_stack(
        (along_column * spacing[0], along_row * spacing[1], np.array(position))
    )
    a, b, c, d, e, f = source_to_array
    back = np.linalg.inv(np.array([[a, b, c], [d, e, f], [0.0, 0.0, 1.0]]))
    x = [float(value) for value in (of_frame @ back).ravel()]
    return x[0], x[1], x[2], x[3], x[4], x[5], x[6], x[7], x[8]
