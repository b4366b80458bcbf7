"""The check report as one HTML file that needs nothing else.

Belongs here: what the page is given. How it looks is in `check_page.html.jinja`.
"""

from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from itertools import groupby
from typing import NamedTuple

from markupsafe import Markup

from hc_assets.core.pages import page_template
from hc_assets.reports.check_report import CheckOutcome, Report, Trend, number

_WIDTH, _HEIGHT, _MARGIN = 160, 32, 4


class Point(NamedTuple):
    """A value in a plot: where, whether it passed, and what it says when pointed at."""

    x: float
    y: float
    passed: bool
    label: str


class Plot(NamedTuple):
    """A plot of a trend: its line, its points, and the height of the threshold's line."""

    line: str
    points: list[Point]
    threshold_y: float | None


class Row(NamedTuple):
    """A check on the page: how it went, its plot, and its last result."""

    trend: Trend
    plot: Plot
    outcomes: list[CheckOutcome]
    worst: str


def as_html(report: Report) -> str:
    """Render the page: sums, what needs attention, then each asset with its checks.

    It holds no script and loads nothing. What a check says is escaped.
    """
    of_check: dict[tuple[str, str], list[CheckOutcome]] = {}
    for outcome in report.outcomes:
        of_check.setdefault((outcome.asset, outcome.check), []).append(outcome)
    rows = [
        Row(trend, plot(trend), outcomes, _worst(outcome.mark for outcome in outcomes))
        for trend in report.trends
        for outcomes in [of_check[trend.asset, trend.check]]
    ]
    assets = [
        (asset, list(checks)) for asset, checks in groupby(rows, key=lambda row: row.trend.asset)
    ]
    filters: dict[str, Callable[..., str]] = {"number": number, "moment": _moment, "name": _name}
    return page_template("hc_assets.reports", "check_page.html.jinja", filters).render(
        report=report,
        sums=report.summary(),
        attention=report.findings(warnings=True),
        assets=assets,
        worst_of=_worst,
        width=_WIDTH,
        height=_HEIGHT,
    )


def plot(trend: Trend) -> Plot:
    """Lay a trend out in a small picture; values outside finite numbers leave a gap.

    The threshold is drawn where it lies among the values or near them, so that a value far from it
    does not flatten the line.
    """
    known = [value for value in trend.values if value is not None]
    if not known:
        return Plot("", [], None)
    low, high = min(known), max(known)
    threshold = trend.last.threshold
    reach = (high - low) or abs(high) or 1.0
    if threshold is not None and low - reach <= threshold <= high + reach:
        low, high = min(low, threshold), max(high, threshold)
    step = (_WIDTH - 2 * _MARGIN) / max(len(trend.values) - 1, 1)

    def height(value: float) -> float:
        share = (value - low) / (high - low) if high > low else 0.5
        return round(_HEIGHT - _MARGIN - share * (_HEIGHT - 2 * _MARGIN), 1)

    points = [
        Point(
            round(_MARGIN + index * step, 1),
            height(value),
            bool(outcome.passed),
            f"{outcome.mark} {outcome.where}: {number(value)}",
        )
        for index, (value, outcome) in enumerate(zip(trend.values, trend.outcomes, strict=True))
        if value is not None
    ]
    drawn = threshold is not None and low <= threshold <= high
    return Plot(
        " ".join(f"{point.x},{point.y}" for point in points),
        points,
        height(threshold) if drawn and threshold is not None else None,
    )


def _worst(marks: Iterable[str]) -> str:
    found = set(marks)
    return next(mark for mark in ("FAIL", "WARN", "PASS") if mark in found)


def _moment(time: str) -> str:
    """Write a time in ISO 8601 as people do; "" stays."""
    return f"{datetime.fromisoformat(time).astimezone(UTC):%Y-%m-%d %H:%M} UTC" if time else ""


def _name(text: str) -> Markup:
    """Let a long name break where it has an underscore, so that a phone need not cut words."""
    return Markup("_<wbr>").join(text.split("_"))  # which escapes the parts
