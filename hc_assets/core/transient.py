"""Which faults pass by themselves: those are worth another try, the others are not.

Belongs here: distinguishing them. What is retried, and how often, is set in
`orchestration/specs.py`.
"""

import errno
import sqlite3
from collections.abc import Iterator

from filelock import Timeout
from loky.process_executor import TerminatedWorkerError

from hc_assets.core.errors import TransientError

# Storage or network that answers again, and locks that are let go. A full disk, a missing file and
# a missing right are not among them: they wait for a person.
_TRANSIENT_ERRNOS = frozenset(
    {
        errno.EAGAIN,
        errno.EBUSY,
        errno.EHOSTUNREACH,
        errno.EINTR,
        errno.EIO,
        errno.ENETDOWN,
        errno.ENETUNREACH,
        errno.ENOLCK,
        errno.ESTALE,
        errno.ETXTBSY,
    }
)


def is_transient(error: BaseException) -> bool:
    """Whether the same work may succeed when it is tried again.

    True of locks that another program holds, of input and output errors that pass, of connections
    and time limits, and of worker processes that were ended from outside. An error counts for what
    caused it, too.
    """
    return any(is_transient_itself(each) for each in _causes(error))


def _causes(error: BaseException) -> Iterator[BaseException]:
    seen: set[int] = set()
    waiting: BaseException | None = error
    while waiting is not None and id(waiting) not in seen:
        seen.add(id(waiting))
        yield waiting
        waiting = waiting.__cause__


def is_transient_itself(error: BaseException) -> bool:
    """The same for an error alone, whatever caused it."""
    if isinstance(error, TransientError | Timeout | ConnectionError | TerminatedWorkerError):
        return True
    if isinstance(error, sqlite3.OperationalError):
        code = getattr(error, "sqlite_errorcode", None)  # not of an error that sqlite3 itself made
        return code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)
    if isinstance(error, TimeoutError):
        return True
    return isinstance(error, OSError) and error.errno in _TRANSIENT_ERRNOS
