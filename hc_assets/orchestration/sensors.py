"""What starts by itself: folders watched, results published, failures told, reports written.

Belongs here: wiring only. What is new in a folder is told by `lake/watching.py`, what a kind of
landing is by its declaration in its domain's `domain.py`.
"""

import json
from collections.abc import Sequence
from datetime import UTC, datetime

import dagster as dg

from hc_assets.core.domain import Landing
from hc_assets.core.redaction import texts_redacted
from hc_assets.core.settings import CoreSettings
from hc_assets.domains import CATALOG
from hc_assets.lake.atomic import write_bytes
from hc_assets.lake.backlog import unfinished
from hc_assets.lake.landing import BatchLimits
from hc_assets.lake.layout import Layout
from hc_assets.lake.manifests import DamagedManifestError, batch_keys, read_manifest
from hc_assets.lake.warehouse import Warehouse
from hc_assets.lake.watching import look
from hc_assets.orchestration import internals
from hc_assets.orchestration.alerts import FailedRun, send, summary, title
from hc_assets.orchestration.internals import evaluation_of
from hc_assets.orchestration.jobs import PARTITION_TAG
from hc_assets.orchestration.runs import described_error

# Dagster asks after each key by itself: as many as take a second or two.
_MADE_KNOWN = 500
_RUN_KEY_TAG = "dagster/run_key"


def _landing_sensor(landing: Landing, settings: CoreSettings) -> dg.SensorDefinition:
    kind = landing.kind

    @dg.sensor(
        name=kind.sensor,
        job_name=landing.kind.ingest_job,
        minimum_interval_seconds=settings.sensor_seconds,
        default_status=_sensor_status(settings),
        description=f"Lands what is new and settled in the {kind.name} landing folder, and runs"
        f" {landing.kind.ingest_job} once for each batch.",
    )
    def new_files(
        context: dg.SensorEvaluationContext,
        settings: dg.ResourceParam[CoreSettings],
        layout: dg.ResourceParam[Layout],
        warehouse: dg.ResourceParam[Warehouse],
    ) -> dg.SensorResult:
        internals.assign_free_slots(context.instance)
        if not warehouse.is_made():
            # Runs read the schemas that it declares. It takes seconds: a look of its own.
            warehouse.ensure()
            return dg.SensorResult(skip_reason="made the warehouse; the next look lands files")
        # Dagster keeps what went wrong in a look, and files may be named after patients
        with texts_redacted(files_are_ours=False, enabled=not settings.error_texts):
            result = look(
                layout.landing(kind.name),
                layout,
                kind,
                limits=BatchLimits.configured(settings),
                settle_seconds=settings.landing_settle_seconds,
                landing_seconds=settings.landing_seconds,
                now=datetime.now(UTC),
            )
        context.log.info(
            f"{result.landed} files landed in {len(result.batches)} batches,"
            f" {result.already_landed} known by their content, {result.waiting} still changing"
        )
        if result.is_clock_behind:
            context.log.warning("the clock is behind an earlier batch, whose time new ones follow")
        due, unknown, cursor = _due(context, landing, layout, settings.sensor_batches)
        batches = dg.DynamicPartitionsDefinition(name=landing.kind.partitions)
        requests = [batches.build_add_request(unknown)] if unknown else []
        if not due:
            idle = f"nothing new; {result.waiting} files changed too lately"
            return dg.SensorResult(
                skip_reason="another landing is at work" if result.is_busy else idle,
                dynamic_partitions_requests=requests,
                cursor=cursor,
            )
        return dg.SensorResult(
            run_requests=[
                dg.RunRequest(
                    run_key=_run_key(layout, landing.kind.name, key),
                    partition_key=key,
                )
                for key in due
            ],
            dynamic_partitions_requests=requests,
            cursor=cursor,
        )

    return new_files


def _run_key(layout: Layout, kind: str, batch: str) -> str:
    try:
        return read_manifest(layout, kind, batch).content_sha256
    except DamagedManifestError:
        return batch  # its run fails, and names the manifest; the other batches go on


