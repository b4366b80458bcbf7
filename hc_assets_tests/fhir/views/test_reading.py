"""A faulty view is refused when it is read, with the path of each fault."""

import json
from typing import Any

import pytest

from hc_assets.fhir.views.definition import ViewFaultsError
from hc_assets.fhir.views.reading import read_view, view_of


def view(**changes: Any) -> dict[str, Any]:
    """A view without faults, with some members replaced; those that are None are left out."""
    document = {
        "resourceType": "ViewDefinition",
        "name": "patients",
        "status": "active",
        "resource": "Patient",
        "select": [{"column": [column("id", "id")]}],
    } | changes
    return {name: value for name, value in document.items() if value is not None}


def column(name: str, path: str, **others: Any) -> dict[str, Any]:
    return {"name": name, "path": path, **others}


def selecting(*columns: dict[str, Any], **others: Any) -> dict[str, Any]:
    return view(select=[{"column": list(columns), **others}])


def faults(document: Any) -> dict[str, str]:
    """Faults of a view by place; none where it has none."""
    try:
        view_of(document, "v")
    except ViewFaultsError as error:
        return {fault.place: fault.text for fault in error.faults}
    return {}


def test_a_view_without_faults_is_read():
    read = view_of(
        selecting(
            column("id", "id", type="id", description="Who"),
            column("names", "name.family", collection=True),
            column("is_male", "gender = 'male'"),
            column("count", "multipleBirth.ofType(integer)"),
        ),
        "v",
    )
    assert (read.name, read.resource) == ("patients", "Patient")
    assert [(c.name, c.family, c.is_collection) for c in read.columns()] == [
        ("id", "text", False),
        ("names", "text", True),
        ("is_male", "boolean", False),
        ("count", "integer", False),
    ]


