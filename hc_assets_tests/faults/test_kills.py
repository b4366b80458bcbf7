"""SIGKILL at every place that writes; the next run makes what an unharmed run would have made."""

import os
import random
import re
import shutil
from pathlib import Path

import pytest

from hc_assets_tests.faults.conftest import (
    SEED,
    Ended,
    Fed,
    Kill,
    Spawner,
    copied,
    files_below,
    kept,
    sample,
)

# All of them by `make faults`, a seeded sample always.
EXHAUSTIVE = pytest.mark.exhaustive
ALL = pytest.param(None, id="all", marks=EXHAUSTIVE)
HOW_MANY = [pytest.param(4, id="sampled"), ALL]
FEW = [pytest.param(3, id="sampled"), ALL]


@pytest.mark.parametrize("at_most", HOW_MANY)
def test_landing(killed_everywhere: Kill, fed: Fed, spawner: Spawner, tmp_path: Path, at_most):
    count = killed_everywhere("land", fed.nothing, at_most=at_most, source=str(fed.deliveries))
    assert count >= (at_most or 20)


@pytest.mark.parametrize("at_most", HOW_MANY)
def test_parts_and_commits_of_the_io_manager(
    killed_everywhere: Kill, fed: Fed, spawner: Spawner, tmp_path: Path, at_most
):
    start = tmp_path / "start"
    spawner.must("commit", start, rows={"a": [1, 2, 3], "b": [4]})
    rows = {"a": [5, 6], "c": list(range(100))}
    assert killed_everywhere("commit", start, at_most=at_most, rows=rows) >= (at_most or 20)


def test_what_a_killed_writer_leaves_is_cleared_a_day_later(spawner: Spawner, tmp_path: Path):
    data_dir = tmp_path / "data"
    rows: dict[str, dict[str, list[int]]] = {"rows": {"a": [1]}}
    spawner.must("commit", data_dir, **rows)
    expected = files_below(data_dir)
    dry = spawner.run("commit", tmp_path / "dry", kill={}, rows={"a": [2]})
    for point in sample(range(1, len(dry["points"]) + 1), 6, "strays"):
        spawner.run("commit", data_dir, kill={"kill_at": point}, rows={"a": [2]})
    assert len(files_below(data_dir)) > len(expected)
    for path in data_dir.rglob("*"):
        os.utime(path, (0, 0))
    spawner.must("commit", data_dir, **rows)
    assert files_below(data_dir) == expected


@pytest.mark.parametrize("at_most", HOW_MANY)
def test_a_warehouse_that_takes_in_a_batch(killed_everywhere: Kill, fed: Fed, tmp_path, at_most):
    start = copied(fed.both, tmp_path / "start")
    copied_file(fed.first / "warehouse.duckdb", start / "warehouse.duckdb")
    assert killed_everywhere("apply", start, at_most=at_most) >= (at_most or 20)


@pytest.mark.parametrize("at_most", FEW)
def test_a_warehouse_that_is_made(killed_everywhere: Kill, fed: Fed, tmp_path: Path, at_most):
    start = copied(fed.both, tmp_path / "start")
    (start / "warehouse.duckdb").unlink()
    assert killed_everywhere("apply", start, at_most=at_most) >= (at_most or 20)


@pytest.mark.parametrize("at_most", FEW)
def test_a_warehouse_that_is_rebuilt(killed_everywhere: Kill, fed: Fed, at_most):
    arguments = ["warehouse", "rebuild"]
    assert killed_everywhere("command", fed.both, at_most=at_most, arguments=arguments) >= (
        at_most or 20
    )


@pytest.mark.parametrize("at_most", HOW_MANY)
def test_exports(killed_everywhere: Kill, fed: Fed, tmp_path: Path, at_most):
    start = copied(fed.both, tmp_path / "start")
    copied(fed.first / "exports", start / "exports")
    assert killed_everywhere("export", start, at_most=at_most) >= (at_most or 20)


@pytest.mark.parametrize(
    "at_most", [pytest.param(2, id="sampled"), pytest.param(20, marks=EXHAUSTIVE)]
)
def test_a_whole_ingest(killed_everywhere: Kill, fed: Fed, at_most):
    arguments = ["ingest", str(fed.deliveries / "second"), "--kind", "fhir"]
    assert killed_everywhere("command", fed.first, at_most=at_most, arguments=arguments) == at_most


