"""Checks that nothing is left behind: they depend on the hour, and a schedule runs them.

Belongs here: wiring only, for every pipeline alike. The hours are measured in `lake/backlog.py`.
"""

from datetime import UTC, datetime

import dagster as dg

from hc_assets.checks import WARN, result
from hc_assets.jobs import FINISHED_IN_TIME, PIPELINES, TAKEN_IN_IN_TIME, Pipeline, asset_key
from hc_assets.lake.backlog import hours_behind, hours_unfinished
from hc_assets.lake.layout import Layout
from hc_assets.settings import Settings
from hc_assets.verdicts import at_most


def _finished_in_time(pipeline: Pipeline) -> dg.AssetChecksDefinition:
    @dg.asset_check(
        asset=asset_key(pipeline.batch_tables[-1]),
        name=FINISHED_IN_TIME,
        description=f"Each {pipeline.kind} batch is through its last table HC_FRESHNESS_HOURS after"
        " it was landed.",
    )
    def check(
        layout: dg.ResourceParam[Layout], settings: dg.ResourceParam[Settings]
    ) -> dg.AssetCheckResult:
        """Look for the batch that has waited longest."""
        hours = hours_unfinished(layout, pipeline.kind, pipeline.batch_tables, datetime.now(UTC))
        verdict = at_most(
            max(hours.values(), default=0.0),
            settings.freshness_hours,
            what=f"hours that the oldest of {len(hours)} unfinished batches has waited",
        )
        return result(verdict, WARN)

    return check


def _taken_in_in_time(pipeline: Pipeline, table: str) -> dg.AssetChecksDefinition:
    @dg.asset_check(
        asset=asset_key(table),
        name=TAKEN_IN_IN_TIME,
        description=f"What {pipeline.kind} batches brought is in here HC_FRESHNESS_HOURS after it"
        " was made.",
    )
    def check(
        context: dg.AssetCheckExecutionContext, settings: dg.ResourceParam[Settings]
    ) -> dg.AssetCheckResult:
        """Compare when the table was made with when its source was."""
        made_at, source_at = (
            _made_at(context.instance, each) for each in (table, pipeline.batch_tables[-1])
        )
        hours = hours_behind(made_at, source_at, datetime.now(UTC).timestamp())
        what = "hours that the newest batch has waited to be taken in"
        return result(at_most(hours, settings.freshness_hours, what=what), WARN)

    return check


def _made_at(instance: dg.DagsterInstance, table: str) -> float | None:
    event = instance.get_latest_materialization_event(asset_key(table))
    return event.timestamp if event is not None else None


CHECKS = [
    *(_finished_in_time(pipeline) for pipeline in PIPELINES.values()),
    *(
        _taken_in_in_time(pipeline, table)
        for pipeline in PIPELINES.values()
        for table in pipeline.publish_tables
    ),
]
