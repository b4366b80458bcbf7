"""Where in the data an error was raised: a note that it carries out of a worker and into a record.

Belongs here: adding such notes, and telling them from those of libraries, which may quote values.
A place names files by their hashes and rows by their numbers: names of files may be of patients.
"""

from collections.abc import Iterator
from contextlib import contextmanager

_PREFIX = "hc_assets was at "

_now: list[str] = []


@contextmanager
def at(place: str) -> Iterator[None]:
    """Let whatever ends the block by an error say where it was.

    Args:
        place: in words of ours, hashes and numbers alone.
    """
    _now.append(place)
    try:
        yield
    except Exception as error:
        error.add_note(f"{_PREFIX}{place}")
        raise
    finally:
        _now.pop()


def places_of(error: BaseException) -> list[str]:
    """The notes that `at` left on an error, the innermost place first."""
    return [note for note in getattr(error, "__notes__", ()) if note.startswith(_PREFIX)]


def present_place() -> str:
    """The place that this process is at, the outermost first; "" where none is known."""
    return ", ".join(_now)