def _due(
    context: dg.SensorEvaluationContext, landing: Landing, layout: Layout, at_most: int
) -> tuple[list[str], list[str], str]:
    """Give the batches to be run now, those to be made known, and the cursor for the next look.

    The cursor is the last batch that was looked at. Dagster keeps it only once the runs of a tick
    are on their way, so a tick that is killed is made up for by the next. A batch that nobody made
    known to Dagster is due as well, whatever its place: its landing was killed, the clock was set
    back, or the instance is new. One that is finished, or that somebody else runs, is only made
    known.
    """
    after = json.loads(context.cursor)["after"] if context.cursor else ""
    known = set(context.instance.get_dynamic_partitions(landing.kind.partitions))
    due: list[str] = []
    unknown: list[str] = []
    for key in batch_keys(layout, landing.kind.name):
        if key in known and key <= after:
            continue
        if len(due) == at_most or len(unknown) == _MADE_KNOWN:
            break
        if key not in known:
            unknown.append(key)
        if unfinished(layout, landing.batch_tables, [key]) and not _is_run_by_others(
            context.instance, landing, key
        ):
            due.append(key)
        after = max(after, key)
    return due, unknown, json.dumps({"after": after})


def _is_run_by_others(instance: dg.DagsterInstance, landing: Landing, key: str) -> bool:
    # Runs of a sensor have a run key, by which Dagster itself sees that they are not started twice.
    filters = dg.RunsFilter(job_name=landing.kind.ingest_job, tags={PARTITION_TAG: key})
    runs = instance.get_runs(filters)
    return any(_RUN_KEY_TAG not in run.tags for run in runs)


def _sensor_status(settings: CoreSettings) -> dg.DefaultSensorStatus:
    on, off = dg.DefaultSensorStatus.RUNNING, dg.DefaultSensorStatus.STOPPED
    return on if settings.automation else off


def _failure_sensor(settings: CoreSettings) -> dg.SensorDefinition:
    @dg.run_failure_sensor(
        name="failed_runs",
        default_status=_sensor_status(settings),
        description="Writes what failed and what to do into <data>/reports/failures, and tells"
        " those of HC_ALERT_URLS.",
    )
    def failed_runs(
        context: dg.RunFailureSensorContext,
        settings: dg.ResourceParam[CoreSettings],
        layout: dg.ResourceParam[Layout],
    ) -> None:
        run = _failed_run(context)
        text = summary(run, settings.ui_url)
        context.log.error(text)
        # First to disk: a mail server that is down must not lose it.
        write_bytes(layout.reports() / "failures" / f"{run.run_id}.md", text.encode())
        send(text, subject=title(run), urls=settings.alert_urls)

    return failed_runs


def _failed_run(context: dg.RunFailureSensorContext) -> FailedRun:
    run = context.dagster_run
    evaluations = context.instance.all_logs(
        run.run_id, of_type=dg.DagsterEventType.ASSET_CHECK_EVALUATION
    )
    checks = [found for entry in evaluations if (found := evaluation_of(entry.dagster_event))]
    tags = run.tags
    first, last = (tags.get(f"dagster/asset_partition_range_{end}") for end in ("start", "end"))
    return FailedRun(
        job=_named(run),
        run_id=run.run_id,
        batch=f"{first}...{last}" if first else tags.get(PARTITION_TAG, ""),
        steps=[
            (event.step_key or "", described_error(event))
            for event in context.get_step_failure_events()
        ],
        blocking=[
            (check.asset_key.to_user_string(), check.check_name, check.description or "")
            for check in checks
            if check.blocking and not check.passed
        ],
    )


def _named(run: dg.DagsterRun) -> str:
    if run.asset_selection and run.job_name.startswith("__"):
        return ", ".join(sorted(key.to_user_string() for key in run.asset_selection))
    return run.job_name


def schedules(settings: CoreSettings) -> Sequence[dg.ScheduleDefinition]:
    """Give the schedules: of the check report and of the freshness checks."""
    on, off = dg.DefaultScheduleStatus.RUNNING, dg.DefaultScheduleStatus.STOPPED
    status = on if settings.automation else off
    return [
        dg.ScheduleDefinition(
            name="report_written",
            job_name="write_report",
            cron_schedule=settings.report_cron,
            default_status=status,
            description="Writes the check report.",
        ),
        dg.ScheduleDefinition(
            name="freshness_checked",
            job_name="check_freshness",
            cron_schedule=settings.freshness_cron,
            default_status=status,
            description="Looks for batches that are left behind.",
        ),
    ]


def sensors(settings: CoreSettings) -> Sequence[dg.SensorDefinition]:
    """Give the sensors: one for each kind of landing, one that publishes, one for failures."""
    return [
        *(_landing_sensor(landing, settings) for landing in CATALOG.landings.values()),
        dg.AutomationConditionSensorDefinition(
            "quiet_periods",
            target=dg.AssetSelection.all(),
            # Before batches that wait: when it is due although they never cease, it must not queue.
            run_tags={"dagster/priority": "1"},
            default_status=_sensor_status(settings),
            description="Makes what is made of all batches once no batch is on its way.",
        ),
        _failure_sensor(settings),
    ]
