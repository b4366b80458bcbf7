"""How sharp the edges of a frame are.

Belongs here: the width of edges and the frequency it leaves. Noise is in `noise.py`.

Thresholds that name no other source are our own, chosen on the clean images of
`benchmarks/quality_ranking.py` and their spoiled copies; docs/quality-score.md has what the score
that rests on them separates. Tests hold the width against phantoms of known blur.
"""

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from hc_assets.imaging.quality.regions import NotMeasurableError, Regions, eroded
from hc_assets.imaging.quality.samples import Mask, extremes, sampled

Gradient = tuple[NDArray[np.float32], NDArray[np.float32]]
Places = tuple[NDArray[np.intp], NDArray[np.intp]]

# Deviations in pixels: the narrowest derivative that sampling allows, one that the blur of images
# lies between, and one that noise leaves in place
_FINE, _COARSE, _FINDING = 0.7, 1.5, 2.5
# Pixels of edges that are enough along an axis
_LEAST_EDGE_PIXELS = 20
# Pixels: the widest derivative reaches ten
_RIM = 9
# Strength of edges that count, in shares of that which 1 in 200 exceeds
_STRONG = 0.4
# Share of a side beyond which a straight edge is a frame; share of the range below which a line of
# the image is empty
_STRAIGHT, _EMPTY = 0.5, 0.2
# Pixels of a stretch of edges, and stretches: enough to tell sharp ones from soft ones
_LEAST_STRETCH, _MOST_STRETCHES = 40, 8
# Deviations of noise that an edge stands out by
_ABOVE_NOISE = 8.0
# Computed: variance of the box that a pixel integrates over
_PIXEL_VARIANCE = 1 / 12
# Computed: where the transform of a Gaussian of one pixel is a half, over Nyquist's frequency
_HALF_OF_NYQUIST = float(np.sqrt(np.log(2) / (2 * np.pi**2)) / 0.5)


