"""Our readers beside DCMTK, GDCM and pydicom on many files: docs/dicom-readers.md.

`python -m benchmarks.oracles.dicom.run files --out FILE` compares every file at hand as it is, `…
mutants --count N --out FILE` damaged ones, from where FILE ends; `… again FILE --out FILE` those
that had differences; `… score FILE…` counts, and writes the document. Belongs here: the commands.
What is compared is in `compare.py`, who is right in `disagreements.py`.
"""

import argparse
import json
import sys
import tempfile
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

from benchmarks.oracles.dicom.compare import Difference, Judges, differences
from benchmarks.oracles.dicom.disagreements import score
from benchmarks.oracles.dicom.ours import row_of, warnings_of
from benchmarks.oracles.dicom.sources import files, mutants, sources
from benchmarks.oracles.dicom.verdict import Verdict

SEED = 20261128
BATCH = 25


def compare_files(paths: list[Path], folder: Path) -> Iterator[dict[str, Any]]:
    """Compare files as they are, all their frames."""
    with Judges(folder) as judges:
        for path in paths:
            verdicts = judges.judge([path], most=10_000)[path]
            found = [*differences(path, verdicts, most=10_000)]
            yield _line(path.name, "unchanged", found, verdicts)


def compare_mutants(folder: Path, seed: int, numbers: Iterable[int]) -> Iterator[dict[str, Any]]:
    """Compare damaged files by their numbers."""
    found = sources(files())
    known = {each.name: _warnings(folder, each.data) for each in found}
    stream = iter(numbers)
    with Judges(folder) as judges:
        while batch := list(islice(stream, BATCH)):
            made = [next(mutants(found, seed, number + 1, number)) for number in batch]
            paths = {folder / f"mutant-{mutant.number}.dcm": mutant for mutant in made}
            for path, mutant in paths.items():
                path.write_bytes(mutant.data)
            for path, verdicts in judges.judge(list(paths)).items():
                mutant = paths[path]
                said = [*differences(path, verdicts, known[mutant.source.name])]
                line = _line(mutant.source.name, mutant.kind, said, verdicts)
                yield {"number": mutant.number, **line}
                path.unlink()


def _warnings(folder: Path, data: bytes) -> list[str]:
    path = folder / "source.dcm"
    path.write_bytes(data)
    row, _ = row_of(path)
    return [] if row is None else warnings_of(row)


def _line(
    name: str, kind: str, found: list[Difference], verdicts: dict[str, Verdict]
) -> dict[str, Any]:
    there = {
        name: sum(frame is not None for frame in each.frames) for name, each in verdicts.items()
    }
    return {
        "source": name,
        "kind": kind,
        "differences": [list(each) for each in found],
        "read": sorted(name for name, each in verdicts.items() if each.dataset),
        "frames": there,
    }


def _lines(options: argparse.Namespace, folder: Path) -> Iterator[dict[str, Any]]:
    done = sum(1 for _ in options.out.open()) if options.out.exists() else 0
    if options.command == "files":
        return compare_files(files()[done:], folder)
    if options.command == "mutants":
        return compare_mutants(folder, options.seed, range(options.first + done, options.count))
    kept = [json.loads(text) for path in options.files for text in path.open(encoding="utf-8")]
    numbers = [line["number"] for line in kept if line["differences"]]
    return compare_mutants(folder, options.seed, numbers[done:])


def main() -> int:
    """Compare, or count."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    commands = parser.add_subparsers(dest="command", required=True)
    for name in ("files", "mutants", "again"):
        command = commands.add_parser(name)
        command.add_argument("--out", type=Path, required=True)
        command.add_argument("--seed", type=int, default=SEED)
        if name == "mutants":
            command.add_argument("--count", type=int, default=20_000)
            command.add_argument("--first", type=int, default=0)
        if name == "again":
            command.add_argument("files", type=Path, nargs="+")
    scoring = commands.add_parser("score")
    scoring.add_argument("files", type=Path, nargs="+")
    options = parser.parse_args()
    if options.command == "score":
        return score(options.files)
    with tempfile.TemporaryDirectory() as folder, options.out.open("a", encoding="utf-8") as file:
        for number, line in enumerate(_lines(options, Path(folder)), 1):
            file.write(json.dumps(line) + "\n")
            file.flush()
            if number % 500 == 0:
                print(f"{number} compared", file=sys.stderr, flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
