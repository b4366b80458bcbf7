"""What is used of Dagster beyond its public API is where it was, and in one module.

Each message says which part of Dagster moved: mend the function of that name in `internals.py`.
"""

import ast
import json
import os
import re
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

import hc_assets
from hc_assets.core.places import at
from hc_assets.lake.parts import DamagedPartError
from hc_assets.orchestration import internals
from hc_assets.orchestration.failures import described_error

PACKAGE = Path(hc_assets.__file__).parent
INTERNALS = PACKAGE / "orchestration" / "internals.py"
# Attributes that Dagster does not declare public, as `internals.py` uses them
UNDOCUMENTED = re.compile(
    r"\.(compute_fn|decorated_fn|get_attributes_dict|event_log_storage|resolve_asset_graph"
    r"|resolve_job_def|repository_def|asset_graph|get_subset|step_failure_data"
    r"|asset_check_evaluation_data|report_run_failed|op_execution_context)\b"
)


def private_imports(tree: ast.AST) -> list[str]:
    names: list[str] = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names += [each.name for each in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.append(node.module)
            names += [f"{node.module}.{each.name}" for each in node.names]
    return [n for n in names if n.startswith(("dagster._", "dagster_shared", "dagster_duckdb._"))]


def test_only_internals_reaches_into_dagster():
    found = {
        str(path.relative_to(PACKAGE)): [
            *private_imports(ast.parse(path.read_text())),
            *UNDOCUMENTED.findall(path.read_text()),
        ]
        for path in PACKAGE.rglob("*.py")
        if path != INTERNALS
    }
    assert {path: names for path, names in found.items() if names} == {}, (
        "move what reaches into Dagster to orchestration/internals.py"
    )


@pytest.mark.parametrize(
    "source",
    [
        "from dagster._core.instance import DagsterInstance",
        "import dagster_shared.error",
        "from dagster import _core",
    ],
)
def test_a_private_import_would_be_found(source):
    assert private_imports(ast.parse(source))


@pytest.fixture
def instance():
    with dg.DagsterInstance.ephemeral() as made:
        yield made


@dg.asset(pool="one", description="An asset.")
def numbers() -> int:
    return 1


@dg.asset(partitions_def=dg.StaticPartitionsDefinition(["a", "b"]))
def letters() -> None: ...


@dg.asset_check(asset=numbers, blocking=True)
def positive() -> dg.AssetCheckResult:
    return dg.AssetCheckResult(passed=True, metadata={"value": 1.0})


@dg.asset_check(asset=numbers)
def small() -> dg.AssetCheckResult:
    return dg.AssetCheckResult(passed=True)


POSITIVE = dg.AssetCheckKey(dg.AssetKey("numbers"), "positive")
SMALL = dg.AssetCheckKey(dg.AssetKey("numbers"), "small")


def defined(*jobs: Any) -> dg.Definitions:
    return dg.Definitions(
        assets=[numbers, letters],
        asset_checks=[positive, small],
        jobs=[dg.define_asset_job("everything", dg.AssetSelection.assets("numbers")), *jobs],
        executor=dg.in_process_executor,
    )


def test_a_body_is_wrapped_and_all_else_stays():
    def doubled(function: Any) -> Any:
        def body() -> int:
            return 2 * int(function())

        return body

    assert hasattr(numbers.op.compute_fn, "_replace"), "OpDefinition.compute_fn is no named tuple"
    assert hasattr(numbers.op.compute_fn, "decorated_fn"), "compute_fn.decorated_fn is gone"
    changed = internals.with_body(numbers, doubled)
    assert dg.materialize([changed]).output_for_node("numbers") == 2
    assert (changed.op.pool, changed.keys) == ("one", numbers.keys), "OpDefinition lost arguments"


@pytest.mark.parametrize("definition", [numbers, letters, positive])
def test_a_definition_is_copied_with_another_retry_policy(definition):
    assert "node_def" in definition.get_attributes_dict(), "get_attributes_dict lost node_def"
    policy = dg.RetryPolicy(max_retries=2)
    changed = internals.with_retry_policy(definition, policy)
    assert type(changed) is type(definition)
    assert changed.op.retry_policy == policy, "OpDefinition no longer takes retry_policy"
    assert (changed.specs_by_key, changed.check_specs_by_output_name) == (
        definition.specs_by_key,
        definition.check_specs_by_output_name,
    ), "get_attributes_dict no longer gives all that the class takes"


def test_checks_are_listed_of_definitions():
    assert internals.check_keys(defined()) == {POSITIVE, SMALL}, "resolve_asset_graph changed"
    assert internals.blocking_check_keys(defined()) == {POSITIVE}, "AssetCheckNode changed"


CODE_LOCATION = """
import json
import os
from pathlib import Path

import dagster as dg

from hc_assets.orchestration import internals
from hc_assets_tests.orchestration.test_internals import defined

@dg.op
def looking(context: dg.OpExecutionContext) -> None:
    seen = [
        sorted(key.name for key in internals.loaded_check_keys(context)),
        internals.is_partitioned(context, dg.AssetKey("letters")),
        internals.is_partitioned(context, dg.AssetKey("numbers")),
        internals.loaded_job(context, "everything").name,
    ]
    Path(os.environ["SEEN"]).write_text(json.dumps(seen))

@dg.job
def looks() -> None:
    looking()

defs = defined(looks)
"""


def test_an_op_sees_the_checks_partitions_and_jobs_of_its_code_location(tmp_path):
    # Only Dagster's own command hands a whole code location to a run
    (tmp_path / "code_location.py").write_text(CODE_LOCATION)
    location = ["-f", str(tmp_path / "code_location.py"), "-d", str(PACKAGE.parent)]
    done = subprocess.run(
        [Path(sys.executable).parent / "dagster", "job", "execute", "-j", "looks", *location],
        env=os.environ | {"DAGSTER_HOME": "", "SEEN": str(tmp_path / "seen")},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, (
        f"OpExecutionContext.repository_def or RepositoryDefinition.asset_graph changed:"
        f" {done.stderr[-2000:]}"
    )
    seen = json.loads((tmp_path / "seen").read_text())
    assert seen == [["positive", "small"], True, False, "everything"]


def test_a_job_is_narrowed_to_some_checks(instance):
    whole = internals.defined_job(defined(), "everything")
    assert whole.name == "everything", "Definitions.resolve_job_def changed"
    dg.materialize([numbers], instance=instance)
    outcome = internals.job_of_checks(whole, [POSITIVE]).execute_in_process(instance=instance)
    ran = [each.check_name for each in outcome.get_asset_check_evaluations()]
    assert ran == ["positive"], "JobDefinition.get_subset changed"
    assert outcome.asset_materializations_for_node("numbers") == []


def test_every_execution_of_a_check_is_read_page_by_page(instance):
    for _ in range(3):
        dg.materialize([numbers, positive], instance=instance)
    records = [*internals.check_history(instance, POSITIVE, page=2)]
    assert len({record.run_id for record in records}) == 3, (
        "EventLogStorage.get_asset_check_execution_history changed its pages or its cursor"
    )
    assert [r.id for r in records] == sorted((r.id for r in records), reverse=True), (
        "EventLogStorage.get_asset_check_execution_history no longer gives the newest first"
    )
    for record in records:
        assert record.event is not None
        found = internals.evaluation_of(record.event.dagster_event)
        assert found is not None, "DagsterEvent.asset_check_evaluation_data changed"
        assert (found.check_name, found.passed) == ("positive", True)


def test_other_events_are_no_evaluation(instance):
    events = dg.materialize([numbers], instance=instance).all_events
    assert {internals.evaluation_of(each) for each in [None, *events]} == {None}


def test_the_first_error_of_a_step_is_named_without_its_text(instance):
    @dg.asset
    def broken() -> None:
        try:
            raise KeyError("Quvzixbrandt")
        except KeyError as error:
            raise RuntimeError("outer") from error

    outcome = dg.materialize([broken], instance=instance, raise_on_error=False)
    (event,) = [each for each in outcome.all_events if each.is_step_failure]
    assert internals.error_class(event) == "KeyError", (
        "DagsterEvent.step_failure_data or its error's cause changed"
    )


def test_only_an_error_of_the_lake_is_quoted_with_what_to_do(instance):
    @dg.asset
    def damaged() -> None:
        try:
            raise FileNotFoundError(2, "gone", "part-1")
        except FileNotFoundError as error:
            raise DamagedPartError("fhir/things/all/part-1 is gone") from error

    @dg.asset
    def broken() -> None:
        raise ValueError("Quvzixbrandt")

    outcome = dg.materialize([damaged, broken], instance=instance, raise_on_error=False)
    described = {e.step_key: described_error(e) for e in outcome.all_events if e.is_step_failure}
    assert described == {
        "damaged": f"DamagedPartError: fhir/things/all/part-1 is gone; {DamagedPartError.advice}",
        "broken": "ValueError",
    }, "the message of SerializableErrorInfo no longer begins with the class and its module"


def test_a_step_failure_says_where_in_the_data_it_was(instance):
    @dg.asset
    def broken() -> None:
        with at("batch b1"), at("file 0a1b"):
            raise ValueError("text")

    outcome = dg.materialize([broken], instance=instance, raise_on_error=False)
    (event,) = [each for each in outcome.all_events if each.is_step_failure]
    assert internals.error_places(event) == ["file 0a1b", "batch b1"], (
        "DagsterEvent.step_failure_data or its error's message changed"
    )


def test_a_run_in_progress_is_ended(instance):
    job = internals.defined_job(defined(), "everything")
    run = instance.create_run_for_job(job, status=dg.DagsterRunStatus.STARTED)
    finished = instance.create_run_for_job(job, status=dg.DagsterRunStatus.SUCCESS)
    assert [each.run_id for each in internals.runs_in_progress(instance)] == [run.run_id], (
        f"IN_PROGRESS_RUN_STATUSES changed: it has no STARTED, or not {finished.status} alone"
    )
    internals.end_run(instance, run, "Its process is gone.")
    ended = instance.get_run_by_id(run.run_id)
    assert ended is not None
    assert ended.status == dg.DagsterRunStatus.FAILURE, "DagsterInstance.report_run_failed changed"
    assert internals.runs_in_progress(instance) == []


def test_a_run_that_is_ended_frees_its_pool(tmp_path):
    instance = dg.DagsterInstance.local_temp(str(tmp_path))
    storage = instance.event_log_storage
    storage.set_concurrency_slots("one", 1)
    job = internals.defined_job(defined(), "everything")
    run = instance.create_run_for_job(job, status=dg.DagsterRunStatus.STARTED)
    storage.claim_concurrency_slot("one", run.run_id, "numbers")
    assert storage.get_concurrency_info("one").active_slot_count == 1
    internals.end_run(instance, run, "Its process is gone.")
    assert storage.get_concurrency_info("one").active_slot_count == 0, (
        "EventLogStorage.free_concurrency_slots_for_run changed"
    )
    instance.dispose()


def waiting_step(instance: dg.DagsterInstance) -> tuple[object, str]:
    """A step that waits for a slot of a pool that was let go while it was being queued."""
    storage = instance.event_log_storage
    storage.set_concurrency_slots("warehouse", 1)
    assert storage.claim_concurrency_slot("warehouse", "first", "step").is_claimed
    storage.add_pending_step("warehouse", "second", "step", should_assign=False)
    # Let go as if before the second was queued: nobody assigns it the slot
    assign = storage.assign_pending_steps
    storage.assign_pending_steps = lambda keys: None
    storage.free_concurrency_slots_for_run("first")
    storage.assign_pending_steps = assign
    return storage, "second"


def test_a_step_that_was_queued_while_the_slot_was_let_go_waits_for_ever_in_dagster():
    """Where this fails, Dagster has mended it, and `assign_free_slots` can go."""
    with dg.instance_for_test() as instance:
        storage, run = waiting_step(instance)
        assert not storage.claim_concurrency_slot("warehouse", run, "step").is_claimed


def test_a_free_slot_is_given_to_the_step_that_waits():
    with dg.instance_for_test() as instance:
        storage, run = waiting_step(instance)
        internals.assign_free_slots(instance)
        assert storage.claim_concurrency_slot("warehouse", run, "step").is_claimed


def test_slots_are_given_while_a_block_runs():
    with dg.instance_for_test() as instance:
        storage, run = waiting_step(instance)
        with internals.slots_assigned(instance, seconds=0.01):
            deadline = time.monotonic() + 120
            while not storage.claim_concurrency_slot("warehouse", run, "step").is_claimed:
                assert time.monotonic() < deadline
                time.sleep(0.01)


def test_no_slot_is_given_while_all_are_taken():
    with dg.instance_for_test() as instance:
        storage = instance.event_log_storage
        storage.set_concurrency_slots("warehouse", 1)
        assert storage.claim_concurrency_slot("warehouse", "first", "step").is_claimed
        assert not storage.claim_concurrency_slot("warehouse", "second", "step").is_claimed
        internals.assign_free_slots(instance)
        assert not storage.claim_concurrency_slot("warehouse", "second", "step").is_claimed


def test_a_run_that_waits_in_the_queue_has_not_ended(instance):
    job = internals.defined_job(defined(), "everything")
    queued = instance.create_run_for_job(job, status=dg.DagsterRunStatus.NOT_STARTED)
    instance.create_run_for_job(job, status=dg.DagsterRunStatus.SUCCESS)
    assert [each.run_id for each in internals.unfinished_runs(instance)] == [queued.run_id], (
        "NOT_FINISHED_STATUSES changed: it has no NOT_STARTED, or more than what has not ended"
    )


def test_the_next_tick_of_a_cron_expression_is_in_utc():
    noon = datetime(2026, 1, 1, 12, 0, 30, tzinfo=UTC)
    assert internals.next_tick("*/2 * * * *", noon) == datetime(2026, 1, 1, 12, 2, tzinfo=UTC), (
        "get_next_cron_tick changed"
    )
    assert internals.next_tick("0 6 * * *", noon) == datetime(2026, 1, 2, 6, tzinfo=UTC)
