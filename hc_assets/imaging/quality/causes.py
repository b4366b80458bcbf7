"""What is to blame for what a score lacks.

Belongs here: dividing it among the metrics. What the score is made of is in `measure.py`.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

# Whatever comes out below is as good as nothing, and must leave a finite logarithm
_LEAST = 1e-9


@dataclass(frozen=True)
class Factors:
    """What the parts of a score are products of, each 0 to 1.

    Attributes:
        visible: how far structure stands out of noise and artifacts.
        noisy: share of noise in what it stands out of; the rest are artifacts.
        sharp: how sharp the edges are, as measured.
        resolved: the same, less what noise makes of them.
        unsaturated: what saturation leaves.
        contrast: how far contrast stands out.
        even: how even the object is lit.
        clean: what artifacts leave.
    """

    visible: float
    noisy: float
    sharp: float
    resolved: float
    unsaturated: float
    contrast: float
    even: float
    clean: float


def costs_by_cause(factors: Factors, lacks: Mapping[str, float]) -> dict[str, float]:
    """Divide what each part of a score lacks among the factors that it is the product of.

    Args:
        factors: of the frame.
        lacks: what each part lacks, times its weight, by metric.

    Returns:
        The same sum, by the metric that is the cause: noise by snr, blur by sharpness, stripes,
        ghosts and saturation by artifacts_score. A product is divided by the logarithms of its
        factors.
    """
    roughened = factors.resolved / max(factors.sharp, _LEAST)
    everywhere = {
        "snr": factors.visible**factors.noisy * roughened,
        "sharpness": factors.sharp,
        "artifacts_score": factors.visible ** (1 - factors.noisy) * factors.unsaturated,
    }
    spoiled = everywhere["artifacts_score"] * factors.clean
    own: Mapping[str, Mapping[str, float]] = {
        "cnr": {
            "cnr": factors.contrast,
            "snr": roughened,
            "sharpness": factors.sharp,
            "artifacts_score": factors.unsaturated,
        },
        "uniformity": {**everywhere, "uniformity": factors.even, "artifacts_score": spoiled},
        "artifacts_score": {**everywhere, "artifacts_score": spoiled},
    }
    costs: dict[str, float] = {}
    for name, lack in lacks.items():
        losses = {
            cause: max(0.0, -float(np.log(max(factor, _LEAST))))
            for cause, factor in own.get(name, everywhere).items()
        }
        total = sum(losses.values())
        for cause, loss in losses.items():
            costs[cause] = costs.get(cause, 0.0) + (lack * loss / total if total > 0 else 0.0)
    return costs
