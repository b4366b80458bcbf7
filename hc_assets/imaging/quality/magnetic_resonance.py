"""Metrics that are defined for MR images: MRIQC's EFC, FBER and CJV, and NEMA's SNR over air.

Belongs here: measures of magnitude MR images alone. Those of every modality are in `noise.py`,
`sharpness.py` and `uniformity.py`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from hc_assets.imaging.quality.regions import Regions
from hc_assets.imaging.quality.samples import sampled

# sqrt(2 - pi / 2): deviation of Rayleigh noise over that of the noise in each channel (NEMA MS 1)
_RAYLEIGH_FACTOR = 0.655
# Computed: mean over deviation of a Rayleigh distribution is 1.91; more coils, or a filter, move it
# away. A tenth either side is ours
_RAYLEIGH_RATIO = (1.7, 2.1)
# Pixels enough for a deviation; ours
_LEAST_AIR = 256
# Share of air that has one value: more than half, so that its median is that value
_ZEROED = 0.5
# Computed: deviation over median deviation of a normal distribution
_MAD_TO_DEVIATION = 1.4826


@dataclass(frozen=True)
class MrMetrics:
    """Metrics of an MR frame; each is None where it has no meaning, with the reason.

    Attributes:
        efc: entropy focus criterion, 0 (all energy in one pixel) to 1 (evenly spread); ghosts and
            blur by motion raise it (Atkinson et al., IEEE TMI 16:903, 1997).
        fber: mean energy of the object over that of the air around it (Shehzad et al., 2015).
        cjv: coefficient of joint variation of the two main tissues: sum of their deviations over
            the difference of their medians; noise and shading raise it (Ganzetti et al., Front
            Neuroinform 10:10, 2016).
        snr_air: 0.655 times signal over the deviation of air (NEMA MS 1, method 4): right only for
            magnitude images of one coil.
        reasons: why a metric is None, by its name.
    """

    efc: float | None = None
    fber: float | None = None
    cjv: float | None = None
    snr_air: float | None = None
    reasons: Mapping[str, str] = field(default_factory=dict)


NAMES = ("efc", "fber", "cjv", "snr_air")
"""Names of the metrics."""


def is_background_zeroed(regions: Regions) -> bool:
    """Whether what surrounds the object was set to one value, so that it tells nothing of noise."""
    air = sampled(regions.image, regions.outside)
    if not air.size:
        return False
    return bool(np.count_nonzero(air == air.min()) > _ZEROED * air.size)


def mr_metrics(regions: Regions) -> MrMetrics:
    """Measure an MR frame.

    Args:
        regions: of the frame, in any unit.

    Returns:
        The metrics, none of them nan or infinite.
    """
    values: dict[str, float] = {}
    reasons: dict[str, str] = {}
    _put(values, reasons, "efc", _entropy_focus(regions))
    _put(values, reasons, "cjv", _joint_variation(regions))
    for name, found in _over_air(regions).items():
        _put(values, reasons, name, found)
    return MrMetrics(**values, reasons=reasons)


def not_mr() -> MrMetrics:
    """What frames of other modalities have."""
    return MrMetrics(reasons=dict.fromkeys(NAMES, "not_an_mr_image"))


def _put(values: dict[str, float], reasons: dict[str, str], name: str, found: float | str) -> None:
    if isinstance(found, str):
        reasons[name] = found
    else:
        values[name] = found


def _entropy_focus(regions: Regions) -> float | str:
    pixels = regions.image[regions.valid].astype(np.float64)
    if pixels.min() < 0:
        return "negative_values"
    energy = float(np.sqrt(np.square(pixels).sum()))
    if energy <= 0:
        return "no_signal"
    shares = pixels[pixels > 0] / energy
    entropy = -float((shares * np.log(shares)).sum())
    # The most there can be: every pixel has the same share
    root = np.sqrt(pixels.size)
    return float(entropy / (root * np.log(root)))


def _joint_variation(regions: Regions) -> float | str:
    pair = regions.tissues
    if pair is None:
        return "one_tissue"
    levels, deviations = [], []
    for mask in pair:
        tissue = sampled(regions.image, mask)
        levels.append(float(np.median(tissue)))
        deviations.append(_MAD_TO_DEVIATION * float(np.median(np.abs(tissue - levels[-1]))))
    apart = abs(levels[1] - levels[0])
    return sum(deviations) / apart if apart > 0 else "one_tissue"


def _over_air(regions: Regions) -> dict[str, float | str]:
    names = ("fber", "snr_air")
    if not regions.has_air or np.count_nonzero(regions.outside) < _LEAST_AIR:
        return dict.fromkeys(names, "no_air_around")
    if is_background_zeroed(regions):
        return dict.fromkeys(names, "background_zeroed")
    air = regions.image[regions.outside].astype(np.float64)
    energy = float(np.square(air).mean())
    if energy <= 0:
        return dict.fromkeys(names, "background_zeroed")
    body = regions.image[regions.objects].astype(np.float64)
    found: dict[str, float | str] = {"fber": float(np.square(body).mean()) / energy}
    deviation = float(air.std())
    if (
        deviation <= 0
        or not _RAYLEIGH_RATIO[0] < float(air.mean()) / deviation < _RAYLEIGH_RATIO[1]
    ):
        found["snr_air"] = "background_not_rayleigh"
    else:
        main = regions.main if regions.main.any() else regions.objects
        signal = float(np.median(sampled(regions.image, main)))
        found["snr_air"] = _RAYLEIGH_FACTOR * signal / deviation
    return found
