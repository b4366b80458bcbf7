"""`hc-assets validate`, `search`, `replay` and `export`: FHIR's own commands.

Belongs here: their arguments, and what they call. Exit codes are those of `cli/exit_codes.py`.
"""

from pathlib import Path
from typing import Annotated

import typer
from upath import UPath

from hc_assets.domains import CATALOG, warehouse_of
from hc_assets.fhir.search_command import search_app
from hc_assets.fhir.validate_command import validate_app
from hc_assets.fhir.views.command import views_app
from hc_assets.lake.backlog import unfinished
from hc_assets.lake.exclusions import retracted
from hc_assets.lake.layout import Layout
from hc_assets.lake.manifests import batch_keys
from hc_assets.lake.tables import read_partition
from hc_assets.settings import Settings

app = typer.Typer()
app.add_typer(validate_app)
app.add_typer(search_app)
app.add_typer(views_app, name="views")


@app.command()
def replay(batch: Annotated[str, typer.Argument(help="Key of a FHIR batch.")]) -> None:
    """Judge a batch's quarantine again, after a rule or profile changed; move on what is valid."""
    from hc_assets.cli.exit_codes import USAGE, errors_become_exit_codes, stop

    with errors_become_exit_codes():
        try:
            moved, left = replay_batch(Settings(), batch)
        except NotReplayableError as error:
            raise stop(USAGE, str(error)) from error
    typer.echo(f"moved\t{moved}\nleft\t{left}")


@app.command()
def export(
    folder: Annotated[Path, typer.Argument(help="Where to write it.", show_default=False)],
    since: Annotated[
        str | None, typer.Option(help="Batch; only what was taken in after it, with deletions.")
    ] = None,
) -> None:
    """Write a Bulk Data export of the current resources, and print its files."""
    from hc_assets.cli.exit_codes import USAGE, errors_become_exit_codes, stop
    from hc_assets.fhir.export.exported_rows import UnknownBatchError
    from hc_assets.fhir.export.exports import export_to

    settings = Settings()
    warehouse = warehouse_of(Layout.configured(settings))
    with errors_become_exit_codes():
        try:
            files = export_to(settings, warehouse, UPath(folder.absolute()), since)
        except UnknownBatchError as error:
            raise stop(USAGE, str(error)) from error
    for file in files:
        typer.echo(f"{file.file}\t{file.resources}")


class NotReplayableError(Exception):
    """There is no such batch, or it was not ingested to its end."""


def replay_batch(settings: Settings, batch: str) -> tuple[int, int]:
    """Judge a batch's quarantine again, and bring what is now valid to the exports.

    Returns:
        How many entries were moved on, and how many are still in quarantine as invalid.

    Raises:
        NotReplayableError: there is no such batch, or it was not ingested to its end.
        BlockedError: a blocking check failed.
        RunFailedError: a step raised.
    """
    from hc_assets.definitions import build_defs
    from hc_assets.fhir.assets import REPLAY_JOB
    from hc_assets.fhir.bundles.not_data import INVALID
    from hc_assets.fhir.verdicts.batches import count_by_class
    from hc_assets.orchestration.runs import Job, open_instance, run_job

    layout, landing = Layout.configured(settings), CATALOG.landings["fhir"]
    if batch not in batch_keys(layout, "fhir"):
        raise NotReplayableError(f"{batch}: expected the key of a FHIR batch")
    if batch in retracted(layout):
        raise NotReplayableError(f"{batch} is retracted: restore it first")
    if unfinished(layout, landing.batch_tables, [batch]):
        raise NotReplayableError(f"{batch} is not ingested to its end: ingest its files again")
    before = _valid(layout, batch)
    definitions = build_defs(settings)
    with open_instance(layout) as instance:
        for job in (Job(REPLAY_JOB, batch), Job(landing.publish_job)):
            run_job(definitions, instance, job)
    left = count_by_class(read_partition(layout, "fhir/quarantined_resources", batch))[INVALID]
    return _valid(layout, batch) - before, left


def _valid(layout: Layout, batch: str) -> int:
    return read_partition(layout, "fhir/validated_resources", batch).count_rows()
