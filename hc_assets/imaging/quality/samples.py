"""Statistics of images of any size from some tens of thousands of their values.

Belongs here: sampling, and what is estimated from a sample: extremes, deviation, threshold. Sorting
millions of pixels for a quantile would take longer than all that is measured.
"""

from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.float32]
Mask = NDArray[np.bool_]
F = TypeVar("F", bound=np.floating[Any])

# As usual for Otsu's threshold
_HISTOGRAM_BINS = 256
# Values of a sample: a quantile of 0.2 % then rests on 65 of them; below the least all are taken
_SAMPLE, _LEAST_SAMPLE = 2**15, 1000


def deviation(values: NDArray[Any]) -> float:
    """Standard deviation of values whose extremes, 0.2 % on either side, are held back."""
    return float(np.clip(values, *extremes(values)).std(dtype=np.float64)) if values.size else 0.0


def sample(values: NDArray[Any]) -> NDArray[Any]:
    """Take every n-th value, so that some 32,000 to 65,000 remain: enough for a quantile."""
    # An odd step, so that it does not fall in with rows of an even length
    return values[:: max(1, values.size // _SAMPLE) | 1]


def sampled(image: NDArray[F], mask: Mask) -> NDArray[F]:
    """Values of an image in a mask, on a grid of at most some 65,000 to 260,000 pixels."""
    step = max(1, int(np.sqrt(mask.size / _SAMPLE / 2)))
    thinned = image[::step, ::step][mask[::step, ::step]]
    return thinned if thinned.size >= _LEAST_SAMPLE or step == 1 else image[mask]


def otsu(values: NDArray[Any]) -> float:
    """Otsu's threshold (IEEE Trans. SMC 9:62, 1979) of the values between their 0.2 and 99.8 %.

    Args:
        values: finite numbers, at least one.

    Returns:
        The threshold, in the values' unit; halfway between where several are equally good.
    """
    low, high = extremes(values)
    if high <= low:
        return low
    # In float64, because bins of float32 may be too narrow to be distinguished
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


def extremes(values: NDArray[Any]) -> tuple[float, float]:
    """The 0.2 and 99.8 % quantiles of values; the least and greatest where those are equal."""
    low, high = np.quantile(sample(values), [0.002, 0.998])
    if high > low:
        return float(low), float(high)
    return float(values.min()), float(values.max())
