"""What the pipeline expects of a resource beyond R4: a name, a value, dates that can be.

Belongs here: rules on one valid resource and the few facts that are handed in with it. R4's own
rules are in `__init__.py`.
"""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import lru_cache
from typing import NamedTuple

import msgspec

from hc_assets.fhir.r4.issues import Issue
from hc_assets.fhir.times import first_day_of, moment_of
from hc_assets.fhir.validation.let_through import NOTHING_LET_THROUGH, LetThrough

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
_CACHED = 16_384
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
        let_through: rules, R4's among them, whose breach is only a warning.
    """

    as_errors: frozenset[str] = field(default_factory=frozenset)
    let_through: LetThrough = NOTHING_LET_THROUGH

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
        """Hold a valid resource, whose members are decoded already, against every rule."""
        seen = _seen(members)
        return [
            Issue(
                severity="error" if rule in self.as_errors else "warning",
                code="business-rule",
                expression=expression,
                rule=rule,
                diagnostics=text,
            )
            for rule, check in RULES.items()
            for expression, text in check(seen, facts)
        ]


class _Seen(NamedTuple):
    """What the rules read of a resource.

    Attributes:
        resource_type: its type.
        members: names of its JSON members.
        dates: FHIRPath and text of those dates that can lie neither in the future nor before birth.
    """

    resource_type: str
    members: Collection[str]
    dates: Sequence[tuple[str, str]]


Breaches = Iterable[tuple[str, str]]


def _patient_has_name(seen: _Seen, _: Facts) -> Breaches:
    if seen.resource_type == "Patient" and "name" not in seen.members:
        return [("Patient", "found no name, expected at least one")]
    return ()


def _observation_has_value(seen: _Seen, _: Facts) -> Breaches:
    # The usual ones are asked for by name, since every Observation is asked.
    if seen.resource_type != "Observation" or "valueQuantity" in seen.members:
        return ()
    if any(map(_holds_value, seen.members)):
        return ()
    return [("Observation", "found no value, component, member or data-absent reason")]


def _holds_value(name: str) -> bool:
    return name.startswith(("value", "_value")) or name in _VALUE_HOLDERS


def _date_not_in_future(seen: _Seen, facts: Facts) -> Breaches:
    return [
        (path, f"found {text}, expected no later than the batch's landing")
        for path, text in seen.dates
        if _is_after(text, facts.now)
    ]


@lru_cache(maxsize=_CACHED)
def _is_after(text: str, now: datetime) -> bool:
    moment = moment_of(text)
    if moment is not None and moment.tzinfo is not None:
        return moment > now
    first = first_day_of(text)
    return first is not None and first > now.astimezone(UTC).date()


def _date_not_before_birth(seen: _Seen, facts: Facts) -> Breaches:
    birth = facts.birth_date
    if birth is None:
        return ()
    # Both may be less precise than a day: only what both state is compared.
    return [
        (path, f"found {text}, expected no earlier than the patient's birth")
        for path, text in seen.dates
        if text[: len(birth)] < birth[: len(text)]
    ]


# By type: the member, the member in it or "", and the FHIRPath of each date.
_PLACES: Mapping[str, tuple[tuple[str, str, str], ...]] = {
    type_: tuple(
        (path.partition(".")[0], path.partition(".")[2], f"{type_}.{path}") for path in paths
    )
    for type_, paths in _PAST_ELEMENTS.items()
}
_decode_members = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
# The rules read texts only: a number that no float holds must not stop a batch.
_decode_value = msgspec.json.Decoder(float_hook=str).decode


def _seen(members: Mapping[str, msgspec.Raw]) -> _Seen:
    type_ = _decode_value(members["resourceType"])
    places = _PLACES.get(type_, ())
    if type_ == "Encounter" and "status" in members:
        places = () if _decode_value(members["status"]) in _NOT_BEGUN else places
    dates = []
    for name, inner, path in places:
        if name in members:
            value = _decode_value(members[name])
            if inner:
                value = value.get(inner) if isinstance(value, dict) else None
            if isinstance(value, str):
                dates.append((path, value))
    return _Seen(type_, members.keys(), dates)


RULES: Mapping[str, Callable[[_Seen, Facts], Breaches]] = {
    "patient-has-name": _patient_has_name,
    "observation-has-value": _observation_has_value,
    "date-not-in-future": _date_not_in_future,
    "date-not-before-birth": _date_not_before_birth,
}
