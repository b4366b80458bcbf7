"""The walk gives what FHIRPath gives for each parameter, and what plain Python finds."""

import doctest
import os
import zlib
from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import pytest

from hc_assets.fhir import search
from hc_assets.fhir.fhirpath import Environment, Node, TypeView, compile_expression, resource_node
from hc_assets.fhir.r4.definitions import r4
from hc_assets.fhir.search import (
    Amount,
    Composite,
    Interval,
    Parameter,
    Reference,
    Text,
    Token,
    index_of,
    parameters_of,
)
from hc_assets.fhir.search.converters import converter

TYPES = TypeView(r4())
_DECODER = msgspec.json.Decoder(float_hook=Decimal)
_ONE_IN = 9
_LARGEST_FILE = 60_000
_COMPILED: dict[str, Any] = {}


def _values(resource: dict[str, Any], code: str) -> list[Any]:
    found = index_of(resource["resourceType"]).values(resource)
    return [value for name, value in found if name == code]


def _by_fhirpath(parameter: Parameter, resource: dict[str, Any]) -> set[Any]:
    """The parameter's values by the evaluator, converted one by one."""
    if parameter.expression not in _COMPILED:
        _COMPILED[parameter.expression] = compile_expression(parameter.expression, TYPES)
    root = resource_node(resource)

    def find(reference: str) -> Node | None:
        type_name = reference.removeprefix("urn:").rpartition("/")[0].rpartition("/")[2]
        return Node({"resourceType": type_name}, type_name) if type_name else None

    setting = Environment(root, root, find=find, is_lenient=True)
    found: set[Any] = set()
    for item in _COMPILED[parameter.expression].evaluate(root, setting):
        if not isinstance(item, Node):
            found.add(Token(None, "true" if item else "false"))
            continue
        nodes = TYPES.step([item], "value") if item.type_name == "Extension" else [item]
        for node in nodes:
            assert isinstance(node, Node)
            is_resource = isinstance(node.value, dict) and "resourceType" in node.value
            convert = converter(parameter.type, "Resource" if is_resource else node.type_name)
            if convert is not None and node.value is not None:
                found.update(convert(node.value))
    return found


def _bare(values: set[Any]) -> set[Any]:
    """Without the systems that only a binding tells, and numbers without how exact they are.

    A union of FHIRPath keeps one of 1 and 1.00, which are equal; to a search they are two.
    """
    return {_bare_value(value) for value in values}


def _bare_value(value: Any) -> Any:
    if isinstance(value, Token):
        return value._replace(system=None)
    if isinstance(value, Amount) and value.low is not None and value.high is not None:
        return (value.low + value.high) / 2, value.system, value.code
    return value


def _differences(resource: dict[str, Any]) -> Iterator[tuple[str, set[Any]]]:
    for parameter in parameters_of(resource["resourceType"]):
        if parameter.expression and parameter.type not in ("composite", "special"):
            ours = _bare(set(_values(resource, parameter.code)))
            theirs = _bare(_by_fhirpath(parameter, resource))
            if ours != theirs:
                yield parameter.code, ours ^ theirs


@pytest.fixture(scope="module")
def examples() -> list[dict[str, Any]]:
    """A sample of HL7's examples, the same every time."""
    folder = Path(os.environ.get("HC_R4_PACKAGE", "/nowhere"))
    if not folder.is_dir():
        pytest.skip("HC_R4_PACKAGE names no folder of hl7.fhir.r4.examples 4.0.1")
    files = [
        path
        for path in sorted(folder.glob("*.json"))
        if path.stat().st_size < _LARGEST_FILE and zlib.crc32(path.name.encode()) % _ONE_IN == 0
    ]
    found = [_DECODER.decode(path.read_bytes()) for path in files]
    return [each for each in found if each.get("resourceType") in r4().resource_names]


def test_the_walk_finds_what_fhirpath_finds(examples: list[dict[str, Any]]) -> None:
    assert len({each["resourceType"] for each in examples}) > 50
    found = {
        (each["resourceType"], each.get("id"), code): difference
        for each in examples
        for code, difference in _differences(each)
    }
    assert found == {}


