"""From files to rows of `imaging/quality_metrics` and `imaging/undecodable_frames`.

Belongs here: turning what was measured into rows, so that each frame is in exactly one table.
Decoding is in `pixels/frames.py`, measuring in `measure.py`; writing the rows is in `workers.py`.
"""

from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from typing import Any

import pyarrow as pa

from hc_assets.core.fence import InternalError, fenced
from hc_assets.core.places import at
from hc_assets.imaging.fenced_batches import divided_batch
from hc_assets.imaging.headers.dataset_encoding import LIMITS_OF_INDEXED
from hc_assets.imaging.headers.file_work import FileToRead
from hc_assets.imaging.headers.read import read_header
from hc_assets.imaging.headers.reading import UnreadableFile
from hc_assets.imaging.pixels.decoding import UndecodableFrame, fenced_frame
from hc_assets.imaging.pixels.frames import Frame, frames_of
from hc_assets.imaging.quality.artifacts import ARTIFACTS
from hc_assets.imaging.quality.burned_in_text import burned_in_text
from hc_assets.imaging.quality.gates import Rules, explain, is_fit_for_training
from hc_assets.imaging.quality.image_kinds import ACQUISITION, image_kind
from hc_assets.imaging.quality.magnetic_resonance import NAMES as MR_NAMES
from hc_assets.imaging.quality.measure import METHODS, Quality, measure, unmeasured
from hc_assets.imaging.schemas.index import UNDECODABLE_FRAMES
from hc_assets.imaging.schemas.quality import METRIC_NAMES, QUALITY_METRICS

_ROWS = 500


@dataclass(frozen=True)
class ScoreBatch:
    """Rows of `quality_metrics` and of `undecodable_frames`; each frame is in exactly one."""

    metrics: pa.RecordBatch
    undecodable: pa.RecordBatch


def score_files(
    files: Iterable[FileToRead], batch: str, *, rules: Rules, most_rows: int = _ROWS
) -> Iterator[ScoreBatch]:
    """Decode and measure every frame of each file.

    Args:
        files: whose header can be read, in the order of the rows.
        batch: key of their batch.
        rules: what frames are held to.
        most_rows: that are yielded at a time.

    Yields:
        Rows of some of the frames. A frame for which anything is raised counts as one that can't be
        decoded. A file that can't be read any more counts as one frame that
        can't be decoded.
    """
    metrics: list[dict[str, Any]] = []
    undecodable: list[dict[str, Any]] = []
    for file in files:
        columns = file.columns(batch)
        for row in _rows_of(file, batch, rules):
            if "reason" in row:
                undecodable.append(columns | row)
            else:
                metrics.append(columns | row)
            if len(metrics) + len(undecodable) >= most_rows:
                yield _score_batch(metrics, undecodable)
                metrics, undecodable = [], []
    if metrics or undecodable:
        yield _score_batch(metrics, undecodable)


def _rows_of(file: FileToRead, batch: str, rules: Rules) -> Iterator[dict[str, Any]]:
    """Metrics of each frame of a file; of one that has none, a row with the reason."""
    uid = None
    with at(file.place(batch)):
        for frame in frames_of(file.path):
            if isinstance(frame, UndecodableFrame):
                yield _undecodable_columns(file, frame, uid)
                continue
            uid = frame.context.sop_instance_uid
            row = fenced_frame(frame.index, _scored, frame, rules)
            if isinstance(row, UndecodableFrame):
                yield _undecodable_columns(file, row, uid)
            else:
                yield row


def _scored(frame: Frame, rules: Rules) -> dict[str, Any]:
    kind = image_kind(frame)
    is_acquired = kind.name == ACQUISITION
    quality = measure(frame, scales=rules.scales) if is_acquired else unmeasured(kind.name)
    row = _metric_columns(frame, quality, rules) | _text_columns(frame, is_page=not is_acquired)
    row |= {"image_kind": kind.name, "image_kind_evidence": kind.evidence}
    row["is_fit_for_training"] = is_fit_for_training(
        quality.overall, rules, has_burned_in_text=row["has_burned_in_text"]
    )
    return row


def _score_batch(metrics: list[dict[str, Any]], undecodable: list[dict[str, Any]]) -> ScoreBatch:
    scored, failures = divided_batch(metrics, QUALITY_METRICS)
    names = UNDECODABLE_FRAMES.names[:-2]
    undecodable += [
        {name: row[name] for name in names} | {"reason": error.text, "decoders": []}
        for row, error in failures
    ]
    return ScoreBatch(scored, pa.RecordBatch.from_pylist(undecodable, UNDECODABLE_FRAMES))


def _undecodable_columns(
    file: FileToRead, frame: UndecodableFrame, uid: str | None
) -> dict[str, Any]:
    return {
        "sop_instance_uid": uid or _sop_instance_uid(file),
        "frame": frame.index,
        "reason": frame.reason,
        "decoders": [{"decoder": name, "words": words} for name, words in frame.decoders],
    }


def _sop_instance_uid(file: FileToRead) -> object:
    """SOPInstanceUID of a file's header; None where none can be had."""
    uid = fenced(_uid_in_header, file)
    return None if isinstance(uid, InternalError) else uid


def _uid_in_header(file: FileToRead) -> object:
    try:
        return read_header(file.path, LIMITS_OF_INDEXED)["sop_instance_uid"]
    except UnreadableFile:
        return None


def _metric_columns(frame: Frame, quality: Quality, rules: Rules) -> dict[str, Any]:
    explanation = explain(quality, rules.gate)
    overall = quality.overall
    row: dict[str, Any] = {
        "sop_instance_uid": frame.context.sop_instance_uid,
        "series_instance_uid": frame.context.series_instance_uid,
        "frame": frame.index,
        "modality": frame.context.modality or None,
        "scanner": frame.context.scanner or None,
        "noise_sd": quality.noise_sd,
        "edge_width": quality.edge_width,
        "measurable_share": quality.measurable_share,
        "structure_ratio": quality.structure_ratio,
        "overall_quality": overall,
        "weights_rescaled": quality.weights_rescaled,
        "weights": {name: quality.weights.get(name) for name in METRIC_NAMES},
        "passes_gate": None if overall is None else overall >= rules.gate,
        "passes_training_gate": None if overall is None else overall >= rules.training_gate,
        "gate_shortfall": explanation.shortfall,
        "limiting_metric": explanation.limiting_metric,
        "explanation": explanation.text,
        "warnings": list(frame.notes),
    }
    for name in METRIC_NAMES:
        metric = quality.metrics[name]
        row |= {
            name: metric.value,
            f"{name}_part": metric.part,
            f"{name}_method": None if metric.value is None else METHODS[name],
            f"{name}_validity": metric.validity,
            f"{name}_reason": metric.reason,
        }
    for name in MR_NAMES:
        row |= {
            name: getattr(quality.magnetic_resonance, name),
            f"{name}_reason": quality.magnetic_resonance.reasons.get(name),
        }
    for name in ARTIFACTS:
        row[name] = getattr(quality.artifacts, name) if quality.artifacts else None
    return row


def _text_columns(frame: Frame, *, is_page: bool) -> dict[str, Any]:
    found = burned_in_text(frame, is_page=is_page)
    return {
        "has_burned_in_text": found.is_probable,
        "burned_in_text_evidence": found.evidence,
        "text_boxes": [asdict(box) for box in found.boxes],
    }
