"""Observations that are answers or scores: what somebody said or reckons, and no measurement.

Belongs here: telling them. Answers and scores are not held against limits, and two of one question
at one time (a choice of several) don't contradict one another; scores that are filed as
measurements do.
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
_QUESTIONNAIRE, _SCORE = b"QuestionnaireResponse", b"{score}"

_decode = msgspec.json.Decoder(list[Concept]).decode
_decode_quantity = msgspec.json.Decoder(Quantity).decode


@lru_cache(maxsize=_CACHED)
def filed_as(category: bytes) -> bool | None:
    """Whether an Observation is filed as an answer of a survey; False where as a measurement.

    Args:
        category: the member as JSON; empty where there is none.
    """
    listed = _decode(category) if category else []
    codes = {c.code for each in listed for c in each.coding if c.system in _CATEGORY}
    if codes & _MEASURED:
        return False
    return True if _SURVEY in codes else None


def is_answer(category: bytes, derived_from: bytes) -> bool:
    """Whether an Observation is an answer: filed as one, or derived from answers.

    Args:
        category: the member as JSON; empty where there is none.
        derived_from: the same.
    """
    filed = filed_as(category)
    return is_derived(derived_from) if filed is None else filed


def is_derived(derived_from: bytes) -> bool:
    """Whether an Observation.derivedFrom, as JSON, leads to answers of a questionnaire."""
    return _QUESTIONNAIRE in derived_from


def is_score_value(value: bytes) -> bool:
    """Whether an Observation.valueQuantity, as JSON, is a score."""
    return _SCORE in value and is_score(_decode_quantity(value))
