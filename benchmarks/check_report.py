"""How long the check report takes over many batches and checks, whatever the storage.

    python benchmarks/check_report.py [--batches 100] [--checks 40] [--postgres-url URL]

Fills a Dagster instance of its own with an evaluation of every check for every batch, then reads
and renders the report in every format. The peer is what one would write first: a query for each
check and batch.
"""

import argparse
import tempfile
import time

import dagster as dg
from dagster._core.event_api import PartitionKeyFilter

from hc_assets.orchestration.check_results import read_report
from hc_assets.reports.formats import FORMATS

batches = dg.DynamicPartitionsDefinition(name="benchmark_batches")


@dg.asset(partitions_def=batches)
def table() -> None:
    """The asset that every check is of."""


def check(name: str) -> dg.AssetChecksDefinition:
    @dg.asset_check(asset=table, name=name, partitions_def=batches)
    def evaluated() -> dg.AssetCheckResult:
        return dg.AssetCheckResult(passed=True)

    return evaluated


def fill(instance: dg.DagsterInstance, names: list[str], keys: list[str]) -> None:
    for number, key in enumerate(keys):
        for name in names:
            instance.report_runless_asset_event(
                dg.AssetCheckEvaluation(
                    asset_key=table.key,
                    check_name=name,
                    passed=number % 7 > 0,
                    severity=dg.AssetCheckSeverity.ERROR,
                    description=f"{number} of 100 entries are valid",
                    metadata={"value": number / 100, "threshold": 0.5, "good": number},
                    partition=key,
                )
            )


def one_by_one(instance: dg.DagsterInstance, names: list[str], keys: list[str]) -> None:
    for name in names:
        for key in keys:
            instance.event_log_storage.get_asset_check_execution_history(
                dg.AssetCheckKey(table.key, name),
                limit=1,
                partition_filter=PartitionKeyFilter(key=key),
            )


def main() -> None:
    parser = argparse.ArgumentParser(description="Time the check report.")
    parser.add_argument("--batches", type=int, default=100)
    parser.add_argument("--checks", type=int, default=40)
    parser.add_argument("--postgres-url", help="postgresql+psycopg2://...; an empty database")
    arguments = parser.parse_args()
    names = [f"check_{number:02d}" for number in range(arguments.checks)]
    keys = [f"20260101T{number:06d}Z-00000000" for number in range(arguments.batches)]
    definitions = dg.Definitions(assets=[table], asset_checks=[check(name) for name in names])
    overrides = {}
    if arguments.postgres_url:
        overrides = {"storage": {"postgres": {"postgres_url": arguments.postgres_url}}}
    with (
        tempfile.TemporaryDirectory() as folder,
        dg.instance_for_test(temp_dir=folder, overrides=overrides) as instance,
    ):
        fill(instance, names, keys)
        print(f"{len(names)} checks, {len(keys)} batches, {len(names) * len(keys)} outcomes")
        begun = time.perf_counter()
        report = read_report(definitions, instance, ui_url="http://127.0.0.1:3000")
        read = time.perf_counter() - begun
        print(f"read      {read:6.2f} s")
        for name, format_ in FORMATS.items():
            begun = time.perf_counter()
            text = format_.render(report)
            print(f"{name:9} {time.perf_counter() - begun:6.2f} s {len(text):>10,} characters")
        begun = time.perf_counter()
        one_by_one(instance, names, keys)
        peer = time.perf_counter() - begun
        print(f"one query per check and batch {peer:6.2f} s: {peer / read:.1f} times as long")


if __name__ == "__main__":
    main()
