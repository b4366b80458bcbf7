"""What the files of a series make together: slices, spacing, gaps, and whether all are there.

Belongs here: one row per series. The geometry is in `stacks.py`, reading the files in
`instances.py`; schema and meaning of the columns in `imaging/schemas/index.py`.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from hc_assets.core.fence import InternalError, fenced
from hc_assets.imaging.schemas.series import SERIES
from hc_assets.imaging.series.instances import Instance, distinct, planes_of
from hc_assets.imaging.series.stacks import Stack, plane_name, stacks_of

# A hostile header may name any number; no series has more instances
_MOST_INSTANCES = 10_000_000
_POSITIONS = "positions of the slices"


@dataclass(frozen=True)
class Expectation:
    """How many instances there should be.

    Attributes:
        instances: the number.
        source: the attribute that says so, or what it was concluded from.
    """

    instances: int
    source: str


def row_or_failure(files: Sequence[Instance]) -> dict[str, Any]:
    """As `series_row`; what is raised (`core/fence.py`) is the warning of a row without values."""
    made = fenced(series_row, files)
    if not isinstance(made, InternalError):
        return made
    keys = {name: files[0][name] for name in ("study_instance_uid", "series_instance_uid")}
    batches = sorted({file["batch"] for file in files})
    return failed_row(keys | {"batches": batches, "files": len(files)}, made)


def failed_row(row: Mapping[str, Any], error: InternalError) -> dict[str, Any]:
    """Row of a series of which nothing could be said.

    Args:
        row: its UIDs, batches and number of files.
        error: what was raised.
    """
    known = ("study_instance_uid", "series_instance_uid", "batches", "files")
    return (
        dict.fromkeys(SERIES.names)
        | dict.fromkeys(_COUNTS, 0)
        | {name: row[name] for name in known}
        | {"sop_class_uids": [], "warnings": [error.text]}
    )


_COUNTS = (
    *("instances", "conflicting_instances", "frames", "stacks", "slices"),
    "duplicate_positions",
)


def series_row(files: Sequence[Instance]) -> dict[str, Any]:
    """Describe a series.

    Args:
        files: its index rows, at least one, as `instances.read_series` gives them.

    Returns:
        The columns of `schemas.SERIES`.
    """
    instances = distinct(files)
    stacks = stacks_of(plane for instance in instances for plane in planes_of(instance))
    expected = expectation(instances, stacks)
    warnings: list[str] = []
    row = {name: _common(files, name, warnings) for name in _COMMON}
    first = instances[0]
    row |= {
        "study_instance_uid": first["study_instance_uid"],
        "series_instance_uid": first["series_instance_uid"],
        "batches": sorted({file["batch"] for file in files}),
        "sop_class_uids": sorted({i["sop_class_uid"] for i in instances if i["sop_class_uid"]}),
        "files": len(files),
        "instances": len(instances),
        "conflicting_instances": _conflicting(files),
        "frames": sum(instance["frames"] or 0 for instance in instances),
        "missing_instance_numbers": _missing_numbers(instances),
        "expected_instances": expected.instances if expected else None,
        "expected_from": expected.source if expected else None,
        "missing_instances": max(0, expected.instances - len(instances)) if expected else None,
        "is_complete": _is_complete(instances, expected),
    }
    row |= _diffusion(instances)
    row |= _geometry(stacks)
    if row["modality"] in _WITHOUT_EMPTY_SLICES:
        row["missing_slices"] = None
    row["warnings"] = warnings
    return row


def _diffusion(instances: Sequence[Instance]) -> dict[str, Any]:
    sent = [b for instance in instances for b in instance["b_values"] or () if b is not None]
    directions = {
        tuple(round(value, 4) for value in direction)
        for instance in instances
        for direction in instance["gradient_directions"] or ()
        if direction is not None
    }
    return {
        "b_values": sorted(set(sent)) or None,
        "gradient_directions": len(directions) if sent else None,
    }


# A segmentation need not hold frames without a segment (PS3.3 C.8.20.2)
_WITHOUT_EMPTY_SLICES = frozenset(["SEG"])


def _is_complete(instances: Sequence[Instance], expected: Expectation | None) -> bool | None:
    if expected is None:
        return None
    if expected.instances > len(instances):
        return False
    # Positions do not show that a whole time point or the end of a stack is missing; a hole in the
    # numbers does not prove it either
    is_certain = expected.source != _POSITIONS or _missing_numbers(instances) == 0
    return True if is_certain else None


# One value for the whole series; null, with a warning, where files differ
_COMMON = (
    *("patient_id", "modality", "series_number", "series_description", "body_part"),
    *("frame_of_reference_uid", "rows", "columns", "pixel_spacing", "slice_thickness"),
    "gantry_tilt",
)


def _common(files: Sequence[Instance], name: str, warnings: list[str]) -> Any:
    found = {_hashable(file[name]): file[name] for file in files if file[name] is not None}
    if len(found) > 1:
        warnings.append(f"{name} differs: {len(found)} values")
        return None
    return next(iter(found.values()), None)


def _hashable(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


def _conflicting(files: Sequence[Instance]) -> int:
    hashes: dict[str, set[str]] = {}
    for file in files:
        if file["sop_instance_uid"] is not None:
            hashes.setdefault(file["sop_instance_uid"], set()).add(file["file_sha256"])
    return sum(len(each) > 1 for each in hashes.values())


def _missing_numbers(instances: Sequence[Instance]) -> int | None:
    """Count the InstanceNumbers that are lacking between the least and the greatest.

    None where some instance has no number, or two have the same: then numbers say nothing.
    """
    numbers = [instance["instance_number"] for instance in instances]
    if None in numbers or len(set(numbers)) < len(numbers):
        return None
    missing = max(numbers) - min(numbers) + 1 - len(numbers)
    return missing if missing < _MOST_INSTANCES else None


_OF_STACKS = (
    *("missing_slices", "frames_per_position", "image_orientation", "plane", "slice_spacing_mm"),
    *("least_spacing_mm", "greatest_spacing_mm", "stack_tilt_deg"),
)


def _geometry(stacks: Sequence[Stack]) -> dict[str, Any]:
    if not stacks:
        counts = {"stacks": 0, "slices": 0, "duplicate_positions": 0}
        return dict.fromkeys(_OF_STACKS) | counts
    largest = stacks[0]
    judged = [stack.missing_slices for stack in stacks if stack.missing_slices is not None]
    return {
        "stacks": len(stacks),
        "slices": sum(stack.slices for stack in stacks),
        "duplicate_positions": sum(stack.duplicate_positions for stack in stacks),
        "missing_slices": sum(judged) if judged else None,
        "frames_per_position": largest.frames_per_position,
        "image_orientation": list(largest.orientation),
        "plane": plane_name(largest.orientation),
        "slice_spacing_mm": largest.spacing,
        "least_spacing_mm": largest.least_spacing,
        "greatest_spacing_mm": largest.greatest_spacing,
        "stack_tilt_deg": largest.tilt,
    }


def expectation(instances: Sequence[Instance], stacks: Sequence[Stack]) -> Expectation | None:
    """Find out how many instances a series should have.

    Args:
        instances: each once.
        stacks: of their planes.

    Returns:
        The greatest of what the sources say: NumberOfSeriesRelatedInstances; the concatenation's
        total; slices times time slices of PET; ImagesInAcquisition where the series is one
        acquisition; the gaps in its stacks. None where no source says anything.
    """
    found = [source(instances) for source in _SOURCES]
    found.append(_from_geometry(instances, stacks))
    expected = [each for each in found if each is not None]
    return max(expected, key=lambda each: each.instances, default=None)


def _related(instances: Sequence[Instance]) -> Expectation | None:
    return _largest(instances, "series_related_instances", "NumberOfSeriesRelatedInstances")


def _concatenation(instances: Sequence[Instance]) -> Expectation | None:
    totals: dict[str, int] = {}
    for instance in instances:
        total = _count(instance["concatenation_total"])
        if instance["concatenation_uid"] and total:
            totals[instance["concatenation_uid"]] = total
    others = sum(not instance["concatenation_uid"] for instance in instances)
    if not totals:
        return None
    return Expectation(sum(totals.values()) + others, "InConcatenationTotalNumber")


def _pet(instances: Sequence[Instance]) -> Expectation | None:
    slices = _largest(instances, "number_of_slices", "NumberOfSlices")
    if slices is None or {instance["modality"] for instance in instances} != {"PT"}:
        return None
    if any((instance["frames"] or 1) > 1 for instance in instances):
        return None  # then slices are frames, not instances
    times = _largest(instances, "number_of_time_slices", "")
    return Expectation(slices.instances * (times.instances if times else 1), "NumberOfSlices")


def _acquisition(instances: Sequence[Instance]) -> Expectation | None:
    if len({instance["acquisition_number"] for instance in instances}) > 1:
        return None
    if any((instance["frames"] or 1) > 1 for instance in instances):
        return None
    return _largest(instances, "images_in_acquisition", "ImagesInAcquisition")


_SOURCES: tuple[Callable[[Sequence[Instance]], Expectation | None], ...] = (
    _related,
    _concatenation,
    _pet,
    _acquisition,
)


def _from_geometry(instances: Sequence[Instance], stacks: Sequence[Stack]) -> Expectation | None:
    judged = [stack for stack in stacks if stack.missing_slices is not None]
    if not judged or any((instance["frames"] or 1) > 1 for instance in instances):
        return None
    missing = sum(
        (stack.missing_slices or 0) * stack.frames_per_position + stack.missing_frames
        for stack in judged
    )
    return Expectation(len(instances) + missing, _POSITIONS)


def _largest(instances: Sequence[Instance], name: str, source: str) -> Expectation | None:
    counts = [_count(instance[name]) for instance in instances]
    # The commonest: what one odd file says is no expectation of all
    common = Counter(count for count in counts if count).most_common()
    if not common:
        return None
    most = max(times for _, times in common)
    return Expectation(max(count for count, times in common if times == most), source)


def _count(text: str | None) -> int | None:
    if text is None or not text.isascii() or not text.isdecimal() or len(text) > 8:
        return None
    count = int(text)
    return count if 0 < count <= _MOST_INSTANCES else None
