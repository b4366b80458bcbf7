"""One writer of a folder at a time, across processes.

Belongs here: waiting for the others. What is written beneath a lock, and in which order, is the
writer's to know. The warehouse has locks of its own in `warehouse.py`, landing in `landing.py`.
"""

from collections.abc import Iterator
from contextlib import contextmanager

from filelock import FileLock
from upath import UPath

from hc_assets.lake.atomic import is_local, local_path, make_folder


@contextmanager
def exclusive(lock: UPath) -> Iterator[None]:
    """Keep out every other process that takes the same lock; the kernel frees those of the dead.

    Whoever reads what is to be written after taking the lock writes nothing older than what is
    there: of two writers, the later one has read the later state.

    Args:
        lock: file that stands for what is written; made with its folder when missing. Object stores
            have no locks: there, nobody is kept out.
    """
    if not is_local(lock):
        yield
        return
    make_folder(lock.parent)
    with FileLock(local_path(lock), mode=0o600):
        yield
