"""`hc-assets land` and `hc-assets ingest`: files in, everything that depends on them out.

Belongs here: their arguments, and what is shown. Landing is in `lake/landing.py`, running in
`orchestration/runs.py`.
"""

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from hc_assets.cli.exit_codes import UNREADABLE, USAGE, faults_become_exit_codes, say, stop
from hc_assets.lake.archives import ArchiveLimits
from hc_assets.lake.discovery import AmbiguousKindError, discover, guess_kind
from hc_assets.lake.landing import BatchLimits, LandingResult, land
from hc_assets.lake.layout import Layout
from hc_assets.pipelines import PIPELINES
from hc_assets.settings import Settings

ingest_app = typer.Typer()
_stderr = Console(stderr=True)


def _known_kind(kind: str | None) -> str | None:
    if kind is not None and kind not in PIPELINES:
        raise typer.BadParameter(f"{kind!r} is none of {', '.join(PIPELINES)}")
    return kind


Paths = Annotated[
    list[Path], typer.Argument(help="Files, or folders of files.", show_default=False)
]
KindOption = Annotated[
    str | None,
    typer.Option(
        metavar="|".join(PIPELINES),
        callback=_known_kind,
        help="What the files are; told from their content when left out.",
    ),
]


@ingest_app.command("land")
def land_command(paths: Paths, kind: KindOption = None) -> None:
    """Copy files into immutable batches, and print the batches' keys."""
    with faults_become_exit_codes():
        result, _ = _land(paths, kind, Settings())
    for key in result.batches:
        typer.echo(key)


@ingest_app.command()
def ingest(paths: Paths, kind: KindOption = None) -> None:
    """Land files, materialize everything that depends on them, and print what they became."""
    from hc_assets.imaging.series.imaging_studies import FOLDER

    settings = Settings()
    with faults_become_exit_codes():
        if _ingest(paths, kind, settings) == "dicom":
            studies = Path(Layout.of(settings.data_dir).landing("fhir").path) / FOLDER
            if settings.imaging_studies_to_fhir and studies.exists():
                _ingest([studies], "fhir", settings)


def _ingest(paths: list[Path], kind: str | None, settings: Settings) -> str:
    result, kind_name = _land(paths, kind, settings)
    batches = sorted({*result.batches, *result.known_batches})
    _materialize(kind_name, batches, settings)
    _print_rows(kind_name, batches, settings)
    return kind_name


def _land(paths: list[Path], kind: str | None, settings: Settings) -> tuple[LandingResult, str]:
    from hc_assets.lake.warehouse import Warehouse
    from hc_assets.orchestration.runs import open_instance, register_batches
    from hc_assets.tables import PARQUET_TABLES

    layout = Layout.of(settings.data_dir)
    for path in paths:
        if not path.exists():
            raise stop(UNREADABLE, f"{path}: no such file or folder")
    try:
        kind = kind or guess_kind(discover(paths, Path(settings.data_dir)))
    except AmbiguousKindError as error:
        raise stop(USAGE, f"{error}; say which with --kind") from error
    if kind not in PIPELINES:
        raise stop(USAGE, f"the files look like {kind}; what is landed is {', '.join(PIPELINES)}")
    result = land(
        discover(paths, Path(layout.landing(kind).path)),
        layout,
        kind,
        limits=BatchLimits(
            settings.batch_files,
            settings.batch_bytes,
            ArchiveLimits(*settings.archive_limits),
        ),
        now=datetime.now(UTC),
    )
    Warehouse(layout, PARQUET_TABLES).ensure()
    with open_instance(layout) as instance:
        register_batches(instance, kind, sorted({*result.batches, *result.known_batches}))
    say(
        f"landed {result.landed} {kind} files in {len(result.batches)} batches;"
        f" {result.already_landed} were known by their content,"
        f" {result.unreadable} can't be read, {result.waiting} are still being written"
    )
    return result, kind


def _materialize(kind: str, batches: list[str], settings: Settings) -> None:
    from hc_assets.definitions import build_defs
    from hc_assets.orchestration.runs import jobs_to_finish, open_instance, refuse_blocked, run_job

    layout = Layout.of(settings.data_dir)
    jobs = jobs_to_finish(layout, kind, batches)
    definitions = build_defs(settings)
    if not jobs:
        say("nothing to do: every batch is materialized")
    with open_instance(layout) as instance, _progress() as progress:
        task = progress.add_task(kind, total=len(jobs))
        for number, job in enumerate(jobs, start=1):
            what = f"{job.name} {job.batch or 'over all batches'}"
            progress.update(task, description=what)
            if not _stderr.is_terminal:
                say(f"{number}/{len(jobs)} {what}")
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


def _print_rows(kind: str, batches: list[str], settings: Settings) -> None:
    from hc_assets.lake.tables import read_partitions

    layout = Layout.of(settings.data_dir)
    for table in PIPELINES[kind].batch_tables:
        rows = read_partitions(layout, table).only(batches).count_rows()
        typer.echo(f"{table}\t{rows}")
