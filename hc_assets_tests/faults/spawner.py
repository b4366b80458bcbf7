"""A process that has done everything once and forks a child for each task that it is sent.

Belongs here: the tasks, and how a child ended. A child can be killed at any point and costs
no start of Python; it runs what a user's process would. Run as a script; tasks and results are
lines of JSON.
"""

import ctypes
import gc
import json
import os
import sys
import tempfile
import threading
import time
import traceback
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[2]))

import hc_assets_tests.quick_record  # noqa: F401 - works by being imported, before Dagster

sys.path.insert(0, str(Path(__file__).parent))

import dagster as dg
import pyarrow as pa
from deliveries import write_deliveries
from kill_points import KillPoints, die_beyond, refuse_leavings

import hc_assets.cli.batches
import hc_assets.cli.ingest
import hc_assets.cli.main
import hc_assets.definitions
from hc_assets.cli.lake import rebuild_warehouse
from hc_assets.domains import warehouse_of
from hc_assets.fhir.domain import FHIR_FILES
from hc_assets.fhir.export.exports import export, options_of
from hc_assets.fhir.export.ndjson import writing
from hc_assets.fhir.operations.companions import write_companions
from hc_assets.fhir.versions import apply as versions
from hc_assets.lake import sources
from hc_assets.lake.discovery import discover
from hc_assets.lake.landing import BatchLimits, land
from hc_assets.lake.layout import Layout
from hc_assets.lake.tables import read_partitions
from hc_assets.orchestration.io_manager import ParquetIOManager
from hc_assets.orchestration.runs import open_instance, register_batches
from hc_assets.settings import Settings

Task = dict[str, Any]
_CLONE_NEWNS, _CLONE_NEWUSER = 0x20000, 0x10000000
_MS_REMOUNT, _MS_BIND, _MS_REC, _MS_PRIVATE = 32, 4096, 16384, 1 << 18
_libc = ctypes.CDLL(None, use_errno=True)


def frozen(at: str) -> type[datetime]:
    """A clock that stands still, so that two runs give the same bytes."""
    moment = datetime.fromisoformat(at)

    class Frozen(datetime):
        @classmethod
        def now(cls, tz: Any = None) -> datetime:
            return moment.astimezone(tz)

    return Frozen


def command(task: Task) -> int:
    """Run the command line."""
    hc_assets.cli.ingest.datetime = frozen(task["now"])  # type: ignore[misc]
    hc_assets.cli.batches.datetime = frozen(task["now"])  # type: ignore[misc]
    sys.argv = ["hc-assets", *task["arguments"]]
    try:
        hc_assets.cli.main.main()
    except SystemExit as end:
        return int(end.code or 0)
    return 0


def landing(task: Task) -> list[str]:
    """Land files."""
    layout = Layout.of(task["data_dir"])
    found = discover([Path(task["source"])], Path(layout.landing("fhir").path))
    limits = BatchLimits(task.get("files", 2), 2**30)
    return land(
        found, layout, FHIR_FILES, limits=limits, now=datetime.fromisoformat(task["now"])
    ).batches


def _landed_while(task: Task, happens: Callable[[Path], None], place: str) -> dict[str, int]:
    """Land files, while something happens to one of them as its bytes are first read."""
    whole = sources.read
    waiting = [task[place]]

    def reading(source: Any, size: int) -> bytes:
        data = whole(source, size)
        if getattr(source, "name", "") in waiting:
            happens(Path(waiting.pop()))
        return data

    sources.read = reading
    layout = Layout.of(task["data_dir"])
    done = land(
        discover([Path(task["source"])], Path(layout.landing("fhir").path)),
        layout,
        FHIR_FILES,
        limits=BatchLimits(100, 2**30),
        now=datetime.fromisoformat(task["now"]),
    )
    return {"landed": done.landed, "waiting": done.waiting}


def growing(task: Task) -> dict[str, int]:
    """Land files, one of which is still being copied."""

    def grow(path: Path) -> None:
        with path.open("ab") as file:
            file.write(b"more")

    return _landed_while(task, grow, "grows")


def vanishing(task: Task) -> dict[str, int]:
    """Land files, one of which is deleted after it was listed."""
    layout = Layout.of(task["data_dir"])
    found = list(discover([Path(task["source"])], Path(layout.landing("fhir").path)))
    Path(task["vanishes"]).unlink()
    limits = BatchLimits(100, 2**30)
    done = land(found, layout, FHIR_FILES, limits=limits, now=datetime.fromisoformat(task["now"]))
    return {"landed": done.landed, "waiting": done.waiting}


def registering(task: Task) -> int:
    """Make batches known to Dagster, one by one; how many it then knows."""
    with open_instance(Layout.of(task["data_dir"])) as instance:
        for key in task["keys"]:
            register_batches(instance, "fhir", [key])
        return len(instance.get_dynamic_partitions("fhir_batches"))


