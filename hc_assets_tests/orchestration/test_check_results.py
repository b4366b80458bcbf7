"""Check results come out of Dagster's event log as they went in, whatever keeps it."""

from collections import Counter
from datetime import UTC, datetime

import dagster as dg

from hc_assets.orchestration.check_results import read_report

batches = dg.DynamicPartitionsDefinition(name="some_batches")


@dg.asset(partitions_def=batches)
def table() -> None: ...


def check(name: str) -> dg.AssetChecksDefinition:
    @dg.asset_check(asset=table, name=name, partitions_def=batches)
    def evaluated() -> dg.AssetCheckResult:
        return dg.AssetCheckResult(passed=True)

    return evaluated


def definitions(*names: str) -> dg.Definitions:
    return dg.Definitions(assets=[table], asset_checks=[check(name) for name in names])


def record_result(
    instance: dg.DagsterInstance, name: str, batch: str | None, value: float, *, passed: bool = True
) -> None:
    instance.report_runless_asset_event(
        dg.AssetCheckEvaluation(
            asset_key=table.key,
            check_name=name,
            passed=passed,
            severity=dg.AssetCheckSeverity.WARN,
            description="recorded",
            metadata={"value": value, "threshold": 0.5, "other": 3},
            partition=batch,
        )
    )


def test_outcomes_are_read_as_they_were_recorded(any_instance):
    before = datetime.now(UTC).replace(microsecond=0)
    record_result(any_instance, "a", "b1", 0.25, passed=False)
    record_result(any_instance, "a", "b2", 1.0)
    record_result(any_instance, "b", None, 2.0)

    report = read_report(definitions("a", "b", "c"), any_instance, ui_url="http://ui")

    by_place = {(o.check, o.batch): o for o in report.outcomes}
    assert set(by_place) == {("a", "b1"), ("a", "b2"), ("b", None)}
    failed = by_place["a", "b1"]
    assert (failed.passed, failed.severity, failed.value, failed.threshold, failed.explanation) == (
        False,
        "WARN",
        0.25,
        0.5,
        "recorded",
    )
    assert before <= datetime.fromisoformat(failed.checked_at) <= datetime.now(UTC)
    assert report.never_run == ["table: c"]
    assert report.ui_url == "http://ui"


def test_the_last_word_on_a_batch_counts_however_fast_it_came(any_instance):
    any_instance.add_dynamic_partitions("some_batches", ["b1"])
    values = iter([1.0, 2.0, 3.0])

    @dg.asset_check(asset=table, name="a", partitions_def=batches)
    def evaluated() -> dg.AssetCheckResult:
        return dg.AssetCheckResult(passed=True, metadata={"value": next(values)})

    job = dg.define_asset_job("j", selection=[table])
    made = dg.Definitions(assets=[table], asset_checks=[evaluated], jobs=[job])
    for _ in range(3):
        made.resolve_job_def("j").execute_in_process(instance=any_instance, partition_key="b1")
    report = read_report(made, any_instance)
    assert [outcome.value for outcome in report.outcomes] == [3.0]


def test_a_value_that_is_a_whole_number_is_read_too(instance):
    record_result(instance, "a", "b1", 7)
    assert read_report(definitions("a"), instance).outcomes[0].value == 7.0


def test_the_log_is_asked_once_for_a_check_whatever_the_number_of_batches(instance, monkeypatch):
    for number in range(30):
        record_result(instance, "a", f"b{number:02d}", 1.0)
    asked = Counter()
    storage = type(instance.event_log_storage)
    reading = storage.get_asset_check_execution_history

    def counting(self, check_key, *arguments, **options):
        asked[check_key.name] += 1
        return reading(self, check_key, *arguments, **options)

    monkeypatch.setattr(storage, "get_asset_check_execution_history", counting)
    report = read_report(definitions("a", "b"), instance)
    assert len(report.outcomes) == 30
    assert asked == {"a": 1, "b": 1}


def test_a_history_of_several_pages_is_read_whole(instance):
    for number in range(10):
        record_result(instance, "a", f"b{number}", float(number))
    (trend,) = read_report(definitions("a"), instance, page=4).trends
    assert trend.values == [float(number) for number in range(10)]


def test_a_check_that_ran_in_a_run_names_its_run(instance):
    instance.add_dynamic_partitions("some_batches", ["b1"])
    defs = definitions("a")
    job = dg.define_asset_job("j", selection=[table])
    made = dg.Definitions(assets=defs.assets, asset_checks=defs.asset_checks, jobs=[job])
    done = made.resolve_job_def("j").execute_in_process(instance=instance, partition_key="b1")
    (outcome,) = read_report(made, instance).outcomes
    assert (outcome.run_id, outcome.batch) == (done.run_id, "b1")
