"""Reads what is to be landed, and tells its faults from those of the place that it goes to.

Belongs here: reading only. Which sources there are is in `discovery.py` and `archives.py`.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, cast

from upath import UPath

_BLOCK = 1024 * 1024


class UnreadableSourceError(Exception):
    """A source can't be opened, or reading it failed halfway; the text follows its name."""


@contextmanager
def opened(path: Path | UPath) -> Iterator[IO[bytes]]:
    """Open a source.

    Raises:
        FileNotFoundError: it is gone.
        UnreadableSourceError: it can't be opened.
    """
    try:
        source = cast(IO[bytes], path.open("rb"))
    except FileNotFoundError:
        raise
    except OSError as error:
        raise UnreadableSourceError(read_problem(error)) from error
    with source:
        yield source


def blocks(source: IO[bytes]) -> Iterator[bytes]:
    """Read a file to its end, a MiB at a time.

    Raises:
        FileNotFoundError: it is gone.
        UnreadableSourceError: reading fails.
    """
    while block := read(source, _BLOCK):
        yield block


def read(source: IO[bytes], size: int) -> bytes:
    """Read some bytes of a file.

    Raises:
        FileNotFoundError: it is gone.
        UnreadableSourceError: reading fails.
    """
    try:
        return source.read(size)
    except FileNotFoundError:
        raise  # an object that is deleted while it is read is gone, not unreadable
    except OSError as error:
        # Kept apart from a failure to write the copy, which is not the file's fault.
        raise UnreadableSourceError(read_problem(error)) from error


def read_problem(error: OSError) -> str:
    """What is wrong with a file, as it follows its name."""
    return f"can't be read: {error.strerror or type(error).__name__}"
