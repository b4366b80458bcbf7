"""What is to be noted of a value that was judged, or could not be: rules of ours, each with a text.

Belongs here: the rules' names and texts. A note holds nothing of the value itself but its unit.
"""

from collections.abc import Iterable
from typing import NamedTuple

from hc_assets.fhir.r4.issues import IssueCode, Severity, clipped

UNIT_CONVERTIBLE = "unit-convertible"
UNIT_CODE = "unit-code"
UNIT_AMBIGUOUS = "unit-ambiguous"
REFERENCE_RANGE = "reference-range"
PLAUSIBLE = "plausible-value"
INTERPRETATION = "interpretation-agrees"
PATIENT_KNOWN = "limits-need-patient"


class Note(NamedTuple):
    """A note of one value.

    Attributes:
        rule: of ours.
        code: of HL7's value set issue-type.
        member: of the element that was judged, which it is about.
        text: what was found and what was expected.
        severity: of the issue.
    """

    rule: str
    code: IssueCode
    member: str
    text: str
    severity: Severity = "warning"


_VALUE, _RANGE, _SAID = "valueQuantity", "referenceRange", "interpretation"


def not_convertible(found: str, expected: str) -> Note:
    """A unit that is not that of the limits, nor becomes it."""
    text = f"found {clipped(found)}, expected a UCUM unit that becomes {clipped(expected)}"
    return Note(UNIT_CONVERTIBLE, "not-supported", _VALUE, text)


def by_text(read_as: str, member: str = _VALUE) -> Note:
    """A unit without its code, of which one reading only is possible."""
    text = f"found no UCUM code of the unit, which is read by its text as {clipped(read_as)}"
    return Note(UNIT_CODE, "incomplete", member, text)


def ambiguous(expected: str) -> Note:
    """A unit without its code, of which several readings are possible."""
    text = (
        "found no UCUM code of the unit, and a text of two possible readings;"
        f" expected one that becomes {clipped(expected)}"
    )
    return Note(UNIT_AMBIGUOUS, "incomplete", _VALUE, text)


REVERSED = Note(
    REFERENCE_RANGE, "business-rule", _RANGE, "found a low above its high; the range is not used"
)
DISAGREEING = Note(
    REFERENCE_RANGE,
    "business-rule",
    _RANGE,
    "found several ranges for this patient that call the value different things; none is used",
)
CRITICAL_IN_RANGE = Note(
    REFERENCE_RANGE,
    "business-rule",
    _RANGE,
    "found a normal range that holds a value beyond the table's critical limit",
)
SEVERAL_INTERPRETATIONS = Note(
    INTERPRETATION, "business-rule", _SAID, "found interpretations that contradict one another"
)


def contradicted(theirs: str, ours: str, evidence: str) -> Note:
    """An interpretation as sent that says otherwise than what it was held against."""
    text = f"found {theirs}, where the {evidence.replace('-', ' ')} says {ours}"
    return Note(INTERPRETATION, "business-rule", _SAID, text)


def patient_unknown(missing: Iterable[str], limits: str) -> Note:
    """A value that can't be held against limits, since they are not the same for everybody.

    Args:
        missing: what of the patient is not known at that time, or not well enough: age, sex.
        limits: which ones, for people.
    """
    what = " and ".join(sorted(missing))
    text = f"found no {what} of the patient that says which of the {limits} apply; none is used"
    return Note(PATIENT_KNOWN, "incomplete", _VALUE, text, "information")


def implausible(what: str, expected: str) -> Note:
    """A value that nobody can have."""
    return Note(
        PLAUSIBLE, "value", _VALUE, f"found no {what} that anybody has: expected {expected}"
    )
