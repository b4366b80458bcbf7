"""ITK in one thread, so that the same image gives the same bytes on every machine.

Belongs here: that alone. A filter's own number of threads is not that of the filters within it, and
sums over parts of an image depend on how many parts there are.
"""

from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def single_thread() -> Iterator[None]:
    """Let all filters that are made and run in the block use one thread."""
    import SimpleITK as sitk  # noqa: PLC0415 - 50 MB that few need

    before = sitk.ProcessObject.GetGlobalDefaultNumberOfThreads()
    sitk.ProcessObject.SetGlobalDefaultNumberOfThreads(1)
    try:
        yield
    finally:
        sitk.ProcessObject.SetGlobalDefaultNumberOfThreads(before)
