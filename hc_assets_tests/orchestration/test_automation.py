from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import dagster as dg
import pytest

from hc_assets.definitions import build_defs
from hc_assets.orchestration.specs import automated, once_per_quiet_period

START = datetime(2026, 1, 1, 12, 0, 30, tzinfo=UTC)

batches = dg.DynamicPartitionsDefinition(name="batches")


@dg.asset(partitions_def=batches)
def enriched() -> None: ...


@dg.asset(deps=[enriched])
def current() -> None: ...


@dg.asset(deps=[current])
def exports() -> None: ...


class Clockwork:
    """Evaluates the conditions as the daemon does, at minutes after the start."""

    def __init__(self, instance: dg.DagsterInstance) -> None:
        condition = once_per_quiet_period("*/2 * * * *", "0 * * * *")
        self.instance = instance
        self.assets = [automated(each, condition) for each in (enriched, current, exports)]
        self.definitions = dg.Definitions(
            assets=self.assets, jobs=[dg.define_asset_job("ingest", selection=[enriched])]
        )
        self.cursor = None
        self.batches = 0

    def asked_for(self, minute: float, *, fails: bool = False) -> set[str]:
        """Evaluate, and materialize what is asked for."""
        evaluated = dg.evaluate_automation_conditions(
            defs=self.definitions,
            instance=self.instance,
            evaluation_time=START + timedelta(minutes=minute),
            cursor=self.cursor,
        )
        self.cursor = evaluated.cursor
        keys = {each.key for each in evaluated.results if not each.true_subset.is_empty}
        for key in [] if fails else sorted(keys):
            self.instance.report_runless_asset_event(dg.AssetMaterialization(key))
        return {key.to_user_string() for key in keys}

    def batch(self) -> None:
        """Let a batch come and be done."""
        key = f"b{self.batches}"
        self.batches += 1
        self.instance.add_dynamic_partitions("batches", [key])
        done = dg.AssetMaterialization(enriched.key, partition=key)
        self.instance.report_runless_asset_event(done)

    def begin_batch(self) -> dg.DagsterRun:
        """Let a batch come whose run is on its way."""
        key = f"b{self.batches}"
        self.batches += 1
        self.instance.add_dynamic_partitions("batches", [key])
        return self.instance.create_run_for_job(
            self.definitions.resolve_job_def("ingest"),
            status=dg.DagsterRunStatus.STARTED,
            tags={"dagster/partition": key},
        )


@pytest.fixture
def clockwork() -> Iterator[Clockwork]:
    with dg.DagsterInstance.ephemeral() as instance:
        yield Clockwork(instance)


def test_nothing_is_made_before_the_first_batch(clockwork):
    assert [clockwork.asked_for(minute) for minute in range(5)] == [set()] * 5


def test_batches_in_a_row_are_taken_in_once_when_they_rest(clockwork):
    clockwork.asked_for(0)
    asked = []
    for minute in range(1, 6):
        clockwork.batch()
        asked.append(clockwork.asked_for(minute))
    asked += [clockwork.asked_for(minute) for minute in range(6, 12)]
    assert [each for each in asked if each] == [{"current", "exports"}]
    assert not any(asked[:5])


def test_each_quiet_period_has_its_own(clockwork):
    clockwork.asked_for(0)
    made = []
    for period in range(2):
        clockwork.batch()
        made += [clockwork.asked_for(1 + 10 * period + minute) for minute in range(5)]
    assert [each for each in made if each] == [{"current", "exports"}] * 2


def test_a_batch_on_its_way_is_waited_for(clockwork):
    clockwork.asked_for(0)
    clockwork.batch()
    run = clockwork.begin_batch()
    assert [clockwork.asked_for(minute) for minute in range(1, 10)] == [set()] * 9
    clockwork.instance.report_run_canceled(run)
    assert {"current", "exports"} in [clockwork.asked_for(minute) for minute in range(10, 14)]


def test_where_batches_never_cease_they_are_taken_in_every_hour(clockwork):
    clockwork.asked_for(0)
    asked = {}
    for minute in range(15, 130, 15):
        clockwork.batch()
        clockwork.begin_batch()
        asked[minute] = clockwork.asked_for(minute)
    assert [minute for minute, keys in asked.items() if keys] == [60, 120]


def test_what_is_missing_is_made_of_batches_that_were_there_before(clockwork):
    clockwork.batch()
    asked = [clockwork.asked_for(minute) for minute in range(5)]
    assert [each for each in asked if each] == [{"current", "exports"}]


def test_what_failed_is_not_requested_again_and_again(clockwork):
    clockwork.asked_for(0)
    clockwork.batch()
    asked = [clockwork.asked_for(minute, fails=True) for minute in range(1, 20)]
    assert len([each for each in asked if each]) == 1


def test_every_asset_over_all_batches_is_automated_and_no_other(data_dir):
    graph = build_defs().resolve_asset_graph()
    for key in graph.get_all_asset_keys():
        node = graph.get(key)
        is_automated = node.automation_condition is not None
        assert is_automated == (node.partitions_def is None), key
