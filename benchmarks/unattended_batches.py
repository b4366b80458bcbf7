"""Many batches taken in by Dagster's own daemon, from an instance that knows of nothing.

    python benchmarks/unattended_batches.py [--batches 20] [--folder EMPTY] [--minutes 120]

Puts one small FHIR file for each batch into the landing folder, starts `dagster-daemon` as an
operator does, and leaves it alone until nothing moves any more. Then counts: one run for each batch
and no more, one row for each file, what is made of all batches made once for each quiet period (and
each hour), no failed tick, and no error in the daemon's log. Exits with 1 where one does not hold.
"""

import argparse
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import dagster as dg
import duckdb
from dagster._core.storage.dagster_run import IN_PROGRESS_RUN_STATUSES

from hc_assets.definitions import build_defs
from hc_assets.domains import CATALOG
from hc_assets.lake.layout import Layout
from hc_assets.lake.manifests import batch_keys
from hc_assets.orchestration.runs import open_instance

FHIR = CATALOG.kind("fhir")
# Longer than a tick of HC_QUIET_CRON and a look of each sensor: what would come again has come.
REST_SECONDS = 240


def write_files(folder: Path, number: int) -> None:
    folder.mkdir(parents=True)
    for each in range(number):
        patient = {"resourceType": "Patient", "id": f"p{each}", "active": True}
        (folder / f"{each}.json").write_text(json.dumps(patient))


@contextmanager
def daemon(log: Path) -> Iterator[subprocess.Popen[bytes]]:
    program = Path(sys.executable).parent / "dagster-daemon"
    with log.open("wb") as written:
        process = subprocess.Popen(
            [program, "run", "-m", "hc_assets.definitions"],
            stdout=written,
            stderr=subprocess.STDOUT,
            cwd=log.parent,
        )
        try:
            yield process
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(timeout=120)


def ingest_runs(instance: dg.DagsterInstance) -> list[dg.DagsterRun]:
    return list(instance.get_runs(dg.RunsFilter(job_name=FHIR.ingest_job)))


def is_resting(instance: dg.DagsterInstance) -> bool:
    return not instance.get_runs(
        dg.RunsFilter(
            statuses=[*IN_PROGRESS_RUN_STATUSES, dg.DagsterRunStatus.QUEUED],
        ),
        limit=1,
    )


def wait(
    process: subprocess.Popen[bytes], instance: dg.DagsterInstance, batches: int, minutes: float
) -> None:
    deadline = time.monotonic() + 60 * minutes
    rested_since = None
    while time.monotonic() < deadline:
        time.sleep(10)
        if process.poll() is not None:
            raise SystemExit(f"the daemon ended with {process.returncode}")
        statuses = Counter(run.status.value for run in ingest_runs(instance))
        print(f"{datetime.now(UTC):%H:%M:%S} {dict(statuses)}", flush=True)
        is_done = statuses[dg.DagsterRunStatus.SUCCESS.value] >= batches and is_resting(instance)
        if not is_done:
            rested_since = None
        elif rested_since is None:
            rested_since = time.monotonic()
        elif time.monotonic() - rested_since > REST_SECONDS:
            return
    raise SystemExit(f"not done after {minutes} minutes")


def ticks(instance: dg.DagsterInstance) -> list[tuple[str, str, float]]:
    """Name, status and seconds of every tick of a sensor or schedule."""
    return [
        (state.instigator_name, tick.status.value, (tick.end_timestamp or 0) - tick.timestamp)
        for state in instance.all_instigator_state()
        for tick in instance.get_ticks(state.instigator_origin_id, state.selector_id)
        if tick.status.value != "STARTED"
    ]


def publishings(instance: dg.DagsterInstance) -> list[datetime]:
    """When current resources were made."""
    made = instance.fetch_materializations(
        dg.AssetKey(["fhir", "current_resources"]), limit=1000
    ).records
    return sorted(datetime.fromtimestamp(record.timestamp, UTC) for record in made)


