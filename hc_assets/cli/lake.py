"""`hc-assets lake verify` and `hc-assets warehouse rebuild`: what is kept, checked and rebuilt.

Belongs here: the commands and the order of the work. Damage is found in `lake/integrity.py`.
"""

from typing import Annotated

import typer

from hc_assets.core.settings import CoreSettings
from hc_assets.domains import CATALOG, warehouse_of
from hc_assets.lake.integrity import Damage, damage, set_aside
from hc_assets.lake.layout import Layout
from hc_assets.settings import Settings

lake_app = typer.Typer(help="The Parquet lake.", no_args_is_help=True)
warehouse_app = typer.Typer(help="The DuckDB warehouse.", no_args_is_help=True)


@lake_app.callback()
def lake() -> None:
    """Check what is kept in the Parquet lake."""


@lake_app.command()
def verify(
    repair: Annotated[bool, typer.Option("--repair", help="Rebuild what is damaged.")] = False,
) -> None:
    """Hash every landed file, part and commit again; print what is damaged, and exit with 1."""
    from hc_assets.cli.exit_codes import FINDINGS, errors_become_exit_codes, print_message

    settings = Settings()
    layout = Layout.configured(settings)
    with errors_become_exit_codes():
        found = list(damage(layout, CATALOG.parquet))
        for each in found:
            typer.echo(str(each))
        if repair and found:
            repair_damage(settings, found)
            found = list(damage(layout, CATALOG.parquet))
            for each in found:
                print_message(f"hc-assets: still damaged: {each}")
    if found:
        raise typer.Exit(FINDINGS)


def repair_damage(settings: CoreSettings, found: list[Damage]) -> None:
    """Rebuild damaged partitions from what they were made of.

    Landed files can't be: they are what all else is made of.

    Raises:
        BlockedError: a blocking check failed.
        RunFailedError: a step raised, since what it reads is damaged too and can't be rebuilt.
    """
    from hc_assets.definitions import build_defs
    from hc_assets.orchestration.runs import (
        jobs_to_finish,
        open_instance,
        register_batches,
        run_job,
    )

    layout = Layout.configured(settings)
    set_aside(layout, found)
    warehouse = warehouse_of(layout)
    with warehouse.write() as connection:
        warehouse.create_views(connection)  # which declares schemas again
    definitions = build_defs(settings)
    with open_instance(layout) as instance:
        for kind, landing in CATALOG.landings.items():
            tables = {*landing.batch_tables, *landing.publish_tables}
            of_kind = [each for each in found if each.table in tables]
            batches = sorted({each.batch for each in of_kind if each.batch is not None})
            register_batches(instance, kind, batches)
            for job in jobs_to_finish(layout, kind, batches) if of_kind else []:
                run_job(definitions, instance, job)


@warehouse_app.command("rebuild")
def rebuild_warehouse() -> None:
    """Rebuild the warehouse from the Parquet; readers keep the old one until it is whole."""
    from hc_assets.cli.exit_codes import errors_become_exit_codes, print_message
    from hc_assets.domains import rebuild

    layout = Layout.configured(Settings())
    with errors_become_exit_codes():
        rows = rebuild(layout, warehouse_of(layout))
    print_message(f"{len(CATALOG.parquet)} views, {rows} current resources")
