"""Jobs, and what the command line needs of Dagster: an instance, partitions, runs.

Belongs here: running. What is run is defined in each domain's `assets.py`; when, in `sensors.py`.
"""

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import dagster as dg
from dagster_shared.error import SerializableErrorInfo
from upath import UPath

from hc_assets.assets import RETRIES
from hc_assets.fhir.assets import fhir_batches
from hc_assets.fhir.versions import rebuild
from hc_assets.imaging.assets import dicom_batches
from hc_assets.lake.atomic import keep_private, write_bytes
from hc_assets.lake.backlog import is_behind, unfinished
from hc_assets.lake.landing import batch_keys
from hc_assets.lake.layout import Layout
from hc_assets.lake.warehouse import Warehouse
from hc_assets.lost_runs import end_lost_runs, own_tag
from hc_assets.reports.checks import report_of
from hc_assets.reports.formats import FORMATS
from hc_assets.settings import Settings
from hc_assets.tables import PARQUET_TABLES

_INSTANCE_SETTINGS = b"""\
# Written by hc-assets; change as you like.
telemetry:
  enabled: false
nux:
  enabled: false
concurrency:
  pools:
    default_limit: 1
  runs:
    # A run uses all cores for its batch; a second one fills the gaps between its steps.
    max_concurrent_runs: 2
run_monitoring:
  enabled: true
run_retries:
  enabled: true
  max_retries: 2
  # A run whose process died is tried again; a step that failed was tried again by its own policy.
  retry_on_asset_or_op_failure: false
"""


@dataclass(frozen=True)
class Pipeline:
    """The way of one kind of data: from batches to what is made of all of them.

    Attributes:
        kind: of the landed files.
        partitions: of its batches.
        batch_tables: assets with a partition per batch.
        ingest_job: job over those.
        sensor: name of what looks at the landing folder and runs the job for each new batch.
        publish_tables: assets over all batches.
        publish_job: job over those; "" where there are none.
    """

    kind: str
    partitions: dg.DynamicPartitionsDefinition
    batch_tables: tuple[str, ...]
    ingest_job: str
    sensor: str
    publish_tables: tuple[str, ...] = ()
    publish_job: str = ""


PIPELINES = {
    "fhir": Pipeline(
        kind="fhir",
        partitions=fhir_batches,
        batch_tables=(
            "fhir/raw_bundles",
            "fhir/validated_resources",
            "fhir/quarantined_resources",
            "fhir/enriched_resources",
            "fhir/provenance_resources",
        ),
        ingest_job="ingest_fhir",
        sensor="new_fhir_files",
        publish_tables=(
            "fhir/current_resources",
            "fhir/resource_history",
            "fhir/ndjson_exports",
            "fhir/pipeline_metrics",
        ),
        publish_job="publish_fhir",
    ),
    "dicom": Pipeline(
        kind="dicom",
        partitions=dicom_batches,
        batch_tables=(
            "imaging/dicom_index",
            "imaging/unreadable_files",
            "imaging/quality_metrics",
            "imaging/undecodable_frames",
            "imaging/series_quality",
            "imaging/preprocessed_arrays",
        ),
        ingest_job="ingest_dicom",
        sensor="new_dicom_files",
        publish_tables=(
            "imaging/series",
            "imaging/imaging_studies",
            "imaging/volume_slices",
            "imaging/volumes",
            "imaging/aligned_slices",
            "imaging/aligned_volumes",
            "imaging/nifti_exports",
            "imaging/training_set",
            "imaging/quality_report",
        ),
        publish_job="publish_dicom",
    ),
}


PARTITION_TAG = "dagster/partition"
_CHECK = "DagsterAssetCheckFailedError"  # of a run in which a blocking check did not hold
FINISHED_IN_TIME = "batches_finished_in_time"
TAKEN_IN_IN_TIME = "batches_taken_in_in_time"


def asset_key(table: str) -> dg.AssetKey:
    """Key of the asset that keeps a table."""
    return dg.AssetKey(table.split("/"))


# What these say depends on the hour, not on the batch of a run: they have a job of their own.
FRESHNESS_CHECKS = dg.AssetSelection.checks(
    *(
        dg.AssetCheckKey(asset_key(pipeline.batch_tables[-1]), FINISHED_IN_TIME)
        for pipeline in PIPELINES.values()
    ),
    *(
        dg.AssetCheckKey(asset_key(table), TAKEN_IN_IN_TIME)
        for pipeline in PIPELINES.values()
        for table in pipeline.publish_tables
    ),
)


def _selection(tables: Iterable[str]) -> dg.AssetSelection:
    return dg.AssetSelection.assets(*map(asset_key, tables)) - FRESHNESS_CHECKS


