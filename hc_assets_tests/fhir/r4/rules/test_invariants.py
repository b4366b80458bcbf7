"""Every published invariant compiles, the errata correct what they should, verdicts are right."""

import os
from pathlib import Path
from typing import Any

import pytest

from hc_assets.fhir.fhirpath import (
    Environment,
    Node,
    TypeView,
    compile_expression,
    resource_node,
)
from hc_assets.fhir.r4.build.package import read_package
from hc_assets.fhir.r4.definitions import Invariant, r4
from hc_assets.fhir.r4.rules.invariants import ERRATA, checker, corrected

TYPES = TypeView(r4())


def _published() -> dict[tuple[str, str], Invariant]:
    """Invariants of the definitions by key and expression."""
    definitions = [r4().type(name) for name in sorted(r4().type_names)]
    rules = [rule for definition in definitions for rule in definition.invariants]
    rules += [
        rule
        for definition in definitions
        for element in definition.elements
        for rule in element.invariants
    ]
    return {(rule.key, rule.expression): rule for rule in rules}


PUBLISHED = _published()


def holds(key: str, value: Any, type_name: str, **root: Any) -> bool:
    """Verdict of the invariant of that key on a value."""
    (expression,) = (text for name, text in PUBLISHED if name == key)
    node = Node(value, type_name)
    resource = resource_node(root) if root else node
    return checker(key, expression, TYPES)(node, Environment(resource, resource))


def test_r4_has_237_invariants_and_all_compile() -> None:
    # SimpleQuantity's sqty-1 comes from a profile; the count is of the base types.
    assert len({key for key, _ in PUBLISHED if key != "sqty-1"}) == 237
    for key, expression in PUBLISHED:
        checker(key, expression, TYPES)


def test_the_package_s_own_expressions_all_compile() -> None:
    place = os.environ.get("HC_R4_PACKAGE", "")
    if not place or not Path(place).exists():
        pytest.skip("HC_R4_PACKAGE names no folder or .tgz of hl7.fhir.r4.examples 4.0.1")
    found = {
        (constraint["key"], constraint["expression"])
        for structure in read_package(Path(place)).structures.values()
        if structure["kind"] != "logical" and structure.get("derivation") != "constraint"
        for view in ("snapshot", "differential")
        for element in structure.get(view, {}).get("element", [])
        for constraint in element.get("constraint", [])
    }
    assert len({key for key, _ in found}) == 237
    for key, expression in sorted(found):
        checker(key, expression, TYPES)


def test_errata_correct_published_expressions_alone() -> None:
    for erratum in ERRATA:
        for key in erratum.keys:
            assert (key, erratum.published) in PUBLISHED
            assert corrected(key, erratum.published) == erratum.corrected != erratum.published
    assert corrected("obs-7", "name.matches('x')") == "name.matches('x')"
    assert sum(corrected(*rule) != rule[1] for rule in PUBLISHED) == 37


def test_a_profile_may_use_a_key_for_another_expression() -> None:
    node = resource_node({"resourceType": "Observation"})
    for key in ("obs-6", "dom-3"):
        assert not checker(key, "status.exists()", TYPES)(node, Environment(node, node))


