"""What the pipeline expects of a resource beyond R4: a name, a value, dates that can be.

Belongs here: rules on one valid resource and the few facts that are handed in with it. R4's own
rules are in `validation.py`.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import msgspec

from hc_assets.fhir.r4.issues import Issue
from hc_assets.fhir.times import first_day_of, moment_of

# When something happened or was written down: elements that can lie neither in the future nor
# before the patient's birth. Plans and periods' ends are left out, for they may.
_PAST_ELEMENTS: Mapping[str, tuple[str, ...]] = {
    "AllergyIntolerance": ("onsetDateTime", "recordedDate", "lastOccurrence"),
    "Condition": ("onsetDateTime", "recordedDate"),
    "DiagnosticReport": ("effectiveDateTime", "effectivePeriod.start", "issued"),
    "Encounter": ("period.start",),
    "ImagingStudy": ("started",),
    "Immunization": ("occurrenceDateTime", "recorded"),
    "MedicationRequest": ("authoredOn",),
    "MedicationAdministration": ("effectiveDateTime", "effectivePeriod.start"),
    "Observation": (
        "effectiveDateTime",
        "effectiveInstant",
        "effectivePeriod.start",
        "issued",
    ),
    "Patient": ("birthDate", "deceasedDateTime"),
    "Procedure": ("performedDateTime", "performedPeriod.start"),
}
# An encounter in one of these has not begun yet (HL7 EncounterStatus).
_NOT_BEGUN = frozenset({"planned", "cancelled"})
_VALUE_HOLDERS = ("component", "hasMember", "dataAbsentReason")


@dataclass(frozen=True)
class Facts:
    """What the rules need to know beside the resource.

    Attributes:
        now: when the batch landed, UTC.
        birth_date: of the patient that the resource is about, as FHIR writes it; None if unknown.
    """

    now: datetime
    birth_date: str | None = None


@dataclass(frozen=True)
class BusinessRules:
    """The rules of a deployment.

    Attributes:
        as_errors: rules whose breach makes a resource invalid; that of all others is a warning.
    """

    as_errors: frozenset[str] = field(default_factory=frozenset)

    def __post_init__(self) -> None:
        """Refuse names that are no rules.

        Raises:
            ValueError: `as_errors` names one.
        """
        unknown = self.as_errors - RULES.keys()
        if unknown:
            known = ", ".join(sorted(RULES))
            raise ValueError(f"no business rule {', '.join(sorted(unknown))}; there are {known}")

    def issues(self, resource: bytes, facts: Facts) -> list[Issue]:
        """Hold a valid resource, as JSON, against every rule."""
        return self.issues_of(_decode_members(resource), facts)

    def issues_of(self, members: Mapping[str, msgspec.Raw], facts: Facts) -> list[Issue]:
        """Hold a valid resource, whose members are told apart already, against every rule."""
        read = _read(members)
        return [
            Issue(
                severity="error" if rule in self.as_errors else "warning",
                code="business-rule",
                expression=expression,
                rule=rule,
                diagnostics=text,
            )
            for rule, check in RULES.items()
            for expression, text in check(read, facts)
        ]


Breaches = Iterator[tuple[str, str]]


def _patient_has_name(resource: Mapping[str, Any], _: Facts) -> Breaches:
    if resource["resourceType"] == "Patient" and "name" not in resource:
        yield "Patient", "found no name, expected at least one"


def _observation_has_value(resource: Mapping[str, Any], _: Facts) -> Breaches:
    if resource["resourceType"] != "Observation":
        return
    if not any(name.startswith(("value", "_value")) or name in _VALUE_HOLDERS for name in resource):
        yield "Observation", "found no value, component, member or data-absent reason"


def _date_not_in_future(resource: Mapping[str, Any], facts: Facts) -> Breaches:
    for path, text in _past_elements(resource):
        moment = moment_of(text)
        if moment is not None and moment.tzinfo is not None:
            ahead = moment > facts.now
        else:
            first = first_day_of(text)
            ahead = first is not None and first > facts.now.astimezone(UTC).date()
        if ahead:
            yield path, f"found {text}, expected no later than the batch's landing"


def _date_not_before_birth(resource: Mapping[str, Any], facts: Facts) -> Breaches:
    if facts.birth_date is None:
        return
    for path, text in _past_elements(resource):
        # Both may be less precise than a day: only what both state is compared.
        shared = min(len(text), len(facts.birth_date))
        if text[:shared] < facts.birth_date[:shared]:
            yield path, f"found {text}, expected no earlier than the patient's birth"


def _past_elements(resource: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    type_ = resource["resourceType"]
    if type_ == "Encounter" and resource.get("status") in _NOT_BEGUN:
        return
    for path in _PAST_ELEMENTS.get(type_, ()):
        name, _, inner = path.partition(".")
        value = resource.get(name)
        if inner:
            value = value.get(inner) if isinstance(value, dict) else None
        if isinstance(value, str):
            yield f"{type_}.{path}", value


_READ = frozenset({"resourceType", "status"}) | {
    path.partition(".")[0] for paths in _PAST_ELEMENTS.values() for path in paths
}
_decode_members = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
# The rules read texts only: a number that no float holds must not stop a batch.
_decode_value = msgspec.json.Decoder(float_hook=str).decode


def _read(members: Mapping[str, msgspec.Raw]) -> dict[str, Any]:
    """Members of a resource by name; the value of those only that a rule reads."""
    return {name: _decode_value(raw) if name in _READ else None for name, raw in members.items()}


RULES: Mapping[str, Callable[[Mapping[str, Any], Facts], Breaches]] = {
    "patient-has-name": _patient_has_name,
    "observation-has-value": _observation_has_value,
    "date-not-in-future": _date_not_in_future,
    "date-not-before-birth": _date_not_before_birth,
}
