"""Who does the work: this process, or worker processes on this machine.

Belongs here: choosing an executor and keeping a bounded number of units in flight. What a unit does
belongs to each domain, in modules that import quickly and know nothing of Dagster.
"""

import gc
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor, Future
from contextlib import contextmanager
from functools import partial
from typing import ParamSpec, TypeVar

from loky import cpu_count, get_reusable_executor
from loky.process_executor import TerminatedWorkerError

from hc_assets.core import fence
from hc_assets.core.errors import EnvironmentFaultError

# Idle workers keep their imports for the next step of the same run, then leave.
_IDLE_SECONDS = 60

P = ParamSpec("P")
T = TypeVar("T")
R = TypeVar("R")


class NativeCodeTimeoutError(EnvironmentFaultError):
    """A worker process ended itself, since native code did not return from a row.

    Trying the same again takes as long and ends in the same way, so nobody does.
    """

    advice = "HC_ROW_SECONDS allows more time; stderr says at which file it was"


class InPlace(Executor):
    """Runs each unit at once in the calling thread: for work too small to share."""

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """Run `fn` and give a future that is done; its exception is raised by `result()`."""
        future: Future[T] = Future()
        try:
            future.set_result(fn(*args, **kwargs))
        except Exception as error:  # noqa: BLE001 - handed on to whoever asks for the result
            future.set_exception(error)
        return future


def executor(units: int, workers: int = 0) -> Executor:
    """Give an executor for a number of units of work.

    Args:
        units: how many there are; a single one runs in place.
        workers: worker processes; 0 means one per core that this process may use.

    Returns:
        An executor. Worker processes are started afresh (no fork of a process with threads) and
        never import the parent's main module; they are shared between calls and leave when idle.
    """
    wanted = min(workers or cpu_count(), units)
    if wanted <= 1:
        return InPlace()
    pool: Executor = get_reusable_executor(max_workers=wanted, timeout=_IDLE_SECONDS)
    return pool


def in_order(
    pool: Executor,
    function: Callable[[T], R],
    units: Iterable[T],
    *,
    in_flight: int = 16,
    row_seconds: float = fence.ROW_SECONDS,
) -> Iterator[R]:
    """Run a function over units and give the results in the units' order.

    Args:
        pool: where it runs.
        function: importable by name from the package.
        units: read lazily, so that at most `in_flight` of them wait.
        in_flight: units handed out and not yet given back.
        row_seconds: time that each row has which the function fences in; 0 for no bound.

    Raises:
        NativeCodeTimeoutError: a row took longer, and only the end of its process stopped it.
        Exception: what the function raised for a unit; units not begun are cancelled.
    """
    waiting: deque[Future[R]] = deque()
    bounded = partial(_bounded, function, row_seconds)
    try:
        for unit in units:
            waiting.append(pool.submit(bounded, unit))
            if len(waiting) >= in_flight:
                yield _result(waiting.popleft(), row_seconds)
        while waiting:
            yield _result(waiting.popleft(), row_seconds)
    finally:
        for future in waiting:
            future.cancel()


def _bounded(function: Callable[[T], R], row_seconds: float, unit: T) -> R:
    with fence.row_seconds(row_seconds):
        return function(unit)


def _result(future: Future[R], row_seconds: float) -> R:
    try:
        return future.result()
    except TerminatedWorkerError as error:
        # loky says how its processes ended in the text alone
        if f"EXIT({fence.EXIT_CODE})" not in str(error):
            raise
    raise NativeCodeTimeoutError(
        f"a row took longer than {2 * row_seconds:g} seconds in native code, which nothing but the"
        " end of its process stopped"
    )


@contextmanager
def no_cycles() -> Iterator[None]:
    """Say that a block makes many objects and no cycles among them: they are not looked for.

    Rows are freed as soon as nobody holds them; looking through all of them for cycles again and
    again takes up to a fifth of the time.
    """
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()
