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

from hc_assets.fhir.r4.fast.fast_path import accept
from hc_assets_tests.fhir.validation.judged_values import (
    ATTACHMENT,
    CORE_SEARCH,
    DATA,
    EXTENSION,
    OTHER_UUID,
    SERVER,
    SHA1,
    URI,
    UUID,
    attachment,
    capability,
    composition,
    condition_on,
    document,
    found,
    observation,
    parameter,
    patient,
    profile,
    questionnaire,
    resource,
    search_parameter,
)


def value_set(filter_: dict[str, Any]) -> dict[str, Any]:
    """A value set of SNOMED CT with one filter, and a parameter for it."""
    parameter_ = "http://hl7.org/fhir/tools/StructureDefinition/valueset-parameter"
    return resource(
        "ValueSet",
        status="draft",
        extension=[{"url": parameter_, "extension": [{"url": "name", "valueCode": "given"}]}],
        compose={"include": [{"system": "http://snomed.info/sct", "filter": [filter_]}]},
    )


def by_expression(expression: str) -> dict[str, Any]:
    url = "http://hl7.org/fhir/StructureDefinition/cqf-expression"
    value = {"language": "text/fhirpath", "expression": expression}
    return {"extension": [{"url": url, "valueExpression": value}]}


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
    "hash of another length": (
        attachment(data=DATA, hash="AAAA"),
        {(f"{ATTACHMENT}.hash", "attachment-hash")},
    ),
    "base64 with white space in a group": (
        parameter(valueBase64Binary="Q U I="),
        {("Parameters.parameter[0].valueBase64Binary", "primitive-format")},
    ),
    "base64 of white space alone": (
        parameter(valueBase64Binary=" \n"),
        {("Parameters.parameter[0].valueBase64Binary", "primitive-format")},
    ),
    "canonical that is relative": (
        parameter(valueCanonical="library-a"),
        {("Parameters.parameter[0].valueCanonical", "canonical-url")},
    ),
    "another type than the contained resource has": (
        observation(
            contained=[{"resourceType": "Group", "id": "g", "type": "person", "actual": True}],
            subject={"reference": "#g", "type": "Patient"},
        ),
        {("Observation.subject.type", "reference-type")},
    ),
    "member beside narrative": (
        patient(
            text={
                "status": "generated",
                "div": '<div xmlns="http://www.w3.org/1999/xhtml">a</div>',
                "_div": {"id": "a"},
            }
        ),
        {("Patient.text.div", "unknown-member")},
    ),
    "filter by what is no expression constraint": (
        value_set({"property": "constraint", "op": "=", "value": "404684003 << 404684003"}),
        {("ValueSet.compose.include[0].filter[0].value", "value-set-filter")},
    ),
    "filter by a variable that nothing defines": (
        value_set({"property": "inactive", "op": "=", "_value": by_expression("%other")}),
        {
            (
                "ValueSet.compose.include[0].filter[0].value.extension[0]"
                ".valueExpression.expression",
                "fhirpath-variable",
            )
        },
    ),
    "tab in a code": (
        observation(method={"coding": [{"system": "http://x.org/a", "code": "a\tb"}]}),
        {("Observation.method.coding[0].code", "primitive-format")},
    ),
    "supplement of no code system": (
        resource("CodeSystem", status="draft", content="supplement", concept=[{"code": "a"}]),
        {("CodeSystem.supplements", "code-system-supplement")},
    ),
    "concepts in a code system that brings none": (
        resource(
            "CodeSystem",
            status="draft",
            content="not-present",
            concept=[{"code": "a"}],
        ),
        {("CodeSystem.concept", "code-system-count")},
    ),
    "extension of R4 out of its context in a definition": (
        search_parameter(
            base=["Patient"],
            extension=[
                {
                    "url": "http://hl7.org/fhir/StructureDefinition/communication-media",
                    "valueAttachment": {"contentType": "text/plain", "data": DATA},
                }
            ],
        ),
        {("SearchParameter.extension[0]", "extension-context")},
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
        questionnaire({"linkId": "1", "type": "string", "enableWhen": condition_on("2")}),
        {("Questionnaire.item[0].enableWhen[0].question", "enable-when")},
    ),
    "condition on itself": (
        questionnaire({"linkId": "1", "type": "boolean", "enableWhen": condition_on("1")}),
        {("Questionnaire.item[0].enableWhen[0].question", "enable-when")},
    ),
    "condition on a question inside": (
        questionnaire(
            {
                "linkId": "1",
                "type": "group",
                "enableWhen": condition_on("3"),
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


MILD: dict[str, tuple[dict[str, Any], set[tuple[str, str]]]] = {
    "UUID in capitals": (
        parameter(valueUri=f"urn:uuid:{UUID.upper()}"),
        {(URI, "primitive-format")},
    ),
    "hash that is no SHA-1": (
        attachment(data=DATA, hash="a" * 40),  # hexadecimal, as HL7 publishes one
        {(f"{ATTACHMENT}.hash", "attachment-hash")},
    ),
    "identifier in a relative system": (
        patient(identifier=[{"system": "mrn", "value": "1"}]),
        {("Patient.identifier[0].system", "identifier-system")},
    ),
    "canonical that is written as a reference": (
        parameter(valueCanonical="Library/a|1"),
        {("Parameters.parameter[0].valueCanonical", "canonical-url")},
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
    "undeclared property": (
        resource(
            "CodeSystem",
            status="draft",
            content="complete",
            concept=[{"code": "a", "property": [{"code": "b", "valueString": "c"}]}],
        ),
        {("CodeSystem.concept[0].property[0].code", "code-system-property")},
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