def test_the_walk_finds_what_plain_python_finds(shared_data: Path) -> None:
    path = min((shared_data / "fhir" / "synthea_bundles").glob("*.json"))
    entries = _DECODER.decode(path.read_bytes())["entry"]
    resources = [entry["resource"] for entry in entries]
    observations = [each for each in resources if each["resourceType"] == "Observation"]
    assert len(observations) > 50
    for each in observations:
        assert {(v.system, v.code) for v in _values(each, "code") if v.code} == {
            (coding["system"], coding["code"]) for coding in each["code"]["coding"]
        }
        components = [
            (coding["code"], part["valueQuantity"]["value"])
            for part in each.get("component", ())
            for coding in part["code"]["coding"]
            if "valueQuantity" in part
        ]
        pairs = [v.parts for v in _values(each, "component-code-value-quantity")]
        found = [(code.code, (amount.low + amount.high) / 2) for code, amount in pairs if code.code]
        assert found == components
        subject = each["subject"]["reference"]
        assert [v.url for v in _values(each, "subject")] == [subject]
        assert [v.low for v in _values(each, "date")] == [_microseconds(each["effectiveDateTime"])]


def _microseconds(text: str) -> int:
    return int(datetime.fromisoformat(text).astimezone(UTC).timestamp() * 1_000_000)


OBSERVATION: dict[str, Any] = {
    "resourceType": "Observation",
    "id": "o",
    "status": "final",
    "code": {"coding": [{"system": "s", "code": "c", "display": "d"}], "text": "t"},
    "subject": {"reference": "Patient/p"},
    "contained": [{"resourceType": "Patient", "id": "x"}],
    "valueQuantity": {
        "value": Decimal("5.0"),
        "unit": "mg/dL",
        "system": "http://unitsofmeasure.org",
        "code": "mg/dL",
    },
}


def test_a_composite_has_the_values_that_stand_together() -> None:
    amount = Amount(
        *(Decimal("4.95"), Decimal("5.05"), "http://unitsofmeasure.org", "mg/dL", "mg/dL"),
        *(Decimal("49.5"), Decimal("50.5"), "g.m-3", Decimal("5.0"), Decimal("50.0")),
    )
    assert _values(OBSERVATION, "code-value-quantity") == [
        Composite((Token("s", "c", "d"), amount)),
        Composite((Token(None, None, "t"), amount)),
    ]


def test_a_type_of_reference_is_told_by_what_it_names() -> None:
    assert _values(OBSERVATION, "patient") == [Reference("Patient", "p")]
    for subject, found in (
        ({"reference": "Group/g"}, []),
        ({"reference": "#x"}, [Reference(None, None, None, "#x")]),
        (
            {"reference": "http://h/Patient/1"},
            [Reference("Patient", None, None, "http://h/Patient/1")],
        ),
        ({"reference": "urn:uuid:1"}, []),
        (
            {"reference": "urn:uuid:1", "type": "Patient"},
            [Reference("Patient", None, None, "urn:uuid:1")],
        ),
    ):
        assert _values({**OBSERVATION, "subject": subject}, "patient") == found


def test_a_code_has_the_system_of_its_binding() -> None:
    assert _values(OBSERVATION, "status") == [
        Token("http://hl7.org/fhir/observation-status", "final")
    ]


def test_the_value_of_an_extension_is_searched() -> None:
    url = "http://hl7.org/fhir/StructureDefinition/patient-extensions-Patient-mothersMaidenName"
    extension = [{"url": url, "valueString": "Ö"}, {"url": "other", "valueString": "x"}]
    patient = {"resourceType": "Patient", "extension": extension}
    assert _values(patient, "mothersMaidenName") == [Text("o", "Ö")]


def test_parameters_of_all_resources_are_those_of_each() -> None:
    meta = {"lastUpdated": "2026-01-01T00:00:00Z", "profile": ["p|1"], "tag": [{"code": "x"}]}
    resource = {**OBSERVATION, "meta": meta}
    assert _values(resource, "_id") == [Token(None, "o")]
    assert _values(resource, "_lastUpdated") == [Interval(1767225600000000, 1767225601000000)]
    assert _values(resource, "_tag") == [Token(None, "x")]
    assert len(_values(resource, "_profile")) == 1


def test_an_expression_that_is_no_path_is_evaluated() -> None:
    for deceased, found in ((False, "false"), (True, "true")):
        patient = {"resourceType": "Patient", "deceasedBoolean": deceased}
        assert _values(patient, "deceased") == [Token(None, found)]


def test_each_type_has_its_parameters() -> None:
    assert sum(len(parameters_of(name)) for name in r4().resource_names) > 2_500
    with pytest.raises(KeyError):
        parameters_of("Nothing")


def test_parameters_of_one_s_own_are_indexed() -> None:
    own = Parameter("given", "string", "Patient.name.where(use = 'usual').given", "http://own")
    patient = {
        "resourceType": "Patient",
        "name": [{"given": ["A"]}, {"use": "usual", "given": ["B"]}],
    }
    assert search.Index("Patient", [own]).values(patient) == [("given", Text("b", "B"))]


def test_the_examples_hold() -> None:
    result = doctest.testmod(search)
    assert (result.attempted > 1, result.failed) == (True, 0)
