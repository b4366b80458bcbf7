"""The command `hc-assets`, put together from its parts.

Belongs here: commands that are of no domain. The work is done elsewhere; whatever imports Dagster
is imported by the command that needs it, so that `--help` and `validate` start at once.
"""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer
from upath import UPath

from hc_assets.cli.batches import batches_app
from hc_assets.cli.exit_codes import (
    FINDINGS,
    Commands,
    errors_become_exit_codes,
    print_message,
)
from hc_assets.cli.ingest import ingest_app, ingest_paths
from hc_assets.cli.lake import lake_app, warehouse_app
from hc_assets.core.domain import resolve
from hc_assets.domains import CATALOG, DOMAINS
from hc_assets.lake.atomic import keep_private, write_bytes
from hc_assets.lake.exclusions import retracted
from hc_assets.lake.layout import Layout
from hc_assets.settings import Settings

app = typer.Typer(
    help="Raw FHIR R4 and DICOM in; tables, exports and arrays out.\n\n"
    "Settings come from HC_ variables. Results go to stdout, everything else to stderr.\n\n"
    "Exit codes: 0 done and nothing found; 1 done, with findings (an invalid resource for validate,"
    " a failed blocking check for ingest, a failed ERROR check for report); 2 wrong usage, or a"
    " wrong setting; 3 an input can't be read; 4 the environment is at fault (folder, service,"
    " disk).",
    cls=Commands,
    callback=keep_private,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.add_typer(ingest_app)
app.add_typer(warehouse_app, name="warehouse")
app.add_typer(lake_app, name="lake")
app.add_typer(batches_app, name="batches")
for _domain in DOMAINS:
    if _domain.commands:
        app.add_typer(resolve(f"{_domain.commands}:app"))


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
    settings = Settings()
    landing = Path(settings.data_dir) / "landing"
    print_message(f"making sample data in {landing}")
    for sample in dict.fromkeys(domain.sample for domain in DOMAINS if domain.sample):
        print_message(resolve(sample)(landing))
    with errors_become_exit_codes():
        for kind in CATALOG.kinds:
            if (landing / kind.name).exists():
                ingest_paths([landing / kind.name], kind.name, settings)
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
    """Report the last result of every asset check for every batch, and the trend of its value."""
    from hc_assets.reports.formats import FORMATS

    settings = Settings()
    with errors_become_exit_codes():
        from hc_assets.definitions import build_defs  # which Dagster refuses with a wrong setting
        from hc_assets.orchestration.check_results import read_report
        from hc_assets.orchestration.runs import open_instance

        layout = Layout.configured(settings)
        with open_instance(layout) as instance:
            made = read_report(
                build_defs(settings),
                instance,
                ui_url=settings.ui_url,
                without=retracted(layout),
            )
        text = FORMATS[format.value].render(made)
        if out is None:
            typer.echo(text)
        else:
            write_bytes(UPath(out.absolute()), f"{text}\n".encode())
    if made.findings(warnings=fail_on is FailOn.WARN):
        raise typer.Exit(FINDINGS)


def main() -> None:
    """Run the command."""
    app()
