"""Observations that are answers or scores: what somebody said or reckons, and no measurement.

Belongs here: telling them. Answers are not held against limits, and two of one question at one time
(a choice of several) don't contradict one another.
"""

from functools import lru_cache

import msgspec

from hc_assets.fhir.enrichment.elements import Concept, Quantity
from hc_assets.fhir.enrichment.significance.quantities import is_score

_CACHED = 4_096
_CATEGORY = frozenset(
    {
        "http://terminology.hl7.org/CodeSystem/observation-category",
        "http://hl7.org/fhir/observation-category",
    }
)
_SURVEY = "survey"
# A measurement that was reported through a survey is one still.
_MEASURED = frozenset({"laboratory", "vital-signs"})
_QUESTIONNAIRE = b"QuestionnaireResponse"

_decode = msgspec.json.Decoder(list[Concept]).decode
_decode_quantity = msgspec.json.Decoder(Quantity).decode


@lru_cache(maxsize=_CACHED)
def is_answer(category: bytes, derived_from: bytes = b"") -> bool:
    """Whether an Observation is an answer of a survey.

    Args:
        category: the member as JSON; empty where there is none.
        derived_from: the same.
    """
    codes = set()
    if category:
        listed = _decode(category)
        codes = {c.code for each in listed for c in each.coding if c.system in _CATEGORY}
    if codes & _MEASURED:
        return False
    return _SURVEY in codes or _QUESTIONNAIRE in derived_from


def is_score_value(value: bytes) -> bool:
    """Whether an Observation.valueQuantity, as JSON, is a score."""
    return is_score(_decode_quantity(value))
