"""Copies of the object, displaced along an axis: ghosts of motion and of the readout.

Belongs here: finding copies in the background, and echoes anywhere.

Thresholds that name no other source are our own, chosen on the clean images of
`benchmarks/quality_ranking.py` and their spoiled copies; docs/quality-score.md has what the score
that rests on them separates. Of 61 clean images a ghost of at most 0.010 is
found, of copies with a ghost of 0.4 one of 0.49 or more in 9 of 10.
"""

from dataclasses import replace
from functools import lru_cache
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from hc_assets.imaging.quality.regions import Regions
from hc_assets.imaging.quality.samples import Mask

# Parts of the image at which the readout puts ghosts: a half by two interleaved echoes, a third or
# a quarter by more of them, or by motion in step with the sampling
_SHIFTS = (2, 3, 4)
# Pixels below which a slope is chance
_LEAST_BACKGROUND = 100
# Pixels a side that are enough to see a ghost: bounds the work
_SIDE = 128
# Pixels: nearer echoes are the image's texture, which the cepstrum has at short distances
_LEAST_SHIFT = 8
# Share of a side over which the image fades out
_FADED = 0.15
# Of the median power: keeps the logarithm finite where a spectrum has nothing
_FLOOR = 1e-6
# How far an echo on an axis exceeds the strongest off the axes, which are the image's own
_CLEAR = 1.3
# An axis has no more: bounds the work
_MOST_ECHOES = 8
# Frequencies in cycles a pixel that an image has, and one that was smoothed and halved
_FINEST, _FINEST_SMOOTHED = 0.4, 0.25
# Shares of an echo below which air shows none of it, and above which it shows it: noise, and the
# object's rim, take from what is seen there, and scatter adds to it
_SEEN_IN_AIR = 0.2, 0.4
# Share of the image that the copy must cover in air, for the air to count as evidence
_LEAST_COVERED = 0.02
# Deviation of air, in shares of a ghost's cast, above which its own pattern hides the ghost's
_MOST_VARIED = 0.33
# Share of a side beyond which borders that are no image are cut off
_MOST_PADDING = 0.25
# Echoes of clean images away from those places: a body's own pair of organs, a phantom's rods.
# Measured: up to 0.08 (docs/decisions.md, "A ghost is found by its echo")
_OWN_ECHO = 0.08


def ghost_ratio(regions: Regions, zero: float, *, has_dark_air: bool) -> float:
    """Strength of the strongest ghost, in shares of the object's signal, 0 or more.

    Where air has no signal of its own, as in MR images, ghosts a half, a third or a quarter of the
    image away are seen best in the background; others, and those of an object that fills the image,
    by their echo in the spectrum.

    Args:
        regions: of the frame.
        zero: the value that stands for no signal.
        has_dark_air: whether what surrounds the object would be empty without ghosts.
    """
    within = _without_padding(regions)
    found = _ghost_ratio(within, zero, has_dark_air=has_dark_air)
    if within is regions or found == 0:
        return found
    # Whether a border is image can be wrong: a ghost shows either way
    return min(found, _ghost_ratio(regions, zero, has_dark_air=has_dark_air))


