"""Each rule of bundles and of defining resources is found where it is broken.

Belongs here: bundles, code systems, value sets, search parameters. Other resources belong to
`test_validation.py`.
"""

from typing import Any

import pytest

from hc_assets_tests.fhir.validation.judged_resources import DIV, errors, patient


def bundle(kind: str, *entries: dict[str, Any], **members: Any) -> dict[str, Any]:
    return {"resourceType": "Bundle", "type": kind, "entry": list(entries), **members}


def entry(url: str, resource: dict[str, Any], **members: Any) -> dict[str, Any]:
    return {"fullUrl": url, "resource": resource, **members}


P1 = patient(id="1")
URL1 = "http://x.org/Patient/1"
COMPOSITION = {
    "resourceType": "Composition",
    "id": "c",
    "text": {"status": "generated", "div": DIV},
    "status": "final",
    "type": {"text": "x"},
    "subject": {"reference": "Patient/1"},
    "date": "2020",
    "author": [{"reference": "Patient/1"}],
    "title": "x",
}
DOCUMENT = {
    "identifier": {"system": "urn:ietf:rfc:3986", "value": "urn:uuid:1"},
    "timestamp": "2020-01-01T00:00:00Z",
}
URN = "urn:uuid:0c3151bd-1cbf-4d64-b04d-cd9187a4c6e0"
BUNDLES: dict[str, tuple[dict[str, Any], set[tuple[str, str]]]] = {
    "total of a collection": (
        bundle("collection", entry(URL1, P1), total=1),
        {("Bundle", "bdl-1")},
    ),
    "search of a collection": (
        bundle("collection", entry(URL1, P1, search={"mode": "match"})),
        {("Bundle", "bdl-2")},
    ),
    "transaction without request": (bundle("transaction", entry(URL1, P1)), {("Bundle", "bdl-3")}),
    "response in a collection": (
        bundle("collection", entry(URL1, P1, response={"status": "200"})),
        {("Bundle", "bdl-4")},
    ),
    "entry without anything": (
        bundle("transaction-response", {"fullUrl": URL1}),
        {("Bundle", "bdl-4"), ("Bundle.entry[0]", "bdl-5")},
    ),
    "same fullUrl twice": (
        bundle("collection", entry(URL1, P1), entry(URL1, P1)),
        {("Bundle.entry[1]", "bdl-7")},
    ),
    "fullUrl of a version": (
        bundle("collection", entry(f"{URL1}/_history/2", P1)),
        {("Bundle.entry[0]", "bdl-8")},
    ),
    "relative fullUrl": (
        bundle("collection", entry("Patient/1", P1)),
        {("Bundle.entry[0].fullUrl", "bundle-full-url")},
    ),
    "no fullUrl": (
        bundle("collection", {"resource": P1}),
        {("Bundle.entry[0].fullUrl", "bundle-full-url")},
    ),
    "fullUrl of another id": (
        bundle("collection", entry("http://x.org/Patient/2", P1)),
        {("Bundle.entry[0].fullUrl", "bundle-full-url-id")},
    ),
    "URN that names no entry": (
        bundle(
            "transaction",
            entry(
                URL1,
                patient(id="1", managingOrganization={"reference": URN}),
                request={"method": "PUT", "url": "Patient/1"},
            ),
        ),
        {("Bundle.entry[0].resource.managingOrganization.reference", "bundle-reference")},
    ),
    "URN that names the wrong type": (
        bundle(
            "collection",
            entry(URL1, patient(id="1", managingOrganization={"reference": URN})),
            entry(URN, P1),
        ),
        {("Bundle.entry[0].resource.managingOrganization.reference", "reference-target")},
    ),
    "document without Composition": (
        bundle("document", entry(URL1, P1), **DOCUMENT),
        {("Bundle", "bdl-11")},
    ),
    "document without identifier and time": (
        bundle("document", entry("http://x.org/Composition/c", COMPOSITION), entry(URL1, P1)),
        {("Bundle", "bdl-9"), ("Bundle", "bdl-10")},
    ),
    "document without its subject": (
        bundle("document", entry("http://x.org/Composition/c", COMPOSITION), **DOCUMENT),
        {
            ("Bundle.entry[0].resource.subject.reference", "bundle-reference"),
            ("Bundle.entry[0].resource.author[0].reference", "bundle-reference"),
        },
    ),
    "message without header": (bundle("message", entry(URL1, P1)), {("Bundle", "bdl-12")}),
    "match without id": (
        bundle("searchset", entry(URN, patient(), search={"mode": "match"})),
        {("Bundle.entry[0].resource.id", "bundle-search")},
    ),
    "match of another type": (
        bundle(
            "searchset",
            entry(URL1, P1, search={"mode": "match"}),
            link=[{"relation": "self", "url": "http://x.org/Observation?code=1"}],
        ),
        {("Bundle.entry[0].resource", "bundle-search")},
    ),
    "transaction that changes a resource twice": (
        bundle(
            "transaction",
            entry(URL1, P1, request={"method": "PUT", "url": "Patient/1"}),
            {"request": {"method": "DELETE", "url": "Patient/1"}},
        ),
        {("Bundle.entry[1].request.url", "bundle-request")},
    ),
    "error in an entry": (
        bundle("collection", entry(URL1, patient(id="1", gender="x"))),
        {("Bundle.entry[0].resource.gender", "required-binding")},
    ),
}


