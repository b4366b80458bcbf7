"""Where a process writes: counts the places, and kills the process at one of them.

Belongs here: what a test's child process is watched by. Nothing of it is in the package: file
operations are seen by Python's audit hooks, bytes and DuckDB's statements by wrapping their calls.
"""

import functools
import os
import resource
import signal
import sys
from collections.abc import Callable
from typing import Any

import duckdb

from hc_assets.lake.atomic import HashingSink

_FILE_EVENTS = ("os.rename", "os.remove", "os.rmdir", "os.mkdir", "os.chmod")
_READ_ONLY_SQL = ("SELECT", "SET")


class KillPoints:
    """Every place of a process at which something below a folder changes.

    Attributes:
        reached: what happened at each place, in order.
    """

    def __init__(self, folder: str, kill_at: int | None) -> None:
        self.reached: list[str] = []
        self._folder, self._kill_at = folder, kill_at

    def install(self) -> None:
        """Watch this process from now on, for as long as it lives."""
        sys.addaudithook(self._audit)
        os.fsync = self._around("fsync", os.fsync)
        HashingSink.write = self._torn(HashingSink.write)  # type: ignore[method-assign]
        connection = duckdb.DuckDBPyConnection
        for name in ("begin", "commit", "close"):
            setattr(connection, name, self._around(f"duckdb {name}", getattr(connection, name)))
        connection.execute = self._statement(connection.execute)

    def _reach(self, what: str) -> None:
        if self._is_here(what):
            os.kill(os.getpid(), signal.SIGKILL)

    def _is_here(self, what: str) -> bool:
        self.reached.append(what)
        return len(self.reached) == self._kill_at

    def _audit(self, event: str, arguments: tuple[Any, ...]) -> None:
        if event == "open":
            path, mode, flags = arguments
            writes = isinstance(flags, int) and flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT)
            if writes and mode != "r" and self._is_below(path):
                self._reach("open")
        elif event in _FILE_EVENTS and any(map(self._is_below, arguments[:2])):
            self._reach(event)

    def _is_below(self, path: object) -> bool:
        if not isinstance(path, str | bytes | os.PathLike):
            return False
        text = os.fsdecode(path)
        # Dagster's own records are Dagster's to keep whole; locks hold nothing
        return (
            text.startswith(f"{self._folder}/")
            and not text.startswith(f"{self._folder}/dagster")
            and not text.endswith(".lock")
        )

    def _around(self, what: str, call: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(call)
        def watched(*arguments: Any, **options: Any) -> Any:
            self._reach(f"before {what}")
            result = call(*arguments, **options)
            self._reach(f"after {what}")
            return result

        return watched

    def _torn(self, write: Callable[..., int]) -> Callable[..., int]:
        def watched(sink: HashingSink, data: bytes) -> int:
            if self._is_here("write"):
                write(sink, memoryview(data)[: memoryview(data).nbytes // 2])
                sink.flush()
                os.kill(os.getpid(), signal.SIGKILL)
            return write(sink, data)

        return watched

    def _statement(self, execute: Callable[..., Any]) -> Callable[..., Any]:
        def watched(connection: Any, statement: Any, *more: Any, **options: Any) -> Any:
            verb = str(statement).split(maxsplit=1)[0].upper()
            if verb not in _READ_ONLY_SQL:
                self._reach(f"before duckdb {verb}")
            return execute(connection, statement, *more, **options)

        return watched


def die_beyond(size: int) -> None:
    """End this process in the middle of the write that would take any file beyond `size` bytes.

    The kernel does it, so it reaches into DuckDB's own writes as well.
    """
    signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))
