"""What we say of a file beside what DCMTK, GDCM and pydicom say.

Belongs here: what is compared, and when it counts as a difference: two judges say the same, and we
something else. Running it on many files is in `run.py`, who is right in `disagreements.py`.
"""

import re
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from benchmarks.oracles.dicom import dcmtk
from benchmarks.oracles.dicom.columns import column_opinion
from benchmarks.oracles.dicom.judges import Judge
from benchmarks.oracles.dicom.neutral import ITEMS, UNKNOWN, Dataset, Element, say_the_same
from benchmarks.oracles.dicom.ours import OurFrame, Row, dataset_of, frames_of, row_of, warnings_of
from benchmarks.oracles.dicom.samples import are_alike
from benchmarks.oracles.dicom.verdict import Verdict
from hc_assets.imaging.headers.columns import COLUMNS

FRAMES = 6
"""Frames of a file that are compared."""

_LOSSY = {f"1.2.840.10008.1.2.4.{number}" for number in (50, 51, 53, 55, 81, 91, 93, 203)}

# What judges print where they know none, or leave it open
_NO_VRS = frozenset(
    {"??", "UN", "ox", "xs", "lt", "na", "up", "OB or OW", "US or SS", "US or SS or OW"}
)


class Difference(NamedTuple):
    """Where two of the judges say the same, and we something else.

    Attributes:
        what: unreadable, readable, value, missing, extra, VR, column, other frame, refused frame,
            more frames.
        where: path of tags, name of the column or number of the frame.
        vr: VR of the element as judges have it; "".
        judges: who says the same.
        is_tie: whether another judge sides with us.
        words: our warning or reason, without figures; "" where there is none.
        theirs: a judge's words, where they refuse.
    """

    what: str
    where: str
    vr: str
    judges: list[str]
    is_tie: bool
    words: str
    theirs: str = ""


