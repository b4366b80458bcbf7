from typing import Any

import pytest

from hc_assets_tests.fhir.validation.judged_values import (
    CORE_SEARCH,
    DATA,
    SERVER,
    SHA1,
    UUID,
    attachment,
    capability,
    composition,
    condition_on,
    document,
    found,
    observation,
    patient,
    profile,
    questionnaire,
    resource,
    search_parameter,
)

VALID: dict[str, dict[str, Any]] = {
    "sibling with an id beside its value": patient(birthDate="2020", _birthDate={"id": "a"}),
    "siblings with ids beside values": patient(
        name=[{"given": ["a", "b"], "_given": [{"id": "x"}, {"id": "y"}]}]
    ),
    "same id in a contained resource": patient(
        name=[{"id": "a", "text": "x"}],
        contained=[{"resourceType": "Organization", "id": "o", "name": "x", "alias": ["y"]}],
        managingOrganization={"id": "b", "reference": "#o"},
    ),
    "system with an OID": observation(
        method={"coding": [{"system": "urn:oid:2.16.840.1.113883.6.1", "code": "b"}]}
    ),
    "canonical URN with a version": resource(
        "QuestionnaireResponse", status="completed", questionnaire=f"urn:uuid:{UUID}|2"
    ),
    "size and hash of the data": attachment(data=DATA, size=5, hash=SHA1),
    "size of what a URL leads to": attachment(url="http://x.org/a", size=7),
    "data in lines": attachment(data=f"{DATA[:4]}\n{DATA[4:]}", size=5),
    "data points": observation(
        valueSampledData={
            "origin": {"value": 0},
            "period": 1,
            "dimensions": 1,
            "data": "1 -2.50 E U L 3",
        }
    ),
    "two security labels": patient(
        meta={"security": [{"system": "http://x.org", "code": code} for code in "ab"]}
    ),
    "condition on a question before, and on one above": questionnaire(
        {
            "linkId": "1",
            "type": "boolean",
            "item": [{"linkId": "2", "type": "boolean", "enableWhen": condition_on("1")}],
        },
        {"linkId": "3", "type": "string", "enableWhen": condition_on("2")},
    ),
    "path into a data type": profile("Observation.component.code.coding.system"),
    "path of a choice": profile("Observation.value[x]"),
    "path of a type of a choice": profile("Observation.valueQuantity.code"),
    "path into a contained resource": profile("Observation.contained.name"),
    "search on all of base": search_parameter(
        base=["Patient", "Practitioner"], expression="(Patient | Practitioner).name.where(use='a')"
    ),
    "search derived from another": search_parameter(
        base=["Organization"], derivedFrom=f"{CORE_SEARCH}/Organization-address-city"
    ),
    "search derived from one that is not HL7's": search_parameter(
        base=["Organization"], derivedFrom="http://x.org/SearchParameter/b"
    ),
    "server with the parameter's type": capability(
        definition=f"{CORE_SEARCH}/Patient-active", type="token"
    ),
    "search on all resources": search_parameter(base=["Resource"], expression="Resource.id"),
    "document with two versions of a resource": document(
        (
            f"{SERVER}/Composition/c",
            composition("Patient/p/_history/1")
            | {"attester": [{"mode": "legal", "party": {"reference": "Patient/p/_history/2"}}]},
        ),
        (f"{SERVER}/Patient/p", patient(id="p", meta={"versionId": "1"})),
        (f"{SERVER}/Patient/p", patient(id="p", meta={"versionId": "2"})),
    ),
    "document with what its entries lead to, a Provenance of it and a style sheet": document(
        (f"{SERVER}/Composition/c", composition("Patient/p")),
        (
            f"{SERVER}/Patient/p",
            patient(id="p", managingOrganization={"reference": "Organization/o"}),
        ),
        (f"{SERVER}/Organization/o", resource("Organization", id="o", name="x")),
        (
            f"{SERVER}/Provenance/v",
            resource(
                "Provenance",
                id="v",
                target=[{"reference": "Composition/c"}],
                recorded="2020-01-01T00:00:00Z",
                agent=[{"who": {"display": "x"}}],
            ),
        ),
        (
            f"{SERVER}/QuestionnaireResponse/r",
            resource(
                "QuestionnaireResponse",
                id="r",
                status="completed",
                subject={"reference": "Patient/p"},
                questionnaire="http://x.org/q|1",
            ),
        ),
        (
            f"{SERVER}/Questionnaire/q",
            resource("Questionnaire", id="q", status="active", url="http://x.org/q", name="Q"),
        ),
        (
            f"{SERVER}/Binary/b",
            {"resourceType": "Binary", "id": "b", "contentType": "text/css", "data": DATA},
        ),
    ),
}


@pytest.mark.parametrize("name", VALID)
def test_rare_but_valid_is_accepted(name: str) -> None:
    assert found(VALID[name]) == set()
