"""Planes in space become stacks of slices: spacing, gaps, duplicates, tilt (PS3.3 C.7.6.2.1).

Belongs here: geometry of ImagePositionPatient and ImageOrientationPatient alone. Which planes
belong to a series, and what is expected of it, is in `table.py`.
"""

from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

SAME_POSITION_MM = 0.01
"""Planes closer than this are at one place: positions are sent as decimal text, often rounded."""
SAME_ORIENTATION = 1e-3
"""Difference of direction cosines below which planes are parallel: 0.06 degrees."""
GAP_FACTOR = 1.5
"""Of the usual spacing; slices further apart have room for one between them."""
REGULAR_SHARE = 0.6
"""Of the intervals must be the usual one, give or take a tenth; else there is no usual spacing, and
what looks like a gap may be meant (localizers, slices of varied thickness)."""
AXIS_COSINE = 0.8
"""Least cosine between the normal and an axis of the patient for the plane to be named by it."""

_BESIDE_MM = 0.1


@dataclass(frozen=True)
class Plane:
    """One frame in space.

    Attributes:
        position: ImagePositionPatient, mm.
        orientation: ImageOrientationPatient: direction cosines of a row, then of a column.
        thickness: SliceThickness, mm; None where unknown.
        dimensions: what tells frames at one position apart: time, echo, b-value.
        b_value: of diffusion, s/mm2; None where unknown.
        gradient: direction of the diffusion gradient, a unit vector in LPS; None where there is
            none.
        seconds: when it was acquired, from midnight; None where unknown.
        image_type: ImageType, or FrameType; None where absent.
        echo: EchoNumbers, or EffectiveEchoTime; None where absent.
    """

    position: tuple[float, float, float]
    orientation: tuple[float, float, float, float, float, float]
    thickness: float | None = None
    dimensions: Hashable = ()
    b_value: float | None = None
    gradient: tuple[float, float, float] | None = None
    seconds: float | None = None
    image_type: tuple[str, ...] | None = None
    echo: str | None = None


AnyPlane = TypeVar("AnyPlane", bound=Plane)


@dataclass(frozen=True)
class Stack:
    """Parallel planes.

    Attributes:
        orientation: of the first of them.
        planes: how many there are.
        slices: how many distinct places along the normal.
        spacing: usual distance between neighbouring slices, mm: the median; None below two slices.
        least_spacing: mm; None below two slices.
        greatest_spacing: mm; None below two slices.
        missing_slices: slices for which there is room in gaps; None where the spacing is not
            regular enough to say, or there are fewer than three slices.
        frames_per_position: the usual number of planes at one position; more than 1 in time series,
            several echoes and the like.
        missing_frames: how many positions lack of that number.
        duplicate_positions: positions with planes that nothing distinguishes.
        tilt: angle between the normal and the line from the first slice to the last, degrees;
            None below two slices.
    """

    orientation: tuple[float, ...]
    planes: int
    slices: int
    spacing: float | None
    least_spacing: float | None
    greatest_spacing: float | None
    missing_slices: int | None
    frames_per_position: int
    missing_frames: int
    duplicate_positions: int
    tilt: float | None


def stacks_of(planes: Iterable[Plane]) -> list[Stack]:
    """Divide planes into stacks of parallel ones.

    Args:
        planes: in any order; those whose orientation is no pair of directions are left out.

    Returns:
        The stacks, the largest first; equal ones in the order of their first plane.
    """
    stacks = [_stack(np.array(group[0].orientation), group) for group in parallel(planes)]
    return sorted(stacks, key=lambda stack: -stack.planes)


def parallel(planes: Iterable[AnyPlane]) -> list[list[AnyPlane]]:
    """Gather planes that are parallel to one another.

    Args:
        planes: in any order; those whose orientation is no pair of directions are left out.

    Returns:
        The groups in the order of their first plane.
    """
    groups: list[tuple[NDArray[np.float64], list[AnyPlane]]] = []
    last = 0
    for plane in planes:
        orientation = np.array(plane.orientation)
        if not _is_orientation(orientation):
            continue
        # Planes of a stack mostly come one after the other
        for at in (last, *range(len(groups))):
            if at < len(groups) and np.allclose(
                groups[at][0], orientation, rtol=0, atol=SAME_ORIENTATION
            ):
                groups[at][1].append(plane)
                last = at
                break
        else:
            last = len(groups)
            groups.append((orientation, [plane]))
    return [members for _, members in groups]


def _is_orientation(orientation: NDArray[np.float64]) -> bool:
    row, column = orientation[:3], orientation[3:]
    lengths = [np.linalg.norm(row), np.linalg.norm(column)]
    # Writers round to two digits and worse; what is further off is no direction
    return bool(np.allclose(lengths, 1, atol=0.05) and abs(row @ column) < 0.05)


