"""Noise of a frame, and what stands against it: signal and contrast.

Belongs here: snr, cnr and the deviation that both are taken over. How they count towards a score is
in `quality.py`.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hc_assets.imaging.regions import NotMeasurableError, Regions, quiet_deviation

_WINDOW = 5
# A tenth of the windows of pure noise have less than this share of its deviation: the quantile of
# chi with 24 degrees of freedom, over the square root of 24
_DECILE_OF_NOISE = 0.80774
_LEAST_AIR = 64
_AIR_HOUNSFIELD = -1000.0
# Median and median deviation of a Rayleigh distribution, over its scale
_RAYLEIGH_MEDIAN, _RAYLEIGH_MAD = 1.17741, 0.44845
# (q95 + q05 - 2 q50) / (q95 - q05) of a Rayleigh distribution; of a normal one it is 0
_RAYLEIGH_SKEW = 0.1942


@dataclass(frozen=True)
class SignalAndNoise:
    """What is told apart from the noise.

    Attributes:
        noise_sd: standard deviation of the noise, in modality units.
        snr: signal of the object above air, over noise_sd.
        cnr: difference of two tissues, over noise_sd.
        cnr_is_of_object: whether there was but one tissue, so that cnr is the object's against
            what is around it.
    """

    noise_sd: float
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
    noise_sd = noise_deviation(regions)
    image = regions.image
    signal = float(np.median(image[regions.main])) - zero_level(regions, modality)
    if modality == "MR" and signal > noise_sd:
        signal = float(np.sqrt(signal**2 - noise_sd**2))
    pair = regions.tissues
    contrast = None
    if pair is not None:
        contrast = float(np.median(image[pair[1]]) - np.median(image[pair[0]]))
    elif regions.outside.any():
        contrast = float(np.median(image[regions.main]) - np.median(image[regions.outside]))
    return SignalAndNoise(
        noise_sd=noise_sd,
        snr=signal / noise_sd if signal > 0 else None,
        cnr=contrast / noise_sd if contrast is not None and contrast > 0 else None,
        cnr_is_of_object=pair is None,
    )


def noise_deviation(regions: Regions) -> float:
    """Standard deviation of the noise inside the object, in modality units, above 0.

    Raises:
        NotMeasurableError: too little of the object is homogeneous and not constant.
    """
    deviation = quiet_deviation(regions.image, regions.main, _WINDOW)
    if deviation is None:
        raise NotMeasurableError("noise_not_estimable")
    return deviation / _DECILE_OF_NOISE


def zero_level(regions: Regions, modality: str) -> float:
    """The value that stands for no signal, in modality units.

    Air around the object where there is some; else -1000 for CT, and 0 for others unless values
    go below it. In MR images air is noise, and where that is magnitude it lies above zero: as far
    as it is skewed like a Rayleigh distribution, it is traced back to the zero of one.
    """
    image = regions.image
    if regions.has_air and np.count_nonzero(regions.outside) > _LEAST_AIR:
        air = image[regions.outside]
        if modality != "MR":
            return float(np.median(air))
        return _magnitude_zero(air)
    if modality == "CT":
        return _AIR_HOUNSFIELD
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
