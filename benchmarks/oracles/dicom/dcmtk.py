"""DCMTK as a judge: its programs, many files a call, in the form of all readers.

Belongs here: calling dcmdump, dcmdjpeg, dcmdjpls and dcmdrle, and reading what they print. Debian's
package is `dcmtk`.
"""

import re
import resource
import shutil
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from benchmarks.oracles.dicom.neutral import (
    BYTES,
    ITEMS,
    NUMBERS,
    TEXT,
    TEXTS,
    UNKNOWN,
    Dataset,
    Element,
    of_bytes,
)
from benchmarks.oracles.dicom.samples import Cells, frames_of, to_rgb
from benchmarks.oracles.dicom.verdict import Verdict

PROGRAMS = ("dcmdump", "dcmdjpeg", "dcmdjpls", "dcmdrle")
CPU_SECONDS = 3
"""Time of a processor that a program has for a file: on some damage dcmdump goes round forever."""
SECONDS = 120

_JPEG = "1.2.840.10008.1.2.4."
_DECOMPRESSORS = {
    **{f"{_JPEG}{number}": "dcmdjpeg" for number in (50, 51, 53, 55, 57, 70)},
    **{f"{_JPEG}{number}": "dcmdjpls" for number in (80, 81)},
    "1.2.840.10008.1.2.5": "dcmdrle",
}
_NATIVE = {"1.2.840.10008.1.2", "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.2"}
_FILE = re.compile(r"^# dcmdump \(\d+/\d+\): (.*)$")
_LINE = re.compile(r"^( *)\(([0-9a-f]{4}),([0-9a-f]{4})\) (\S\S) (.*?) *# *(\S+), *\d+ [^#]*$")
_FAILED = re.compile(r"^E: dcmdump: (.*): reading file: (.*)$")
_QUOTED = re.compile(r"&(#\d+|amp|lt|gt|quot|apos);")
_NAMED = {"amp": "&", "lt": "<", "gt": ">", "quot": '"', "apos": "'"}
_ITEM, _PIXELS = "FFFEE000", "7FE00010"
_ENDED = ("FFFEE00D", "FFFEE0DD")
_BEHIND = "7FE00000"


@dataclass
class _Dumped:
    """What dcmdump prints of a file.

    Attributes:
        meta: the file meta information.
        dataset: the elements, without pixels.
        words: why it could not be read to its end; "" where it could.
        pixels: file with the bytes of native pixel data.
        has_fragments: whether the pixel data are encapsulated.
    """

    meta: Dataset = field(default_factory=dict)
    dataset: Dataset = field(default_factory=dict)
    words: str = ""
    pixels: Path | None = None
    has_fragments: bool = False


def is_there() -> bool:
    """Whether DCMTK's programs are installed."""
    return all(shutil.which(program) for program in PROGRAMS)


def judge(paths: list[Path], folder: Path, most: int) -> dict[Path, Verdict]:
    """What DCMTK says of files.

    Args:
        paths: of the files; their names differ.
        folder: an empty one, for what the programs write.
        most: frames of a file that are decoded.
    """
    dumped = _dump(paths, folder)
    syntaxes = {path: _text(dumped[path].meta, "00020010") for path in paths}
    plain = _decompressed(
        {
            path: _DECOMPRESSORS[uid]
            for path, uid in syntaxes.items()
            if uid in _DECOMPRESSORS and dumped[path].has_fragments
        },
        folder,
    )
    of_plain = _dump([each for each in plain.values() if isinstance(each, Path)], folder)
    verdicts = {}
    for path in paths:
        found = dumped[path]
        decoded, words = found, ""
        if syntaxes[path] in _DECOMPRESSORS:
            outcome = plain.get(path, "no fragments")
            decoded, words = (
                (of_plain[outcome], "") if isinstance(outcome, Path) else (None, outcome)
            )
        elif syntaxes[path] and syntaxes[path] not in _NATIVE:
            decoded = None  # it has no decoder, and so no opinion
        verdicts[path] = Verdict(
            dataset=found.dataset if found.dataset else None,
            is_partial=bool(found.words),
            words=found.words or words,
            frames=_frames(decoded, most) if decoded is not None else [],
            can_decode=decoded is not None or bool(words),
        )
    return verdicts


def _dump(paths: list[Path], folder: Path) -> dict[Path, _Dumped]:
    """Dump files, in one call where none of them takes dcmdump down."""
    if not paths:
        return {}
    command = ["dcmdump", "+F", "+E", "-Un", "+Qn", "+W", str(folder), *map(str, paths)]
    done = _run(command)
    if done is None:
        if len(paths) == 1:
            return {paths[0]: _Dumped(words="dcmdump crashed or took too long")}
        return {path: _dump([path], folder)[path] for path in paths}
    found = {path: _Dumped() for path in paths}
    for line in done.stderr.decode("latin-1").splitlines():
        failed = _FAILED.match(line)
        if failed and Path(failed[2]) in found:
            found[Path(failed[2])].words = failed[1]
    lines: dict[Path, list[str]] = {path: [] for path in paths}
    current: list[str] = []
    for line in done.stdout.decode("latin-1").split("\n"):
        start = _FILE.match(line)
        if start:
            current = lines[Path(start[1])]
        else:
            current.append(line)
    for path, printed in lines.items():
        _read(printed, found[path])
        if not found[path].has_fragments:
            found[path].pixels = folder / f"{path.name}.0.raw"
    return found


