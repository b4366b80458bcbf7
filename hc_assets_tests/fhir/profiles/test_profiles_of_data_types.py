"""R4's own profiles of data types, where the type of an element names one."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from hc_assets.fhir.profiles import ProfileSet
from hc_assets.fhir.profiles.core_profiles import core_profile_urls
from hc_assets.fhir.r4.definitions import Element, r4
from hc_assets.fhir.r4.fast.fast_path import accept
from hc_assets.fhir.validation import validate

Json = dict[str, Any]
CORE = "http://hl7.org/fhir/StructureDefinition/"
EURO = {"system": "urn:iso:std:iso:4217", "code": "EUR"}


def _structures(folder: Path) -> Iterator[Json]:
    for path in sorted(folder.rglob("StructureDefinition-*.json")):
        structure = json.loads(path.read_bytes())
        if structure["url"].startswith(CORE) and structure.get("kind") != "logical":
            yield structure


def _named(structure: Json) -> Iterator[tuple[str, str, str]]:
    """Paths of a structure's elements, types, and the profiles that these name."""
    for element in structure.get("snapshot", {}).get("element", []):
        for entry in element.get("type", []):
            for url in entry.get("profile", []):
                if entry["code"] != "Extension":
                    yield element["path"], entry["code"], url


def _element(path: str) -> Element:
    owner, _, name = path.rpartition(".")
    return next(e for e in r4().type(owner).elements if e.name == name.removesuffix("[x]"))


def test_each_profile_that_r4_s_elements_name_is_the_type_of_these_elements(
    package_folder: Callable[[str, str], Path],
) -> None:
    folder = package_folder("HC_R4_PACKAGE", "hl7.fhir.r4.examples 4.0.1")
    places = [
        place
        for structure in _structures(folder)
        if structure.get("derivation") != "constraint"
        for place in _named(structure)
    ]
    assert len(places) > 50
    for path, _, url in places:
        assert url.removeprefix(CORE) in {ref.code for ref in _element(path).types}, path


def test_each_profile_of_a_data_type_is_a_type_or_shipped(
    package_folder: Callable[[str, str], Path],
) -> None:
    folder = package_folder("HC_R4_PACKAGE", "hl7.fhir.r4.examples 4.0.1")
    profiles = {
        structure["url"]
        for structure in _structures(folder)
        if structure.get("derivation") == "constraint"
        and structure["kind"] == "complex-type"
        and structure["type"] != "Extension"
        and structure["type"] not in r4().resource_names
    }
    assert f"{CORE}MoneyQuantity" in profiles
    types = {f"{CORE}{name}" for name in r4().type_names}
    assert profiles <= core_profile_urls() | types


def _simple_quantities() -> list[tuple[str, str]]:
    return [
        (owner, member)
        for owner in sorted(r4().type_names)
        for element in r4().type(owner).elements
        for member, ref in element.members()
        if ref.code == "SimpleQuantity"
    ]


def _holding(owner: str, content: Json) -> tuple[Json, str]:
    """A resource that has an element's content at a path of the definitions; and where it is.

    A data type is the value of an extension.
    """
    root, *names = owner.split(".")
    is_resource = root in r4().resource_names
    where, of_type = root if is_resource else f"Basic.extension[0].value{root}", root
    steps = []
    for name in names:
        element = next(e for e in r4().type(of_type).elements if e.name == name)
        steps.append((name, element.is_list))
        where += f".{name}[0]" if element.is_list else f".{name}"
        of_type = f"{of_type}.{name}"
    for name, is_list in reversed(steps):
        content = {name: [content] if is_list else content}
    if is_resource:
        return {"resourceType": root, **content}, where
    extension = {"url": "http://example.org/x", f"value{root}": content}
    return {"resourceType": "Basic", "code": {"text": "x"}, "extension": [extension]}, where


@pytest.mark.parametrize(("owner", "member"), _simple_quantities())
def test_a_simple_quantity_has_no_comparator_wherever_it_stands(owner: str, member: str) -> None:
    element = next(e for e in r4().type(owner).elements if member in dict(e.members()))

    def rules(quantity: Json) -> set[tuple[str, str]]:
        content = {member: [quantity] if element.is_list else quantity}
        resource, where = _holding(owner, content)
        raw = json.dumps(resource).encode()
        place = f"{where}.{member}" + ("[0]" if element.is_list else "")
        issues = validate(raw)
        if any(issue.severity == "error" for issue in issues):
            assert accept(raw) is None
        return {(i.rule, i.expression.removeprefix(place)) for i in issues}

    broken = {("cardinality", ".comparator"), ("sqty-1", "")}
    assert broken <= rules({"value": 1, "comparator": "<"})
    assert not broken & rules({"value": 1})


@pytest.mark.parametrize(
    ("quantity", "is_money"),
    [
        ({"value": 3, **EURO}, True),
        ({"value": 3, "unit": "EUR"}, False),
        ({"value": 3, "system": "http://unitsofmeasure.org", "code": "mg"}, False),
        ({"unit": "nothing"}, True),
    ],
)
def test_money_is_asked_for_where_a_profile_s_element_names_it(
    load: Callable[..., ProfileSet], profile: Callable[..., Json], quantity: Json, is_money: bool
) -> None:
    kind = {"code": "Quantity", "profile": [f"{CORE}MoneyQuantity"]}
    element = {"id": "Observation.value[x]", "path": "Observation.value[x]", "type": [kind]}
    priced = profile("Observation", element)
    resource = {
        "resourceType": "Observation",
        "meta": {"profile": [priced["url"]]},
        "status": "final",
        "code": {"text": "price"},
        "valueQuantity": quantity,
    }
    issues = load(priced).validate(json.dumps(resource).encode())
    expected = [] if is_money else [("error", "mqty-1", "Observation.valueQuantity")]
    assert [(i.severity, i.rule, i.expression) for i in issues] == expected
