"""Files in, rows out: what worker processes run for imaging, as plain values and record batches.

Belongs here: turning outcomes into rows, so that each file and each frame is in exactly one table.
Reading is in `imaging/headers/read.py` and `imaging/pixels/frames.py`, measuring in
`imaging/quality/measure.py`, arrays in `imaging/preprocessing/rows.py`; writing the rows is in
`workers.py`.
"""

from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from hc_assets.imaging.headers.read import read_header
from hc_assets.imaging.headers.reading import UnreadableFile
from hc_assets.imaging.pixels.decoding import UndecodableFrame
from hc_assets.imaging.pixels.frames import Frame, iter_frames
from hc_assets.imaging.quality.artifacts import ARTIFACTS
from hc_assets.imaging.quality.burned_in_text import burned_in_text
from hc_assets.imaging.quality.gates import Rules, explain, is_fit_for_training
from hc_assets.imaging.quality.magnetic_resonance import NAMES as MR_NAMES
from hc_assets.imaging.quality.measure import METHODS, Quality, measure
from hc_assets.imaging.schemas.index import (
    DICOM_INDEX,
    UNDECODABLE_FRAMES,
    UNREADABLE_FILES,
)
from hc_assets.imaging.schemas.quality import METRIC_NAMES, QUALITY_METRICS

_ROWS = 500
_HEADER_CHARACTERS = 16 * 1024**2


@dataclass(frozen=True)
class FileToRead:
    """A landed file.

    Attributes:
        source_file: name shown to users.
        path: where its bytes are.
        sha256: of its bytes, in hex.
        size: bytes.
    """

    source_file: str
    path: Path
    sha256: str
    size: int


@dataclass(frozen=True)
class IndexBatch:
    """Rows of `dicom_index` and of `unreadable_files`; each file is in exactly one."""

    index: pa.RecordBatch
    unreadable: pa.RecordBatch


@dataclass(frozen=True)
class ScoreBatch:
    """Rows of `quality_metrics` and of `undecodable_frames`; each frame is in exactly one."""

    metrics: pa.RecordBatch
    undecodable: pa.RecordBatch


def index_files(
    files: Iterable[FileToRead],
    batch: str,
    *,
    max_rows: int = _ROWS,
    max_characters: int = _HEADER_CHARACTERS,
) -> Iterator[IndexBatch]:
    """Read the header of each file.

    Args:
        files: in the order of the rows.
        batch: key of their batch.
        max_rows: of what is yielded at a time.
        max_characters: of headers, with which rows are handed on sooner.

    Yields:
        Rows of at most 500 files, or some 16 MB of headers.
    """
    index: list[dict[str, Any]] = []
    unreadable: list[dict[str, Any]] = []
    characters = 0
    for file in files:
        row = file_columns(file, batch) | {"file_size": file.size}
        try:
            header = read_header(file.path)
            characters += len(str(header["dicom_json"]))
            index.append(row | header)
        except UnreadableFile as error:
            unreadable.append(row | {"reason": error.reason})
        if len(index) + len(unreadable) >= max_rows or characters >= max_characters:
            yield _index_batch(index, unreadable)
            index, unreadable, characters = [], [], 0
    if index or unreadable:
        yield _index_batch(index, unreadable)


def _index_batch(index: list[dict[str, Any]], unreadable: list[dict[str, Any]]) -> IndexBatch:
    return IndexBatch(
        pa.RecordBatch.from_pylist(index, DICOM_INDEX),
        pa.RecordBatch.from_pylist(unreadable, UNREADABLE_FILES),
    )


def file_columns(file: FileToRead, batch: str) -> dict[str, Any]:
    """Columns that every row of a file has."""
    return {"batch": batch, "source_file": file.source_file, "file_sha256": file.sha256}


def score_files(
    files: Iterable[FileToRead], batch: str, *, rules: Rules, max_rows: int = _ROWS
) -> Iterator[ScoreBatch]:
    """Decode and measure every frame of each file.

    Args:
        files: whose header can be read, in the order of the rows.
        batch: key of their batch.
        rules: what frames are held to.
        max_rows: of what is yielded at a time.

    Yields:
        Rows of at most 500 frames. A file that can't be read any more counts as one frame that
        can't be decoded.
    """
    metrics: list[dict[str, Any]] = []
    undecodable: list[dict[str, Any]] = []
    for file in files:
        columns = file_columns(file, batch)
        uid = None
        for frame in frames_of(file):
            if isinstance(frame, Frame):
                uid = frame.context.sop_instance_uid
                quality = measure(frame, scales=rules.scales)
                row = _metric_columns(frame, quality, rules) | _text_columns(frame)
                row["is_fit_for_training"] = is_fit_for_training(
                    quality.overall, rules, has_burned_in_text=row["has_burned_in_text"]
                )
                metrics.append(columns | row)
            else:
                undecodable.append(columns | _undecodable_columns(file, frame, uid))
            if len(metrics) + len(undecodable) >= max_rows:
                yield _score_batch(metrics, undecodable)
                metrics, undecodable = [], []
    if metrics or undecodable:
        yield _score_batch(metrics, undecodable)


def frames_of(
    file: FileToRead, wanted: frozenset[int] | None = None
) -> Iterator[Frame | UndecodableFrame]:
    """Frames of a file; one that can't be read any more is one frame that can't be decoded."""
    try:
        yield from iter_frames(file.path, wanted=wanted)
    except UnreadableFile as error:
        yield UndecodableFrame(0, error.reason)


def _score_batch(metrics: list[dict[str, Any]], undecodable: list[dict[str, Any]]) -> ScoreBatch:
    return ScoreBatch(
        pa.RecordBatch.from_pylist(metrics, QUALITY_METRICS),
        pa.RecordBatch.from_pylist(undecodable, UNDECODABLE_FRAMES),
    )


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
    try:
        return read_header(file.path)["sop_instance_uid"]
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


def _text_columns(frame: Frame) -> dict[str, Any]:
    found = burned_in_text(frame)
    return {
        "has_burned_in_text": found.is_probable,
        "burned_in_text_evidence": found.evidence,
        "text_boxes": [asdict(box) for box in found.boxes],
    }
