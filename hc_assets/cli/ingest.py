"""`hc-assets land` and `hc-assets ingest`: files in, everything that depends on them out.

Belongs here: their arguments, and what is shown. Landing is in `lake/landing.py`, running in
`orchestration/runs.py`.
"""

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from hc_assets.cli.exit_codes import errors_become_exit_codes, print_message
from hc_assets.core.domain import Landing, resolve
from hc_assets.core.errors import UnreadableInputError
from hc_assets.core.settings import CoreSettings
from hc_assets.domains import CATALOG, warehouse_of
from hc_assets.lake.discovery import AnyPath, discover, guess_kind
from hc_assets.lake.landing import BatchLimits, LandingResult, land
from hc_assets.lake.layout import Layout
from hc_assets.lake.manifests import batch_keys
from hc_assets.settings import Settings

ingest_app = typer.Typer()
_stderr = Console(stderr=True)


def _known_kind(kind: str | None) -> str | None:
    if kind is not None and kind not in CATALOG.landings:
        raise typer.BadParameter(f"{kind!r} is none of {', '.join(CATALOG.landings)}")
    return kind


Paths = Annotated[
    list[Path], typer.Argument(help="Files, or folders of files.", show_default=False)
]
KindOption = Annotated[
    str | None,
    typer.Option(
        metavar="|".join(CATALOG.landings),
        callback=_known_kind,
        help="What the files are; detected from their content when left out.",
    ),
]


@ingest_app.command("land")
def land_command(paths: Paths, kind: KindOption = None) -> None:
    """Copy files into immutable batches, and print the batches' keys."""
    with errors_become_exit_codes():
        result, _ = _land(paths, kind, Settings())
    for key in result.batches:
        typer.echo(key)


@ingest_app.command()
def ingest(paths: Paths, kind: KindOption = None) -> None:
    """Land files, materialize everything that depends on them, and print what they became."""
    settings = Settings()
    with errors_become_exit_codes():
        ingest_paths(paths, kind, settings)


def ingest_paths(paths: Sequence[AnyPath], kind: str | None, settings: CoreSettings) -> None:
    """Land files and materialize what depends on them, in other domains too.

    Args:
        paths: files and folders.
        kind: of the files; detected from their content where None.
        settings: of the deployment.

    Raises:
        UnreadableInputError: a path does not exist.
        AmbiguousKindError: the kind does not follow from the files.
        BlockedError: a blocking check failed.
        RunFailedError: a step raised.
    """
    result, landing = _land(paths, kind, settings)
    batches = sorted({*result.batches, *result.known_batches})
    _materialize(landing, batches, settings)
    _print_rows(landing, batches, settings)
    layout = Layout.configured(settings)
    for fed, folder in landing.domain.feeds.items():
        made = layout.landing(fed) / folder
        if made.exists():
            ingest_paths([made], fed, settings)


def _land(
    paths: Sequence[AnyPath], kind: str | None, settings: CoreSettings
) -> tuple[LandingResult, Landing]:
    from hc_assets.orchestration.runs import open_instance, register_batches

    layout = Layout.configured(settings)
    for path in paths:
        if not path.exists():
            raise UnreadableInputError(f"{path}: no such file or folder")
    kind = kind or guess_kind(discover(paths, Path(settings.data_dir)), CATALOG.kinds)
    landing = CATALOG.landings[kind]
    if landing.domain.ready:
        for note in resolve(landing.domain.ready)(settings):
            print_message(note)
    result = land(
        discover(paths, layout.landing(kind)),
        layout,
        landing.kind,
        limits=BatchLimits.configured(settings),
        now=datetime.now(UTC),
    )
    warehouse_of(layout).ensure()
    with open_instance(layout) as instance:
        # All that lie here: beside a lake that was restored, the instance may be another one
        register_batches(instance, kind, batch_keys(layout, kind))
    print_message(
        f"landed {result.landed} {kind} files in {len(result.batches)} batches;"
        f" {result.already_landed} were known by their content,"
        f" {result.unreadable} can't be read, {result.waiting} are still being written"
    )
    if result.is_clock_behind:
        print_message(
            "the clock is behind an earlier batch: the new ones are named by the time after it"
        )
    return result, landing


def _materialize(landing: Landing, batches: list[str], settings: CoreSettings) -> None:
    from hc_assets.definitions import build_defs
    from hc_assets.orchestration.runs import jobs_to_finish, open_instance, refuse_blocked, run_job

    layout, kind = Layout.configured(settings), landing.kind.name
    jobs = jobs_to_finish(layout, kind, batches)
    definitions = build_defs(settings)
    if not jobs:
        print_message("nothing to do: every batch is materialized")
    with open_instance(layout) as instance, _progress() as progress:
        task = progress.add_task(kind, total=len(jobs))
        for number, job in enumerate(jobs, start=1):
            what = f"{job.name} {job.batch or 'over all batches'}"
            progress.update(task, description=what)
            if not _stderr.is_terminal:
                print_message(f"{number}/{len(jobs)} {what}")
            if job.batch is None:
                # Nothing is made of a batch that an earlier run blocked after its last table.
                refuse_blocked(definitions, instance, {*batches})
            run_job(definitions, instance, job)
            progress.advance(task)
        refuse_blocked(definitions, instance, {None, *batches})


def _progress() -> Progress:
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        console=_stderr,
        disable=not _stderr.is_terminal,
    )


def _print_rows(landing: Landing, batches: list[str], settings: CoreSettings) -> None:
    from hc_assets.lake.tables import read_partitions

    layout = Layout.configured(settings)
    for table in landing.batch_tables:
        rows = read_partitions(layout, table).only(batches).count_rows()
        typer.echo(f"{table}\t{rows}")