@dg.op(pool="warehouse", retry_policy=RETRIES)
def make_warehouse_anew(
    context: dg.OpExecutionContext,
    layout: dg.ResourceParam[Layout],
    warehouse: dg.ResourceParam[Warehouse],
) -> None:
    """Delete the warehouse and make it from the Parquet."""
    context.add_output_metadata({"dagster/row_count": rebuild(layout, warehouse)})


@dg.job(description="DuckDB anew from the Parquet, as `hc-assets warehouse rebuild`.")
def rebuild_warehouse() -> None:
    """Make the warehouse anew."""
    make_warehouse_anew()


@dg.op(retry_policy=RETRIES)
def write_the_report(
    context: dg.OpExecutionContext,
    layout: dg.ResourceParam[Layout],
    settings: dg.ResourceParam[Settings],
) -> None:
    """Write the check report in every format into the folder of reports."""
    keys = context.repository_def.asset_graph.asset_check_keys
    report = report_of(keys, context.instance, ui_url=settings.ui_url)
    for suffix, render in FORMATS.values():
        write_bytes(layout.reports() / f"checks.{suffix}", render(report).encode())
    context.add_output_metadata(report.summary())


@dg.job(description="The check report in every format, into <data>/reports.")
def write_report() -> None:
    """Write the check report."""
    write_the_report()


REPLAY_JOB = "replay_fhir"


def batch_checks(pipeline: Pipeline) -> str:
    """Name of the job that only checks one batch of a pipeline."""
    return f"check_{pipeline.kind}_batch"


def _checks_of(tables: Iterable[str]) -> dg.AssetSelection:
    return dg.AssetSelection.checks_for_assets(*map(asset_key, tables))


_OTHER_CHECKS = "check_all_batches"


@dg.op(retry_policy=RETRIES)
def check_everything(context: dg.OpExecutionContext, layout: dg.ResourceParam[Layout]) -> None:
    """Run every check for every finished batch, each batch in a run of its own.

    A check that does not hold is told by the report; a run in which a check could not be evaluated
    fails this step, once all the others are through.
    """
    repository, instance = context.repository_def, context.instance
    todo: list[tuple[dg.JobDefinition, str]] = []
    made = {
        key
        for key in repository.asset_graph.asset_check_keys
        if repository.asset_graph.get(key.asset_key).partitions_def is None
        and instance.get_latest_materialization_event(key.asset_key) is not None
    }
    if made:
        others = repository.get_job(_OTHER_CHECKS)
        todo.append((others.get_subset(asset_selection=set(), asset_check_selection=made), ""))
    for pipeline in PIPELINES.values():
        keys = batch_keys(layout, pipeline.kind)
        left = set(unfinished(layout, pipeline.batch_tables, keys))
        job = repository.get_job(batch_checks(pipeline))
        todo += [(job, key) for key in keys if key not in left]
    broken = []
    for job, batch in todo:
        # No job of checks alone is partitioned in Dagster 1.13: the tag says which batch it is.
        outcome = job.execute_in_process(
            instance=instance,
            raise_on_error=False,
            tags={PARTITION_TAG: batch} if batch else None,
        )
        failures = [said for said in _failures(outcome) if _CHECK not in said]
        broken += [f"{job.name} {batch}: {said}" for said in failures]
    context.add_output_metadata({"runs": len(todo), "broken": len(broken)})
    if broken:
        raise dg.Failure("; ".join(broken), allow_retries=False)


@dg.job(description="Every check of every finished batch and of all of them; makes nothing anew.")
def check_quality() -> None:
    """Check everything."""
    check_everything()


JOBS: Sequence[Any] = [
    *(
        dg.define_asset_job(
            pipeline.ingest_job,
            selection=_selection(pipeline.batch_tables),
            description=f"From the landed files of one {pipeline.kind} batch to its last table.",
        )
        for pipeline in PIPELINES.values()
    ),
    *(
        dg.define_asset_job(
            pipeline.publish_job,
            selection=_selection(pipeline.publish_tables),
            description=f"What is made of all {pipeline.kind} batches.",
        )
        for pipeline in PIPELINES.values()
        if pipeline.publish_job
    ),
    *(
        dg.define_asset_job(
            batch_checks(pipeline),
            selection=_checks_of(pipeline.batch_tables) - FRESHNESS_CHECKS,
            description=f"The checks of one {pipeline.kind} batch; check_quality runs it for each.",
        )
        for pipeline in PIPELINES.values()
    ),
    dg.define_asset_job(
        _OTHER_CHECKS,
        selection=dg.AssetSelection.all_asset_checks()
        - _checks_of(table for pipeline in PIPELINES.values() for table in pipeline.batch_tables),
        description="The checks of what is made of all batches; check_quality runs it.",
    ),
    check_quality,
    dg.define_asset_job(
        "check_freshness",
        selection=FRESHNESS_CHECKS,
        description="Whether a batch, or what is made of all of them, is left behind.",
    ),
    dg.define_asset_job(
        REPLAY_JOB,
        selection=_selection(PIPELINES["fhir"].batch_tables[1:]),  # the raw rows stay
        config={"ops": {"validated_and_quarantined_resources": {"config": {"replay": True}}}},
        description="Judges a batch's quarantine again, and enriches what is now valid.",
    ),
    rebuild_warehouse,
    write_report,
]


