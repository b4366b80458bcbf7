"""Whether scanners make images as good as before, and series are steady: over batches and slices.

Belongs here: the evaluators of those checks. What is compared is made in
`imaging/quality/measure.py` and `imaging/series/series_quality.py`.
"""

import numpy as np
import pyarrow as pa

from hc_assets.core.verdicts import Verdict
from hc_assets.imaging.headers.defined_terms import modality_term, scanner_name

_LEAST_FRAMES = 10

COLUMNS = ["modality", "scanner", "overall_quality"]


def scanners_steady(now: pa.Table, before: pa.Table, threshold: float) -> Verdict:
    """Judge that no scanner's images are worse than they were.

    Args:
        now: frames of the batch, with `COLUMNS`.
        before: frames of earlier batches, with the same.
        threshold: most that a median may fall, 0 to 1.

    Returns:
        A verdict with the greatest fall of a scanner's median score as value, 0 where none fell.
        Scanners with fewer than ten frames on either side are not judged.
    """
    present, past = _by_scanner(now), _by_scanner(before)
    falls = {
        scanner: float(np.median(past[scanner]) - np.median(scores))
        for scanner, scores in present.items()
        if min(len(scores), len(past.get(scanner, []))) >= _LEAST_FRAMES
    }
    worst = max(falls, key=lambda scanner: falls[scanner], default=None)
    fall = max(0.0, falls[worst]) if worst is not None else 0.0
    fallen = sum(each > threshold for each in falls.values())
    explanation = "no scanner has enough frames before and now"
    if worst is not None:
        name = f"{modality_term(worst[0])} {scanner_name(worst[1])}".strip()
        explanation = f"{fallen} of {len(falls)} scanners fell by more; the worst: {name}"
    return Verdict(
        passed=fallen == 0,
        value=fall,
        threshold=threshold,
        explanation=explanation,
        counts={"scanners": len(falls), "fallen": fallen},
    )


def _by_scanner(frames: pa.Table) -> dict[tuple[str, str], list[float]]:
    found: dict[tuple[str, str], list[float]] = {}
    for row in frames.select(COLUMNS).to_pylist():
        if row["overall_quality"] is not None and row["scanner"]:
            key = (row["modality"] or "", row["scanner"])
            found.setdefault(key, []).append(row["overall_quality"])
    return found


def slices_consistent(outliers: pa.ChunkedArray, frames: pa.ChunkedArray, share: float) -> Verdict:
    """Judge that hardly any slice stands out from its neighbours.

    Args:
        outliers: outlier_frames of each series.
        frames: scored_frames of each, in the same order.
        share: most that may stand out, 0 to 1.
    """
    standing, total = sum(outliers.to_pylist()), sum(frames.to_pylist())
    value = standing / total if total else 0.0
    return Verdict(
        passed=value <= share,
        value=value,
        threshold=share,
        explanation=f"{standing} of {total} slices stand out from their neighbours",
        counts={"outliers": standing, "slices": total},
    )
