"""From frames to rows of `imaging/preprocessed_arrays`, as record batches of one recipe each.

Belongs here: turning arrays into rows. What is done to a frame is in `recipe.py` and the modules
of the modalities; writing the rows is in `workers.py`.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from hc_assets.imaging.headers.file_work import FileToRead
from hc_assets.imaging.pixels.frames import Frame, frames_of
from hc_assets.imaging.preprocessing.comparison import Comparison, compared, may_be_shown
from hc_assets.imaging.preprocessing.parameters import Preprocessing
from hc_assets.imaging.preprocessing.registry import AnyRecipe, recipe_for
from hc_assets.imaging.schemas.index import preprocessed_arrays

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


def preprocess_files(
    files: Iterable[tuple[FileToRead, frozenset[int]]],
    batch: str,
    preprocessing: Preprocessing | None = None,
    *,
    most_bytes: int = _ARRAY_BYTES,
) -> Iterator[ArrayBatch]:
    """Make the arrays of some frames.

    Args:
        files: each with the numbers of the frames wanted, in the order of the rows.
        batch: key of their batch.
        preprocessing: parameters in place of the defaults.
        most_bytes: of arrays of one recipe that wait; they are yielded once there are as many.

    Yields:
        Rows of one recipe.
    """
    waiting: dict[str, _ArrayRows] = {}
    for file, wanted in files:
        columns = file.columns(batch)
        for frame in frames_of(file.path, wanted=wanted):
            if not isinstance(frame, Frame):
                continue  # it could be when it was scored; the count of arrays will tell
            recipe = recipe_for(frame.context.modality, preprocessing)
            rows = waiting.setdefault(recipe.name, _ArrayRows(recipe))
            rows.add(columns, frame)
            if rows.array_bytes() >= most_bytes:
                yield rows.take()
    for name in sorted(waiting):
        if waiting[name].rows:
            yield waiting[name].take()


class _ArrayRows:
    """Rows of one recipe that wait to be handed on."""

    def __init__(self, recipe: AnyRecipe) -> None:
        self.recipe = recipe
        self.rows: list[dict[str, Any]] = []
        self._arrays: list[NDArray[np.floating[Any]]] = []
        self._comparison: Comparison | None = None
        self._left_to_look_at = _LOOKED_AT

    def add(self, columns: dict[str, Any], frame: Frame) -> None:
        made = self.recipe.run(frame)
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
                "pipeline": self.recipe.label,
                "shape": list(self.recipe.shape),
                "parameters": self.recipe.parameters_json(),
                "libraries": self.recipe.libraries_json(),
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
        schema = preprocessed_arrays(self.recipe.shape, self.recipe.dtype)
        tensors = pa.FixedShapeTensorArray.from_numpy_ndarray(np.stack(self._arrays))
        columns = [
            tensors
            if field.name == "pixels"
            else pa.array([row[field.name] for row in self.rows], field.type)
            for field in schema
        ]
        made = ArrayBatch(
            self.recipe.name,
            pa.RecordBatch.from_arrays(columns, schema=schema),
            self._comparison,
        )
        self.rows, self._arrays, self._comparison = [], [], None
        return made
