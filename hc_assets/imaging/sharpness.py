"""How sharp the edges of a frame are.

Belongs here: the width of edges and the frequency it leaves. Noise is in `noise.py`.
"""

import cv2
import numpy as np
from numpy.typing import NDArray

from hc_assets.imaging.regions import NotMeasurableError, Regions, eroded
from hc_assets.imaging.samples import Mask, sampled

Gradient = tuple[NDArray[np.float32], NDArray[np.float32]]

_FINE, _COARSE, _FINDING = 0.7, 1.5, 2.5
_LEAST_EDGE_PIXELS = 20
_RIM = 9
_STRONG = 0.4
_ABOVE_NOISE = 8.0
# Spread of the box that a pixel integrates over
_PIXEL_VARIANCE = 1 / 12
_HALF_OF_NYQUIST = float(np.sqrt(np.log(2) / (2 * np.pi**2)) / 0.5)


def edge_width(regions: Regions, noise_sd: float) -> float:
    """Width of the strongest edges, as the standard deviation of a Gaussian blur.

    Args:
        regions: of the frame.
        noise_sd: standard deviation of the noise, in modality units.

    Returns:
        Pixels, above 0; a step between two pixels gives about 0.3, the pixel itself.

    Raises:
        NotMeasurableError: no edge stands out of the noise.

    A Gaussian edge of width b has, seen by Gaussian derivatives of width s, a slope in proportion
    to 1 / sqrt(s^2 + b^2); the slopes at two widths give b (Zhuo and Sim, Pattern Recognition
    44:1852, 2011). Both are projected on the direction in which a third, wider derivative found
    the edge, so that noise averages out in place of adding up; what white noise shares with that
    derivative is taken off.
    """
    image = regions.image
    finding = _gradient(image, _FINDING)
    strength = finding[0] ** 2 + finding[1] ** 2
    inner = eroded(regions.valid, _RIM)
    if not inner.any():
        raise NotMeasurableError("image_too_small")
    top = float(np.quantile(sampled(strength, inner), 0.995))
    noise = noise_sd**2 * _noise_gain(_FINDING, _FINDING)
    strong = inner & (strength > max(_STRONG**2 * top, _ABOVE_NOISE**2 * noise))
    edges = _ridges(strength, finding, strong)
    if len(edges[0]) < _LEAST_EDGE_PIXELS:
        raise NotMeasurableError("no_edges_above_noise")
    along = [component[edges] for component in finding]
    slopes = []
    for width in (_FINE, _COARSE):
        seen = [component[edges] for component in _gradient(image, width)]
        total = sum(float(np.dot(a, s)) for a, s in zip(along, seen, strict=True))
        shared = 2 * noise_sd**2 * _noise_gain(width, _FINDING)
        slopes.append(total - len(edges[0]) * shared)
    ratio2 = max(slopes[0] / slopes[1], 1.0 + 1e-3) ** 2
    variance = (_COARSE**2 - ratio2 * _FINE**2) / (ratio2 - 1)
    return float(np.sqrt(max(variance, _PIXEL_VARIANCE)))


def half_contrast_frequency(width: float) -> float:
    """Frequency at which an edge of some width keeps half its contrast (MTF50).

    Args:
        width: of the edge, in pixels.

    Returns:
        Share of the Nyquist frequency, above 0; a Gaussian of 1 pixel gives 0.37.
    """
    return _HALF_OF_NYQUIST / width


def _ridges(
    strength: NDArray[np.float32], gradient: Gradient, strong: Mask
) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
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
