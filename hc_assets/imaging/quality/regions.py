"""What of a frame is image, what of the image is object, and which tissues the object has.

Belongs here: masks and thresholds. What is measured in the regions is in `noise.py`,
`sharpness.py`, `uniformity.py` and `artifacts/`.

Thresholds that name no other source are our own, chosen on the clean images of
`benchmarks/quality_ranking.py` and their spoiled copies; docs/quality-score.md has what the score
that rests on them separates.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from hc_assets.imaging.pixels.frame_context import FrameContext
from hc_assets.imaging.pixels.frames import Frame
from hc_assets.imaging.quality.quiet_places import quiet_places
from hc_assets.imaging.quality.reconstruction import reconstructed
from hc_assets.imaging.quality.samples import Image, Mask, deviation, extremes, otsu, sampled

LEAST_SIDE = 32
"""Rows or columns below which nothing can be measured: windows and rims would overlap the whole
image (docs/decisions.md)."""

# Enough for a threshold
_LEAST_PIXELS = 256
# Pixels; deviation of the Gaussian that noise is taken off with before a threshold
_SMOOTHING = 2.0
# Reaches beyond the smoothing, so that no pixel inside has anything of the other side
_RIM = 9
# Squares of differences must fit into float32
_NARROWEST, _WIDEST = 1e-12, 1e12
# Share of the image below which there is no object
_LEAST_OBJECT = 0.01
# Pixels a side: several times the smoothing, so that its noise is seen
_SPREAD_WINDOW = 15
# Pixels a side, and how much of such a square has the highest value: a stroke of text has less
_PLATEAU, _PLATEAU_SHARE = 9, 0.35
# Shares of a radiograph that collimators may cover, and of a screen that may be drawn
_COVERED, _DRAWN = 0.1, 0.03
# Shares of the range next to bare detector, beyond the noise of the detector itself
_NEXT_TO_BARE = 0.05, 0.15
# What those shares count, in place of all
_OF_FREE = 0.05
# Modalities of PS3.3 C.7.3.1.1.1 that are projections, and those that show a screen
_PROJECTIONS = frozenset({"CR", "DX", "MG", "RF", "XA", "PX", "IO", "RG", "RTIMAGE"})
_SCREENS = frozenset({"US", "IVUS", "OT", "SC"})
# Deviations of the smoothed noise that two tissues lie apart: halves of a single one lie 1.6 apart
# (2 sqrt(2 / pi), of a normal distribution), 3.2 as the quietest windows see it
_APART = 4.5
# Share of the object that a tissue has
_LEAST_TISSUE = 0.02
# How bright dark tissue is above air, in shares of the brightest; less is haze or a ghost
_DARKEST_TISSUE = 0.15
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
        spread: standard deviation of the image, its extremes held back: structure and noise
            together, without a decision on what is object.
        objects: brighter than Otsu's threshold of the smoothed image.
        inside: of the object, away from its rim.
        outside: of the rest, away from the object's rim.
        has_air: whether the rest surrounds the object, as air does.
        is_projection: whether the image is a radiograph.
        bare_ends: of projections, where bare detector may be: 1 for the bright end, -1 for the
            dark one; none of other images.
        is_screen: whether the image is what a screen shows, with what is drawn on it.
        is_hounsfield: whether the values are Hounsfield units: of CT, with air where air is.
    """

    image: Image
    valid: Mask
    smooth: Image
    spread: float
    objects: Mask
    inside: Mask
    outside: Mask
    has_air: bool
    is_hounsfield: bool
    is_projection: bool
    bare_ends: frozenset[int]
    is_screen: bool

    @cached_property
    def saturated(self) -> Mask:
        """Pixels of the object on a plateau at the top of the image: what was brighter is lost.

        Drawn text and single pixels are no plateau. Of projections, those at either end that are
        not bare detector.
        """
        values = self.image[self.valid]
        if self.is_projection:
            # Which end is bone and which is bare detector is not always as the header says
            ends = (self.image >= values.max()) | (self.image <= values.min())
            return _plateau(ends & self.valid & ~self.bare)
        return _plateau((self.image >= values.max()) & self.objects)

    @cached_property
    def bare(self) -> Mask:
        """Of projections, a plateau from the border at the end that nothing covered.

        A breast or a hand fills less than half of the detector; what the beam met bare is beyond
        its range, or was made black, and nothing of the patient is lost in it.
        """
        return self._bare[0]

    @cached_property
    def _bare(self) -> tuple[Mask, float]:
        """The bare detector, and how far it is patient that was cut off, 0 to 1.

        Where the header contradicts itself, the end of the larger one counts.
        """
        found = [self._bare_at(end) for end in self.bare_ends]
        nothing = np.zeros_like(self.valid), 0.0
        return max(
            found, key=lambda each: np.count_nonzero(each[0]) * (1 - each[1]), default=nothing
        )

    def _bare_at(self, sign: int) -> tuple[Mask, float]:
        image = np.float32(sign) * self.image
        end = (image >= image[self.valid].max()) & self.valid
        dense = cv2.boxFilter(end.astype(np.float32), -1, (_PLATEAU, _PLATEAU)) > _PLATEAU_SHARE
        reached = dense | ~self.valid
        _, parts = cv2.connectedComponents(np.pad(reached, 1, constant_values=True).view(np.uint8))
        bare: Mask = end & (parts[1:-1, 1:-1] == parts[0, 0])
        # Between bare detector and patient few values lie, those of the skin; where values next to
        # the plateau are as many as others, it was cut out of their midst
        rest = sampled(image, self.valid & ~end)
        low, high = extremes(rest)
        if high <= low:
            return bare, 0.0
        near, far = (high - part * (high - low) for part in _NEXT_TO_BARE)
        share = np.count_nonzero((rest > far) & (rest < near)) / rest.size
        density = share / (_NEXT_TO_BARE[1] - _NEXT_TO_BARE[0])
        return bare, min(1.0, density) ** 2

    @cached_property
    def saturated_share(self) -> float:
        """Share of the object that is saturated, 0 to 1.

        The first tenth of a projection counts a twentieth: it may be covered by collimators; so
        does what may be drawn on a screen.
        """
        lost, of = np.count_nonzero(self.saturated), np.count_nonzero(self.objects)
        if self.is_projection:
            bare = np.count_nonzero(self.bare)
            cut = round(self._bare[1] * bare)
            lost, of = lost + cut, np.count_nonzero(self.valid) - bare + cut
        share = int(lost) / max(1, int(of))
        free = _COVERED if self.is_projection else _DRAWN if self.is_screen else 0.0
        spared = min(share, free)
        return (_OF_FREE * spared + share - spared) / (1 - (1 - _OF_FREE) * free)

    @cached_property
    def main(self) -> Mask:
        """The inside of the object where it is not saturated.

        All of it where it is so small that it is all rim.
        """
        enough = np.count_nonzero(self.inside) >= 0.25 * np.count_nonzero(self.objects)
        mask = self.inside if enough else self.objects
        return mask & ~self.saturated if self.saturated.any() else mask

    @cached_property
    def tissues(self) -> tuple[Mask, Mask] | None:
        """The object's two main tissues.

        The darker and the brighter one, away from their common rim; None where there is only one.
        """
        values = self.smooth[self.main]
        if values.size < _LEAST_PIXELS:
            return None
        brighter = self.main & (self.smooth > otsu(sampled(self.smooth, self.main)))
        pair = eroded(self.main & ~brighter, 3), eroded(brighter, 3)
        if min(map(np.count_nonzero, pair)) < max(_LEAST_TISSUE * values.size, 50):
            return None
        # Otsu halves a single tissue too: its halves lie 1.6 deviations of the smoothed noise
        # apart, which the quietest windows put at half of what they are
        spread = quiet_places(self.smooth, self.main, _SPREAD_WINDOW)
        apart = float(np.median(self.smooth[pair[1]]) - np.median(self.smooth[pair[0]]))
        return pair if spread is not None and apart > _APART * spread.deviation else None


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
    if context.has_unknown_units:
        raise NotMeasurableError("unknown_units")
    image = _intensities(frame)
    if min(image.shape) < LEAST_SIDE:
        raise NotMeasurableError("image_too_small")
    valid, is_hounsfield = _counting(frame, image)
    if valid.any() and image[valid].min() == image[valid].max():
        raise NotMeasurableError("constant_image")
    valid &= ~_drawn_border(image)
    if np.count_nonzero(valid) < _LEAST_PIXELS:
        raise NotMeasurableError("nearly_all_padding")
    low, high = extremes(image[valid])
    if not _NARROWEST < high - low < _WIDEST:
        raise NotMeasurableError("range_beyond_float32")
    # Padding takes the lowest value of the image, so that smoothing makes no bright seam
    image = np.where(valid, image, np.float32(low))
    smooth = cv2.GaussianBlur(image, (0, 0), _SMOOTHING).astype(np.float32, copy=False)
    values = sampled(smooth, valid)
    threshold = otsu(values)
    if context.modality != "CT":
        threshold = _air_threshold(values, threshold)
    objects = (smooth > threshold) & valid
    if np.count_nonzero(objects) < _LEAST_OBJECT * np.count_nonzero(valid):
        raise NotMeasurableError("no_object")
    rest = valid & ~objects
    return Regions(
        image=image,
        valid=valid,
        smooth=smooth,
        spread=deviation(sampled(image, valid)),
        objects=objects,
        inside=eroded(objects, _RIM),
        outside=eroded(rest, _RIM),
        has_air=_surrounds(rest, valid),
        is_hounsfield=is_hounsfield,
        is_projection=context.modality in _PROJECTIONS,
        bare_ends=_bare_ends(context),
        is_screen=context.modality in _SCREENS,
    )


