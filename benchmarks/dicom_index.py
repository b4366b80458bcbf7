"""How fast DICOM headers become index rows, beside a plain pydicom loop, in one run.

Belongs here: CPU time per file and its ratios. That the rows are right is the tests' business.
"""

import argparse
import logging
import statistics
import subprocess
import sys
import time
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pydicom
from pydicom.datadict import dictionary_keyword
from pydicom.dataset import Dataset

from hc_assets.imaging.headers.columns import COLUMNS
from hc_assets.imaging.headers.fast_headers import fast_header
from hc_assets.imaging.headers.file_work import FileToRead
from hc_assets.imaging.headers.functional_groups import MACROS, PER_FRAME_GROUPS, SHARED_GROUPS
from hc_assets.imaging.headers.read import read_header, thorough_header
from hc_assets.imaging.headers.reading import UnreadableFile
from hc_assets.imaging.headers.rows import index_files

SHARED = Path(__file__).resolve().parents[1].parent / "shared" / "data" / "dicom"
PYDICOM = Path(pydicom.__file__).parent / "data"
KEYWORDS = [(dictionary_keyword(column.tag), MACROS.get(column.tag)) for column in COLUMNS]


def plain_loop(path: Path) -> list[Any]:
    """The peer: pydicom's reader, and the values of the index columns, without any JSON."""
    dataset = pydicom.dcmread(path, stop_before_pixels=True)
    return [_value(dataset, keyword, macro) for keyword, macro in KEYWORDS]


def _value(dataset: Dataset, keyword: str, macro: int | None) -> Any:
    value = dataset.get(keyword)
    if value is None and macro is not None:
        for groups in (PER_FRAME_GROUPS, SHARED_GROUPS):
            if groups in dataset and dataset[groups].value:
                group = dataset[groups].value[0]
                if macro in group and group[macro].value:
                    return group[macro].value[0].get(keyword)
    return value


def ours(path: Path) -> dict[str, object]:
    """What the index does: typed columns, warnings and the header as DICOM JSON."""
    return read_header(path)


def works(read: Callable[[Path], object], path: Path) -> bool:
    """Whether a reader takes a file."""
    try:
        read(path)
    except (UnreadableFile, pydicom.errors.InvalidDicomError, ValueError, TypeError, KeyError):
        return False
    return True


def best(read: Callable[[Path], object], path: Path, rounds: int) -> int:
    """Nanoseconds of the fastest of some readings."""
    times = []
    for _ in range(rounds):
        start = time.perf_counter_ns()
        read(path)
        times.append(time.perf_counter_ns() - start)
    return min(times)


def report(name: str, files: Sequence[Path], rounds: int) -> None:
    """Print rates and ratios of a set of files that both readers take."""
    taken = [path for path in files if works(plain_loop, path) and works(ours, path)]
    ratios = [best(plain_loop, path, rounds) / best(ours, path, rounds) for path in taken]
    fast = sum(fast_header(path) is not None for path in taken)
    to_read = [FileToRead(str(path), path, "0" * 64, path.stat().st_size) for path in taken]
    passes: dict[str, Callable[[], object]] = {
        "plain pydicom loop": lambda: [plain_loop(path) for path in taken],
        "index row": lambda: [ours(path) for path in taken],
        "index row into Arrow": lambda: list(index_files(to_read, "b")),
    }
    seconds = {what: min(_seconds(work) for _ in range(rounds)) for what, work in passes.items()}
    peer = seconds["plain pydicom loop"]
    print(f"{name}: {len(taken)} files, {fast} of them by the fast reader")
    for what, took in seconds.items():
        print(f"  {what:22}{len(taken) / took:8.0f} files/s, ratio {peer / took:5.1f}")
    print(f"  ratio file by file: median {statistics.median(ratios):.1f}, least {min(ratios):.1f}")


def _seconds(work: Callable[[], object]) -> float:
    start = time.process_time()
    work()
    return time.process_time() - start


def single_pass(which: str, folder: Path) -> None:
    """Print CPU seconds of one pass over files that were never read in this process."""
    files = dicom_files(folder)
    read = plain_loop if which == "peer" else ours
    # What a process does once, imports and tables, is no part of the cost of a file
    works(plain_loop, PYDICOM / "test_files" / "CT_small.dcm")
    works(ours, PYDICOM / "test_files" / "CT_small.dcm")
    start = time.process_time()
    for path in files:
        works(read, path)
    print(time.process_time() - start)


def dicom_files(folder: Path) -> list[Path]:
    """Files that a plain loop over a folder would try."""
    found = (path for path in folder.rglob("*") if path.is_file())
    return sorted(path for path in found if path.suffix in (".dcm", "") or "." in path.stem)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folders", nargs="*", type=Path, default=[SHARED, PYDICOM])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--single-pass", choices=["peer", "ours"], help=argparse.SUPPRESS)
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    logging.disable()
    if options.single_pass:
        single_pass(options.single_pass, options.folders[0])
        return
    for folder in options.folders:
        if not folder.is_dir():
            print(f"{folder}: not there", file=sys.stderr)
            continue
        files = dicom_files(folder)
        report(folder.name, files, options.rounds)
        seconds = {
            which: float(
                subprocess.run(
                    [sys.executable, __file__, str(folder), "--single-pass", which],
                    capture_output=True,
                    check=True,
                    text=True,
                ).stdout
            )
            for which in ("peer", "ours")
        }
        print(
            f"  one pass in a fresh process: ratio {seconds['peer'] / seconds['ours']:.1f}"
            f" over {len(files)} files, readable or not"
        )
    files = [path for path in dicom_files(options.folders[0]) if works(thorough_header, path)]
    thorough = sum(best(thorough_header, path, 2) for path in files)
    ratio = thorough / sum(best(ours, path, 2) for path in files)
    print(f"the thorough reader alone takes {ratio:.1f} times as long as the index")


if __name__ == "__main__":
    main()
