"""The checks of the tables of views, made together.

Belongs here: wiring only. What is judged is in `verdicts.py`.
"""

from collections.abc import Iterator, Sequence

import dagster as dg

from hc_assets.core.settings import CoreSettings
from hc_assets.fhir.domain import DOMAIN
from hc_assets.fhir.views.declared import PREFIX, view_names
from hc_assets.fhir.views.schemas import declared_view, table_schema
from hc_assets.fhir.views.shares import shares_in, standing
from hc_assets.fhir.views.verdicts import (
    columns_as_declared,
    every_resource_accounted_for,
)
from hc_assets.lake.layout import Layout
from hc_assets.lake.tables import opened_part, read_partition
from hc_assets.lake.warehouse import Warehouse
from hc_assets.orchestration.checks import ERROR, result
from hc_assets.orchestration.specs import asset_key

_NAME = "every_resource_accounted_for"
_DESCRIPTION = (
    "Each current resource of the view's type is read, or refused with a reason, and all parts have"
    " the view's columns."
)


def checks(_: CoreSettings) -> Iterator[dg.AssetChecksDefinition]:
    """Make the checks of the views that there are."""
    if names := view_names(DOMAIN):
        yield _checks(names)


def _checks(names: list[str]) -> dg.AssetChecksDefinition:
    specs = [
        dg.AssetCheckSpec(_NAME, asset=asset_key(f"{PREFIX}{name}"), description=_DESCRIPTION)
        for name in names
    ]

    @dg.multi_asset_check(name="views_checks", specs=specs, can_subset=True)
    def views_checks(
        context: dg.AssetCheckExecutionContext,
        layout: dg.ResourceParam[Layout],
        warehouse: dg.ResourceParam[Warehouse],
    ) -> Iterator[dg.AssetCheckResult]:
        """Hold each commit against the warehouse, and each part against the view."""
        selected = {key.asset_key for key in context.selected_asset_check_keys}
        wanted = [name for name in names if asset_key(f"{PREFIX}{name}") in selected]
        current = _current(warehouse, wanted)
        for name in wanted:
            yield _result(layout, name, current[declared_view(name).resource])

    return views_checks


def _current(warehouse: Warehouse, names: Sequence[str]) -> dict[str, int]:
    """How many current resources of each type there are."""
    types = [declared_view(name).resource for name in names]
    with warehouse.read() as connection:
        found = standing(connection, types, {"": ""})
    return {type_: sum(s.resources for s in each.values()) for type_, each in found.items()}


def _result(layout: Layout, name: str, current: int) -> dg.AssetCheckResult:
    table = f"{PREFIX}{name}"
    rows = read_partition(layout, table, None)
    schemas = []
    for path in rows.parts():
        with opened_part(path) as part:
            schemas.append(part.schema_arrow)
    verdict = every_resource_accounted_for(current, shares_in(rows.partitions[0][1]))
    columns = columns_as_declared(table_schema(declared_view(name)), schemas)
    worse = verdict if columns.passed else columns
    return result(worse, ERROR)._replace(check_name=_NAME, asset_key=asset_key(table))
