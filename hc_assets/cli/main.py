"""The command `hc-assets`, put together from its parts.

Belongs here: commands that are of no domain. The work is done elsewhere; whatever imports Dagster
is imported by the command that needs it, so that `--help` and `validate` start at once.
"""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer
from upath import UPath

from hc_assets.cli.exit_codes import FINDINGS, USAGE, faults_become_exit_codes, say, stop
from hc_assets.cli.ingest import ingest, ingest_app
from hc_assets.cli.lake import lake_app, warehouse_app
from hc_assets.fhir.commands import fhir_app
from hc_assets.fhir.validate_command import validate_app
from hc_assets.imaging.commands import imaging_app
from hc_assets.imaging.training.command import training_app
from hc_assets.lake.atomic import keep_private, write_bytes
from hc_assets.lake.layout import Layout
from hc_assets.pipelines import PIPELINES
from hc_assets.settings import Settings

app = typer.Typer(
    help="Raw FHIR R4 and DICOM in; tables, exports and arrays out.\n\n"
    "Settings come from HC_ variables. Results go to stdout, everything else to stderr.\n\n"
    "Exit codes: 0 done and nothing found; 1 done, with findings (an invalid resource for validate,"
    " a failed blocking check for ingest, a failed ERROR check for report); 2 wrong usage;"
    " 3 an input can't be read; 4 the environment is at fault (folder, service, disk).",
    callback=keep_private,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.add_typer(ingest_app)
app.add_typer(validate_app)
app.add_typer(warehouse_app, name="warehouse")
app.add_typer(fhir_app)
app.add_typer(imaging_app)
app.add_typer(lake_app, name="lake")
app.add_typer(training_app)


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


@app.command()
def demo() -> None:
    """Make sample data, ingest it, and print the check report. A second run does what is new."""
    from hc_assets.sample_data.write import write_sample

    settings = Settings()
    landing = Path(settings.data_dir) / "landing"
    say(f"making sample data in {landing}")
    summary = write_sample(landing)
    say(f"{summary.patients} made-up patients, {sum(summary.files.values())} files")
    for kind in PIPELINES:
        ingest([landing / kind], kind)
    report()


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
    from hc_assets.orchestration.check_results import read_report
    from hc_assets.orchestration.runs import open_instance
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
    from hc_assets.imaging.receive_command import run

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