def edge_width(regions: Regions, noise_sd: float) -> float:
    """Width of the sharpest of the strong edges, as the standard deviation of a Gaussian blur.

    Args:
        regions: of the frame.
        noise_sd: standard deviation of the noise from pixel to pixel, in modality units.

    Returns:
        Pixels, above 0; a step between two pixels gives about 0.3, the pixel itself. The root mean
        square of the widths along rows and along columns, so that motion along one of them counts;
        the wider of them counts at most as twice the other, and where there are edges along only
        one axis, their width counts.

    Raises:
        NotMeasurableError: no edge stands out of the noise.

    A Gaussian edge of width b has, seen by Gaussian derivatives of width s, a slope in proportion
    to 1 / sqrt(s^2 + b^2); the slopes at two widths give b (Zhuo and Sim, Pattern Recognition
    44:1852, 2011). Both are projected on the direction in which a third, wider derivative found
    the edge, so that noise averages out in place of adding up; what white noise shares with that
    derivative is taken off. The edges are taken in stretches, and the sharper half of them
    counts: soft edges may be anatomy's own, sharp ones are not.
    """
    finding = _gradient(regions.image, _FINDING)
    inner = eroded(regions.valid & _filled(regions), _RIM)
    if not inner.any():
        raise NotMeasurableError("image_too_small")
    seen = [_gradient(regions.image, width) for width in (_FINE, _COARSE)]
    strength = finding[0] ** 2 + finding[1] ** 2
    lies_along_rows = np.abs(finding[1]) >= np.abs(finding[0])
    variances = []
    for axis, mask in enumerate((inner & lies_along_rows, inner & ~lies_along_rows)):
        edges = _edges(finding, strength, mask, noise_sd, axis)
        if len(edges[0]) < _LEAST_EDGE_PIXELS:
            continue
        stretches = min(_MOST_STRETCHES, max(1, len(edges[0]) // _LEAST_STRETCH))
        parts = zip(*(np.array_split(each, stretches) for each in edges), strict=True)
        found = [_variance(part, finding, seen, noise_sd) for part in parts]
        sharper = np.sort(found)[: (len(found) + 1) // 2]
        variances.append(float(sharper.mean()))
    if not variances:
        raise NotMeasurableError("no_edges_above_noise")
    width = float(np.sqrt(min(variances)))
    # Soft edges along one axis may be of the body itself: however soft, they count as twice as wide
    softer = 2 - float(np.exp(1 - np.sqrt(max(variances)) / width))
    return width * float(np.sqrt((1 + softer**2) / 2))


def _filled(regions: Regions) -> Mask:
    """The rectangle that has all structure: the rim of what is empty around it is no edge of it.

    Empty rows and columns at the borders are left out whether or not they are constant.
    """
    low, high = extremes(regions.smooth[regions.valid])
    box = np.zeros(regions.image.shape, np.bool_)
    ends = []
    for axis in (1, 0):
        lines = np.where(regions.valid, regions.smooth, np.float32(low))
        reach = lines.max(axis=axis) - lines.min(axis=axis)
        full = np.flatnonzero(reach > _EMPTY * (high - low))
        if not full.size:
            return regions.valid
        ends.append((full[0], full[-1] + 1))
    box[ends[0][0] : ends[0][1], ends[1][0] : ends[1][1]] = True
    return box


def _variance(edges: Places, finding: Gradient, seen: Sequence[Gradient], noise_sd: float) -> float:
    """Squared width of some edges, in square pixels."""
    along = [component[edges] for component in finding]
    slopes = []
    for width, gradient in zip((_FINE, _COARSE), seen, strict=True):
        there = [component[edges] for component in gradient]
        total = sum(float(np.dot(a, s)) for a, s in zip(along, there, strict=True))
        shared = 2 * noise_sd**2 * _noise_gain(width, _FINDING)
        slopes.append(total - len(edges[0]) * shared)
    ratio2 = max(slopes[0] / slopes[1], 1.0 + 1e-3) ** 2
    return max((_COARSE**2 - ratio2 * _FINE**2) / (ratio2 - 1), _PIXEL_VARIANCE)


def half_contrast_frequency(width: float) -> float:
    """Frequency at which an edge of some width keeps half its contrast (MTF50).

    Args:
        width: of the edge, in pixels.

    Returns:
        Share of the Nyquist frequency, above 0; a Gaussian of 1 pixel gives 0.37.
    """
    return _HALF_OF_NYQUIST / width


def _edges(
    finding: Gradient, strength: NDArray[np.float32], mask: Mask, noise_sd: float, axis: int
) -> Places:
    """Rows and columns of the strongest edges in a mask.

    Args:
        finding: of the image.
        strength: its squared length.
        mask: of gradients along one axis mostly.
        noise_sd: deviation of the noise.
        axis: 0 where the edges lie along rows, 1 along columns.
    """
    if not mask.any():
        return np.empty(0, np.intp), np.empty(0, np.intp)
    top = float(np.quantile(sampled(strength, mask), 0.995))
    noise = noise_sd**2 * _noise_gain(_FINDING, _FINDING)
    edges = _ridges(
        strength, finding, mask & (strength > max(_STRONG**2 * top, _ABOVE_NOISE**2 * noise))
    )
    # A line of the grid from border to border is a frame or padding, and sharp whatever the image
    line = edges[axis]
    straight = np.bincount(line, minlength=mask.shape[axis]) > _STRAIGHT * mask.shape[1 - axis]
    bent = ~straight[line]
    return (edges[0][bent], edges[1][bent]) if np.count_nonzero(bent) else edges


def _ridges(strength: NDArray[np.float32], gradient: Gradient, strong: Mask) -> Places:
    """Rows and columns where strength is highest across the edge: beside it slopes say less."""
    rows, columns = np.nonzero(strong)
    here = strength[rows, columns]
    across = np.stack([gradient[1][rows, columns], gradient[0][rows, columns]])
    step = np.rint(across / np.maximum(np.abs(across).max(axis=0), 1e-30)).astype(np.intp)
    top = (here >= strength[rows + step[0], columns + step[1]]) & (
        here > strength[rows - step[0], columns - step[1]]
    )
    return rows[top], columns[top]


def _gradient(image: NDArray[np.float32], width: float) -> Gradient:
    reach = int(np.ceil(4 * width))
    at = np.arange(-reach, reach + 1)
    smooth = np.exp(-(at**2) / (2 * width**2))
    smooth /= smooth.sum()
    slope = at * smooth / (at**2 * smooth).sum()
    return (
        cv2.sepFilter2D(image, cv2.CV_32F, slope, smooth).astype(np.float32, copy=False),
        cv2.sepFilter2D(image, cv2.CV_32F, smooth, slope).astype(np.float32, copy=False),
    )


def _noise_gain(first: float, second: float) -> float:
    """Covariance of two Gaussian derivatives of white noise with deviation 1, per component."""
    mean = (first**2 + second**2) / 2
    return 1 / (8 * np.pi * mean**2)