@pytest.mark.parametrize(
    ("key", "type_name", "good", "bad"),
    [
        # Errata: what the published expression gets wrong is among the good or the bad.
        ("csd-0", "CodeSystem", [{}, {"name": "Good_1"}], [{"name": "a B"}, {"name": "Good 1"}]),
        ("eld-19", "ElementDefinition", [{"path": "A.b[x]:c"}], [{"path": "A b"}, {"path": "A."}]),
        ("eld-20", "ElementDefinition", [{"path": "Ab.cd[x]"}], [{"path": "Ab.Cd"}, {"path": "1"}]),
        ("ref-1", "Reference", [{}, {"display": "x"}, {"reference": "#"}, {"reference": "A/1"}],
         [{"reference": "#none"}]),
        ("bdl-8", "Bundle.entry", [{}, {"fullUrl": "urn:x"}], [{"fullUrl": "http://x/_history/1"}]),
        ("que-12", "Questionnaire.item", [{"enableWhen": [{"question": "a"}]}],
         [{"enableWhen": [{"question": "a"}, {"question": "b"}]}]),
        ("que-7", "Questionnaire.item.enableWhen",
         [{"operator": "exists", "answerBoolean": True}, {"operator": "=", "answerInteger": 1}],
         [{"operator": "exists", "answerInteger": 1}]),
        ("ras-2", "RiskAssessment.prediction",
         [{}, {"probabilityDecimal": 100}, {"probabilityRange": {"low": {"value": 101}}}],
         [{"probabilityDecimal": 101}]),
        # Elements of every kind
        ("ele-1", "HumanName", [{"family": "x"}, {"id": "a", "text": "b"}], [{}, {"id": "a"}]),
        ("ext-1", "Extension",
         [{"url": "u", "valueCode": "a"}, {"url": "u", "extension": [{"url": "v"}]},
          {"url": "u", "_valueDate": {"extension": [{"url": "w"}]}}],
         [{"url": "u"}, {"url": "u", "valueCode": "a", "extension": [{"url": "v"}]}]),
        ("per-1", "Period",
         [{}, {"start": "2014"}, {"start": "2014", "end": "2014"},
          {"start": "2014-01-01", "end": "2014-01-02"},
          {"start": "2014-01-01T00:00:00+02:00", "end": "2013-12-31T22:00:00Z"}],
         [{"start": "2014-01-02", "end": "2014-01-01"},
          {"start": "2023-06-21", "end": "2023-06-21T06:20:00Z"}]),
        ("qty-3", "Quantity", [{}, {"code": "g", "system": "s"}, {"unit": "g"}], [{"code": "g"}]),
        ("rng-2", "Range",
         [{"low": {"value": 1}}, {"low": {"value": 1}, "high": {"value": 1}}],
         [{"low": {"value": 2, "unit": "g"}, "high": {"value": 1, "unit": "g"}}]),
        ("rat-1", "Ratio", [{"numerator": {}, "denominator": {}}], [{"numerator": {}}, {}]),
        ("tim-9", "Timing.repeat", [{"offset": 1, "when": ["HS"]}, {}],
         [{"offset": 1}, {"offset": 1, "when": ["C"]}]),
        ("cnt-3", "Count", [{"value": 1, "code": "1"}], [{"value": 1, "code": "g"}]),
        ("eld-2", "ElementDefinition", [{"min": 1, "max": "2"}, {"min": 1, "max": "*"}],
         [{"min": 3, "max": "2"}]),
        ("eld-3", "string", ["*", "0", "12"], ["-1", "x"]),
        ("que-1", "Questionnaire.item",
         [{"type": "group", "item": [{"linkId": "a"}]}, {"type": "display"}, {"type": "string"}],
         [{"type": "group"}, {"type": "display", "item": [{"linkId": "a"}]}]),
        ("que-2", "Questionnaire",
         [{"item": [{"linkId": "a"}, {"linkId": "b", "item": [{"linkId": "c"}]}]}],
         [{"item": [{"linkId": "a"}, {"linkId": "b", "item": [{"linkId": "a"}]}]}]),
        ("csd-1", "CodeSystem",
         [{"concept": [{"code": "a", "concept": [{"code": "b"}]}]}],
         [{"concept": [{"code": "a", "concept": [{"code": "a"}]}]}]),
        ("mea-1", "Measure", [{"group": [{"stratifier": [{"code": {"text": "x"}}]}]}],
         [{"group": [{"stratifier": [{}]}]}]),
        ("app-4", "Appointment",
         [{"status": "noshow"}, {"status": "cancelled", "cancelationReason": {"text": "x"}}],
         [{"status": "booked", "cancelationReason": {"text": "x"}}]),
        ("ig-1", "ImplementationGuide.definition",
         [{"grouping": [{"id": "g"}], "resource": [{"groupingId": "g"}, {}]}],
         [{"grouping": [{"id": "g"}], "resource": [{"groupingId": "h"}]}]),
        ("sdf-8a", "StructureDefinition.differential",
         [{"element": [{"path": "Patient"}, {"path": "Patient.name"}]}],
         [{"element": [{"path": "Patient"}, {"path": "Other.name"}]}]),
    ],
)  # fmt: skip
def test_verdicts(key: str, type_name: str, good: list[Any], bad: list[Any]) -> None:
    root = {"resourceType": "StructureDefinition", "kind": "resource", "type": "Patient"}
    if key == "sdf-8a":
        root["differential"] = good[0]  # type: ignore[assignment]
    assert [holds(key, value, type_name, **root) for value in good] == [True] * len(good)
    assert [holds(key, value, type_name, **root) for value in bad] == [False] * len(bad)


def test_a_contained_resource_must_be_referred_to_or_refer_back() -> None:
    def patient(contained: dict[str, Any], **members: Any) -> dict[str, Any]:
        return {"resourceType": "Patient", "contained": [contained], **members}

    organization = {"resourceType": "Organization", "id": "o"}
    referring = {"managingOrganization": {"reference": "#o"}}
    by_canonical = {"extension": [{"url": "u", "valueCanonical": "#o"}]}
    back = {"resourceType": "Observation", "id": "b", "subject": {"reference": "#"}}
    for resource, expected in [
        (patient(organization, **referring), True),
        (patient(organization, **by_canonical), True),
        (patient(back), True),
        (patient(organization), False),
        # Without an id nothing can be said of it here; that it must have one is another rule.
        (patient({"resourceType": "Organization"}), True),
        ({"resourceType": "Patient"}, True),
    ]:
        assert holds("dom-3", resource, "Patient", **resource) is expected


