"""The command `hc-assets`.

Belongs here: arguments, exit codes, and what is shown. The work is done elsewhere; whatever imports
Dagster is imported by the command that needs it, so that `--help` and `validate` start at once.
"""

from collections import Counter
from collections.abc import Iterator, Set
from contextlib import contextmanager
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from upath import UPath

from hc_assets.fhir_commands import fhir_app
from hc_assets.imaging.training.command import training_app
from hc_assets.imaging_commands import imaging_app
from hc_assets.lake.archives import ArchiveLimits
from hc_assets.lake.discovery import AmbiguousKindError, discover, guess_kind
from hc_assets.lake.landing import BatchLimits, LandingResult, land
from hc_assets.lake.layout import Layout
from hc_assets.lake_commands import lake_app, warehouse_app
from hc_assets.settings import Settings

if TYPE_CHECKING:
    import dagster as dg

    from hc_assets.fhir.file_validation import Finding

FINDINGS, USAGE, UNREADABLE, ENVIRONMENT = 1, 2, 3, 4

app = typer.Typer(
    help="Raw FHIR R4 and DICOM in; tables, exports and arrays out.\n\n"
    "Settings come from HC_ variables. Results go to stdout, everything else to stderr.\n\n"
    "Exit codes: 0 done and nothing found; 1 done, with findings (an invalid resource for validate,"
    " a failed blocking check for ingest, a failed ERROR check for report); 2 wrong usage;"
    " 3 an input can't be read; 4 the environment is at fault (folder, service, disk).",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.add_typer(warehouse_app, name="warehouse")
app.add_typer(fhir_app)
app.add_typer(imaging_app)
app.add_typer(lake_app, name="lake")
app.add_typer(training_app)
_stderr = Console(stderr=True)


class Kind(StrEnum):
    """Kinds of landed files."""

    FHIR = "fhir"
    DICOM = "dicom"


class ValidateFormat(StrEnum):
    """Formats of `validate`."""

    TEXT = "text"
    NDJSON = "ndjson"


class ReportFormat(StrEnum):
    """Formats of `report`."""

    TEXT = "text"
    MARKDOWN = "markdown"
    JSON = "json"
    JUNIT = "junit"
    HTML = "html"


class FailOn(StrEnum):
    """What makes `report` exit with 1."""

    ERROR = "error"
    WARN = "warn"


Paths = Annotated[
    list[Path], typer.Argument(help="Files, or folders of files.", show_default=False)
]
KindOption = Annotated[
    Kind | None, typer.Option(help="What the files are; told from their content when left out.")
]


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

    from hc_assets.jobs import BlockedError, RunFailedError
    from hc_assets.lake.parts import DamagedCommitError, DamagedPartError
    from hc_assets.lake.warehouse import (
        WarehouseBusyError,
        WarehouseDamagedError,
        WarehouseFailedError,
    )

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


@app.command()
def demo() -> None:
    """Make sample data, ingest it, and print the check report. A second run does what is new."""
    from hc_assets.sample_data.write import write_sample

    settings = Settings()
    landing = Path(settings.data_dir) / "landing"
    say(f"making sample data in {landing}")
    summary = write_sample(landing)
    say(f"{summary.patients} made-up patients, {sum(summary.files.values())} files")
    for kind in Kind:
        ingest([landing / kind.value], kind)
    report()


@app.command("land")
def land_command(paths: Paths, kind: KindOption = None) -> None:
    """Copy files into immutable batches, and print the batches' keys."""
    with faults_become_exit_codes():
        result, _ = _land(paths, kind, Settings())
    for key in result.batches:
        typer.echo(key)


@app.command()
def ingest(paths: Paths, kind: KindOption = None) -> None:
    """Land files, materialize everything that depends on them, and print what they became."""
    from hc_assets.imaging.imaging_studies import FOLDER

    settings = Settings()
    with faults_become_exit_codes():
        if _ingest(paths, kind, settings) == Kind.DICOM:
            studies = Path(Layout.of(settings.data_dir).landing(Kind.FHIR).path) / FOLDER
            if settings.imaging_studies_to_fhir and studies.exists():
                _ingest([studies], Kind.FHIR, settings)


def _ingest(paths: list[Path], kind: Kind | None, settings: Settings) -> str:
    result, kind_name = _land(paths, kind, settings)
    batches = sorted({*result.batches, *result.known_batches})
    _materialize(kind_name, batches, settings)
    _print_rows(kind_name, batches, settings)
    return kind_name


def _land(paths: list[Path], kind: Kind | None, settings: Settings) -> tuple[LandingResult, str]:
    from hc_assets.jobs import open_instance, register_batches
    from hc_assets.lake.warehouse import Warehouse
    from hc_assets.tables import PARQUET_TABLES

    layout = Layout.of(settings.data_dir)
    for path in paths:
        if not path.exists():
            raise stop(UNREADABLE, f"{path}: no such file or folder")
    try:
        name = kind.value if kind else guess_kind(discover(paths, Path(settings.data_dir)))
        kind = Kind(name)
    except (AmbiguousKindError, ValueError) as error:
        raise stop(USAGE, f"{error}; say which with --kind") from error
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
    from hc_assets.jobs import jobs_to_finish, open_instance, run_job

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
                _refuse_blocked(definitions, instance, {*batches})
            run_job(definitions, instance, job)
            progress.advance(task)
        _refuse_blocked(definitions, instance, {None, *batches})


def _refuse_blocked(
    definitions: "dg.Definitions", instance: "dg.DagsterInstance", batches: Set[str | None]
) -> None:
    from hc_assets.jobs import BlockedError
    from hc_assets.reports.checks import read_report

    findings = read_report(definitions, instance).findings()
    blocked = [o for o in findings if o.is_blocking and o.batch in batches]
    if blocked:
        raise BlockedError("; ".join(f"{o.asset}: {o.check}: {o.explanation}" for o in blocked))


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
    from hc_assets.jobs import PIPELINES
    from hc_assets.lake.tables import read_partitions

    layout = Layout.of(settings.data_dir)
    for table in PIPELINES[kind].batch_tables:
        rows = read_partitions(layout, table).only(batches).count_rows()
        typer.echo(f"{table}\t{rows}")


@app.command()
def validate(
    files: Paths,
    format: Annotated[  # noqa: A002 - the option's name
        ValidateFormat, typer.Option(help="Lines for a person, or one OperationOutcome per line.")
    ] = ValidateFormat.TEXT,
    profile: Annotated[
        list[Path] | None,
        typer.Option(
            help="File or folder of StructureDefinitions that resources are held against where"
            " meta.profile names them; beside those of HC_FHIR_PROFILES.",
            show_default=False,
        ),
    ] = None,
    best_practice: Annotated[
        bool, typer.Option(help="Show what R4 only recommends (dom-6: narrative) as well.")
    ] = False,
) -> None:
    """Validate FHIR R4 bundles, single resources and NDJSON files.

    A Bundle is judged as one resource, and what is wrong in an entry is said of the entry. A count
    per rule goes to stderr at the end.
    """
    from hc_assets.fhir.file_validation import validate_files
    from hc_assets.fhir.profile_rules import loaded
    from hc_assets.fhir.profiles import ProfileError
    from hc_assets.fhir.validation import operation_outcome

    resources = invalid = unreadable = 0
    by_rule: Counter[str] = Counter()
    for path in files:
        if not path.exists():
            say(f"hc-assets: {path}: no such file or folder")
            unreadable += 1
    found = discover([path for path in files if path.exists()], Path.cwd())
    settings = Settings()
    profiles = tuple(str(path) for path in [*settings.fhir_profiles, *(profile or [])])
    try:
        loaded(profiles)
    except (OSError, ProfileError) as error:
        raise stop(UNREADABLE, f"profiles: {error}") from error
    for checked in validate_files(
        found, workers=settings.workers, profiles=profiles, best_practice=best_practice
    ):
        resources += checked.resources
        invalid += checked.invalid()
        if checked.problem:
            say(f"hc-assets: {checked.file}: {checked.problem}")
            unreadable += 1
        by_rule.update(checked.by_rule)
        for finding in checked.findings:
            if format is ValidateFormat.NDJSON:
                typer.echo(operation_outcome(finding.issues))
            else:
                _print_issues(checked.file, finding)
    for rule, count in by_rule.most_common():
        say(f"{count:>8}  {rule}")
    say(f"{resources} resources, {invalid} invalid")
    if unreadable:
        raise typer.Exit(UNREADABLE)
    if invalid:
        raise typer.Exit(FINDINGS)


def _print_issues(file: str, finding: "Finding") -> None:
    what = "/".join(filter(None, (finding.resource_type, finding.resource_id))) or "unknown"
    place = file if finding.position is None else f"{file}:{finding.position}"
    for issue in finding.issues:
        typer.echo(
            f"{place}: {what}: {issue.severity} {issue.rule}"
            f" at {issue.expression or 'the whole'}: {issue.diagnostics}"
        )


@app.command()
def report(
    format: Annotated[  # noqa: A002 - the option's name
        ReportFormat, typer.Option(help="What to print.")
    ] = ReportFormat.TEXT,
    out: Annotated[
        Path | None, typer.Option(help="File to write instead of stdout.", show_default=False)
    ] = None,
    fail_on: Annotated[
        FailOn, typer.Option(help="Exit with 1 on failed checks of this severity or a worse one.")
    ] = FailOn.ERROR,
) -> None:
    """Report what every asset check last said of every batch, and how its value went."""
    from hc_assets.definitions import build_defs
    from hc_assets.jobs import open_instance
    from hc_assets.lake.atomic import write_bytes
    from hc_assets.reports.checks import read_report
    from hc_assets.reports.formats import FORMATS

    settings = Settings()
    with faults_become_exit_codes():
        with open_instance(Layout.of(settings.data_dir)) as instance:
            made = read_report(build_defs(settings), instance, ui_url=settings.ui_url)
        text = FORMATS[format.value].render(made)
        if out is None:
            typer.echo(text)
        else:
            write_bytes(UPath(out.absolute()), f"{text}\n".encode())
    if made.findings(warnings=fail_on is FailOn.WARN):
        raise typer.Exit(FINDINGS)


@app.command("receive")
def receive_command(
    host: Annotated[str | None, typer.Option(help="Address to listen on.")] = None,
    port: Annotated[int | None, typer.Option(help="TCP port; 0 for any free one.")] = None,
    ae_title: Annotated[str | None, typer.Option(help="AE title to be called by.")] = None,
    allow: Annotated[
        list[str] | None, typer.Option(help="AE title of a peer that may send; once for each.")
    ] = None,
) -> None:
    """Receive DICOM objects from peers (storage SCP) and land them, until SIGINT or SIGTERM.

    Prints the key of each batch. What is left out comes from the HC_RECEIVE_ settings.
    """
    from hc_assets.receive_command import run

    given = {
        "receive_host": host,
        "receive_port": port,
        "receive_ae_title": ae_title,
        "receive_allowed": tuple(allow) if allow else None,
    }
    settings = Settings().model_copy(update={k: v for k, v in given.items() if v is not None})
    if not settings.receive_allowed:
        raise stop(USAGE, "say with --allow which AE titles may send")
    with faults_become_exit_codes():
        run(settings)


def main() -> None:
    """Run the command."""
    app()