def _bare_ends(context: FrameContext) -> frozenset[int]:
    """Dark on a viewer, as PhotometricInterpretation says, and where the header says doses go."""
    if context.modality not in _PROJECTIONS:
        return frozenset()
    grows = context.brightens_with_dose
    return frozenset({-1} if grows is None else {-1, 1 if grows != context.is_inverted else -1})


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


def _intensities(frame: Frame) -> Image:
    # What float32 can't hold becomes infinite, and counts no more than what is so already
    with np.errstate(over="ignore"):
        pixels = frame.pixels.astype(np.float32)
    if frame.is_color:
        return pixels @ _LUMA
    return -pixels if frame.context.is_inverted else pixels


def _counting(frame: Frame, image: Image) -> tuple[Mask, bool]:
    valid: Mask = np.isfinite(image)
    if frame.padding is not None:
        valid &= ~frame.padding
    inside = _in_regions(frame.context.image_regions, image.shape)
    if np.count_nonzero(valid & inside) >= _LEAST_PIXELS:
        valid &= inside
    return reconstructed(image, valid) if frame.context.modality == "CT" else (valid, False)


def _in_regions(boxes: tuple[tuple[int, int, int, int], ...], shape: tuple[int, int]) -> Mask:
    """Where a screen shows the image itself, not what is written and drawn around it."""
    if not boxes:
        return np.ones(shape, np.bool_)
    mask = np.zeros(shape, np.bool_)
    for left, top, right, bottom in boxes:
        mask[max(0, top) : bottom + 1, max(0, left) : right + 1] = True
    return mask


