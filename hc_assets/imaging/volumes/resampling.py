"""Voxels moved onto another grid: slices put straight and even, volumes made isotropic.

Belongs here: interpolation. Whether a volume needs it is decided in `assembly.py`; which rigid
transform comes before it, in `registration.py`.
"""

import numpy as np
import SimpleITK as sitk
from numpy.typing import NDArray

from hc_assets.imaging.volumes.geometry import Lineup, Matrix, spacing_of
from hc_assets.imaging.volumes.volume import Volume, Voxels, from_image, to_image

_FULL_WIDTH = 2.0 * np.sqrt(2.0 * np.log(2.0))
_GROWTH = 3.0
"""Most that a side may grow by to hold slices that are moved sideways."""
_LEAST_SMOOTHING_MM = 1e-3
_MOST_VOXELS = 2**28


class MisalignedSlicesError(Exception):
    """Slices lie so far aside from one another that they are no volume."""


class GridTooLargeError(Exception):
    """The grid that would hold the slices takes up too much memory."""


def straightened(
    slices: Voxels, lineup: Lineup, fill: float, *, limit: int
) -> tuple[Volume, NDArray[np.float64]]:
    """Put slices that are tilted, moved or unevenly spaced onto an orthogonal, even grid.

    A tilt is a shear, so each slice is moved in its own plane by its displacement, by linear
    interpolation, and the grid grows to hold them all. Where the spacing varies, slices are made by
    linear interpolation between the two neighbours, at the lower quartile of the intervals: the
    finer part keeps its detail, and one odd overlap does not set the step.

    Args:
        slices: slices by rows by columns, in order.
        lineup: where they lie.
        fill: for what no slice covers.
        limit: bytes that the volume may take up.

    Returns:
        The volume, and of each of its slices the place between the slices that it was made of (2.25
        is a quarter of the way from number 2 to number 3).

    Raises:
        MisalignedSlicesError: the grid would grow more than threefold.
        GridTooLargeError: the volume would take up more than the limit.
    """
    low = np.floor(lineup.offsets.min(axis=0)).astype(int)
    high = np.ceil(lineup.offsets.max(axis=0)).astype(int)
    _, rows, columns = slices.shape
    shape = (rows + int(high[1] - low[1]), columns + int(high[0] - low[0]))
    if shape[0] > _GROWTH * rows or shape[1] > _GROWTH * columns:
        raise MisalignedSlicesError
    step = float(np.percentile(lineup.intervals, 25))
    if lineup.is_even:
        step = float(lineup.places[-1] / (len(lineup.places) - 1))
    count = len(slices) if lineup.is_even else int(lineup.places[-1] / step + 1e-6) + 1
    if count * shape[0] * shape[1] * 4 > limit:
        raise GridTooLargeError
    sources = np.arange(count, dtype=np.float64)
    if not lineup.is_even:
        places = np.arange(count) * step
        sources = np.interp(places, lineup.places, np.arange(len(slices)))
    voxels = np.empty((len(sources), *shape), np.float32)
    moved = _Moved(slices, lineup.offsets - low, shape, fill)
    for number, source in enumerate(sources):
        before = int(source)
        share = np.float32(source - before)
        voxels[number] = moved.slice(before)
        if share > 1e-4:
            voxels[number] *= 1 - share
            voxels[number] += share * moved.slice(before + 1)
    affine = np.eye(4)
    affine[:3, :3] = lineup.axes * (*lineup.spacing, step)
    affine[:3, 3] = lineup.first + lineup.axes[:, :2] @ (low * lineup.spacing)
    return Volume(voxels, affine, fill), sources


class _Moved:
    """Slices moved in their plane, the last two kept."""

    def __init__(
        self, slices: Voxels, offsets: Matrix, shape: tuple[int, int], fill: float
    ) -> None:
        self._slices, self._offsets, self._shape, self._fill = slices, offsets, shape, fill
        self._made: dict[int, Voxels] = {}

    def slice(self, number: int) -> Voxels:
        if number not in self._made:
            self._made = {k: v for k, v in self._made.items() if k >= number - 1}
            self._made[number] = self._move(number)
        return self._made[number]

    def _move(self, number: int) -> Voxels:
        column, row = self._offsets[number]
        canvas = np.full(self._shape, np.float32(self._fill), np.float32)
        rows, columns = self._slices.shape[1:]
        whole = (int(row), int(column))
        canvas[whole[0] : whole[0] + rows, whole[1] : whole[1] + columns] = self._slices[number]
        for axis, part in ((0, row - whole[0]), (1, column - whole[1])):
            if part > 1e-6:
                # Content moves towards higher indices by a part of a pixel
                behind = np.roll(canvas, 1, axis)
                np.moveaxis(behind, axis, 0)[0] = self._fill
                canvas += np.float32(part) * (behind - canvas)
        return canvas


def isotropic(volume: Volume, spacing_mm: float) -> Volume:
    """Resample a volume to cubic voxels along its own axes.

    Args:
        volume: on an orthogonal grid.
        spacing_mm: side of the cubes.

    Returns:
        The volume over the same extent, linearly interpolated; on coarser cubes where it would have
        more than 2**28 of them, as headers with absurd spacing make it. An axis that becomes
        coarser is smoothed before, so that detail finer than the new grid does not alias: by a
        Gaussian whose full width at half maximum, in squares, is the difference of the two voxel
        sizes (Cardoso and others, MICCAI 2015, doi:10.1007/978-3-319-24571-3_81).
    """
    sizes = np.array(volume.voxels.shape[::-1])
    extent = sizes * spacing_of(volume.affine)
    spacing_mm = max(spacing_mm, float(np.cbrt(np.prod(extent) / _MOST_VOXELS)))
    image = smoothed(to_image(volume), (spacing_mm,) * 3)
    new = np.maximum(1, np.rint(extent / spacing_mm)).astype(int)
    directions = np.array(image.GetDirection()).reshape(3, 3)
    # The outer faces of the two grids have the same centre
    old_centre = image.TransformContinuousIndexToPhysicalPoint(((sizes - 1) / 2).tolist())
    origin = np.array(old_centre) - directions @ ((new - 1) / 2 * spacing_mm)
    made = sitk.Resample(
        image,
        new.tolist(),
        sitk.Transform(),
        sitk.sitkLinear,
        origin.tolist(),
        (spacing_mm,) * 3,
        image.GetDirection(),
        volume.fill,
        sitk.sitkFloat32,
        True,  # half a voxel beyond the last centre takes its nearest value, not the fill
    )
    return from_image(made, volume.fill)


def smoothed(image: sitk.Image, spacing: tuple[float, ...]) -> sitk.Image:
    """Take out of an image the detail that voxels of another spacing can't hold."""
    for axis, (old, new) in enumerate(zip(image.GetSpacing(), spacing, strict=True)):
        sigma = np.sqrt(max(0.0, new**2 - old**2)) / _FULL_WIDTH
        if sigma > _LEAST_SMOOTHING_MM and image.GetSize()[axis] >= 4:
            recursive = sitk.RecursiveGaussianImageFilter()
            recursive.SetDirection(axis)
            recursive.SetSigma(float(sigma))
            image = recursive.Execute(image)
    return image