def test_a_reference_into_the_container_is_found_from_a_contained_resource() -> None:
    container = {"resourceType": "Patient", "contained": [{"resourceType": "Device", "id": "d"}]}
    assert holds("ref-1", {"reference": "#d"}, "Reference", **container)
    assert not holds("ref-1", {"reference": "#e"}, "Reference", **container)


def test_bundle_rules() -> None:
    def bundle(kind: str, *entries: dict[str, Any], **members: Any) -> dict[str, Any]:
        return {"resourceType": "Bundle", "type": kind, "entry": [*entries], **members}

    request, response = {"request": {"method": "GET"}}, {"response": {"status": "200"}}
    composition = {"resource": {"resourceType": "Composition"}}
    versions = [
        {"fullUrl": "u", "resource": {"resourceType": "Patient", "meta": {"versionId": version}}}
        for version in ("1", "2")
    ]
    for key, value, expected in [
        ("bdl-1", bundle("searchset", total=1), True),
        ("bdl-1", bundle("batch", total=1), False),
        ("bdl-2", bundle("searchset", {"search": {"mode": "match"}}), True),
        ("bdl-2", bundle("batch", {"search": {"mode": "match"}}), False),
        ("bdl-3", bundle("batch", request), True),
        ("bdl-3", bundle("batch", request, {}), False),
        ("bdl-3", bundle("collection", request), False),
        ("bdl-3", {"resourceType": "Bundle", "entry": [request]}, False),
        ("bdl-4", bundle("batch-response", response), True),
        ("bdl-4", bundle("collection", response), False),
        ("bdl-7", bundle("collection", *versions), True),
        ("bdl-7", bundle("collection", versions[0], versions[0]), False),
        ("bdl-7", bundle("history", versions[0], versions[0]), True),
        ("bdl-9", bundle("document", identifier={"system": "s", "value": "v"}), True),
        ("bdl-9", bundle("document", identifier={"system": "s"}), False),
        ("bdl-10", bundle("document", timestamp="2014-01-01T00:00:00Z"), True),
        ("bdl-10", bundle("document"), False),
        ("bdl-11", bundle("document", composition, request), True),
        ("bdl-11", bundle("document", request, composition), False),
        ("bdl-12", bundle("message", composition), False),
        ("bdl-12", bundle("collection"), True),
    ]:
        assert holds(key, value, "Bundle", **value) is expected, (key, value)


def test_an_observation_s_component_may_not_repeat_its_code_beside_a_value() -> None:
    code = {"coding": [{"system": "s", "code": "c"}]}
    other = {"coding": [{"system": "s", "code": "d"}]}
    observation = {"resourceType": "Observation", "code": code, "valueString": "x"}
    for component, expected in [
        ([{"code": other}], True),
        ([{"code": other}, {"code": code}], False),
    ]:
        resource = observation | {"component": component}
        assert holds("obs-7", resource, "Observation", **resource) is expected
    absent = observation | {"dataAbsentReason": {"text": "x"}}
    assert not holds("obs-6", absent, "Observation", **absent)


def test_a_practitioner_alone_acts_on_behalf_of_an_organization() -> None:
    rule = "ctm-1"
    container = {
        "resourceType": "CareTeam",
        "contained": [
            {"resourceType": "Practitioner", "id": "a"},
            {"resourceType": "Patient", "id": "b"},
        ],
    }

    def participant(reference: str) -> dict[str, Any]:
        return {"onBehalfOf": {"reference": "Organization/1"}, "member": {"reference": reference}}

    verdicts = [
        holds(rule, participant(reference), "CareTeam.participant", **container)
        for reference in ("#a", "#b", "Patient/elsewhere")
    ]
    assert verdicts == [True, False, True]


def test_the_compiled_expression_alone_gives_the_same_on_a_narrative() -> None:
    good = '<div xmlns="http://www.w3.org/1999/xhtml">x</div>'
    empty = '<div xmlns="http://www.w3.org/1999/xhtml"> </div>'
    for key, expression, verdicts in [
        ("txt-1", "htmlChecks()", [True, True, False]),
        ("txt-2", "htmlChecks2()", [True, False, False]),
    ]:
        compiled = compile_expression(expression, TYPES)
        for div, expected in zip([good, empty, "<div>x"], verdicts, strict=True):
            node = Node(div, "xhtml")
            environment = Environment(node, node)
            assert compiled.holds(node, environment) is expected
            assert checker(key, "htmlChecks()", TYPES)(node, environment) is expected
