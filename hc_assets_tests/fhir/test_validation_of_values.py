"""Rules that look beyond the form of a value, and what is nearly broken but valid.

Belongs here: data types, ids of elements, siblings, questionnaires, profiles, documents. Structure
belongs to `test_validation.py`, other bundles to `test_validation_bundles.py`.
"""

import base64
import hashlib
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hc_assets.fhir.r4.fast_path import accept
from hc_assets.fhir.validation import has_errors, is_valid, validate

DIV = '<div xmlns="http://www.w3.org/1999/xhtml">x</div>'
UUID = "0c3151bd-1cbf-4d64-b04d-cd9187a4c6e0"
OTHER_UUID = "1c3151bd-1cbf-4d64-b04d-cd9187a4c6e0"
SERVER = "http://x.org/fhir"
CORE_SEARCH = "http://hl7.org/fhir/SearchParameter"
EXTENSION = {"url": "http://x.org/a", "valueString": "b"}


def resource(type_name: str, **members: Any) -> dict[str, Any]:
    return {"resourceType": type_name, "text": {"status": "generated", "div": DIV}, **members}


def patient(**members: Any) -> dict[str, Any]:
    return resource("Patient", **members)


def observation(**members: Any) -> dict[str, Any]:
    return resource("Observation", status="final", code={"text": "weight"}, **members)


def parameter(**value: Any) -> dict[str, Any]:
    return {"resourceType": "Parameters", "parameter": [{"name": "a", **value}]}


def attachment(**members: Any) -> dict[str, Any]:
    return parameter(valueAttachment={"contentType": "text/plain", **members})


def questionnaire(*items: dict[str, Any]) -> dict[str, Any]:
    return resource("Questionnaire", status="active", item=list(items))


def asks(question: str) -> list[dict[str, Any]]:
    return [{"question": question, "operator": "=", "answerBoolean": True}]


def profile(path: str) -> dict[str, Any]:
    return resource(
        "StructureDefinition",
        url="http://x.org/StructureDefinition/p",
        name="P",
        status="draft",
        kind="resource",
        abstract=False,
        type="Observation",
        baseDefinition="http://hl7.org/fhir/StructureDefinition/Observation",
        derivation="constraint",
        differential={"element": [{"id": path, "path": path}]},
    )


def search_parameter(**members: Any) -> dict[str, Any]:
    return resource(
        "SearchParameter",
        url="http://x.org/SearchParameter/a",
        name="A",
        status="draft",
        description="x",
        code="a",
        type="string",
        **members,
    )


def capability(**parameter: str) -> dict[str, Any]:
    searched = {"type": "Patient", "searchParam": [{"name": "a", **parameter}]}
    return resource(
        "CapabilityStatement",
        status="draft",
        date="2020",
        kind="capability",
        software={"name": "x"},
        fhirVersion="4.0.1",
        format=["json"],
        rest=[{"mode": "server", "resource": [searched]}],
    )


def document(*entries: tuple[str, dict[str, Any]]) -> dict[str, Any]:
    return {
        "resourceType": "Bundle",
        "type": "document",
        "identifier": {"system": "http://x.org/documents", "value": "1"},
        "timestamp": "2020-01-01T00:00:00Z",
        "entry": [{"fullUrl": url, "resource": one} for url, one in entries],
    }


def composition(subject: str) -> dict[str, Any]:
    return resource(
        "Composition",
        id="c",
        status="final",
        type={"text": "x"},
        date="2020",
        author=[{"display": "x"}],
        title="x",
        subject={"reference": subject},
    )


def found(one: dict[str, Any], *severities: str) -> set[tuple[str, str]]:
    """Location and rule of every issue of some severities, errors by default."""
    raw = json.dumps(one).encode()
    issues = validate(raw)
    assert is_valid(raw) == (not has_errors(issues))
    wanted = severities or ("fatal", "error")
    return {(i.expression, i.rule) for i in issues if i.severity in wanted}


