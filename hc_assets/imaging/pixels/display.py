"""A frame as it should be looked at: VOI LUT or window, then inversion (PS3.3 C.11).

Belongs here: the grayscale pipeline from modality units to display values. What a model is trained
on is made in `preprocessing/`.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from hc_assets.imaging.pixels.frame_context import Window
from hc_assets.imaging.pixels.frames import Frame


def displayed(frame: Frame, *, window: int = 0) -> NDArray[np.float32]:
    """Make a frame fit to be looked at.

    Args:
        frame: in modality units.
        window: number of the view to use, from 0, where there are several: of the VOI LUT, or of
            the window where there is none.

    Returns:
        Rows by columns, or by 3 in colour; 0 black to 1 white. Without a VOI LUT and without a
        usable window the range of the pixels that are not padding is stretched. MONOCHROME1 is
        inverted last, as C.11.6 has it; padding is black.

    Raises:
        IndexError: there are VOI LUTs or windows, but not that many.
    """
    if frame.is_color:
        top = frame.limits[1] or 1.0
        return _clipped(frame.pixels / np.float32(top))
    context = frame.context
    if context.voi_tables:
        table = context.voi_tables[window]
        visible = _clipped(table.apply(frame.pixels) / np.float32(2.0**table.bits - 1))
    elif context.windows:
        visible = apply_window(frame.pixels, context.windows[window])
    else:
        visible = stretched(frame.pixels, frame.padding)
    if context.is_inverted:
        visible = 1 - visible
    if frame.padding is not None:
        visible = np.where(frame.padding, np.float32(0), visible)
    return _clipped(visible)


def apply_window(values: NDArray[Any], window: Window) -> NDArray[np.float32]:
    """Apply a window (PS3.3 C.11.2.1.2 LINEAR; C.11.2.1.3.1 SIGMOID; C.11.2.1.3.2 LINEAR_EXACT).

    Args:
        values: in modality units, of any shape.
        window: width at least 1 for LINEAR, above 0 for the others. A LINEAR window of width 1 is
            a step.

    Returns:
        Values from 0 to 1, of the same shape.
    """
    x = values.astype(np.float32)
    center, width = window.center, window.width
    if window.function == "SIGMOID":
        # Beyond 80 the exponential is past what float32 holds, and the result 0 or 1 anyway
        power = np.clip(-4 * (x - np.float32(center)) / np.float32(width), -80, 80)
        return _clipped(1 / (1 + np.exp(power)))
    if window.function != "LINEAR_EXACT":
        center, width = center - 0.5, width - 1
    if width <= 0:
        return (x > np.float32(center)).astype(np.float32)
    return _clipped((x - np.float32(center)) / np.float32(width) + np.float32(0.5))


def stretched(
    values: NDArray[Any], padding: NDArray[np.bool_] | None = None
) -> NDArray[np.float32]:
    """Stretch the range of values to 0 to 1.

    Args:
        values: of any shape, may hold NaN or infinity.
        padding: of the same shape, True where a value does not count; None where all do.

    Returns:
        Values from 0 to 1; 0 everywhere where all are equal, and where one is not finite.
    """
    x = values.astype(np.float64)
    counts = np.isfinite(x) if padding is None else np.isfinite(x) & ~padding
    if not counts.any():
        return np.zeros(values.shape, np.float32)
    low, high = x[counts].min(), x[counts].max()
    if high <= low:
        return np.zeros(values.shape, np.float32)
    return _clipped((np.nan_to_num(x, nan=low) - low) / (high - low))


def _clipped(values: NDArray[Any]) -> NDArray[np.float32]:
    clipped: NDArray[np.float32] = np.clip(values, 0, 1).astype(np.float32, copy=False)
    return clipped
