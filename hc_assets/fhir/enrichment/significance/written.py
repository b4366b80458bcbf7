"""The extension that says what a value means.

Belongs here: writing it. What it says is worked out in `judgement.py`.
"""

from functools import lru_cache

import msgspec

from hc_assets.fhir.enrichment.extensions import SIGNIFICANCE, extension
from hc_assets.fhir.enrichment.significance.interpretations import DISPLAYS, INTERPRETATION
from hc_assets.fhir.enrichment.significance.judgement import (
    OWN_INTERPRETATION,
    OWN_RANGE,
    Limits,
    Significance,
)
from hc_assets.fhir.enrichment.significance.units import UCUM


@lru_cache(maxsize=4_096)
def significance_extension(base: str, found: Significance) -> bytes:
    """Write an interpretation as an extension.

    Args:
        base: URL that our extensions share.
        found: the interpretation.

    Returns:
        A complex extension: `interpretation` (Coding), `evidence` (code), `interval` (Range: the
        limits between which a value is normal, where they are known) and `reason` (string).
    """
    limits = found.limits
    coding = {"system": INTERPRETATION, "code": found.code, "display": DISPLAYS[found.code]}
    parts: list[dict[str, object]] = [
        {"url": "interpretation", "valueCoding": coding},
        {"url": "evidence", "valueCode": found.evidence},
    ]
    if limits is not None and (limits.low is not None or limits.high is not None):
        parts.append({"url": "interval", "valueRange": _range(limits)})
    parts.append({"url": "reason", "valueString": _reason(found)})
    return extension(base, SIGNIFICANCE, extension=parts)


def _range(limits: Limits) -> dict[str, object]:
    ends = {"low": limits.low, "high": limits.high}
    unit = {"unit": limits.unit} if limits.unit else {}
    if unit and limits.is_ucum:
        unit |= {"system": UCUM, "code": limits.unit}
    return {
        name: {"value": _plain(value)} | unit for name, value in ends.items() if value is not None
    }


def _plain(value: float) -> msgspec.Raw:
    return msgspec.Raw(f"{value:.12g}".encode())


def _reason(found: Significance) -> str:
    limits = found.limits
    if found.evidence == OWN_INTERPRETATION:
        return "the observation's own interpretation says so"
    if limits is None and found.evidence == OWN_RANGE:
        return "the observation's reference range names the result that is normal"
    if limits is None:
        return "the value is a code that says so"
    below = "below" if limits.low_is_normal else "not above"
    above = "above" if limits.high_is_normal else "not below"
    critical = limits.critical_source
    if limits.source and limits.source != critical:
        critical += f"; normal: {limits.source}"
    passed = {
        "LL": ("below the critical limit", limits.critical_low, critical),
        "HH": ("above the critical limit", limits.critical_high, critical),
        "L": (f"{below} the lower limit", limits.low, limits.source),
        "H": (f"{above} the upper limit", limits.high, limits.source),
    }.get(found.code)
    if passed is None:
        return f"within the limits; {limits.source}"
    words, limit, source = passed
    unit = f" {limits.unit}" if limits.unit else ""
    return f"{words} of {limit:.12g}{unit}; {source}"
