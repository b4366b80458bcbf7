"""`hc-assets quality-report`: what DICOM's assets say, on the command line.

Belongs here: the command's arguments, and what it calls. Exit codes are those of
`cli/exit_codes.py`.
"""

from pathlib import Path
from typing import Annotated

import typer
from upath import UPath

from hc_assets.lake.atomic import write_bytes
from hc_assets.lake.layout import Layout
from hc_assets.lake.tables import read_partitions
from hc_assets.settings import Settings

imaging_app = typer.Typer()


@imaging_app.command("quality-report")
def quality_report(
    out: Annotated[
        Path | None,
        typer.Option(help="File to write as a page of HTML, pictures and all.", show_default=False),
    ] = None,
) -> None:
    """Tell how the image quality of all frames lies: statistics on stdout, or a page as a file.

    By modality, scanner and batch. The page has what thresholds would keep and the worst frames as
    well. Neither holds patient data.
    """
    from hc_assets.cli.exit_codes import faults_become_exit_codes
    from hc_assets.imaging.quality_report.page import as_html, as_text
    from hc_assets.imaging.quality_report.report import gather

    settings = Settings()
    layout = Layout.of(settings.data_dir)
    with faults_become_exit_codes():
        report = gather(
            layout,
            read_partitions(layout, "imaging/quality_metrics"),
            gate=settings.quality_gate,
            training_gate=settings.quality_training_gate,
            pictures=settings.quality_pictures and out is not None,
        )
        if out is None:
            typer.echo(as_text(report))
        else:
            write_bytes(UPath(out.absolute()), as_html(report).encode())
