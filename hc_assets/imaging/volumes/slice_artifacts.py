"""What is wrong with single slices of a volume, judged by their neighbours; and what can be mended.

Belongs here: detectors and corrections that need several slices. Artifacts that one frame shows by
itself are in `imaging/artifacts`; the bias field of a whole volume is in `intensities.py`.

A slice is compared with the mean of the one before and the one after: what the anatomy changes
between neighbours is common to a whole volume, so each measure is judged by its spread over the
volume (median and median absolute deviation), never by a fixed number of grey values.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hc_assets.imaging.volumes.volume import Voxels

_OUTLIER_DEVIATIONS = 6.0
"""Robust deviations from the median at which a slice is an outlier: with Gaussian spread, one slice
in 500 million; real anatomy has heavier tails, above all at the ends of a volume."""
_LEAST_LIKENESS_LOSS = 0.1
"""Correlation that must be lost besides: a volume of nearly equal slices has hardly any spread."""
_LEAST_GAIN_LOSS = 0.2
"""Share of brightness that a slice must lose, or gain, besides."""
_STRIPE_DEVIATIONS = 8.0
"""Standard errors by which lines must stray from those of the neighbours."""
_STRIPE_FACTOR = 2.5
"""Times the level of the slices two places away by which a slice must be striped: anatomy with
straight edges has a level too, but not in one slice alone."""
_UNEVEN_SPREAD = 0.05
"""Spread of the gains from which the brightness of slices is uneven."""
_LEAST_DEPTH = 0.02
"""Of the way from air to the brightest tissue: stripes that are less deep harm nothing."""
_INSIDE = 0.1
"""Of the way from air to the brightest tissue: where the object begins."""
_LINE_SAMPLES = 128
_LEAST_SLICES = 8
_LEAST_SPREAD = 1e-3
_MAD = 1.4826  # of a Gaussian's standard deviation (Rousseeuw and Croux 1993)


@dataclass(frozen=True)
class SliceFindings:
    """What was found of each slice of a volume.

    Attributes:
        gain: brightness over that of the neighbours; NaN where a slice has nothing but air.
        likeness: correlation with the mean of the neighbours; NaN where a slice is constant.
        stripe_level: greatest deviation of rows or columns over its standard error.
        is_outlier: whether likeness or gain are far from those of the other slices.
        is_striped: whether lines stray from those of the neighbours and the slice is no outlier.
        gain_spread: how far brightness swings from slice to slice, as a share: half the median of
            what the logarithm of a gain differs by from those of the neighbours.
    """

    gain: NDArray[np.float64]
    likeness: NDArray[np.float64]
    stripe_level: NDArray[np.float64]
    is_outlier: NDArray[np.bool_]
    is_striped: NDArray[np.bool_]
    gain_spread: float

    @property
    def is_uneven(self) -> bool:
        """Whether the brightness of the slices jumps from one to the next throughout."""
        return self.gain_spread > _UNEVEN_SPREAD


def no_findings(slices: int) -> SliceFindings:
    """What is found where nothing can be claimed, as of phases and fields, which have no air."""
    nothing, none = np.full(slices, np.nan), np.zeros(slices, np.bool_)
    return SliceFindings(nothing, nothing.copy(), nothing.copy(), none, none.copy(), 0.0)


def examine(voxels: Voxels) -> SliceFindings:
    """Look for slices that do not go with their neighbours.

    Args:
        voxels: slices by rows by columns, least in air.

    Returns:
        The findings; of a volume with fewer than eight slices nothing is claimed (all NaN).
    """
    count = len(voxels)
    nothing = np.full(count, np.nan)
    if count < _LEAST_SLICES:
        return no_findings(count)
    air, bright = _levels(voxels)
    gain, likeness, stripes = nothing, nothing.copy(), nothing.copy()
    depth = np.zeros(count)
    for number in range(count):
        own, beside = voxels[number], _beside(voxels, number)
        inside = beside > air + _INSIDE * (bright - air)
        if inside.mean() < 0.01:
            continue
        # A slice without any signal has a gain of next to 0, whose logarithm is still a number
        gain[number] = max(float((own[inside] - air).mean() / (beside[inside] - air).mean()), 1e-3)
        likeness[number] = _correlation(own, beside)
        lines = [_Lines(own, beside, inside, axis) for axis in (0, 1)]
        stripes[number] = max(each.level for each in lines)
        depth[number] = max(float(np.abs(each.profile).max()) for each in lines)
    if np.isfinite(likeness).sum() < _LEAST_SLICES:
        return no_findings(count)
    with np.errstate(invalid="ignore"):
        # The ends have one neighbour, and anatomy ends there: nothing is claimed of them
        middle = np.zeros(count, np.bool_)
        middle[1:-1] = True
        loss, jump = -_deviations(likeness), np.abs(_deviations(np.log(gain)))
        unlike = (loss > _OUTLIER_DEVIATIONS) & (
            likeness < np.nanmedian(likeness) - _LEAST_LIKENESS_LOSS
        )
        dimmed = (jump > _OUTLIER_DEVIATIONS) & (np.abs(gain - 1) > _LEAST_GAIN_LOSS)
        # The neighbours of a bad slice are unlike their own: only the worst of them is bad
        is_outlier = _worst((unlike | dimmed) & middle, np.fmax(loss, jump))
        striped = (stripes > _STRIPE_DEVIATIONS) & (stripes > _STRIPE_FACTOR * _around(stripes))
        striped &= depth > _LEAST_DEPTH * (bright - air)
        is_striped = _worst(striped & middle & ~is_outlier, depth)
    return SliceFindings(gain, likeness, stripes, is_outlier, is_striped, _alternation(gain))


def _alternation(gain: NDArray[np.float64]) -> float:
    """How far brightness swings from slice to slice; what changes slowly cancels out."""
    logarithm = np.log(gain[np.isfinite(gain)])
    if logarithm.size < _LEAST_SLICES:
        return 0.0
    swing = logarithm[1:-1] - (logarithm[:-2] + logarithm[2:]) / 2
    return float(np.median(np.abs(swing)) / 2)


def _levels(voxels: Voxels) -> tuple[float, float]:
    """Air and the brightest tissue, from some of the voxels."""
    some = voxels[:, ::4, ::4]
    low, high = np.percentile(some, [1, 99])
    return float(low), float(high)


def _beside(voxels: Voxels, number: int) -> Voxels:
    """Mean of the neighbours of a slice; at the ends, the one there is."""
    last = len(voxels) - 1
    if number in (0, last):
        only: Voxels = voxels[1 if number == 0 else last - 1]
        return only
    mean: Voxels = (voxels[number - 1] + voxels[number + 1]) / np.float32(2)
    return mean


def _correlation(first: Voxels, second: Voxels) -> float:
    a, b = first - first.mean(), second - second.mean()
    scale = float(np.sqrt((a**2).sum(dtype=np.float64) * (b**2).sum(dtype=np.float64)))
    return float((a * b).sum(dtype=np.float64) / scale) if scale > 0 else float("nan")


class _Lines:
    """What the lines of a slice differ by from those beside them, the neighbour slices taken off.

    Attributes:
        profile: by line; 0 for lines that hardly cross the object.
        level: greatest deviation over its standard error; 0 where noise can't be decided.
    """

    def __init__(self, own: Voxels, beside: Voxels, inside: NDArray[np.bool_], axis: int) -> None:
        length = own.shape[axis]
        some = np.s_[:: max(1, length // _LINE_SAMPLES)]
        part = (some, np.s_[:]) if axis == 0 else (np.s_[:], some)
        difference = np.where(inside[part], own[part] - beside[part], np.nan)
        crossing = np.isfinite(difference).sum(axis=axis)
        lines = crossing >= max(8, 0.1 * difference.shape[axis])
        self.profile = np.zeros(len(lines))
        self.level = 0.0
        if lines.sum() < 8:
            return
        middle = np.zeros(len(lines))
        kept = np.compress(lines, difference, axis=1 - axis)
        middle[lines] = np.nanmedian(kept, axis=axis)
        beside_lines = np.lib.stride_tricks.sliding_window_view(
            np.pad(middle[lines], 2, mode="edge"), 5
        )
        self.profile[lines] = middle[lines] - np.median(beside_lines, axis=1)
        noise = _MAD * float(np.nanmedian(np.abs(kept - np.nanmedian(kept))))
        # A median of n values has 1.25 times the standard error of their mean
        error = 1.2533 * noise / np.sqrt(np.maximum(crossing, 1))
        if noise > 0:
            self.level = float((np.abs(self.profile) / error).max())


def _deviations(values: NDArray[np.float64]) -> NDArray[np.float64]:
    middle = np.nanmedian(values)
    spread = max(float(_MAD * np.nanmedian(np.abs(values - middle))), _LEAST_SPREAD)
    result: NDArray[np.float64] = (values - middle) / spread
    return result


def _around(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """The greater of the values two places before and after: those next to a slice share in it."""
    padded = np.pad(np.nan_to_num(values), 2)
    return np.maximum(padded[:-4], padded[4:])


def _worst(flags: NDArray[np.bool_], badness: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Of neighbouring flags keep that of the greatest badness."""
    kept = flags.copy()
    for number in np.flatnonzero(flags):
        around = [n for n in (number - 1, number + 1) if 0 <= n < len(flags) and flags[n]]
        kept[number] = all(badness[number] >= badness[n] for n in around)
    return kept


