"""Files that are there whole or not at all, readable by their owner only.

Belongs here: how bytes reach a disk or an object store safely. What the bytes mean does not.
"""

import hashlib
import io
import os
import resource
import secrets
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Protocol

from upath import UPath

TEMPORARY_PREFIX = ".tmp-"
_PRIVATE_FILE = 0o600
_PRIVATE_FOLDER = 0o700


class HashingSink:
    """A binary file that keeps the SHA-256 and the size of what is written to it.

    Attributes:
        size: bytes so far.
    """

    def __init__(self, sink: IO[bytes] | io.RawIOBase) -> None:
        self._sink = sink
        self._hash = hashlib.sha256()
        self._ending: hashlib._Hash | None = None
        self.size = 0

    @classmethod
    def discarding(cls) -> "HashingSink":
        """Return a sink that hashes and keeps nothing."""
        return cls(_Nowhere())

    @property
    def closed(self) -> bool:
        """Whether the file beneath is closed."""
        return self._sink.closed

    def write(self, data: bytes | memoryview) -> int:
        """Write and hash `data`; return how many bytes it had."""
        self._sink.write(data)
        self._hash.update(data)
        if self._ending is not None:
            self._ending.update(data)
        written = memoryview(data).nbytes
        self.size += written
        return written

    def flush(self) -> None:
        """Flush the file beneath."""
        self._sink.flush()

    def close(self) -> None:
        """Leave the file beneath open: whoever opened it syncs and closes it."""

    def hexdigest(self) -> str:
        """SHA-256 of all that was written, in hex."""
        return self._hash.hexdigest()

    def begin_ending(self) -> None:
        """Hash what follows by itself as well."""
        self._ending = hashlib.sha256()

    def ending_hexdigest(self) -> str:
        """SHA-256 of what was written since `begin_ending`, in hex; "" where it never began."""
        return "" if self._ending is None else self._ending.hexdigest()


class _Nowhere(io.RawIOBase):
    def write(self, data: object) -> int:
        return 0


class NamedBy(Protocol):
    """Names a finished file by what was written to it."""

    def __call__(self, sink: HashingSink) -> UPath:
        """Return the path that the file gets."""


def keep_private() -> None:
    """Let whatever this process and its workers make from now on be its owner's alone.

    For what others write on our behalf: Dagster its records, DuckDB its log. And let a crash leave
    no core file: the memory of a process that reads patients' files is full of them.
    """
    os.umask(0o777 & ~_PRIVATE_FOLDER)
    _, hard = resource.getrlimit(resource.RLIMIT_CORE)
    resource.setrlimit(resource.RLIMIT_CORE, (0, hard))


def is_local(path: UPath) -> bool:
    """Whether a path lies on this machine's file system rather than in an object store."""
    return path.protocol in ("", "file", "local")


def local_path(path: UPath) -> Path:
    """Return a local path as the standard library's own.

    Raises:
        ValueError: it lies in an object store.
    """
    if not is_local(path):
        raise ValueError(f"{path.protocol} storage where a local folder is needed")
    return Path(path.path)


def make_folder(folder: UPath) -> None:
    """Make a folder and what is missing above it, open to its owner only."""
    if not is_local(folder):
        folder.mkdir(parents=True, exist_ok=True)
        return
    missing = []
    while not folder.exists():
        missing.append(folder)
        folder = folder.parent
    for each in reversed(missing):
        each.mkdir(mode=_PRIVATE_FOLDER, exist_ok=True)


@contextmanager
def atomic_file(folder: UPath, named_by: NamedBy) -> Iterator[HashingSink]:
    """Write a file that appears under its name only when it is whole and on disk.

    Where the block raises, nothing is left. Object stores show an object only when its upload is
    complete, so there the bytes are spooled to a local temporary file first.

    Args:
        folder: where the file goes; made when missing.
        named_by: called at the end with the sink, gives the final path in `folder`.

    Yields:
        The sink to write to.
    """
    make_folder(folder)
    if not is_local(folder):
        yield from _uploaded(named_by)
        return
    temporary = local_path(folder) / f"{TEMPORARY_PREFIX}{os.getpid()}-{secrets.token_hex(6)}"
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, _PRIVATE_FILE)
    try:
        with os.fdopen(descriptor, "wb") as file:
            sink = HashingSink(file)
            yield sink
            file.flush()
            os.fsync(file.fileno())
        target = named_by(sink)
        temporary.replace(local_path(target))
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    sync_folder(folder)


def _uploaded(named_by: NamedBy) -> Iterator[HashingSink]:
    with tempfile.TemporaryFile() as spool:
        sink = HashingSink(spool)
        yield sink
        spool.seek(0)
        with named_by(sink).open("wb") as target:
            shutil.copyfileobj(spool, target)


def write_bytes(path: UPath, data: bytes) -> None:
    """Put `data` at `path` atomically; folder 0700, file 0600."""
    with atomic_file(path.parent, lambda _: path) as sink:
        sink.write(data)


def sync_folder(folder: UPath) -> None:
    """Make a rename in a local folder outlast a power cut."""
    descriptor = os.open(local_path(folder), os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
