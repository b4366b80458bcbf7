"""How good a valid resource is, beyond being valid: completeness, validity, consistency.

Belongs here: scoring one resource by itself. Facts that need other resources are not looked at.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from hc_assets.fhir.times import day_of, moment_of

# Elements that a user of the type expects, each a choice of member names. R4 requires few of
# these; US Core 3.1.1 (R4) marks nearly all of them as must-support.
EXPECTED_ELEMENTS: Mapping[str, tuple[tuple[str, ...], ...]] = {
    "Patient": (
        ("identifier",),
        ("name",),
        ("gender",),
        ("birthDate",),
        ("address",),
        ("telecom",),
    ),
    "Encounter": (("status",), ("class",), ("type",), ("subject",), ("period",)),
    "Condition": (
        ("clinicalStatus",),
        ("verificationStatus",),
        ("category",),
        ("code",),
        ("subject",),
        ("onsetDateTime", "onsetAge", "onsetPeriod", "onsetRange", "onsetString", "recordedDate"),
    ),
    "Observation": (
        ("status",),
        ("category",),
        ("code",),
        ("subject",),
        ("effectiveDateTime", "effectivePeriod", "effectiveInstant", "effectiveTiming"),
        (
            "valueQuantity",
            "valueCodeableConcept",
            "valueString",
            "valueBoolean",
            "valueInteger",
            "valueRange",
            "valueRatio",
            "valueSampledData",
            "valueTime",
            "valueDateTime",
            "valuePeriod",
            "component",
            "hasMember",
            "dataAbsentReason",
        ),
    ),
    "MedicationRequest": (
        ("status",),
        ("intent",),
        ("medicationCodeableConcept", "medicationReference"),
        ("subject",),
        ("authoredOn",),
        ("requester",),
        ("dosageInstruction",),
    ),
    "DiagnosticReport": (
        ("status",),
        ("category",),
        ("code",),
        ("subject",),
        ("effectiveDateTime", "effectivePeriod"),
        ("issued",),
        ("result", "presentedForm", "media", "conclusion"),
    ),
    "ImagingStudy": (("status",), ("subject",), ("started",), ("modality",), ("series",)),
}
# Pairs of members of which the first can't lie after the second.
_ORDERED = (("birthDate", "deceasedDateTime"), ("effectiveDateTime", "issued"))
_PERIODS = ("period", "effectivePeriod", "onsetPeriod", "performedPeriod")
# Rules that R4 itself marks as best practice (elementdefinition-bestpractice): a resource without
# narrative is no worse as data.
BEST_PRACTICE = frozenset({"dom-6"})
_WEIGHTS = {"completeness": 0.5, "validity": 0.3, "consistency": 0.2}
_COST_OF_A_WARNING = 0.1


@dataclass(frozen=True)
class QualityScore:
    """Scores from 0 to 1; a part is None where the resource gives nothing to judge by."""

    quality_score: float
    completeness: float | None
    validity: float
    consistency: float | None


def score(resource: Mapping[str, Any], warnings: int) -> QualityScore:
    """Score a valid resource.

    Args:
        resource: the decoded resource; only its top-level members and periods are looked at.
        warnings: how many warnings the validator gave.

    Returns:
        Completeness (share of the type's expected elements that are there), validity (1 less a
        tenth per warning), consistency (share of its own date facts that hold), and
        0.5, 0.3 and 0.2 of them as one, the weights rescaled over the parts that exist.
    """
    parts = {
        "completeness": _completeness(resource),
        "validity": max(0.0, 1.0 - _COST_OF_A_WARNING * warnings),
        "consistency": _consistency(resource),
    }
    there = {name: value for name, value in parts.items() if value is not None}
    weight = sum(_WEIGHTS[name] for name in there)
    total = sum(_WEIGHTS[name] * value for name, value in there.items()) / weight
    return QualityScore(
        quality_score=round(total, 6),
        completeness=parts["completeness"],
        validity=there["validity"],
        consistency=parts["consistency"],
    )


def _completeness(resource: Mapping[str, Any]) -> float | None:
    expected = EXPECTED_ELEMENTS.get(str(resource.get("resourceType")))
    if expected is None:
        return None
    present = sum(any(name in resource for name in names) for names in expected)
    return present / len(expected)


def _consistency(resource: Mapping[str, Any]) -> float | None:
    pairs = [(resource.get(first), resource.get(second)) for first, second in _ORDERED]
    for name in _PERIODS:
        period = resource.get(name)
        if isinstance(period, dict):
            pairs.append((period.get("start"), period.get("end")))
    facts = [fact for fact in (_in_order(*pair) for pair in pairs) if fact is not None]
    return sum(facts) / len(facts) if facts else None


def _in_order(first: object, second: object) -> bool | None:
    """Whether one date does not lie after another; None where that can't be told."""
    moments = moment_of(first), moment_of(second)
    if moments[0] and moments[1]:
        return moments[0] <= moments[1]
    days = day_of(first), day_of(second)
    if not (days[0] and days[1]):
        return None
    # A date alone has no time zone: beside a time that has one it may be a day off.
    slack = int(any(moments))
    return (days[0] - days[1]).days <= slack
