"""What is damaged is found by its hash, named, and rebuilt; a warehouse can be lost."""

import os
import shutil
import signal
from pathlib import Path
from typing import Any

import pytest

from hc_assets_tests.faults.conftest import Fed, Spawner, copied, differences, kept
from hc_assets_tests.faults.dicom_deliveries import ENVIRONMENT

RAW, ENRICHED = "fhir/raw_bundles", "fhir/enriched_resources"


@pytest.fixture
def data_dir(fed: Fed, tmp_path: Path) -> Path:
    """A data folder with two finished batches."""
    return copied(fed.both, tmp_path / "data")


def flip(path: Path, at: int) -> None:
    """Change one byte and nothing else: neither size nor time."""
    times = path.stat().st_atime_ns, path.stat().st_mtime_ns
    data = bytearray(path.read_bytes())
    data[at] ^= 0x20
    path.write_bytes(bytes(data))
    assert path.stat().st_size == len(data)
    os.utime(path, ns=times)


def verify(spawner: Spawner, data_dir: Path, *options: str, **more: Any) -> tuple[int, list[str]]:
    log = data_dir.parent / "verified"
    log.unlink(missing_ok=True)
    arguments = ["lake", "verify", *options]
    code = spawner.must("command", data_dir, arguments=arguments, log=str(log), **more)
    return code, log.read_text().splitlines()


def test_damaged_parts_and_commits_are_found_named_and_rebuilt(spawner: Spawner, data_dir: Path):
    expected = kept(data_dir)
    assert verify(spawner, data_dir) == (0, [])
    first, second = sorted((data_dir / "lake" / RAW).glob("batch=*"))
    part = next(first.glob("part-*"))
    flip(part, part.stat().st_size // 2)
    (commit,) = (data_dir / "lake" / ENRICHED).glob(f"{second.name}/_commit.json")
    flip(commit, commit.read_bytes().index(b'"rows"') + 1)
    (gone,) = (data_dir / "lake/fhir/ndjson_exports/all").glob("part-*")
    gone.unlink()

    code, reported = verify(spawner, data_dir)
    assert code == 1
    assert reported == [
        f"{RAW}/{first.name}/{part.name} is not what was written",
        f"{ENRICHED}/{second.name}/_commit.json is not what was committed",
        f"fhir/ndjson_exports/all/{gone.name} is gone",
    ]
    code, reported = verify(spawner, data_dir, "--repair")
    assert (code, len(reported)) == (0, 3), spawner.tail()
    assert verify(spawner, data_dir) == (0, [])
    assert kept(data_dir) == expected


def test_damaged_parts_and_commits_of_dicom_are_found_named_and_rebuilt(
    spawner: Spawner, fed_dicom: Fed, tmp_path: Path
):
    data_dir = copied(fed_dicom.both, tmp_path / "data")
    expected = kept(data_dir)
    damaged = []
    for table in ("quality_metrics", "volumes"):
        part = min((data_dir / "lake/imaging" / table).glob("[!_]*/part-*"))
        flip(part, part.stat().st_size // 2)
        name = part.relative_to(data_dir / "lake")
        damaged.append(f"{name} is not what was written")
    commit = min((data_dir / "lake/imaging/training_set").glob("all/_commit.json"))
    flip(commit, commit.read_bytes().index(b'"rows"') + 1)
    damaged.append("imaging/training_set/all/_commit.json is not what was committed")

    verify_options = {"environment": ENVIRONMENT}
    code, reported = verify(spawner, data_dir, **verify_options)
    assert (code, sorted(reported)) == (1, sorted(damaged))
    code, reported = verify(spawner, data_dir, "--repair", **verify_options)
    assert code == 0, spawner.tail()
    assert verify(spawner, data_dir, **verify_options) == (0, [])
    assert differences(data_dir, expected) == []


def test_a_run_that_meets_damage_reports_where_and_what_to_do(spawner: Spawner, data_dir: Path):
    commit = sorted((data_dir / "lake" / ENRICHED).glob("batch=*/_commit.json"))[0]
    commit.write_bytes(b"\0" * 100)
    log = data_dir.parent / "log"
    arguments = ["warehouse", "rebuild"]
    assert spawner.must("command", data_dir, arguments=arguments, log=str(log)) == 4
    assert f"{ENRICHED}: {commit.parent.name}/_commit.json is damaged" in log.read_text()
    assert "hc-assets lake verify --repair" in log.read_text()


def test_a_landed_file_that_is_damaged_is_named_and_copied_again(spawner: Spawner, data_dir: Path):
    expected = kept(data_dir)
    landed = sorted(data_dir.glob("batches/fhir/*/files/*"))[0]
    flip(landed, 3)
    name = f"batches/fhir/{landed.parents[1].name}/files/{landed.name} is not what was written"
    assert verify(spawner, data_dir) == (1, [name])
    assert verify(spawner, data_dir, "--repair") == (0, [name])
    assert kept(data_dir) == expected


@pytest.mark.parametrize("how", ["deleted", "deleted without its log", "overwritten"])
def test_a_warehouse_that_is_lost_is_made_from_the_parquet(
    spawner: Spawner, fed: Fed, data_dir: Path, how: str
):
    expected = kept(data_dir)
    warehouse = data_dir / "warehouse.duckdb"
    if how == "deleted without its log":
        # A writer killed after its commit leaves a log
        shutil.copy(fed.first / "warehouse.duckdb", warehouse)
        dry = spawner.run("apply", copied(data_dir, data_dir.parent / "dry"), kill={})
        point = dry["points"].index("after duckdb commit") + 1
        shutil.copy(fed.first / "warehouse.duckdb", warehouse)
        result = spawner.run("apply", data_dir, kill={"kill_at": point})
        assert result["signal"] == signal.SIGKILL
        assert (data_dir / "warehouse.duckdb.wal").exists()
    if how == "overwritten":
        warehouse.write_bytes(b"not a database" * 1000)
        second = fed.deliveries / "second"
        assert spawner.ingest(data_dir, second, "--kind", "fhir") == 4
        assert "`hc-assets warehouse rebuild` rebuilds it" in spawner.tail()
    else:
        warehouse.unlink()
    assert spawner.must("command", data_dir, arguments=["warehouse", "rebuild"]) == 0
    assert kept(data_dir) == expected


def test_after_a_warehouse_is_deleted_the_next_ingest_takes_everything_in(
    spawner: Spawner, fed: Fed, tmp_path: Path
):
    data_dir = copied(fed.first, tmp_path / "data")
    (data_dir / "warehouse.duckdb").unlink()
    assert spawner.ingest(data_dir, fed.deliveries / "second", "--kind", "fhir") == 0
    assert kept(data_dir) == kept(fed.both)