@dataclass(frozen=True)
class Job:
    """A job to be run, on one batch or on what all of them make."""

    name: str
    batch: str | None = None


def jobs_to_finish(layout: Layout, kind: str, batches: Iterable[str]) -> list[Job]:
    """What is to be run so that batches and all that depends on them are materialized.

    Nothing for a batch whose tables are all committed; and nothing over all batches unless a batch
    is run, or what is made of all of them lacks one: a run may have been killed in between.
    """
    pipeline = PIPELINES[kind]
    left = unfinished(layout, pipeline.batch_tables, batches)
    jobs = [Job(pipeline.ingest_job, batch) for batch in left]
    if pipeline.publish_job and (jobs or _is_unpublished(layout, pipeline)):
        jobs.append(Job(pipeline.publish_job))
    return jobs


def _is_unpublished(layout: Layout, pipeline: Pipeline) -> bool:
    made = [table for table in pipeline.publish_tables if table in PARQUET_TABLES]
    keys = set(batch_keys(layout, pipeline.kind))
    finished = keys.difference(unfinished(layout, pipeline.batch_tables, keys))
    return any(is_behind(layout, t, [*pipeline.batch_tables, *made], finished) for t in made)


class BlockedError(Exception):
    """A blocking check failed; what it guards was not made."""


class RunFailedError(Exception):
    """A step raised; its message names the step and the error, and no patient data."""


def open_instance(layout: Layout) -> dg.DagsterInstance:
    """Open the Dagster instance: that of DAGSTER_HOME, else one under the data folder.

    Raises:
        dg.DagsterInvariantViolationError: DAGSTER_HOME is not a folder.
    """
    keep_private()
    home = Path(os.environ.get("DAGSTER_HOME") or layout.dagster_home)
    settings = home / "dagster.yaml"
    if home == layout.dagster_home and not settings.exists():
        write_bytes(UPath(settings), _INSTANCE_SETTINGS)
    os.environ["DAGSTER_HOME"] = str(home)
    return dg.DagsterInstance.get()


def register_batches(instance: dg.DagsterInstance, kind: str, keys: Sequence[str]) -> None:
    """Make batches known to Dagster as partitions; those that are known stay."""
    name = PIPELINES[kind].partitions.name
    if keys and name is not None:
        instance.add_dynamic_partitions(name, list(keys))


def run_job(definitions: dg.Definitions, instance: dg.DagsterInstance, job: Job) -> None:
    """Run a job in this process, quietly.

    Args:
        definitions: that hold the job.
        instance: that keeps the record of it.
        job: what to run, on which batch.

    Raises:
        BlockedError: a blocking check failed.
        RunFailedError: a step raised.
    """
    end_lost_runs(instance)
    outcome = definitions.resolve_job_def(job.name).execute_in_process(
        instance=instance,
        partition_key=job.batch,
        tags=own_tag(),
        raise_on_error=False,
        run_config={"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}},
    )
    if outcome.success:
        return
    failed = [
        evaluation
        for evaluation in outcome.get_asset_check_evaluations()
        if not evaluation.passed
        and evaluation.blocking
        and evaluation.severity == dg.AssetCheckSeverity.ERROR
    ]
    if failed:
        said = "; ".join(
            f"{e.asset_key.to_user_string()}: {e.check_name}: {e.description}" for e in failed
        )
        raise BlockedError(said)
    raise RunFailedError("; ".join(_failures(outcome)))


def _failures(outcome: dg.ExecuteInProcessResult) -> Iterable[str]:
    for event in outcome.all_events:
        if event.is_step_failure:
            yield f"step {event.step_key} failed with {error_class(event.step_failure_data.error)}"


def error_class(error: SerializableErrorInfo | None) -> str:
    """Class of the error that began it all; never its text, which may hold patient data."""
    while error is not None and error.cause is not None:
        error = error.cause
    return (error.cls_name if error is not None else None) or "an unknown error"
