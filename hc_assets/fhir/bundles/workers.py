"""What worker processes run to split landed files into raw rows.

Belongs here: streaming a file's columns, as `entry_columns.py` reads them, into Parquet parts. How
files are shared out among workers, and what becomes of the parts, is decided in `fhir/assets.py`.
Imports neither Dagster nor anything slow, since every worker pays for it.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import pyarrow as pa

from hc_assets.core.compute import no_cycles
from hc_assets.fhir.bundles.entries import Entry
from hc_assets.fhir.bundles.entry_columns import (
    DEFAULT_BOUNDS,
    Bounds,
    EntryColumns,
    columns_of,
    read_columns,
)
from hc_assets.fhir.schemas import RAW_BUNDLES
from hc_assets.lake.layout import Layout
from hc_assets.lake.manifests import LandedFile, verified_file
from hc_assets.lake.parts import PART_BYTES, Part, PartWriter


@dataclass(frozen=True)
class SplitWork:
    """Files of one batch to be split, and the number of the part they fill."""

    data_dir: str
    batch: str
    files: tuple[LandedFile, ...]
    number: int


@no_cycles()
def split_files(
    work: SplitWork, *, bounds: Bounds = DEFAULT_BOUNDS, part_bytes: int = PART_BYTES
) -> list[Part]:
    """Split landed files into `fhir/raw_bundles` rows; one row for a file that can't be split.

    Args:
        work: the files.
        bounds: of what is written at a time.
        part_bytes: size from which a part is full.

    Raises:
        DamagedFileError: a landed file is gone or is not what its manifest says.
    """
    layout = Layout.of(work.data_dir)
    folder = layout.partition("fhir/raw_bundles", work.batch)
    with PartWriter(folder, RAW_BUNDLES, number=work.number, part_bytes=part_bytes) as writer:
        for file in work.files:
            for columns in _entries_of(layout, work.batch, file, bounds):
                writer.write(_raw_rows(work.batch, file, columns))
    return writer.parts


def _entries_of(
    layout: Layout, batch: str, file: LandedFile, bounds: Bounds
) -> Iterator[EntryColumns]:
    if file.problem:
        yield columns_of([Entry(0, None, f"the file {file.problem}")])
        return
    with verified_file(layout, "fhir", batch, file).open("rb") as stream:
        yield from read_columns(stream, file.media_type, bounds)


def _raw_rows(batch: str, file: LandedFile, columns: EntryColumns) -> pa.RecordBatch:
    of_file = {"batch": batch, "source_file": file.source_file, "source_sha256": file.sha256}
    count = len(columns["position"])
    arrays = [
        pa.repeat(of_file[field.name], count) if field.name in of_file else columns[field.name]
        for field in RAW_BUNDLES
    ]
    return pa.RecordBatch.from_arrays(arrays, schema=RAW_BUNDLES)
