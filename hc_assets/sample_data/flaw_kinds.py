"""The kinds of flaw that FHIR entries get.

Belongs here: what each does to a resource, and the rule that it breaks. Where they are put is in
`flaws.py`.
"""

from collections.abc import Callable
from typing import Any

import msgspec

from hc_assets.sample_data.flaws import Change
from hc_assets.sample_data.observations import Resource

Edit = Callable[[Resource], bytes | None]


def _set(name: str, value: Any) -> Edit:
    def apply(resource: Resource) -> None:
        resource[name] = value

    return apply


def _drop(name: str) -> Edit:
    def apply(resource: Resource) -> None:
        del resource[name]

    return apply


def _has(name: str) -> Callable[[Resource], bool]:
    return lambda resource: name in resource


def _naive_time(resource: Resource) -> None:
    resource["effectiveDateTime"] = resource["effectiveDateTime"][:19]


def _end_before_start(resource: Resource) -> None:
    period = resource["period"]
    period["start"], period["end"] = period["end"], period["start"]


def _number_as_text(resource: Resource) -> None:
    value = resource["valueQuantity"]["value"]
    resource["valueQuantity"]["value"] = str(value)


def _unit_without_system(resource: Resource) -> None:
    del resource["valueQuantity"]["system"]


def _newer_class(resource: Resource) -> None:
    resource["class"] = [{"coding": [resource["class"]]}]  # as in R5


def _one_for_many(resource: Resource) -> None:
    resource["category"] = resource["category"][0]


def _broken_sequence(resource: Resource) -> None:
    resource["dosageInstruction"][0]["sequence"] = msgspec.Raw(b"1.5")


def _cut(resource: Resource) -> bytes:
    line = msgspec.json.Encoder(decimal_format="number").encode(resource)
    return line[: len(line) * 3 // 5]


def _two_kinds_of_extension(resource: Resource) -> None:
    url = "https://ellerybay.example.org/fhir/note"
    resource["extension"] = [
        {"extension": [{"url": "part", "valueString": "a"}], "url": url, "valueString": "b"}
    ]


def _abated_yet_active(resource: Resource) -> None:
    resource["abatementDateTime"] = resource["recordedDate"]


def _without_abatement(resource: Resource) -> bool:
    return "abatementDateTime" not in resource and "recordedDate" in resource


def _before_birth(resource: Resource) -> None:
    resource["onsetDateTime"] = "1850-01-01"


def _unknown_practitioner(resource: Resource) -> None:
    resource["performer"] = [{"reference": "Practitioner/there-is-no-such-one"}]


INVALID = (
    Change(
        "observation-without-status", "Observation", _drop("status"),
        "cardinality", "Observation.status",
    ),
    Change(
        "line-cut-short", "Observation", _cut, "unreadable", "", lines_only=True, limit=2,
    ),
    Change(
        "condition-without-subject", "Condition", _drop("subject"),
        "cardinality", "Condition.subject",
    ),
    Change(
        "unknown-member", "Encounter", _set("priorityLevel", "high"),
        "unknown-member", "Encounter.priorityLevel",
    ),
    Change("null-member", "Observation", _set("note", None), "null-value", "Observation.note"),
    Change("empty-array", "Condition", _set("note", []), "empty-array", "Condition.note"),
    Change(
        "two-values", "Observation", _set("valueString", "see quantity"),
        "choice", "Observation.value", suits=_has("valueQuantity"),
    ),
    Change(
        "time-without-zone", "Observation", _naive_time,
        "primitive-format", "Observation.effectiveDateTime",
    ),
    Change(
        "unknown-resource-type", "Observation", _set("resourceType", "Observaton"),
        "resource-type", "", limit=3,
    ),
    Change(
        "patient-gender-no-code", "Patient", _set("gender", "F"),
        "required-binding", "Patient.gender", limit=1,
    ),
    Change(
        "birth-date-no-date", "Patient", _set("birthDate", "2026-02-30"),
        "primitive-format", "Patient.birthDate", limit=1,
    ),
    Change(
        "encounter-status-no-code", "Encounter", _set("status", "done"),
        "required-binding", "Encounter.status",
    ),
    Change(
        "number-as-text", "Observation", _number_as_text,
        "json-type", "Observation.valueQuantity.value", suits=_has("valueQuantity"),
    ),
    Change(
        "report-without-code", "DiagnosticReport", _drop("code"),
        "cardinality", "DiagnosticReport.code",
    ),
    Change(
        "request-without-intent", "MedicationRequest", _drop("intent"),
        "cardinality", "MedicationRequest.intent",
    ),
    Change(
        "object-for-array", "Observation", _one_for_many, "json-type", "Observation.category",
    ),
    Change("class-as-in-r5", "Encounter", _newer_class, "json-type", "Encounter.class"),
    Change(
        "period-ends-before-start", "Encounter", _end_before_start, "per-1", "Encounter.period",
    ),
    Change(
        "absent-reason-beside-value", "Observation",
        _set("dataAbsentReason", {"text": "not asked"}), "obs-6", "Observation",
        suits=_has("valueQuantity"),
    ),
    Change(
        "unit-code-without-system", "Observation", _unit_without_system,
        "qty-3", "Observation.valueQuantity", suits=_has("valueQuantity"),
    ),
    Change(
        "fraction-for-integer", "MedicationRequest", _broken_sequence,
        "primitive-format", "MedicationRequest.dosageInstruction[0].sequence",
    ),
    Change(
        "extension-with-value-and-parts", "Observation", _two_kinds_of_extension,
        "ext-1", "Observation.extension[0]",
    ),
    Change(
        "abated-yet-active", "Condition", _abated_yet_active, "con-4", "Condition",
        suits=_without_abatement,
    ),
)  # fmt: skip
"""Kinds that make an entry invalid, the plainest first: a small sample gets those only."""

WARNED = (
    Change(
        "observation-without-value", "Observation", _drop("valueQuantity"),
        "observation-has-value", "Observation", suits=_has("valueQuantity"),
        limit=2, outcome="warned",
    ),
    Change(
        "onset-before-birth", "Condition", _before_birth,
        "date-not-before-birth", "Condition.onsetDateTime", limit=1, outcome="warned",
    ),
    Change(
        "reference-to-nobody", "Observation", _unknown_practitioner,
        "reference-resolves", "Observation.performer[0]", limit=2, outcome="warned",
    ),
)  # fmt: skip
"""Kinds that leave an entry valid and deserve a warning."""
