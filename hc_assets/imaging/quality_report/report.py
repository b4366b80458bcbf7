"""The quality report: how the scores of all frames lie, and the worst; without patient data.

Belongs here: gathering it from the lake in one pass. How it looks is in `page.py`.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import pyarrow as pa

from hc_assets.imaging.quality_report import chosen_frames
from hc_assets.imaging.quality_report.chosen_frames import ChosenFrame, Selection, read_frames
from hc_assets.imaging.quality_report.statistics import COLUMNS, Group, Scores, count
from hc_assets.imaging.quality_report.thumbnails import data_uri, png, tile
from hc_assets.lake.layout import Layout
from hc_assets.lake.tables import LakeTable

_WORST = 12
_SIDE = 128
_PICTURE_BYTES = 20_000


@dataclass(frozen=True)
class WorstFrame:
    """A frame of a low score.

    Attributes:
        chosen: where it is, and what was measured of it; the page gives its label, not its file.
        picture: thumbnail as a data URI; None where pictures are off or it can't be decoded.
        is_blurred: whether the thumbnail is.
    """

    chosen: ChosenFrame
    picture: str | None = None
    is_blurred: bool = False


@dataclass(frozen=True)
class QualityReport:
    """All that the report says.

    Attributes:
        groups: scores of all frames, by modality, scanner and batch, in that order.
        gate: from which a frame passes.
        training_gate: from which it is fit for a training set.
        worst: frames of the lowest scores, the lowest first.
    """

    groups: Mapping[Group, Scores]
    gate: float
    training_gate: float
    worst: tuple[WorstFrame, ...] = ()

    def of(self, scope: str) -> list[tuple[Group, Scores]]:
        """Groups of a scope with their scores."""
        return [(group, s) for group, s in self.groups.items() if group.scope == scope]

    def all_frames(self) -> Scores:
        """Scores of all frames."""
        return self.groups[Group("all")]


def gather(
    layout: Layout, metrics: LakeTable, *, gate: float, training_gate: float, pictures: bool
) -> QualityReport:
    """Gather the report.

    Args:
        layout: where the batches are, for the pictures.
        metrics: rows of `imaging/quality_metrics`.
        gate: from which a frame passes.
        training_gate: from which it is fit for a training set.
        pictures: whether the worst frames are shown.
    """
    selection = Selection(worst=_WORST, sample=0)
    groups = count(_seen_by(selection, metrics))
    worst = selection.worst()
    frames = {w: WorstFrame(w) for w in worst}
    if pictures:
        for each, frame in read_frames(layout, worst):
            made = tile(frame, side=_SIDE)
            picture = data_uri(png(made.picture, most_bytes=_PICTURE_BYTES))
            frames[each] = WorstFrame(each, picture, made.is_blurred)
    return QualityReport(groups, gate, training_gate, tuple(frames.values()))


def _seen_by(selection: Selection, metrics: LakeTable) -> Iterator[pa.RecordBatch]:
    for rows in metrics.batches(sorted({*COLUMNS, *chosen_frames.COLUMNS})):
        selection.add(rows)
        yield rows
