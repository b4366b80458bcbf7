"""Landed files as work for worker processes: which files, in which portions, where their bytes are.

Belongs here: what the workers of all stages share. What is done with the files is in each stage's
`workers.py`.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from upath import UPath

from hc_assets.lake.layout import Layout
from hc_assets.lake.manifests import LandedFile, require_landed

_MOST_FILES = 500
_NAMED_BY = 12


@dataclass(frozen=True)
class FileToRead:
    """A landed file.

    Attributes:
        source_file: name shown to users.
        path: where its bytes are.
        sha256: of its bytes, in hex.
        size: bytes.
        head: `hashes.head_hash` of its beginning; "" where that is not known.
        quick: `hashes.quick_hash_of` all of it; "" where that is not known.
    """

    source_file: str
    path: Path
    sha256: str
    size: int
    head: str = ""
    quick: str = ""

    def columns(self, batch: str) -> dict[str, Any]:
        """Columns that every row of a file has; `batch` is the key of its batch."""
        return {"batch": batch, "source_file": self.source_file, "file_sha256": self.sha256}

    def require_landed(self, batch: str, *, quickly: bool = False) -> None:
        """Refuse a copy whose bytes are not those of the manifest of its batch.

        Args:
            batch: key of the batch.
            quickly: whether a hash that tells damage, not forgery, is enough.

        Raises:
            DamagedFileError: they are not, or the copy is gone.
        """
        quick = self.quick if quickly else ""
        require_landed(UPath(self.path), "dicom", batch, self.sha256, quick)

    def place(self, batch: str) -> str:
        """What an error may say of where it was: not the name, which may be a patient's."""
        return f"the file {self.sha256[:_NAMED_BY]} of batch {batch}"


@dataclass(frozen=True)
class FileWork:
    """Landed files of one batch, the number of the parts they fill, and which frames are wanted.

    `frames` has an entry per file where only some frames are wanted; it is empty where all are.
    """

    data_dir: str
    batch: str
    files: tuple[LandedFile, ...]
    number: int
    frames: tuple[frozenset[int], ...] = ()

    def layout(self) -> Layout:
        """Where the files and the parts lie."""
        return Layout.of(self.data_dir)

    def to_read(self) -> list[FileToRead]:
        """The files that have bytes, with the paths of their copies.

        Raises:
            DamagedFileError: a copy is gone or is not what its manifest says.
        """
        files = self.to_verify()
        for file in files:
            file.require_landed(self.batch)
        return files

    def to_verify(self) -> list[FileToRead]:
        """The same without a look at their bytes, for who does that himself."""
        layout = self.layout()
        return [
            FileToRead(
                source_file=file.source_file,
                path=Path(layout.landed_file("dicom", self.batch, file.stored).path),
                sha256=file.sha256,
                size=file.size,
                head=file.head,
                quick=file.quick,
            )
            for file in self.files
            if not file.problem
        ]


def work_of(
    data_dir: str,
    batch: str,
    files: list[LandedFile],
    chunk_bytes: int,
    *,
    most_files: int = _MOST_FILES,
) -> Iterator[FileWork]:
    """Divide a batch's files into pieces of work.

    Args:
        data_dir: folder of the lake.
        batch: key of the batch.
        files: of the batch, in the order of the rows.
        chunk_bytes: that the files of a piece take up at most; a larger file is one by itself.
        most_files: that a piece has.

    Yields:
        The pieces, numbered from 0.
    """
    group: list[LandedFile] = []
    size = number = 0
    for file in files:
        if group and (size + file.size > chunk_bytes or len(group) >= most_files):
            yield FileWork(data_dir, batch, tuple(group), number)
            number += 1
            group, size = [], 0
        group.append(file)
        size += file.size
    if group:
        yield FileWork(data_dir, batch, tuple(group), number)
