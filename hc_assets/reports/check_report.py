"""The asset-check report: what each check last said of each batch, as text or JSON.

Belongs here: plain outcomes in, a page out. Where outcomes come from is in `checks.py` beside it.
"""

from collections.abc import Sequence
from datetime import UTC, datetime

import msgspec


class CheckOutcome(msgspec.Struct, frozen=True, order=True):
    """What a check said of one batch, or of all of them.

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


def failed_errors(outcomes: Sequence[CheckOutcome]) -> list[CheckOutcome]:
    """Those of severity ERROR that did not hold, or did not come to an end."""
    return [o for o in outcomes if not o.passed and o.severity == "ERROR"]


def as_json(outcomes: Sequence[CheckOutcome], never_run: Sequence[str]) -> bytes:
    """Report as one JSON object: `summary`, `checks` and `never_run`."""
    report = {
        "summary": _summary(outcomes, never_run),
        "checks": outcomes,
        "never_run": never_run,
    }
    return msgspec.json.format(msgspec.json.encode(report), indent=2)


def as_text(outcomes: Sequence[CheckOutcome], never_run: Sequence[str]) -> str:
    """Report for a terminal: one line per outcome, the failed ones first, then the sums."""
    lines = []
    for outcome in sorted(outcomes, key=_failed_first):
        mark = "PASS" if outcome.passed else ("FAIL" if outcome.severity == "ERROR" else "WARN")
        lines.append(
            f"{mark}  {outcome.asset}: {outcome.check}"
            f" [{outcome.batch or 'all batches'}]: {outcome.explanation}"
            f" (value {_number(outcome.value)}, threshold {_number(outcome.threshold)})"
        )
    lines += [f"----  {name}: never run" for name in never_run]
    sums = _summary(outcomes, never_run)
    lines.append(
        f"{sums['passed']} passed, {sums['failed']} failed, {sums['warned']} warned,"
        f" {sums['never_run']} never run"
    )
    return "\n".join(lines)


def _failed_first(outcome: CheckOutcome) -> tuple[bool, str, str, str, str]:
    # A check may have outcomes of batches and, from when it had none, of all of them.
    place = (outcome.asset, outcome.check, outcome.batch or "")
    return (outcome.passed is True, outcome.severity, *place)


def _summary(outcomes: Sequence[CheckOutcome], never_run: Sequence[str]) -> dict[str, int]:
    failed = len(failed_errors(outcomes))
    passed = sum(outcome.passed is True for outcome in outcomes)
    return {
        "passed": passed,
        "failed": failed,
        "warned": len(outcomes) - passed - failed,
        "never_run": len(never_run),
    }


def _number(value: float | None) -> str:
    return "none" if value is None else f"{value:.4g}"


def utc(timestamp: float) -> str:
    """ISO 8601 of a POSIX timestamp, in UTC, to the second."""
    return datetime.fromtimestamp(timestamp, UTC).isoformat(timespec="seconds")