DATA = base64.b64encode(b"hello").decode()
SHA1 = base64.b64encode(hashlib.sha1(b"hello", usedforsecurity=False).digest()).decode()
ATTACHMENT = "Parameters.parameter[0].valueAttachment"
URI = "Parameters.parameter[0].valueUri"
BROKEN: dict[str, tuple[dict[str, Any], set[tuple[str, str]]]] = {
    "URN of no UUID": (parameter(valueUri="urn:uuid:1"), {(URI, "primitive-format")}),
    "URN of no OID": (parameter(valueUri="urn:oid:1.02.3"), {(URI, "primitive-format")}),
    "OID without urn": (parameter(valueUri="oid:1.2.3"), {(URI, "primitive-format")}),
    "UUID without urn": (parameter(valueUri=f"uuid:{UUID}"), {(URI, "primitive-format")}),
    "system with a URN of no OID": (
        observation(method={"coding": [{"system": "urn:oid:a", "code": "b"}]}),
        {("Observation.method.coding[0].system", "primitive-format")},
    ),
    "size of other data": (
        attachment(data=DATA, size=6),
        {(f"{ATTACHMENT}.size", "attachment-size")},
    ),
    "hash of other data": (
        attachment(data=base64.b64encode(b"hullo").decode(), hash=SHA1),
        {(f"{ATTACHMENT}.hash", "attachment-hash")},
    ),
    "data points with two spaces": (
        observation(
            valueSampledData={
                "origin": {"value": 0},
                "period": 1,
                "dimensions": 1,
                "data": "1  2",
            }
        ),
        {("Observation.valueSampledData.data", "sampled-data")},
    ),
    "reference to a type that the element doesn't allow": (
        observation(subject={"reference": "Practitioner/1"}),
        {("Observation.subject.reference", "reference-target")},
    ),
    "extension URL with a version": (
        patient(extension=[{**EXTENSION, "url": "http://x.org/a|1.0"}]),
        {("Patient.extension[0].url", "extension-url")},
    ),
    "security label twice": (
        patient(meta={"security": [{"system": "http://x.org", "code": "a"}] * 2}),
        {("Patient.meta.security[1]", "security-label")},
    ),
    "id of two elements": (
        patient(name=[{"id": "a", "text": "x"}], address=[{"id": "a", "text": "y"}]),
        {("Patient.address[0].id", "element-id")},
    ),
    "id of an element with a space": (
        patient(name=[{"id": "a b", "text": "x"}]),
        {("Patient.name[0].id", "element-id")},
    ),
    "sibling with an id alone": (
        patient(_birthDate={"id": "a"}),
        {("Patient.birthDate", "ele-1")},
    ),
    "condition on no question": (
        questionnaire({"linkId": "1", "type": "string", "enableWhen": asks("2")}),
        {("Questionnaire.item[0].enableWhen[0].question", "enable-when")},
    ),
    "condition on itself": (
        questionnaire({"linkId": "1", "type": "boolean", "enableWhen": asks("1")}),
        {("Questionnaire.item[0].enableWhen[0].question", "enable-when")},
    ),
    "condition on a question inside": (
        questionnaire(
            {
                "linkId": "1",
                "type": "group",
                "enableWhen": asks("3"),
                "item": [
                    {"linkId": "2", "type": "group", "item": [{"linkId": "3", "type": "boolean"}]}
                ],
            }
        ),
        {("Questionnaire.item[0].enableWhen[0].question", "enable-when")},
    ),
    "path that the type doesn't have": (
        profile("Observation.foo"),
        {("StructureDefinition.differential.element[0].path", "element-path")},
    ),
    "choice of a type that the element doesn't have": (
        profile("Observation.valueDecimal"),
        {("StructureDefinition.differential.element[0].path", "element-path")},
    ),
    "search on another type than base": (
        search_parameter(base=["Patient"], expression="Patient.name | Organization.name"),
        {("SearchParameter.expression", "search-parameter")},
    ),
    "another type than the parameter that it is derived from": (
        search_parameter(
            base=["Organization"], derivedFrom=f"{CORE_SEARCH}/Organization-address-city|4.0.1"
        )
        | {"type": "token"},
        {("SearchParameter.type", "search-parameter")},
    ),
    "another base than the parameter that it is derived from": (
        search_parameter(
            base=["Organization", "Patient"], derivedFrom=f"{CORE_SEARCH}/Organization-address-city"
        ),
        {("SearchParameter.base", "search-parameter")},
    ),
    "server with another type than the parameter's": (
        capability(definition=f"{CORE_SEARCH}/Patient-active", type="date"),
        {("CapabilityStatement.rest[0].resource[0].searchParam[0].type", "search-parameter")},
    ),
    "undeclared property": (
        resource(
            "CodeSystem",
            status="draft",
            content="complete",
            concept=[{"code": "a", "property": [{"code": "b", "valueString": "c"}]}],
        ),
        {("CodeSystem.concept[0].property[0].code", "code-system-property")},
    ),
    "two self links": (
        {
            "resourceType": "Bundle",
            "type": "searchset",
            "link": [{"relation": "self", "url": f"{SERVER}/Patient?name=x"}] * 2,
        },
        {("Bundle.link[1]", "bundle-link")},
    ),
    "document with an entry that nothing leads to": (
        document(
            (f"{SERVER}/Composition/c", composition("Patient/p")),
            (f"{SERVER}/Patient/p", patient(id="p")),
            (f"{SERVER}/Device/d", resource("Device", id="d")),
        ),
        {("Bundle.entry[2]", "document-entry")},
    ),
    "document of URNs with a reference by type and id": (
        document(
            (f"urn:uuid:{UUID}", composition("Patient/p")),
            (f"urn:uuid:{OTHER_UUID}", patient(id="p")),
        ),
        {
            ("Bundle.entry[0].resource.subject.reference", "bundle-reference"),
            ("Bundle.entry[1]", "document-entry"),
        },
    ),
}


