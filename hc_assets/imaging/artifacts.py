"""Detectors of single artifacts, each a severity from 0 (none) to 1.

Belongs here: stripes, saturation, ghosts. Noise and blur are no artifacts: they have metrics of
their own in `noise.py` and `sharpness.py`.
"""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from hc_assets.imaging.regions import Regions

_STRIPE_SMOOTHING = 3.0
_LEAST_PIXELS_OF_HALF = 8
_LEAST_LINES = 16
_GHOST_SHIFTS = (2, 3, 4)
_LEAST_BACKGROUND = 400
# Severities reach 0.63 here: stripes and ghosts in shares of the object's signal (the ACR allows
# ghosts of 0.025), saturated pixels in shares of the object
_STRIPES, _GHOSTS, _SATURATED = 0.05, 0.05, 0.05


@dataclass(frozen=True)
class Artifacts:
    """Severities of artifacts, 0 to 1.

    Attributes:
        banding: stripes along rows or columns.
        clipping: saturation of the object.
        ghosting: copies of the object in the background; None where there is no background.
        saturated_share: share of the object's pixels that are saturated, 0 to 1.
    """

    banding: float
    clipping: float
    ghosting: float | None
    saturated_share: float

    @property
    def score(self) -> float:
        """1 where nothing was found, 0 at worst."""
        return (1 - self.banding) * (1 - self.clipping) * (1 - (self.ghosting or 0.0))


def find_artifacts(regions: Regions, *, signal: float, zero: float) -> Artifacts:
    """Run every detector.

    Args:
        regions: of the frame.
        signal: of the object above `zero`, in modality units, above 0.
        zero: the value that stands for no signal.
    """
    share = saturated_share(regions)
    ghosts = ghost_ratio(regions, zero)
    return Artifacts(
        banding=_severity(stripe_amplitude(regions) / signal, _STRIPES),
        clipping=_severity(share, _SATURATED),
        ghosting=None if ghosts is None else _severity(ghosts, _GHOSTS),
        saturated_share=share,
    )


def stripe_amplitude(regions: Regions) -> float:
    """Deviation of the stripes along rows or columns, whichever are stronger, in modality units.

    A stripe shifts a whole line against its neighbours. So each line of the object is halved, each
    half gives its mean difference to the lines around it, edges held back, and what both halves
    have in common is the stripes: noise is not, and anatomy hardly.
    """
    return max(
        _stripes(regions.image, regions.main),
        _stripes(np.ascontiguousarray(regions.image.T), regions.main.T),
    )


def saturated_share(regions: Regions) -> float:
    """Share of the object's pixels, 0 to 1, that have the highest value of the image.

    One pixel always has it; a plateau means that what was brighter is lost.
    """
    values = regions.image[regions.objects]
    top = np.count_nonzero(values >= regions.image[regions.valid].max())
    return (top - 1) / values.size


def ghost_ratio(regions: Regions, zero: float) -> float | None:
    """Strength of the object's copies in the background, in shares of its signal.

    Copies lie a half, a third or a quarter of the image away along one axis. The ratio is the
    slope of the background over the shifted image, times their squared correlation, so that what
    merely lies in the background does not count.

    Returns:
        0 or more; None where there is too little background.
    """
    if not regions.has_air:
        return None
    image = regions.smooth - np.float32(zero)
    worst: float | None = None
    for axis in (0, 1):
        for part in _GHOST_SHIFTS:
            for sign in (1, -1):
                shift = sign * (image.shape[axis] // part)
                source = np.roll(image, shift, axis)
                where = regions.outside & np.roll(regions.valid, shift, axis)
                ratio = _slope(source[where], image[where])
                if ratio is not None:
                    worst = max(worst or 0.0, ratio)
    return worst


def _slope(source: NDArray[np.float32], target: NDArray[np.float32]) -> float | None:
    if source.size < _LEAST_BACKGROUND:
        return None
    x = source.astype(np.float64) - source.mean()
    y = target.astype(np.float64) - target.mean()
    xx, yy, xy = float(x @ x), float(y @ y), float(x @ y)
    if xx <= 0 or yy <= 0 or xy <= 0:
        return 0.0
    return xy / xx * (xy * xy / (xx * yy))


def _stripes(image: NDArray[np.float32], mask: NDArray[np.bool_]) -> float:
    counts = np.count_nonzero(mask, axis=1)
    lines = np.flatnonzero(counts >= 2 * _LEAST_PIXELS_OF_HALF)
    if lines.size < _LEAST_LINES:
        return 0.0
    weights = _smoothed_along_columns(mask.astype(np.float32))
    around = _smoothed_along_columns(np.where(mask, image, np.float32(0)))
    difference = (image - around / np.maximum(weights, np.float32(1e-6)))[lines]
    mask, counts = mask[lines], counts[lines]
    # An edge along a line is no stripe: what stands out counts no more than a strong one would
    spread = float(np.median(np.abs(difference[mask][:: max(1, mask.size // 2**16)])))
    difference = np.where(mask, np.clip(difference, -4 * spread, 4 * spread), np.float32(0))
    first = mask & (np.cumsum(mask, axis=1, dtype=np.int32) <= counts[:, None] // 2)
    first_sums = np.where(first, difference, np.float32(0)).sum(axis=1)
    rest_sums = difference.sum(axis=1) - first_sums
    halves = np.stack([first_sums / (counts // 2), rest_sums / (counts - counts // 2)])
    (first_variance, shared), (_, rest_variance) = np.cov(halves)
    # Two standard errors of the covariance: what so few lines may share by chance
    chance = 2 * np.sqrt(first_variance * rest_variance / lines.size)
    return float(np.sqrt(max(0.0, float(shared - chance))))


def _smoothed_along_columns(image: NDArray[np.float32]) -> NDArray[np.float32]:
    # A kernel of one column: the other sigma only must not be 0, which would mean "the same"
    smoothed = cv2.GaussianBlur(image, (1, 0), 1e-6, sigmaY=_STRIPE_SMOOTHING)
    return smoothed.astype(np.float32, copy=False)


def _severity(value: float, scale: float) -> float:
    return float(1 - np.exp(-value / scale))
