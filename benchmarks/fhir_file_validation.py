"""Validating a large NDJSON file: how much faster with more processes, and in how much memory.

Belongs here: a file of many gigabytes made from Synthea's resources, its rate and the memory
of all processes together. How fast one resource is judged is in `fhir_validation.py`.
"""

import argparse
import json
import multiprocessing
import os
import tempfile
import threading
import time
from pathlib import Path

from fhir_validation import DATA, resources

from hc_assets.fhir.validation.files import validate_files
from hc_assets.lake.discovery import discover

_PAGE = os.sysconf("SC_PAGE_SIZE")


def write_lines(path: Path, folder: Path, size: int) -> None:
    """Write a folder's resources as lines, again and again up to a size in bytes."""
    lines = [
        json.dumps(json.loads(raw), separators=(",", ":")).encode() + b"\n"
        for raw in resources(folder, 0)
    ]
    written = 0
    with path.open("wb") as file:
        while written < size:
            written += sum(file.write(line) for line in lines)


def _children(pid: int) -> list[int]:
    found = []
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        found += [int(child) for child in task.read_text().split()]
    return found + [deeper for child in found for deeper in _children(child)]


def _resident(pid: int) -> int:
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * _PAGE


class Peak(threading.Thread):
    """Samples the memory of this process and its children."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.bytes = 0
        self.is_done = threading.Event()

    def run(self) -> None:
        """Sample until it is set to be done."""
        while not self.is_done.wait(0.1):
            try:
                total = sum(map(_resident, [os.getpid(), *_children(os.getpid())]))
            except (OSError, ValueError):  # a process that has just ended
                continue
            self.bytes = max(self.bytes, total)


def measure(path: Path, workers: int) -> float:
    """Validate a file; print and give the rate in resources per second of the clock."""
    list(validate_files(discover([path.parent / "warm"], path.parent), workers=workers))
    peak = Peak()
    peak.start()
    start = time.perf_counter()
    judged = sum(
        checked.resources
        for checked in validate_files(
            discover([path], path.parent), workers=workers, best_practice=False
        )
    )
    took = time.perf_counter() - start
    peak.is_done.set()
    megabytes = path.stat().st_size / 1e6
    print(
        f"{workers} process(es): {judged / took:9.0f} resources/s {megabytes / took:7.1f} MB/s,"
        f" {peak.bytes / 1e6:.0f} MB of memory at most"
    )
    return judged / took


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", nargs="?", type=Path, default=DATA / "synthea_bundles")
    parser.add_argument("--gigabytes", type=float, default=2.0)
    parser.add_argument("--workers", type=int, default=multiprocessing.cpu_count())
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "large.ndjson"
        write_lines(path, options.folder, int(options.gigabytes * 1e9))
        # Enough for every worker to start and to load the definitions before the clock runs.
        (Path(folder) / "warm").mkdir()
        write_lines(Path(folder) / "warm" / "warm.ndjson", options.folder, 64_000_000)
        one = measure(path, 1)
        many = measure(path, options.workers)
        print(f"  ratio: {many / one:.2f} with {options.workers} processes")


if __name__ == "__main__":
    main()
