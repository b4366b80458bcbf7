"""Where a process writes: counts the places, kills the process at one of them, or keeps what a kill
would leave at each.

Belongs here: what a test's child process is watched by. Nothing of it is in the package: file
operations are seen by Python's audit hooks, bytes and DuckDB's statements by wrapping their calls.
"""

import functools
import os
import random
import resource
import shutil
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import duckdb

from hc_assets.lake.atomic import TEMPORARY_PREFIX, HashingSink

_FILE_EVENTS = ("os.rename", "os.remove", "os.rmdir", "os.mkdir", "os.chmod")
_READ_ONLY_SQL = ("SELECT", "SET")


class KillPoints:
    """Every place of a process at which something below a folder changes.

    Attributes:
        reached: what happened at each place, in order.
        states: how many different states of the folder a kill could have left, where they are kept.
    """

    def __init__(
        self,
        folder: str,
        *,
        kill_at: int | None = None,
        keep: str | None = None,
        at_most: int | None = None,
        seed: str = "",
    ) -> None:
        """Watch a folder.

        Args:
            folder: what is watched.
            kill_at: number of the place at which the process is killed, from 1.
            keep: where copies of the folder go, named by the number of the place at which each was
                made: what a kill there would leave, since the kernel keeps what was written and
                nothing else. A place at which nothing has changed since the one before has none,
                nor has one at which a file under a temporary name has grown: nobody opens those.
            at_most: how many copies stay, any of them with the same chance.
            seed: of that chance.
        """
        self.reached: list[str] = []
        self.states = 0
        self._folder, self._kill_at = folder, kill_at
        self._keep, self._at_most = keep, at_most
        self._chance = random.Random(seed)  # noqa: S311
        self._copies: list[Path] = []
        self._seen: list[tuple[str, int, int]] = []
        self._one_at_a_time = threading.RLock()

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
        with self._one_at_a_time:
            if self._is_here(what):
                os.kill(os.getpid(), signal.SIGKILL)
            self._copy()

    def _is_here(self, what: str) -> bool:
        self.reached.append(what)
        return len(self.reached) == self._kill_at

    def _copy(self) -> None:
        if self._keep is None:
            return
        seen = sorted(self._state())
        if seen == self._seen:
            return
        self._seen, self.states = seen, self.states + 1
        slot = self.states - 1
        if self._at_most is not None and slot >= self._at_most:
            # Any state is among those that are kept with the same chance (Vitter's algorithm R)
            slot = self._chance.randrange(self.states)
            if slot >= self._at_most:
                return
            shutil.rmtree(self._copies[slot])
        target = Path(self._keep, str(len(self.reached)))
        if Path(self._folder).exists():
            shutil.copytree(self._folder, target, symlinks=True)
        else:
            target.mkdir()
        self._copies[slot : slot + 1] = [target]

    def _state(self) -> Iterator[tuple[str, int, int]]:
        """All that a later run can meet: of what has a temporary name, only that it is there."""
        for folder, folders, names in os.walk(self._folder):
            if folder == self._folder and "dagster" in folders:
                folders.remove("dagster")  # what it keeps changes between our places, too
            yield folder, 0, 0
            for name in names:
                path = f"{folder}/{name}"
                if name.startswith(TEMPORARY_PREFIX):
                    yield path, 0, 0
                elif not name.endswith(".lock"):
                    status = os.lstat(path)
                    yield path, status.st_size, status.st_mtime_ns

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
            with self._one_at_a_time:
                # Of a state that is kept, this changes nothing: the file has a temporary name
                if not self._is_here("write"):
                    return write(sink, data)
                write(sink, memoryview(data)[: memoryview(data).nbytes // 2])
                sink.flush()
                os.kill(os.getpid(), signal.SIGKILL)
            raise AssertionError("unreachable")

        return watched

    def _statement(self, execute: Callable[..., Any]) -> Callable[..., Any]:
        def watched(connection: Any, statement: Any, *more: Any, **options: Any) -> Any:
            verb = str(statement).split(maxsplit=1)[0].upper()
            if verb not in _READ_ONLY_SQL:
                self._reach(f"before duckdb {verb}")
            return execute(connection, statement, *more, **options)

        return watched


def refuse_leavings(folder: str) -> None:
    """Make it an error to open what an earlier process left under a temporary name.

    That nobody does is why two states that differ in nothing else are one.
    """
    left = {str(path) for path in Path(folder).rglob(f"{TEMPORARY_PREFIX}*") if path.is_file()}

    def audit(event: str, arguments: tuple[Any, ...]) -> None:
        if event == "open" and str(arguments[0]) in left:
            raise AssertionError(f"a leaving was opened: {arguments[0]}")

    sys.addaudithook(audit)


def die_beyond(size: int) -> None:
    """End this process in the middle of the write that would take any file beyond `size` bytes.

    The kernel does it, so it reaches into DuckDB's own writes as well.
    """
    signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))
