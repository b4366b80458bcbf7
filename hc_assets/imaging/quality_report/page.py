"""The quality report as one HTML file that needs nothing else, and as lines of text.

Belongs here: what the page is filled with. How it looks is in `page.html.jinja`.
"""

from typing import NamedTuple

from hc_assets.core.pages import page_template
from hc_assets.imaging.headers.defined_terms import scanner_name
from hc_assets.imaging.quality_report.report import QualityReport
from hc_assets.imaging.quality_report.statistics import BINS, THRESHOLDS, Group, Scores

_WIDTH, _HEIGHT = 480, 200
_LEFT, _BOTTOM, _TOP, _RIGHT = 44, 28, 10, 16
_LATEST = 60
_SIGNIFICANT = 3


class Bar(NamedTuple):
    """A bar of the histogram: where, how many frames, and whether it lies below the gate."""

    x: float
    y: float
    width: float
    height: float
    frames: int
    low: float
    high: float
    is_below: bool


class Step(NamedTuple):
    """A threshold, the frames that it would keep, their share, and what is set to it now."""

    threshold: float
    frames: int
    share: float
    note: str


class Moment(NamedTuple):
    """A batch in the chart over time: its key, scores, and the heights of its quartiles."""

    batch: str
    scores: Scores
    x: float
    low_y: float
    median_y: float
    high_y: float


class Line(NamedTuple):
    """A group in the table of statistics."""

    name: str
    scores: Scores


def as_html(report: QualityReport) -> str:
    """Render the page: sums, distribution, statistics, time, thresholds, the worst frames.

    It holds no script, loads nothing, and says neither who nor when a patient was: frames go by the
    hash of their file, scanners by their maker and a hash of their name. Of a header's own words it
    has only terms that DICOM defines.
    """
    return page_template("hc_assets.imaging.quality_report", "page.html.jinja").render(
        report=report,
        all=report.all_frames(),
        width=_WIDTH,
        height=_HEIGHT,
        left=_LEFT,
        base=_HEIGHT - _BOTTOM,
        right=_WIDTH - _RIGHT,
        top=_TOP,
        bars=_bars(report),
        most=int(report.all_frames().histogram().max()),
        gates=[("gate", _x(report.gate)), ("training gate", _x(report.training_gate))],
        gate_y=_y(report.gate),
        ticks=[(score / 5, _x(score / 5), _y(score / 5)) for score in range(6)],
        tables=[
            ("All frames", [Line("all frames", report.all_frames())]),
            ("By modality", [Line(name_of(g), s) for g, s in report.of("modality")]),
            ("By scanner", [Line(name_of(g), s) for g, s in report.of("scanner")]),
        ],
        box=_box,
        moments=_moments(report),
        batches=len(report.of("batch")),
        latest=_LATEST,
        steps=_steps(report),
    )


def name_of(group: Group) -> str:
    """Name of a group for a reader."""
    if group.scope == "scanner":
        scanner = scanner_name(group.scanner) or "unknown scanner"
        return f"{group.modality or 'no modality'}, {scanner}"
    return group.modality or group.batch or ("no modality" if group.scope == "modality" else "all")


def _x(score: float) -> float:
    return round(_LEFT + score * (_WIDTH - _LEFT - _RIGHT), 1)


def _y(share: float) -> float:
    return round(_HEIGHT - _BOTTOM - share * (_HEIGHT - _BOTTOM - _TOP), 1)


def _bars(report: QualityReport) -> list[Bar]:
    counts = report.all_frames().histogram()
    most = max(int(counts.max()), 1)
    bars = []
    for low, high, frames in zip(BINS[:-1], BINS[1:], counts, strict=True):
        x, y = _x(float(low)), _y(int(frames) / most)
        width = round(_x(float(high)) - x - 1, 1)
        height = round(_y(0) - y, 1)
        is_below = bool(low + 1e-9 < report.gate)
        bars.append(Bar(x, y, width, height, int(frames), float(low), float(high), is_below))
    return bars


def _box(scores: Scores) -> dict[str, float] | None:
    """Places, in per cent of the width, of the ends, quartiles and median of a group."""
    quartiles = [scores.percentile(p) for p in (25, 50, 75)]
    low, middle, high = (100 * value if value is not None else None for value in quartiles)
    if low is None or middle is None or high is None:
        return None
    return {
        "minimum": 100 * scores.minimum,
        "low": low,
        "middle": middle,
        "high": high,
        "maximum": 100 * scores.maximum,
    }


def _moments(report: QualityReport) -> list[Moment]:
    """The latest batches, oldest first; their keys sort by the time of landing."""
    latest = [(g.batch, s) for g, s in report.of("batch") if s.scored][-_LATEST:]
    room = _WIDTH - _LEFT - _RIGHT
    places = [round(_LEFT + (at + 0.5) * room / len(latest), 1) for at in range(len(latest))]
    return [
        Moment(batch, scores, x, *_quartiles(scores))
        for x, (batch, scores) in zip(places, latest, strict=True)
    ]


def _quartiles(scores: Scores) -> tuple[float, float, float]:
    low, middle, high = (_y(scores.percentile(p) or 0.0) for p in (25, 50, 75))
    return low, middle, high


def _steps(report: QualityReport) -> list[Step]:
    scores = report.all_frames()
    notes = {round(report.gate, 3): "the gate"}
    training = round(report.training_gate, 3)
    notes[training] = "both gates" if training in notes else "the training gate"
    thresholds = sorted({*(round(float(t), 3) for t in THRESHOLDS), *notes})
    steps = []
    for threshold in thresholds:
        kept = scores.kept(threshold)
        share = kept / scores.scored if scores.scored else 0.0
        steps.append(Step(threshold, kept, share, notes.get(threshold, "")))
    return steps


def as_text(report: QualityReport) -> str:
    """Return the statistics as lines, tab-separated, with a heading: scope, group, numbers."""
    heading = (
        "scope\tgroup\tframes\tscored\tpassing\tfit for training\twith text\tmean\tdeviation"
        "\tminimum\tp25\tp50\tp75\tp90\tmaximum"
    )
    return "\n".join([heading, *(_text_line(g, s) for g, s in report.groups.items())])


def _text_line(group: Group, scores: Scores) -> str:
    counts = (scores.frames, scores.scored, scores.passing, scores.training, scores.with_text)
    values = [scores.mean, scores.deviation]
    if scores.scored:
        values += [scores.minimum, *map(scores.percentile, (25, 50, 75, 90)), scores.maximum]
    else:
        values += [None] * 6
    texts = ("" if value is None else f"{value:.{_SIGNIFICANT}f}" for value in values)
    return "\t".join([group.scope, name_of(group), *map(str, counts), *texts])
