"""Search parameters of the user's own are indexed as R4's are; a faulty one says where."""

from typing import Any

import pytest

from hc_assets.fhir.search import Index, Text, Token
from hc_assets.fhir.search.own_parameters import ParameterError, read_parameters

_URL = "http://own/SearchParameter"
USUAL: dict[str, Any] = {
    "resourceType": "SearchParameter",
    "url": f"{_URL}/usual",
    "code": "usual",
    "type": "string",
    "base": ["Patient", "Practitioner"],
    "expression": "name.where(use = 'usual').given",
}
PAIR: dict[str, Any] = {
    "resourceType": "SearchParameter",
    "url": f"{_URL}/pair",
    "code": "pair",
    "type": "composite",
    "base": ["Patient"],
    "expression": "Patient.name",
    "component": [
        {"definition": f"{_URL}/usual", "expression": "given"},
        {
            "definition": "http://hl7.org/fhir/SearchParameter/individual-gender",
            "expression": "use",
        },
    ],
}
PATIENT = {
    "resourceType": "Patient",
    "name": [{"use": "usual", "given": ["A"]}, {"use": "old", "given": ["B", "C"]}],
}


def test_they_are_indexed_for_each_type_that_they_search() -> None:
    found = read_parameters([USUAL, PAIR])
    assert {name: [each.code for each in some] for name, some in found.items()} == {
        "Patient": ["usual", "pair"],
        "Practitioner": ["usual"],
    }
    values = Index("Patient", found["Patient"]).values(PATIENT)
    assert ("usual", Text("a", "A")) in values
    use = "http://hl7.org/fhir/name-use"
    pairs = {value.parts for name, value in values if name == "pair"}  # type: ignore[union-attr]
    assert pairs == {
        (Text("a", "A"), Token(use, "usual")),
        (Text("b", "B"), Token(use, "old")),
        (Text("c", "C"), Token(use, "old")),
    }


def test_one_of_all_resources_is_of_each() -> None:
    found = read_parameters([{**USUAL, "base": ["DomainResource"], "expression": "text.status"}])
    assert "Patient" in found
    assert "Bundle" not in found
    assert len(found) == 143


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"code": None}, "usual: code is missing"),
        ({"type": "text"}, "usual: type is none of composite, date"),
        ({"base": []}, "usual: base names no resource type"),
        ({"base": ["Pateint"]}, "usual: base is no resource type of R4"),
        (
            {"expression": "name.wher(true)"},
            "usual: expression isn't FHIRPath .* wher; did you mean",
        ),
        ({"expression": ""}, "usual: expression is missing"),
        ({"type": "composite"}, "usual: component belongs to a composite"),
        ({"type": "composite", "component": [{}]}, "usual: component.definition is missing"),
        (
            {"type": "composite", "component": [{"definition": "x", "expression": "y"}]},
            "usual: component.definition is no simple search parameter",
        ),
    ],
)
def test_a_faulty_one_says_where(change: dict[str, Any], message: str) -> None:
    with pytest.raises(ParameterError, match=message):
        read_parameters([{**USUAL, **change}])


def test_parts_that_are_no_path_are_evaluated_where_they_stand() -> None:
    expression = "given.where(length() > 1) | given.first()"
    composite = {**PAIR, "component": [{**PAIR["component"][0], "expression": expression}]}
    found = read_parameters([USUAL, composite])
    patient = {"resourceType": "Patient", "name": [{"given": ["A", "BB"]}, {"given": ["C", "D"]}]}
    values = Index("Patient", found["Patient"][1:]).values(patient)
    assert {value.parts[0].exact for _, value in values} == {"A", "BB", "C"}  # type: ignore[union-attr]
