"""The volumes of a study on isotropic grids: its MR sequences on one, laid on each other.

Belongs here: which volumes go together, and the order of the steps. The steps are in
`slice_artifacts.py`, `intensities.py`, `registration.py` and `resampling.py`.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import SimpleITK as sitk

from hc_assets.core.fence import InternalError, fenced
from hc_assets.imaging.volumes.geometry import spacing_of
from hc_assets.imaging.volumes.intensities import normalised, tissue_range, without_bias
from hc_assets.imaging.volumes.registration import Registration, register, transform_of
from hc_assets.imaging.volumes.resampling import isotropic, smoothed
from hc_assets.imaging.volumes.rows import Row
from hc_assets.imaging.volumes.slice_artifacts import destriped, evened, examine
from hc_assets.imaging.volumes.volume import Volume, from_image, to_image

BEYOND_LIMIT = "beyond_limit"
"""Verdict of the volumes of series that are too many in one study."""


@dataclass(frozen=True)
class Aligned:
    """A volume on the isotropic grid of its group.

    Attributes:
        source: row of the volume that it was made of.
        reference: row of the volume whose grid it is on.
        verdict: reference, alone, with_series, one_too_many, beyond_limit, that of its
            registration, or the text of an `InternalError`.
        registration: how it was laid on the reference, with_series that of the first of its series;
            None for the reference itself and what moves with it.
        corrections: stripes, gains, bias: what was mended before, in that order.
        volume: the voxels; 0 to 1 where `value_range` is not None; None where it is one too many of
            its series, or beyond the limit.
        value_range: values that became 0 and 1; None where the units were kept.
        kept: its row, where it is taken over as it was; None where it was aligned now.
    """

    source: Row
    reference: Row
    verdict: str
    registration: Registration | None
    corrections: tuple[str, ...] = ()
    volume: Volume | None = None
    value_range: tuple[float, float] | None = None
    kept: Row | None = None


def groups_of(rows: Sequence[Row]) -> list[list[Row]]:
    """Decide which volumes of a study go onto one grid.

    Args:
        rows: of `imaging/volumes`, those that are volumes.

    Returns:
        The MR volumes: the first of each series, the finest in front, which is the reference; then
        the others of each series, which move as their first does. Every volume that is not MR is
        alone, in its own units.
    """
    first: dict[str, Row] = {}
    others: list[Row] = []
    alone: list[list[Row]] = []
    for row in sorted(rows, key=lambda row: (row["series_instance_uid"], row["volume"])):
        if row["modality"] != "MR":
            alone.append([row])
        elif first.setdefault(row["series_instance_uid"], row) is not row:
            others.append(row)
    together = [*sorted(first.values(), key=_coarseness), *others]
    return ([together] if together else []) + alone


def first_series(groups: Sequence[Sequence[Row]], most: int) -> tuple[list[list[Row]], list[Row]]:
    """Divide the volumes of a study by a limit of series.

    Args:
        groups: as `groups_of` has them.
        most: series that are kept, in that order.

    Returns:
        The groups without the volumes of further series, and those volumes.
    """
    order = dict.fromkeys(row["series_instance_uid"] for group in groups for row in group)
    kept = set(list(order)[:most])
    left_out = [row for group in groups for row in group if row["series_instance_uid"] not in kept]
    within = ([row for row in group if row["series_instance_uid"] in kept] for group in groups)
    return [group for group in within if group], left_out


def _coarseness(row: Row) -> tuple[float, int, str]:
    spacing, shape = row["spacing_mm"], row["shape"]
    return (round(float(np.prod(spacing)), 3), -int(np.prod(shape)), row["volume_id"])


def align(
    group: Sequence[Row],
    load: Callable[[Row], Volume],
    *,
    spacing_mm: float,
    correct_bias: bool,
    per_series: int,
    kept: Callable[[Row], Aligned | None] = lambda _: None,
) -> Iterator[Aligned]:
    """Bring the volumes of a group onto one isotropic grid, that of the first.

    Args:
        group: rows of volumes, in the order of `groups_of`.
        load: returns the voxels of a row; besides the reference one is held at a time.
        spacing_mm: of the grid.
        correct_bias: whether the bias field of MR magnitudes is taken out.
        per_series: volumes of one series that are brought onto the grid; of the others, the
            transform is recorded.
        kept: returns a volume as it was where it need not be aligned, with its registration.

    Yields:
        The volumes in the order of the group. What is raised (`core/fence.py`) for one is its
        verdict; where the first can't be used, the next is what the others are laid on.
    """
    as_before = {row["volume_id"]: held for row in group if (held := kept(row)) is not None}
    if len(as_before) == len(group):
        yield from as_before.values()
        return
    left = list(group)
    while left:
        reference = left.pop(0)
        start = fenced(_started, reference, load, spacing_mm, correct_bias)
        if isinstance(start, InternalError):
            yield failed(reference, reference, start)  # the next one is the reference
            as_before = {}
            continue
        fixed, grid, corrections = start
        del start
        verdict = "reference" if left else "alone"
        first = Aligned(reference, reference, verdict, None, corrections)
        is_kept = reference["volume_id"] in as_before
        scaled = as_before[reference["volume_id"]] if is_kept else fenced(_scaled, first, grid)
        yield _or_failure(scaled, reference, reference)
        break
    if not left:
        return
    found: dict[str, Registration | None] = {reference["series_instance_uid"]: None}
    counts = Counter([reference["series_instance_uid"]])

    def moved(row: Row) -> Aligned:
        series = row["series_instance_uid"]
        if counts[series] >= per_series:
            return Aligned(row, reference, "one_too_many", found[series])
        moving, corrections = _mended(row, load(row), correct_bias)
        verdict, registration = "with_series", found.get(series)
        if series not in found:
            frame = row["frame_of_reference_uid"]
            is_same_frame = frame is not None and frame == reference["frame_of_reference_uid"]
            registration = register(fixed, moving, is_same_frame=is_same_frame)
            verdict = registration.verdict
        made = Aligned(row, reference, verdict, registration, corrections)
        return _scaled(made, _resampled_onto(moving, grid, registration))

    for row in left:
        is_kept = row["volume_id"] in as_before
        made = as_before[row["volume_id"]] if is_kept else fenced(moved, row)
        if isinstance(made, Aligned):
            found.setdefault(row["series_instance_uid"], made.registration)
            counts[row["series_instance_uid"]] += 1
        yield _or_failure(made, row, reference)
        del made


def failed(source: Row, reference: Row, error: InternalError) -> Aligned:
    """What stands for a volume that was given up: it stays where its coordinates put it."""
    return Aligned(source, reference, error.text, None)


def _or_failure(made: Aligned | InternalError, source: Row, reference: Row) -> Aligned:
    return failed(source, reference, made) if isinstance(made, InternalError) else made


def _started(
    reference: Row, load: Callable[[Row], Volume], spacing_mm: float, correct_bias: bool
) -> tuple[Volume, Volume, tuple[str, ...]]:
    fixed, corrections = _mended(reference, load(reference), correct_bias)
    return fixed, isotropic(fixed, spacing_mm), corrections


def _resampled_onto(moving: Volume, grid: Volume, found: Registration | None) -> Volume:
    image = smoothed(to_image(moving), spacing_of(grid.affine))
    transform = transform_of(np.eye(4) if found is None else found.matrix)
    resampled = sitk.Resample(image, to_image(grid), transform, sitk.sitkLinear, moving.fill)
    return from_image(resampled, moving.fill)


def _is_magnitude(row: Row, volume: Volume) -> bool:
    return row["modality"] == "MR" and volume.fill >= 0


def _mended(row: Row, volume: Volume, correct_bias: bool) -> tuple[Volume, tuple[str, ...]]:
    if not _is_magnitude(row, volume):
        return volume, ()
    done = []
    voxels, findings = volume.voxels, examine(volume.voxels)
    if findings.is_striped.any():
        voxels = destriped(voxels, findings)
        done.append("stripes")
    if findings.is_uneven:
        voxels = evened(voxels, findings)
        done.append("gains")
    mended = Volume(voxels, volume.affine, volume.fill)
    if correct_bias:
        unbiased = without_bias(mended)
        if unbiased is not mended:
            done.append("bias")
        mended = unbiased
    return mended, tuple(done)


def _scaled(made: Aligned, volume: Volume) -> Aligned:
    """With the voxels: magnitudes from 0 to 1, others as they are."""
    if not _is_magnitude(made.source, volume):
        return replace(made, volume=volume)
    low, high = tissue_range(volume.voxels)
    scaled = Volume(normalised(volume.voxels, low, high), volume.affine, 0.0)
    return replace(made, volume=scaled, value_range=(low, high))
