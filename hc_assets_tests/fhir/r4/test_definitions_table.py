"""What the compiled table of R4 definitions holds, and that it can be built again byte for byte.

Belongs here: the table. What is validated with it belongs to the tests of the two paths.
"""

import os
from pathlib import Path

import pytest

from hc_assets.fhir.r4.build.build import build, main
from hc_assets.fhir.r4.build.expansion import NotExpandableError, expand, syntax_of
from hc_assets.fhir.r4.build.package import Package, read_package
from hc_assets.fhir.r4.definitions import TABLE_PATH, Definitions, r4, read_table

_PACKAGE = os.environ.get("HC_R4_PACKAGE", "")
needs_package = pytest.mark.skipif(
    not _PACKAGE,
    reason="HC_R4_PACKAGE names no folder or .tgz of the npm package hl7.fhir.r4.examples 4.0.1",
)


def _package(*resources: str) -> Package:
    files = {
        "package.json": b'{"name": "p", "version": "1", "fhirVersions": ["4.0.1"]}',
        **{f"{index}.json": text.encode() for index, text in enumerate(resources)},
    }
    return Package(files)


def test_table_names_its_source_and_stays_small() -> None:
    assert r4().fhir_version == "4.0.1"
    assert r4().source == "hl7.fhir.r4.examples#4.0.1"
    assert TABLE_PATH.stat().st_size < 3_000_000


def test_table_holds_every_resource_type_and_data_type() -> None:
    assert len(r4().resource_names) == 146
    assert {"Resource", "DomainResource", "BackboneElement", "Extension", "Narrative"} <= (
        r4().type_names
    )
    assert r4().type("Resource").is_abstract
    assert "DomainResource" not in r4().resource_names


def test_every_type_that_an_element_names_is_in_the_table() -> None:
    for name in r4().type_names:
        for element in r4().type(name).elements:
            assert element.types, (name, element.name)
            for ref in element.types:
                assert ref.code in r4().type_names, (name, element.name)


def test_table_holds_all_invariants_of_r4() -> None:
    keys = {
        rule.key
        for name in r4().type_names
        for rule in (
            *r4().type(name).invariants,
            *(rule for element in r4().type(name).elements for rule in element.invariants),
        )
    }
    assert len(keys - {"sqty-1"}) == 237  # sqty-1 belongs to SimpleQuantity, a profile


def test_choices_take_the_name_of_their_type() -> None:
    element = next(e for e in r4().type("Observation").elements if e.name == "value")
    assert "valueQuantity" in [name for name, _ in element.members()]
    dosage = next(e for e in r4().type("Dosage.doseAndRate").elements if e.name == "dose")
    assert [name for name, _ in dosage.members()] == ["doseRange", "doseQuantity"]


def test_content_references_share_type_and_rules() -> None:
    component = next(
        e for e in r4().type("Observation.component").elements if e.name == "referenceRange"
    )
    assert component.types[0].code == "Observation.referenceRange"
    assert [rule.key for rule in r4().type("Observation.referenceRange").invariants] == ["obs-3"]


def test_only_value_sets_of_foreign_code_systems_are_left_to_a_check_of_form() -> None:
    by_form = {
        url: r4().value_set(url).syntax for url in r4().value_set_urls if r4().value_set(url).syntax
    }
    assert by_form == {
        "http://hl7.org/fhir/ValueSet/all-languages": "language",
        "http://hl7.org/fhir/ValueSet/currencies": "currency",
        "http://hl7.org/fhir/ValueSet/mimetypes": "mime",
        "http://hl7.org/fhir/ValueSet/ucum-units": "ucum",
        "http://loinc.org/vs/LL379-9": "any",
        "http://www.rfc-editor.org/bcp/bcp13.txt": "mime",
    }


def test_unknown_names_are_told() -> None:
    with pytest.raises(KeyError):
        r4().type("Pateint")
    with pytest.raises(KeyError):
        r4().value_set("http://example.org/none")
    assert r4().extension("http://example.org/none") is None


