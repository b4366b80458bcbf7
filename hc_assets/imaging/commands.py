"""`hc-assets quality-report`, `receive` and `training-set`: imaging's own commands.

Belongs here: the command's arguments, and what it calls. Exit codes are those of
`cli/exit_codes.py`.
"""

from pathlib import Path
from typing import Annotated

import typer
from upath import UPath

from hc_assets.imaging.settings import ImagingSettings
from hc_assets.imaging.training.command import training_app
from hc_assets.lake.atomic import write_bytes
from hc_assets.lake.layout import Layout
from hc_assets.lake.tables import read_partitions

app = typer.Typer()
app.add_typer(training_app)


@app.command("quality-report")
def quality_report(
    out: Annotated[
        Path | None,
        typer.Option(help="File to write as a page of HTML, pictures and all.", show_default=False),
    ] = None,
) -> None:
    """Report the image quality of all frames: statistics on stdout, or a page as a file.

    By modality, scanner and batch. The page has what thresholds would keep and the worst frames as
    well. Neither holds patient data.
    """
    from hc_assets.cli.exit_codes import errors_become_exit_codes
    from hc_assets.imaging.quality_report.page import as_html, as_text
    from hc_assets.imaging.quality_report.report import gather

    settings = ImagingSettings()
    layout = Layout.configured(settings)
    with errors_become_exit_codes():
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


@app.command("receive")
def receive_command(  # noqa: PLR0917 - a command's options
    host: Annotated[str | None, typer.Option(help="Address to listen on.")] = None,
    port: Annotated[int | None, typer.Option(help="TCP port; 0 for any free one.")] = None,
    ae_title: Annotated[str | None, typer.Option(help="AE title to be called by.")] = None,
    allow: Annotated[
        list[str] | None, typer.Option(help="AE title of a peer that may send; once for each.")
    ] = None,
    tls_certificate: Annotated[
        Path | None, typer.Option(help="PEM file of our certificate: TLS is required then.")
    ] = None,
    tls_key: Annotated[Path | None, typer.Option(help="PEM file of its private key.")] = None,
    tls_peers: Annotated[
        Path | None, typer.Option(help="PEM file of the certificates that peers' come from.")
    ] = None,
) -> None:
    """Receive DICOM objects from peers (storage SCP) and land them, until SIGINT or SIGTERM.

    Prints the key of each batch. What is left out comes from the HC_RECEIVE_ settings.
    """
    from hc_assets.cli.exit_codes import USAGE, errors_become_exit_codes, stop
    from hc_assets.imaging.receive_command import run

    options = {
        "receive_host": host,
        "receive_port": port,
        "receive_ae_title": ae_title,
        "receive_allowed": tuple(allow) if allow else None,
        "receive_tls_certificate": tls_certificate,
        "receive_tls_key": tls_key,
        "receive_tls_peers": tls_peers,
    }
    chosen = {name: value for name, value in options.items() if value is not None}
    settings = ImagingSettings().model_copy(update=chosen)
    if not settings.receive_allowed:
        raise stop(USAGE, "name the AE titles that may send with --allow")
    with errors_become_exit_codes():
        run(settings)
