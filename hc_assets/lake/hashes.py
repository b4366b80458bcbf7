"""Hashes of files as they lie there, so that damage is seen when they are read.

Belongs here: hashing, and what this process has hashed already. What a hash has to be is said by a
commit (`parts.py`) or by a batch's manifest (`manifests.py`).
"""

import hashlib
from functools import lru_cache

import xxhash
from upath import UPath

from hc_assets.lake.atomic import is_local

HEAD_BYTES = 16 * 1024
"""Of a file, whose hash is kept for those who read no more than its beginning."""

_BLOCK = 256 * 1024  # stays in a core's cache
# Of a hundred bytes each; a process that reads more files hashes the first ones again.
_REMEMBERED = 100_000


def head_hash(data: bytes) -> str:
    """Hash the beginning of a file, in a thousandth of the time that SHA-256 of an image takes.

    Damage is found by it; whoever forges a file is found by SHA-256.

    Args:
        data: of the file, from its first byte on; what is beyond HEAD_BYTES does not count.

    Returns:
        XXH3 of 64 bits, in hex.
    """
    return xxhash.xxh3_64_hexdigest(data[:HEAD_BYTES])


def quick_hash_of(path: UPath) -> str:
    """Hash a whole file as `head_hash` does its beginning.

    Raises:
        FileNotFoundError: it is not there.
    """
    digest = xxhash.xxh3_64()
    with path.open("rb", buffering=0) as file:
        while block := file.read(_BLOCK):
            digest.update(block)
    return digest.hexdigest()


def sha256_of(path: UPath) -> str:
    """Hash a file.

    Args:
        path: of the file.

    Returns:
        SHA-256 of its bytes, in hex.

    Raises:
        FileNotFoundError: it is not there.
    """
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()  # type: ignore[arg-type]


def sha256_when_first_opened(path: UPath) -> str:
    """Hash a file, once in this process as long as it stays the same file.

    Whoever writes to a file, or puts another in its place, changes the state that is remembered:
    its size, its times, and its number on a local disk. Bytes that a disk loses later on in the
    same process are seen by checksums of pages or not at all.

    Args:
        path: of the file.

    Returns:
        SHA-256 of its bytes, in hex.

    Raises:
        FileNotFoundError: it is not there.
    """
    stat = path.stat()
    state: tuple[float, ...] = (stat.st_size, stat.st_mtime)
    if is_local(path):
        # Nobody can set the time of the last change, as they can that of the last write
        state = (stat.st_dev, stat.st_ino, stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns)
    return _remembered(path, state)


@lru_cache(maxsize=_REMEMBERED)
def _remembered(path: UPath, state: tuple[float, ...]) -> str:
    return sha256_of(path)