@pytest.mark.parametrize("name", BROKEN)
def test_broken_rule_is_found_where_it_is_broken(name: str) -> None:
    broken, expected = BROKEN[name]
    assert found(broken) == expected


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
            "item": [{"linkId": "2", "type": "boolean", "enableWhen": asks("1")}],
        },
        {"linkId": "3", "type": "string", "enableWhen": asks("2")},
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


MILD: dict[str, tuple[dict[str, Any], set[tuple[str, str]]]] = {
    "UUID in capitals": (
        parameter(valueUri=f"urn:uuid:{UUID.upper()}"),
        {(URI, "primitive-format")},
    ),
    "hash that is no SHA-1": (
        attachment(data=DATA, hash="AAAA"),
        {(f"{ATTACHMENT}.hash", "attachment-hash")},
    ),
    "URN that names no entry of a collection": (
        {
            "resourceType": "Bundle",
            "type": "collection",
            "entry": [
                {
                    "fullUrl": f"{SERVER}/Patient/p",
                    "resource": patient(
                        id="p", managingOrganization={"reference": f"urn:uuid:{UUID}"}
                    ),
                }
            ],
        },
        {("Bundle.entry[0].resource.managingOrganization.reference", "bundle-reference")},
    ),
    "target that HL7 publishes": (
        observation(performer=[{"reference": "Encounter/1"}]),
        {("Observation.performer[0].reference", "reference-target")},
    ),
}


@pytest.mark.parametrize("name", MILD)
def test_what_the_standard_itself_is_mild_with_is_a_warning(name: str) -> None:
    mild, expected = MILD[name]
    assert found(mild) == set()
    assert found(mild, "warning") == expected


@given(st.binary(max_size=40), st.integers(0, 50), st.booleans())
def test_size_and_hash_are_right_for_their_own_data_alone(
    data: bytes, size: int, is_own: bool
) -> None:
    digest = hashlib.sha1(data if is_own else data + b"x", usedforsecurity=False).digest()
    text = base64.b64encode(data or b"\0").decode()
    data = data or b"\0"
    if is_own:
        digest = hashlib.sha1(data, usedforsecurity=False).digest()
    one = attachment(data=text, size=size, hash=base64.b64encode(digest).decode())
    expected = set()
    if size != len(data):
        expected.add((f"{ATTACHMENT}.size", "attachment-size"))
    if digest != hashlib.sha1(data, usedforsecurity=False).digest():
        expected.add((f"{ATTACHMENT}.hash", "attachment-hash"))
    assert found(one) == expected


@pytest.mark.parametrize("name", [*BROKEN, *MILD])
def test_the_fast_path_accepts_none_of_these(name: str) -> None:
    one = (BROKEN.get(name) or MILD[name])[0]
    assert accept(json.dumps(one).encode()) is None
