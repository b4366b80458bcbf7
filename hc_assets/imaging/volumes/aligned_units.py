"""Units of alignment for worker processes: the volumes of a study in, parts written, rows out.

Belongs here: what a worker does with one study, and which studies there are to do. What becomes of
rows and parts is decided in `assets.py`. Imports neither Dagster nor anything of FHIR.
"""

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import groupby
from operator import itemgetter

import numpy as np
import pyarrow as pa

from hc_assets.imaging.single_thread import single_thread
from hc_assets.imaging.volumes.alignment import Aligned, align, groups_of
from hc_assets.imaging.volumes.geometry import ras_from_lps, spacing_of
from hc_assets.imaging.volumes.pictures import three_planes
from hc_assets.imaging.volumes.schemas import ALIGNED_SLICES
from hc_assets.imaging.volumes.steps import Row, slice_batch
from hc_assets.imaging.volumes.stored_volumes import StoredVolumes, rows_of
from hc_assets.imaging.volumes.units import SeriesVolumes, part_number
from hc_assets.imaging.volumes.volume import Volume
from hc_assets.lake.layout import Layout
from hc_assets.lake.parts import PartWriter
from hc_assets.lake.tables import LakeTable

ALIGNED_SLICES_TABLE = "imaging/aligned_slices"
_PART_BYTES = 64 * 1024**2
_SLICES_AT_ONCE = 16


@dataclass(frozen=True)
class StudyUnit:
    """The volumes of a study.

    Attributes:
        data_dir: folder of the lake.
        rows: of `imaging/volumes`, those that are volumes.
        stored: their slices.
        inputs_sha256: of what they were made of.
        spacing_mm: of the isotropic grid.
        correct_bias: whether the bias field of MR magnitudes is taken out.
        per_series: volumes of one series that are brought onto the grid.
    """

    data_dir: str
    rows: tuple[Row, ...]
    stored: StoredVolumes
    inputs_sha256: str
    spacing_mm: float
    correct_bias: bool
    per_series: int


def studies_of(volumes: LakeTable) -> Iterator[tuple[str, list[Row]]]:
    """Volumes by study, sorted by StudyInstanceUID."""
    for study, members in groupby(rows_of(volumes), key=itemgetter("study_instance_uid")):
        yield study, list(members)


def inputs_of(rows: Iterable[Row], parameters: str) -> str:
    """Hash of all that the aligned volumes of a study depend on."""
    digest = hashlib.sha256(parameters.encode())
    for row in rows:
        digest.update(f"/{row['volume_id']}:{row['content_sha256']}".encode())
    return digest.hexdigest()


def align_study(unit: StudyUnit) -> SeriesVolumes:
    """Align the volumes of a study; write their slices into parts of the study's own."""
    layout = Layout.of(unit.data_dir)
    number = part_number(unit.rows[0]["study_instance_uid"])

    def load(row: Row) -> Volume:
        return unit.stored.load(row, part_number(row["series_instance_uid"]))

    rows = []
    with (
        single_thread(),
        PartWriter(
            layout.partition(ALIGNED_SLICES_TABLE, None),
            ALIGNED_SLICES,
            number=number,
            part_bytes=_PART_BYTES,
        ) as writer,
    ):
        for group in groups_of(unit.rows):
            for made in align(
                group,
                load,
                spacing_mm=unit.spacing_mm,
                correct_bias=unit.correct_bias,
                per_series=unit.per_series,
            ):
                row = _row(made, unit)
                rows.append(row)
                keys = {name: row[name] for name in ("aligned_id", "study_instance_uid")}
                for batch in _slices(made.volume, keys):
                    writer.write(batch)
    return SeriesVolumes(sorted(rows, key=itemgetter("aligned_id")), writer.parts)


def _slices(volume: Volume | None, keys: Row) -> Iterator[pa.RecordBatch]:
    if volume is None:
        return
    voxels = volume.voxels
    for start in range(0, len(voxels), _SLICES_AT_ONCE):
        part = voxels[start : start + _SLICES_AT_ONCE]
        of_part = [keys | {"slice": start + at} for at in range(len(part))]
        yield slice_batch(of_part, part, ALIGNED_SLICES)


def _row(made: Aligned, unit: StudyUnit) -> Row:
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
        "inputs_sha256": unit.inputs_sha256,
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
        "picture": three_planes(volume),
    }
