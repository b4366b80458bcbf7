"""The NIfTI export: a file for each volume and each aligned volume in `exports/nifti`.

Belongs here: which files there are to be, and that they are no others. The bytes of one are made in
`nifti.py`.
"""

import hashlib
from collections.abc import Iterator, Mapping, Set
from typing import NamedTuple

from upath import UPath

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
        The columns of `schemas.NIFTI_EXPORTS`, in the order of the rows.
    """
    writer = "study_instance_uid" if is_aligned else "series_instance_uid"
    for row in rows:
        name = f"{row[stored.key]}{'-aligned' if is_aligned else ''}{_SUFFIX}"
        file = before.get(name)
        if file is None or not _is_there(folder / name, file, row):
            data = nifti_bytes(stored.load(row, part_number(row[writer])))
            write_bytes(folder / name, data)
            digest = hashlib.sha256(data).hexdigest()
            file = ExportedFile(row["content_sha256"], digest, len(data))
        yield {
            "file": name,
            "volume_id": row[stored.key],
            "study_instance_uid": row["study_instance_uid"],
            "series_instance_uid": row["series_instance_uid"],
            "is_aligned": is_aligned,
            **file._asdict(),
        }


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