def commit(task: Task) -> None:
    """Hand rows to the IO manager, as Dagster does."""
    schema = pa.schema([("n", pa.int64()), ("text", pa.string())])
    manager = ParquetIOManager(Layout.of(task["data_dir"]), {"group/asset": schema})
    for batch, numbers in task["rows"].items():
        rows = pa.table({"n": numbers, "text": [f"row {n}" for n in numbers]}, schema)
        key = dg.AssetKey(["group", "asset"])
        context = dg.build_output_context(
            asset_key=key, partition_key=batch, asset_spec=dg.AssetSpec(key, code_version="1")
        )
        manager.handle_output(context, rows)


def apply(task: Task) -> int:
    """Take the enriched batches into the warehouse, as the asset does."""
    layout = Layout.of(task["data_dir"])
    warehouse = warehouse_of(layout)
    warehouse.ensure()
    with warehouse.write() as connection:
        enriched = read_partitions(layout, "fhir/enriched_resources")
        return versions.apply_batches(connection, enriched).rows


def exporting(task: Task) -> int:
    """Write the export and what goes beside it, as the asset does."""
    layout, settings = Layout.of(task["data_dir"]), Settings()
    folder = layout.exports("fhir")
    with writing(folder):
        with warehouse_of(layout).read() as connection:
            files = export(connection, layout, folder, options_of(settings))
        write_companions(layout, settings.fhir_extension_base)
    return len(files)


def telling(task: Task) -> int:
    """Run the command line, and tell the end by a file."""
    try:
        return command(task)
    finally:
        Path(task["ends"]).touch()


def following(task: Task) -> int:
    """Read whole exports by their manifest until files appear; how many different ones."""
    folder, seen = Path(task["data_dir"]) / "exports" / "fhir", set()
    while True:
        is_last = _is_over(task)
        if (folder / "manifest.json").exists():
            manifest = (folder / "manifest.json").read_bytes()
            seen.add(manifest)
            listed = json.loads(manifest)
            for each in (each for name in ("output", "error") for each in listed[name]):
                if len((folder / each["url"]).read_bytes().splitlines()) != each["count"]:
                    raise ValueError("a file that is not what its manifest says")
        if is_last:
            return len(seen)
        time.sleep(0.005)


def _is_over(task: Task) -> bool:
    until = task["until"]
    return all(Path(path).exists() for path in ([until] if isinstance(until, str) else until))


def reading(task: Task) -> list[list[int]]:
    """Ask the warehouse again and again until files appear; give the different answers."""
    warehouse = warehouse_of(Layout.of(task["data_dir"]))
    answers: list[list[int]] = []
    while True:
        is_last = _is_over(task)
        with warehouse.read() as connection:
            answer = list(connection.execute(task["sql"]).fetchall()[0])
        if not answers or answers[-1] != answer:
            answers.append(answer)
        if is_last:
            return answers
        time.sleep(task.get("pause", 0.005))


def applying_again(task: Task) -> int:
    """Rebuild the warehouse several times, and tell the end by a file."""
    for _ in range(task["times"]):
        rebuild_warehouse()
    Path(task["until"]).touch()
    return task["times"]


def filling_up(task: Task) -> dict[str, Any]:
    """Run the command line on a disk that is full, then on one that has room again."""
    made = {}
    folder = Path(task["data_dir"])
    _mount_private(folder, task["size"])
    made["full"] = command(task)
    _mount(folder, _MS_REMOUNT, "256m")
    made["roomy"] = command(task)
    Path(task["copy"]).mkdir()
    os.system(f"cp -a {folder}/. {task['copy']}")  # noqa: S605 - out of the private mount
    return made


def bytes_needed(task: Task) -> int:
    """Run the command line where there is room; bytes of the disk that its results take.

    While it runs it takes more, so a disk of less than this is full at some time.
    """
    folder = Path(task["data_dir"])
    _mount_private(folder, "256m")
    if command(task):
        raise SystemExit("nothing can be ingested")
    disk = os.statvfs(folder)
    return (disk.f_blocks - disk.f_bfree) * disk.f_frsize


def can_mount(task: Task) -> bool:
    """Whether this process may mount a small disk of its own."""
    _mount_private(Path(task["data_dir"]), "1m")
    return True


def without_privilege(task: Task) -> int:
    """Run the command line without root's right to pass over permissions."""
    _drop_override()
    return command(task)


def _mount_private(folder: Path, size: str) -> None:
    _keep_mounts_private(folder)
    _mount(folder, 0, size)


