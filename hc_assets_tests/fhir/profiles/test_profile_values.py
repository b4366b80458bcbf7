from collections.abc import Callable
from typing import Any

import pytest

Json = dict[str, Any]
Findings = Callable[..., list[tuple[str, str, str]]]
Profile = Callable[..., Json]
CODE = {"coding": [{"system": "http://loinc.org", "code": "1-8"}]}

ABSENT = {
    "url": "http://hl7.org/fhir/StructureDefinition/data-absent-reason",
    "valueCode": "unknown",
}


def _observation(**members: Any) -> Json:
    return {"resourceType": "Observation", "status": "final", "code": CODE} | members


@pytest.mark.parametrize(
    ("element", "members", "expected"),
    [
        ({"path": "Observation.subject", "min": 1}, {}, ("profile-cardinality", "subject")),
        (
            {"path": "Observation.category", "max": "1"},
            {"category": [CODE, CODE]},
            ("profile-cardinality", "category[1]"),
        ),
        (
            {"path": "Observation.device", "max": "0"},
            {"device": {"reference": "Device/1"}},
            ("profile-cardinality", "device"),
        ),
        (
            {"path": "Observation.value[x]", "max": "0"},
            {"valueString": "x"},
            ("profile-cardinality", "valueString"),
        ),
        ({"path": "Observation.value[x]", "min": 1}, {}, ("profile-cardinality", "value")),
        (
            {"path": "Observation.status", "fixedCode": "amended"},
            {},
            ("profile-fixed", "status"),
        ),
        (
            {"path": "Observation.value[x]", "type": [{"code": "Quantity"}, {"code": "boolean"}]},
            {"valueString": "x"},
            ("profile-type", "valueString"),
        ),
        (
            {"path": "Observation.value[x]", "maxLength": 3, "type": [{"code": "string"}]},
            {"valueString": "four"},
            ("profile-length", "valueString"),
        ),
        (
            {"path": "Observation.value[x]", "type": [{"code": "integer"}], "minValueInteger": 5},
            {"valueInteger": 4},
            ("profile-range", "valueInteger"),
        ),
        (
            {
                "path": "Observation.effective[x]",
                "type": [{"code": "dateTime"}],
                "maxValueDateTime": "2020-06",
            },
            {"effectiveDateTime": "2020-07-01"},
            ("profile-range", "effectiveDateTime"),
        ),
        (
            {
                "path": "Observation.value[x]",
                "type": [{"code": "Quantity"}],
                "maxValueQuantity": {
                    "value": 9,
                    "system": "http://unitsofmeasure.org",
                    "code": "g",
                },
            },
            {"valueQuantity": {"value": 9.01, "system": "http://unitsofmeasure.org", "code": "g"}},
            ("profile-range", "valueQuantity"),
        ),
    ],
)
def test_a_broken_demand_is_an_error_at_its_place(
    findings: Findings, profile: Profile, element: Json, members: Json, expected: tuple[str, str]
) -> None:
    rule, place = expected
    found = findings(_observation(**members), profile("Observation", element))
    assert found == [("error", rule, f"Observation.{place}")]


@pytest.mark.parametrize(
    ("element", "members"),
    [
        ({"path": "Observation.subject", "min": 1}, {"subject": {"display": "x"}}),
        ({"path": "Observation.issued", "min": 1}, {"_issued": {"extension": [ABSENT]}}),
        ({"path": "Observation.value[x]", "min": 1}, {"valueBoolean": False}),
        ({"path": "Observation.category", "max": "2"}, {"category": [CODE, CODE]}),
        ({"path": "Observation.value[x]", "type": [{"code": "string"}]}, {"valueString": "x"}),
        ({"path": "Observation.value[x]", "fixedDecimal": 1.0}, {"valueInteger": 1}),
        (
            {
                "path": "Observation.effective[x]",
                "type": [{"code": "dateTime"}],
                "maxValueDateTime": "2020-06-15",
            },
            {"effectiveDateTime": "2020-06"},
        ),
        ({"path": "Observation.component.interpretation", "min": 1}, {}),
    ],
)
def test_a_demand_that_is_met_is_not_mentioned(
    findings: Findings, profile: Profile, element: Json, members: Json
) -> None:
    assert findings(_observation(**members), profile("Observation", element)) == []


def test_a_demand_on_a_nested_element_holds_in_each_parent(
    findings: Findings, profile: Profile
) -> None:
    element = {"path": "Observation.component.value[x]", "min": 1}
    resource = _observation(component=[{"code": CODE, "valueString": "x"}, {"code": CODE}])
    assert findings(resource, profile("Observation", element)) == [
        ("error", "profile-cardinality", "Observation.component[1].value")
    ]


