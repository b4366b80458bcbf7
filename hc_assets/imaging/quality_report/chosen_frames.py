"""Which frames of quality metrics are worth showing: the worst, and some that stand for all.

Belongs here: choosing in bounded memory, and reading the chosen ones from their batches. How they
look is in `thumbnails.py`.
"""

import hashlib
import heapq
from collections import defaultdict
from collections.abc import Container, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass

import pyarrow as pa

from hc_assets.imaging.headers.defined_terms import modality_term
from hc_assets.imaging.headers.file_work import FileToRead, FileWork
from hc_assets.imaging.pixels.frames import Frame, frames_of
from hc_assets.lake.layout import Layout
from hc_assets.lake.manifests import DamagedFileError, DamagedManifestError, read_manifest

COLUMNS = (
    *("batch", "source_file", "file_sha256", "frame", "modality", "overall_quality"),
    *("passes_gate", "limiting_metric", "has_burned_in_text"),
)


@dataclass(frozen=True, order=True)
class ChosenFrame:
    """A chosen frame: where it is, and what a report has of it.

    Its modality is a defined term, "" where the header has none: a report prints it.
    """

    batch: str
    source_file: str
    file_sha256: str
    frame: int
    modality: str
    overall_quality: float | None
    passes_gate: bool | None
    limiting_metric: str | None
    has_burned_in_text: bool | None

    def __post_init__(self) -> None:
        object.__setattr__(self, "modality", modality_term(self.modality))

    @property
    def label(self) -> str:
        """Name of its file by content, and the frame's number: leads a user of the tables back."""
        return f"{self.file_sha256[:12]}:{self.frame}"

    @property
    def caption(self) -> str:
        """Modality, score and verdict in some fifteen letters."""
        if self.overall_quality is None:
            verdict = "no score"
        else:
            verdict = f"{self.overall_quality:.2f} {'pass' if self.passes_gate else 'FAIL'}"
        return f"{self.modality or '-'} {verdict}"


class Selection:
    """The worst frames, and a sample of the files, of rows that are read once, file by file.

    It holds no more than it gives.
    """

    def __init__(self, worst: int, sample: int) -> None:
        self._most_worst, self._most_sample = worst, sample
        self._worst: list[tuple[float, str, ChosenFrame]] = []
        self._sample: list[tuple[str, ChosenFrame]] = []
        self._last_file = ""

    def add(self, rows: pa.RecordBatch) -> None:
        """Take in rows of `imaging/quality_metrics` with `COLUMNS`."""
        chosen = [_chosen(row) for row in rows.select(list(COLUMNS)).to_pylist()]
        scored = ((s.overall_quality, s.label, s) for s in chosen if s.overall_quality is not None)
        self._worst = heapq.nsmallest(
            self._most_worst, (*self._worst, *scored), key=lambda found: found[:2]
        )
        # The first frame of each file, so that a long series of frames does not fill the picture
        before = [self._last_file, *(each.file_sha256 for each in chosen)]
        drawn = (
            (hashlib.sha256(each.label.encode()).hexdigest(), each)
            for each, last in zip(chosen, before, strict=False)
            if each.file_sha256 != last
        )
        self._sample = heapq.nsmallest(
            self._most_sample, (*self._sample, *drawn), key=lambda found: found[0]
        )

        self._last_file = before[-1]

    def worst(self) -> list[ChosenFrame]:
        """Frames of the lowest scores, the lowest first."""
        return [chosen for *_, chosen in self._worst]

    def sample(self) -> list[ChosenFrame]:
        """First frames of files, drawn by a hash of their content: the same rows give the same."""
        return [chosen for _, chosen in self._sample]


def select(batches: Iterable[pa.RecordBatch], *, worst: int, sample: int) -> Selection:
    """Choose among all rows.

    Args:
        batches: of `imaging/quality_metrics`.
        worst: how many of the lowest scores.
        sample: how many of all.
    """
    selection = Selection(worst, sample)
    for rows in batches:
        selection.add(rows)
    return selection


def _chosen(row: dict[str, object]) -> ChosenFrame:
    return ChosenFrame(**(row | {"modality": row["modality"] or ""}))  # type: ignore[arg-type]


def read_frames(
    layout: Layout, chosen: Sequence[ChosenFrame]
) -> Iterator[tuple[ChosenFrame, Frame]]:
    """Decode chosen frames, one in memory at a time.

    Args:
        layout: where the batches are.
        chosen: in any order, each once or several times.

    Yields:
        Each once; none that can't be decoded any more, or whose file is damaged: pictures only
        decorate, and whatever reads the file for its rows refuses it.
    """
    by_batch: defaultdict[str, dict[str, dict[int, ChosenFrame]]] = defaultdict(dict)
    for each in chosen:
        by_batch[each.batch].setdefault(each.source_file, {})[each.frame] = each
    for batch, by_file in sorted(by_batch.items()):
        for file in _whole_files(layout, batch, by_file):
            of_file = by_file[file.source_file]
            for frame in frames_of(file.path, wanted=frozenset(of_file)):
                if isinstance(frame, Frame):
                    yield of_file[frame.index], frame


def _whole_files(layout: Layout, batch: str, names: Container[str]) -> Iterator[FileToRead]:
    try:
        landed = read_manifest(layout, "dicom", batch).files
    except DamagedManifestError:
        return
    for each in landed:
        if each.source_file in names:
            with suppress(DamagedFileError):
                yield from FileWork(str(layout.data_dir), batch, (each,), 0).to_read()
