"""What the source of an observation says of its value: HL7 interpretation codes, read and compared.

Belongs here: the codes (HL7 v3 ObservationInterpretation, as R4 4.0.1 publishes it; those of HL7
version 2, table 0078, that are the same), what they say of high and low, and which of them
contradict one another. Texts and other systems' codes are kept in the resource and not read.
"""

from collections.abc import Mapping
from functools import lru_cache

import msgspec

from hc_assets.fhir.enrichment.elements import Concept

INTERPRETATION = "http://terminology.hl7.org/CodeSystem/v3-ObservationInterpretation"
_SYSTEMS = frozenset(
    {
        INTERPRETATION,
        "http://terminology.hl7.org/CodeSystem/v2-0078",
        "http://hl7.org/fhir/v3/ObservationInterpretation",
        "http://hl7.org/fhir/v2/0078",
    }
)
_CACHED = 4_096
# Codes that say what a value means, with R4's displays. Not those of change (better, worse) and of
# exceptions (quality control failed), which say something of it, but not that.
DISPLAYS: Mapping[str, str] = {
    "H": "High",
    "HH": "Critical high",
    "HU": "Significantly high",
    "H>": "Significantly high",
    "HX": "above high threshold",
    "L": "Low",
    "LL": "Critical low",
    "LU": "Significantly low",
    "L<": "Significantly low",
    "LX": "below low threshold",
    "N": "Normal",
    "A": "Abnormal",
    "AA": "Critical abnormal",
    "POS": "Positive",
    "NEG": "Negative",
    "DET": "Detected",
    "ND": "Not detected",
    "IND": "Indeterminate",
    "E": "Equivocal",
    "RR": "Reactive",
    "NR": "Non-reactive",
    "WR": "Weakly reactive",
    "S": "Susceptible",
    "SDD": "Susceptible-dose dependent",
    "SYN-S": "Synergy - susceptible",
    "I": "Intermediate",
    "R": "Resistant",
    "SYN-R": "Synergy - resistant",
    "NS": "Non-susceptible",
    "MS": "moderately susceptible",
    "VS": "very susceptible",
}
# Below, within or above what is normal; a code that is in none of them says nothing of that.
_SIDES: Mapping[str, int] = {
    **dict.fromkeys(("L", "LL", "LU", "L<", "LX"), -1),
    "N": 0,
    **dict.fromkeys(("H", "HH", "HU", "H>", "HX"), 1),
}
_ABNORMAL = frozenset({"A", "AA"})
_CRITICAL = frozenset({"LL", "HH"})
# Found, or not found.
_POLES: Mapping[str, bool] = {
    **dict.fromkeys(("POS", "DET", "RR", "WR"), True),
    **dict.fromkeys(("NEG", "ND", "NR"), False),
}

_decode = msgspec.json.Decoder(list[Concept]).decode


@lru_cache(maxsize=_CACHED)
def interpretations(raw: bytes) -> tuple[str, ...]:
    """Codes of DISPLAYS in an Observation.interpretation, each once, in their order.

    Args:
        raw: the member as JSON; empty where there is none.
    """
    if not raw:
        return ()
    codes = (
        coding.code
        for concept in _decode(raw)
        for coding in concept.coding
        if coding.system in _SYSTEMS and coding.code in DISPLAYS
    )
    return tuple(dict.fromkeys(code for code in codes if code is not None))


def contradict(one: str, other: str) -> bool:
    """Whether two codes can't both be true of a value; a degree more or less is no matter."""
    if one in _POLES and other in _POLES:
        return _POLES[one] != _POLES[other]
    if one in _SIDES and other in _SIDES:
        return _SIDES[one] != _SIDES[other]
    return (one in _ABNORMAL and other == "N") or (one == "N" and other in _ABNORMAL)


def is_graver(one: str, other: str) -> bool:
    """Whether a code is the critical one of two on the same side."""
    return (
        one in _CRITICAL
        and other not in _CRITICAL
        and other in _SIDES
        and _SIDES[one] == _SIDES[other]
    )
