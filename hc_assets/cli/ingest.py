"""`hc-assets land` and `hc-assets ingest`: files in, everything that depends on them out.

Belongs here: their arguments, and what is shown. Landing is in `lake/landing.py`, running in
`orchestration/runs.py`.
"""

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, NamedTuple

import typer
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
)

from hc_assets.cli.exit_codes import errors_become_exit_codes, print_message
from hc_assets.core.domain import Landing, resolve
from hc_assets.core.errors import FindingsError, HcAssetsError, UnreadableInputError, UsageError
from hc_assets.core.progress import Listener, Report, heard_by
from hc_assets.core.settings import CoreSettings
from hc_assets.core.source_names import named_source
from hc_assets.domains import CATALOG, warehouse_of
from hc_assets.lake.discovery import AnyPath, discover
from hc_assets.lake.exclusions import retracted
from hc_assets.lake.kinds import guess_kind
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


SourceOption = Annotated[
    str | None,
    typer.Option(
        metavar="NAME",
        help="Server or hospital that the files came from, or the base of its FHIR server: its"
        " resources are kept apart from those of others.",
    ),
]


@ingest_app.command("land")
def land_command(paths: Paths, kind: KindOption = None, source: SourceOption = None) -> None:
    """Copy files into immutable batches, and print the batches' keys."""
    with errors_become_exit_codes():
        result, _ = _land(paths, kind, Settings(), source)
    for key in result.batches:
        typer.echo(key)


@ingest_app.command()
def ingest(paths: Paths, kind: KindOption = None, source: SourceOption = None) -> None:
    """Land files, materialize everything that depends on them, and print what they became."""
    settings = Settings()
    with errors_become_exit_codes():
        ingest_paths(paths, kind, settings, source)


def ingest_paths(
    paths: Sequence[AnyPath], kind: str | None, settings: CoreSettings, source: str | None = None
) -> None:
    """Land files and materialize what depends on them, in other domains too.

    A batch that fails costs itself: the others go on, and what is good is published.

    Args:
        paths: files and folders.
        kind: of the files; detected from their content where None.
        settings: of the deployment.
        source: that the files came from; None where only their folders or what they hold say so.

    Raises:
        UnreadableInputError: a path does not exist.
        SourceNameError: the source is no name of one.
        ContradictingSourceError: files lie in the folder of another source.
        NoSourcesError: the files are of a kind that has none.
        AmbiguousKindError: the kind does not follow from the files.
        FailedBatchesError: a batch failed, or a blocking check did not hold.
        RunFailedError: a step raised, and nothing went well beside it.
    """
    raise_any(_ingested(paths, kind, settings, source))


def _ingested(
    paths: Sequence[AnyPath],
    kind: str | None,
    settings: CoreSettings,
    source: str | None = None,
) -> list["Failure"]:
    result, landing = _land(paths, kind, settings, source)
    batches = sorted({*result.batches, *result.known_batches})
    failures = finish(landing, batches, settings)
    _print_rows(landing, batches, settings)
    return failures + ingest_fed(landing, settings)


def ingest_fed(landing: Landing, settings: CoreSettings) -> list["Failure"]:
    """Ingest what the tables of a kind have put into the landing folders of other kinds."""
    layout = Layout.configured(settings)
    failures: list[Failure] = []
    for fed, folder in landing.domain.feeds.items():
        made = layout.landing(fed) / folder
        if made.exists():
            failures += _ingested([made], fed, settings)
    return failures


class NoSourcesError(UsageError):
    """A source was named for files of a kind that has none."""


