"""How a command ends, and what it prints on stderr.

Belongs here: exit codes, and which error is which of them.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import typer
from typer.core import TyperGroup

from hc_assets.core.errors import (
    EnvironmentFaultError,
    FindingsError,
    HcAssetsError,
    UnreadableInputError,
    UsageError,
)
from hc_assets.core.setting_errors import SettingError

FINDINGS, USAGE, UNREADABLE, ENVIRONMENT = 1, 2, 3, 4
EXIT_CODES: Mapping[type[Exception], int] = {
    FindingsError: FINDINGS,
    UsageError: USAGE,
    UnreadableInputError: UNREADABLE,
    EnvironmentFaultError: ENVIRONMENT,
    OSError: ENVIRONMENT,
}


def print_message(text: str) -> None:
    """Print progress and problems on stderr."""
    typer.echo(text, err=True)


def stop(code: int, text: str) -> typer.Exit:
    """Print why a command ends, and return the exit to raise."""
    print_message(f"hc-assets: {text}")
    return typer.Exit(code)


class Commands(TyperGroup):
    """All commands: a wrong setting ends each of them the same way, wherever it is met."""

    def invoke(self, ctx: Any) -> Any:
        """Run the command that was called."""
        try:
            return super().invoke(ctx)
        except SettingError as error:
            raise stop(USAGE, str(error)) from None


@contextmanager
def errors_become_exit_codes() -> Iterator[None]:
    """Turn errors that have an exit code into it, without a traceback; all others stay errors."""
    try:
        yield
    except tuple(EXIT_CODES) as error:
        code = next(code for kind, code in EXIT_CODES.items() if isinstance(error, kind))
        advice = error.advice if isinstance(error, HcAssetsError) else ""
        raise stop(code, f"{error}; {advice}" if advice else str(error)) from error
