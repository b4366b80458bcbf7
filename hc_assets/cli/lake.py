"""`hc-assets lake verify` and `hc-assets warehouse rebuild`: what is kept, checked and rebuilt.

Belongs here: the commands and the order of the work. Damage is found in `lake/integrity.py`, and
what needs no rebuild is mended in `lake/repair.py`.
"""

from collections.abc import Collection
from typing import TYPE_CHECKING, Annotated

import typer

from hc_assets.core.settings import CoreSettings
from hc_assets.domains import CATALOG, warehouse_of
from hc_assets.lake.layout import Layout
from hc_assets.settings import Settings

if TYPE_CHECKING:
    from hc_assets.lake.integrity import Damage

lake_app = typer.Typer(help="The Parquet lake.", no_args_is_help=True)
warehouse_app = typer.Typer(help="The DuckDB warehouse.", no_args_is_help=True)


@lake_app.callback()
def lake() -> None:
    """Check what is kept in the Parquet lake."""


@lake_app.command()
def verify(
    repair: Annotated[bool, typer.Option("--repair", help="Rebuild what is damaged.")] = False,
) -> None:
    """Hash again all that is kept, landed and exported; print what is damaged, and exit with 1.

    The tables that DuckDB keeps are compared with what a rebuild makes.
    """
    from hc_assets.cli.damage import find_damage
    from hc_assets.cli.exit_codes import FINDINGS, errors_become_exit_codes, print_message

    settings = Settings()
    layout = Layout.configured(settings)
    with errors_become_exit_codes():
        found = find_damage(layout)
        for each in found:
            typer.echo(str(each))
        if repair and found:
            repair_damage(settings, found)
            found = find_damage(layout)
            for each in found:
                only = "; it can only be put back from a backup" if each.kind else ""
                print_message(f"hc-assets: still damaged: {each}{only}")
    if found:
        raise typer.Exit(FINDINGS)


def repair_damage(settings: CoreSettings, found: "Collection[Damage]") -> None:
    """Mend what is damaged: landed files from where they came from, all else from those.

    A batch whose landed files stay damaged keeps what was made of it, as far as that is whole. What
    a job fails of is printed, and the others go on.
    """
    from hc_assets.lake.parts import declare
    from hc_assets.lake.repair import copy_again, set_aside

    layout = Layout.configured(settings)
    left = set(found) - copy_again(layout, found)
    lost = {each.batch for each in left if each.kind}
    in_lake = [e for e in left if e.table and e.table in CATALOG.parquet and e.batch not in lost]
    set_aside(layout, in_lake)
    for table, schema in CATALOG.parquet.items():
        declare(layout, table, schema)
    state = [each for each in left if each.table in CATALOG.state]
    _rebuild(settings, in_lake, has_damaged_state=bool(state))


def _rebuild(
    settings: CoreSettings, found: "Collection[Damage]", *, has_damaged_state: bool
) -> None:
    from hc_assets.cli.exit_codes import print_message
    from hc_assets.core.errors import EnvironmentFaultError, FindingsError
    from hc_assets.definitions import build_defs
    from hc_assets.domains import rebuild
    from hc_assets.orchestration.runs import (
        Job,
        jobs_to_finish,
        open_instance,
        register_batches,
        run_job,
    )

    layout = Layout.configured(settings)
    definitions = build_defs(settings)
    with open_instance(layout) as instance:

        def attempt(job: Job) -> None:
            try:
                run_job(definitions, instance, job)
            except (EnvironmentFaultError, FindingsError) as error:
                print_message(f"hc-assets: {job.name} {job.batch or 'over all batches'}: {error}")

        concerned = []
        for kind, landing in CATALOG.landings.items():
            tables = {*landing.batch_tables, *landing.publish_tables}
            of_kind = [each for each in found if each.table in tables]
            batches = sorted({each.batch for each in of_kind if each.batch is not None})
            register_batches(instance, kind, batches)
            if of_kind:
                concerned.append((kind, batches))
            for job in jobs_to_finish(layout, kind, batches) if of_kind else []:
                if job.batch is not None:
                    attempt(job)
        if has_damaged_state:
            # What it is made of is whole again, and what is published is made of it
            rebuild(layout, warehouse_of(layout))
        for kind, batches in concerned:
            for job in jobs_to_finish(layout, kind, batches):
                if job.batch is None:
                    attempt(job)


@warehouse_app.command("rebuild")
def rebuild_warehouse() -> None:
    """Rebuild the warehouse from the Parquet; readers keep the old one until it is whole."""
    from hc_assets.cli.exit_codes import errors_become_exit_codes, print_message
    from hc_assets.domains import rebuild

    layout = Layout.configured(Settings())
    with errors_become_exit_codes():
        rows = rebuild(layout, warehouse_of(layout))
    print_message(f"{len(CATALOG.parquet)} views, {rows} current resources")
