"""A series in, rows of volumes and of slices out: each frame is in a volume or has a verdict.

Belongs here: turning outcomes into rows. Dividing the series is in `splitting.py`, reading it in
`assembly.py`; writing the rows is in `workers.py`.
"""

import hashlib
from collections.abc import Hashable, Iterator, Sequence, Set
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa

from hc_assets.core.fence import InternalError, fenced, fenced_each
from hc_assets.imaging.series.instances import Instance, distinct
from hc_assets.imaging.series.stacks import plane_name
from hc_assets.imaging.volumes.assembly import Assembled, NoVolumeError, assemble
from hc_assets.imaging.volumes.geometry import ras_from_lps, spacing_of
from hc_assets.imaging.volumes.nifti import fits_int16
from hc_assets.imaging.volumes.pictures import picture_of
from hc_assets.imaging.volumes.placing import Gates, Placed, placed_frames
from hc_assets.imaging.volumes.schemas import VOLUME_SLICES, VOLUMES
from hc_assets.imaging.volumes.slice_artifacts import SliceFindings, examine, no_findings
from hc_assets.imaging.volumes.splitting import Candidate, PlacedFrame, candidates

_BATCH_BYTES = 16 * 1024**2

Row = dict[str, Any]
# Hash of voxels, and what tells their first frame from others at its place
_Known = tuple[str, Hashable]


@dataclass(frozen=True)
class Made:
    """A row of `imaging/volumes`, with rows of `imaging/volume_slices` where it is a volume.

    The slices are views of the voxels: who has written them takes them off the list.
    """

    row: Row
    slices: list[pa.RecordBatch] = field(default_factory=list)


def volumes_of(
    files: Sequence[Instance], paths: Sequence[Path], gates: Gates, *, limit: int
) -> Iterator[Made]:
    """Make the volumes of a series, one in memory at a time.

    Args:
        files: index rows of the series, at least one with pixels.
        paths: where each file is.
        gates: the decoded frames of the series, and whether each passes the gate.
        limit: bytes that the slices of one volume may take up.

    Yields:
        At least one: volumes, and what frames make none. What is raised (`core/fence.py`) for a
        volume, or for the series, is the verdict of a row.
    """
    number = 0
    for made in fenced_each(_volumes_of(files, paths, gates, limit=limit)):
        if isinstance(made, InternalError):
            yield failed_series(files, made, number=number)
        else:
            number += 1
            yield made


def failed_series(files: Sequence[Instance], error: InternalError, *, number: int = 0) -> Made:
    """What stands for a series, or for the rest of it from a number on, that was given up."""
    frames = sum(file["frames"] or 0 for file in files)
    row = _series_columns(files) | {"volume": number, "frames": frames, "findings": []}
    return Made(row | {"verdict": error.text})


def _volumes_of(
    files: Sequence[Instance], paths: Sequence[Path], gates: Gates, *, limit: int
) -> Iterator[Made]:
    kept = distinct(files)
    where = {id(file): path for file, path in zip(files, paths, strict=True)}
    kept_paths = [where[id(file)] for file in kept]
    placed = placed_frames(kept, gates)
    common = _series_columns(files)
    noted = _series_findings(files, placed)
    seen: set[_Known] = set()
    number = 0
    for refused in _refused(placed):
        yield Made(common | {"volume": number, "findings": noted} | refused)
        number += 1
    for candidate in candidates(placed.frames):
        row = common | {"volume": number} | _candidate_columns(candidate, noted)
        number += 1
        made = fenced(_made, row, candidate, kept, kept_paths, seen=seen, limit=limit)
        yield _or_failure(made, row, candidate, seen)


