"""Dagster's errors as our own, so that a command's exit code follows from their class.

Belongs here: errors of running and of the record. Their base classes are in `core/errors.py`.
"""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from dagster import DagsterError
from sqlalchemy.exc import OperationalError

from hc_assets.core.errors import EnvironmentFaultError, FindingsError

# Less than any step needs: a disk with less room than this is full
_LEAST_FREE_BYTES = 2**20


class BlockedError(FindingsError):
    """A blocking check failed; what it guards was not made."""


class RunFailedError(EnvironmentFaultError):
    """A step raised; its message names the step and the error, and no patient data."""


class OrchestratorError(EnvironmentFaultError):
    """Dagster refuses its folder, its configuration or a definition that settings are part of."""


class RecordError(EnvironmentFaultError):
    """The database that keeps Dagster's record can't be used."""


@contextmanager
def own_errors(folder: Path | None = None) -> Iterator[None]:
    """Turn Dagster's errors, and those of the database of its record, into ours.

    Args:
        folder: that the record is kept in, if any: whether its disk is full is added, since SQLite
            may only say that input or output failed.

    Raises:
        OrchestratorError: in place of a `DagsterError`.
        RecordError: in place of the database's error.
    """
    try:
        yield
    except OperationalError as error:
        text = f"Dagster's record can't be used: {error.orig}{_full(folder)}"
        raise RecordError(text) from error
    except DagsterError as error:
        raise OrchestratorError(str(error)) from error


def _full(folder: Path | None) -> str:
    if folder is None or not folder.exists():
        return ""
    is_full = shutil.disk_usage(folder).free < _LEAST_FREE_BYTES
    return f"; no space left on the disk of {folder}" if is_full else ""
