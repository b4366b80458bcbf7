"""Several processes at once over the same data folder: nothing lost, nothing doubled."""

from pathlib import Path

import pyarrow.parquet as pq

from hc_assets_tests.faults.conftest import EARLIER, NOW, Fed, Spawner, copied, kept

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
