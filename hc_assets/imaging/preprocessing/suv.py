"""Standardised uptake values: activity over what an even spread in the body would give.

Belongs here: the factor, or why there is none. Reading the header is in `imaging/pixels/uptake.py`.

Source: QIBA, FDG-PET/CT profile and its vendor-neutral pseudo-code for SUV ("happy path"); SUV by
body weight as PERCIST has them before lean mass (Wahl et al., J Nucl Med 50 Suppl 1:122S, 2009):
SUVbw = activity (Bq/ml) * weight (g) / dose (Bq), decayed to the time the image is corrected to.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from math import isfinite

from hc_assets.imaging.pixels.uptake import Uptake

# Beyond this the date of the injection is not the one meant: an error, not a late scan
_MOST_HOURS = 36.0
_PHILIPS_COUNTS = "CNTS"
_GRAMS_PER_KILOGRAM = 1000.0
# GML without a type is by body weight (PS3.3 C.8.9.1.1.3)
_BODY_WEIGHT_TYPES = ("", "BW")


@dataclass(frozen=True)
class SuvFactor:
    """What values are multiplied by to be SUV by body weight, in g/ml.

    Attributes:
        value: above 0; None where the tags do not allow SUV.
        reason: what the factor is from, or why there is none; holds no value of the header.
    """

    value: float | None
    reason: str


def suv_factor(uptake: Uptake | None) -> SuvFactor:
    """Return the factor from rescaled pixel values to SUV by body weight.

    Args:
        uptake: of the file; None where it was not read.
    """
    if uptake is None or not uptake.units:
        return SuvFactor(None, "no Units")
    if uptake.units == "GML":
        if uptake.suv_type in _BODY_WEIGHT_TYPES:
            return SuvFactor(1.0, "values are SUV by body weight already")
        return SuvFactor(None, "SUV are not by body weight")
    missing = {"ATTN", "DECY"} - set(uptake.corrections)
    if missing:
        return SuvFactor(None, f"CorrectedImage lacks {' and '.join(sorted(missing))}")
    if uptake.units == _PHILIPS_COUNTS:
        if uptake.philips_suv_scale and uptake.philips_suv_scale > 0:
            return SuvFactor(uptake.philips_suv_scale, "Philips' private factor for counts")
        return SuvFactor(None, "counts without Philips' private factor")
    if uptake.units != "BQML":
        return SuvFactor(None, "Units are neither BQML, GML nor CNTS")
    return _by_body_weight(uptake)


def _by_body_weight(uptake: Uptake) -> SuvFactor:
    needed = {
        "PatientWeight": uptake.weight,
        "RadionuclideTotalDose": uptake.dose,
        "RadionuclideHalfLife": uptake.half_life,
    }
    lacking = [name for name, number in needed.items() if not number or not _is_positive(number)]
    if lacking:
        return SuvFactor(None, f"{', '.join(lacking)} absent or not above 0")
    weight, dose, half_life = (float(number or 0) for number in needed.values())
    if uptake.decay_correction == "ADMIN":
        return SuvFactor(weight * _GRAMS_PER_KILOGRAM / dose, "decay corrected to injection")
    if uptake.decay_correction != "START":
        return SuvFactor(None, "DecayCorrection is neither START nor ADMIN")
    seconds = _seconds_of_decay(uptake)
    if isinstance(seconds, str):
        return SuvFactor(None, seconds)
    decayed = dose * 2 ** (-seconds / half_life)
    if not _is_positive(decayed):
        return SuvFactor(None, "nothing of the dose is left at the time of the scan")
    return SuvFactor(weight * _GRAMS_PER_KILOGRAM / decayed, "decay corrected to the series' start")


def _seconds_of_decay(uptake: Uptake) -> float | str:
    """Seconds from injection to the time that decay is corrected to, or why they are unknown."""
    if uptake.injected_at is None:
        return "no time of injection"
    start = _reference(uptake)
    if start is None:
        return "the series' time is absent, or later than the acquisition: it is no start of scan"
    elapsed = start - uptake.injected_at
    if elapsed < timedelta(0) and not uptake.is_injection_dated:
        elapsed += timedelta(days=1)  # a time of day alone: injected before midnight
    seconds = elapsed.total_seconds()
    if not 0 <= seconds <= _MOST_HOURS * 3600:
        return "the injection is after the scan, or days before"
    return seconds


def _reference(uptake: Uptake) -> datetime | None:
    """The series' time, if it is the start of the scan: post-processing sets it later."""
    series, acquired = uptake.series_at, uptake.acquired_at
    if series is None or acquired is None or series > acquired:
        return None
    return series


def _is_positive(number: float) -> bool:
    return isfinite(number) and number > 0
