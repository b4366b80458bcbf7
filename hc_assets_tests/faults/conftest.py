"""Children that can be killed, and what is the same after a fault as without it."""

import hashlib
import json
import os
import random
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import pytest

from hc_assets_tests.faults.deliveries import write_deliveries
from hc_assets_tests.faults.dicom_deliveries import ENVIRONMENT, write_dicom_deliveries

SEED = int(os.environ.get("HC_FAULT_SEED", "20260101"))
# How many states are finished at the same time
LANES = int(os.environ.get("HC_FAULT_LANES", "2"))
_TIMES = "fhir/pipeline_metrics/all/"
NOW = "2026-01-05T12:00:00+00:00"
EARLIER = "2026-01-04T12:00:00+00:00"


@dataclass
class Spawner:
    """Sends tasks to the process that forks a child for each."""

    process: "subprocess.Popen[str]"
    log: Path

    def at_once(self, *tasks: dict[str, Any]) -> list[dict[str, Any]]:
        """Run tasks at the same time; how each ended, in order."""
        sent = [{"log": str(self.log), "now": NOW, **task} for task in tasks]
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(json.dumps(sent) + "\n")
        self.process.stdin.flush()
        answers: list[dict[str, Any]] = json.loads(self.process.stdout.readline())
        return answers

    def run(self, do: str, data_dir: Path, **more: Any) -> dict[str, Any]:
        """Run one task, whatever comes of it."""
        (result,) = self.at_once({"do": do, "data_dir": str(data_dir), **more})
        return result

    def must(self, do: str, data_dir: Path, **more: Any) -> Any:
        """Run one task to its end; give what it returned."""
        result = self.run(do, data_dir, **more)
        assert result["signal"] == 0, (do, result)
        assert "error" not in result, (do, result["error"], self.tail())
        return result["value"]

    def ingest(self, data_dir: Path, *paths: Path | str, **more: Any) -> Any:
        """Run `hc-assets ingest`; give its exit code."""
        return self.must("command", data_dir, arguments=["ingest", *map(str, paths)], **more)

    def tail(self) -> str:
        """The end of what the children printed."""
        return self.log.read_text(errors="replace")[-3000:]


@pytest.fixture(scope="session")
def spawner(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Spawner]:
    """The process that forks."""
    folder = tmp_path_factory.mktemp("spawner")
    with (folder / "errors").open("wb") as errors:
        process = subprocess.Popen(
            [sys.executable, str(Path(__file__).with_name("spawner.py"))],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            cwd=folder,
            env=os.environ | {"HC_DATA_DIR": str(folder / "unused"), "DAGSTER_HOME": ""},
        )
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n", (folder / "errors").read_text()
        yield Spawner(process, folder / "log")
        assert process.stdin is not None
        process.stdin.close()
        process.stdout.close()
        process.wait(timeout=300)


def files_below(folder: Path) -> dict[str, str]:
    """SHA-256 by name of everything below a folder, but for locks and notes of what was seen."""
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.rglob("*")
        if path.is_file() and path.suffix != ".lock" and not path.name.startswith(".watched")
    }


