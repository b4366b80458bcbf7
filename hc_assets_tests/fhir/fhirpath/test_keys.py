"""The key of a resource is the key of those references, and only those, that name it."""

from typing import Any

import pytest

from hc_assets.fhir.fhirpath import (
    Environment,
    FhirPathSyntaxError,
    Node,
    TypeView,
    compile_expression,
    resource_node,
)
from hc_assets.fhir.r4.definitions import r4

TYPES = TypeView(r4())
PATIENT = {"resourceType": "Patient", "id": "p1"}


def keys(reference: dict[str, Any], wanted: str = "", known: dict[str, Node] | None = None) -> Any:
    node = resource_node({"resourceType": "Observation", "subject": reference})
    environment = Environment(node, node, find=(known or {}).get)
    expression = compile_expression(f"subject.getReferenceKey({wanted})", TYPES)
    return expression.evaluate(node, environment)


def own_key(resource: dict[str, Any]) -> Any:
    node = resource_node(resource)
    return compile_expression("getResourceKey()", TYPES).evaluate(node, Environment(node, node))


@pytest.mark.parametrize("reference", ["Patient/p1", "Patient/p1/_history/3"])
def test_a_reference_has_the_key_of_what_it_names(reference: str) -> None:
    assert keys({"reference": reference}) == own_key(PATIENT) == ["Patient/p1"]


def test_only_references_to_the_type_asked_for_have_a_key() -> None:
    reference = {"reference": "Patient/p1"}
    assert keys(reference, "Patient") == keys(reference, "FHIR.Resource") == ["Patient/p1"]
    assert keys(reference, "Group") == []


def test_the_same_id_on_another_server_is_another_resource() -> None:
    url = "http://elsewhere.example/fhir/Patient/p1"
    assert keys({"reference": f"{url}/_history/2"}, "Patient") == [url]


def test_what_can_be_looked_up_has_the_key_of_what_is_found() -> None:
    urn = "urn:uuid:0a6d1b5c-8d4b-4f4f-9d2a-2f6c5d5e0001"
    assert keys({"reference": urn}, "Patient", {urn: resource_node(PATIENT)}) == ["Patient/p1"]
    assert keys({"reference": urn}, "Patient") == []
    assert keys({"reference": urn, "type": "Patient"}, "Patient") == [urn]


def test_what_names_no_resource_of_its_own_has_no_key() -> None:
    assert keys({"reference": "#contained"}) == keys({"display": "x"}) == []
    assert own_key({"resourceType": "Patient"}) == []


def test_the_type_must_exist() -> None:
    with pytest.raises(FhirPathSyntaxError, match="unknown type Pateint"):
        compile_expression("subject.getReferenceKey(Pateint)", TYPES)
