"""What of a frame is image, what of the image is object, and which tissues the object has.

Belongs here: masks and thresholds. What is measured in the regions is in `noise.py`,
`sharpness.py`, `uniformity.py` and `artifacts.py`.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from hc_assets.imaging.pixels import Frame

Image = NDArray[np.float32]
Mask = NDArray[np.bool_]

LEAST_SIDE = 16
"""Rows or columns below which nothing can be told of an image."""

_SMOOTHING = 2.0
# Reaches beyond the smoothing, so that no pixel inside has anything of the other side
_RIM = 9
_HISTOGRAM_BINS = 256
# Squares of differences must fit into float32
_NARROWEST, _WIDEST = 1e-12, 1e12
_LEAST_OBJECT = 0.01
_LEAST_WINDOWS = 64
_SPREAD_WINDOW = 15
_APART = 4.5
_LEAST_TISSUE = 0.02
_DARKEST_TISSUE = 0.15
# Air is -1000; scanners mark what lies outside the reconstruction with less than any matter has
_LOWEST_HOUNSFIELD = -1100.0
# BT.601 luma, as YBR_FULL has it (PS3.3 C.7.6.3.1.2)
_LUMA = np.array([0.299, 0.587, 0.114], np.float32)


class NotMeasurableError(Exception):
    """Nothing can be measured in a frame.

    Attributes:
        reason: why, as one word with underscores.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


@dataclass(frozen=True)
class Regions:
    """A frame, divided.

    Attributes:
        image: rows by columns in modality units; luma of colour; MONOCHROME1 turned round, so
            that more is brighter everywhere.
        valid: neither padding nor constant border.
        smooth: the image after a Gaussian of 2 pixels.
        objects: brighter than Otsu's threshold of the smoothed image.
        inside: of the object, away from its rim.
        outside: of the rest, away from the object's rim.
        has_air: whether the rest surrounds the object, as air does.
    """

    image: Image
    valid: Mask
    smooth: Image
    objects: Mask
    inside: Mask
    outside: Mask
    has_air: bool

    @cached_property
    def main(self) -> Mask:
        """The inside of the object; all of it where it is so small that it is all rim."""
        enough = np.count_nonzero(self.inside) >= 0.25 * np.count_nonzero(self.objects)
        return self.inside if enough else self.objects

    @cached_property
    def tissues(self) -> tuple[Mask, Mask] | None:
        """The object's two main tissues.

        The darker and the brighter one, away from their common rim; None where there is only one.
        """
        values = self.smooth[self.main]
        if values.size < LEAST_SIDE**2:
            return None
        brighter = self.main & (self.smooth > otsu(values))
        pair = eroded(self.main & ~brighter, 3), eroded(brighter, 3)
        if min(map(np.count_nonzero, pair)) < max(_LEAST_TISSUE * values.size, 50):
            return None
        # Otsu halves a single tissue too: its halves lie 1.6 deviations of the smoothed noise
        # apart, which the quietest windows put at half of what they are
        spread = quiet_deviation(self.smooth, self.main, _SPREAD_WINDOW)
        apart = float(np.median(self.smooth[pair[1]]) - np.median(self.smooth[pair[0]]))
        return pair if spread is not None and apart > _APART * spread else None


def divide(frame: Frame) -> Regions:
    """Divide a frame into object and the rest.

    Args:
        frame: in modality units.

    Returns:
        The regions.

    Raises:
        NotMeasurableError: pixels are labels, the image is too small, constant, or has no object.
    """
    context = frame.context
    if context.is_labels:
        raise NotMeasurableError("labels_not_intensities")
    image = _intensities(frame)
    if min(image.shape) < LEAST_SIDE:
        raise NotMeasurableError("image_too_small")
    valid = _counting(frame, image)
    if valid.any() and image[valid].min() == image[valid].max():
        raise NotMeasurableError("constant_image")
    valid &= ~_drawn_border(image)
    if np.count_nonzero(valid) < LEAST_SIDE**2:
        raise NotMeasurableError("nearly_all_padding")
    low, high = _extremes(image[valid])
    if not _NARROWEST < high - low < _WIDEST:
        raise NotMeasurableError("range_beyond_float32")
    # Padding takes the lowest value of the image, so that smoothing makes no bright seam
    image = np.where(valid, image, np.float32(low))
    smooth = cv2.GaussianBlur(image, (0, 0), _SMOOTHING).astype(np.float32, copy=False)
    threshold = otsu(smooth[valid])
    if context.modality != "CT":
        threshold = _air_threshold(smooth[valid], threshold)
    objects = (smooth > threshold) & valid
    if np.count_nonzero(objects) < _LEAST_OBJECT * np.count_nonzero(valid):
        raise NotMeasurableError("no_object")
    rest = valid & ~objects
    return Regions(
        image=image,
        valid=valid,
        smooth=smooth,
        objects=objects,
        inside=eroded(objects, _RIM),
        outside=eroded(rest, _RIM),
        has_air=_surrounds(rest, valid),
    )


