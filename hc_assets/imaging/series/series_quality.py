"""Quality over the slices of a series: how steady it is, and which slices stand out.

Belongs here: comparing the slices of one series with their neighbours. What a slice's score is made
of is in `imaging/quality/measure.py`; comparing batches is in `imaging/verdicts/drift.py`.
"""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from hc_assets.core.fence import InternalError, fenced
from hc_assets.imaging.fenced_batches import Row, whole_batch
from hc_assets.imaging.schemas.quality import SERIES_QUALITY

METRIC_COLUMNS = [
    "source_file",
    "series_instance_uid",
    "frame",
    "modality",
    "scanner",
    "overall_quality",
    "passes_gate",
]
INDEX_COLUMNS = ["source_file", "instance_number", "image_position", "image_orientation"]

_LEAST_SLICES = 5
_NEIGHBOURS = 2
# 3.5 robust deviations (Iglewicz and Hoaglin, 1993), and no less than what is worth a look
_DEVIATIONS, _LEAST_DEVIATION = 3.5, 0.05
_MAD_TO_DEVIATION = 1.4826


@dataclass(frozen=True)
class Steadiness:
    """How the scores of neighbouring slices agree.

    Attributes:
        consistency: 1 less the median difference of a slice from its neighbours, 0 to 1.
        expected: of each slice, the median score of the two on either side.
        outliers: numbers of the slices that stand out from that.
    """

    consistency: float
    expected: NDArray[np.float64]
    outliers: NDArray[np.intp]


def steadiness(scores: Sequence[float]) -> Steadiness | None:
    """Compare each slice with its neighbours.

    Args:
        scores: 0 to 1, in the order of the slices. Quality may change along a body, slowly.

    Returns:
        None for fewer than five slices.
    """
    if len(scores) < _LEAST_SLICES:
        return None
    values = np.array(scores, np.float64)
    expected = np.array([np.median(_around(values, at)) for at in range(values.size)])
    apart = values - expected
    spread = _MAD_TO_DEVIATION * float(np.median(np.abs(apart)))
    least = max(_LEAST_DEVIATION, _DEVIATIONS * spread)
    return Steadiness(
        consistency=1 - float(np.median(np.abs(apart))),
        expected=expected,
        outliers=np.flatnonzero(np.abs(apart) > least),
    )


def _around(values: NDArray[np.float64], at: int) -> NDArray[np.float64]:
    # As many on either side, so that a slope along the body cancels out
    reach = max(1, min(_NEIGHBOURS, at, values.size - 1 - at))
    low, high = max(0, at - reach), min(values.size, at + reach + 1)
    return np.concatenate([values[low:at], values[at + 1 : high]])


def series_rows(batch: str, metrics: pa.Table, index: pa.Table) -> Iterator[pa.RecordBatch]:
    """Make the rows of `imaging/series_quality`.

    Args:
        batch: key of the batch.
        metrics: its frames, with `METRIC_COLUMNS`.
        index: its files, with `INDEX_COLUMNS`.

    Yields:
        One batch of rows, a series each, ordered by UID; frames without SeriesInstanceUID count
        nowhere. A series for which anything is raised (`core/fence.py`) has a row with the reason.
    """
    files = {row["source_file"]: row for row in index.to_pylist()}
    series: dict[str, list[Row]] = defaultdict(list)
    for row in metrics.to_pylist():
        if row["series_instance_uid"] is not None:
            series[row["series_instance_uid"]].append(row)
    rows = [_row_or_failure(batch, uid, series[uid], files) for uid in sorted(series)]
    if rows:
        yield whole_batch(rows, SERIES_QUALITY, _failed_row)


def _row_or_failure(batch: str, uid: str, frames: list[Row], files: dict[str, Row]) -> Row:
    made = fenced(_series_row, batch, uid, frames, files)
    if not isinstance(made, InternalError):
        return made
    keys = {"batch": batch, "series_instance_uid": uid, "frames": len(frames)}
    return _failed_row(keys, made)


def _failed_row(row: Row, error: InternalError) -> Row:
    """Row of a series that could not be compared; nothing is said of its quality."""
    counts = dict.fromkeys(("scored_frames", "passing_frames", "outlier_frames"), 0)
    known = {name: row[name] for name in ("batch", "series_instance_uid", "frames")}
    return (
        dict.fromkeys(SERIES_QUALITY.names)
        | known
        | counts
        | {"outliers": [], "reason": error.text}
    )


def _place(row: Row) -> tuple[float, float]:
    """Position along the normal of the slice, in mm, and InstanceNumber; 0 where unknown."""
    position, orientation = row["image_position"], row["image_orientation"]
    along = 0.0
    if position and orientation and len(position) == 3 and len(orientation) == 6:
        normal = np.cross(orientation[:3], orientation[3:])
        along = round(float(np.dot(normal, position)), 3)
    return along, float(row["instance_number"] or 0)


def _order(frame: Row, places: dict[str, tuple[float, float]]) -> tuple[float, float, str, int]:
    along, number = places.get(frame["source_file"], (0.0, 0.0))
    return along, number, frame["source_file"], frame["frame"]


def _series_row(batch: str, uid: str, unsorted: list[Row], files: dict[str, Row]) -> Row:
    names = {frame["source_file"] for frame in unsorted}
    places = {name: _place(files[name]) for name in names if name in files}
    frames = sorted(unsorted, key=lambda frame: _order(frame, places))
    scored = [frame for frame in frames if frame["overall_quality"] is not None]
    scores = [frame["overall_quality"] for frame in scored]
    steady = steadiness(scores)
    outliers = [] if steady is None else steady.outliers.tolist()
    return {
        "batch": batch,
        "series_instance_uid": uid,
        "modality": frames[0]["modality"],
        "scanner": frames[0]["scanner"],
        "frames": len(frames),
        "scored_frames": len(scored),
        "passing_frames": sum(bool(frame["passes_gate"]) for frame in scored),
        "quality_median": float(np.median(scores)) if scores else None,
        "quality_minimum": min(scores, default=None),
        "quality_maximum": max(scores, default=None),
        "slice_consistency": None if steady is None else steady.consistency,
        "outlier_frames": len(outliers),
        "outliers": [
            {
                "source_file": scored[at]["source_file"],
                "frame": scored[at]["frame"],
                "overall_quality": scores[at],
                "expected_quality": None if steady is None else float(steady.expected[at]),
            }
            for at in outliers
        ],
    }
