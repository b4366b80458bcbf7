"""How the scores of many frames lie, in bounded memory: by modality, by scanner, by batch, in all.

Belongs here: counting. Rows come from `imaging/quality_metrics`; how they are shown is in
`page.py` and `pictures.py`.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from hc_assets.imaging.headers.defined_terms import MODALITIES

COLUMNS = (
    *("batch", "modality", "scanner", "overall_quality"),
    *("passes_gate", "is_fit_for_training", "has_burned_in_text"),
)
BINS = np.arange(21) / 20
"""Edges of the histograms' bins."""
THRESHOLDS = np.arange(21) / 20
"""Gates that might be set."""
_FINE = 1000
_EDGES = np.arange(_FINE + 1) / _FINE
_PERCENTILES = (25, 50, 75, 90)


class Group(NamedTuple):
    """A group of frames; what it is not by is empty."""

    scope: str
    modality: str = ""
    scanner: str = ""
    batch: str = ""


@dataclass
class Scores:
    """Scores of the frames of a group, counted into a thousand bins, and one for those of 1.

    Attributes:
        frames: decoded.
        scored: with a score.
        passing: that pass the gate.
        training: that are fit for a training set.
        with_text: with probable burned-in text.
        minimum: least score.
        maximum: greatest score.
    """

    frames: int = 0
    scored: int = 0
    passing: int = 0
    training: int = 0
    with_text: int = 0
    minimum: float = np.inf
    maximum: float = -np.inf
    _mean: float = 0.0
    _squares: float = 0.0
    _fine: NDArray[np.int64] = field(default_factory=lambda: np.zeros(_FINE + 1, np.int64))

    def add(self, rows: pa.RecordBatch) -> None:
        """Take in rows of `imaging/quality_metrics` with `COLUMNS`."""
        self.frames += rows.num_rows
        self.passing += _trues(rows["passes_gate"])
        self.training += _trues(rows["is_fit_for_training"])
        self.with_text += _trues(rows["has_burned_in_text"])
        values = rows["overall_quality"].drop_null().to_numpy(zero_copy_only=False)
        if values.size:
            self._add_values(values)

    def _add_values(self, values: NDArray[np.float64]) -> None:
        self.minimum = min(self.minimum, float(values.min()))
        self.maximum = max(self.maximum, float(values.max()))
        # Chan, Golub and LeVeque, The American Statistician 37:242, 1983
        mean = float(values.mean())
        apart, total = mean - self._mean, self.scored + values.size
        self._squares += float(np.square(values - mean).sum())
        self._squares += apart**2 * self.scored * values.size / total
        self._mean += apart * values.size / total
        self.scored = total
        at = np.searchsorted(_EDGES, values, side="right") - 1
        self._fine += np.bincount(at, minlength=_FINE + 1)

    @property
    def mean(self) -> float | None:
        """Mean score; None where none is scored."""
        return self._mean if self.scored else None

    @property
    def deviation(self) -> float | None:
        """Standard deviation of the scores themselves; None where none is scored."""
        return float(np.sqrt(self._squares / self.scored)) if self.scored else None

    def percentile(self, percent: float) -> float | None:
        """A percentile to within 0.001; None where none is scored.

        Args:
            percent: 0 to 100.
        """
        if not self.scored:
            return None
        rank = percent / 100 * self.scored
        reached = np.cumsum(self._fine)
        at = int(np.searchsorted(reached, rank, side="left"))
        inside = (rank - (reached[at] - self._fine[at])) / max(int(self._fine[at]), 1)
        value = (at + float(inside)) / _FINE
        return min(max(value, self.minimum), self.maximum)

    def histogram(self) -> NDArray[np.int64]:
        """Frames in each bin of `BINS`."""
        counts: NDArray[np.int64] = self._fine[:-1].reshape(len(BINS) - 1, -1).sum(axis=1)
        counts[-1] += self._fine[-1]
        return counts

    def kept(self, threshold: float) -> int:
        """How many frames a gate would keep.

        Args:
            threshold: a multiple of 0.001, 0 to 1.
        """
        return int(self._fine[round(threshold * _FINE) :].sum())


def _trues(values: pa.Array) -> int:
    return int(pc.sum(values.cast(pa.int64())).as_py() or 0)


def count(batches: Iterable[pa.RecordBatch]) -> dict[Group, Scores]:
    """Count frames by group.

    Args:
        batches: of `imaging/quality_metrics`, with `COLUMNS`.

    Returns:
        The scores of all frames, then by modality, by scanner and by batch, each sorted by name.
        A frame without a modality that DICOM defines, or without a scanner, is in the group of the
        empty name.
    """
    groups: defaultdict[Group, Scores] = defaultdict(Scores)
    groups[Group("all")] = Scores()
    for batch in batches:
        rows = _with_defined_modalities(batch)
        groups[Group("all")].add(rows)
        for group, members in _divided(rows):
            groups[group].add(members)
    scopes = ("all", "modality", "scanner", "batch")
    order = sorted(groups, key=lambda group: (scopes.index(group.scope), *group[1:]))
    return {group: groups[group] for group in order}


def _with_defined_modalities(rows: pa.RecordBatch) -> pa.RecordBatch:
    at = rows.schema.get_field_index("modality")
    is_defined = pc.is_in(rows["modality"], pa.array(sorted(MODALITIES)))
    named = pc.if_else(is_defined, rows["modality"], pa.scalar(None, pa.string()))
    return rows.set_column(at, "modality", named)


def _divided(rows: pa.RecordBatch) -> Iterator[tuple[Group, pa.RecordBatch]]:
    for scope, names in (
        ("modality", ("modality",)),
        ("scanner", ("modality", "scanner")),
        ("batch", ("batch",)),
    ):
        keys = [pc.fill_null(rows[name], "") for name in names]
        values = [key.to_pylist() for key in keys]
        for found in sorted(set(zip(*values, strict=True))):
            inside = pc.equal(keys[0], found[0])
            for key, value in zip(keys[1:], found[1:], strict=True):
                inside = pc.and_(inside, pc.equal(key, value))
            yield Group(scope, **dict(zip(names, found, strict=True))), rows.filter(inside)


def report_row(group: Group, scores: Scores) -> dict[str, Any]:
    """Make the row of `imaging/quality_report` of a group."""
    return {
        "scope": group.scope,
        # An empty name inside a scope that goes by it stays: it is a group as well
        "modality": group.modality if group.scope in ("modality", "scanner") else None,
        "scanner": group.scanner if group.scope == "scanner" else None,
        "batch": group.batch if group.scope == "batch" else None,
        "frames": scores.frames,
        "scored_frames": scores.scored,
        "passing_frames": scores.passing,
        "training_frames": scores.training,
        "frames_with_text": scores.with_text,
        "mean": scores.mean,
        "deviation": scores.deviation,
        "minimum": scores.minimum if scores.scored else None,
        "maximum": scores.maximum if scores.scored else None,
        **{f"percentile_{p}": scores.percentile(p) for p in _PERCENTILES},
        "histogram": scores.histogram().tolist(),
        "kept": [
            {"threshold": float(threshold), "frames": scores.kept(float(threshold))}
            for threshold in THRESHOLDS
        ],
    }
