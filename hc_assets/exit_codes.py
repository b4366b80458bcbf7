"""How a command ends, and what it says on stderr.

Belongs here: exit codes, and which error is which of them.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import typer

FINDINGS, USAGE, UNREADABLE, ENVIRONMENT = 1, 2, 3, 4


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
    from hc_assets.runs import BlockedError, RunFailedError

    try:
        yield
    except BlockedError as error:
        raise stop(FINDINGS, f"a blocking check failed: {error}") from error
    except (DamagedCommitError, DamagedPartError) as error:
        said = f"{error}; `hc-assets lake verify --repair` makes it anew"
        raise stop(ENVIRONMENT, said) from error
    except OperationalError as error:
        raise stop(ENVIRONMENT, f"Dagster's record can't be used: {error.orig}") from error
    except (
        OSError,
        RunFailedError,
        WarehouseBusyError,
        WarehouseDamagedError,
        WarehouseFailedError,
        DagsterError,
    ) as error:
        raise stop(ENVIRONMENT, str(error)) from error
