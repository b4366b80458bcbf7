"""Resources with values for tests of validation, and what is found in them."""

import base64
import hashlib
import json
from typing import Any

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


def condition_on(question: str) -> list[dict[str, Any]]:
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
