"""Noise of a frame, and what stands against it: signal and contrast.

Belongs here: snr, cnr and the deviation that both are taken over. How they count towards a score is
in `measure.py`.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hc_assets.imaging.quality.quiet_places import Quiet, quiet_places
from hc_assets.imaging.quality.regions import NotMeasurableError, Regions
from hc_assets.imaging.quality.samples import Mask, sampled

# Pixels a side. Ours: smaller than most anatomy, and large enough for a deviation
_WINDOW = 5
# Computed: a tenth of the windows of pure noise have less than this share of its deviation, the
# quantile of chi with 24 degrees of freedom, over the square root of 24
_DECILE_OF_NOISE = 0.80774
# Pixels enough for a median
_LEAST_AIR = 64
# By definition of the Hounsfield scale
_AIR_HOUNSFIELD = -1000.0
# Computed: median and median deviation of a Rayleigh distribution, over its scale
_RAYLEIGH_MEDIAN, _RAYLEIGH_MAD = 1.17741, 0.44845
# Computed: (q95 + q05 - 2 q50) / (q95 - q05) of a Rayleigh distribution; of a normal one 0
_RAYLEIGH_SKEW = 0.1942
# The same for windows of 3 by 3 without their slope: chi with 6 degrees of freedom
_FINE_WINDOW = 3
_DECILE_OF_FINE_NOISE = 0.60608


@dataclass(frozen=True)
class SignalAndNoise:
    """What is distinguished from the noise.

    Attributes:
        noise_sd: standard deviation of the noise, in modality units.
        fine_sd: the same in 3 by 3 pixels, where anatomy counts least even in small images, and
            with constant places as places without noise, where only rounding is left.
        snr: signal of the object above air, over noise_sd.
        cnr: difference of two tissues, over noise_sd.
        cnr_is_of_object: whether there was but one tissue, so that cnr is the object's against
            what is around it.
    """

    noise_sd: float
    fine_sd: float
    snr: float | None
    cnr: float | None
    cnr_is_of_object: bool


def signal_and_noise(regions: Regions, modality: str) -> SignalAndNoise:
    """Measure signal, contrast and noise.

    Args:
        regions: of the frame.
        modality: (0008,0060).

    Returns:
        Ratios without unit, above 0; None where there is no reference for one.

    Raises:
        NotMeasurableError: the noise can't be estimated.

    The noise is that of the homogeneous places: standard deviations in 5 by 5 windows inside the
    object, their first decile, corrected for what that decile is of pure noise; anatomy can only
    raise a window's deviation. It follows the idea of the global noise level (Christianson et
    al., AJR 205:W93, 2015) and, unlike wavelet estimates, sees the correlated noise of
    reconstructed images. Signal is the median of the object less that of air; of magnitude MR
    images air is traced back to the zero of its Rayleigh distribution and the Rician bias is taken
    off the object (Gudbjartsson and Patz, MRM 34:910, 1995).
    """
    mask, quiet = _quiet(regions)
    noise_sd = quiet.deviation / _DECILE_OF_NOISE
    fine = quiet_places(regions.image, mask, _FINE_WINDOW, is_level=True) or quiet
    image = regions.image
    main = regions.main if regions.main.any() else regions.objects
    signal = float(np.median(sampled(image, main))) - zero_level(regions, modality)
    if modality == "MR" and signal > noise_sd:
        signal = float(np.sqrt(signal**2 - noise_sd**2))
    pair = regions.tissues
    contrast = None
    if pair is not None:
        contrast = float(np.median(image[pair[1]]) - np.median(image[pair[0]]))
    elif regions.outside.any():
        contrast = float(
            np.median(sampled(image, main)) - np.median(sampled(image, regions.outside))
        )
    return SignalAndNoise(
        noise_sd=noise_sd,
        fine_sd=max(fine.with_constant / _DECILE_OF_FINE_NOISE, _rounding(regions)),
        snr=signal / noise_sd if signal > 0 else None,
        cnr=contrast / noise_sd if contrast is not None and contrast > 0 else None,
        cnr_is_of_object=pair is None,
    )


def _quiet(regions: Regions) -> tuple[Mask, Quiet]:
    image, valid = regions.image, regions.valid
    # Next to a plateau there may be noise; on it, and on a background of zeros, there is none
    between = valid & ~regions.saturated & (image > image[valid].min())
    for mask in (regions.main, between):
        quiet = quiet_places(regions.image, mask, _WINDOW)
        if quiet is not None:
            return mask, quiet
    raise NotMeasurableError("noise_not_estimable")


def _rounding(regions: Regions) -> float:
    """Deviation that the steps between the image's values leave; at least a 4096th of its spread.

    The least step is that of 12 bits, the depth of what scanners digitise.
    """
    values = np.unique(sampled(regions.image, regions.valid))
    step = float(np.diff(values).min()) if values.size > 1 else 0.0
    return max(step, regions.spread / 4096) / float(np.sqrt(12))


def zero_level(regions: Regions, modality: str) -> float:
    """The value that stands for no signal, in modality units.

    Air around the object where there is some; else -1000 for Hounsfield units, the least value of
    a CT image in other units, and 0 for others unless values
    go below it. In MR images air is noise, and where that is magnitude it lies above zero: as far
    as it is skewed like a Rayleigh distribution, it is traced back to the zero of one.
    """
    image = regions.image
    if regions.has_air and np.count_nonzero(regions.outside) > _LEAST_AIR:
        air = sampled(image, regions.outside)
        if modality != "MR":
            return float(np.median(air))
        return _magnitude_zero(air)
    if modality == "CT":
        return _AIR_HOUNSFIELD if regions.is_hounsfield else float(image[regions.valid].min())
    return min(0.0, float(image[regions.valid].min()))


def _magnitude_zero(air: NDArray[np.float32]) -> float:
    low, level, high = (float(q) for q in np.quantile(air, [0.05, 0.5, 0.95]))
    if high <= low:
        return level
    skew = (high + low - 2 * level) / (high - low)
    magnitude = min(1.0, max(0.0, skew / _RAYLEIGH_SKEW))
    spread = float(np.median(np.abs(air - level)))
    zero = level - magnitude * _RAYLEIGH_MEDIAN / _RAYLEIGH_MAD * spread
    return max(float(air.min()), zero)
