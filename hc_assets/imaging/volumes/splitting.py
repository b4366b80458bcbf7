"""Which frames of a series make a volume: by position and orientation, never by names of files.

Belongs here: dividing a series by grid, orientation, time, echo and the like, and at gaps. Where
the slices of one volume lie is in `geometry.py`, reading them in `assembly.py`.
"""

from collections.abc import Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from hc_assets.imaging.series.instances import DIMENSION_NAMES
from hc_assets.imaging.series.stacks import (
    GAP_FACTOR,
    SAME_POSITION_MM,
    Plane,
    normal_of,
    parallel,
    shares_of_usual,
)

LEAST_SLICES = 3
"""Of a volume: with two, nothing shows whether a slice is missing between them."""
_COVERED = 0.5
"""Of the positions of a stack: what tells volumes apart must leave each of them that many; what
differs from slice to slice, such as the time, does not."""
_UNEVEN = 2.0
"""Greatest over least interval up to which slices of unknown thickness may be interpolated."""


@dataclass(frozen=True)
class PlacedFrame(Plane):
    """A frame in space, with what it takes to read it.

    Attributes:
        file: its file's number in the series.
        frame: its number in the file, from 0; of a slice of a mosaic, of its tile.
        grid: what frames of one volume have in common: rows, columns, pixel spacing, frame of
            reference, and the file where one file is one volume.
        passes_gate: whether its quality passes the gate; None where it has no score.
    """

    file: int = 0
    frame: int = 0
    grid: tuple[Hashable, ...] = ()
    passes_gate: bool | None = None


@dataclass(frozen=True)
class Candidate:
    """Frames that are to make one volume.

    Attributes:
        frames: in order along their normal, one for each place.
        findings: what is odd about them, as words of `schemas.FINDINGS`.
        refusal: why they make no volume, as a word of `schemas.VERDICTS`; "" where they do.
        dimensions: what tells it from the other volumes at the same place, by name.
        duplicates: frames left out since another is at the same place.
    """

    frames: tuple[PlacedFrame, ...]
    findings: tuple[str, ...] = ()
    refusal: str = ""
    dimensions: dict[str, str] = field(default_factory=dict)
    duplicates: int = 0


def candidates(frames: Iterable[PlacedFrame]) -> list[Candidate]:
    """Divide the frames of a series into those that make one volume each.

    Args:
        frames: in the order of their instance numbers.

    Returns:
        Every frame is in one of them, or counted as a duplicate by one. The largest stack comes
        first; the volumes of a stack are in the order of their first frames.
    """
    stacks = list(_stacks(frames))
    findings = []
    # What follows the first four members keeps mosaics apart, which differ in nothing
    if len({stack[0].grid[:4] for stack in stacks}) > 1:
        findings.append("several_grids")
    if len({tuple(np.round(stack[0].orientation, 2)) for stack in stacks}) > 1:
        findings.append("mixed_orientation")
    found: list[Candidate] = []
    for stack in sorted(stacks, key=len, reverse=True):
        at = {id(frame): number for number, frame in enumerate(stack)}
        # Divided by one thing after another, they come in another order than their frames
        volumes = sorted(_volumes(stack, {}), key=lambda each: min(at[id(f)] for f in each[0]))
        own = [*findings, "several_volumes"] if len(volumes) > 1 else findings
        for members, dimensions, duplicates in volumes:
            noted = [*own, "duplicates"] if duplicates else own
            found += _contiguous(members, noted, dimensions, duplicates)
    return found


def _stacks(frames: Iterable[PlacedFrame]) -> Iterator[list[PlacedFrame]]:
    grids: dict[tuple[Hashable, ...], list[PlacedFrame]] = {}
    for frame in frames:
        grids.setdefault(frame.grid, []).append(frame)
    for members in grids.values():
        yield from parallel(members)


_Division = tuple[list[PlacedFrame], dict[str, str], int]


def _volumes(stack: list[PlacedFrame], known: dict[str, str]) -> Iterator[_Division]:
    """Divide a stack until no two frames of a volume are at one place."""
    numbers = _slice_numbers(stack)
    slices = len(set(numbers))
    if slices == len(stack):
        ordered = [frame for _, frame in sorted(zip(numbers, stack, strict=True), key=_number)]
        yield ordered, known, 0
        return
    for at, name in enumerate(_names(stack)):
        groups: dict[str, list[int]] = {}
        for index, frame in enumerate(stack):
            groups.setdefault(_value(frame, at), []).append(index)
        covered = [len({numbers[index] for index in members}) for members in groups.values()]
        if len(groups) > 1 and np.median(covered) >= _COVERED * slices and slices > 1:
            for value, members in groups.items():
                yield from _volumes([stack[i] for i in members], {**known, name: value})
            return
    yield from _by_order(stack, numbers, known)