def kept(data_dir: Path) -> dict[str, str]:
    """All that is kept: batches, lake, exports, and the rows of the warehouse.

    What a killed writer leaves is not among it: temporary names, and parts that no commit
    lists, are seen by no reader and cleared a day later. Nor are times that steps took, the export
    before the last one, and summaries of runs that failed.
    """
    found = {}
    for name in ("batches", "lake", "exports", "reports"):
        for file, digest in files_below(data_dir / name).items():
            is_temporary = file.rpartition("/")[2].startswith(".tmp-")
            if not is_temporary and _TIMES not in file and not file.startswith("failures/"):
                found[f"{name}/{file}"] = digest
    for path in (data_dir / "lake").glob("*/*/*/part-*"):
        commit = path.with_name("_commit.json")
        if not commit.exists() or path.name not in commit.read_text():
            found.pop(f"{path.relative_to(data_dir)}", None)
    for path in (data_dir / "exports").glob("*/.snapshots/**/*.*"):
        listing = data_dir / "exports" / path.relative_to(data_dir / "exports").parts[0]
        if path.name not in (listing / "manifest.json").read_text():
            found.pop(f"{path.relative_to(data_dir)}", None)
    for path in data_dir.glob("batches/*/*/manifest.json"):
        # A second landing notes that it met the files of the first once more
        manifest = json.loads(path.read_bytes()) | {"duplicates": [], "check": ""}
        found[str(path.relative_to(data_dir))] = json.dumps(manifest)
    if (data_dir / "warehouse.duckdb").exists():
        found |= {f"warehouse/{table}": rows for table, rows in warehouse_rows(data_dir).items()}
    return found


def warehouse_rows(data_dir: Path) -> dict[str, str]:
    """Every table of the warehouse, views among them, as a hash of its rows."""
    with duckdb.connect(data_dir / "warehouse.duckdb", read_only=True) as connection:
        names = connection.execute(
            "SELECT table_schema || '.' || table_name FROM information_schema.tables"
            " WHERE table_schema <> 'main' ORDER BY ALL"
        ).fetchall()
        found = {}
        for (name,) in names:
            # Views read the lake at the path that they were made for: a copy's is elsewhere
            is_table = connection.execute(
                "SELECT count(*) FROM duckdb_tables() WHERE schema_name || '.' || table_name = ?",
                [name],
            ).fetchall()[0][0]
            rows = ""
            if is_table:
                rows = str(connection.execute(f"SELECT * FROM {name} ORDER BY ALL").fetchall())  # noqa: S608
            found[name] = hashlib.sha256(rows.encode()).hexdigest()
        return found


def copied(folder: Path, to: Path) -> Path:
    """A fresh copy of a folder, in place of what was there."""
    shutil.rmtree(to, ignore_errors=True)
    if folder.exists():
        shutil.copytree(folder, to, symlinks=True)
    return to


def sample(points: Sequence[int], at_most: int, name: str) -> list[int]:
    """Some of the points, the same for the same seed: the first, the last, others between."""
    if len(points) <= at_most:
        return list(points)
    chosen = random.Random(f"{SEED} {name}").sample(list(points[1:-1]), at_most - 2)  # noqa: S311
    return sorted([points[0], points[-1], *chosen])


Kill = Callable[..., int]


@pytest.fixture
def killed_everywhere(spawner: Spawner, tmp_path: Path) -> Kill:
    """Kill a task at its write points, run it again, and hold the end against an unharmed run."""

    def run(do: str, start: Path, *, at_most: int | None, **task: Any) -> int:
        data_dir = tmp_path / "data"
        copied(start, data_dir)
        dry = spawner.run(do, data_dir, kill={}, **task)
        assert dry["signal"] == 0, spawner.tail()
        assert "error" not in dry, dry["error"]
        expected = kept(data_dir)
        points = list(range(1, len(dry["points"]) + 1))
        chosen = points if at_most is None else sample(points, at_most, do)
        for point in chosen:
            copied(start, data_dir)
            where = f"{do}: killed at {point} of {len(points)}, {dry['points'][point - 1]}"
            result = spawner.run(do, data_dir, kill={"kill_at": point}, **task)
            assert result["signal"] == 9, (where, result)
            again = spawner.run(do, data_dir, **task)
            assert again.get("value") == dry["value"] or do == "land", (where, again)
            assert kept(data_dir) == expected, where
        return len(chosen)

    return run


Ended = Callable[..., tuple[int, int]]


