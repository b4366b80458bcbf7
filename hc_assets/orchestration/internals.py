"""What this package uses of Dagster beyond its public API.

Belongs here: every import of `dagster._...` or `dagster_shared`, and every use of an attribute that
Dagster does not declare public. Each function says which part of Dagster it rests on; for each,
`hc_assets_tests/orchestration/test_internals.py` has a test that says what moved.
"""

from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import datetime
from threading import Event, Thread
from typing import Any, TypeAlias, TypeVar

import dagster as dg
from dagster._core.definitions.asset_checks.asset_check_evaluation import AssetCheckEvaluation
from dagster._core.execution.context.system import PlanOrchestrationContext
from dagster._core.execution.plan.plan import ExecutionPlan
from dagster._core.execution.retries import RetryMode
from dagster._core.execution.step_dependency_config import StepDependencyConfig
from dagster._core.storage.asset_check_execution_record import AssetCheckExecutionRecord
from dagster._core.storage.dagster_run import IN_PROGRESS_RUN_STATUSES, NOT_FINISHED_STATUSES
from dagster._core.storage.event_log import SqlEventLogStorage
from dagster._utils.schedules import get_next_cron_tick, is_valid_cron_string
from dagster_shared.error import SerializableErrorInfo
from sqlalchemy.exc import SQLAlchemyError

from hc_assets.core.places import places_in

D = TypeVar("D", bound=dg.AssetsDefinition)
OnEnd: TypeAlias = Callable[[dg.DagsterInstance, dg.DagsterRun, Sequence[dg.DagsterEvent]], None]
_LAKE = "hc_assets.lake."


def with_body(definition: D, wrap: Callable[[Callable[..., Any]], Callable[..., Any]]) -> D:
    """Wrap the decorated function of an asset or a check, whose arguments stay as they are.

    Rests on `OpDefinition.compute_fn`, which for decorated functions is a named tuple with the
    function as `decorated_fn`.
    """
    compute: Any = definition.op.compute_fn
    return _with_op(
        definition, compute_fn=compute._replace(decorated_fn=wrap(compute.decorated_fn))
    )


def with_retry_policy(definition: D, policy: dg.RetryPolicy) -> D:
    """Set a retry policy for an asset or a check that is defined already.

    Rests on what `_with_op` does: Dagster offers it in the decorator alone.
    """
    return _with_op(definition, retry_policy=policy)


def _with_op(definition: D, **changes: Any) -> D:
    """Copy a definition with a changed op.

    Rests on `AssetsDefinition.get_attributes_dict`, which gives the arguments of the class, the op
    among them as `node_def`.
    """
    op = definition.op
    arguments: dict[str, Any] = {
        "compute_fn": op.compute_fn,
        "name": op.name,
        "ins": op.ins,
        "outs": op.outs,
        "description": op.description,
        "config_schema": op.config_schema,
        "required_resource_keys": op.required_resource_keys,
        "tags": op.tags,
        "retry_policy": op.retry_policy,
        "pool": op.pool,
    }
    changed = dg.OpDefinition(**arguments | changes)
    return type(definition)(**{**definition.get_attributes_dict(), "node_def": changed})


def check_keys(definitions: dg.Definitions) -> set[dg.AssetCheckKey]:
    """Keys of all checks that are defined.

    Rests on `Definitions.resolve_asset_graph`.
    """
    return set(definitions.resolve_asset_graph().asset_check_keys)


def blocking_check_keys(definitions: dg.Definitions) -> set[dg.AssetCheckKey]:
    """Keys of the checks whose failure stops what is made of their asset.

    Rests on `Definitions.resolve_asset_graph` and `AssetCheckNode.blocking`.
    """
    graph = definitions.resolve_asset_graph()
    return {key for key in graph.asset_check_keys if graph.get(key).blocking}


def loaded_check_keys(context: dg.OpExecutionContext) -> set[dg.AssetCheckKey]:
    """Keys of all checks of the code location that an op runs in.

    Rests on `OpExecutionContext.repository_def` and `RepositoryDefinition.asset_graph`.
    """
    return set(context.repository_def.asset_graph.asset_check_keys)