@pytest.mark.parametrize(
    "at_most", [pytest.param(2, id="sampled"), pytest.param(20, marks=EXHAUSTIVE)]
)
def test_a_retraction(killed_everywhere: Kill, fed: Fed, at_most):
    folders = (fed.first / "batches" / "fhir").iterdir()
    key = next(path.name for path in folders if not path.name.startswith("."))
    arguments = ["batches", "retract", key, "--reason", "x"]
    assert killed_everywhere("command", fed.both, at_most=at_most, arguments=arguments) == at_most


@pytest.mark.parametrize("at_most", [pytest.param(2, id="sampled"), ALL])
def test_a_killed_ingest_is_finished_by_the_next(ended_everywhere: Ended, fed: Fed, at_most):
    arguments = ["ingest", str(fed.deliveries / "second"), "--kind", "fhir"]
    places, tried = ended_everywhere(
        "command", fed.first, kept(fed.both), at_most=at_most, arguments=arguments
    )
    assert places > 700
    assert tried >= (at_most or 60)


def test_what_a_kill_leaves_is_what_was_kept_of_its_place(
    spawner: Spawner, fed: Fed, tmp_path: Path
):
    """So to finish what was kept is to finish after a kill."""
    data_dir, states = tmp_path / "data", tmp_path / "states"
    start = copied(fed.both, tmp_path / "start")
    copied_file(fed.first / "warehouse.duckdb", start / "warehouse.duckdb")
    states.mkdir()
    rows = {"a": [5, 6], "c": [1]}
    for do, more in (("commit", {"rows": rows}), ("export", {}), ("apply", {})):
        keep = {"keep": str(states), "at_most": 4, "seed": f"{SEED} {do}"}
        whole = spawner.run(do, copied(start, data_dir), kill=keep, **more)
        tried = list(states.iterdir())
        assert len(tried) == min(4, whole["states"]) > 1
        for state in tried:
            copied(start, data_dir)
            spawner.run(do, data_dir, kill={"kill_at": int(state.name)}, **more)
            assert without_chance(files_below(data_dir)) == without_chance(files_below(state))
            shutil.rmtree(state)


def without_chance(files: dict[str, str]) -> list[tuple[str, str]]:
    """Names of temporary files and folders are drawn; what DuckDB keeps tells the time."""
    return sorted(
        (
            re.sub(r"\.(tmp|staging)-[^/]*", "drawn", name),
            "" if "warehouse.duckdb" in name else digest,
        )
        for name, digest in files.items()
    )


def test_an_ingest_killed_while_it_has_the_pool_of_the_warehouse(
    spawner: Spawner, fed: Fed, tmp_path: Path
):
    """Dagster gives the pool to one run at a time, and nobody else would take it from the dead."""
    data_dir = copied(fed.first, tmp_path / "data")
    task = {"arguments": ["ingest", str(fed.deliveries / "second"), "--kind", "fhir"]}
    dry = spawner.run("command", copied(fed.first, tmp_path / "dry"), kill={}, **task)
    point = dry["points"].index("before duckdb begin") + 1
    assert spawner.run("command", data_dir, kill={"kill_at": point}, **task)["signal"] == 9
    assert spawner.must("command", data_dir, **task) == 0
    assert kept(data_dir) == kept(fed.both)


@pytest.mark.parametrize(
    "times", [pytest.param(3, id="few"), pytest.param(60, id="many", marks=pytest.mark.exhaustive)]
)
def test_a_write_of_the_warehouse_that_is_cut_in_two(
    spawner: Spawner, fed: Fed, tmp_path: Path, times: int
):
    """The kernel ends the process within a write, DuckDB's own ones as well."""
    data_dir = tmp_path / "data"
    start = copied(fed.both, tmp_path / "start")
    for state in ("absent", "older"):
        (start / "warehouse.duckdb").unlink(missing_ok=True)
        if state == "older":
            copied_file(fed.first / "warehouse.duckdb", start / "warehouse.duckdb")
        copied(start, data_dir)
        spawner.must("apply", data_dir)
        expected = kept(data_dir)
        largest = (data_dir / "warehouse.duckdb").stat().st_size
        killed = 0
        for number in range(times):
            size = random.Random(f"{SEED} {state} {number}").randrange(1, largest)  # noqa: S311
            copied(start, data_dir)
            result = spawner.run("apply", data_dir, file_size=size)
            assert result["signal"] in {0, 25}, result
            killed += result["signal"] == 25
            spawner.must("apply", data_dir)
            assert kept(data_dir) == expected, f"{state}: cut at {size} of {largest}"
        assert killed


def copied_file(source: Path, target: Path) -> None:
    target.unlink(missing_ok=True)
    target.write_bytes(source.read_bytes())
