"""Entries that look odd and are valid FHIR R4: a validator that refuses them is wrong.

Belongs here: what each oddity does to a resource. Where they are put is in `flaws.py`.
"""

from decimal import Decimal

import msgspec

from hc_assets.sample_data.codes import RXNORM, concept
from hc_assets.sample_data.flaws import Change
from hc_assets.sample_data.observations import Resource

_ABSENT = "http://hl7.org/fhir/StructureDefinition/data-absent-reason"
_ORIGINAL_TEXT = "http://hl7.org/fhir/StructureDefinition/originalText"


def _absent_birth_date(resource: Resource) -> None:
    del resource["birthDate"]
    resource["_birthDate"] = {"extension": [{"url": _ABSENT, "valueCode": "unknown"}]}


def _null_beside_sibling(resource: Resource) -> None:
    resource["name"][0]["given"] = [resource["name"][0]["given"][0], None]
    resource["name"][0]["_given"] = [
        None,
        {"extension": [{"url": _ABSENT, "valueCode": "asked-declined"}]},
    ]


def _contained(resource: Resource) -> None:
    medication = {
        "resourceType": "Medication",
        "id": "med",
        "code": resource.pop("medicationCodeableConcept"),
        "ingredient": [{"itemCodeableConcept": concept(RXNORM, "1191", "Aspirin")}],
    }
    resource["contained"] = [medication]
    resource["medicationReference"] = {"reference": "#med"}


def _year_and_month(resource: Resource) -> None:
    resource["onsetDateTime"] = resource["onsetDateTime"][:7]


def _absent_value(resource: Resource) -> None:
    del resource["valueQuantity"]
    resource["dataAbsentReason"] = concept(
        "http://terminology.hl7.org/CodeSystem/data-absent-reason", "error", "Error"
    )


def _below_limit(resource: Resource) -> None:
    resource["valueQuantity"] |= {"value": Decimal("0.10"), "comparator": "<"}


def _exponent(resource: Resource) -> None:
    resource["valueQuantity"]["value"] = msgspec.Raw(b"1.40e2")


def _long_decimal(resource: Resource) -> None:
    resource["valueQuantity"]["value"] = Decimal("5.123456789012345670")


def _trailing_zeros(resource: Resource) -> None:
    resource["valueQuantity"]["value"] = Decimal("1.000")


def _text_beyond_plane_zero(resource: Resource) -> None:
    resource["note"] = [
        {"text": "Línea uno\nsecond line, tab\there \U0001f9ea \u200f\u05e9\u05dc\u05d5\u05dd"}
    ]


def _extended_time(resource: Resource) -> None:
    extension = {"url": _ORIGINAL_TEXT, "valueString": "after breakfast"}
    resource["_effectiveDateTime"] = {"extension": [extension]}


def _leap_day(resource: Resource) -> None:
    resource["effectiveDateTime"] = "2024-02-29"


def _fine_instant(resource: Resource) -> None:
    resource["issued"] = resource["effectiveDateTime"][:10] + "T23:59:59.1234567Z"


def _has_quantity(resource: Resource) -> bool:
    return "valueQuantity" in resource


ODDITIES = (
    Change("birth-date-absent-with-reason", "Patient", _absent_birth_date),
    Change("null-given-name-with-extension", "Patient", _null_beside_sibling),
    Change("contained-medication", "MedicationRequest", _contained),
    Change("onset-month-only", "Condition", _year_and_month),
    Change("value-absent-with-reason", "Observation", _absent_value, suits=_has_quantity),
    Change("value-below-limit", "Observation", _below_limit, suits=_has_quantity),
    Change("decimal-with-exponent", "Observation", _exponent, suits=_has_quantity),
    Change("decimal-of-19-digits", "Observation", _long_decimal, suits=_has_quantity),
    Change("decimal-with-trailing-zeros", "Observation", _trailing_zeros, suits=_has_quantity),
    Change("text-of-many-scripts", "Observation", _text_beyond_plane_zero),
    Change("extension-beside-primitive", "Observation", _extended_time),
    Change("leap-day", "Observation", _leap_day),
    Change("instant-of-seven-digits", "Observation", _fine_instant),
)