def _by_order(
    stack: list[PlacedFrame], numbers: list[int], known: dict[str, str]
) -> Iterator[_Division]:
    """Take the first frame at each place for the first volume, the second for the second.

    Where not all places have equally many frames, nothing says what the others belong to: the first
    volume is kept, the rest are duplicates.
    """
    turns: dict[int, list[PlacedFrame]] = {}
    for number, frame in zip(numbers, stack, strict=True):
        turns.setdefault(number, []).append(frame)
    at_places = [turns[number] for number in sorted(turns)]
    most = max(map(len, at_places))
    if min(map(len, at_places)) == most and len(at_places) > 1:
        for turn in range(most):
            yield [each[turn] for each in at_places], {**known, "order": str(turn)}, 0
        return
    yield [each[0] for each in at_places], known, len(stack) - len(at_places)


def _number(pair: tuple[int, PlacedFrame]) -> int:
    return pair[0]


def _names(stack: Sequence[PlacedFrame]) -> list[str]:
    most = max(len(_dimensions(frame)) for frame in stack)
    extra = range(1, most - len(DIMENSION_NAMES) + 1)
    return [*DIMENSION_NAMES, *(f"dimension_index_{number}" for number in extra)]


def _dimensions(frame: PlacedFrame) -> tuple[object, ...]:
    return frame.dimensions if isinstance(frame.dimensions, tuple) else (frame.dimensions,)


def _value(frame: PlacedFrame, at: int) -> str:
    dimensions = _dimensions(frame)
    value = dimensions[at] if at < len(dimensions) else None
    return "\\".join(map(str, value)) if isinstance(value, tuple) else str(value or "")


def _slice_numbers(stack: Sequence[PlacedFrame]) -> list[int]:
    """Number of the place along the normal that each frame is at, from 0."""
    along = np.array([f.position for f in stack]) @ normal_of(stack[0].orientation)
    order = np.argsort(along, kind="stable")
    steps = np.diff(along[order]) > SAME_POSITION_MM
    numbers = np.empty(len(stack), np.int64)
    numbers[order] = np.concatenate([[0], np.cumsum(steps)])
    return [int(number) for number in numbers]


def _contiguous(
    frames: list[PlacedFrame], findings: list[str], dimensions: dict[str, str], duplicates: int
) -> Iterator[Candidate]:
    """Divide a volume at its gaps: what was never sent is not invented."""
    along = np.array([f.position for f in frames]) @ normal_of(frames[0].orientation)
    intervals = np.diff(along)
    pieces = [frames]
    refusal = ""
    if len(frames) >= LEAST_SLICES:
        gaps = _gaps(intervals, [frame.thickness for frame in frames])
        if gaps is None:
            refusal = "irregular_spacing"
        elif gaps.size:
            findings = [*findings, "gap"]
            ends = [0, *(gaps + 1).tolist(), len(frames)]
            pieces = [frames[a:b] for a, b in pairwise(ends)]
    for number, piece in enumerate(pieces):
        own = {**dimensions, "piece": str(number)} if len(pieces) > 1 else dimensions
        too_few = "" if len(piece) >= LEAST_SLICES else "too_few_slices"
        yield Candidate(
            tuple(piece), tuple(findings), refusal or too_few, own, duplicates if not number else 0
        )


def _gaps(
    intervals: NDArray[np.float64], thicknesses: list[float | None]
) -> NDArray[np.int64] | None:
    """Numbers of the intervals with room for a slice; None where the spacing has no rule."""
    share = shares_of_usual(intervals, thicknesses)
    if share is None:
        if all(thicknesses):
            thick = np.array(thicknesses, np.float64)
            share = intervals / ((thick[:-1] + thick[1:]) / 2)
            return None if share.max() > GAP_FACTOR else np.empty(0, np.int64)
        return None if intervals.max() > _UNEVEN * intervals.min() else np.empty(0, np.int64)
    return np.flatnonzero(share > GAP_FACTOR)