def _made(
    row: Row,
    candidate: Candidate,
    files: Sequence[Instance],
    paths: Sequence[Path],
    *,
    seen: Set[_Known],
    limit: int,
) -> Made:
    """Make a volume, unless its voxels are among those that were seen, with the same dimensions.

    Equal voxels of another time, or another direction of diffusion, are another volume.
    """
    try:
        if all(frame.passes_gate is False for frame in candidate.frames):
            raise NoVolumeError("below_gate")
        assembled = assemble(candidate, paths, limit=limit)
        digest = assembled.volume.content_sha256()
        if (digest, candidate.frames[0].dimensions) in seen:
            raise NoVolumeError("repeated")
    except NoVolumeError as error:
        return Made(row | {"verdict": error.verdict})
    found = _examined(assembled)
    row = row | _volume_columns(row, assembled, found, digest)
    # A row that does not fit shall cost itself, not those that it would be written with
    pa.RecordBatch.from_pylist([row], VOLUMES)
    return Made(row, list(_slices(row, assembled, found, candidate.frames, files)))


def _or_failure(
    made: Made | InternalError, row: Row, candidate: Candidate, seen: set[_Known]
) -> Made:
    if isinstance(made, InternalError):
        return Made(row | {"verdict": made.text})
    if made.slices:
        seen.add((made.row["content_sha256"], candidate.frames[0].dimensions))
    return made


def volume_id(series_uid: str, number: int) -> str:
    """Id of a volume: it names files, so it holds no UID."""
    return hashlib.sha256(f"{series_uid}/{number}".encode()).hexdigest()[:16]


def _examined(made: Assembled) -> SliceFindings:
    """Examine magnitudes and Hounsfield units; other signed values, as phases, have no air."""
    if made.units == "HU" or made.volume.fill >= 0:
        return examine(made.volume.voxels)
    return no_findings(len(made.volume.voxels))


def _series_columns(files: Sequence[Instance]) -> Row:
    names = (
        *("study_instance_uid", "series_instance_uid", "patient_id", "modality", "body_part"),
        *("series_description", "frame_of_reference_uid"),
    )
    row: Row = dict.fromkeys(VOLUMES.names)
    row |= {name: files[0][name] for name in names}
    return row | {"frames_below_gate": 0, "duplicate_frames": 0, "dimensions": "{}"}


def _series_findings(files: Sequence[Instance], placed: Placed) -> list[str]:
    noted = ["undecodable_frames"] if placed.undecodable else []
    hashes: dict[str, set[str]] = {}
    for file in files:
        if file["sop_instance_uid"] is not None:
            hashes.setdefault(file["sop_instance_uid"], set()).add(file["file_sha256"])
    if any(len(each) > 1 for each in hashes.values()):
        noted.append("conflicting_instances")
    return noted


def _refused(placed: Placed) -> Iterator[Row]:
    """Rows for frames that never became candidates; all of a series' frames are in some row."""
    counts = {
        "no_positions": placed.unplaced,
        "undecodable": placed.undecodable,
        "unknown_mosaic": placed.unknown_mosaics,
        "not_acquired": placed.captured,
    }
    for verdict, frames in counts.items():
        if frames > 0:
            yield {"verdict": verdict, "frames": frames}


def _candidate_columns(candidate: Candidate, noted: list[str]) -> Row:
    below = sum(frame.passes_gate is False for frame in candidate.frames)
    findings = [*noted, *candidate.findings]
    return {
        "frames": len(candidate.frames),
        "frames_below_gate": below,
        "duplicate_frames": candidate.duplicates,
        "dimensions": msgspec.json.encode(candidate.dimensions).decode(),
        "b_value": _common([frame.b_value for frame in candidate.frames]),
        "gradient_direction": _common([frame.gradient for frame in candidate.frames]),
        "image_type": _common([frame.image_type for frame in candidate.frames]),
        "echo": _common([frame.echo for frame in candidate.frames]),
        "acquired_s": min(
            (f.seconds for f in candidate.frames if f.seconds is not None), default=None
        ),
        "findings": [*findings, "below_gate_frames"] if below else findings,
    }


def _common(values: Sequence[Any]) -> Any:
    """What all frames have; None where they differ."""
    return values[0] if len(set(values)) == 1 else None