def test_table_of_another_format_is_refused(tmp_path: Path) -> None:
    import gzip

    path = tmp_path / "table.json.gz"
    path.write_bytes(
        gzip.compress(
            b'{"format":99,"fhir_version":"4.0.1","source":"x","types":{},"value_sets":{},'
            b'"extensions":{},"search_parameters":{}}'
        )
    )
    with pytest.raises(ValueError, match="table format 99"):
        read_table(path)


_SYSTEM = """{"resourceType": "CodeSystem", "url": "http://x.org/cs", "content": "complete",
 "concept": [{"code": "a", "concept": [{"code": "a1"}, {"code": "a2",
  "property": [{"code": "old", "valueBoolean": true}]}]}, {"code": "b"}]}"""


def _set(url: str, include: str, exclude: str = "[]") -> str:
    return (
        f'{{"resourceType": "ValueSet", "url": "{url}",'
        f' "compose": {{"include": {include}, "exclude": {exclude}}}}}'
    )


@pytest.mark.parametrize(
    ("include", "exclude", "expected"),
    [
        ('[{"system": "http://x.org/cs"}]', "[]", {"a", "a1", "a2", "b"}),
        (
            '[{"system": "http://x.org/cs", "filter": [{"property": "concept", "op": "is-a",'
            ' "value": "a"}]}]',
            "[]",
            {"a", "a1", "a2"},
        ),
        (
            '[{"system": "http://x.org/cs", "filter": [{"property": "concept",'
            ' "op": "descendent-of", "value": "a"}]}]',
            "[]",
            {"a1", "a2"},
        ),
        (
            '[{"system": "http://x.org/cs", "filter": [{"property": "old", "op": "exists",'
            ' "value": "true"}]}]',
            "[]",
            {"a2"},
        ),
        ('[{"system": "http://x.org/cs", "concept": [{"code": "b"}]}]', "[]", {"b"}),
        (
            '[{"valueSet": ["http://x.org/inner"]}]',
            '[{"system": "http://x.org/cs", "concept": [{"code": "a1"}]}]',
            {"a"},
        ),
        (
            '[{"system": "http://x.org/cs", "valueSet": ["http://x.org/inner"]}]',
            "[]",
            {"a", "a1"},
        ),
    ],
)
def test_value_sets_expand_from_the_code_systems_at_hand(
    include: str, exclude: str, expected: set[str]
) -> None:
    inner = _set(
        "http://x.org/inner",
        '[{"system": "http://x.org/cs", "concept": [{"code": "a"}, {"code": "a1"}]}]',
    )
    package = _package(_SYSTEM, inner, _set("http://x.org/vs", include, exclude))
    codes = expand(package, "http://x.org/vs|1.0")
    assert codes == {("http://x.org/cs", code) for code in expected}


def test_value_sets_that_cannot_be_expanded_are_reported_with_their_form() -> None:
    money = _set("http://x.org/money", '[{"system": "urn:iso:std:iso:4217"}]')
    circle = _set("http://x.org/circle", '[{"valueSet": ["http://x.org/circle"]}]')
    package = _package(money, circle)
    for name in ("money", "circle", "nowhere"):
        with pytest.raises(NotExpandableError):
            expand(package, f"http://x.org/{name}")
    assert syntax_of(package, "http://x.org/money") == "currency"
    assert syntax_of(package, "http://x.org/circle") == "any"


def test_folder_without_a_package_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"package\.json"):
        read_package(tmp_path)


@needs_package
def test_table_is_rebuilt_byte_for_byte(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "definitions.json.gz"
    assert main([_PACKAGE, "--out", str(out)]) == 0
    assert str(out) in capsys.readouterr().out
    assert out.read_bytes() == TABLE_PATH.read_bytes()
    assert build(read_package(Path(_PACKAGE))) == TABLE_PATH.read_bytes()
    assert isinstance(read_table(out), Definitions)
