"""Where the voxels of a volume lie in the patient: affines, spacing, tilt, whether it is a grid.

Belongs here: geometry alone. Which frames make a volume is in `splitting.py`; moving voxels onto
another grid is in `resampling.py`.

Index order of affines: column, row, slice, as the equation of PS3.3 C.7.6.2.1.1 and as ITK and
NIfTI have it. Arrays are indexed slice, row, column. Two coordinate systems are named: LPS is
DICOM's and ITK's (x to the patient's left, y to the back, z to the head), RAS is NIfTI's and
nibabel's (right, front, head).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hc_assets.imaging.series.stacks import normal_of

Matrix = NDArray[np.float64]

EVEN_TOLERANCE = 0.1
"""Of the spacing: how far a slice may lie from its place in an even grid. Positions are decimal
text, often rounded to 0.1 mm; what moves less is not worth blurring a volume for."""
STRAIGHT_TOLERANCE = 0.5
"""Pixels by which slices may be out of line, over the whole stack, before they are moved."""
_LPS_TO_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])


def ras_from_lps(affine: Matrix) -> Matrix:
    """Turn an affine into LPS into one into RAS, or back: both flip the first two axes."""
    return _LPS_TO_RAS @ affine


def spacing_of(affine: Matrix) -> tuple[float, float, float]:
    """Distance between neighbouring columns, rows and slices, mm."""
    lengths = np.linalg.norm(affine[:3, :3], axis=0)
    return float(lengths[0]), float(lengths[1]), float(lengths[2])


def directions_of(affine: Matrix) -> Matrix:
    """Unit vectors, as columns, along columns, rows and slices."""
    lengths: Matrix = affine[:3, :3] / np.linalg.norm(affine[:3, :3], axis=0)
    return lengths


@dataclass(frozen=True)
class Lineup:
    """Parallel slices in order along their normal.

    Attributes:
        axes: unit vectors, as columns, in LPS: along a row (to the next column), along a column
            (to the next row), and the normal, which is their cross product.
        spacing: mm between columns, then between rows.
        first: centre of the first pixel of the first slice, LPS, mm.
        last: the same of the last slice.
        places: mm along the normal from the first slice, ascending.
        offsets: pixels, by slice: how far it is moved along columns and rows against the first.
    """

    axes: Matrix
    spacing: tuple[float, float]
    first: Matrix
    last: Matrix
    places: Matrix
    offsets: Matrix

    @property
    def intervals(self) -> Matrix:
        """Between neighbouring slices, mm along the normal."""
        return np.diff(self.places)

    @property
    def is_even(self) -> bool:
        """Whether the slices are at the places of an even grid."""
        even = np.linspace(0, self.places[-1], len(self.places))
        step = self.places[-1] / (len(self.places) - 1)
        return bool(np.abs(self.places - even).max() <= EVEN_TOLERANCE * step)

    @property
    def is_straight(self) -> bool:
        """Whether the slices lie above one another, neither tilted nor moved."""
        return bool(np.abs(self.offsets).max() <= STRAIGHT_TOLERANCE)

    @property
    def is_tilted(self) -> bool:
        """Whether their displacement grows in proportion to their place: a tilt, no disorder."""
        if self.is_straight:
            return False
        in_line = np.outer(self.places / self.places[-1], self.offsets[-1])
        return bool(np.abs(self.offsets - in_line).max() <= STRAIGHT_TOLERANCE)

    @property
    def tilt_deg(self) -> float:
        """Angle between the normal and the line from the first slice to the last, signless."""
        across = self.offsets[-1] * self.spacing
        return float(np.degrees(np.arctan2(np.hypot(*across), self.places[-1])))

    def affine(self) -> Matrix:
        """Affine into LPS of the slices as they were sent, taken to be evenly spaced.

        The third column leads from one slice to the next (PS3.3 C.7.6.2.1.1), so that it holds the
        tilt where there is one.
        """
        matrix = np.eye(4)
        matrix[:3, 0] = self.axes[:, 0] * self.spacing[0]
        matrix[:3, 1] = self.axes[:, 1] * self.spacing[1]
        matrix[:3, 2] = (self.last - self.first) / (len(self.places) - 1)
        matrix[:3, 3] = self.first
        return matrix


def line_up(
    positions: Sequence[Sequence[float]],
    orientation: Sequence[float],
    pixel_spacing: tuple[float, float],
) -> Lineup:
    """Describe slices that are in order along their normal.

    Args:
        positions: ImagePositionPatient of at least two slices, mm.
        orientation: ImageOrientationPatient of all of them.
        pixel_spacing: mm between rows, then between columns, as PixelSpacing has it.
    """
    row = np.asarray(orientation[:3], np.float64)
    column = np.asarray(orientation[3:], np.float64)
    axes = np.stack(
        [row / np.linalg.norm(row), column / np.linalg.norm(column), normal_of(orientation)], axis=1
    )
    at = np.asarray(positions, np.float64)
    relative = at - at[0]
    spacing = (pixel_spacing[1], pixel_spacing[0])
    return Lineup(
        axes=axes,
        spacing=spacing,
        first=at[0],
        last=at[-1],
        places=relative @ axes[:, 2],
        offsets=relative @ axes[:, :2] / spacing,
    )
