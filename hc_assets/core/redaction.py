"""Errors of libraries as they may be kept: their class and their place, without their text.

Belongs here: what is taken out of an error on its way into a record or a log. Our own errors say
nothing of a patient; a library's may quote what it failed on: `Could not convert 'Doe' to int`.
"""

import os
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from inspect import isgeneratorfunction
from pathlib import Path
from traceback import extract_tb
from typing import Any

from hc_assets.core.places import places_of
from hc_assets.core.transient import is_transient_itself

_PACKAGE = Path(__file__).parents[1].name
# Of Dagster: what a step raises to steer it, and what it reports of configurations
_QUOTABLE_PACKAGES = (_PACKAGE, "dagster", "dagster_shared")
_REMOTE_FRAME = re.compile(rf'File "[^"]*/{_PACKAGE}/([^"]+)", line (\d+)')


class ForeignError(Exception):
    """A library failed, or Python itself; says with which class of error, and where of ours.

    What is raised is of a class of its own, named as the library's is.
    """


@contextmanager
def texts_redacted(*, files_are_ours: bool = True, enabled: bool = True) -> Iterator[None]:
    """Let only such errors through whose texts are ours; others become a `ForeignError`.

    What caused an error is dealt with in the same way, and stays its cause.

    Args:
        files_are_ours: whether an operating system's error may name files: not where they are those
            of a landing folder, which may be named after patients.
        enabled: False where nothing is to be taken out.
    """
    try:
        yield
    except Exception as error:
        if not enabled:
            raise
        kept = redacted(error, files_are_ours=files_are_ours)
        # `from` keeps what `redacted` left of the causes, and hides the error itself
        raise kept from kept.__cause__


def redacted(error: BaseException, *, files_are_ours: bool = True) -> BaseException:
    """Take out of an error, and out of all that caused it, the texts that are not ours.

    Args:
        error: with its traceback.
        files_are_ours: see `texts_redacted`.

    Returns:
        The error itself where its text is ours, or an operating system's, which names our files;
        else a `ForeignError`. A worker process sends its traceback as text, in an error that stands
        for the cause: of that, the places stay.
    """
    cause, remote = error.__cause__, ""
    if type(cause).__name__ == "_RemoteTraceback":
        remote, cause = _remote_places(str(cause)), None
    kept = error
    names_files = isinstance(error, OSError) and error.filename is not None
    if not _is_quotable(error) or (names_files and not files_are_ours):
        named = type(type(error).__name__, (ForeignError,), {"__module__": __name__})
        kept = named(described(error))
        for place in places_of(error):
            kept.add_note(place)
    if remote:
        kept.add_note(f"in a worker process: {remote}")
    kept.__cause__ = None
    if cause is not None:
        kept.__cause__ = redacted(cause, files_are_ours=files_are_ours)
    kept.__context__, kept.__suppress_context__ = None, True
    return kept


def with_redacted_errors(function: Callable[..., Any]) -> Callable[..., Any]:
    """Make a function, or one that yields, raise nothing whose text is not ours."""
    if isgeneratorfunction(function):

        @wraps(function)
        def yielding(*arguments: Any, **options: Any) -> Iterator[Any]:
            with texts_redacted():
                yield from function(*arguments, **options)

        return yielding

    @wraps(function)
    def returning(*arguments: Any, **options: Any) -> Any:
        with texts_redacted():
            return function(*arguments, **options)

    return returning


def _is_quotable(error: BaseException) -> bool:
    module = type(error).__module__.partition(".")[0]
    return (
        module in _QUOTABLE_PACKAGES
        or isinstance(error, OSError | MemoryError)
        or is_transient_itself(error)
    )


def described(error: BaseException) -> str:
    """Class of an error and the places of ours that it went through, without its text."""
    kind = type(error)
    name = kind.__name__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__name__}"
    places = [
        f"{Path(frame.filename).name}:{frame.lineno}"
        for frame in extract_tb(error.__traceback__)
        if f"/{_PACKAGE}/" in frame.filename and frame.filename != __file__
    ]
    reason = f" ({os.strerror(error.errno)})" if isinstance(error, OSError) and error.errno else ""
    return f"{name}{reason} at {' > '.join(places) or 'no place of ours'}"


def _remote_places(traceback: str) -> str:
    return " > ".join(
        f"{Path(file).name}:{line}"
        for file, line in _REMOTE_FRAME.findall(traceback)
        if (Path(__file__).parents[1] / file).is_file()
    )