@pytest.mark.parametrize(
    ("code", "fits"),
    [
        (CODE, True),
        ({"coding": [{"code": "1-8", "system": "http://loinc.org"}]}, True),
        ({"coding": CODE["coding"], "text": "more"}, False),
        ({"coding": [*CODE["coding"], {"code": "x"}]}, False),
        ({"coding": [{"system": "http://loinc.org", "code": "1-8", "display": "d"}]}, False),
    ],
)
def test_a_fixed_value_is_exact(
    findings: Findings, profile: Profile, code: Json, fits: bool
) -> None:
    element = {"path": "Observation.code", "fixedCodeableConcept": CODE}
    found = findings(_observation(code=code), profile("Observation", element))
    assert found == ([] if fits else [("error", "profile-fixed", "Observation.code")])


@pytest.mark.parametrize(
    ("code", "fits"),
    [
        (CODE, True),
        ({"coding": [{"code": "x"}, *CODE["coding"]], "text": "more"}, True),
        ({"coding": [{"system": "http://loinc.org", "code": "1-8", "display": "d"}]}, True),
        ({"coding": [{"system": "http://loinc.org"}, {"code": "1-8"}]}, False),
        ({"coding": CODE["coding"][0]}, False),
        ({"text": "1-8"}, False),
    ],
)
def test_a_pattern_is_a_part(findings: Findings, profile: Profile, code: Json, fits: bool) -> None:
    element = {"path": "Observation.code", "patternCodeableConcept": CODE}
    found = findings(_observation(code=code), profile("Observation", element))
    assert found == ([] if fits else [("error", "profile-pattern", "Observation.code")])


def test_numbers_are_compared_as_decimals(findings: Findings, profile: Profile) -> None:
    element = {
        "path": "Observation.value[x]",
        "patternQuantity": {"value": 0.1},
        "type": [{"code": "Quantity"}],
    }
    definition = profile("Observation", element)
    assert findings(_observation(valueQuantity={"value": 0.1, "unit": "x"}), definition) == []
    near = _observation(valueQuantity={"value": 0.1000000000000001})
    assert [rule for _, rule, _ in findings(near, definition)] == ["profile-pattern"]
    wrong = _observation(valueQuantity={"value": True})
    assert [rule for _, rule, _ in findings(wrong, definition)] == ["profile-pattern"]


@pytest.mark.parametrize(
    ("code", "found"),
    [
        ("kg", []),
        ("mg", [("error", "profile-range", "Observation.valueQuantity")]),
        ("cm", [("warning", "profile-range", "Observation.valueQuantity")]),
    ],
)
def test_a_quantity_in_another_unit_than_its_limit_is_converted_or_a_warning(
    findings: Findings, profile: Profile, code: str, found: list[tuple[str, str, str]]
) -> None:
    element = {
        "path": "Observation.value[x]",
        "type": [{"code": "Quantity"}],
        "minValueQuantity": {"value": 9, "system": "http://unitsofmeasure.org", "code": "g"},
    }
    quantity = {"value": 1, "system": "http://unitsofmeasure.org", "code": code}
    definition = profile("Observation", element)
    assert findings(_observation(valueQuantity=quantity), definition) == found


def _constraint(expression: str, severity: str = "error") -> Json:
    rule = {"key": "own-1", "severity": severity, "human": "h", "expression": expression}
    return {"path": "Observation", "constraint": [rule]}


@pytest.mark.parametrize(
    ("expression", "severity", "found"),
    [
        ("status = 'final'", "error", None),
        ("status = 'amended'", "error", "error"),
        ("status = 'amended'", "warning", "warning"),
        ("code.coding.memberOf('https://example.org/none')", "error", "information"),
        ("subject.resolve().exists()", "error", "information"),
        ("subject.resolve() is Patient and status = 'amended'", "error", "information"),
        ("status.nothing(", "error", "warning"),
        ("status.noSuchFunction()", "error", "warning"),
    ],
)
def test_a_constraint_has_its_severity_and_the_undecidable_is_reported(
    findings: Findings, profile: Profile, expression: str, severity: str, found: str | None
) -> None:
    resource = _observation(subject={"reference": "Patient/1"})
    definition = profile("Observation", _constraint(expression, severity))
    definition["differential"]["element"].pop(0)
    expected = [] if found is None else [(found, "own-1", "Observation")]
    assert findings(resource, definition) == expected


def test_constraints_of_r4_itself_are_left_to_r4s_own_validation(
    findings: Findings, profile: Profile
) -> None:
    core = {
        "key": "obs-6",
        "severity": "error",
        "human": "h",
        "expression": "dataAbsentReason.empty() or value.empty()",
    }
    other = core | {"expression": "value.empty()"}
    resource = _observation(valueString="x", dataAbsentReason=CODE)
    same = profile("Observation", {"path": "Observation.status"})
    same["differential"]["element"][0]["constraint"] = [core]
    assert findings(resource, same) == []
    same["differential"]["element"][0]["constraint"] = [other]
    assert findings(resource, same) == [("error", "obs-6", "Observation")]


