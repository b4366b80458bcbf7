"""How far what there is to be seen stands out of all that disturbs: noise, stripes, ghosts.

Belongs here: the two ratios that the score is made of. They take no decision on what is object,
tissue or air, so that they fall steadily where an image gets worse.
"""

from dataclasses import dataclass

import numpy as np

from hc_assets.imaging.quality.regions import Regions
from hc_assets.imaging.quality.samples import deviation, sampled

# What the object's contrast against its surroundings counts beside the contrast inside it. Ours:
# chosen on the images of `benchmarks/quality_ranking.py`
_OUTER_SHARE = 0.25


@dataclass(frozen=True)
class StandsOut:
    """Ratios without unit, above 0.

    Attributes:
        structure: twice the standard deviation of the image without its noise, over the
            disturbance; the signal-to-noise ratio of an object that fills half of the image.
        contrast: the same inside the object, with a quarter of its contrast against the rest.
    """

    structure: float
    contrast: float


def structure_over_disturbance(regions: Regions, *, noise_sd: float, amplitude: float) -> StandsOut:
    """Hold structure and contrast against noise and artifacts together.

    Args:
        regions: of the frame.
        noise_sd: deviation of the noise, above 0.
        amplitude: of the artifacts.

    With variances s^2 of structure and d^2 of disturbance, adding a disturbance that leaves a trace
    e^2 in the structure gives (s^2 + e^2) / (d^2 + e^2), which is less wherever s is more than d.
    """
    disturbance = float(np.hypot(noise_sd, amplitude))
    structure = _without(regions.spread, noise_sd)
    inside = _without(deviation(sampled(regions.image, regions.main)), noise_sd)
    contrast = float(np.hypot(inside, _OUTER_SHARE * structure))
    return StandsOut(2 * structure / disturbance, 2 * contrast / disturbance)


def _without(spread: float, noise_sd: float) -> float:
    return float(np.sqrt(max(0.0, spread**2 - noise_sd**2)))