def occasions(instance: dg.DagsterInstance) -> int:
    """How often what is made of all batches was due: each quiet period, each hour that passed."""
    spans = sorted(
        (record.start_time or 0, record.end_time or 0)
        for record in instance.get_run_records(dg.RunsFilter(job_name=FHIR.ingest_job))
    )
    quiet, hours, end = 1, set(), spans[0][0]
    for begin, finish in spans:
        if begin - end > 120:
            quiet += 1
        hours.update(range(int(end // 3600) + 1, int(finish // 3600) + 1))
        end = max(end, finish)
    return quiet + len(hours)


def errors(log: Path) -> list[str]:
    pattern = re.compile(r"ERROR|CRITICAL|Traceback|Exception")
    return [line for line in log.read_text(errors="replace").splitlines() if pattern.search(line)]


def findings(layout: Layout, instance: dg.DagsterInstance, batches: int, log: Path) -> list[str]:
    """What does not hold."""
    runs = ingest_runs(instance)
    of_batch = Counter(run.tags.get("dagster/partition") for run in runs)
    keys = batch_keys(layout, FHIR.name)
    tick_records = ticks(instance)
    made, due = publishings(instance), occasions(instance)
    with duckdb.connect(str(layout.warehouse), read_only=True) as warehouse:
        [(rows,)] = warehouse.sql("SELECT count(*) FROM fhir.current_resources").fetchall()
    longest = max((seconds, name) for name, _, seconds in tick_records)
    print(f"{len(keys)} batches, {len(runs)} runs, {rows} rows")
    print(f"{len(tick_records)} ticks, the longest {longest[0]:.1f} s ({longest[1]})")
    print(f"made of all batches {len(made)} times on {due} occasions")
    claims = {
        "a batch for each file": len(keys) == batches,
        "each batch is known to Dagster": set(keys)
        == set(instance.get_dynamic_partitions(FHIR.partitions)),
        "one run for each batch": of_batch == dict.fromkeys(keys, 1),
        "each run succeeded": all(run.is_success for run in runs),
        "one row for each file": rows == batches,
        "made of all batches on each occasion, once": 1 <= len(made) <= due,
        "no tick failed": not [each for each in tick_records if each[1] == "FAILURE"],
        "no error in the daemon's log": not errors(log),
    }
    for line in errors(log)[:20]:
        print(line)
    return [claim for claim, holds in claims.items() if not holds]


def main() -> None:
    parser = argparse.ArgumentParser(description="Take in many batches by Dagster's daemon.")
    parser.add_argument("--batches", type=int, default=20)
    parser.add_argument("--folder", type=Path, help="empty; kept. A temporary one where left out")
    parser.add_argument("--minutes", type=float, default=120, help="after which it gives up")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = (arguments.folder or Path(temporary)).resolve()
        os.environ |= {
            "HC_DATA_DIR": str(folder / "data"),
            "DAGSTER_HOME": str(folder / "data" / "dagster"),
            "HC_BATCH_FILES": "1",
            "HC_LANDING_SETTLE_SECONDS": "0",
        }
        layout = Layout.of(folder / "data")
        write_files(Path(layout.landing(FHIR.name).path), arguments.batches)
        (folder / "data" / "dagster").mkdir()
        with open_instance(layout) as instance:
            begun = time.monotonic()
            with daemon(folder / "daemon.log") as process:
                wait(process, instance, arguments.batches, arguments.minutes)
            print(f"{(time.monotonic() - begun - REST_SECONDS) / 60:.1f} minutes")
            broken = findings(layout, instance, arguments.batches, folder / "daemon.log")
    for claim in broken:
        print(f"DOES NOT HOLD: {claim}")
    raise SystemExit(1 if broken else 0)


if __name__ == "__main__":
    build_defs()  # an error in the definitions shows here, not in the daemon's log
    main()
