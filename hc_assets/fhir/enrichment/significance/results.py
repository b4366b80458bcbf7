"""Results that are no quantity: a code or a text that says what was found, or that nothing was.

Belongs here: reading one, and holding it against the result that the observation's own reference
range names (`negative`). What an interpretation is made of it is in `judgement.py`.
"""

from typing import NamedTuple

from hc_assets.fhir.enrichment.elements import Concept, Measured
from hc_assets.fhir.enrichment.sex_specific_codes import SNOMED
from hc_assets.fhir.enrichment.significance.interpretation_texts import code_of_text
from hc_assets.fhir.enrichment.significance.interpretations import answers, is_result
from hc_assets.fhir.enrichment.significance.own_ranges import Person, expected_result

# What laboratories answer in codes, as HL7's interpretation of it.
_BY_RESULT = {
    "10828004": "POS",
    "260385009": "NEG",
    "260373001": "DET",
    "260415000": "ND",
    "82334004": "IND",
    "11214006": "RR",
    "131194007": "NR",
}


class Result(NamedTuple):
    """What a result says.

    Attributes:
        code: HL7's interpretation of a coded result; None where there is none.
        is_normal: whether it is the result that a range names as normal; None where none does.
        missing: as `OwnRanges` has it.
    """

    code: str | None = None
    is_normal: bool | None = None
    missing: frozenset[str] = frozenset()


def result_of(measured: Measured, person: Person) -> Result:
    """Read the result of an observation without a quantity.

    A result that is only text is read where a range is there to hold it against.

    Args:
        measured: an Observation or a component of one.
        person: whom it is of.
    """
    code = _coded(measured.concept)
    if not measured.reference_range:
        return Result(code)
    found = code if code is not None else _by_text(measured)
    if found is None:
        return Result()
    expected = expected_result(measured.reference_range, person)
    is_normal = answers(found, expected.code) if expected.code is not None else None
    return Result(code, is_normal, expected.missing)


def _coded(concept: Concept | None) -> str | None:
    for coding in concept.coding if concept is not None else ():
        if coding.system == SNOMED and coding.code in _BY_RESULT:
            return _BY_RESULT[coding.code]
    return None


def _by_text(measured: Measured) -> str | None:
    concept = measured.concept
    text = concept.text if concept is not None and not concept.coding else measured.string
    code = code_of_text(text) if text is not None else None
    return code if code is not None and is_result(code) else None