def _drawn_border(image: Image) -> Mask:
    """Rows and columns at the edges that are constant: a frame that someone drew, not image."""
    border = np.ones(image.shape, np.bool_)
    rows = np.flatnonzero((image != image[:, :1]).any(axis=1))
    columns = np.flatnonzero((image != image[:1]).any(axis=0))
    if rows.size and columns.size:
        border[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1] = False
    return border


def _plateau(mask: Mask) -> Mask:
    if np.count_nonzero(mask) < _PLATEAU**2:
        return np.zeros_like(mask)
    share = cv2.boxFilter(mask.astype(np.float32), cv2.CV_32F, (_PLATEAU, _PLATEAU))
    plateau: Mask = mask & (share > _PLATEAU_SHARE)
    return plateau


def _air_threshold(values: NDArray[Any], threshold: float) -> float:
    """Lower Otsu's threshold where it has parted dark tissue, with the air, from bright fat."""
    rest = values[values <= threshold]
    if rest.size < _LEAST_PIXELS:
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
    # Squares of values that a float32 holds are beyond what it holds
    spread = max(float(low.std(dtype=np.float64)), 1e-12)
    # As for tissues: Otsu's halves of air alone lie 1.6 / 0.6 = 2.6 of their own deviations apart
    return float(high.mean(dtype=np.float64) - low.mean(dtype=np.float64)) > 4 * spread


def _surrounds(rest: Mask, valid: Mask) -> bool:
    rows, columns = np.flatnonzero(valid.any(axis=1)), np.flatnonzero(valid.any(axis=0))
    box = np.s_[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    inner, outer = rest[box], valid[box]
    border = [inner[0], inner[-1], inner[:, 0], inner[:, -1]]
    known = [outer[0], outer[-1], outer[:, 0], outer[:, -1]]
    count = sum(map(np.count_nonzero, known))
    return count > 0 and sum(map(np.count_nonzero, border)) >= 0.5 * count
