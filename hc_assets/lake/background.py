"""One thing at a time beside the caller: reading, packing and writing, which need no interpreter.

Belongs here: overlapping the work of Arrow, which lets go of the interpreter's lock, with that of
Python. Work that needs Python itself is shared between processes, in `core/compute.py`.
"""

from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")


class BackgroundWorker:
    """Runs functions in a thread of its own, in order; at most one thing waits or runs.

    Use as a context manager. What a thing raised is raised at the next call, or at the end.
    """

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(max_workers=1)
        self._last: Future[None] | None = None

    def __enter__(self) -> "BackgroundWorker":
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        try:
            if kind is None:
                self.wait()
        finally:
            self._pool.shutdown(wait=True, cancel_futures=True)

    def run(self, work: Callable[[], None]) -> None:
        """Start a function once the one before it is done."""
        self.wait()
        self._last = self._pool.submit(work)

    def wait(self) -> None:
        """Wait until everything is done."""
        last, self._last = self._last, None
        if last is not None:
            last.result()


_END = object()


def prefetched(items: Iterator[T]) -> Iterator[T]:
    """Return items in order, each made in another thread while the one before it is used.

    Args:
        items: asked for one at a time, by one thread at a time; closed in the end.
    """
    with ThreadPoolExecutor(max_workers=1) as pool:
        upcoming = pool.submit(next, items, _END)
        try:
            while (item := upcoming.result()) is not _END:
                upcoming = pool.submit(next, items, _END)
                yield item  # type: ignore[misc]
        finally:
            upcoming.cancel()
            pool.shutdown(wait=True)
            close = getattr(items, "close", None)
            if close is not None:
                close()
