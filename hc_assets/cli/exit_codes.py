"""How a command ends, and what it says on stderr.

Belongs here: exit codes, and which error is which of them.
"""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager

import typer

FINDINGS, USAGE, UNREADABLE, ENVIRONMENT = 1, 2, 3, 4
# Less than any step needs: a disk with no more room than this is full
_ROOM_BYTES = 2**20


def say(text: str) -> None:
    """Tell the user how it goes, on stderr."""
    typer.echo(text, err=True)


def stop(code: int, text: str) -> typer.Exit:
    """Say why, and give the exit to raise."""
    say(f"hc-assets: {text}")
    return typer.Exit(code)


@contextmanager
def faults_become_exit_codes() -> Iterator[None]:
    """Turn what can go wrong outside the inputs into an exit code, without a traceback."""
    from dagster import DagsterError
    from sqlalchemy.exc import OperationalError

    from hc_assets.lake.parts import DamagedCommitError, DamagedPartError
    from hc_assets.lake.warehouse import (
        WarehouseBusyError,
        WarehouseDamagedError,
        WarehouseFailedError,
    )
    from hc_assets.orchestration.runs import BlockedError, RunFailedError

    try:
        yield
    except BlockedError as error:
        raise stop(FINDINGS, f"a blocking check failed: {error}") from error
    except (DamagedCommitError, DamagedPartError) as error:
        said = f"{error}; `hc-assets lake verify --repair` makes it anew"
        raise stop(ENVIRONMENT, said) from error
    except OperationalError as error:
        said = f"Dagster's record can't be used: {error.orig}{_room()}"
        raise stop(ENVIRONMENT, said) from error
    except (
        OSError,
        RunFailedError,
        WarehouseBusyError,
        WarehouseDamagedError,
        WarehouseFailedError,
        DagsterError,
    ) as error:
        raise stop(ENVIRONMENT, str(error)) from error


def _room() -> str:
    """What to add where the disk is full: SQLite may only say that input or output failed."""
    from hc_assets.settings import Settings

    folder = Settings().data_dir
    if folder.exists() and shutil.disk_usage(folder).free < _ROOM_BYTES:
        return f"; no space left on the disk of {folder}"
    return ""
