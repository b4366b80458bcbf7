"""The smooth shading of MR images by their coils, estimated by N4.

Belongs here: the estimate alone, of slices and of volumes. What is done with it is in
`preprocessing/bias.py` and `volumes/intensities.py`.

The method is N4 (Tustison et al., IEEE TMI 29:1310, 2010, doi:10.1109/TMI.2010.2046908): the
histogram of the logarithms is sharpened, and what that takes away is fitted by B-splines (Lee,
Wolberg and Shin, IEEE TVCG 3:228, 1997), again and again on ever finer meshes. ITK fits points
that lie anywhere, voxel by voxel. On a grid, the weights of a voxel are products of those along
each axis, so the same sums are a few products of small matrices: the field is ITK's to a
thousandth, in a twentieth of its time.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Field = NDArray[np.float64]

# ITK's defaults: bins of the histogram, breadth of the shading's distribution, noise of the Wiener
# filter, and the change of the field below which a mesh is done
_BINS = 200
_BREADTH = 0.15
_NOISE = 0.01
_CHANGE = 1e-3
_ORDER = 3
# Rows or slices: a part of them in doubles, so that a large volume is not
_AT_ONCE = 16


@dataclass(frozen=True)
class LogField:
    """Logarithm of a field: the sum of B-splines, each mesh twice as fine as the last.

    Attributes:
        meshes: control points by axis, coarse ones first.
    """

    meshes: tuple[Field, ...]

    def on(self, shape: Sequence[int]) -> NDArray[np.float32]:
        """Evaluate it on a grid over the same extent.

        Args:
            shape: of the grid; its first and last points are those of the estimate's.
        """
        whole = np.zeros(tuple(shape), np.float32)
        for mesh in self.meshes:
            first, *rest = (_basis(n, m - _ORDER) for n, m in zip(shape, mesh.shape, strict=True))
            for start in range(0, shape[0], _AT_ONCE):
                part = slice(start, start + _AT_ONCE)
                whole[part] += _along_axes(mesh, [first[part], *rest])
        return whole


def log_bias_field(
    values: NDArray[Any], counts: NDArray[np.bool_], iterations: Sequence[int]
) -> LogField:
    """Estimate the field.

    Args:
        values: of an image or a volume, at least two a side; magnitudes.
        counts: where the object is.
        iterations: at most, on each mesh.

    Returns:
        The logarithm of the field. Nothing is fitted where the object has one value only, or none.
    """
    inside = values[counts].astype(np.float64)
    logs = np.where(inside > 0, np.log(np.maximum(inside, np.finfo(np.float64).tiny)), inside)
    shade = np.zeros(values.shape)
    meshes = []
    for level, most in enumerate(iterations):
        spans = 2**level
        fit = _Fit(counts, spans)
        mesh = np.zeros([spans + _ORDER] * values.ndim)
        for _ in range(most):
            uncorrected = logs - shade[counts]
            sharpened = _sharpened(uncorrected)
            if sharpened is None:
                break
            added = fit.mesh(uncorrected - sharpened)
            mesh += added
            change = fit.evaluated(added)
            shade += change
            ratio = np.exp(-change[counts])
            if ratio.std(ddof=1) <= _CHANGE * ratio.mean():
                break
        meshes.append(mesh)
    return LogField(tuple(meshes))


def _sharpened(logs: Field) -> Field | None:
    """Logarithms as they would be without shading; None where all are one.

    The histogram is deconvolved by the Gaussian of the shading with a Wiener filter; each value
    becomes the mean of what it may have been before.
    """
    low, high = (float(logs.min()), float(logs.max())) if logs.size > 1 else (0.0, 0.0)
    slope = (high - low) / (_BINS - 1)
    if not slope > 0:
        return None
    place = (logs - low) / slope
    index = np.minimum(place.astype(np.intp), _BINS - 1)
    share = place - index
    counts = np.bincount(index, weights=1 - share, minlength=_BINS)
    counts[1:] += np.bincount(index, weights=share, minlength=_BINS)[:-1]
    size = 2 ** (int(np.ceil(np.log2(_BINS))) + 1)
    start = int(0.5 * (size - _BINS))
    histogram = np.zeros(size)
    histogram[start : start + _BINS] = counts
    breadth = _BREADTH / slope
    steps = np.minimum(np.arange(size), size - np.arange(size))
    gaussian = np.exp(-4 * np.log(2) * (steps / breadth) ** 2)
    gaussian *= 2 * np.sqrt(np.log(2) / np.pi) / breadth
    spread = np.fft.fft(gaussian)
    wiener = (spread.conj() / (np.abs(spread) ** 2 + _NOISE)).real
    before = np.maximum(np.fft.ifft(np.fft.fft(histogram) * wiener).real, 0)
    levels = low + (np.arange(size) - start) * slope
    above = np.fft.ifft(np.fft.fft(levels * before) * spread).real
    below = np.fft.ifft(np.fft.fft(before) * spread).real
    means = np.divide(above, below, out=np.zeros(size), where=below != 0)[start : start + _BINS]
    after = np.append(means[1:], means[-1])
    sharpened: Field = means[index] + (after - means)[index] * share
    return sharpened


class _Fit:
    """A B-spline mesh that is fitted to values at the points of a grid that count."""

    def __init__(self, counts: NDArray[np.bool_], spans: int) -> None:
        self._counts = counts
        self._bases = [_basis(size, spans) for size in counts.shape]
        # A point moves its control points as their weights' cubes over the sum of their squares
        self._pulls = [
            (basis**3 / (basis**2).sum(axis=1, keepdims=True)).T for basis in self._bases
        ]
        self._weight = _along_axes(
            counts.astype(np.float64), [(basis**2).T for basis in self._bases]
        )

    def mesh(self, values: Field) -> Field:
        """Control points that fit the values of the points that count best."""
        whole = np.zeros(self._counts.shape)
        whole[self._counts] = values
        pulled = _along_axes(whole, self._pulls)
        none = np.zeros_like(pulled)
        return np.divide(pulled, self._weight, out=none, where=self._weight > 0)

    def evaluated(self, mesh: Field) -> Field:
        """The B-spline at every point of the grid."""
        return _along_axes(mesh, self._bases)


def _along_axes(values: Field, matrices: Sequence[Field]) -> Field:
    """Multiply each axis by its matrix."""
    for matrix in matrices:
        # The first axis goes to the end each time: after all of them, the order is as before
        values = np.tensordot(values, matrix, axes=(0, 1))
    return values


def _basis(size: int, spans: int) -> Field:
    """Cubic B-splines at points from one end of an axis to the other: points by control points."""
    place = np.linspace(0, spans, size)
    first = np.minimum(place.astype(np.intp), spans - 1)
    t = place - first
    weights = np.stack(
        [(1 - t) ** 3, 3 * t**3 - 6 * t**2 + 4, -3 * t**3 + 3 * t**2 + 3 * t + 1, t**3], axis=1
    )
    basis = np.zeros((size, spans + _ORDER))
    np.put_along_axis(basis, first[:, None] + np.arange(_ORDER + 1), weights / 6, axis=1)
    return basis
