"""What starts by itself: folders watched, results published, failures reported, reports written.

Belongs here: wiring only. What is new in a folder is found by `lake/watching.py`, what a kind of
landing is by its declaration in its domain's `domain.py`.
"""

import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import dagster as dg

from hc_assets.core.domain import Landing, resolve
from hc_assets.core.redaction import texts_redacted
from hc_assets.core.setting_errors import wrong
from hc_assets.core.settings import CoreSettings
from hc_assets.domains import CATALOG
from hc_assets.lake.backlog import left_out, unfinished
from hc_assets.lake.exclusions import retracted
from hc_assets.lake.landing import BatchLimits
from hc_assets.lake.layout import Layout
from hc_assets.lake.manifests import DamagedManifestError, batch_keys, read_manifest
from hc_assets.lake.warehouse import Warehouse
from hc_assets.lake.watching import look
from hc_assets.orchestration import internals
from hc_assets.orchestration.alerts import send, title
from hc_assets.orchestration.failures import PARTITION_TAG, failed_run, write_summary
from hc_assets.orchestration.runs import end_lost_runs, tables_to_compare
from hc_assets.orchestration.specs import asset_key
from hc_assets.orchestration.waiting import Patience, Waiting

# Dagster asks after each key by itself: as many as take a second or two.
_MADE_KNOWN = 500
_RUN_KEY_TAG = "dagster/run_key"
# A look reads every commit of a kind, and what it finds is no hurry.
_COMPARED_EVERY_SECONDS = 60
# Before batches that wait: what is due although they never cease must not queue behind them.
_BEFORE_BATCHES = {"dagster/priority": "1"}


def refuse_wrong_crons(settings: CoreSettings) -> None:
    """Look at the settings that are cron expressions.

    Raises:
        SettingError: one is none.
    """
    for name in ("quiet_cron", "latest_cron", "report_cron", "freshness_cron"):
        value = getattr(settings, name)
        if not internals.is_cron(value):
            raise wrong(name, value, "a cron expression: minute, hour, day, month, weekday")


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
        if landing.domain.ready:
            resolve(landing.domain.ready)(settings)
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
        for key in sorted(result.known_batches & retracted(layout)):
            context.log.warning(f"{key} is retracted: files of it are not ingested again")
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
    """Return the batches to be run now, those to be made known, and the cursor for the next look.

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


def _left_out_sensor(landing: Landing, settings: CoreSettings) -> dg.SensorDefinition:
    kind = landing.kind
    seconds = max(_COMPARED_EVERY_SECONDS, settings.sensor_seconds)
    # The other sensor looks as often, and its runs take a moment to be seen
    patience = Patience(settings.quiet_cron, settings.latest_cron, timedelta(seconds=seconds))

    @dg.sensor(
        name=f"left_out_{kind.name}_batches",
        job_name=landing.publish_job,
        minimum_interval_seconds=seconds,
        default_status=_sensor_status(settings),
        description=f"Compares what is made of all {kind.name} batches with the commits of the"
        f" batches, and runs {landing.publish_job} where one stays left out.",
    )
    def left_out_batches(
        context: dg.SensorEvaluationContext, layout: dg.ResourceParam[Layout]
    ) -> dg.SensorResult:
        now = datetime.now(UTC)
        lacking = left_out(layout, landing.batch_tables, tables_to_compare(landing))
        waiting = Waiting.of_cursor(context.cursor).seen(lacking, now)
        if not lacking:
            return dg.SensorResult(skip_reason="nothing is left out", cursor=waiting.to_cursor())
        end_lost_runs(context.instance)  # those of killed commands would be waited for
        runs = internals.unfinished_runs(context.instance)
        is_published = any(_is_of(run, landing.publish_job, landing.publish_tables) for run in runs)
        batches_come = any(_is_of(run, kind.ingest_job, landing.batch_tables) for run in runs)
        if is_published or not waiting.is_due(patience, now, batches_come=batches_come):
            return dg.SensorResult(
                skip_reason=f"{waiting.first}; it has time until it is asked for",
                cursor=waiting.to_cursor(),
            )
        context.log.info(f"{waiting.first}, and {len(lacking) - 1} more")
        return dg.SensorResult(
            run_requests=[dg.RunRequest(tags=_BEFORE_BATCHES)],
            cursor=waiting.asked(now).to_cursor(),
        )

    return left_out_batches


def _is_of(run: dg.DagsterRun, job: str, tables: Sequence[str]) -> bool:
    """Whether a run is of a job, or of some of its tables."""
    keys = run.asset_selection or set()
    return run.job_name == job or not keys.isdisjoint(map(asset_key, tables))


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
        run = failed_run(context.instance, context.dagster_run, context.get_step_failure_events())
        # First to disk: a mail server that is down must not lose it.
        text = write_summary(layout, run, settings.ui_url)
        context.log.error(text)
        send(text, subject=title(run), urls=settings.alert_urls)

    return failed_runs


def schedules(settings: CoreSettings) -> Sequence[dg.ScheduleDefinition]:
    """Return the schedules: of the check report and of the freshness checks."""
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
    """Give the sensors: of each kind of landing, of what is made of all batches, of failures."""
    return [
        *(_landing_sensor(landing, settings) for landing in CATALOG.landings.values()),
        dg.AutomationConditionSensorDefinition(
            "quiet_periods",
            target=dg.AssetSelection.all(),
            run_tags=_BEFORE_BATCHES,
            default_status=_sensor_status(settings),
            description="Makes what is made of all batches once no batch is on its way.",
        ),
        *(
            _left_out_sensor(landing, settings)
            for landing in CATALOG.landings.values()
            if landing.publish_job
        ),
        _failure_sensor(settings),
    ]
