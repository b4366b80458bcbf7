"""The NIfTI export: a file for each volume and each aligned volume in `exports/nifti`.

Belongs here: which files there are to be, and that they are no others. The bytes of one are made in
`nifti.py`.
"""

import hashlib
from collections.abc import Iterator, Mapping, Set
from typing import NamedTuple

from upath import UPath

from hc_assets.core.fence import InternalError, fenced
from hc_assets.core.places import at
from hc_assets.imaging.volumes.nifti import nifti_bytes
from hc_assets.imaging.volumes.rows import Row
from hc_assets.imaging.volumes.stored_volumes import StoredVolumes, part_number
from hc_assets.lake.atomic import write_bytes

_SUFFIX = ".nii.gz"


class ExportedFile(NamedTuple):
    """What is known of a file: of which voxels it is, its bytes and their hash."""

    content_sha256: str
    file_sha256: str
    file_size: int


def exported(
    folder: UPath,
    rows: Iterator[Row],
    stored: StoredVolumes,
    before: Mapping[str, ExportedFile],
    *,
    is_aligned: bool,
) -> Iterator[Row]:
    """Write the files of volumes, and give a row of each.

    Args:
        folder: of the export.
        rows: of the volumes.
        stored: their slices.
        before: the last export by file: what has not changed, and is there, stays.
        is_aligned: whether they are aligned volumes.

    Yields:
        The columns of `schemas.NIFTI_EXPORTS`, in the order of the rows; of a volume for which
        anything is raised (`core/fence.py`), the reason in place of a file.
    """
    writer = "study_instance_uid" if is_aligned else "series_instance_uid"
    for row in rows:
        name = f"{row[stored.key]}{'-aligned' if is_aligned else ''}{_SUFFIX}"
        known = before.get(name)
        with at(f"the volume {row[stored.key]}"):
            if known is not None and _is_there(folder / name, known, row):
                file: ExportedFile | InternalError = known
            else:
                file = fenced(_written, folder / name, row, stored, part_number(row[writer]))
        yield {
            "file": name,
            "volume_id": row[stored.key],
            "study_instance_uid": row["study_instance_uid"],
            "series_instance_uid": row["series_instance_uid"],
            "is_aligned": is_aligned,
            **_columns(file, row),
        }


def _written(path: UPath, row: Row, stored: StoredVolumes, number: int) -> ExportedFile:
    data = nifti_bytes(stored.load(row, number))
    write_bytes(path, data)
    return ExportedFile(row["content_sha256"], hashlib.sha256(data).hexdigest(), len(data))


def _columns(file: ExportedFile | InternalError, row: Row) -> Row:
    if isinstance(file, InternalError):
        nothing = dict.fromkeys(("file", *ExportedFile._fields))
        return nothing | {"content_sha256": row["content_sha256"], "reason": file.text}
    return file._asdict() | {"reason": None}


def _is_there(path: UPath, known: ExportedFile, row: Row) -> bool:
    if known.content_sha256 != row["content_sha256"]:
        return False
    return bool(path.exists() and path.stat().st_size == known.file_size)


def remove_others(folder: UPath, files: Set[str]) -> int:
    """Remove files of volumes that there no longer are; give their number."""
    if not folder.exists():
        return 0
    others = [
        path for path in folder.iterdir() if path.name.endswith(_SUFFIX) and path.name not in files
    ]
    for path in others:
        path.unlink()
    return len(others)
