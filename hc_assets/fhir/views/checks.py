"""The checks of the tables of views, made together.

Belongs here: wiring only. What is judged is in `verdicts.py`.
"""

from collections.abc import Iterator, Sequence

import dagster as dg

from hc_assets.core.settings import CoreSettings
from hc_assets.fhir.views.declared import PREFIX, view_files
from hc_assets.fhir.views.schemas import declared_view, table_schema
from hc_assets.fhir.views.shares import Share, shares_in, standing
from hc_assets.fhir.views.verdicts import (
    columns_as_declared,
    every_resource_accounted_for,
    no_resource_refused,
)
from hc_assets.lake.layout import Layout
from hc_assets.lake.tables import opened_part, read_partition
from hc_assets.lake.warehouse import Warehouse
from hc_assets.orchestration.checks import ERROR, WARN, result
from hc_assets.orchestration.specs import asset_key

_ACCOUNTED = "every_resource_accounted_for"
_REFUSED = "no_resource_refused"
_COLUMNS = "columns_as_declared"
_CHECKS = {
    _ACCOUNTED: "Each current resource of the view's type is read, or refused with a reason.",
    _REFUSED: "The view can be evaluated on every resource of its type.",
    _COLUMNS: "Each part has the columns of the view, of its types and in its order.",
}


def checks(_: CoreSettings) -> Iterator[dg.AssetChecksDefinition]:
    """Make the checks of the views that there are."""
    if view_files():
        yield _checks(list(view_files()))


def _checks(names: list[str]) -> dg.AssetChecksDefinition:
    specs = [
        dg.AssetCheckSpec(check, asset=asset_key(f"{PREFIX}{name}"), description=description)
        for name in names
        for check, description in _CHECKS.items()
    ]

    @dg.multi_asset_check(name="views_checks", specs=specs, can_subset=True)
    def views_checks(
        context: dg.AssetCheckExecutionContext,
        layout: dg.ResourceParam[Layout],
        warehouse: dg.ResourceParam[Warehouse],
    ) -> Iterator[dg.AssetCheckResult]:
        """Hold each commit against the warehouse, and each part against the view."""
        selected = context.selected_asset_check_keys
        wanted = [n for n in names if any(k.asset_key.path[-1] == n for k in selected)]
        current = _current(warehouse, wanted)
        for name in wanted:
            for each in _results(layout, name, current[declared_view(name).resource]):
                if (
                    dg.AssetCheckKey(asset_key(f"{PREFIX}{name}"), each.check_name or "")
                    in selected
                ):
                    yield each

    return views_checks


def _current(warehouse: Warehouse, names: Sequence[str]) -> dict[str, int]:
    """How many current resources of each type there are."""
    types = [declared_view(name).resource for name in names]
    with warehouse.read() as connection:
        found = standing(connection, types, {"": ""})
    return {type_: sum(s.resources for s in each.values()) for type_, each in found.items()}


def _results(layout: Layout, name: str, current: int) -> Iterator[dg.AssetCheckResult]:
    table = f"{PREFIX}{name}"
    rows = read_partition(layout, table, None)
    shares: dict[str, Share] = shares_in(rows.partitions[0][1])
    wanted = table_schema(declared_view(name))
    schemas = []
    for path in rows.parts():
        with opened_part(path) as part:
            schemas.append(part.schema_arrow)
    for check, verdict, severity in (
        (_ACCOUNTED, every_resource_accounted_for(current, shares), ERROR),
        (_REFUSED, no_resource_refused(shares), WARN),
        (_COLUMNS, columns_as_declared(wanted, schemas), ERROR),
    ):
        yield result(verdict, severity)._replace(check_name=check, asset_key=asset_key(table))