def _land(
    paths: Sequence[AnyPath], kind: str | None, settings: CoreSettings, source: str | None
) -> tuple[LandingResult, Landing]:
    from hc_assets.orchestration.runs import open_instance, register_batches

    layout = Layout.configured(settings)
    source = "" if source is None else named_source(source)
    for path in paths:
        if not path.exists():
            raise UnreadableInputError(f"{path}: no such file or folder")
    kind = kind or guess_kind(discover(paths, Path(settings.data_dir)), CATALOG.kinds)
    landing = CATALOG.landings[kind]
    if source and not landing.kind.has_sources:
        raise NoSourcesError(f"{kind} files are kept by no source: leave out --source")
    if landing.domain.ready:
        for note in resolve(landing.domain.ready)(settings):
            print_message(note)
    result = land(
        discover(paths, layout.landing(kind)),
        layout,
        landing.kind,
        limits=BatchLimits.configured(settings),
        now=datetime.now(UTC),
        source=source,
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
    for key in sorted(result.known_batches & retracted(layout)):
        print_message(
            f"{key} is retracted: files of it are not ingested again; `hc-assets batches restore"
            f" {key}` takes it in again"
        )
    if result.is_clock_behind:
        print_message(
            "the clock is behind an earlier batch: the new ones are named by the time after it"
        )
    return result, landing


class FailedBatchesError(FindingsError):
    """Some batches failed, or are blocked by a check; whatever else there was to do is done."""


class Failure(NamedTuple):
    """A batch that failed, or what is made of all of them.

    Attributes:
        where: job and batch.
        error: what it failed of.
        is_beside_others: whether other batches of the same ingest are whole, or fail of their data:
            then it is not the environment that fails them all.
    """

    where: str
    error: HcAssetsError
    is_beside_others: bool


def raise_any(failures: Sequence[Failure]) -> None:
    """Raise one error that names all failures; nothing where there is none.

    Raises:
        FailedBatchesError: the data are at fault, or some batches failed among others.
        RunFailedError: every batch failed of something else, or what is made of all of them did.
    """
    from hc_assets.orchestration.errors import RunFailedError

    if not failures:
        return
    text = "; ".join(f"{each.where}: {each.error}" for each in failures)
    first = failures[0].error
    if all(isinstance(e.error, FindingsError) or e.is_beside_others for e in failures):
        raise FailedBatchesError(text) from first
    raise RunFailedError(text) from first


def finish(landing: Landing, batches: list[str], settings: CoreSettings) -> list[Failure]:
    """Materialize what batches lack, and what is made of all batches where it is behind.

    Args:
        landing: the kind.
        batches: keys of those that are to be whole.
        settings: of the deployment.

    Returns:
        What failed. A batch that a blocking check stops is left out of what is made of all.
    """
    from hc_assets.definitions import defs_of
    from hc_assets.orchestration.errors import BlockedError, RunFailedError
    from hc_assets.orchestration.runs import (
        blocked_batches,
        is_unpublished,
        jobs_to_finish,
        open_instance,
        run_job,
    )

    layout, kind = Layout.configured(settings), landing.kind.name
    jobs = jobs_to_finish(layout, kind, batches)
    definitions = defs_of(settings)
    failed: dict[str | None, tuple[str, HcAssetsError]] = {}
    if not jobs:
        print_message("nothing to do: every batch is materialized")
    with (
        open_instance(layout) as instance,
        _progress() as progress,
        heard_by(_shown_in(progress)),
    ):
        task = progress.add_task(kind, total=len(jobs))
        for number, job in enumerate(jobs, start=1):
            what = f"{job.name} {job.batch or 'over all batches'}"
            progress.update(task, description=what)
            if not _stderr.is_terminal:
                print_message(f"{number}/{len(jobs)} {what}")
            if job.batch is None:
                # What an earlier run blocked after its last table is left out, too
                blocked_batches(definitions, instance, layout, {*batches})
                if failed and not is_unpublished(layout, landing):
                    continue
            try:
                run_job(definitions, instance, job)
            except (BlockedError, RunFailedError) as error:
                failed[job.batch] = what, error
                if not _stderr.is_terminal:
                    print_message(f"{what} failed")
            progress.advance(task)
        blocked = blocked_batches(definitions, instance, layout, {None, *batches})
    for batch, why in blocked.items():
        failed.setdefault(batch, (batch or "over all batches", why))
    is_beside_others = any(
        batch not in failed or isinstance(failed[batch][1], FindingsError) for batch in batches
    )
    return [
        Failure(what, error, is_beside_others and batch is not None)
        for batch, (what, error) in failed.items()
    ]


def _progress() -> Progress:
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        console=_stderr,
        disable=not _stderr.is_terminal,
    )


def _shown_in(progress: Progress) -> Listener:
    """Show how far the steps of a job are: as bars in a terminal, else as lines."""
    bars: dict[str, TaskID] = {}

    def hear(report: Report) -> None:
        if not _stderr.is_terminal:
            print_message(f"    {report}")
            return
        if report.step not in bars:
            bars[report.step] = progress.add_task(report.step, total=report.total)
        progress.update(
            bars[report.step],
            description=f"  {report.step} ({report.piece})",
            total=report.done if report.is_last else report.total,
            completed=report.done,
        )

    return hear


def _print_rows(landing: Landing, batches: list[str], settings: CoreSettings) -> None:
    from hc_assets.lake.tables import read_partitions

    layout = Layout.configured(settings)
    for table in landing.batch_tables:
        rows = read_partitions(layout, table).only(batches).count_rows()
        typer.echo(f"{table}\t{rows}")