@pytest.fixture
def ended_everywhere(spawner: Spawner, tmp_path: Path) -> Ended:
    """Run a task once, keep what a kill at its write points would leave, and finish each of that.

    Cheaper than killing each time, since the way to the place is gone but once; that a kill leaves
    the same is a test of its own. Gives how many places there were, and how many were tried.
    """

    def run(
        do: str, start: Path, expected: dict[str, str], *, at_most: int | None, **task: Any
    ) -> tuple[int, int]:
        data_dir, states = tmp_path / "data", tmp_path / "states"
        copied(start, data_dir)
        states.mkdir()
        keep = {"keep": str(states), "at_most": at_most, "seed": f"{SEED} {do}"}
        whole = spawner.run(do, data_dir, kill=keep, **task)
        assert (whole["signal"], whole.get("value")) == (0, 0), spawner.tail()
        assert differences(data_dir, expected) == []
        tried = sorted(states.iterdir(), key=lambda state: int(state.name))
        assert len(tried) == min(at_most or whole["states"], whole["states"])
        shutil.rmtree(data_dir)
        can_mount = "error" not in spawner.run("can mount", tmp_path / "probe")
        lanes = LANES if can_mount else 1
        for number in range(0, len(tried), lanes):
            beside = tried[number : number + lanes]
            if not can_mount:
                shutil.move(beside[0], data_dir)
                beside = [data_dir]
            settings = {"do": do, "data_dir": str(data_dir), **task}
            seen_as = [{"instead": str(state)} if can_mount else {} for state in beside]
            ended = spawner.at_once(*(settings | place for place in seen_as))
            for state, place, result in zip(beside, tried[number:], ended, strict=False):
                reached = int(place.name)
                where = f"{reached} of {len(whole['points'])}, {whole['points'][reached - 1]}"
                assert (result["signal"], result.get("value")) == (0, 0), (where, spawner.tail())
                assert differences(state, expected) == [], where
                shutil.rmtree(state)
        return len(whole["points"]), len(tried)

    return run


def differences(data_dir: Path, expected: dict[str, str]) -> list[str]:
    """Names of what is kept otherwise than expected."""
    found = kept(data_dir)
    return sorted(
        name for name in found.keys() | expected.keys() if found.get(name) != expected.get(name)
    )


@dataclass(frozen=True)
class Fed:
    """Data folders at three times: before a delivery, after the first, after both.

    Attributes:
        deliveries: folder of the two deliveries, `first` and `second`.
    """

    nothing: Path
    first: Path
    both: Path
    deliveries: Path


@pytest.fixture(scope="session")
def fed(spawner: Spawner, tmp_path_factory: pytest.TempPathFactory) -> Fed:
    """Ingest two deliveries one after the other, unharmed."""
    folder = tmp_path_factory.mktemp("fed")
    first, second = write_deliveries(folder / "deliveries")
    data_dir = folder / "data"
    assert spawner.ingest(data_dir, first, "--kind", "fhir", now=EARLIER) == 0, spawner.tail()
    after_first = copied(data_dir, folder / "after first")
    assert spawner.ingest(data_dir, second, "--kind", "fhir") == 0, spawner.tail()
    return Fed(
        folder / "nothing", after_first, copied(data_dir, folder / "both"), folder / "deliveries"
    )


@pytest.fixture(scope="session")
def fed_dicom(spawner: Spawner, tmp_path_factory: pytest.TempPathFactory) -> Fed:
    """The same of DICOM."""
    folder = tmp_path_factory.mktemp("fed_dicom")
    first, second = write_dicom_deliveries(folder / "deliveries")
    data_dir = folder / "data"
    settings = {"environment": ENVIRONMENT}
    assert spawner.ingest(data_dir, first, "--kind", "dicom", now=EARLIER, **settings) == 0
    after_first = copied(data_dir, folder / "after first")
    assert spawner.ingest(data_dir, second, "--kind", "dicom", **settings) == 0, spawner.tail()
    return Fed(
        folder / "nothing", after_first, copied(data_dir, folder / "both"), folder / "deliveries"
    )
