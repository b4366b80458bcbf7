"""The asset-check report: the last result of each check for each batch, and how its value went.

Belongs here: outcomes, what follows from them, and the two plainest formats, text and JSON. The
others are beside it, collected in `formats.py`; where outcomes come from is in
`orchestration/check_results.py`.
"""

import math
from collections.abc import Sequence
from datetime import UTC, datetime
from itertools import groupby

import msgspec

TREND_LENGTH = 30
_BARS = "▁▂▃▄▅▆▇█"
_GAP = "·"


class CheckOutcome(msgspec.Struct, frozen=True, order=True):
    """The result of a check for one batch, or for all of them.

    Attributes:
        asset: `<group>/<asset>`.
        check: its name.
        batch: key of the batch; None for an asset over all batches.
        passed: whether it held; None where it never ran to its end.
        severity: ERROR or WARN.
        is_blocking: whether its failure stops what is downstream.
        value: what was measured.
        threshold: what it was held against.
        explanation: a sentence, free of patient data.
        checked_at: UTC time, ISO 8601.
        run_id: Dagster's id of the run.
    """

    asset: str
    check: str
    batch: str | None
    passed: bool | None
    severity: str
    is_blocking: bool
    value: float | None
    threshold: float | None
    explanation: str
    checked_at: str
    run_id: str = ""

    @property
    def mark(self) -> str:
        """PASS; FAIL where it did not hold or did not end; WARN where its severity says so."""
        if self.passed:
            return "PASS"
        return "FAIL" if self.severity == "ERROR" else "WARN"

    @property
    def where(self) -> str:
        """The batch, or that it is about all of them."""
        return self.batch or "all batches"


class Trend(msgspec.Struct, frozen=True):
    """How the value of a check went: over past batches, or over time where it has none.

    Attributes:
        asset: `<group>/<asset>`.
        check: its name.
        outcomes: oldest first, the last `TREND_LENGTH` at most.
    """

    asset: str
    check: str
    outcomes: list[CheckOutcome]

    @property
    def last(self) -> CheckOutcome:
        """The latest outcome."""
        return self.outcomes[-1]

    @property
    def values(self) -> list[float | None]:
        """Finite values, oldest first; None where there was none."""
        return [
            o.value if o.value is not None and math.isfinite(o.value) else None
            for o in self.outcomes
        ]

    def bars(self) -> str:
        """The values as a line of block characters; a dot where there was none."""
        known = [value for value in self.values if value is not None]
        low, high = min(known, default=0.0), max(known, default=0.0)
        step = (high - low) / (len(_BARS) - 1)
        return "".join(
            _GAP if value is None else _BARS[round((value - low) / step) if step else 0]
            for value in self.values
        )

    def sentence(self) -> str:
        """Describe in words how the value went, for those who can't see the line."""
        known = [value for value in self.values if value is not None]
        failed = sum(not o.passed for o in self.outcomes)
        went = f"{number(known[0])} to {number(known[-1])}" if known else "no values"
        return f"{went} in {len(self.outcomes)}, {failed} not passed"


class Report(msgspec.Struct, frozen=True):
    """The results of all checks.

    Attributes:
        outcomes: the last one of each check for each batch, the failed ones first.
        never_run: names `<asset>: <check>` of checks without any outcome.
        trends: of each check that ran, by asset and check.
        written_at: UTC time, ISO 8601.
        ui_url: address of Dagster's UI, for links; "" for none.
    """

    outcomes: list[CheckOutcome]
    never_run: list[str]
    trends: list[Trend]
    written_at: str = ""
    ui_url: str = ""

    @classmethod
    def of(
        cls,
        history: Sequence[CheckOutcome],
        never_run: Sequence[str],
        *,
        written_at: str = "",
        ui_url: str = "",
    ) -> "Report":
        """Make a report of all results of checks.

        In any order; of the outcomes of one second, the later stand behind the earlier.
        """
        latest: list[CheckOutcome] = []
        trends: list[Trend] = []
        in_time = sorted(history, key=lambda o: (o.asset, o.check, o.checked_at))
        for (asset, check), of_check in groupby(in_time, key=lambda o: (o.asset, o.check)):
            past = list(of_check)
            by_batch = {outcome.batch: outcome for outcome in past}
            latest += by_batch.values()
            # A batch counts once, in the place of its key; a check without batches by time.
            batches = sorted((o for o in by_batch.values() if o.batch), key=lambda o: o.where)
            plotted = batches or past
            trends.append(Trend(asset, check, plotted[-TREND_LENGTH:]))
        latest.sort(key=_failed_first)
        return cls(latest, sorted(never_run), trends, written_at, ui_url)

    def summary(self) -> dict[str, int]:
        """How many outcomes passed, failed and warned, and how many checks never ran."""
        marks = [outcome.mark for outcome in self.outcomes]
        return {
            "passed": marks.count("PASS"),
            "failed": marks.count("FAIL"),
            "warned": marks.count("WARN"),
            "never_run": len(self.never_run),
        }

    def findings(self, *, warnings: bool = False) -> list[CheckOutcome]:
        """Outcomes to act on: failed ones of severity ERROR, with `warnings` those of WARN too."""
        return [o for o in self.outcomes if o.mark == "FAIL" or (warnings and o.mark == "WARN")]

    def sums(self) -> str:
        """The summary as a line."""
        return ", ".join(
            f"{count} {name.replace('_', ' ')}" for name, count in self.summary().items()
        )


def as_json(report: Report) -> str:
    """Report as one JSON object: `written_at`, `summary`, `checks`, `trends` and `never_run`."""
    content = {
        "written_at": report.written_at,
        "summary": report.summary(),
        "checks": report.outcomes,
        "trends": [
            {
                "asset": trend.asset,
                "check": trend.check,
                "batches": [outcome.batch for outcome in trend.outcomes],
                "values": trend.values,
                "passed": [outcome.passed for outcome in trend.outcomes],
            }
            for trend in report.trends
        ],
        "never_run": report.never_run,
    }
    return msgspec.json.format(msgspec.json.encode(content), indent=2).decode()


def as_text(report: Report) -> str:
    """Report for a terminal: a line per outcome, the failed ones first, trends, then the sums."""
    lines = [
        f"{o.mark}  {o.severity:5}  {o.asset}: {o.check} [{o.where}] {o.checked_at}:"
        f" {o.explanation} (value {number(o.value)}, threshold {number(o.threshold)})"
        for o in report.outcomes
    ]
    lines += [
        f"----  {trend.asset}: {trend.check}: {trend.bars()} {trend.sentence()}"
        for trend in report.trends
        if len(trend.outcomes) > 1
    ]
    lines += [f"----  {name}: never run" for name in report.never_run]
    return "\n".join([*lines, report.sums()])


def _failed_first(outcome: CheckOutcome) -> tuple[bool, str, str, str, str]:
    # A check may have outcomes of batches and, from when it had none, of all of them.
    place = (outcome.asset, outcome.check, outcome.batch or "")
    return (outcome.passed is True, outcome.severity, *place)


def number(value: float | None) -> str:
    """A number in four digits, or that there is none."""
    return "none" if value is None else f"{value:.4g}"


def utc(timestamp: float) -> str:
    """ISO 8601 of a POSIX timestamp, in UTC, to the second."""
    return datetime.fromtimestamp(timestamp, UTC).isoformat(timespec="seconds")
