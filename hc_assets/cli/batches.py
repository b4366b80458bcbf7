"""`hc-assets batches`: what batches there are, how each stands, and taking one out or in again.

Belongs here: the commands. How a batch stands is found by `orchestration/batch_states.py`, records
of retractions are kept by `lake/exclusions.py`.
"""

import getpass
import os
from datetime import UTC, datetime
from enum import StrEnum
from typing import Annotated, Any

import msgspec
import typer

from hc_assets.cli.exit_codes import errors_become_exit_codes, print_message
from hc_assets.cli.ingest import KindOption, finish, ingest_fed, raise_any
from hc_assets.core.domain import Landing
from hc_assets.core.errors import UsageError
from hc_assets.domains import CATALOG, warehouse_of
from hc_assets.lake import exclusions
from hc_assets.lake.layout import Layout
from hc_assets.lake.manifests import batch_keys
from hc_assets.settings import Settings

batches_app = typer.Typer(help="Batches: how each stands; retract and restore.")


class UnknownBatchError(UsageError):
    """There is no batch of that key, or there are several kinds that have one."""


class ListFormat(StrEnum):
    """Formats of `batches`."""

    TEXT = "text"
    JSON = "json"


@batches_app.callback(invoke_without_command=True)
def batches(
    context: typer.Context,
    kind: KindOption = None,
    format: Annotated[  # noqa: A002 - the option's name
        ListFormat, typer.Option(help="What to print.")
    ] = ListFormat.TEXT,
) -> None:
    """List the batches of each kind, how each stands, and its counts: files, entries, rows.

    A batch is landed, running, failed (of a step), blocked (by a check), finished, published,
    retracted or damaged. Lines of text have tabs between kind, key, state, files, entries, the rows
    of its tables, and what it failed of.
    """
    if context.invoked_subcommand is not None:
        return
    settings = Settings()
    with errors_become_exit_codes():
        from hc_assets.orchestration.batch_states import batch_states
        from hc_assets.orchestration.runs import open_instance

        layout = Layout.configured(settings)
        wanted = [CATALOG.landings[kind]] if kind else CATALOG.landings.values()
        with open_instance(layout) as instance:
            found = [
                state for landing in wanted for state in batch_states(layout, instance, landing)
            ]
    if format is ListFormat.JSON:
        listed: list[dict[str, Any]] = [
            msgspec.to_builtins(state) | {"entries": state.entries} for state in found
        ]
        typer.echo(msgspec.json.format(msgspec.json.encode(listed), indent=1))
        return
    for state in found:
        rows = " ".join(f"{table.rpartition('/')[2]}={n}" for table, n in state.rows.items())
        counts = f"{state.files}\t{state.entries}\t{rows}"
        typer.echo(f"{state.kind}\t{state.key}\t{state.state}\t{counts}\t{state.detail}".rstrip())


Key = Annotated[str, typer.Argument(help="Of the batch, as `hc-assets batches` lists it.")]


@batches_app.command()
def retract(
    key: Key,
    reason: Annotated[
        str, typer.Option(help="Why, for the record; without any patient's data.")
    ] = "",
    kind: KindOption = None,
) -> None:
    """Take a batch out of all that is made of all batches, and record who did, when and why.

    Its files and its own tables stay, and `restore` takes it in again. Done twice, or after a kill,
    it makes up for what is left to do.
    """
    settings = Settings()
    with errors_become_exit_codes():
        layout, landing = Layout.configured(settings), _landing_of(settings, key, kind)
        warehouse_of(layout).ensure()
        made = exclusions.retract(
            layout, landing.kind.name, key, now=datetime.now(UTC), by=_account(), reason=reason
        )
        print_message(f"{key} is retracted, since {made.at} by {made.by}")
        raise_any(finish(landing, [], settings) + ingest_fed(landing, settings))


@batches_app.command()
def restore(key: Key, kind: KindOption = None) -> None:
    """Take a batch that was retracted in again; the record of its retraction is kept."""
    settings = Settings()
    with errors_become_exit_codes():
        layout, landing = Layout.configured(settings), _landing_of(settings, key, kind)
        warehouse_of(layout).ensure()
        is_restored = exclusions.restore(
            layout, landing.kind.name, key, now=datetime.now(UTC), by=_account()
        )
        print_message(f"{key} is {'restored' if is_restored else 'not retracted'}")
        raise_any(finish(landing, [key], settings) + ingest_fed(landing, settings))


def _landing_of(settings: Settings, key: str, kind: str | None) -> Landing:
    layout = Layout.configured(settings)
    kinds = [kind] if kind else list(CATALOG.landings)
    having = [each for each in kinds if key in batch_keys(layout, each)]
    if len(having) != 1:
        what = f"is one of {' and '.join(having)}: name its --kind" if having else "is no batch"
        raise UnknownBatchError(f"{key} {what}; `hc-assets batches` lists them")
    return CATALOG.landings[having[0]]


def _account() -> str:
    """Name of the account that the command runs as; its number where it has none."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return f"uid {os.getuid()}"
