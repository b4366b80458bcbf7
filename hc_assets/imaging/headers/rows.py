"""From files to rows of `imaging/dicom_index` and `imaging/unreadable_files`, as record batches.

Belongs here: turning headers into rows, so that each file is in exactly one table; what is raised
for a file is the reason in its row. Reading a header is in `read.py`; writing the rows is in
`workers.py`.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from hc_assets.core.fence import InternalError, fenced
from hc_assets.core.places import at
from hc_assets.imaging.fenced_batches import divided_batch
from hc_assets.imaging.headers.dataset_encoding import INFLATED_LIMITS
from hc_assets.imaging.headers.fast_headers import fast_header
from hc_assets.imaging.headers.file_work import FileToRead
from hc_assets.imaging.headers.read import completed, needs_file, read_header
from hc_assets.imaging.headers.reading import UnreadableFile
from hc_assets.imaging.schemas.index import DICOM_INDEX, UNREADABLE_FILES
from hc_assets.lake.archives import ArchiveLimits

_ROWS = 500
_HEADER_CHARACTERS = 16 * 1024**2


@dataclass(frozen=True)
class IndexBatch:
    """Rows of `dicom_index` and of `unreadable_files`; each file is in exactly one."""

    index: pa.RecordBatch
    unreadable: pa.RecordBatch


def index_files(
    files: Iterable[FileToRead],
    batch: str,
    *,
    is_verified: bool = True,
    inflated_limits: ArchiveLimits = INFLATED_LIMITS,
    most_rows: int = _ROWS,
    most_characters: int = _HEADER_CHARACTERS,
) -> Iterator[IndexBatch]:
    """Read the header of each file.

    Args:
        files: in the order of the rows.
        batch: key of their batch.
        is_verified: whether their bytes are known to be those that were landed.
        inflated_limits: of deflated datasets.
        most_rows: that are yielded at a time.
        most_characters: of headers that wait; rows are yielded once there are as many.

    Yields:
        Rows of some of the files.

    Raises:
        DamagedFileError: a file is gone or is not what its batch's manifest says.
    """
    index: list[dict[str, Any]] = []
    unreadable: list[dict[str, Any]] = []
    characters = 0
    for file in files:
        row = file.columns(batch) | {"file_size": file.size}
        try:
            to_verify = None if is_verified else batch
            header = fenced(_header_or_reason, file, to_verify, inflated_limits)
        except Exception:
            with at(file.place(batch)):  # here, since entering it costs a tenth of a header's time
                raise
        if isinstance(header, InternalError):
            unreadable.append(row | {"reason": header.text})
        elif isinstance(header, str):
            unreadable.append(row | {"reason": header})
        else:
            characters += len(str(header["dicom_json"]))
            index.append(row | header)
        if len(index) + len(unreadable) >= most_rows or characters >= most_characters:
            yield _index_batch(index, unreadable)
            index, unreadable, characters = [], [], 0
    if index or unreadable:
        yield _index_batch(index, unreadable)


def _header_or_reason(
    file: FileToRead, to_verify: str | None, inflated_limits: ArchiveLimits
) -> dict[str, object] | str:
    if to_verify is not None:
        # Most headers are in the first bytes of an image; all of it is hashed when it is decoded
        if file.head and (header := fast_header(file.path, file.head)) is not None:
            if needs_file(header):
                file.require_landed(to_verify, quickly=True)
            return completed(header, file.path)
        file.require_landed(to_verify, quickly=True)
    try:
        return read_header(file.path, inflated_limits)
    except UnreadableFile as error:
        return error.reason


def _index_batch(index: list[dict[str, Any]], unreadable: list[dict[str, Any]]) -> IndexBatch:
    of_index, failures = divided_batch(index, DICOM_INDEX)
    names = UNREADABLE_FILES.names[:-1]
    unreadable += [
        {name: row[name] for name in names} | {"reason": error.text} for row, error in failures
    ]
    return IndexBatch(of_index, pa.RecordBatch.from_pylist(unreadable, UNREADABLE_FILES))
