"""The check report in Markdown, for pull requests, chats and wikis.

Belongs here: rendering only.
"""

from collections.abc import Iterable, Sequence

from hc_assets.reports.check_report import CheckOutcome, Report, number

_SPECIAL = "\\`*[]<>|#"


def as_markdown(report: Report) -> str:
    """Render the sums, what needs attention, how values went, and every outcome."""
    attention = report.findings(warnings=True)
    sections = [
        "# Check report",
        f"{report.sums()}. Written {report.written_at or 'now'}.",
        "## Needs attention" if attention else "Nothing needs attention.",
    ]
    if attention:
        sections.append(_outcomes(attention))
    sections += [
        "## Trends",
        _table(
            ["asset", "check", "trend", "in words", "last"],
            ([t.asset, t.check, t.bars(), t.sentence(), t.last.mark] for t in report.trends),
        ),
        "## Every outcome",
        _outcomes(report.outcomes),
    ]
    if report.never_run:
        sections += ["## Never run", "\n".join(f"- {escaped(name)}" for name in report.never_run)]
    return "\n\n".join(sections)


def _outcomes(outcomes: Iterable[CheckOutcome]) -> str:
    return _table(
        ["result", "severity", "asset", "check", "batch", "value", "threshold", "when", "what"],
        (
            [
                outcome.mark,
                outcome.severity,
                outcome.asset,
                outcome.check,
                outcome.where,
                number(outcome.value),
                number(outcome.threshold),
                outcome.checked_at,
                outcome.explanation,
            ]
            for outcome in outcomes
        ),
    )


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [_row(head), _row(["---"] * len(head))]
    lines += [_row([escaped(cell) for cell in row]) for row in rows]
    return "\n".join(lines)


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def escaped(text: str) -> str:
    """Text whose special characters stand for themselves, on one line."""
    marked = "".join(f"\\{char}" if char in _SPECIAL else char for char in text)
    return " ".join(marked.split())