@pytest.mark.parametrize(
    ("document", "place", "text"),
    [
        ([], "", "JSON object"),
        (view(resource=None), "resource", "missing"),
        (view(resource="Patiens"), "resource", "resource type of R4"),
        (view(resource="Resource"), "resource", "resource type of R4"),
        (view(resourceType="Patient"), "resourceType", "ViewDefinition"),
        (view(selects=[]), "selects", "unknown"),
        (view(name="a view"), "name", "letters, digits"),
        (view(fhirVersion=["5.0.0"]), "fhirVersion", "4.0.1"),
        (view(select=None), "select", "at least one"),
        (view(select=[]), "select", "at least one"),
        (view(select={}), "select", "expected a list"),
        (view(select=["id"]), "select[0]", "expected an object"),
        (view(select=[{"forEach": "name"}]), "select[0]", "column, select or unionAll"),
        (view(select=[{"columns": []}]), "select[0].columns", "unknown"),
        (view(select=[{"column": []}]), "select", "at least one column"),
        (selecting(column("1a", "id")), "select[0].column[0].name", "a letter"),
        (selecting({"path": "id"}), "select[0].column[0].name", "missing"),
        (selecting({"name": "id"}), "select[0].column[0].path", "missing"),
        (selecting(column("a", "")), "select[0].column[0].path", "empty string"),
        (selecting(column("a", 1)), "select[0].column[0].path", "a number"),
        (selecting(column("a", "id.")), "select[0].column[0].path", "at character"),
        (selecting(column("a", "id.nope()")), "select[0].column[0].path", "nope"),
        (selecting(column("a", "%nope")), "select[0].column[0].path", "nope"),
        (selecting(column("a", "id.ofType(Nope)")), "select[0].column[0].path", "Nope"),
        (selecting(column("a", "id.first(1)")), "select[0].column[0].path", "take 1 argument"),
        (selecting(column("a", "name")), "select[0].column[0].path", "HumanName"),
        (selecting(column("a", "nmae.use")), "select[0].column[0].path", "element nmae of Patient"),
        (
            selecting(column("a", "name.where(uze = 'x').family.first()")),
            "select[0].column[0].path",
            "element uze of HumanName",
        ),
        (
            selecting(column("a", "deceasedBoolean")),
            "select[0].column[0].path",
            "deceased is its name",
        ),
        (
            selecting(column("a", "city"), forEach="name"),
            "select[0].column[0].path",
            "element city",
        ),
        (view(where=[{"path": "activ.exists()"}]), "where[0].path", "element activ"),
        (selecting(column("a", "id", type="integer")), "select[0].column[0].type", "gives"),
        (selecting(column("a", "active", type="string")), "select[0].column[0].type", "gives"),
        (selecting(column("a", "id", type="HumanName")), "select[0].column[0].type", "primitive"),
        (selecting(column("a", "id", type="txt")), "select[0].column[0].type", "primitive"),
        (
            selecting(column("a", "id", collection="no")),
            "select[0].column[0].collection",
            "true or false",
        ),
        (selecting(column("a", "id"), column("a", "gender")), "select", "the name a"),
        (selecting(column("a", "family"), forEach=1), "select[0].forEach", "a number"),
        (
            selecting(column("a", "family"), forEach="name", forEachOrNull="name"),
            "select[0]",
            "at most one",
        ),
        (selecting(column("a", "id"), repeat="item"), "select[0].repeat", "a list of paths"),
        (selecting(column("a", "id"), repeat=["item."]), "select[0].repeat[0]", "character"),
        (
            view(select=[{"select": [{"unionAll": [{"column": [column("a", "id id")]}]}]}]),
            "select[0].select[0].unionAll[0].column[0].path",
            "character",
        ),
        (
            view(
                select=[
                    {
                        "unionAll": [
                            {"column": [column("a", "id"), column("b", "gender")]},
                            {"column": [column("b", "gender"), column("a", "id")]},
                        ]
                    }
                ]
            ),
            "select[0].unionAll[1]",
            "expected a (text), b (text)",
        ),
        (
            view(
                select=[
                    {"unionAll": [{"column": [column("a", p)]} for p in ("id", "active")]},
                ]
            ),
            "select[0].unionAll[1]",
            "a (boolean)",
        ),
        (view(where=[{}]), "where[0].path", "missing"),
        (view(where=[{"path": "name.family"}]), "where[0].path", "expected boolean"),
        (view(where=[{"paht": "active"}]), "where[0].paht", "unknown"),
        (view(constant=[{"name": "a"}]), "constant[0]", "0 values"),
        (
            view(constant=[{"name": "a", "valueString": "b", "valueCode": "b"}]),
            "constant[0]",
            "2 values",
        ),
        (
            view(constant=[{"name": "a", "valueDate": "yesterday"}]),
            "constant[0].valueDate",
            "written as one",
        ),
        (view(constant=[{"name": "a", "valueBoolean": 1}]), "constant[0].valueBoolean", "true"),
        (
            view(constant=[{"name": "a", "valueCode": "b"}, {"name": "a", "valueCode": "c"}]),
            "constant[1].name",
            "twice",
        ),
    ],
)
def test_each_fault_is_found_with_its_path(document, place, text):
    found = faults(document)
    assert text in found.get(place, ""), found


def test_all_faults_are_found_at_once():
    document = view(
        select=[{"column": [column("a", "id."), column("b", "name")]}, {"forEach": "@@"}],
        where=[{"path": "name.family"}],
    )
    assert set(faults(document)) == {
        "select[0].column[0].path",
        "select[0].column[1].path",
        "select[1].forEach",
        "select[1]",
        "where[0].path",
    }


def test_what_is_no_json_is_a_fault():
    with pytest.raises(ViewFaultsError, match=r"a\.json: not JSON"):
        read_view(b"{", "a.json")


@pytest.mark.parametrize(
    "type_",
    [
        "code",
        "http://hl7.org/fhir/StructureDefinition/string",
        "http://hl7.org/fhirpath/System.String",
    ],
)
def test_a_type_may_be_a_name_or_a_url(type_):
    assert faults(selecting(column("a", "gender", type=type_))) == {}


def test_a_path_that_may_give_a_complex_type_has_to_be_narrowed():
    observation = view(resource="Observation", select=[{"column": [column("a", "value")]}])
    assert "ofType" in faults(observation)["select[0].column[0].path"]
    observation["select"][0]["column"][0]["path"] = "value.ofType(Quantity).value"
    assert view_of(observation, "v").columns()[0].family == "decimal"


def test_an_element_that_is_not_there_is_repeated_no_time():
    assert faults(view(select=[{"repeat": ["part"], "column": [column("a", "x.y")]}])) == {}


def test_faults_are_in_the_text_of_the_error_with_the_file():
    with pytest.raises(ViewFaultsError) as caught:
        read_view(json.dumps(view(resource="X")).encode(), "folder/x.json")
    assert str(caught.value).startswith("folder/x.json: resource: found 'X'")