def _volume_columns(row: Row, made: Assembled, found: SliceFindings, digest: str) -> Row:
    volume, lineup = made.volume, made.lineup
    own = [name for name in made.findings if name not in row["findings"]]
    marks = {
        "outlier_slices": found.is_outlier.any(),
        "uneven_slices": found.is_uneven,
        "striped_slices": found.is_striped.any(),
    }
    return {
        "volume_id": volume_id(row["series_instance_uid"], row["volume"]),
        "verdict": made.verdict,
        "findings": [*row["findings"], *own, *(name for name, is_so in marks.items() if is_so)],
        "shape": list(volume.voxels.shape),
        "spacing_mm": list(spacing_of(volume.affine))[::-1],
        "affine_lps": volume.affine.ravel().tolist(),
        "affine_ras": ras_from_lps(volume.affine).ravel().tolist(),
        "plane": plane_name([*lineup.axes[:, 0], *lineup.axes[:, 1]]),
        "tilt_deg": lineup.tilt_deg,
        "least_spacing_mm": float(lineup.intervals.min()),
        "greatest_spacing_mm": float(lineup.intervals.max()),
        "units": made.units or None,
        "is_integral": fits_int16(volume.voxels),
        "least_value": float(volume.voxels.min()),
        "greatest_value": float(volume.voxels.max()),
        "fill_value": volume.fill,
        "outlier_slices": int(found.is_outlier.sum()),
        "striped_slices": int(found.is_striped.sum()),
        "slice_gain_spread": found.gain_spread,
        "content_sha256": digest,
        "picture": picture_of(volume),
    }


def _slices(
    row: Row,
    made: Assembled,
    found: SliceFindings,
    frames: Sequence[PlacedFrame],
    files: Sequence[Instance],
) -> Iterator[pa.RecordBatch]:
    """Rows of the slices, some 16 MB at a time."""
    voxels, affine = made.volume.voxels, made.volume.affine
    at_once = max(1, _BATCH_BYTES // voxels[0].nbytes)
    keys = {name: row[name] for name in ("volume_id", "volume")}
    keys |= {name: row[name] for name in ("study_instance_uid", "series_instance_uid")}
    for start in range(0, len(voxels), at_once):
        rows = []
        for number in range(start, min(start + at_once, len(voxels))):
            source = frames[round(made.sources[number])]
            file = files[source.file]
            rows.append(
                keys
                | {
                    "slice": number,
                    "position": (affine[:3, 3] + number * affine[:3, 2]).tolist(),
                    "source_slice": made.sources[number],
                    "frame": source.frame,
                    "gain": _or_none(found.gain[number]),
                    "likeness": _or_none(found.likeness[number]),
                    "stripe_level": _or_none(found.stripe_level[number]),
                    "is_outlier": bool(found.is_outlier[number]),
                    "is_striped": bool(found.is_striped[number]),
                }
                | {name: file[name] for name in ("batch", "source_file", "sop_instance_uid")}
            )
        yield slice_batch(rows, voxels[start : start + at_once], VOLUME_SLICES)


def slice_batch(
    rows: Sequence[Row], voxels: np.ndarray[Any, Any], schema: pa.Schema
) -> pa.RecordBatch:
    """Make rows of slices, whose voxels go into Arrow without a detour over Python numbers.

    Args:
        rows: all columns but voxels.
        voxels: the slices, as many as rows.
        schema: whose last column is voxels.
    """
    size = voxels[0].size
    offsets = pa.array(np.arange(len(rows) + 1, dtype=np.int32) * size)
    flat = pa.array(np.ascontiguousarray(voxels, np.float32).reshape(-1))
    columns = [pa.array([row[f.name] for row in rows], f.type) for f in list(schema)[:-1]]
    columns.append(pa.ListArray.from_arrays(offsets, flat, schema.field("voxels").type))
    return pa.RecordBatch.from_arrays(columns, schema=schema)


def _or_none(value: np.float64) -> float | None:
    return float(value) if np.isfinite(value) else None
