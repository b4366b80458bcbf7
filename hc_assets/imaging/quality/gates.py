"""Whether a frame passes a quality gate, and what holds it down where it does not.

Belongs here: comparing and explaining. What is measured is in `measure.py`.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field

from hc_assets.imaging.quality.artifacts import ARTIFACTS
from hc_assets.imaging.quality.measure import Quality
from hc_assets.imaging.quality.scale import SCALES, QualityScale


@dataclass(frozen=True)
class Rules:
    """What frames are held to.

    Attributes:
        gate: score from which a frame is preprocessed, 0 to 1.
        training_gate: score from which it is fit for a training set, 0 to 1.
        scales: what counts as good, by modality.
        excludes_burned_in_text: whether a frame with probable text is unfit for a training set.
    """

    gate: float = 0.5
    training_gate: float = 0.7
    scales: Mapping[str, QualityScale] = field(default_factory=lambda: dict(SCALES))
    excludes_burned_in_text: bool = True

    def digest(self) -> str:
        """SHA-256 of all of it, in hex: other rules give other rows."""
        plain = json.dumps(asdict(self), sort_keys=True)
        return hashlib.sha256(plain.encode()).hexdigest()


def is_fit_for_training(
    overall: float | None, rules: Rules, *, has_burned_in_text: bool | None
) -> bool | None:
    """Whether a frame may go into a training set.

    Args:
        overall: score of the frame.
        rules: what it is held to.
        has_burned_in_text: whether text is probable; None where nobody looked, which is no reason
            to leave it out: that is so of slices as acquired only.

    Returns:
        None where there is no score.
    """
    if overall is None:
        return None
    has_text = bool(has_burned_in_text) and rules.excludes_burned_in_text
    return overall >= rules.training_gate and not has_text


@dataclass(frozen=True)
class Explanation:
    """What a score comes from.

    Attributes:
        limiting_metric: the metric that costs most; None where there is no score.
        shortfall: how much the score lacks to pass, above 0; None where it passes or is missing.
        text: for a person.
    """

    limiting_metric: str | None
    shortfall: float | None
    text: str


def explain(quality: Quality, gate: float) -> Explanation:
    """Explain the score of a frame.

    Args:
        quality: of the frame.
        gate: from which it passes, 0 to 1.
    """
    if quality.overall is None:
        reasons = sorted({m.reason for m in quality.metrics.values() if m.reason})
        return Explanation(None, None, f"no score: {', '.join(reasons)}")
    costs = quality.costs
    order = sorted(costs, key=lambda name: -costs[name])
    causes = ", ".join(
        f"{name} costs {costs[name]:.2f}{_found(quality, name)}" for name in order[:2]
    )
    if quality.overall >= gate:
        return Explanation(order[0], None, f"passes the gate of {gate:.2f}; {causes}")
    shortfall = gate - quality.overall
    return Explanation(
        order[0], shortfall, f"fails the gate of {gate:.2f} by {shortfall:.2f}: {causes}"
    )


def _found(quality: Quality, name: str) -> str:
    """What was measured: of artifacts the worst."""
    if name == "artifacts_score" and quality.artifacts is not None:
        severities = {each: getattr(quality.artifacts, each) or 0.0 for each in ARTIFACTS}
        worst = max(severities, key=lambda each: severities[each])
        return f" (most of it {worst}, {severities[worst]:.2f})"
    value = quality.metrics[name].value
    return "" if value is None else f" (it is {value:.3g})"
