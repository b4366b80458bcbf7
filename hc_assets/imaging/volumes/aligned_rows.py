"""Rows of aligned volumes and of their slices.

Belongs here: turning outcomes into rows. Aligning is in `alignment.py`, writing the rows in
`workers.py`; rows of the volumes themselves are in `rows.py`.
"""

import hashlib
from collections.abc import Iterator, Mapping

import numpy as np
import pyarrow as pa

from hc_assets.core.fence import InternalError, fenced
from hc_assets.imaging.volumes.alignment import Aligned, failed
from hc_assets.imaging.volumes.geometry import ras_from_lps, spacing_of
from hc_assets.imaging.volumes.pictures import picture_of
from hc_assets.imaging.volumes.rows import Row, slice_batch
from hc_assets.imaging.volumes.schemas import ALIGNED_SLICES, ALIGNED_VOLUMES
from hc_assets.imaging.volumes.volume import Volume

_SLICES_AT_ONCE = 16


def aligned_slices(volume: Volume | None, keys: Row) -> Iterator[pa.RecordBatch]:
    """Yield rows of `imaging/aligned_slices`, some slices at a time; none where there is no volume.

    Args:
        volume: on the common grid.
        keys: columns that are the same in all of its rows.
    """
    if volume is None:
        return
    voxels = volume.voxels
    for start in range(0, len(voxels), _SLICES_AT_ONCE):
        part = voxels[start : start + _SLICES_AT_ONCE]
        of_part = [keys | {"slice": start + at} for at in range(len(part))]
        yield slice_batch(of_part, part, ALIGNED_SLICES)


def keys_of(row: Row) -> Row:
    """Columns of a row that its slices have, too."""
    return {name: row[name] for name in ("aligned_id", "study_instance_uid")}


def row_and_slices(
    made: Aligned, inputs_sha256: str, source_sha256: str = ""
) -> tuple[Row, list[pa.RecordBatch]]:
    """Make the row of an aligned volume, and those of its slices, which are views of its voxels.

    What is raised (`core/fence.py`) is the verdict of a row without voxels. The hashes are those of
    `aligned_row`.
    """
    whole = fenced(_row_and_slices, made, inputs_sha256, source_sha256)
    if not isinstance(whole, InternalError):
        return whole
    gone = failed(made.source, made.reference, whole)
    return aligned_row(gone, inputs_sha256, source_sha256), []


def _row_and_slices(
    made: Aligned, inputs_sha256: str, source_sha256: str
) -> tuple[Row, list[pa.RecordBatch]]:
    row = aligned_row(made, inputs_sha256, source_sha256)
    # A row that does not fit shall cost itself, not those that it would be written with
    pa.RecordBatch.from_pylist([row], ALIGNED_VOLUMES)
    return row, list(aligned_slices(made.volume, keys_of(row)))


def aligned_row(made: Aligned, inputs_sha256: str, source_sha256: str = "") -> Row:
    """Make a row of `imaging/aligned_volumes`.

    Args:
        made: what became of a volume.
        inputs_sha256: of all that the aligned volumes of the study depend on.
        source_sha256: of all that this one depends on.
    """
    source, found = made.source, made.registration
    low, high = made.value_range or (None, None)
    matrix = np.eye(4) if found is None else found.matrix
    name = hashlib.sha256(f"{source['volume_id']}/aligned".encode()).hexdigest()[:16]
    common: Mapping[str, object] = {
        column: source[column]
        for column in ("study_instance_uid", "series_instance_uid", "volume_id", "modality")
    }
    return {
        **common,
        "aligned_id": name,
        "reference_id": made.reference["volume_id"],
        "verdict": made.verdict,
        "to_source": matrix.ravel().tolist(),
        "rotation_deg": None if found is None else found.rotation_deg,
        "translation_mm": None if found is None else found.translation_mm,
        "information_before": None if found is None else found.information_before,
        "information_after": None if found is None else found.information_after,
        "corrections": list(made.corrections),
        "low_value": low,
        "high_value": high,
        "inputs_sha256": inputs_sha256,
        "source_sha256": source_sha256,
        **_grid_columns(made.volume),
    }


def _grid_columns(volume: Volume | None) -> Row:
    if volume is None:
        names = ("shape", "spacing_mm", "affine_lps", "affine_ras", "content_sha256", "picture")
        return dict.fromkeys(names)
    return {
        "shape": list(volume.voxels.shape),
        "spacing_mm": spacing_of(volume.affine)[0],
        "affine_lps": volume.affine.ravel().tolist(),
        "affine_ras": ras_from_lps(volume.affine).ravel().tolist(),
        "content_sha256": volume.content_sha256(),
        "picture": picture_of(volume),
    }