def _ghost_ratio(regions: Regions, zero: float, *, has_dark_air: bool) -> float:
    thinned = max(1, min(regions.image.shape) // _SIDE)
    background = _in_background(regions, zero, thinned) if has_dark_air else 0.0
    echoes = _echoes(regions)
    air = _air(regions, thinned) if echoes else None
    return max([background, *(_confirmed_strength(echo, regions, air, thinned) for echo in echoes)])


def _without_padding(regions: Regions) -> Regions:
    """Cut off borders that are no image, along the axes along which they are more than a quarter.

    Less would move the whole parts of the image at which ghosts lie, for nothing.
    """
    box = []
    for axis in (1, 0):
        lines = np.flatnonzero(regions.valid.any(axis=axis))
        side = regions.valid.shape[1 - axis]
        is_full = not lines.size or bool(np.ptp(lines) + 1 > (1 - _MOST_PADDING) * side)
        box.append(slice(None) if is_full else slice(int(lines[0]), int(lines[-1]) + 1))
    rows, columns = box
    if rows == columns == slice(None):
        return regions
    return replace(
        regions,
        image=np.ascontiguousarray(regions.image[rows, columns]),
        smooth=np.ascontiguousarray(regions.smooth[rows, columns]),
        valid=regions.valid[rows, columns],
        objects=regions.objects[rows, columns],
        inside=regions.inside[rows, columns],
        outside=regions.outside[rows, columns],
    )


class _Echo(NamedTuple):
    strength: float
    axis: int
    share: float  # distance in shares of the image's side


def _echoes(regions: Regions) -> list[_Echo]:
    """The strongest echoes along each axis.

    A copy with a strength of a multiplies the spectrum by a wave, so that its logarithm has one of
    twice that amplitude, whatever the image: the power cepstrum of Bogert, Healy and Tukey (1963).
    """
    # A small image has no frequencies to spare; of a large one the smoothed image has enough
    step = max(1, min(2, min(regions.image.shape) // _SIDE))
    image = regions.image if step == 1 else np.ascontiguousarray(regions.smooth[::step, ::step])
    rows, columns = (2 * (side // 2) for side in image.shape)
    if min(rows, columns) < 4 * _LEAST_SHIFT:
        return []
    level = (image[:rows, :columns] - image.mean()) * _taper(rows, columns)
    spectrum = cv2.dft(level, flags=cv2.DFT_COMPLEX_OUTPUT)
    power = spectrum[..., 0] ** 2 + spectrum[..., 1] ** 2
    used = _band(rows, columns, _FINEST if step == 1 else _FINEST_SMOOTHED)
    floor = float(np.median(power[used])) * _FLOOR
    if floor <= 0:
        return []
    log = np.log(power + np.float32(floor))
    # What the spectrum has by and large is the image's own
    log = np.where(used, log - cv2.blur(log, (9, 9)), np.float32(0))
    cepstrum = cv2.dft(log, flags=cv2.DFT_COMPLEX_OUTPUT | cv2.DFT_SCALE)[..., 0]
    cepstrum = cepstrum * (used.size / np.count_nonzero(used))
    # Echoes off the axes are the image's own: what is no stronger on an axis is as well
    oblique = cepstrum[_LEAST_SHIFT : rows // 2, _LEAST_SHIFT : columns - _LEAST_SHIFT]
    chance = _CLEAR * float(oblique.max())
    echoes = []
    axes = (rows, cepstrum[: rows // 2 + 1, 0]), (columns, cepstrum[0, : columns // 2 + 1])
    for axis, (side, line) in enumerate(axes):
        far = np.maximum(line[_LEAST_SHIFT:], 0)
        least = np.maximum(chance, _own(side, far.size))
        strengths = np.sqrt(np.maximum(far**2 - least**2, 0))
        for _ in range(_MOST_ECHOES):
            at = int(strengths.argmax())
            if strengths[at] <= 0:
                break
            strength = min(1.0, float(strengths[at]))
            echoes.append(_Echo(strength, axis, (at + _LEAST_SHIFT) / side))
            # Beside a peak lie its own flanks
            strengths[max(0, at - _LEAST_SHIFT) : at + _LEAST_SHIFT + 1] = 0.0
    return echoes


def _air(regions: Regions, step: int) -> Mask | None:
    """What lies between the object and the border, thinned; None where it is too little."""
    free = regions.valid & ~regions.objects
    _, parts = cv2.connectedComponents(np.pad(free, 1, constant_values=True).view(np.uint8))
    air: Mask = (regions.outside & (parts[1:-1, 1:-1] == parts[0, 0]))[::step, ::step]
    return air if np.count_nonzero(air) >= _LEAST_BACKGROUND else None


def _confirmed_strength(echo: _Echo, regions: Regions, air: Mask | None, step: int) -> float:
    """What of an echo is a ghost's: a ghost shows in the air, a body's pair of organs does not."""
    if air is None:
        return echo.strength
    image, objects = regions.smooth[::step, ::step], regions.objects[::step, ::step]
    bright = objects & (image >= np.median(image[objects]))
    # A strong ghost would be taken for object, not for air, and then there is nothing to tell
    level = float(np.median(image[air]))
    cast = echo.strength * (float(np.median(image[bright])) - level)
    if cast > 0.8 * (float(image[objects].min()) - level):
        return echo.strength
    # Nor is there in air that varies by itself: soft tissue beside bone, say
    low, high = np.quantile(image[air], [0.16, 0.84])
    if float(high - low) / 2 > cast * _MOST_VARIED:
        return echo.strength
    shift = round(echo.share * image.shape[echo.axis])
    seen, sizes = [], []
    for sign in (1, -1):
        covered = air & np.roll(bright, sign * shift, echo.axis)
        used = covered | (air & ~np.roll(objects, sign * shift, echo.axis))
        seen.append(_slope(np.roll(image, sign * shift, echo.axis)[used], image[used])[0])
        sizes.append(np.count_nonzero(covered))
    if min(sizes) < _LEAST_BACKGROUND or np.mean(sizes) < _LEAST_COVERED * image.size:
        return echo.strength
    least, enough = _SEEN_IN_AIR
    return echo.strength * min(1.0, max(0.0, max(seen) / echo.strength - least) / (enough - least))


@lru_cache(maxsize=16)
def _own(side: int, count: int) -> NDArray[np.float64]:
    """How strong an echo at each distance may be the image's own.

    Readout and periodic motion put ghosts at whole parts of the image, where any echo is one.
    """
    own = np.full(count, _OWN_ECHO)
    for part in _SHIFTS:
        at = round(side / part) - _LEAST_SHIFT
        own[max(0, at - 1) : at + 2] = 0.0
    return own


@lru_cache(maxsize=8)
def _taper(rows: int, columns: int) -> NDArray[np.float32]:
    """Fades the borders of an image out, which would be edges along the axes."""
    lines = []
    for side in (rows, columns):
        at = np.arange(side) + 0.5
        lines.append(np.minimum(1, np.minimum(at, side - at) / (_FADED * side)))
    faded: NDArray[np.float32] = np.outer(*lines).astype(np.float32)
    return faded


@lru_cache(maxsize=8)
def _band(rows: int, columns: int, finest: float) -> NDArray[np.bool_]:
    """Frequencies that the smoothed image still has, away from the axes: its borders are there."""
    y, x = np.fft.fftfreq(rows)[:, None], np.fft.fftfreq(columns)[None, :]
    inside = np.hypot(y, x) < finest
    return np.asarray(inside & (np.abs(y) > 2.5 / rows) & (np.abs(x) > 2.5 / columns))


def _in_background(regions: Regions, zero: float, step: int) -> float:
    """Slope of the background over the shifted image, times their squared correlation.

    What merely lies in the background does not count.
    """
    thinned = np.s_[::step, ::step]
    image = regions.smooth[thinned] - np.float32(zero)
    outside, valid = regions.outside[thinned], regions.valid[thinned]
    worst = 0.0
    for axis in (0, 1):
        for part in _SHIFTS:
            for sign in (1, -1):
                shift = sign * (image.shape[axis] // part)
                where = outside & np.roll(valid, shift, axis)
                slope, correlation = _slope(np.roll(image, shift, axis)[where], image[where])
                worst = max(worst, slope * correlation**2)
    return worst


def _slope(source: NDArray[np.float32], target: NDArray[np.float32]) -> tuple[float, float]:
    """Slope of target over source and their correlation; 0 where either is constant or falls."""
    if source.size < _LEAST_BACKGROUND:
        return 0.0, 0.0
    x = source.astype(np.float64) - source.mean()
    y = target.astype(np.float64) - target.mean()
    xx, yy, xy = float(x @ x), float(y @ y), float(x @ y)
    if xx <= 0 or yy <= 0 or xy <= 0:
        return 0.0, 0.0
    return xy / xx, float(xy / np.sqrt(xx * yy))
