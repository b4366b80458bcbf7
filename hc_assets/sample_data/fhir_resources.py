"""People, visits, problems and prescriptions as FHIR R4 resources.

Belongs here: the shape of each resource. Observations are in `observations.py`, imaging in
`imaging_resources.py`, the files in `fhir_files.py`.
"""

from typing import Any

from hc_assets.sample_data.codes import (
    DRUGS,
    HL7_CODES,
    ICD10,
    RXNORM,
    SNOMED,
    VISIT_KINDS,
    coding,
    concept,
)
from hc_assets.sample_data.histories import Prescription, Problem, Visit
from hc_assets.sample_data.observations import Refer, Resource
from hc_assets.sample_data.patients import Carer, House, Person

MRN_SYSTEM = "https://ellerybay.example.org/mrn"
_XHTML = 'xmlns="http://www.w3.org/1999/xhtml"'
_US_CORE = "http://hl7.org/fhir/us/core/StructureDefinition/"
_OMB = "urn:oid:2.16.840.1.113883.6.238"


def patient(person: Person, house: House, refer: Refer) -> Resource:
    """Build a Patient; `identifier` holds the medical record number."""
    resource: Resource = {
        "resourceType": "Patient",
        "id": person.id,
        "text": {
            "status": "generated",
            "div": f"<div {_XHTML}><p>{person.given} {person.family}</p></div>",
        },
        "extension": [_race(person)],
        "identifier": [
            {
                "use": "usual",
                "type": concept(HL7_CODES + "v2-0203", "MR", "Medical record number"),
                "system": MRN_SYSTEM,
                "value": person.mrn,
                "assigner": {"display": house.name},
            }
        ],
        "active": True,
        "name": [
            {"use": "official", "family": person.family, "given": [person.given, person.middle]}
        ],
        "telecom": [{"system": "phone", "value": person.phone, "use": "home"}],
        "gender": person.gender,
        "birthDate": person.birth_date.isoformat(),
        "address": [_address(person) | {"use": "home"}],
    }
    if person.marital:
        resource["maritalStatus"] = concept(HL7_CODES + "v3-MaritalStatus", *person.marital)
    resource["communication"] = [
        {"language": concept("urn:ietf:bcp:47", "en-US", "English (United States)")}
    ]
    resource["managingOrganization"] = refer("Organization", house.id)
    return resource


def _race(person: Person) -> dict[str, Any]:
    code, display = person.race
    return {
        "url": _US_CORE + "us-core-race",
        "extension": [
            {"url": "ombCategory", "valueCoding": coding(_OMB, code, display)},
            {"url": "text", "valueString": display},
        ],
    }


def _address(place: Person | House) -> dict[str, Any]:
    return {
        "line": [place.street],
        "city": place.city,
        "state": place.state,
        "postalCode": place.postal_code,
        "country": "US",
    }


def organization(house: House) -> Resource:
    """Build an Organization."""
    return {
        "resourceType": "Organization",
        "id": house.id,
        "active": True,
        "type": [
            concept(HL7_CODES + "organization-type", "prov", "Healthcare Provider"),
        ],
        "name": house.name,
        "telecom": [{"system": "phone", "value": house.phone}],
        "address": [_address(house)],
    }


def practitioner(carer: Carer) -> Resource:
    """Build a Practitioner."""
    return {
        "resourceType": "Practitioner",
        "id": carer.id,
        "identifier": [{"system": "http://hl7.org/fhir/sid/us-npi", "value": carer.npi}],
        "active": True,
        "name": [{"family": carer.family, "given": [carer.given], "prefix": ["Dr."]}],
        "gender": carer.gender,
    }


def encounter(
    visit: Visit, person: Person, carers: list[Carer], house: House, refer: Refer
) -> Resource:
    """Build a finished Encounter."""
    kind = VISIT_KINDS[visit.kind]
    resource: Resource = {
        "resourceType": "Encounter",
        "id": visit.id,
        "status": "finished",
        "class": coding(HL7_CODES + "v3-ActCode", kind.act_class, kind.act_display),
        "type": [concept(SNOMED, kind.snomed, kind.display)],
        "subject": refer("Patient", person.id),
        "participant": [{"individual": refer("Practitioner", carers[visit.carer].id)}],
        "period": {"start": visit.start.isoformat(), "end": visit.end.isoformat()},
    }
    if visit.reason:
        disease = visit.reason.disease
        resource["reasonCode"] = [concept(SNOMED, disease.snomed, disease.display)]
    resource["serviceProvider"] = refer("Organization", house.id)
    return resource


def condition(problem: Problem, visit: Visit, person: Person, refer: Refer) -> Resource:
    """Build a Condition, coded in SNOMED CT and ICD-10-CM, recorded at a visit."""
    disease = problem.disease
    status = ("resolved", "Resolved") if problem.abated else ("active", "Active")
    category = ("encounter-diagnosis", "Encounter Diagnosis")
    resource: Resource = {
        "resourceType": "Condition",
        "id": problem.id,
        "clinicalStatus": concept(HL7_CODES + "condition-clinical", *status),
        "verificationStatus": concept(HL7_CODES + "condition-ver-status", "confirmed", "Confirmed"),
        "category": [concept(HL7_CODES + "condition-category", *category)],
        "code": {
            "coding": [
                coding(SNOMED, disease.snomed, disease.display),
                {"system": ICD10, "code": disease.icd10},
            ],
            "text": disease.display,
        },
        "subject": refer("Patient", person.id),
        "encounter": refer("Encounter", visit.id),
        "onsetDateTime": problem.onset.isoformat(),
    }
    if problem.abated:
        resource["abatementDateTime"] = problem.abated.isoformat()
    resource["recordedDate"] = visit.start.isoformat()
    return resource


def medication_request(
    prescription: Prescription, visit: Visit, person: Person, carers: list[Carer], refer: Refer
) -> Resource:
    """Build a MedicationRequest, coded in RxNorm."""
    drug = DRUGS[prescription.rxnorm]
    return {
        "resourceType": "MedicationRequest",
        "id": prescription.id,
        "status": "completed" if prescription.is_over else "active",
        "intent": "order",
        "medicationCodeableConcept": concept(RXNORM, prescription.rxnorm, drug.display),
        "subject": refer("Patient", person.id),
        "encounter": refer("Encounter", visit.id),
        "authoredOn": visit.start.isoformat(),
        "requester": refer("Practitioner", carers[visit.carer].id),
        "reasonReference": [refer("Condition", prescription.problem.id)],
        "dosageInstruction": [
            {
                "sequence": 1,
                "text": drug.instruction,
                "timing": {
                    "repeat": {"frequency": drug.times_a_day, "period": 1, "periodUnit": "d"}
                },
            }
        ],
    }
