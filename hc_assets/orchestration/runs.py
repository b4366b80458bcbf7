"""Runs that the command line starts: Dagster's instance, its partitions, and what became of a run.

Belongs here: running in this process. What is run is defined in `jobs.py`; runs of the daemon are
its own to start and to watch (`run_monitoring`). But a command has no daemon, so the runs of
commands whose process is gone are ended here: the pool of a killed one would never be let go.
"""

import os
import socket
from collections.abc import Iterable, Iterator, Sequence, Set
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import dagster as dg
from filelock import FileLock
from sqlalchemy.exc import IntegrityError
from upath import UPath

from hc_assets.core.domain import Landing
from hc_assets.core.settings import CoreSettings
from hc_assets.domains import CATALOG, finished_batches, sources_of, taken_in, warehouse_of
from hc_assets.lake.atomic import keep_private, write_bytes
from hc_assets.lake.backlog import is_behind, unfinished
from hc_assets.lake.exclusions import retracted
from hc_assets.lake.layout import Layout
from hc_assets.orchestration import internals
from hc_assets.orchestration.blocking import ending, note_blocked
from hc_assets.orchestration.check_results import report_of
from hc_assets.orchestration.errors import BlockedError, RunFailedError, own_errors
from hc_assets.orchestration.failures import described_error
from hc_assets.reports.check_report import CheckOutcome

PROCESS_TAG = "hc_assets/process"
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
class Job:
    """A job to be run, on one batch or on what all of them make."""

    name: str
    batch: str | None = None


def jobs_to_finish(layout: Layout, kind: str, batches: Iterable[str]) -> list[Job]:
    """What is to be run so that batches and all that depends on them are materialized.

    Nothing for a batch whose tables are all committed; and nothing over all batches unless a batch
    is run, or what is made of all of them lacks one: a run may have been killed in between.
    """
    landing = CATALOG.landings[kind]
    left = unfinished(layout, landing.batch_tables, batches)
    jobs = [Job(landing.kind.ingest_job, batch) for batch in left]
    if landing.publish_job and (jobs or is_unpublished(layout, landing)):
        jobs.append(Job(landing.publish_job))
    return jobs


def is_unpublished(layout: Layout, landing: Landing) -> bool:
    """Whether what is made of all batches is not of those that it has to be of.

    Not where no batch is finished, and nothing was ever made of any.
    """
    finished, warehouse = finished_batches(layout, landing), warehouse_of(layout)
    sources = sources_of(landing)
    made_from = [taken_in(warehouse, table) for table in landing.publish_tables]
    if not finished and not any(made_from):
        return False
    return any(is_behind(layout, each, sources, finished) for each in made_from)


def tables_to_compare(landing: Landing) -> list[str]:
    """Tables over all batches whose commits say what they were made from."""
    return [table for table in landing.publish_tables if table in CATALOG.parquet]


@contextmanager
def open_instance(layout: Layout) -> Iterator[dg.DagsterInstance]:
    """Open the Dagster instance: that of DAGSTER_HOME, else one under the data folder.

    Raises:
        OrchestratorError: DAGSTER_HOME is not a folder; or Dagster fails while it is open.
        RecordError: the database of the record can't be used.
    """
    keep_private()
    home = Path(os.environ.get("DAGSTER_HOME") or layout.dagster_home)
    settings = home / "dagster.yaml"
    if home == layout.dagster_home and not settings.exists():
        write_bytes(UPath(settings), _INSTANCE_SETTINGS)
    os.environ["DAGSTER_HOME"] = str(home)
    with own_errors(home), _opened(home) as instance:
        yield instance


def _opened(home: Path) -> dg.DagsterInstance:
    """Open the instance of a folder, one process at a time: the first one makes its databases."""
    if not home.is_dir():
        return dg.DagsterInstance.get()  # which says what is wrong with it
    with FileLock(home / "instance.lock", mode=0o600):
        return dg.DagsterInstance.get()


