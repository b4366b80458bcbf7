"""What a check's evaluator answers: did it hold, with which value against which threshold.

Belongs here: the answer's shape only. Evaluators belong to their domain; `orchestration/checks.py`
of each domain turns a verdict into an asset check result.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

_PLACES_SHOWN = 20


@dataclass(frozen=True)
class Verdict:
    """The outcome of one check.

    Attributes:
        passed: whether what the check's name says holds.
        value: what was measured.
        threshold: what it was held against, in the value's unit.
        explanation: one sentence for a person, free of patient data.
        counts: further whole numbers worth showing, by name.
    """

    passed: bool
    value: float
    threshold: float
    explanation: str
    counts: dict[str, int] = field(default_factory=dict)


def rate_at_least(good: int, total: int, threshold: float, *, what: str) -> Verdict:
    """Judge a share against a lower bound.

    Args:
        good: how many have the property, 0 to `total`.
        total: how many there are; where there are none the share is 1, since none lacks it.
        threshold: the least share, 0 to 1.
        what: plural noun phrase of what is counted, for the explanation.

    Returns:
        A verdict with the share as value.
    """
    rate = good / total if total else 1.0
    return Verdict(
        passed=rate >= threshold,
        value=rate,
        threshold=threshold,
        explanation=f"{good} of {total} {what}",
        counts={"good": good, "total": total},
    )


def all_accounted_for(arrived: int, kept: int, set_aside: int, *, what: str) -> Verdict:
    """Judge whether everything that came in came out, kept or set aside with a reason.

    Args:
        arrived: how many came in.
        kept: how many went on.
        set_aside: how many were set aside with a reason.
        what: plural noun of what is counted, for the explanation.

    Returns:
        A verdict whose value is what came out less what came in; only 0 passes.
    """
    surplus = kept + set_aside - arrived
    return Verdict(
        passed=surplus == 0,
        value=float(surplus),
        threshold=0.0,
        explanation=f"{what}: {arrived} in, {kept} kept, {set_aside} set aside",
        counts={"arrived": arrived, "kept": kept, "set_aside": set_aside},
    )


def none_of(offending: int, total: int, *, what: str) -> Verdict:
    """Judge that a fault occurs nowhere.

    Args:
        offending: how many have the fault.
        total: how many were looked at.
        what: plural noun phrase of the fault, for the explanation.

    Returns:
        A verdict whose value is the number of offenders; only 0 passes.
    """
    return Verdict(
        passed=offending == 0,
        value=float(offending),
        threshold=0.0,
        explanation=f"{offending} {what} among {total}",
        counts={"offending": offending, "total": total},
    )


def at_most(value: float, threshold: float, *, what: str) -> Verdict:
    """Judge a measure against an upper bound.

    Args:
        value: what was measured.
        threshold: the most that passes, in the value's unit.
        what: unit and what is measured, for the explanation.

    Returns:
        A verdict with the measure as value.
    """
    return Verdict(
        passed=value <= threshold,
        value=value,
        threshold=threshold,
        explanation=f"{value:.1f} {what}",
    )


def no_internal_errors(by_place: Mapping[str, int]) -> Verdict:
    """Judge that no row was stopped by an error of ours or of a library's (`core/fence.py`).

    Args:
        by_place: how many rows each error stopped, by its class and place: `InternalError.error`.

    Returns:
        A verdict whose value is the number of rows; only 0 passes. Its counts are those of the most
        frequent errors.
    """
    ranked = sorted(by_place.items(), key=lambda pair: (-pair[1], pair[0]))
    rows = sum(by_place.values())
    most = f", most of them by {ranked[0][0]}" if len(ranked) > 1 else ""
    alone = f" by {ranked[0][0]}" if len(ranked) == 1 else ""
    return Verdict(
        passed=rows == 0,
        value=float(rows),
        threshold=0.0,
        explanation=f"{rows} rows were stopped by internal errors{alone}{most}",
        counts=dict(ranked[:_PLACES_SHOWN]),
    )