def test_a_differential_adds_to_what_its_base_demands(findings: Findings, profile: Profile) -> None:
    base = profile("Observation", {"path": "Observation.subject", "min": 1}, name="base")
    derived = profile(
        "Observation",
        {"path": "Observation.subject.display", "min": 1},
        {"path": "Observation.issued", "min": 1},
        baseDefinition=base["url"],
    )
    assert findings(_observation(), derived, base) == [
        ("error", "profile-cardinality", "Observation.subject"),
        ("error", "profile-cardinality", "Observation.issued"),
    ]
    assert findings(_observation(subject={"reference": "Patient/1"}), derived, base) == [
        ("error", "profile-cardinality", "Observation.subject.display"),
        ("error", "profile-cardinality", "Observation.issued"),
    ]


def test_a_profile_of_a_data_type_is_applied_where_an_element_names_it(
    findings: Findings, profile: Profile
) -> None:
    coded = profile("Quantity", {"path": "Quantity.code", "min": 1}, name="q", kind="complex-type")
    element = {
        "path": "Observation.value[x]",
        "type": [{"code": "Quantity", "profile": [coded["url"]]}],
    }
    definition = profile("Observation", element)
    assert findings(_observation(valueQuantity={"value": 1}), definition, coded) == [
        ("error", "profile-cardinality", "Observation.valueQuantity.code")
    ]
    assert findings(_observation(valueQuantity={"value": 1, "code": "g"}), definition, coded) == []


def test_a_simple_quantity_has_no_comparator(findings: Findings, profile: Profile) -> None:
    simple = "http://hl7.org/fhir/StructureDefinition/SimpleQuantity"
    element = {
        "path": "Observation.value[x]",
        "type": [{"code": "Quantity", "profile": [simple]}],
    }
    definition = profile("Observation", element)
    resource = _observation(valueQuantity={"value": 1, "comparator": "<"})
    assert findings(resource, definition) == [
        ("error", "profile-cardinality", "Observation.valueQuantity.comparator")
    ]


def test_one_of_several_profiles_of_a_type_is_enough(findings: Findings, profile: Profile) -> None:
    coded = profile("Quantity", {"path": "Quantity.code", "min": 1}, name="q", kind="complex-type")
    named = profile("Quantity", {"path": "Quantity.unit", "min": 1}, name="u", kind="complex-type")
    element = {
        "path": "Observation.value[x]",
        "type": [{"code": "Quantity", "profile": [coded["url"], named["url"]]}],
    }
    definition = profile("Observation", element)
    for member in ("code", "unit"):
        resource = _observation(valueQuantity={"value": 1, member: "g"})
        assert findings(resource, definition, coded, named) == []
    assert findings(_observation(valueQuantity={"value": 1}), definition, coded, named) == [
        ("error", "profile-type", "Observation.valueQuantity")
    ]
    assert findings(_observation(valueQuantity={"value": 1}), definition, coded) == [
        ("warning", "profile-unknown", "Observation.valueQuantity")
    ]


def test_a_content_reference_repeats_the_demands_of_what_it_names(
    findings: Findings, profile: Profile
) -> None:
    definition = profile(
        "Questionnaire",
        {"id": "Questionnaire.item", "path": "Questionnaire.item"},
        {"id": "Questionnaire.item.text", "path": "Questionnaire.item.text", "min": 1},
        {
            "id": "Questionnaire.item.item",
            "path": "Questionnaire.item.item",
            "contentReference": "#Questionnaire.item",
        },
    )
    deep = {"linkId": "3", "type": "group"}
    item = {"linkId": "1", "text": "t", "item": [{"linkId": "2", "text": "t", "item": [deep]}]}
    assert findings({"resourceType": "Questionnaire", "item": [item]}, definition) == [
        ("error", "profile-cardinality", "Questionnaire.item[0].item[0].item[0].text")
    ]


def test_diagnostics_name_profile_and_element_and_never_the_value(
    load: Callable[..., Any], profile: Profile
) -> None:
    element = {"id": "Patient.gender", "path": "Patient.gender", "fixedCode": "other"}
    profiles = load(profile("Patient", element))
    issue = profiles.validate(b'{"resourceType":"Patient","gender":"secret"}', [*profiles.urls])[0]
    assert "profile https://example.org/StructureDefinition/p" in issue.diagnostics
    assert "element Patient.gender" in issue.diagnostics
    assert '"other"' in issue.diagnostics
    assert "secret" not in issue.diagnostics