def is_partitioned(context: dg.OpExecutionContext, asset: dg.AssetKey) -> bool:
    """Whether an asset of the code location that an op runs in has partitions.

    Rests on `RepositoryDefinition.asset_graph`.
    """
    return context.repository_def.asset_graph.get(asset).partitions_def is not None


def loaded_job(context: dg.OpExecutionContext, name: str) -> dg.JobDefinition:
    """A job of the code location that an op runs in.

    Rests on `OpExecutionContext.repository_def`.
    """
    return context.repository_def.get_job(name)


def job_of_checks(job: dg.JobDefinition, checks: Collection[dg.AssetCheckKey]) -> dg.JobDefinition:
    """Narrow a job to some of its checks, without any asset.

    Rests on `JobDefinition.get_subset`.
    """
    return job.get_subset(asset_selection=set(), asset_check_selection=set(checks))


def defined_job(definitions: dg.Definitions, name: str) -> dg.JobDefinition:
    """A job by its name.

    Rests on `Definitions.resolve_job_def`.
    """
    return definitions.resolve_job_def(name)


def check_history(
    instance: dg.DagsterInstance, key: dg.AssetCheckKey, page: int
) -> Iterator[AssetCheckExecutionRecord]:
    """Return all executions of a check, planned ones too, newest first.

    Rests on `EventLogStorage.get_asset_check_execution_history`; the public API gives the latest
    execution alone.

    Args:
        instance: that keeps the record.
        key: of the check.
        page: how many are read at a time.
    """
    cursor = None
    while True:
        records = instance.event_log_storage.get_asset_check_execution_history(
            key, limit=page, cursor=cursor
        )
        yield from records
        if len(records) < page:
            return
        cursor = records[-1].id


def evaluation_of(event: dg.DagsterEvent | None) -> AssetCheckEvaluation | None:
    """What a check found; None of an event that is no evaluation.

    Rests on `DagsterEvent.asset_check_evaluation_data`.
    """
    if event is None or event.event_type != dg.DagsterEventType.ASSET_CHECK_EVALUATION:
        return None
    return event.asset_check_evaluation_data


def error_class(event: dg.DagsterEvent) -> str:
    """Class of the error that a step failed with at first; never its text, which may hold data.

    Rests on `DagsterEvent.step_failure_data`, whose error has a class's name and a cause.
    """
    error = _first_error(event)
    return (error.cls_name if error is not None else None) or "an unknown error"


def lake_error(event: dg.DagsterEvent) -> tuple[str, str] | None:
    """Class, as `module:name`, and text of the lake's own error that a step failed with.

    None where it failed with another one: only the lake's are sure to name our files alone.

    Rests on the message of a recorded error, which begins with its class and its module.
    """
    error: SerializableErrorInfo | None = event.step_failure_data.error
    while error is not None:
        kind, _, text = error.message.partition(": ")
        module, _, name = kind.rpartition(".")
        if module.startswith(_LAKE):
            return f"{module}:{name}", text.strip()
        error = error.cause
    return None


def _first_error(event: dg.DagsterEvent) -> SerializableErrorInfo | None:
    error: SerializableErrorInfo | None = event.step_failure_data.error
    while error is not None and error.cause is not None:
        error = error.cause
    return error


def error_places(event: dg.DagsterEvent) -> list[str]:
    """Where in the data the error of a failed step was raised, as `core/places.at` noted it.

    Rests on `DagsterEvent.step_failure_data`, whose errors' messages end with their notes.
    """
    found: list[str] = []
    error: SerializableErrorInfo | None = event.step_failure_data.error
    while error is not None:
        found += [place for place in places_in(error.message.splitlines()) if place not in found]
        error = error.cause
    return found


def runs_in_progress(instance: dg.DagsterInstance) -> list[dg.DagsterRun]:
    """Runs that have begun and not ended.

    Rests on the list of statuses that Dagster itself asks for.
    """
    return list(instance.get_runs(dg.RunsFilter(statuses=list(IN_PROGRESS_RUN_STATUSES))))