def register_batches(instance: dg.DagsterInstance, kind: str, keys: Sequence[str]) -> None:
    """Make batches known to Dagster as partitions; those that are known stay.

    Dagster looks which are known and then adds the others: where another process adds one of them
    in between, nothing is added, and that one is known when it is tried again.
    """
    name, left = CATALOG.kind(kind).partitions, len(keys) + 1
    while keys:
        try:
            instance.add_dynamic_partitions(name, list(keys))
        except IntegrityError:
            left -= 1  # each time, one more of them is known
            if not left:
                raise
        else:
            return


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
    with internals.slots_assigned(instance):
        outcome = internals.defined_job(definitions, job.name).execute_in_process(
            instance=instance,
            partition_key=job.batch,
            tags=own_tag(),
            raise_on_error=False,
            run_config={"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}},
        )
    _end(definitions, instance, outcome)
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
        raise _blocked(
            f"{e.asset_key.to_user_string()}: {e.check_name}: {e.description}" for e in failed
        )
    raise RunFailedError("; ".join(failures(outcome)))


def _end(
    definitions: dg.Definitions, instance: dg.DagsterInstance, outcome: dg.ExecuteInProcessResult
) -> None:
    """Do what is done at the end of a run of the daemon: such a run is in no executor of ours."""
    resources = definitions.resources or {}
    settings: CoreSettings = resources["settings"]
    on_end = ending(resources["layout"], settings.ui_url)
    steps = [event for event in outcome.all_events if event.is_step_failure]
    on_end(instance, outcome.dagster_run, steps)


def blocked_batches(
    definitions: dg.Definitions,
    instance: dg.DagsterInstance,
    layout: Layout,
    batches: Set[str | None],
) -> dict[str | None, BlockedError]:
    """Find where a blocking check did not hold when it was last asked, and keep it in the lake.

    A run that was killed between a check and its own end left that to be done.

    Args:
        definitions: that hold the checks.
        instance: that keeps their results.
        layout: where the lake is.
        batches: to ask of; None stands for what is made of all batches.

    Returns:
        What blocks each batch; none of those that are retracted.
    """
    gone = retracted(layout)
    findings = report_of(internals.blocking_check_keys(definitions), instance).findings()
    found: dict[str | None, list[CheckOutcome]] = {}
    for outcome in findings:
        if outcome.is_blocking and outcome.batch in batches - gone:
            found.setdefault(outcome.batch, []).append(outcome)
    for batch, outcomes in found.items():
        landing = CATALOG.landing_of(outcomes[0].asset)
        if batch is not None and landing is not None:
            names = [f"{each.asset}: {each.check}" for each in outcomes]
            note_blocked(layout, landing.kind.name, batch, names)
    return {
        batch: _blocked(f"{o.asset}: {o.check}: {o.explanation}" for o in outcomes)
        for batch, outcomes in found.items()
    }


def _blocked(checks: Iterable[str]) -> BlockedError:
    return BlockedError(f"a blocking check failed: {'; '.join(checks)}")


def failures(outcome: dg.ExecuteInProcessResult) -> Iterable[str]:
    """List each step that raised, with the class of its error, and where it was."""
    for event in outcome.all_events:
        if event.is_step_failure:
            yield f"step {event.step_key} failed with {described_error(event)}"


def process_name(pid: int) -> str:
    """Name a process as no other on any machine ever is; "" where there is none of that number."""
    try:
        # Its start, in ticks since the machine's, is the 20th field after the name in brackets
        started = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return ""
    return f"{socket.gethostname()} {boot} {pid} {started}"


def own_tag() -> dict[str, str]:
    """Tag for the runs of this process."""
    return {PROCESS_TAG: process_name(os.getpid())}


def end_lost_runs(instance: dg.DagsterInstance) -> list[str]:
    """End the runs of processes that are gone, and of this one, which runs one at a time.

    Returns:
        Their ids.
    """
    ended = []
    for run in internals.runs_in_progress(instance):
        if _is_lost(run.tags.get(PROCESS_TAG, "")):
            internals.end_run(instance, run, "The process of this run is gone.")
            ended.append(run.run_id)
    return ended


def _is_lost(name: str) -> bool:
    if not name:
        return False
    host, _, number, _ = name.split()
    pid = int(number)
    if host != socket.gethostname():
        return False
    return pid == os.getpid() or process_name(pid) != name