def plane_name(orientation: Iterable[float]) -> str:
    """Name a plane by the axis of the patient that its normal is near.

    Args:
        orientation: direction cosines of a row, then of a column, in the patient's LPS system.

    Returns:
        AXIAL, CORONAL or SAGITTAL, else OBLIQUE.
    """
    cosines = np.array(tuple(orientation))
    normal = np.abs(np.cross(cosines[:3], cosines[3:]))
    axis = int(normal.argmax())
    return ("SAGITTAL", "CORONAL", "AXIAL")[axis] if normal[axis] >= AXIS_COSINE else "OBLIQUE"


def normal_of(orientation: Sequence[float] | NDArray[np.float64]) -> NDArray[np.float64]:
    """Unit normal of a plane: direction of a row times that of a column."""
    cosines = np.asarray(orientation, np.float64)
    normal = np.cross(cosines[:3], cosines[3:])
    unit: NDArray[np.float64] = normal / np.linalg.norm(normal)
    return unit


def _stack(orientation: NDArray[np.float64], planes: list[Plane]) -> Stack:
    normal = normal_of(orientation)
    positions = np.array([plane.position for plane in planes])
    along = positions @ normal
    order = np.argsort(along, kind="stable")
    along, positions = along[order], positions[order]
    # The number of the slice that each plane is in
    number = np.concatenate([[0], np.cumsum(np.diff(along) > SAME_POSITION_MM)])
    first_of = np.flatnonzero(np.concatenate([[True], np.diff(number) > 0]))
    places, centres = along[first_of], positions[first_of]
    intervals = np.diff(places)
    beside = positions - centres[number]
    counts, duplicates = _positions([planes[i] for i in order], beside, number)
    usual = int(np.bincount(counts).argmax())
    thicknesses = [planes[order[i]].thickness for i in first_of]
    return Stack(
        orientation=planes[0].orientation,
        planes=len(planes),
        slices=len(places),
        spacing=float(np.median(intervals)) if intervals.size else None,
        least_spacing=float(intervals.min()) if intervals.size else None,
        greatest_spacing=float(intervals.max()) if intervals.size else None,
        missing_slices=_missing_slices(intervals, thicknesses),
        frames_per_position=usual,
        missing_frames=int(np.maximum(usual - counts, 0).sum()),
        duplicate_positions=duplicates,
        tilt=_tilt(centres[-1] - centres[0], normal) if intervals.size else None,
    )


def _positions(
    planes: list[Plane], beside: NDArray[np.float64], number: NDArray[np.int64]
) -> tuple[NDArray[np.int64], int]:
    """Count the planes at each position, and the positions with planes that nothing distinguishes.

    Planes of one slice that lie side by side, as tiles do, are at different positions: `beside` is
    how far each is from the first of its slice.
    """
    at: dict[tuple[int, ...], list[Plane]] = {}
    cells = np.rint(beside / _BESIDE_MM).astype(np.int64)
    for plane, slice_number, cell in zip(planes, number.tolist(), cells.tolist(), strict=True):
        at.setdefault((slice_number, *cell), []).append(plane)
    counts = np.array([len(members) for members in at.values()])
    duplicates = sum(
        len({plane.dimensions for plane in members}) < len(members) for members in at.values()
    )
    return counts, duplicates


def _missing_slices(intervals: NDArray[np.float64], thicknesses: list[float | None]) -> int | None:
    share = shares_of_usual(intervals, thicknesses)
    if share is None:
        return None
    return int((np.rint(share[share > GAP_FACTOR]) - 1).sum())


def shares_of_usual(
    intervals: NDArray[np.float64], thicknesses: Sequence[float | None]
) -> NDArray[np.float64] | None:
    """Measure the intervals of a stack by what is usual in it.

    Args:
        intervals: between neighbouring slices, mm.
        thicknesses: of the slices, one more than intervals, mm.

    Returns:
        Each interval over the usual one: the median, in proportion to the slices' own thickness
        where all say it. None where fewer than two intervals, or too irregular ones, leave it open
        what is usual.
    """
    if intervals.size < 2:
        return None
    expected = np.full(intervals.shape, np.median(intervals))
    if all(thicknesses):
        # Where thickness changes along the stack, as in heads, spacing changes with it
        thick = np.array(thicknesses, np.float64)
        between = (thick[:-1] + thick[1:]) / 2
        expected = np.median(intervals / between) * between
    share: NDArray[np.float64] = intervals / expected
    return share if (np.abs(share - 1) <= 0.1).mean() >= REGULAR_SHARE else None


def _tilt(line: NDArray[np.float64], normal: NDArray[np.float64]) -> float:
    along = float(line @ normal)
    across = float(np.linalg.norm(line - along * normal))
    return float(np.degrees(np.arctan2(across, abs(along))))
