"""Units of imaging work for worker processes: landed files in, Parquet parts written, counts out.

Belongs here: streaming the record batches of `rows.py` into parts. Which units there are, and what
becomes of the parts, is decided in `assets.py`. Imports neither Dagster nor anything of FHIR.
"""

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa

from hc_assets.imaging.preprocessing.comparison import Comparison
from hc_assets.imaging.preprocessing.parameters import Preprocessing
from hc_assets.imaging.preprocessing.rows import preprocess_files
from hc_assets.imaging.quality.gates import Rules
from hc_assets.imaging.rows import FileToRead, index_files, score_files
from hc_assets.imaging.schemas.index import (
    DICOM_INDEX,
    UNDECODABLE_FRAMES,
    UNREADABLE_FILES,
)
from hc_assets.imaging.schemas.quality import QUALITY_METRICS
from hc_assets.lake.landing import LandedFile
from hc_assets.lake.layout import Layout
from hc_assets.lake.parts import Part, PartWriter

# Arrays of several pipelines wait side by side, so each writer holds less than the usual part.
_ARRAY_PART_BYTES = 64 * 1024**2
_FILES_PER_UNIT = 500


@dataclass(frozen=True)
class FileUnit:
    """Landed files of one batch, the number of the parts they fill, and which frames are wanted.

    `frames` has an entry per file where only some frames are wanted; it is empty where all are.
    """

    data_dir: str
    batch: str
    files: tuple[LandedFile, ...]
    number: int
    frames: tuple[frozenset[int], ...] = ()

    def layout(self) -> Layout:
        """Where the unit's files and parts lie."""
        return Layout.of(self.data_dir)

    def to_read(self) -> list[FileToRead]:
        """The unit's files that have bytes, with the paths of their copies."""
        layout = self.layout()
        return [
            FileToRead(
                source_file=file.source_file,
                path=Path(layout.landed_file("dicom", self.batch, file.stored).path),
                sha256=file.sha256,
                size=file.size,
            )
            for file in self.files
            if not file.problem
        ]


def units_of(
    data_dir: str, batch: str, files: list[LandedFile], unit_bytes: int
) -> Iterator[FileUnit]:
    """Divide files into units of at most so many bytes, or files, each."""
    group: list[LandedFile] = []
    size = number = 0
    for file in files:
        if group and (size + file.size > unit_bytes or len(group) >= _FILES_PER_UNIT):
            yield FileUnit(data_dir, batch, tuple(group), number)
            number += 1
            group, size = [], 0
        group.append(file)
        size += file.size
    if group:
        yield FileUnit(data_dir, batch, tuple(group), number)


def index_unit(unit: FileUnit) -> tuple[list[Part], list[Part]]:
    """Write `imaging/dicom_index` and `imaging/unreadable_files`; give the parts of each."""
    layout = unit.layout()
    with (
        PartWriter(
            layout.partition("imaging/dicom_index", unit.batch), DICOM_INDEX, number=unit.number
        ) as index,
        PartWriter(
            layout.partition("imaging/unreadable_files", unit.batch),
            UNREADABLE_FILES,
            number=unit.number,
        ) as unreadable,
    ):
        untaken = [_untaken(unit.batch, file) for file in unit.files if file.problem]
        if untaken:
            unreadable.write(pa.RecordBatch.from_pylist(untaken, UNREADABLE_FILES))
        for found in index_files(unit.to_read(), unit.batch):
            index.write(found.index)
            unreadable.write(found.unreadable)
    return index.parts, unreadable.parts


def _untaken(batch: str, file: LandedFile) -> dict[str, object]:
    return {
        "batch": batch,
        "source_file": file.source_file,
        "file_sha256": file.sha256,
        "file_size": file.size,
        "reason": f"the file {file.problem}",
    }


def score_unit(unit: FileUnit, rules: Rules) -> tuple[list[Part], list[Part]]:
    """Write `imaging/quality_metrics` and `imaging/undecodable_frames`; give the parts of each.

    Those of the metrics are drafts: `ranks.add_percentiles` completes them.
    """
    layout = unit.layout()
    with (
        PartWriter(
            layout.partition("imaging/quality_metrics", unit.batch),
            QUALITY_METRICS,
            number=unit.number,
            is_draft=True,
        ) as metrics,
        PartWriter(
            layout.partition("imaging/undecodable_frames", unit.batch),
            UNDECODABLE_FRAMES,
            number=unit.number,
        ) as undecodable,
    ):
        for found in score_files(unit.to_read(), unit.batch, rules=rules):
            metrics.write(found.metrics)
            undecodable.write(found.undecodable)
    return metrics.parts, undecodable.parts


@dataclass(frozen=True)
class ArraysMade:
    """What a unit of preprocessing leaves: parts by pipeline, and a frame of each to look at."""

    number: int
    parts: dict[str, list[Part]]
    comparisons: dict[str, Comparison]


def preprocess_unit(unit: FileUnit, told: Preprocessing | None = None) -> ArraysMade:
    """Write `imaging/preprocessed_arrays`, each part of one pipeline and so of one shape."""
    folder = unit.layout().partition("imaging/preprocessed_arrays", unit.batch)
    writers: dict[str, PartWriter] = {}
    comparisons: dict[str, Comparison] = {}
    wanted = zip(unit.to_read(), unit.frames, strict=True)
    with ExitStack() as stack:
        for made in preprocess_files(wanted, unit.batch, told):
            if made.pipeline not in writers:
                writers[made.pipeline] = stack.enter_context(
                    PartWriter(
                        folder, made.rows.schema, number=unit.number, part_bytes=_ARRAY_PART_BYTES
                    )
                )
            writers[made.pipeline].write(made.rows)
            if made.comparison is not None:
                comparisons.setdefault(made.pipeline, made.comparison)
    parts = {name: writers[name].parts for name in sorted(writers)}
    return ArraysMade(unit.number, parts, comparisons)
