"""How good a batch is: the evaluators behind the checks of quality and quarantine.

Belongs here: judging figures of one batch. Which check uses what, and how bad a failure is, is in
`fhir/checks.py`; whether everything came through is judged in `accounting.py`.
"""

import re
from collections import Counter
from collections.abc import Collection, Mapping

import pyarrow as pa
import pyarrow.compute as pc

from hc_assets.core.verdicts import Verdict, none_of
from hc_assets.fhir.bundles.not_data import INVALID
from hc_assets.fhir.validation.profile_rules import NONE_NAMED
from hc_assets.lake.tables import LakeTable

_SHOWN_RULES = 20


def mean_quality(enriched: LakeTable) -> tuple[float | None, int]:
    """Mean quality score of enriched resources, and how many there are; None where none is."""
    total, count = 0.0, 0
    for batch in enriched.batches(["quality_score"]):
        scores = batch["quality_score"].drop_null()
        total += pc.sum(scores).as_py() or 0.0
        count += len(scores)
    return (total / count if count else None), count


def quality_at_least(mean: float | None, count: int, threshold: float) -> Verdict:
    """Judge the mean quality score of a batch against a lower bound.

    Args:
        mean: of its resources, 0 to 1; None where it has none, so that none is bad.
        count: how many resources.
        threshold: the least mean.
    """
    value = 1.0 if mean is None else mean
    return Verdict(
        passed=value >= threshold,
        value=value,
        threshold=threshold,
        explanation="there is no resource to score"
        if mean is None
        else f"mean quality score of {count} resources is {mean:.3f}",
        counts={"resources": count},
    )


def all_still_valid(left_out: Mapping[str, int], total: int) -> Verdict:
    """Judge that resources are valid R4 with all that enrichment adds.

    Args:
        left_out: of how many something had to be left out, by the rule that it would have broken,
            and where.
        total: how many were enriched.

    Returns:
        A verdict whose value is the number of those; only 0 passes.
    """
    verdict = none_of(
        sum(left_out.values()), total, what="resources that enrichment would have made invalid"
    )
    if not left_out:
        return verdict
    ranked = sorted(left_out.items(), key=lambda pair: (-pair[1], pair[0]))[:_SHOWN_RULES]
    shown = "; ".join(f"{count} by {what}" for what, count in ranked)
    return Verdict(
        passed=verdict.passed,
        value=verdict.value,
        threshold=verdict.threshold,
        explanation=f"{verdict.explanation}: {shown}",
        counts=verdict.counts | dict(ranked),
    )


def count_by_class(quarantined: LakeTable) -> Counter[str]:
    """How many quarantined entries are of each class: invalid, or not data."""
    counts: Counter[str] = Counter()
    for batch in quarantined.batches(["position", "class"]):
        for each in classes_of(batch).value_counts().to_pylist():
            counts[each["values"]] += each["counts"]
    return counts


def classes_of(quarantined: pa.RecordBatch) -> pa.Array:
    """The column `class`; of rows of a version that had none, all are invalid."""
    if "class" in quarantined.schema.names:
        return quarantined["class"]
    return pa.repeat(INVALID, quarantined.num_rows)


def entries_by_rule(quarantined: LakeTable) -> Counter[str]:
    """How many quarantined entries break each rule; an entry counts once for a rule."""
    counts: Counter[str] = Counter()
    for batch in quarantined.batches(["issues"]):
        for issues in batch["issues"].to_pylist():
            counts.update({issue["rule"] for issue in issues if issue["severity"] in _ERRORS})
    return counts


_ERRORS = frozenset({"fatal", "error"})


def quarantine_rate_at_most(by_rule: Mapping[str, int], total: int, threshold: float) -> Verdict:
    """Judge the share of a batch's entries that any one rule sends to quarantine.

    Args:
        by_rule: how many entries break each rule.
        total: entries of the batch that are data.
        threshold: the greatest share that one rule may have, 0 to 1.

    Returns:
        A verdict whose value is the share of the rule with the most entries.
    """
    ranked = sorted(by_rule.items(), key=lambda pair: (-pair[1], pair[0]))
    worst, most = ranked[0] if ranked else ("", 0)
    value = most / total if total else 0.0
    return Verdict(
        passed=value <= threshold,
        value=value,
        threshold=threshold,
        explanation=f"{most} of {total} entries break {worst}" if worst else "no rule is broken",
        counts={f"rule {rule}": count for rule, count in ranked[:_SHOWN_RULES]},
    )


def none_let_through(by_rule: Mapping[str, int], total: int) -> Verdict:
    """Judge that no rule is broken that a deployment lets through.

    Args:
        by_rule: how often each such rule is broken.
        total: resources of the batch.

    Returns:
        A verdict whose value is the number of breaches; only 0 passes.
    """
    ranked = sorted(by_rule.items(), key=lambda pair: (-pair[1], pair[0]))
    count = sum(by_rule.values())
    listed = ", ".join(f"{rule} {number}" for rule, number in ranked[:_SHOWN_RULES])
    return Verdict(
        passed=count == 0,
        value=float(count),
        threshold=0.0,
        explanation=f"{count} breaches of rules let through in {total} resources"
        + (f": {listed}" if listed else ""),
        counts={"resources": total}
        | {f"rule {rule}": number for rule, number in ranked[:_SHOWN_RULES]},
    )


def names_one_of(urls: Collection[str], rows: LakeTable) -> bool:
    """Whether some resource holds one of some URLs.

    Args:
        urls: of profiles.
        rows: with the column `resource`. They are read until one is found.
    """
    pattern = f'"(?:{"|".join(map(re.escape, sorted(urls)))})["|]'
    return bool(urls) and any(
        pc.any(pc.match_substring_regex(batch["resource"], pattern)).as_py()
        for batch in rows.batches(["resource"])
    )


def some_are_named(*, given: int, named: bool) -> Verdict:
    """Judge that profiles were of use.

    Args:
        given: how many there are that hold only for what names them.
        named: whether some resource names one of them.
    """
    fails = bool(given) and not named
    text = "some resource names one of them" if named else NONE_NAMED
    return Verdict(
        passed=not fails,
        value=float(fails),
        threshold=0.0,
        explanation=f"{given} profiles given: {text}" if given else "no profile waits to be named",
        counts={"profiles": given},
    )