def _read(lines: list[str], dumped: _Dumped) -> None:
    """Elements of what is printed: nested by their indentation, items within sequences."""
    open_datasets: list[Dataset] = [dumped.dataset]
    open_items: list[list[Dataset]] = []
    is_in_pixels = False
    last: tuple[Dataset, str] | None = None
    for line in lines:
        match = _LINE.match(line)
        if not match:
            continue
        depth, tag = len(match[1]) // 2, (match[2] + match[3]).upper()
        vr, value = match[4], match[5]
        if tag in _ENDED or vr == "pi" or (tag.endswith("0000") and tag != _ITEM):
            continue
        level, is_item = depth // 2, depth % 2 == 1
        if is_item:
            if tag == _ITEM and level < len(open_items) and not is_in_pixels:
                item: Dataset = {}
                del open_datasets[level + 1 :]
                open_items[level].append(item)
                open_datasets.append(item)
            continue
        if level >= len(open_datasets):
            continue
        del open_datasets[level + 1 :], open_items[level:]
        is_in_pixels = depth == 0 and tag == _PIXELS
        if is_in_pixels:
            dumped.has_fragments = "PixelSequence" in value
            continue
        holder = dumped.meta if depth == 0 and tag.startswith("0002") else open_datasets[level]
        if depth == 0 and tag >= _BEHIND:
            continue
        if vr == "SQ":
            items: list[Dataset] = []
            open_items.append(items)
            holder[tag] = ("SQ", ITEMS, items)
        else:
            holder[tag] = _element(vr, value)
            last = holder, tag
    if dumped.words and last is not None:
        last[0][last[1]] = ("??", UNKNOWN, None)  # of which there may be only a piece


def _element(vr: str, printed: str) -> Element:
    if printed.endswith("..."):
        return vr, UNKNOWN, None  # with +L it prints what it has not read, of damaged files
    if printed.startswith("(no value"):
        return vr, TEXT, []
    if vr in TEXTS and printed.startswith("["):
        return of_bytes(vr, _bytes(printed[1:].removesuffix("]")))
    if vr == "AT":
        return vr, TEXT, [each.strip("()").replace(",", "").upper() for each in printed.split("\\")]
    pieces = printed.split("\\")
    if vr in ("OB", "UN", "??") and all(len(piece) == 2 for piece in pieces):
        return vr, BYTES, "".join(pieces)
    if vr == "OW" and all(len(piece) == 4 for piece in pieces):
        return vr, BYTES, "".join(piece[2:] + piece[:2] for piece in pieces)
    if vr in ("US", "SS", "UL", "SL", "UV", "SV", "FL", "FD"):
        try:
            return vr, NUMBERS, [float(piece) for piece in pieces]
        except ValueError:
            return vr, UNKNOWN, None
    return vr, UNKNOWN, None


def _bytes(printed: str) -> bytes:
    """The bytes of a text that is printed with what is not ASCII as in XML."""

    def unquoted(match: re.Match[str]) -> str:
        name = match[1]
        return chr(int(name[1:]) % 256) if name.startswith("#") else _NAMED[name]

    return _QUOTED.sub(unquoted, printed).encode("latin-1")


def _decompressed(programs: dict[Path, str], folder: Path) -> dict[Path, Path | str]:
    """Decompressed copies of files; the program's words where there is none."""
    found: dict[Path, Path | str] = {}
    for path, program in programs.items():
        out = folder / f"plain-{path.name}"
        done = _run([program, str(path), str(out)])
        if done is None:
            found[path] = f"{program} crashed or took too long"
            continue
        words = done.stderr.decode("latin-1").strip().splitlines()
        found[path] = out if done.returncode == 0 and out.exists() else (words or [program])[-1]
    return found


def _run(command: list[str]) -> subprocess.CompletedProcess[bytes] | None:
    """Run a program to its end; None where it crashes or takes too long."""
    try:
        done = subprocess.run(
            command, capture_output=True, check=False, timeout=SECONDS, preexec_fn=_limit
        )
    except subprocess.TimeoutExpired:
        return None
    return done if done.returncode >= 0 else None


def _limit() -> None:
    resource.setrlimit(resource.RLIMIT_CPU, (CPU_SECONDS, CPU_SECONDS))


def _frames(dumped: _Dumped, most: int) -> list[np.ndarray | None]:  # type: ignore[type-arg]
    cells = _cells(dumped.dataset)
    if cells is None or dumped.pixels is None or not dumped.pixels.exists():
        return []
    found = frames_of(dumped.pixels.read_bytes(), cells, most)
    return [None if each is None else to_rgb(each, cells.photometric) for each in found]


def _cells(dataset: Dataset) -> Cells | None:
    def whole(tag: str, default: int = 0) -> int:
        _, kind, content = dataset.get(tag, ("", "", []))
        return int(content[0]) if kind == NUMBERS and content else default

    cells = Cells(
        rows=whole("00280010"),
        columns=whole("00280011"),
        samples=whole("00280002", 1),
        allocated=whole("00280100"),
        stored=whole("00280101"),
        high_bit=whole("00280102"),
        is_signed=whole("00280103") == 1,
        frames=whole("00280008", 1),
        photometric=_text(dataset, "00280004"),
        is_planar=whole("00280006") == 1,
    )
    return cells if cells.rows and cells.columns and cells.samples in (1, 3) else None


def _text(dataset: Dataset, tag: str) -> str:
    _, kind, content = dataset.get(tag, ("", "", []))
    return str(content[0]) if kind == TEXT and content else ""