def _keep_mounts_private(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    if _libc.unshare(_CLONE_NEWNS):
        _become_root_in_user_namespace()
    _checked(_libc.mount(b"none", b"/", None, _MS_REC | _MS_PRIVATE, None))


def _become_root_in_user_namespace() -> None:
    """Mount without being root: in a name space in which this user is."""
    user, group = os.getuid(), os.getgid()
    _checked(_libc.unshare(_CLONE_NEWUSER | _CLONE_NEWNS))
    Path("/proc/self/setgroups").write_text("deny")
    Path("/proc/self/uid_map").write_text(f"0 {user} 1")
    Path("/proc/self/gid_map").write_text(f"0 {group} 1")


def _bind(source: str, folder: Path) -> None:
    """Let this process see one folder in the place of another."""
    _keep_mounts_private(folder)
    _checked(_libc.mount(os.fsencode(source), bytes(folder), None, _MS_BIND, None))


def _mount(folder: Path, flags: int, size: str) -> None:
    options = f"size={size},mode=700".encode()
    _checked(_libc.mount(b"none", bytes(folder), b"tmpfs", flags, options))


def _drop_override() -> None:
    """Drop CAP_DAC_OVERRIDE and CAP_DAC_READ_SEARCH (capabilities 1 and 2)."""
    header = (ctypes.c_uint32 * 2)(0x20080522, 0)
    data = (ctypes.c_uint32 * 6)()
    _checked(_libc.capget(header, data))
    data[0] &= ~0b110
    _checked(_libc.capset(header, data))


def _checked(result: int) -> None:
    if result:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


TASKS: dict[str, Callable[[Task], Any]] = {
    "command": command,
    "land": landing,
    "land while it grows": growing,
    "land while it vanishes": vanishing,
    "register": registering,
    "commit": commit,
    "apply": apply,
    "export": exporting,
    "read": reading,
    "command, telling its end": telling,
    "follow the export": following,
    "rebuild repeatedly": applying_again,
    "fill up": filling_up,
    "measure": bytes_needed,
    "can mount": can_mount,
    "without privilege": without_privilege,
}


def _child(task: Task, result_path: str) -> None:
    with Path(task["log"]).open("ab") as log:
        os.dup2(log.fileno(), 1)
        os.dup2(log.fileno(), 2)
    data_dir = task["data_dir"]
    os.environ |= {"HC_DATA_DIR": data_dir, "DAGSTER_HOME": "", "HC_WORKERS": "1"}
    os.environ |= task.get("environment", {})
    if "instead" in task:
        _bind(task["instead"], Path(data_dir))
    points = KillPoints(data_dir, **task.get("kill", {}))
    refuse_leavings(data_dir)
    if "kill" in task:
        points.install()
    if task.get("file_size"):
        die_beyond(task["file_size"])
    result: dict[str, Any] = {}
    try:
        result["value"] = TASKS[task["do"]](task)
    except BaseException as error:  # noqa: BLE001 - reported to the test, whatever it is
        result["error"] = f"{type(error).__name__}: {error}"
        traceback.print_exc()
    sys.stdout.flush()
    sys.stderr.flush()
    with open(result_path, "w") as out:  # noqa: PTH123
        json.dump(result | {"points": points.reached, "states": points.states}, out)
    os._exit(0)


def _run(tasks: list[Task]) -> list[dict[str, Any]]:
    """Run tasks at the same time, each in a child, and report how each ended."""
    with tempfile.TemporaryDirectory() as folder:
        children = {}
        for number, task in enumerate(tasks):
            result_path = f"{folder}/{number}"
            pid = os.fork()
            if pid == 0:
                _child(task, result_path)
            children[pid] = result_path
        results = []
        for pid, result_path in children.items():
            _, status = os.waitpid(pid, 0)
            result = {"signal": os.WTERMSIG(status) if os.WIFSIGNALED(status) else 0}
            if Path(result_path).exists() and Path(result_path).stat().st_size:
                result |= json.loads(Path(result_path).read_text())
            results.append(result)
        return results


def warm_up() -> None:
    """Ingest something, so that children find imports done and caches filled: half of their cost.

    FHIR only: Arrow's threads are rebuilt after a fork, those of OpenCV and ITK might not be.
    """
    with tempfile.TemporaryDirectory() as folder:
        delivery, _ = write_deliveries(Path(folder, "deliveries"))
        os.environ |= {"HC_DATA_DIR": f"{folder}/data", "DAGSTER_HOME": "", "HC_WORKERS": "1"}
        arguments = ["ingest", str(delivery), "--kind", "fhir"]
        if command({"arguments": arguments, "now": "2026-01-01T00:00:00+00:00"}):
            raise SystemExit("nothing can be ingested")
    if threading.active_count() > 1:
        raise SystemExit("a process with threads of its own can't be forked")


def main() -> None:
    """Serve until the input ends."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    warm_up()
    gc.collect()
    gc.freeze()  # what is here stays: children need not copy it to look at it
    print("ready", file=answers, flush=True)
    for line in sys.stdin:
        print(json.dumps(_run(json.loads(line))), file=answers, flush=True)


if __name__ == "__main__":
    main()
