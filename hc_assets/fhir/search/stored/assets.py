"""The asset of the search index.

Belongs here: wiring only. What is made is found in `update.py`.
"""

from collections import Counter
from collections.abc import Iterator

import dagster as dg

from hc_assets.core.settings import CoreSettings
from hc_assets.fhir.domain import DOMAIN
from hc_assets.fhir.search.known import own_parameters
from hc_assets.fhir.search.stored.schemas import rows_of
from hc_assets.fhir.search.stored.update import discard, index_batch, plan, updated
from hc_assets.fhir.search_index import TABLE
from hc_assets.fhir.settings import FhirSettings
from hc_assets.lake.incremental import refuse_shrinking
from hc_assets.lake.layout import Layout
from hc_assets.lake.warehouse import Warehouse
from hc_assets.orchestration.io_manager import Content
from hc_assets.orchestration.specs import asset_key, code_version, fan_out, table_asset


def assets(_: CoreSettings) -> Iterator[dg.AssetsDefinition]:
    """Make the asset, where its table is declared.

    Raises:
        OwnParametersError: a search parameter of the deployment can't be used: nothing runs then.
    """
    if any(table.name == TABLE for table in DOMAIN.tables):
        own_parameters()
        yield _search_index()


def _search_index() -> dg.AssetsDefinition:
    @table_asset(TABLE, deps=[asset_key("fhir/current_resources")])
    def search_index(
        context: dg.AssetExecutionContext,
        settings: dg.ResourceParam[FhirSettings],
        layout: dg.ResourceParam[Layout],
        warehouse: dg.ResourceParam[Warehouse],
    ) -> Content:
        """Bring the index to what the current resources are; only what has changed is read."""
        with warehouse.read() as connection:
            planned = plan(connection, layout)
        try:
            refuse_shrinking(layout, TABLE, planned.inputs, code_version(TABLE))
            made = fan_out(
                index_batch,
                planned.work,
                workers=settings.workers,
                row_seconds=settings.row_seconds,
            )
            generation = updated(layout, planned, made)
        finally:
            discard(planned)
        refused: Counter[str] = Counter()
        for share in generation.shares().values():
            refused.update(share.refused)
        context.add_output_metadata(
            {"files": len(generation.runs), "batches_made": len(planned.work)}
            | {f"resources refused: {why}": count for why, count in sorted(refused.items())}
        )
        return Content(rows_of(generation), planned.inputs)

    return search_index