def unfinished_runs(instance: dg.DagsterInstance) -> list[dg.DagsterRun]:
    """Runs that have not ended, those that wait in the queue among them.

    Rests on the list of statuses that Dagster itself asks for.
    """
    return list(instance.get_runs(dg.RunsFilter(statuses=list(NOT_FINISHED_STATUSES))))


def is_cron(text: str) -> bool:
    """Whether Dagster takes a text as a cron expression.

    Rests on `dagster._utils.schedules.is_valid_cron_string`.
    """
    return is_valid_cron_string(text)


def next_tick(cron: str, after: datetime) -> datetime:
    """The first tick of a cron expression after a time, in UTC as automation conditions have it.

    Rests on `dagster._utils.schedules.get_next_cron_tick`.
    """
    return get_next_cron_tick(cron, after, None)


def end_run(instance: dg.DagsterInstance, run: dg.DagsterRun, why: str) -> None:
    """Record that a run whose process is gone has failed, and free its places in pools.

    Rests on `EventLogStorage.free_concurrency_slots_for_run` and
    `DagsterInstance.report_run_failed`: a daemon does both, and a command has none.
    """
    instance.event_log_storage.free_concurrency_slots_for_run(run.run_id)
    instance.report_run_failed(run, why)


def assign_free_slots(instance: dg.DagsterInstance) -> None:
    """Assign slots of pools that are free to steps that wait for one.

    Dagster 1.13 looks whether a slot is free and then queues the step. A slot that is let go in
    between is assigned to nobody, and the step waits until another one lets a slot go, which may be
    never. Assigned once too often does no harm: a step still has to claim a slot.

    Rests on `SqlEventLogStorage.has_unassigned_slots` and `assign_pending_steps`.
    """
    storage = instance.event_log_storage
    if isinstance(storage, SqlEventLogStorage):
        for pool in storage.get_concurrency_keys():
            if storage.has_unassigned_slots(pool):
                storage.assign_pending_steps([pool])


@contextmanager
def slots_assigned(instance: dg.DagsterInstance, seconds: float = 5.0) -> Iterator[None]:
    """Run `assign_free_slots` every so often while the block runs, in a thread beside it.

    Args:
        instance: whose pools they are.
        seconds: between two looks.
    """
    over = Event()

    def look() -> None:
        while not over.wait(seconds):
            # Its own fault is no reason to fail a run: the next look tries again
            with suppress(SQLAlchemyError):
                assign_free_slots(instance)

    thread = Thread(target=look, name="slots of pools", daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def in_process_executor(on_end: OnEnd) -> dg.ExecutorDefinition:
    """Dagster's in-process executor, which says at the end which steps failed.

    `dagster asset materialize` runs in a process of its own, that no sensor looks at where no
    daemon is. Rests on `ExecutorDefinition.executor_creation_fn` and on the methods of `Executor`.

    Args:
        on_end: called with the instance, the run and the failures of its steps, in whatever way
            the run ends.
    """
    wrapped = dg.in_process_executor

    def create(context: dg.InitExecutorContext) -> dg.Executor:
        assert wrapped.executor_creation_fn is not None  # noqa: S101 - it is Dagster's own
        return _Telling(wrapped.executor_creation_fn(context), on_end)

    return dg.ExecutorDefinition(
        name=wrapped.name,
        config_schema=wrapped.config_schema.as_field(),
        executor_creation_fn=create,
        description=wrapped.description,
    )


class _Telling(dg.Executor):
    def __init__(self, wrapped: dg.Executor, on_end: OnEnd) -> None:
        self._wrapped, self._on_end = wrapped, on_end

    @property
    def retries(self) -> RetryMode:
        return self._wrapped.retries

    @property
    def step_dependency_config(self) -> StepDependencyConfig:
        return self._wrapped.step_dependency_config

    def execute(
        self, plan_context: PlanOrchestrationContext, execution_plan: ExecutionPlan
    ) -> Iterator[dg.DagsterEvent]:
        failed = []
        try:
            for event in self._wrapped.execute(plan_context, execution_plan):
                if event.is_step_failure:
                    failed.append(event)
                yield event
        finally:
            self._on_end(plan_context.instance, plan_context.dagster_run, failed)
