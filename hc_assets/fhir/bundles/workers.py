"""What worker processes run to split landed files into raw rows.

Belongs here: streaming a file's columns, as `entry_columns.py` reads them, into Parquet parts. How
files are shared out among workers, and what becomes of the parts, is decided in `fhir/assets.py`.
Imports neither Dagster nor anything slow, since every worker pays for it.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import pyarrow as pa

from hc_assets.core.compute import no_cycles
from hc_assets.core.fence import InternalError, fenced_each
from hc_assets.core.places import at
from hc_assets.fhir.bundles.entries import Entry
from hc_assets.fhir.bundles.entry_columns import (
    DEFAULT_BOUNDS,
    Bounds,
    EntryColumns,
    columns_of,
    read_columns,
)
from hc_assets.fhir.bundles.envelopes import issues_of_whole
from hc_assets.fhir.bundles.text_streams import DEFAULT_TEXT_LIMITS, TextLimits
from hc_assets.fhir.bundles.unpacking import Judge
from hc_assets.fhir.schemas import RAW_BUNDLES
from hc_assets.lake.layout import Layout
from hc_assets.lake.manifests import LandedFile, verified_file
from hc_assets.lake.parts import PART_BYTES, Part, PartWriter


@dataclass(frozen=True)
class SplitWork:
    """Files of one batch to be split, the number of the part they fill, and how much is read.

    `source` is the one that they were landed under; "" where none was named.
    """

    data_dir: str
    batch: str
    files: tuple[LandedFile, ...]
    number: int
    limits: TextLimits = DEFAULT_TEXT_LIMITS
    source: str = ""


@no_cycles()
def split_files(
    work: SplitWork,
    *,
    judge: Judge = issues_of_whole,
    bounds: Bounds = DEFAULT_BOUNDS,
    part_bytes: int = PART_BYTES,
) -> list[Part]:
    """Split landed files into `fhir/raw_bundles` rows; one row for a file that can't be split.

    Where splitting itself fails, the rows before it stay, and one says so of the rest of the file.

    Args:
        work: the files.
        judge: of Bundles and Parameters that are taken apart.
        bounds: of what is written at a time.
        part_bytes: size from which a part is full.

    Raises:
        DamagedFileError: a landed file is gone or is not what its manifest says.
    """
    layout = Layout.of(work.data_dir)
    folder = layout.partition("fhir/raw_bundles", work.batch)
    with PartWriter(folder, RAW_BUNDLES, number=work.number, part_bytes=part_bytes) as writer:
        for file in work.files:
            with at(f"file {file.sha256[:12]} of {work.batch}"):
                entries = _entries_of(layout, work, file, bounds, judge)
                for rows in _rows_of(entries, work, file):
                    writer.write(rows)
    return writer.parts


def _rows_of(
    entries: Iterator[EntryColumns], work: SplitWork, file: LandedFile
) -> Iterator[pa.RecordBatch]:
    """Rows of a file; where splitting it raises, one stands for the rest of it."""
    position = 0
    for columns in fenced_each(entries):
        if isinstance(columns, InternalError):
            rest = columns_of([Entry(position, None, columns.text)])
            yield _raw_rows(work, file, rest)
        else:
            yield _raw_rows(work, file, columns)
            position = columns["position"][-1].as_py() + 1


def _entries_of(
    layout: Layout, work: SplitWork, file: LandedFile, bounds: Bounds, judge: Judge
) -> Iterator[EntryColumns]:
    if file.problem:
        yield columns_of([Entry(0, None, f"the file {file.problem}")])
        return
    with verified_file(layout, "fhir", work.batch, file).open("rb") as stream:
        yield from read_columns(stream, file.media_type, bounds, work.limits, judge=judge)


def _raw_rows(work: SplitWork, file: LandedFile, columns: EntryColumns) -> pa.RecordBatch:
    of_file = {"batch": work.batch, "source_file": file.source_file, "source_sha256": file.sha256}
    if work.source:
        of_file["source"] = work.source
    count = len(columns["position"])
    arrays = [
        pa.repeat(of_file[field.name], count) if field.name in of_file else columns[field.name]
        for field in RAW_BUNDLES
    ]
    return pa.RecordBatch.from_arrays(arrays, schema=RAW_BUNDLES)
