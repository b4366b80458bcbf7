"""What the source of an observation says of its value: HL7 interpretation codes, read and compared.

Belongs here: the codes (HL7 v3 ObservationInterpretation, as R4 4.0.1 publishes it; those of HL7
version 2, table 0078, that are the same), what they say of high and low, and which of them
contradict one another. Other systems' codes are kept in the resource and not read; the text beside
them is (`interpretation_texts.py`), where there is no code of HL7's.
"""

from collections.abc import Mapping
from functools import lru_cache

import msgspec

from hc_assets.fhir.enrichment.elements import Concept
from hc_assets.fhir.enrichment.significance.interpretation_texts import code_of_text

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
    """Codes of DISPLAYS in an Observation.interpretation, or as its texts say, each once.

    Args:
        raw: the member as JSON; empty where there is none.
    """
    if not raw:
        return ()
    codes = (code for concept in _decode(raw) for code in _codes(concept))
    return tuple(dict.fromkeys(code for code in codes if code is not None))


def _codes(concept: Concept) -> list[str | None]:
    """What one interpretation says; its text counts where no coding of HL7's says it."""
    coded = [coding.code for coding in concept.coding if coding.system in _SYSTEMS]
    if not coded:
        return [code_of_text(concept.text)] if concept.text is not None else []
    return [code for code in coded if code in DISPLAYS]


def is_result(code: str) -> bool:
    """Whether a code says that something was found, or that it was not."""
    return code in _POLES


def answers(one: str, expected: str) -> bool | None:
    """Whether a result is the one that is expected; None where it says neither.

    Args:
        one: code of a result: found (`POS`, `DET`, `RR`, `WR`) or not (`NEG`, `ND`, `NR`).
        expected: the same, of what is normal.
    """
    if one not in _POLES or expected not in _POLES:
        return None
    return _POLES[one] == _POLES[expected]


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
