"""What worker processes run to index files: landed files in, Parquet parts written and named.

Belongs here: streaming the record batches of `rows.py` into parts. How files are divided is in
`file_work.py`; what becomes of the parts is decided in `imaging/assets.py`.
"""

import pyarrow as pa

from hc_assets.imaging.headers.dataset_encoding import INFLATED_LIMITS
from hc_assets.imaging.headers.file_work import FileWork
from hc_assets.imaging.headers.rows import index_files
from hc_assets.imaging.schemas.index import DICOM_INDEX, UNREADABLE_FILES
from hc_assets.lake.archives import ArchiveLimits
from hc_assets.lake.manifests import LandedFile
from hc_assets.lake.parts import Part, PartWriter


def write_index(
    work: FileWork, inflated_limits: ArchiveLimits = INFLATED_LIMITS
) -> tuple[list[Part], list[Part]]:
    """Write `imaging/dicom_index` and `imaging/unreadable_files`; give the parts of each.

    Args:
        work: the files.
        inflated_limits: of deflated datasets.
    """
    layout = work.layout()
    with (
        PartWriter(
            layout.partition("imaging/dicom_index", work.batch), DICOM_INDEX, number=work.number
        ) as index,
        PartWriter(
            layout.partition("imaging/unreadable_files", work.batch),
            UNREADABLE_FILES,
            number=work.number,
        ) as unreadable,
    ):
        without_bytes = [_row_of(work.batch, file) for file in work.files if file.problem]
        if without_bytes:
            unreadable.write(pa.RecordBatch.from_pylist(without_bytes, UNREADABLE_FILES))
        found_in_files = index_files(
            work.to_verify(), work.batch, is_verified=False, inflated_limits=inflated_limits
        )
        for found in found_in_files:
            index.write(found.index)
            unreadable.write(found.unreadable)
    return index.parts, unreadable.parts


def _row_of(batch: str, file: LandedFile) -> dict[str, object]:
    """Row of a file that landing could not copy."""
    return {
        "batch": batch,
        "source_file": file.source_file,
        "file_sha256": file.sha256,
        "file_size": file.size,
        "reason": f"the file {file.problem}",
    }
