"""Stripes along rows or columns, and rings: lines that are shifted against their neighbours.

Belongs here: what a line has more or less than those around it, along its whole length. Lines that
are missing are found in `lines.py`.

Thresholds that name no other source are our own, chosen on the clean images of
`benchmarks/quality_ranking.py` and their spoiled copies; docs/quality-score.md has what the score
that rests on them separates. What stripes were found in how many images is with
the scale of `banding` in `artifacts/__init__.py`.
"""

from itertools import combinations

import cv2
import numpy as np
from numpy.typing import NDArray

from hc_assets.imaging.quality.regions import Regions, eroded
from hc_assets.imaging.quality.samples import Image, Mask, sampled

# Lines: wider shifts are shading or anatomy
_SMOOTHING = 3.0
# Cells of a line: bounds the work, and averages noise out
_CELLS = 64
# Pixels of the border that are left out, and places of a line that are looked at, as a bound
_FRAME, _MOST_PLACES = 5, 512
# Parts of a line that must agree, the cells that each has, and lines enough for a covariance
_SEGMENTS = 4
_LEAST_CELLS = 2
_LEAST_LINES = 16
# Polar coordinates say nothing near the pole, where few pixels make a circle
_LEAST_RADIUS = 8


def stripe_amplitude(regions: Regions) -> float:
    """Deviation of the stripes along rows or columns, whichever are stronger, in modality units.

    A stripe shifts a whole line against its neighbours. So each line of the object is cut into
    four segments, each gives its mean difference to the lines around it, edges held back, and what
    the segments have in common is the stripes: noise is not, and anatomy hardly.
    """
    found = []
    step = max(1, min(regions.image.shape) // _MOST_PLACES)
    # Strong stripes break the object into pieces; over all there is they are seen all the same
    for where in (regions.main, eroded(regions.valid, _FRAME)):
        image, mask = _boxed(regions.image, where)
        # Of a large image some places of each line are enough, but every line counts
        found.append(_stripes(image[:, ::step], mask[:, ::step]))
        found.append(_stripes(image[::step].T, mask[::step].T))
    return max(found)


def ring_amplitude(regions: Regions) -> float:
    """Deviation of the rings about the middle of the image, in modality units.

    In polar coordinates a ring is a stripe. Only one tissue is looked at, because the skull is a
    ring as well.
    """
    pair = regions.tissues
    mask = regions.main if pair is None else max(pair, key=np.count_nonzero)
    rows, columns = regions.image.shape
    radius = min(rows, columns) // 2
    center = ((columns - 1) / 2, (rows - 1) / 2)
    size = (radius, max(_CELLS, 2 * radius // 2))
    polar = cv2.warpPolar(regions.image, size, center, radius, cv2.INTER_LINEAR)
    inside = cv2.warpPolar(mask.astype(np.uint8), size, center, radius, cv2.INTER_NEAREST)
    image = np.ascontiguousarray(polar[:, _LEAST_RADIUS:].T, np.float32)
    return _stripes(image, np.ascontiguousarray(inside[:, _LEAST_RADIUS:].T) > 0)


def _boxed(image: Image, mask: Mask) -> tuple[Image, Mask]:
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    if not rows.size:
        return image[:0], mask[:0]
    box = np.s_[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    return image[box], mask[box]


def _stripes(image: Image, mask: Mask) -> float:
    if min(image.shape) < _LEAST_LINES:
        return 0.0
    cells, weights = _cells(image, mask)
    around = _smoothed(cells * weights) / np.maximum(_smoothed(weights), np.float32(1e-6))
    difference = cells - around
    counts = weights > 0.5
    if not counts.any():
        return 0.0
    # An edge along a line is no stripe: what stands out counts no more than a strong one would
    spread = 4 * float(np.median(np.abs(sampled(difference, counts))))
    difference = np.where(counts, np.clip(difference, -spread, spread), np.float32(0))
    # A segment is a quarter of the line's own part of the object
    length = counts.sum(axis=1)
    place = np.cumsum(counts, axis=1) - 1
    segment = place * _SEGMENTS // np.maximum(length, 1)[:, None]
    lines = np.flatnonzero(length >= _SEGMENTS * _LEAST_CELLS)
    if lines.size < _LEAST_LINES:
        return 0.0
    means = []
    for number in range(_SEGMENTS):
        inside = (counts & (segment == number))[lines]
        means.append((difference[lines] * inside).sum(axis=1) / inside.sum(axis=1))
    # Layers of tissue are somewhere, stripes everywhere: the middle one of three parts decides
    parts = np.array_split(np.stack(means), max(1, min(3, lines.size // _LEAST_LINES)), axis=1)
    return float(np.median([_shared(part) for part in parts]))


def _shared(means: NDArray[np.float64]) -> float:
    """Deviation that the segments of lines have in common."""
    covariance = np.cov(means)
    pairs = list(combinations(range(_SEGMENTS), 2))
    shared = min(covariance[pair] for pair in pairs)
    variances = np.diag(covariance)
    # What so few lines may share by chance; the least of six pairs is low already
    errors = [np.sqrt(variances[i] * variances[j] / means.shape[1]) for i, j in pairs]
    chance = 2 * float(np.median(errors)) / len(pairs)
    return float(np.sqrt(max(0.0, float(shared) - chance)))


def _cells(image: Image, mask: Mask) -> tuple[Image, Image]:
    """Means of a mask's pixels in cells one line high, and how much of a cell lies in the mask."""
    lines, length = image.shape
    weights = mask.astype(np.float32)
    if length < 2 * _CELLS:
        return np.where(mask, image, np.float32(0)), weights
    size = (_CELLS, lines)
    sums = cv2.resize(image * weights, size, interpolation=cv2.INTER_AREA)
    shares = cv2.resize(weights, size, interpolation=cv2.INTER_AREA)
    means = sums / np.maximum(shares, np.float32(1e-6))
    return means.astype(np.float32, copy=False), shares.astype(np.float32, copy=False)


def _smoothed(image: Image) -> Image:
    # A kernel of one column: the other sigma only must not be 0, which would mean "the same"
    smoothed = cv2.GaussianBlur(image, (1, 0), 1e-6, sigmaY=_SMOOTHING)
    return smoothed.astype(np.float32, copy=False)
