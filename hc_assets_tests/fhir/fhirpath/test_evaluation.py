"""What FHIRPath's paths and functions give on small resources, compiled with short cuts or not."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from hc_assets.fhir.fhirpath import (
    Environment,
    EvaluationError,
    FhirPathSyntaxError,
    Item,
    Node,
    Temporal,
    TypeView,
    UndecidableError,
    compile_expression,
    resource_node,
)
from hc_assets.fhir.r4.definitions import r4

TYPES = TypeView(r4())

PATIENT: dict[str, Any] = {
    "resourceType": "Patient",
    "id": "p1",
    "contained": [
        {"resourceType": "Organization", "id": "o1", "name": "Ward"},
        {"resourceType": "Practitioner", "id": "d1"},
    ],
    "active": True,
    "name": [
        {"use": "official", "family": "Chalmers", "given": ["Peter", "James"]},
        {"use": "usual", "given": ["Jim", None], "_given": [None, {"extension": [{"url": "x"}]}]},
    ],
    "telecom": [{"system": "phone", "value": "1", "rank": 1}, {"system": "email", "value": "2"}],
    "birthDate": "1974-12-25",
    "_birthDate": {
        "id": "b1",
        "extension": [{"url": "u", "valueDateTime": "1974-12-25T14:35:45Z"}],
    },
    "_gender": {"extension": [{"url": "absent", "valueCode": "unknown"}]},
    "deceasedDateTime": "2015-02-14T13:42:00+10:00",
    "multipleBirthInteger": 3,
    "managingOrganization": {"reference": "#o1"},
    "generalPractitioner": [{"reference": "#d1"}, {"reference": "Practitioner/far"}],
}

OBSERVATION: dict[str, Any] = {
    "resourceType": "Observation",
    "status": "final",
    "code": {"coding": [{"system": "http://loinc.org", "code": "1"}, {"code": "2"}], "text": "C"},
    "valueQuantity": {
        "value": Decimal("6.30"),
        "unit": "mmol/l",
        "system": "http://unitsofmeasure.org",
        "code": "mmol/L",
    },
    "referenceRange": [
        {
            "low": {"value": Decimal("3.1"), "unit": "mmol/l"},
            "high": {"value": Decimal("6.2"), "unit": "mmol/l"},
        }
    ],
    "component": [
        {"code": {"text": "a"}, "valueInteger": 1},
        {"code": {"text": "b"}, "valueString": "s"},
    ],
}


def _plain(item: Item) -> Any:
    return item.value if isinstance(item, Node) else item


def evaluate(text: str, resource: dict[str, Any] = PATIENT, **setting: Any) -> list[Any]:
    node = resource_node(resource)
    environment = Environment(node, node, **setting)
    found = [
        [_plain(item) for item in compile_expression(text, TYPES, way).evaluate(node, environment)]
        for way in (True, False)
    ]
    assert found[0] == found[1]
    return found[0]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        # Paths
        ("name.given", ["Peter", "James", "Jim", None]),
        ("Patient.name.family", ["Chalmers"]),
        ("Resource.id", ["p1"]),
        ("Observation.status", []),
        ("nothing.at.all", []),
        ("name[0].given[1]", ["James"]),
        ("name[7]", []),
        ("deceased", ["2015-02-14T13:42:00+10:00"]),
        ("deceasedDateTime", []),  # the name of the JSON member is not an element
        ("resourceType", []),
        ("birthDate.id", ["b1"]),
        ("birthDate.extension.value", ["1974-12-25T14:35:45Z"]),
        ("$this.active", [True]),
        ("%resource.id & %rootResource.id & %context.id", ["p1p1p1"]),
        (
            "%ucum | %sct | %loinc",
            ["http://unitsofmeasure.org", "http://snomed.info/sct", "http://loinc.org"],
        ),
        ("%`ext-a`", ["http://hl7.org/fhir/StructureDefinition/a"]),
        ("%`vs-a`", ["http://hl7.org/fhir/ValueSet/a"]),
        # Existence
        ("name.exists()", [True]),
        ("photo.exists()", [False]),
        ("gender.exists()", [True]),  # it has an extension alone
        ("gender.hasValue()", [False]),
        ("birthDate.hasValue()", [True]),
        ("name.hasValue()", [False]),
        ("name.given.hasValue()", [False]),
        ("birthDate.getValue() = '1974-12-25'", [True]),
        ("photo.empty()", [True]),
        ("empty()", [False]),
        ("name.exists(use = 'usual')", [True]),
        ("name.exists(use = 'old')", [False]),
        ("name.count()", [2]),
        ("name.all(given.exists())", [True]),
        ("name.all(family.exists())", [False]),
        ("photo.all(false)", [True]),
        ("active.not()", [False]),
        ("photo.not()", []),
        ("(true | false).allTrue()", [False]),
        ("(true | false).anyTrue()", [True]),
        ("(true | false).allFalse()", [False]),
        ("(true | false).anyFalse()", [True]),
        ("name.given.subsetOf(name.given | 'x')", [True]),
        ("name.given.supersetOf('Jim')", [True]),
        ("('a' | 'b').subsetOf('a')", [False]),
        ("telecom.system.isDistinct()", [True]),
        ("name.given.combine(name.given).isDistinct()", [False]),
        ("(1).combine(1.0).distinct()", [1]),
        # Filtering, projection, subsetting
        ("name.where(use = 'usual').given.first()", ["Jim"]),
        ("name.where($index = 1).use", ["usual"]),
        ("name.select(given.first())", ["Peter", "Jim"]),
        ("name.select($index)", [0, 1]),
        ("name.all($index < 2)", [True]),
        ("repeat(contained | name).count()", [5]),  # the organization has a name
        ("name.given.first()", ["Peter"]),
        ("name.use.last()", ["usual"]),
        ("name.use.tail()", ["usual"]),
        ("name.given.skip(2).first()", ["Jim"]),
        ("name.given.skip(-1).count()", [4]),
        ("name.given.take(2)", ["Peter", "James"]),
        ("name.given.take(0)", []),
        ("birthDate.single()", ["1974-12-25"]),
        ("name.given.intersect('Jim' | 'Bob')", ["Jim"]),
        ("('a' | 'b' | 'c').exclude('b')", ["a", "c"]),
        ("name.use.union('usual')", ["official", "usual"]),
        ("(1 | 2 | 3).aggregate($total + $this, 0)", [6]),
        ("name.trace('names', given).count()", [2]),
        ("iif(active, 'yes', 'no')", ["yes"]),
        ("iif(photo.exists(), 'yes')", []),
        ("photo.iif(empty(), 'none', 'some')", ["none"]),
        # Navigation
        ("birthDate.children().count()", [2]),
        ("managingOrganization.children()", ["#o1"]),
        ("contained.descendants()", ["o1", "Ward", "d1"]),
        ("extension('x')", []),
        ("birthDate.extension('u').value", ["1974-12-25T14:35:45Z"]),
        ("managingOrganization.resolve().name", ["Ward"]),
        ("generalPractitioner.resolve().is(Practitioner)", [True]),
        # Types
        ("deceased is dateTime", [True]),
        ("deceased is boolean", [False]),
        ("deceased.is(FHIR.dateTime)", [True]),
        ("active is boolean", [True]),
        ("active is Boolean", [False]),  # FHIR's boolean is not FHIRPath's
        ("active is System.Boolean", [False]),
        ("true is Boolean", [True]),
        ("1 is Integer and 1.0 is Decimal and 'a' is String", [True]),
        ("@2014 is Date and @T10 is Time and @2014-01-01T10:00 is DateTime", [True]),
        ("1 'mg' is Quantity", [True]),
        ("photo is Attachment", []),
        ("$this is DomainResource and $this is Resource", [True]),
        ("gender is string", [True]),  # a code is a string
        ("multipleBirth as integer", [3]),
        ("multipleBirth.as(boolean)", []),
        ("contained.ofType(Organization).name", ["Ward"]),
        ("descendants().as(code).count()", [6]),
    ],
)
def test_value_on_a_patient(text: str, expected: list[Any]) -> None:
    found = evaluate(text)
    assert found == expected
    assert [type(value) for value in found] == [type(value) for value in expected]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("value.value", [Decimal("6.30")]),
        ("value is Quantity", [True]),
        ("component.value", [1, "s"]),
        ("component.value.ofType(string)", ["s"]),
        ("component.where(value is integer).code.text", ["a"]),
        ("referenceRange.all(low <= high)", [True]),
        ("referenceRange.low = referenceRange.low", [True]),
        ("code.coding.intersect(%resource.code.coding).count()", [2]),
        ("code.coding.code.combine(component.code.coding.code).isDistinct()", [True]),
        ("descendants().where($this is Quantity).count()", [3]),
    ],
)
def test_value_on_an_observation(text: str, expected: list[Any]) -> None:
    assert evaluate(text, OBSERVATION) == expected


@pytest.mark.parametrize(
    "text",
    [
        "name.single()",
        "name.given.startsWith('a')",
        "1.startsWith('a')",
        "name.use < 'a'",
        "1 < 'a'",
        "birthDate < 'a'",
        "birthDate < @T10",
        "'a' + 1",
        "'a' - 1",
        "name.family.substring('a')",
        "name and true",
        "(1 | 2) is Integer",
        "(1 | 2).allTrue()",
        "1 & 'a'",
        "name.given.first().replaceMatches('P', '$1')",
        "name[0] <= name[1]",
    ],
)
def test_what_has_no_value_ends_the_evaluation(text: str) -> None:
    with pytest.raises(EvaluationError):
        evaluate(text)


@pytest.mark.parametrize(
    "text",
    [
        "gender.memberOf('http://x')",
        "conformsTo('http://x')",
        "now() > @2000",
        "today() > @2000",
        "4 'mg' <= 5 's'",
        "'aaaa'.matches('(a+)+$')",
        "'a'.matches('\\\\p{L}')",
    ],
)
def test_what_depends_on_what_is_not_at_hand_is_undecidable(text: str) -> None:
    with pytest.raises(UndecidableError):
        evaluate(text)


def test_quantities_of_different_units_are_undecidable_and_comparators_too() -> None:
    low, high = {"value": 1, "unit": "g"}, {"value": 2, "unit": "mg"}
    observation = {"resourceType": "Observation", "referenceRange": [{"low": low, "high": high}]}
    with pytest.raises(UndecidableError):
        evaluate("referenceRange.low <= referenceRange.high", observation)
    high["unit"], low["comparator"] = "g", "<"
    with pytest.raises(UndecidableError):
        evaluate("referenceRange.low <= referenceRange.high", observation)
    del low["comparator"], low["value"]
    assert evaluate("referenceRange.low <= referenceRange.high", observation) == []


def test_services_answer_when_they_are_there() -> None:
    now = datetime(2026, 11, 5, 10, 30, tzinfo=UTC)
    assert evaluate("today()", now=now) == [Temporal(False, (2026, 11, 5), False)]
    assert evaluate("now() = @2026-11-05T10:30:00Z", now=now) == [True]
    assert evaluate("active.memberOf('u')", member_of=lambda item, url: url == "u") == [True]
    assert evaluate("conformsTo('u')", conforms_to=lambda node, url: url == "v") == [False]


def test_references_are_resolved_by_who_can() -> None:
    far = Node({"resourceType": "Practitioner", "id": "far"}, "Practitioner")
    found = evaluate("generalPractitioner.resolve().id", find={"Practitioner/far": far}.get)
    assert found == ["d1", "far"]
    assert evaluate("('#' | '#none' | 'x').resolve().id") == ["p1"]


@pytest.mark.parametrize(
    "text",
    [
        "a.unknown()",
        "a.substring()",
        "a.exists(1, 2)",
        "a.where()",
        "%unknown",
        "a is Unknown",
        "a is Other.Patient",
        "a.ofType('x')",
        "a.trace(b.unknown())",
        "not(1)",
    ],
)
def test_unknown_names_are_refused_when_compiled(text: str) -> None:
    with pytest.raises(FhirPathSyntaxError):
        compile_expression(text, TYPES)


def test_only_true_lets_an_invariant_hold() -> None:
    node = resource_node(PATIENT)
    environment = Environment(node, node)

    def holds(text: str) -> bool:
        return compile_expression(text, TYPES).holds(node, environment)

    assert holds("active")
    assert not holds("active.not()")
    assert not holds("photo.title = 'x'")
    with pytest.raises(EvaluationError):
        holds("name.given.startsWith('a')")


def test_resources_are_typed_by_their_own_name_at_any_place() -> None:
    inner = {"resourceType": "Observation", "valueString": "x"}
    bundle = {"resourceType": "Bundle", "entry": [{"resource": inner}, {"resource": {"id": "z"}}]}
    assert evaluate("entry.resource.ofType(Observation).value", bundle) == ["x"]
    assert evaluate("entry.resource.ofType(Resource).count()", bundle) == [2]
    unknown = {"resourceType": "Novelty", "a": [{"b": 1}], "_c": {"id": "i"}}
    assert evaluate("a.b", unknown) == [1]
    assert evaluate("descendants().count()", unknown) == [4]


def test_comparisons_with_repeated_bases_compile_in_bounded_time() -> None:
    text = "a"
    for _ in range(25):
        text = f"({text} = 'x').exists()"
    assert evaluate(text) == [True]


def test_very_deep_data_is_walked_or_refused() -> None:
    deep: dict[str, Any] = {"url": "leaf"}
    for _ in range(10_000):
        deep = {"url": "u", "extension": [deep]}
    resource = {"resourceType": "Patient", "extension": [deep, dict(deep)]}
    assert evaluate("descendants().count()", resource) == [40_004]
    with pytest.raises(EvaluationError):
        evaluate("extension.isDistinct()", resource)


@pytest.mark.parametrize("number", [Decimal("1e999999"), 10**400, -(10**400)])
def test_numbers_beyond_reason_are_refused_or_compared_at_once(number: Decimal | int) -> None:
    resource = {"resourceType": "Observation", "valueQuantity": {"value": number}}
    assert evaluate("value.value = value.value", resource) == [True]
    assert evaluate("value.value > 0", resource) == [number > 0]
    for text in ("value.value.toString()", "value.value.round(2)", "value.value.floor()"):
        with pytest.raises(EvaluationError):
            evaluate(text, resource)
