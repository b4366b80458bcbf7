"""From frames to rows of `imaging/preprocessed_arrays`, as record batches of one pipeline each.

Belongs here: turning arrays into rows. What is done to a frame is in `pipeline.py` and the modules
of the modalities; writing the rows is in `fhir/enrichment/units.py`.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from hc_assets.imaging.pixels.frames import Frame
from hc_assets.imaging.preprocessing.comparison import Comparison, compared, may_be_shown
from hc_assets.imaging.preprocessing.parameters import Preprocessing
from hc_assets.imaging.preprocessing.registry import AnyPipeline, pipeline_for
from hc_assets.imaging.rows import FileToRead, file_columns, frames_of
from hc_assets.imaging.schemas.index import preprocessed_arrays

_ARRAY_BYTES = 64 * 1024**2
# Frames that are looked at for one that may be shown: looking may cost as much as making
_LOOKED_AT = 5


@dataclass(frozen=True)
class ArrayBatch:
    """Rows of one pipeline.

    Attributes:
        pipeline: its name.
        rows: of `imaging/preprocessed_arrays`.
        comparison: a frame of the pipeline before and after, with its first rows; None with later
            ones, and where none may be shown.
    """

    pipeline: str
    rows: pa.RecordBatch
    comparison: Comparison | None


def preprocess_files(
    files: Iterable[tuple[FileToRead, frozenset[int]]],
    batch: str,
    told: Preprocessing | None = None,
    *,
    max_bytes: int = _ARRAY_BYTES,
) -> Iterator[ArrayBatch]:
    """Make the arrays of some frames.

    Args:
        files: each with the numbers of the frames wanted, in the order of the rows.
        batch: key of their batch.
        told: parameters in place of the defaults.
        max_bytes: of arrays, with which rows are handed on.

    Yields:
        Rows of one pipeline, at most some 64 MB of them.
    """
    waiting: dict[str, _ArrayRows] = {}
    for file, wanted in files:
        columns = file_columns(file, batch)
        for frame in frames_of(file, wanted):
            if not isinstance(frame, Frame):
                continue  # it could be when it was scored; the count of arrays will tell
            pipeline = pipeline_for(frame.context.modality, told)
            rows = waiting.setdefault(pipeline.name, _ArrayRows(pipeline))
            rows.add(columns, frame)
            if rows.array_bytes() >= max_bytes:
                yield rows.take()
    for name in sorted(waiting):
        if waiting[name].rows:
            yield waiting[name].take()


class _ArrayRows:
    """Rows of one pipeline that wait to be handed on."""

    def __init__(self, pipeline: AnyPipeline) -> None:
        self.pipeline = pipeline
        self.rows: list[dict[str, Any]] = []
        self._arrays: list[NDArray[np.floating[Any]]] = []
        self._comparison: Comparison | None = None
        self._left_to_look_at = _LOOKED_AT

    def add(self, columns: dict[str, Any], frame: Frame) -> None:
        made = self.pipeline.run(frame)
        if self._left_to_look_at:
            self._left_to_look_at -= 1
            if may_be_shown(frame):
                self._comparison, self._left_to_look_at = compared(frame, made.pixels), 0
        self._arrays.append(made.pixels)
        self.rows.append(
            columns
            | {
                "sop_instance_uid": frame.context.sop_instance_uid,
                "frame": frame.index,
                "modality": frame.context.modality or None,
                "pipeline": self.pipeline.label,
                "shape": list(self.pipeline.shape),
                "parameters": self.pipeline.parameters_json(),
                "libraries": self.pipeline.libraries_json(),
                "decisions": list(made.decisions),
                "source_to_array": list(made.source_to_array),
                "array_to_patient": made.array_to_patient and list(made.array_to_patient),
                "overlay": made.overlay,
                "content_sha256": made.content_sha256,
            }
        )

    def array_bytes(self) -> int:
        return sum(array.nbytes for array in self._arrays)

    def take(self) -> ArrayBatch:
        schema = preprocessed_arrays(self.pipeline.shape, self.pipeline.dtype)
        tensors = pa.FixedShapeTensorArray.from_numpy_ndarray(np.stack(self._arrays))
        columns = [
            tensors
            if field.name == "pixels"
            else pa.array([row[field.name] for row in self.rows], field.type)
            for field in schema
        ]
        made = ArrayBatch(
            self.pipeline.name,
            pa.RecordBatch.from_arrays(columns, schema=schema),
            self._comparison,
        )
        self.rows, self._arrays, self._comparison = [], [], None
        return made