def quiet_deviation(image: Image, mask: Mask, window: int) -> float | None:
    """Standard deviation in the quietest tenth of the windows that lie in a mask.

    Args:
        image: rows by columns.
        mask: where windows may lie.
        window: side of a window, odd.

    Returns:
        The first decile of the windows' deviations, in the image's unit and not corrected; None
        where there are too few windows that are not constant.
    """
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    if not rows.size:
        return None
    box = np.s_[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    image, mask = image[box], mask[box]
    where = _with_windows_inside(mask, window)
    if not where.any():
        return None
    # Near their middle, squares in float32 keep enough digits; around -1000 they would not
    image = image - np.float32(np.median(image[mask][:: max(1, mask.size // 2**16)]))
    mean = cv2.boxFilter(image, cv2.CV_64F, (window, window))
    square = cv2.sqrBoxFilter(image, cv2.CV_64F, (window, window))
    count = window**2
    variance = (square - mean**2)[where] * (count / (count - 1))
    deviations = np.sqrt(np.maximum(variance, 0))
    # Places that are constant to the last bit were clipped or drawn: they tell nothing of noise
    noisy = deviations[deviations > 1e-6 * np.abs(image[mask]).max()]
    if noisy.size < max(_LEAST_WINDOWS, 0.25 * deviations.size):
        return None
    return float(np.quantile(noisy, 0.1))


def otsu(values: NDArray[Any]) -> float:
    """Otsu's threshold (IEEE Trans. SMC 9:62, 1979) of the values between their 0.2 and 99.8 %.

    Args:
        values: finite numbers, at least one.

    Returns:
        The threshold, in the values' unit; halfway between where several are equally good.
    """
    low, high = _extremes(values)
    if high <= low:
        return low
    # In float64, because bins of float32 may be too narrow to be told apart
    counts, edges = np.histogram(values.astype(np.float64), _HISTOGRAM_BINS, (low, high))
    centers = (edges[1:] + edges[:-1]) / 2
    below = np.cumsum(counts)
    moment = np.cumsum(counts * centers)
    total = below[-1]
    with np.errstate(divide="ignore", invalid="ignore"):
        between = (moment[-1] * below / total - moment) ** 2 / (below * (total - below))
    between = np.nan_to_num(between, posinf=0.0)
    best = np.flatnonzero(between >= between.max() * (1 - 1e-9))
    return float(edges[(best[0] + best[-1]) // 2 + 1])


def eroded(mask: Mask, size: int) -> Mask:
    """Take the rim off a mask.

    Args:
        mask: rows by columns.
        size: side of the square that must lie in the mask around a pixel that stays, odd.
    """
    kernel = np.ones((size, size), np.uint8)
    shrunk: Mask = cv2.erode(
        mask.astype(np.uint8), kernel, borderType=cv2.BORDER_CONSTANT, borderValue=1
    ).astype(bool)
    return shrunk


def _with_windows_inside(mask: Mask, window: int) -> Mask:
    kernel = np.ones((window, window), np.uint8)
    inside: Mask = cv2.erode(
        mask.astype(np.uint8), kernel, borderType=cv2.BORDER_CONSTANT, borderValue=0
    ).astype(bool)
    return inside


def _intensities(frame: Frame) -> Image:
    pixels = frame.pixels.astype(np.float32)
    if frame.is_color:
        return pixels @ _LUMA
    return -pixels if frame.context.is_inverted else pixels


def _counting(frame: Frame, image: Image) -> Mask:
    valid = np.isfinite(image)
    if frame.padding is not None:
        valid &= ~frame.padding
    if frame.context.modality == "CT":
        valid &= image >= _LOWEST_HOUNSFIELD
    return valid


def _drawn_border(image: Image) -> Mask:
    """Rows and columns at the edges that are constant: a frame that someone drew, not image."""
    border = np.ones(image.shape, np.bool_)
    rows = np.flatnonzero((image != image[:, :1]).any(axis=1))
    columns = np.flatnonzero((image != image[:1]).any(axis=0))
    if rows.size and columns.size:
        border[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1] = False
    return border


def _extremes(values: NDArray[Any]) -> tuple[float, float]:
    # A regular sample is enough for two quantiles, and sorting millions of pixels is not quick
    sample = values[:: max(1, values.size // 2**16)]
    low, high = np.quantile(sample, [0.002, 0.998])
    if high > low:
        return float(low), float(high)
    return float(values.min()), float(values.max())


def _air_threshold(values: NDArray[Any], threshold: float) -> float:
    """Lower Otsu's threshold where it has parted dark tissue, with the air, from bright fat."""
    rest = values[values <= threshold]
    if rest.size < LEAST_SIDE**2:
        return threshold
    lower = otsu(rest)
    air, dark = rest[rest <= lower], rest[rest > lower]
    if min(air.size, dark.size) < _LEAST_TISSUE * values.size or not _are_apart(air, dark):
        return threshold
    # What is but a little brighter than air is a ghost of the object, or a haze
    bright = float(values[values > threshold].mean())
    share = (float(dark.mean()) - float(air.mean())) / (bright - float(air.mean()))
    return lower if share > _DARKEST_TISSUE else threshold


def _are_apart(low: NDArray[Any], high: NDArray[Any]) -> bool:
    spread = max(float(low.std()), 1e-12)
    return float(high.mean() - low.mean()) > 4 * spread


def _surrounds(rest: Mask, valid: Mask) -> bool:
    rows, columns = np.flatnonzero(valid.any(axis=1)), np.flatnonzero(valid.any(axis=0))
    box = np.s_[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    inner, outer = rest[box], valid[box]
    border = [inner[0], inner[-1], inner[:, 0], inner[:, -1]]
    known = [outer[0], outer[-1], outer[:, 0], outer[:, -1]]
    count = sum(map(np.count_nonzero, known))
    return count > 0 and sum(map(np.count_nonzero, border)) >= 0.5 * count
