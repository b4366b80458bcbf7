"""The NIfTI export: a file for each volume and each aligned volume in `exports/nifti`.

Belongs here: which files there are to be, and that they are no others: beside those of volumes, 4-D
files and the gradients of diffusion. The bytes of one are made in `nifti.py`; what belongs together
is in `volume_series.py`.
"""

import hashlib
from collections.abc import Callable, Iterator, Mapping, Set
from typing import Concatenate, NamedTuple, ParamSpec

import numpy as np
from upath import UPath

from hc_assets.core.fence import InternalError, fenced
from hc_assets.core.places import at
from hc_assets.imaging.volumes.nifti import nifti_bytes, write_nifti
from hc_assets.imaging.volumes.rows import Row
from hc_assets.imaging.volumes.stored_volumes import StoredVolumes, part_number
from hc_assets.imaging.volumes.volume_series import (
    bval_text,
    bvec_text,
    is_weighted,
    of_series,
    runs_of,
    seconds_between,
)
from hc_assets.lake.atomic import atomic_file, write_bytes

P = ParamSpec("P")

_SUFFIX = ".nii.gz"
_SUFFIXES = (_SUFFIX, ".bval", ".bvec")


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
            if known is not None and _is_there(folder / name, known, row["content_sha256"]):
                file: ExportedFile | InternalError = known
            else:
                file = fenced(_written, folder / name, row, stored, part_number(row[writer]))
        yield {
            "file": name,
            "volume_id": row[stored.key],
            "study_instance_uid": row["study_instance_uid"],
            "series_instance_uid": row["series_instance_uid"],
            "is_aligned": is_aligned,
            "content": "volume",
            "volumes": 1,
            **_columns(file, row["content_sha256"]),
        }


def exported_series(
    folder: UPath,
    rows: Iterator[Row],
    stored: StoredVolumes,
    before: Mapping[str, ExportedFile],
    *,
    is_four_dimensional: bool,
) -> Iterator[Row]:
    """Write what the volumes of a series have in common, and give a row of each file.

    Args:
        folder: as for `exported`.
        rows: of the volumes, sorted by series.
        stored: as for `exported`.
        before: as for `exported`.
        is_four_dimensional: whether volumes that follow one another are written as one file, too.

    Yields:
        The columns of `schemas.NIFTI_EXPORTS`: of the 4-D file of several volumes on one grid; and
        of a diffusion series the `.bval` and `.bvec` beside it, or beside the file of each volume
        that is in no 4-D file.
    """
    for of_one in of_series(rows):
        runs = runs_of(of_one)
        for run in runs:
            is_one = is_four_dimensional and len(run) > 1
            if is_one:
                yield _whole(folder, run, stored, before)
            if is_weighted(run if is_one else of_one):
                for part in [run] if is_one else [[row] for row in run]:
                    yield from _gradients(folder, part, before, is_whole=is_one)


def _whole(
    folder: UPath, run: list[Row], stored: StoredVolumes, before: Mapping[str, ExportedFile]
) -> Row:
    name = f"{_stem(run, is_whole=True)}{_SUFFIX}"
    seconds = seconds_between(run)
    digest = hashlib.sha256("\n".join([str(seconds), *_contents(run)]).encode()).hexdigest()
    with at(f"the volumes from {run[0]['volume_id']} on"):
        file = _kept_or(before, folder / name, digest, _written_whole, run, stored, seconds)
    return _row(name, run, "volumes", file, digest)


def _written_whole(
    path: UPath, digest: str, run: list[Row], stored: StoredVolumes, seconds: float | None
) -> ExportedFile:
    number = part_number(run[0]["series_instance_uid"])
    with atomic_file(path.parent, lambda _: path) as sink:
        write_nifti(
            sink,
            (volume.voxels for volume in stored.load_each(run, number)),
            np.array(run[0]["affine_lps"]).reshape(4, 4),
            shape=tuple(run[0]["shape"]),
            is_integral=all(row["is_integral"] for row in run),
            count=len(run),
            seconds=seconds,
        )
    return ExportedFile(digest, sink.hexdigest(), sink.size)


def _gradients(
    folder: UPath, run: list[Row], before: Mapping[str, ExportedFile], *, is_whole: bool
) -> Iterator[Row]:
    for content, made in (("bval", bval_text), ("bvec", bvec_text)):
        name = f"{_stem(run, is_whole=is_whole)}.{content}"
        data = made(run).encode()
        digest = hashlib.sha256(data).hexdigest()
        file = _kept_or(before, folder / name, digest, _written_text, data)
        yield _row(name, run, content, file, digest)


def _written_text(path: UPath, digest: str, data: bytes) -> ExportedFile:
    write_bytes(path, data)
    return ExportedFile(digest, digest, len(data))


def _kept_or(
    before: Mapping[str, ExportedFile],
    path: UPath,
    digest: str,
    write: Callable[Concatenate[UPath, str, P], ExportedFile],
    *args: P.args,
    **kwargs: P.kwargs,
) -> ExportedFile | InternalError:
    known = before.get(path.name)
    if known is not None and _is_there(path, known, digest):
        return known
    return fenced(write, path, digest, *args, **kwargs)


def _stem(run: list[Row], *, is_whole: bool) -> str:
    return f"{run[0]['volume_id']}{'-4d' if is_whole else ''}"


def _contents(run: list[Row]) -> list[str]:
    return [row["content_sha256"] for row in run]


def _row(
    name: str, run: list[Row], content: str, file: ExportedFile | InternalError, digest: str
) -> Row:
    return {
        "file": name,
        "volume_id": run[0]["volume_id"],
        "study_instance_uid": run[0]["study_instance_uid"],
        "series_instance_uid": run[0]["series_instance_uid"],
        "is_aligned": False,
        "content": content,
        "volumes": len(run),
        **_columns(file, digest),
    }


def _written(path: UPath, row: Row, stored: StoredVolumes, number: int) -> ExportedFile:
    data = nifti_bytes(stored.load(row, number))
    write_bytes(path, data)
    return ExportedFile(row["content_sha256"], hashlib.sha256(data).hexdigest(), len(data))


def _columns(file: ExportedFile | InternalError, digest: str) -> Row:
    if isinstance(file, InternalError):
        nothing = dict.fromkeys(("file", *ExportedFile._fields))
        return nothing | {"content_sha256": digest, "reason": file.text}
    return file._asdict() | {"reason": None}


def _is_there(path: UPath, known: ExportedFile, digest: str) -> bool:
    if known.content_sha256 != digest:
        return False
    return bool(path.exists() and path.stat().st_size == known.file_size)


def remove_others(folder: UPath, files: Set[str]) -> int:
    """Remove files of volumes that there no longer are; give their number."""
    if not folder.exists():
        return 0
    others = [
        path
        for path in folder.iterdir()
        if path.name.endswith(_SUFFIXES) and path.name not in files
    ]
    for path in others:
        path.unlink()
    return len(others)