class Judges:
    """The three of them.

    Use as a context manager.

    Args:
        folder: for files.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._children = [Judge("pydicom"), Judge("gdcm")]

    def __enter__(self) -> "Judges":
        return self

    def __exit__(self, *_: object) -> None:
        for child in self._children:
            child.close()

    def judge(self, paths: list[Path], most: int = FRAMES) -> dict[Path, dict[str, Verdict]]:
        """What each says of each file."""
        with tempfile.TemporaryDirectory(dir=self._folder) as folder:
            found: dict[Path, dict[str, Verdict]] = {path: {} for path in paths}
            if dcmtk.is_there():
                for path, verdict in dcmtk.judge(paths, Path(folder), most).items():
                    found[path]["dcmtk"] = verdict
        for child in self._children:
            for path in paths:
                found[path][child.name] = child.judge(path, most)
        return found


def differences(
    path: Path, verdicts: dict[str, Verdict], known: Sequence[str] = (), most: int = FRAMES
) -> Iterator[Difference]:
    """Where two judges agree and we differ.

    Args:
        path: of the file.
        verdicts: of the judges by name.
        known: warnings that the file gives without its damage, which don't count as words.
        most: frames that are compared.
    """
    row, reason = row_of(path)
    readers = [name for name, each in verdicts.items() if each.dataset and not each.is_partial]
    if row is None:
        if len(readers) > 1:
            yield Difference("unreadable", "", "", readers, len(readers) < 3, plain(reason))
        return
    warnings = warnings_of(row)
    words = [each for each in warnings if each not in known]
    if not any(each.dataset for each in verdicts.values()):
        yield Difference(
            "readable", "", "", sorted(verdicts), False, _first(words), _words_of(verdicts)
        )
    datasets = {name: each.dataset for name, each in verdicts.items() if each.dataset}
    yield from _of_datasets(
        dataset_of(row, path.read_bytes()),
        datasets,
        {name for name in datasets if verdicts[name].is_partial},
        lambda tag: _about(words, tag) or _first(warnings),
    )
    yield from _of_columns(row, datasets, words)
    yield from _of_frames(path, row, verdicts, words, most)


def _of_datasets(
    ours: Dataset,
    theirs: dict[str, Dataset],
    partial: set[str],
    words: Callable[[str], str],
    path: str = "",
) -> Iterator[Difference]:
    for tag in sorted(ours.keys() | set().union(*theirs.values())):
        where = f"{path}{tag}"
        found = {
            name: dataset.get(tag)
            for name, dataset in theirs.items()
            if tag in dataset or name not in partial
        }
        mine = ours.get(tag)
        said = _disagreement(mine, found) or _other_vr(mine, found)
        if said is not None:
            what, judges, is_tie, vr = said
            yield Difference(what, where, vr, judges, is_tie, words(where[:8]))
        elif mine is not None and mine[1] == ITEMS:
            nested = {
                name: each[2]
                for name, each in found.items()
                if each is not None and each[1] == ITEMS and len(each[2]) == len(mine[2])
            }
            for number, item in enumerate(mine[2]):
                items = {name: each[number] for name, each in nested.items()}
                yield from _of_datasets(item, items, partial, words, f"{where}/{number}/")


def _disagreement(
    mine: Element | None, found: dict[str, Element | None]
) -> tuple[str, list[str], bool, str] | None:
    """What differs from ours, by whom; None where no two agree on something else."""
    others = {name: each for name, each in found.items() if not _agree(mine, each)}
    for each in others.values():
        if each is not None and each[1] == UNKNOWN:
            continue
        same = [other for other in others if _agree(each, others[other])]
        if len(same) > 1:
            what = "missing" if mine is None else "extra" if each is None else "value"
            vrs = [one[0] for one in (mine or each, each) if one is not None]
            sides = [one for one in found if one not in others and _is_known(found[one])]
            return what, sorted(same), bool(sides), " ".join(vrs)
    return None


def _other_vr(
    mine: Element | None, found: dict[str, Element | None]
) -> tuple[str, list[str], bool, str] | None:
    """As `_disagreement`, of the VR alone."""
    if mine is None:
        return None
    vrs = {name: each[0] for name, each in found.items() if each is not None}
    for vr in set(vrs.values()) - {mine[0], *_NO_VRS}:
        same = sorted(name for name, each in vrs.items() if each == vr)
        if len(same) > 1:
            return "VR", same, mine[0] in vrs.values(), f"{mine[0]} {vr}"
    return None


def _is_known(element: Element | None) -> bool:
    return element is None or element[1] != UNKNOWN


def _agree(one: Element | None, other: Element | None) -> bool:
    if one is None or other is None:
        present = one or other
        return present is None or present[1] == UNKNOWN
    return say_the_same(one, other)


def _of_columns(row: Row, theirs: dict[str, Dataset], words: list[str]) -> Iterator[Difference]:
    if len(theirs) < 2:
        return
    for column in COLUMNS:
        if row[column.name] is None:
            continue  # absent or malformed: what its element is has been compared
        found = {name: column_opinion(column, dataset) for name, dataset in theirs.items()}
        other = [
            name
            for name, value in found.items()
            if value is not None and not _is_close(value, row[column.name])
        ]
        for name in other:
            same = [each for each in other if _is_close(found[each], found[name])]
            if len(same) > 1:
                is_tie = len(same) < len(found)
                word = _about(words, f"{column.tag:08X}")
                yield Difference("column", column.name, "", sorted(same), is_tie, word)
                break


def _is_close(one: object, other: object) -> bool:
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(_is_close, one, other))
    if isinstance(one, int | float) and isinstance(other, int | float):
        return abs(one - other) <= 1e-6 * max(1.0, abs(one), abs(other))
    return one == other


def _of_frames(
    path: Path, row: Row, verdicts: dict[str, Verdict], words: list[str], most: int
) -> Iterator[Difference]:
    able = {name: each for name, each in verdicts.items() if each.can_decode}
    if len(able) < 2 or not row["has_pixels"]:
        return
    is_lossy = row["transfer_syntax_uid"] in _LOSSY
    mine = frames_of(path, most)
    for index in range(max(len(mine), *(len(each.frames) for each in able.values()))):
        own = mine[index] if index < len(mine) else OurFrame(None, ("there is no such frame",))
        theirs = {
            name: each.frames[index] if index < len(each.frames) else None
            for name, each in able.items()
        }
        said = _first([*own.words, *words])
        refused = sorted(name for name, each in theirs.items() if each is None)
        if own.values is not None and len(refused) > 1:
            is_tie = len(refused) < len(theirs)
            their = _words_of({name: verdicts[name] for name in refused})
            yield Difference("more frames", str(index), "", refused, is_tie, said, their)
            continue
        others = {
            name: each
            for name, each in theirs.items()
            if each is not None
            and (own.values is None or not are_alike(own.values, each, is_lossy=is_lossy))
        }
        for each in others.values():
            same = sorted(
                name for name, one in others.items() if are_alike(each, one, is_lossy=is_lossy)
            )
            if len(same) > 1:
                what = "refused frame" if own.values is None else "other frame"
                is_tie = any(
                    name not in others and (one is None) == (own.values is None)
                    for name, one in theirs.items()
                )
                yield Difference(what, str(index), "", same, is_tie, said)
                break


def plain(words: str) -> str:
    """Words without figures, tags and what is quoted, so that equals can be counted."""
    words = re.sub(r"\([0-9A-Fx]{4},[0-9A-Fx]{4}\)( [A-Z]\w+)?", "TAG", words)
    words = re.sub(r"'[^']*'|\"[^\"]*\"", "'…'", words)
    return re.sub(r"-?\d+(\.\d+)?", "N", words)[:160]


def _words_of(verdicts: dict[str, Verdict]) -> str:
    """Words of the judge that has the most to say of why."""
    for name in ("pydicom", "dcmtk", "gdcm"):
        if name in verdicts and verdicts[name].words:
            return f"{name}: {plain(verdicts[name].words)}"
    return ""


def _first(words: Sequence[str]) -> str:
    return plain(words[0]) if words else ""


def _about(words: Sequence[str], tag: str) -> str:
    """The warning about a tag, else the first."""
    name = f"({tag[:4]},{tag[4:8]})"
    return _first([*(each for each in words if name in each), *words])
