"""What all domains' checks have in common: verdicts become results, and nothing is left behind.

Belongs here: the part of the wiring that would otherwise be written in each domain's `checks.py`.
The hours that something has been left behind for are measured in `lake/backlog.py`; those checks
depend on the clock, so a schedule runs them.
"""

from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from typing import Any

import dagster as dg

from hc_assets.core.domain import Landing
from hc_assets.core.settings import CoreSettings
from hc_assets.core.verdicts import Verdict, at_most
from hc_assets.domains import CATALOG, finished_batches, sources_of, taken_in
from hc_assets.lake.backlog import hours_behind, hours_unfinished, not_taken_in
from hc_assets.lake.layout import Layout
from hc_assets.lake.tables import read_partition, read_partitions
from hc_assets.lake.warehouse import Warehouse
from hc_assets.orchestration.specs import asset_key, partitions

FINISHED_IN_TIME = "batches_finished_in_time"
TAKEN_IN_IN_TIME = "batches_taken_in_in_time"
ERROR = dg.AssetCheckSeverity.ERROR
WARN = dg.AssetCheckSeverity.WARN


def result(verdict: Verdict, severity: dg.AssetCheckSeverity = ERROR) -> dg.AssetCheckResult:
    """Turn a verdict into a check result whose value and threshold the UI plots over time."""
    return dg.AssetCheckResult(
        passed=verdict.passed,
        severity=severity,
        description=verdict.explanation,
        metadata={
            "value": dg.MetadataValue.float(verdict.value),
            "threshold": dg.MetadataValue.float(verdict.threshold),
            **{name: dg.MetadataValue.int(count) for name, count in verdict.counts.items()},
        },
    )


def table_check(
    table: str, *, reads: Iterable[str] = (), **options: Any
) -> Callable[..., dg.AssetChecksDefinition]:
    """Decorate a check of the asset of a declared table, with the partitions that it has.

    Args:
        table: `<domain>/<plural noun>`.
        reads: further tables that must be there.
        options: further ones of `@dg.asset_check`: `description`, `blocking`.
    """
    return dg.asset_check(
        asset=asset_key(table),
        additional_deps=[asset_key(each) for each in reads],
        partitions_def=partitions(table).get("partitions_def"),
        **options,
    )


def column_check(
    table: str, column: str, judge: Callable[[Iterable[Any]], Verdict], **options: Any
) -> dg.AssetChecksDefinition:
    """Make a check that judges the values of one column, whose failure is an error.

    Args:
        table: `<domain>/<plural noun>`, kept in Parquet.
        column: of it.
        judge: gives the verdict over the values, of the batches that the check is asked about.
        options: as of `table_check`.
    """

    @table_check(table, **options)
    def check(
        context: dg.AssetCheckExecutionContext, layout: dg.ResourceParam[Layout]
    ) -> dg.AssetCheckResult:
        """Read the column, a row group at a time."""
        per_batch = "partitions_def" in partitions(table)
        rows = (
            read_partitions(layout, table, batches_of(context))
            if per_batch
            else read_partition(layout, table, None)
        )
        values = (value for batch in rows.batches([column]) for value in batch[column].to_pylist())
        return result(judge(values))

    return check


def batches_of(context: dg.AssetCheckExecutionContext) -> list[str]:
    """Batches that a check on a partitioned asset is asked about."""
    return list(context.partition_keys)


def _finished_in_time(landing: Landing) -> dg.AssetChecksDefinition:
    @dg.asset_check(
        asset=asset_key(landing.batch_tables[-1]),
        name=FINISHED_IN_TIME,
        description=f"Each {landing.kind.name} batch is through its last table HC_FRESHNESS_HOURS"
        " after it was landed.",
    )
    def check(
        layout: dg.ResourceParam[Layout], settings: dg.ResourceParam[CoreSettings]
    ) -> dg.AssetCheckResult:
        """Look for the batch that has waited longest."""
        hours = hours_unfinished(layout, landing.kind.name, landing.batch_tables, datetime.now(UTC))
        verdict = at_most(
            max(hours.values(), default=0.0),
            settings.freshness_hours,
            what=f"hours that the oldest of {len(hours)} unfinished batches has waited",
        )
        return result(verdict, WARN)

    return check


def _taken_in_in_time(landing: Landing, table: str) -> dg.AssetChecksDefinition:
    @dg.asset_check(
        asset=asset_key(table),
        name=TAKEN_IN_IN_TIME,
        description=f"What {landing.kind.name} batches brought is in here HC_FRESHNESS_HOURS after"
        " it was made.",
    )
    def check(
        layout: dg.ResourceParam[Layout],
        settings: dg.ResourceParam[CoreSettings],
        warehouse: dg.ResourceParam[Warehouse],
    ) -> dg.AssetCheckResult:
        """Look for the commit that it was made without longest; Dagster may know of fewer."""
        missed = not_taken_in(
            layout,
            taken_in(warehouse, table),
            sources_of(landing),
            finished_batches(layout, landing),
        )
        hours = hours_behind(missed, datetime.now(UTC).timestamp())
        what = "hours that the newest batch has waited to be taken in"
        return result(at_most(hours, settings.freshness_hours, what=what), WARN)

    return check


FRESHNESS = [
    *(_finished_in_time(landing) for landing in CATALOG.landings.values() if landing.batch_tables),
    *(
        _taken_in_in_time(landing, table)
        for landing in CATALOG.landings.values()
        for table in landing.publish_tables
    ),
]

# What these say depends on the hour, not on the batch of a run: they have a job of their own.
FRESHNESS_CHECKS = dg.AssetSelection.checks(
    *(
        dg.AssetCheckKey(asset_key(landing.batch_tables[-1]), FINISHED_IN_TIME)
        for landing in CATALOG.landings.values()
        if landing.batch_tables
    ),
    *(
        dg.AssetCheckKey(asset_key(table), TAKEN_IN_IN_TIME)
        for landing in CATALOG.landings.values()
        for table in landing.publish_tables
    ),
)


def selection(tables: Iterable[str]) -> dg.AssetSelection:
    """Tables with their checks, but for those that depend on the hour."""
    return dg.AssetSelection.assets(*map(asset_key, tables)) - FRESHNESS_CHECKS
