"""Jobs that a sensor, a schedule or a person starts.

Belongs here: what they run. Assets are defined in each domain's `specs.py`; when a job runs by
itself is in `sensors.py`, and how the command line runs one in `runs.py`.
"""

from collections.abc import Iterable, Sequence
from typing import Any

import dagster as dg

from hc_assets.core.settings import CoreSettings
from hc_assets.domains import CATALOG, rebuild
from hc_assets.lake.atomic import write_bytes
from hc_assets.lake.backlog import unfinished
from hc_assets.lake.exclusions import retracted, standing_keys
from hc_assets.lake.layout import Layout
from hc_assets.lake.locks import exclusive
from hc_assets.lake.warehouse import Warehouse
from hc_assets.orchestration import internals
from hc_assets.orchestration.check_results import report_of
from hc_assets.orchestration.checks import FRESHNESS_CHECKS, selection
from hc_assets.orchestration.failures import PARTITION_TAG
from hc_assets.orchestration.runs import failures
from hc_assets.orchestration.specs import RETRIES, asset_key
from hc_assets.reports.formats import FORMATS

_CHECK = "DagsterAssetCheckFailedError"  # of a run in which a blocking check did not hold


@dg.op(pool="warehouse", retry_policy=RETRIES)
def rebuild_the_warehouse(
    context: dg.OpExecutionContext,
    layout: dg.ResourceParam[Layout],
    warehouse: dg.ResourceParam[Warehouse],
) -> None:
    """Rebuild the warehouse from the Parquet; readers keep the old one until it is whole."""
    context.add_output_metadata({"dagster/row_count": rebuild(layout, warehouse)})


@dg.job(description="DuckDB rebuilt from the Parquet, as `hc-assets warehouse rebuild`.")
def rebuild_warehouse() -> None:
    """Rebuild the warehouse."""
    rebuild_the_warehouse()


@dg.op(retry_policy=RETRIES)
def write_the_report(
    context: dg.OpExecutionContext,
    layout: dg.ResourceParam[Layout],
    settings: dg.ResourceParam[CoreSettings],
) -> None:
    """Write the check report in every format into the folder of reports."""
    with exclusive(layout.reports() / ".lock"):  # before the record is read: the newer one stays
        report = report_of(
            internals.loaded_check_keys(context),
            context.instance,
            ui_url=settings.ui_url,
            without=retracted(layout),
        )
        for suffix, render in FORMATS.values():
            write_bytes(layout.reports() / f"checks.{suffix}", render(report).encode())
    context.add_output_metadata(report.summary())


@dg.job(description="The check report in every format, into <data>/reports.")
def write_report() -> None:
    """Write the check report."""
    write_the_report()


def _checks_of(tables: Iterable[str]) -> dg.AssetSelection:
    return dg.AssetSelection.checks_for_assets(*map(asset_key, tables))


_OTHER_CHECKS = "check_all_batches"


@dg.op(retry_policy=RETRIES)
def check_everything(context: dg.OpExecutionContext, layout: dg.ResourceParam[Layout]) -> None:
    """Run every check for every finished batch, each batch in a run of its own.

    A check that does not hold is listed in the report; a run in which a check can't be evaluated
    fails this step, once all the others are through.
    """
    instance = context.instance
    todo: list[tuple[dg.JobDefinition, str]] = []
    made = {
        key
        for key in internals.loaded_check_keys(context)
        if not internals.is_partitioned(context, key.asset_key)
        and instance.get_latest_materialization_event(key.asset_key) is not None
    }
    if made:
        others = internals.loaded_job(context, _OTHER_CHECKS)
        todo.append((internals.job_of_checks(others, made), ""))
    for landing in CATALOG.landings.values():
        keys = standing_keys(layout, landing.kind.name)
        left = set(unfinished(layout, landing.batch_tables, keys))
        job = internals.loaded_job(context, landing.kind.check_job)
        todo += [(job, key) for key in keys if key not in left]
    broken = []
    for job, batch in todo:
        # No job of checks alone is partitioned in Dagster 1.13: the tag says which batch it is.
        outcome = job.execute_in_process(
            instance=instance,
            raise_on_error=False,
            tags={PARTITION_TAG: batch} if batch else None,
        )
        errors = [each for each in failures(outcome) if _CHECK not in each]
        broken += [f"{job.name} {batch}: {each}" for each in errors]
    context.add_output_metadata({"runs": len(todo), "broken": len(broken)})
    if broken:
        raise dg.Failure("; ".join(broken), allow_retries=False)


@dg.job(description="Every check of every finished batch and of all of them; makes nothing again.")
def check_quality() -> None:
    """Check everything."""
    check_everything()


JOBS: Sequence[Any] = [
    *(
        dg.define_asset_job(
            landing.kind.ingest_job,
            selection=selection(landing.batch_tables),
            description=f"From the landed files of one {landing.kind.name} batch to its last"
            " table.",
        )
        for landing in CATALOG.landings.values()
    ),
    *(
        dg.define_asset_job(
            landing.publish_job,
            selection=selection(landing.publish_tables),
            description=f"What is made of all {landing.kind.name} batches.",
        )
        for landing in CATALOG.landings.values()
        if landing.publish_job
    ),
    *(
        dg.define_asset_job(
            landing.kind.check_job,
            selection=_checks_of(landing.batch_tables) - FRESHNESS_CHECKS,
            description=f"The checks of one {landing.kind.name} batch; check_quality runs it for"
            " each.",
        )
        for landing in CATALOG.landings.values()
    ),
    dg.define_asset_job(
        _OTHER_CHECKS,
        selection=dg.AssetSelection.all_asset_checks()
        - _checks_of(
            table for landing in CATALOG.landings.values() for table in landing.batch_tables
        ),
        description="The checks of what is made of all batches; check_quality runs it.",
    ),
    check_quality,
    dg.define_asset_job(
        "check_freshness",
        selection=FRESHNESS_CHECKS,
        description="Whether a batch, or what is made of all of them, is left behind.",
    ),
    rebuild_warehouse,
    write_report,
]
