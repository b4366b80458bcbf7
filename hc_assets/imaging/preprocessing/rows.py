"""From frames to rows of `imaging/preprocessed_arrays`, as record batches of one recipe each.

Belongs here: turning arrays into rows, and what stopped one into a row of `imaging/failed_arrays`:
each frame is in exactly one table. What is done to a frame is in `recipe.py` and the modules of the
modalities; writing the rows is in `workers.py`.
"""

import logging
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from hc_assets.core.fence import InternalError, fenced
from hc_assets.core.places import at
from hc_assets.imaging.headers.file_work import FileToRead
from hc_assets.imaging.pixels.decoding import UndecodableFrame, fenced_frame
from hc_assets.imaging.pixels.frames import Frame, frames_of
from hc_assets.imaging.preprocessing.comparison import Comparison, compared, may_be_shown
from hc_assets.imaging.preprocessing.parameters import Preprocessing
from hc_assets.imaging.preprocessing.registry import AnyRecipe, recipe_for
from hc_assets.imaging.schemas.index import FAILED_ARRAYS, preprocessed_arrays

_LOG = logging.getLogger(__name__)
_ARRAY_BYTES = 64 * 1024**2
# Frames that are looked at for one that may be shown: looking may cost as much as making
_LOOKED_AT = 5


@dataclass(frozen=True)
class ArrayBatch:
    """Rows of one recipe.

    Attributes:
        recipe: its name.
        rows: of `imaging/preprocessed_arrays`.
        comparison: a frame of the recipe before and after, with its first rows; None with later
            ones, and where none may be shown.
    """

    recipe: str
    rows: pa.RecordBatch
    comparison: Comparison | None


@dataclass(frozen=True)
class FailedArrays:
    """Rows of `imaging/failed_arrays`."""

    rows: pa.RecordBatch


def preprocess_files(
    files: Iterable[tuple[FileToRead, frozenset[int]]],
    batch: str,
    preprocessing: Preprocessing | None = None,
    *,
    most_bytes: int = _ARRAY_BYTES,
) -> Iterator[ArrayBatch | FailedArrays]:
    """Make the arrays of some frames.

    Args:
        files: each with the numbers of the frames wanted, in the order of the rows.
        batch: key of their batch.
        preprocessing: parameters in place of the defaults.
        most_bytes: of arrays of one recipe that wait; they are yielded once there are as many.

    Yields:
        Rows of one recipe; last, if there are any, those of the frames that became no array.
    """
    waiting: dict[str, _ArrayRows] = {}
    failed: list[dict[str, Any]] = []
    for file, wanted in files:
        columns = file.columns(batch)
        with at(file.place(batch)):
            for frame in frames_of(file.path, wanted=wanted):
                if isinstance(frame, UndecodableFrame):
                    failed.append(columns | _failed_columns(frame, None))
                    continue
                made = fenced_frame(frame.index, _made, frame, columns, preprocessing)
                if isinstance(made, UndecodableFrame):
                    failed.append(columns | _failed_columns(made, frame))
                    continue
                rows = waiting.setdefault(made.recipe.name, _ArrayRows(made.recipe))
                rows.add(made, frame)
                if rows.array_bytes() >= most_bytes:
                    yield rows.take()
    for name in sorted(waiting):
        if waiting[name].rows:
            yield waiting[name].take()
    if failed:
        yield FailedArrays(pa.RecordBatch.from_pylist(failed, FAILED_ARRAYS))


@dataclass(frozen=True)
class _Made:
    """An array and its row, which fits the table."""

    recipe: AnyRecipe
    row: dict[str, Any]
    pixels: NDArray[np.floating[Any]]


def _made(frame: Frame, columns: dict[str, Any], preprocessing: Preprocessing | None) -> _Made:
    recipe = recipe_for(frame.context.modality, preprocessing)
    made = recipe.run(frame)
    row = columns | {
        "sop_instance_uid": frame.context.sop_instance_uid,
        "frame": frame.index,
        "modality": frame.context.modality or None,
        "pipeline": recipe.label,
        "shape": list(recipe.shape),
        "parameters": recipe.parameters_json(),
        "libraries": recipe.libraries_json(),
        "decisions": list(made.decisions),
        "source_to_array": list(made.source_to_array),
        "array_to_patient": made.array_to_patient and list(made.array_to_patient),
        "overlay": made.overlay,
        "content_sha256": made.content_sha256,
    }
    # A row that does not fit shall cost itself, not those that it would be written with
    _columns_of([row], preprocessed_arrays(recipe.shape, recipe.dtype))
    if (made.pixels.shape, made.pixels.dtype.name) != (tuple(recipe.shape), recipe.dtype):
        raise ValueError("the array is not of its recipe's shape and type")
    return _Made(recipe, row, made.pixels)


def _columns_of(rows: list[dict[str, Any]], schema: pa.Schema) -> dict[str, pa.Array]:
    """Arrow columns of rows, all but the pixels."""
    return {
        field.name: pa.array([row[field.name] for row in rows], field.type)
        for field in schema
        if field.name != "pixels"
    }


def _failed_columns(why: UndecodableFrame, frame: Frame | None) -> dict[str, Any]:
    context = None if frame is None else frame.context
    return {
        "sop_instance_uid": context and context.sop_instance_uid,
        "frame": why.index,
        "modality": (context and context.modality) or None,
        "reason": why.reason,
    }


class _ArrayRows:
    """Rows of one recipe that wait to be handed on."""

    def __init__(self, recipe: AnyRecipe) -> None:
        self._recipe = recipe
        self.rows: list[dict[str, Any]] = []
        self._arrays: list[NDArray[np.floating[Any]]] = []
        self._comparison: Comparison | None = None
        self._left_to_look_at = _LOOKED_AT

    def add(self, made: _Made, frame: Frame) -> None:
        self.rows.append(made.row)
        self._arrays.append(made.pixels)
        if self._left_to_look_at:
            self._left_to_look_at -= 1
            # It only decorates: what is raised can't cost the array
            seen = fenced(_compared_if_shown, frame, made.pixels)
            if isinstance(seen, InternalError):
                _LOG.warning("no comparison: %s", seen.text)
            elif seen is not None:
                self._comparison, self._left_to_look_at = seen, 0

    def array_bytes(self) -> int:
        return sum(array.nbytes for array in self._arrays)

    def take(self) -> ArrayBatch:
        schema = preprocessed_arrays(self._recipe.shape, self._recipe.dtype)
        columns = _columns_of(self.rows, schema)
        columns["pixels"] = pa.FixedShapeTensorArray.from_numpy_ndarray(np.stack(self._arrays))
        rows = pa.RecordBatch.from_arrays([columns[name] for name in schema.names], schema=schema)
        made = ArrayBatch(self._recipe.name, rows, self._comparison)
        self.rows, self._arrays, self._comparison = [], [], None
        return made


def _compared_if_shown(frame: Frame, pixels: NDArray[np.floating[Any]]) -> Comparison | None:
    return compared(frame, pixels) if may_be_shown(frame) else None