@pytest.mark.parametrize("name", BUNDLES)
def test_broken_rule_of_bundles_is_found_where_it_is_broken(name: str) -> None:
    resource, expected = BUNDLES[name]
    assert errors(resource) == expected


def test_whole_document_and_history_are_valid() -> None:
    document = bundle(
        "document", entry("http://x.org/Composition/c", COMPOSITION), entry(URL1, P1), **DOCUMENT
    )
    assert errors(document) == set()
    request, response = {"method": "PUT", "url": "Patient/1"}, {"status": "200"}
    first = entry(URL1, {**P1, "meta": {"versionId": "1"}}, request=request, response=response)
    second = entry(URL1, {**P1, "meta": {"versionId": "2"}}, request=request, response=response)
    assert errors(bundle("history", first, second)) == set()


DEFINITIONS: dict[str, tuple[dict[str, Any], set[tuple[str, str]]]] = {
    "relative url": (
        {"resourceType": "ValueSet", "status": "draft", "url": "ValueSet/x"},
        {("ValueSet.url", "canonical-url")},
    ),
    "number of concepts": (
        {
            "resourceType": "CodeSystem",
            "status": "draft",
            "content": "complete",
            "count": 3,
            "concept": [{"code": "a", "concept": [{"code": "b"}]}],
        },
        {("CodeSystem.count", "code-system-count")},
    ),
    "property of another type": (
        {
            "resourceType": "CodeSystem",
            "status": "draft",
            "content": "complete",
            "property": [{"code": "size", "type": "integer"}],
            "concept": [{"code": "a", "property": [{"code": "size", "valueString": "b"}]}],
        },
        {("CodeSystem.concept[0].property[0]", "code-system-property")},
    ),
    "composite of nothing": (
        {
            "resourceType": "SearchParameter",
            "url": "http://x.org/a",
            "name": "A",
            "status": "draft",
            "description": "x",
            "code": "a",
            "base": ["Patient"],
            "type": "composite",
        },
        {("SearchParameter.component", "search-parameter")},
    ),
    "expression that is no FHIRPath": (
        {
            "resourceType": "SearchParameter",
            "url": "http://x.org/a",
            "name": "A",
            "status": "draft",
            "description": "x",
            "code": "a",
            "base": ["Patient"],
            "type": "string",
            "expression": "Patient.name.where(",
        },
        {("SearchParameter.expression", "fhirpath-syntax")},
    ),
}


@pytest.mark.parametrize("name", DEFINITIONS)
def test_broken_rule_of_definitions_is_found_where_it_is_broken(name: str) -> None:
    resource, expected = DEFINITIONS[name]
    assert errors(resource) == expected
