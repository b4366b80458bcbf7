"""A fence around one row, file, series or study: what is raised for it is its own failure.

Belongs here: catching it, naming it without its text, and bounding the time that it takes. What
becomes of an `InternalError` (a row in quarantine, or in a table of failures) is each stage's.
"""

import multiprocessing
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType
from typing import ParamSpec, TypeVar, cast

from hc_assets.core.errors import EnvironmentFaultError, FindingsError
from hc_assets.core.places import present_place
from hc_assets.core.redaction import described
from hc_assets.core.transient import is_transient

RULE = "internal-error"
"""Rule that is said to be broken by what an error of ours or of a library's stopped."""
ROW_SECONDS = 600.0
"""Time that one row, file, series or study has, where nothing else is configured."""
EXIT_CODE = 70
"""Of a worker process that ended itself: EX_SOFTWARE of sysexits.h."""

_PREFIX = "internal error: "

P = ParamSpec("P")
R = TypeVar("R")
T = TypeVar("T")
_END = object()


class RowTimeoutError(FindingsError):
    """A row took longer than it may."""


@dataclass(frozen=True)
class InternalError:
    """What stands in place of a result.

    Attributes:
        error: class of the error, and the places of ours that it went through: nothing of its
            text, which may quote a value.
    """

    error: str

    @property
    def text(self) -> str:
        """What a table of failures keeps as the reason."""
        return f"{_PREFIX}{self.error}"

    @classmethod
    def of_text(cls, text: str) -> "InternalError | None":
        """Read such a reason back; None where the text is another one."""
        return cls(text.removeprefix(_PREFIX)) if text.startswith(_PREFIX) else None


def fenced(function: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs) -> R | InternalError:
    """Call a function for one row; what it raises comes back as a value.

    Args:
        function: makes the result of one row; must leave nothing half done when it raises.
        args: of the function.
        kwargs: of the function.

    Returns:
        The function's result, or the `InternalError` that stands for what it raised. Running out of
        memory or of stack is the row's, too, and so is taking longer than `row_seconds` allows.

    Raises:
        EnvironmentFaultError: not the row is at fault: a full disk, a damaged lake.
        Exception: a fault that passes by itself (`core/transient.py`): the work is tried again.
    """
    watched = _watch.enter()
    try:
        result = function(*args, **kwargs)
        _watch.leave(watched)
        return result
    except EnvironmentFaultError:
        _watch.leave(watched)
        raise
    except Exception as error:
        # Whatever it is: it costs this row, unless every other row would meet it too
        _watch.leave(watched)
        if _is_of_the_environment(error):
            raise
        within = error.__traceback__.tb_next if error.__traceback__ is not None else None
        return InternalError(described(error.with_traceback(within)))
    except BaseException:  # an interruption: no row's fault, but the row is over
        _watch.leave(watched)
        raise


def fenced_each(items: Iterable[T]) -> Iterator[T | InternalError]:
    """Give what an iterable gives; where it raises, an `InternalError` is the last.

    Args:
        items: each made when it is asked for, as a generator does.

    Raises:
        Exception: as `fenced`.
    """
    iterator = fenced(iter, items)
    while not isinstance(iterator, InternalError):
        item = fenced(next, iterator, _END)
        if item is _END:
            return
        yield cast("T | InternalError", item)
        if isinstance(item, InternalError):
            return
    yield iterator


@contextmanager
def row_seconds(seconds: float) -> Iterator[None]:
    """Bound the time of each row that the block fences in.

    Python code is interrupted, in a process' main thread. A worker process whose native code does
    not return within the same time again ends itself, and says so: no other way stops it.

    Args:
        seconds: that a row has; 0 for no bound.
    """
    before = _watch.seconds
    _watch.seconds = seconds
    try:
        yield
    finally:
        _watch.seconds = before
        if not before:
            _watch.stop()


def _is_of_the_environment(error: BaseException) -> bool:
    """Whether another row would fail in the same way: what the operating system refused us."""
    if isinstance(error, RowTimeoutError):
        return False
    return is_transient(error) or (isinstance(error, OSError) and error.errno is not None)


class _Watch:
    """Looks from a thread of its own whether the row in the main thread takes too long."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self._depth = 0
        self._last_event = 0.0
        self._thread: threading.Thread | None = None
        self._stopped = threading.Event()

    def enter(self) -> bool:
        """Begin a row; whether it is watched, as only the main thread's are."""
        if self.seconds <= 0 or threading.current_thread() is not threading.main_thread():
            return False
        if self._thread is None:
            signal.signal(signal.SIGALRM, self._interrupt)
            signal.siginterrupt(signal.SIGALRM, False)  # reads of libraries are not cut short
            self._stopped.clear()
            self._thread = threading.Thread(target=self._look, name="row-seconds", daemon=True)
            self._thread.start()
        self._last_event = time.monotonic()
        self._depth += 1
        return True

    def leave(self, watched: bool) -> None:
        """End a row; the time of one around it begins again, since it made progress."""
        if watched:
            self._depth -= 1
            self._last_event = time.monotonic()

    def stop(self) -> None:
        """End the thread: a process that has none may fork."""
        if self._thread is not None:
            self._stopped.set()
            self._thread.join()
            self._thread = None

    def _is_late(self, times: float = 1) -> bool:
        late = time.monotonic() - self._last_event > times * self.seconds
        return self.seconds > 0 and self._depth > 0 and late

    def _interrupt(self, _number: int, _frame: FrameType | None) -> None:
        if self._is_late():
            raise RowTimeoutError(f"took longer than {self.seconds:g} seconds")

    def _look(self) -> None:
        main = threading.main_thread().ident
        while main is not None and not self._stopped.wait(min(max(self.seconds / 10, 0.05), 1.0)):
            if not self._is_late():
                continue
            if self._is_late(2) and multiprocessing.parent_process() is not None:
                place = present_place()
                sys.stderr.write(
                    f"a row{place and f' at {place}'} took longer than {2 * self.seconds:g} seconds"
                    " in native code, which nothing but the end of its process stops\n"
                )
                sys.stderr.flush()
                os._exit(EXIT_CODE)
            signal.pthread_kill(main, signal.SIGALRM)


_watch = _Watch()