def destriped(voxels: Voxels, findings: SliceFindings) -> Voxels:
    """Take stripes out of the slices that have them.

    A stripe is what a line differs by from its neighbour lines, in the median along it, after the
    neighbouring slices are taken off, so that anatomy does not count. That is right for additive
    stripes of whole lines, from the first pixel to the last; other slices stay as they are.

    Args:
        voxels: slices by rows by columns.
        findings: of the same volume.
    """
    if not findings.is_striped.any():
        return voxels
    air, bright = _levels(voxels)
    mended = voxels.copy()
    for number in np.flatnonzero(findings.is_striped):
        beside = _beside(voxels, int(number))
        inside = beside > air + _INSIDE * (bright - air)
        for axis in (0, 1):
            lines = _Lines(mended[number], beside, inside, axis)
            if lines.level > _STRIPE_DEVIATIONS:
                mended[number] -= np.expand_dims(lines.profile.astype(np.float32), axis)
    return mended


def evened(voxels: Voxels, findings: SliceFindings) -> Voxels:
    """Even out brightness that alternates between slices, as interleaved acquisition leaves it.

    Each slice is scaled by a gain, the same for the whole slice; what changes slowly along the
    volume is anatomy or bias and stays. Nothing is done unless the slices are uneven throughout.

    Args:
        voxels: slices by rows by columns.
        findings: of the same volume.
    """
    if not findings.is_uneven:
        return voxels
    air, _ = _levels(voxels)
    gain = np.where(np.isfinite(findings.gain) & ~findings.is_outlier, findings.gain, 1.0)
    # A slice that is too bright makes its neighbours look too dark by as much: half is its own
    scale = np.sqrt(1 / np.clip(gain, 0.2, 5)).astype(np.float32)
    mended: Voxels = (voxels - np.float32(air)) * scale[:, None, None] + np.float32(air)
    return mended
