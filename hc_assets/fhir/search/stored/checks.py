"""The check of the search index.

Belongs here: wiring, and counting what is judged.
"""

from collections.abc import Iterator

import dagster as dg

from hc_assets.core.settings import CoreSettings
from hc_assets.core.verdicts import all_accounted_for
from hc_assets.fhir.domain import DOMAIN
from hc_assets.fhir.search.stored.update import counted
from hc_assets.fhir.search_index import TABLE
from hc_assets.lake.layout import Layout
from hc_assets.lake.warehouse import Warehouse
from hc_assets.orchestration.checks import ERROR, result, table_check


def checks(_: CoreSettings) -> Iterator[dg.AssetChecksDefinition]:
    """Make the check, where the table is declared."""
    if any(table.name == TABLE for table in DOMAIN.tables):
        yield _check()


def _check() -> dg.AssetChecksDefinition:
    @table_check(
        TABLE,
        reads=["fhir/current_resources"],
        description="Each current resource is in the files of the index, or refused with a reason.",
    )
    def every_resource_indexed_or_refused(
        layout: dg.ResourceParam[Layout], warehouse: dg.ResourceParam[Warehouse]
    ) -> dg.AssetCheckResult:
        """Count what the warehouse has, and what the files have."""
        with warehouse.read() as connection:
            current = connection.execute(
                "SELECT count(*) FROM fhir.current_resources WHERE NOT is_deleted"
            ).fetchall()[0][0]
        indexed, refused = counted(layout)
        return result(all_accounted_for(current, indexed, refused, what="resources"), ERROR)

    return every_resource_indexed_or_refused
