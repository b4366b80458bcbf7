import errno
import sqlite3

import filelock
import pytest
from loky.process_executor import TerminatedWorkerError

from hc_assets.core.transient import is_transient
from hc_assets.lake.parts import DamagedPartError
from hc_assets.lake.warehouse import WarehouseBusyError


def busy_database() -> sqlite3.OperationalError:
    error = sqlite3.OperationalError("database is locked")
    error.sqlite_errorcode = sqlite3.SQLITE_BUSY
    return error


def caused_by(cause: Exception) -> Exception:
    try:
        raise RuntimeError("wrapped") from cause
    except RuntimeError as error:
        return error


@pytest.mark.parametrize(
    "error",
    [
        WarehouseBusyError("held"),
        filelock.Timeout("held"),
        busy_database(),
        OSError(errno.EIO, "Input/output error"),
        OSError(errno.ESTALE, "Stale file handle"),
        BlockingIOError(errno.EAGAIN, "again"),
        ConnectionResetError(errno.ECONNRESET, "reset"),
        TimeoutError(),
        TerminatedWorkerError("killed"),
        caused_by(WarehouseBusyError("held")),
    ],
    ids=lambda error: type(error).__name__,
)
def test_locks_passing_io_errors_and_lost_workers_are_worth_another_try(error):
    assert is_transient(error)


@pytest.mark.parametrize(
    "error",
    [
        ValueError("wrong"),
        FileNotFoundError(errno.ENOENT, "gone"),
        PermissionError(errno.EACCES, "denied"),
        OSError(errno.ENOSPC, "No space left on device"),
        DamagedPartError("part"),
        sqlite3.OperationalError("no such table"),
        MemoryError(),
        KeyboardInterrupt(),
        caused_by(ValueError("wrong")),
    ],
    ids=lambda error: type(error).__name__,
)
def test_what_stays_as_it_is_is_not(error):
    assert not is_transient(error)


def test_a_circle_of_causes_ends():
    first, second = ValueError("a"), ValueError("b")
    first.__cause__, second.__cause__ = second, first
    assert not is_transient(first)
