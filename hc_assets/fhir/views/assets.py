"""The tables of SQL on FHIR views, one asset each, made together.

Belongs here: wiring only. What is made is found in `update.py`.
"""

from collections.abc import Iterator

import dagster as dg

from hc_assets.core.settings import CoreSettings
from hc_assets.fhir.domain import DOMAIN
from hc_assets.fhir.settings import FhirSettings
from hc_assets.fhir.views.declared import PREFIX, refuse_unusable, view_names
from hc_assets.fhir.views.update import UpdatedView, plan, updated
from hc_assets.fhir.views.workers import make_shares
from hc_assets.lake.layout import Layout
from hc_assets.lake.warehouse import Warehouse
from hc_assets.orchestration.io_manager import (
    Content,
    commit_content,
    describe_commits,
    lineage_of,
)
from hc_assets.orchestration.specs import asset_key, code_version, fan_out, table_spec


def assets(_: CoreSettings) -> Iterator[dg.AssetsDefinition]:
    """Make the assets of the views that there are.

    Raises:
        ViewFolderError: their folder, or the name of a file in it, can't be used.
        ViewFaultsError: a view is faulty: nothing runs until it is mended.
    """
    refuse_unusable()
    if names := view_names(DOMAIN):
        yield _views(names)


def _views(names: list[str]) -> dg.AssetsDefinition:
    current = asset_key("fhir/current_resources")

    @dg.multi_asset(
        name="views",
        can_subset=True,
        pool="views",
        specs=[table_spec(f"{PREFIX}{name}", deps=[current]) for name in names],
    )
    def views(
        context: dg.AssetExecutionContext,
        settings: dg.ResourceParam[FhirSettings],
        layout: dg.ResourceParam[Layout],
        warehouse: dg.ResourceParam[Warehouse],
    ) -> Iterator[dg.MaterializeResult[None]]:
        """Bring each table to what the current resources are; only what has changed is made."""
        selected = context.selected_asset_keys
        wanted = [name for name in names if asset_key(f"{PREFIX}{name}") in selected]
        with warehouse.read() as connection:
            planned = plan(connection, layout, wanted)
        made = fan_out(
            make_shares,
            planned.work,
            workers=settings.workers,
            row_seconds=settings.row_seconds,
        )
        for each in updated(planned, (share for of_batch in made for share in of_batch)):
            yield _committed(context, layout, each)

    return views


def _committed(
    context: dg.AssetExecutionContext, layout: Layout, made: UpdatedView
) -> dg.MaterializeResult[None]:
    table = f"{PREFIX}{made.view}"
    key = asset_key(table)
    content = Content(made.parts, made.inputs)
    commit = commit_content(layout, table, None, content, code_version(table))
    counts = {
        "resources": made.resources,
        "batches_made": made.made,
        **{f"resources refused: {why}": count for why, count in sorted(made.refused.items())},
    }
    metadata = describe_commits([commit]) | lineage_of(context.assets_def.specs_by_key[key])
    metadata |= {name: dg.MetadataValue.int(count) for name, count in counts.items()}
    return dg.MaterializeResult(asset_key=key, metadata=metadata)
