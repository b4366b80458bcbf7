"""Jobs, and what the command line needs of Dagster: an instance, partitions, runs.

Belongs here: running. What is run is defined in each domain's `assets.py`; when, in `sensors.py`.
"""

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import dagster as dg
from upath import UPath

from hc_assets.fhir.assets import fhir_batches
from hc_assets.imaging.assets import dicom_batches
from hc_assets.lake.atomic import write_bytes
from hc_assets.lake.layout import Layout
from hc_assets.lake.parts import read_commit
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
"""


@dataclass(frozen=True)
class Pipeline:
    """The way of one kind of data: from batches to what is made of all of them.

    Attributes:
        kind: of the landed files.
        partitions: of its batches.
        batch_tables: assets with a partition per batch.
        ingest_job: job over those.
        publish_tables: assets over all batches.
        publish_job: job over those; "" where there are none.
    """

    kind: str
    partitions: dg.DynamicPartitionsDefinition
    batch_tables: tuple[str, ...]
    ingest_job: str
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
        ),
        ingest_job="ingest_fhir",
        publish_tables=(
            "fhir/current_resources",
            "fhir/resource_history",
            "fhir/ndjson_exports",
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
            "imaging/preprocessed_arrays",
        ),
        ingest_job="ingest_dicom",
    ),
}


def _selection(tables: Iterable[str]) -> dg.AssetSelection:
    return dg.AssetSelection.assets(*(dg.AssetKey(table.split("/")) for table in tables))


JOBS = [
    dg.define_asset_job(
        pipeline.ingest_job,
        selection=_selection(pipeline.batch_tables),
        description=f"From the landed files of one {pipeline.kind} batch to its last table.",
    )
    for pipeline in PIPELINES.values()
] + [
    dg.define_asset_job(
        pipeline.publish_job,
        selection=_selection(pipeline.publish_tables),
        description=f"What is made of all {pipeline.kind} batches.",
    )
    for pipeline in PIPELINES.values()
    if pipeline.publish_job
]


@dataclass(frozen=True)
class Job:
    """A job to be run, on one batch or on what all of them make."""

    name: str
    batch: str | None = None


def jobs_to_finish(layout: Layout, kind: str, batches: Iterable[str]) -> list[Job]:
    """What is to be run so that batches and all that depends on them are materialized.

    Nothing for a batch whose tables are all committed; and nothing over all batches unless a batch
    is run, or what is made of all of them is not there.
    """
    pipeline = PIPELINES[kind]
    jobs = [Job(pipeline.ingest_job, batch) for batch in unfinished(layout, kind, batches)]
    published = all(
        read_commit(layout.partition(table, None)) is not None
        for table in pipeline.publish_tables
        if table in PARQUET_TABLES
    )
    if pipeline.publish_job and (jobs or not published):
        jobs.append(Job(pipeline.publish_job))
    return jobs


class BlockedError(Exception):
    """A blocking check failed; what it guards was not made."""


class RunFailedError(Exception):
    """A step raised; its message names the step and the error, and no patient data."""


def open_instance(layout: Layout) -> dg.DagsterInstance:
    """Open the Dagster instance: that of DAGSTER_HOME, else one under the data folder.

    Raises:
        dg.DagsterInvariantViolationError: DAGSTER_HOME is not a folder.
    """
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


def unfinished(layout: Layout, kind: str, keys: Iterable[str]) -> list[str]:
    """Those batches of which a table is not committed."""
    tables = PIPELINES[kind].batch_tables
    return [
        key
        for key in keys
        if any(read_commit(layout.partition(table, key)) is None for table in tables)
    ]


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
    outcome = definitions.resolve_job_def(job.name).execute_in_process(
        instance=instance,
        partition_key=job.batch,
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
            error = event.step_failure_data.error
            while error is not None and error.cause is not None:
                error = error.cause
            name = error.cls_name if error is not None else "unknown error"
            yield f"step {event.step_key} failed with {name}"
