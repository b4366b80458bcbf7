"""Several processes at once over the same data folder: nothing lost, nothing doubled."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from hc_assets_tests.faults.conftest import EARLIER, NOW, Fed, Spawner, copied, kept
from hc_assets_tests.faults.deliveries import bundle, observation, patient

COUNTS = """
    SELECT count(*), count(*) FILTER (is_deleted), sum(version_id) FROM fhir.current_resources
"""


def ingesting(data_dir: Path, delivery: Path, now: str = NOW) -> dict[str, object]:
    arguments = ["ingest", str(delivery), "--kind", "fhir"]
    return {"do": "command", "data_dir": str(data_dir), "arguments": arguments, "now": now}


def read_lake(data_dir: Path, table: str) -> list[tuple[str, int]]:
    rows = []
    for part in sorted((data_dir / "lake" / table).glob("batch=*/part-*")):
        columns = pq.read_table(part, columns=["source_file", "position"]).to_pylist()
        rows += [(row["source_file"], row["position"]) for row in columns]
    return sorted(rows)


def test_two_runs_over_the_same_batch(spawner: Spawner, fed: Fed, tmp_path: Path):
    data_dir = copied(fed.first, tmp_path / "data")
    results = spawner.at_once(*[ingesting(data_dir, fed.deliveries / "second")] * 2)
    assert [(r["signal"], r.get("value")) for r in results] == [(0, 0)] * 2, spawner.tail()
    assert kept(data_dir) == kept(fed.both)


def test_two_runs_over_different_batches(spawner: Spawner, fed: Fed, tmp_path: Path):
    data_dir = tmp_path / "data"
    results = spawner.at_once(
        ingesting(data_dir, fed.deliveries / "first", EARLIER),
        ingesting(data_dir, fed.deliveries / "second"),
    )
    assert [(r["signal"], r.get("value")) for r in results] == [(0, 0)] * 2, spawner.tail()
    assert len(list(data_dir.glob("batches/fhir/*/manifest.json"))) == 2
    for table in ("fhir/raw_bundles", "fhir/validated_resources", "fhir/quarantined_resources"):
        rows = read_lake(data_dir, table)
        assert rows == read_lake(fed.both, table)
        assert len(rows) == len(set(rows))
    # Whichever was taken in first: from scratch it comes out the same
    before = kept(data_dir)
    assert spawner.must("command", data_dir, arguments=["warehouse", "rebuild"]) == 0
    ledger = "warehouse/fhir.applied_batches"  # which keeps the order
    tables = {name for name in before if name.startswith("warehouse/fhir.")} - {ledger}
    assert tables
    assert {name: before[name] for name in tables} == {n: kept(data_dir)[n] for n in tables}


def test_readers_see_the_rows_before_a_write_or_after_it(
    spawner: Spawner, fed: Fed, tmp_path: Path
):
    data_dir = copied(fed.both, tmp_path / "data")
    until = str(tmp_path / "done")
    writer = {"do": "rebuild repeatedly", "data_dir": str(data_dir), "times": 3, "until": until}
    reader = {"do": "read", "data_dir": str(data_dir), "until": until, "sql": COUNTS}
    results = spawner.at_once(writer, reader, reader)
    assert [r.get("error") for r in results] == [None] * 3, spawner.tail()
    first, second = (result["value"] for result in results[1:])
    assert len(first) == 1  # a rebuild changes no row, and is never seen half done
    assert first == second


def test_readers_of_a_warehouse_that_takes_a_batch_in(spawner: Spawner, fed: Fed, tmp_path: Path):
    data_dir = copied(fed.both, tmp_path / "data")
    until = str(tmp_path / "done")
    Path(until).touch()
    reading = {"do": "read", "data_dir": str(data_dir), "until": until, "sql": COUNTS}
    ((after,),) = (spawner.at_once(reading)[0]["value"],)
    (data_dir / "warehouse.duckdb").write_bytes((fed.first / "warehouse.duckdb").read_bytes())
    ((before,),) = (spawner.at_once(reading)[0]["value"],)
    assert before != after
    writer = {"do": "apply", "data_dir": str(data_dir)}
    results = spawner.at_once(*[reading] * 3, writer, *[reading] * 3)
    assert [r.get("error") for r in results] == [None] * 7, spawner.tail()
    seen = [tuple(each) for r in results if isinstance(r["value"], list) for each in r["value"]]
    assert set(seen) <= {tuple(before), tuple(after)}


def test_processes_that_register_the_same_batches_at_the_same_time(
    spawner: Spawner, tmp_path: Path
):
    data_dir = tmp_path / "data"
    spawner.must("register", data_dir, keys=[])
    keys = [f"20260105T120000Z-{number:08x}" for number in range(30)]
    task = {"do": "register", "data_dir": str(data_dir), "keys": keys}
    results = spawner.at_once(*[task] * 4)
    assert [r.get("error") for r in results] == [None] * 4, spawner.tail()
    assert [r["value"] for r in results] == [len(keys)] * 4


def of_hospital(number: int, folder: Path) -> Path:
    """A delivery of its own people."""
    people = [patient(f"h{number}-{each}", "Person") for each in range(5)]
    weights = [observation(f"w{number}-{each}", f"h{number}-{each}", "70 kg") for each in range(5)]
    requests = bundle(*(("PUT", resource) for resource in [*people, *weights]))
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"hospital-{number}.json").write_text(json.dumps(requests))
    return folder / f"hospital-{number}.json"


@contextmanager
def daemon(data_dir: Path) -> Iterator[None]:
    """Dagster's daemon on a data folder, which lands what is put into its landing folder."""
    environment = {
        "HC_DATA_DIR": str(data_dir),
        "DAGSTER_HOME": str(data_dir / "dagster"),
        "HC_LANDING_SETTLE_SECONDS": "0",
        "HC_WORKERS": "1",
    }
    process = subprocess.Popen(
        [Path(sys.executable).with_name("dagster-daemon"), "run", "-m", "hc_assets.definitions"],
        env=os.environ | environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        yield
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(timeout=120)


@pytest.mark.parametrize(
    ("ingests", "readers", "with_daemon"),
    [
        pytest.param(2, 2, False, id="some"),
        pytest.param(6, 40, True, id="many", marks=pytest.mark.exhaustive),
    ],
)
def test_many_at_once(
    spawner: Spawner, fed: Fed, tmp_path: Path, ingests: int, readers: int, with_daemon: bool
):
    """Ingests, a rebuild, readers of the warehouse and of the export, and a daemon beside them."""
    data_dir = copied(fed.first, tmp_path / "data")
    spawner.must("command", data_dir, arguments=["warehouse", "rebuild"])  # views of this folder
    files = [of_hospital(number, tmp_path / "deliveries") for number in range(ingests)]
    commands = [["ingest", str(file), "--kind", "fhir"] for file in files]
    commands += [["warehouse", "rebuild"], ["export", str(data_dir / "exports" / "fhir")]]
    ends = [str(tmp_path / f"end-{number}") for number in range(len(commands))]
    watching = {"data_dir": str(data_dir), "until": ends}
    tasks = [
        *(
            {
                "do": "command, telling its end",
                "data_dir": str(data_dir),
                "arguments": arguments,
                "now": f"2026-01-06T12:00:{number:02}+00:00",
                "ends": end,
            }
            for number, (arguments, end) in enumerate(zip(commands, ends, strict=True))
        ),
        {**watching, "do": "follow the export"},
        *[{**watching, "do": "read", "sql": COUNTS, "pause": 0.05 * readers}] * readers,
    ]
    if with_daemon:
        of_hospital(99, data_dir / "landing" / "fhir")
        with daemon(data_dir):
            results = spawner.at_once(*tasks)
    else:
        results = spawner.at_once(*tasks)
    assert [r.get("error") for r in results] == [None] * len(tasks), spawner.tail()
    assert [r["value"] for r in results[: len(commands)]] == [0] * len(commands), spawner.tail()
    assert spawner.ingest(data_dir, *files, "--kind", "fhir") == 0
    exported = (data_dir / "exports" / "fhir" / "Patient.ndjson").read_text()
    assert all(f'"h{number}-4"' in exported for number in range(ingests))


@pytest.mark.exhaustive
def test_runs_that_publish_at_the_same_time_leave_nobody_out(spawner: Spawner, tmp_path: Path):
    """Two hospitals at once, two hundred times: all of their people are current and exported."""
    data_dir = tmp_path / "data"
    spawner.must("command", data_dir, arguments=["warehouse", "rebuild"])
    people = set()
    for each in range(200):
        pair = [2 * each, 2 * each + 1]
        files = [of_hospital(number, tmp_path / "deliveries") for number in pair]
        now = (datetime.fromisoformat(NOW) + timedelta(minutes=each)).isoformat()
        results = spawner.at_once(*[ingesting(data_dir, file, now) for file in files])
        assert [r.get("value", r) for r in results] == [0, 0], spawner.tail()
        people |= {f"h{number}-{person}" for number in pair for person in range(5)}
    lines = (data_dir / "exports" / "fhir" / "Patient.ndjson").read_text().splitlines()
    assert sorted(json.loads(line)["id"] for line in lines) == sorted(people)
