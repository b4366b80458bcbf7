from collections.abc import Callable
from typing import Any

import pytest

from hc_assets_tests.fhir.profiles.slicing_profiles import (
    Findings,
    Json,
    Profile,
    coding_of,
    components_of,
    concept_of,
    observed,
    slice_of,
    sliced_by,
    slicing_by,
)

# The same two slices a and b, distinguished in the ways that a profile may choose.
WAYS: list[tuple[str, str, Callable[[str, str], list[Json]]]] = [
    (
        "value",
        "code",
        lambda name, code: [slice_of(name, ".code", patternCodeableConcept=concept_of(code))],
    ),
    (
        "pattern",
        "code",
        lambda name, code: [slice_of(name, ".code", fixedCodeableConcept=concept_of(code))],
    ),
    (
        "value",
        "code.coding.code",
        lambda name, code: [slice_of(name, ".code.coding.code", fixedCode=code)],
    ),
    (
        "value",
        "code.coding.code",
        lambda name, code: [slice_of(name, ".code", patternCodeableConcept=concept_of(code))],
    ),
    (
        "value",
        "code.coding",
        lambda name, code: [
            slice_of(name, ".code.coding.system", fixedUri="http://loinc.org"),
            slice_of(name, ".code.coding.code", fixedCode=code),
        ],
    ),
    (
        "value",
        "$this",
        lambda name, code: [slice_of(name, ".code", patternCodeableConcept=concept_of(code))],
    ),
]


@pytest.mark.parametrize(("kind", "path", "demand"), WAYS)
def test_slices_discriminated_by_value_have_their_own_cardinality_and_constraints(
    findings: Findings,
    profile: Profile,
    kind: str,
    path: str,
    demand: Callable[[str, str], list[Json]],
) -> None:
    definition = sliced_by(
        profile,
        kind,
        path,
        slice_of("a", min=1, max="1"),
        *demand("a", "a"),
        slice_of("b", max="1"),
        *demand("b", "b"),
        slice_of("b", ".interpretation", min=1),
    )
    assert findings(observed(component=components_of("a", "c", "c")), definition) == []
    assert findings(observed(component=components_of("c")), definition) == [
        ("error", "profile-cardinality", "Observation.component")
    ]
    assert findings(observed(component=components_of("a", "c", "a")), definition) == [
        ("error", "profile-cardinality", "Observation.component[2]")
    ]
    assert findings(observed(component=components_of("b", "a")), definition) == [
        ("error", "profile-cardinality", "Observation.component[0].interpretation")
    ]


@pytest.mark.parametrize(
    ("rules", "ordered", "codes", "wrong"),
    [
        ("open", False, "bxa", []),
        ("closed", False, "ba", []),
        ("closed", False, "bxa", [1]),
        ("closed", False, "xbay", [0, 3]),
        ("openAtEnd", False, "bax", []),
        ("openAtEnd", False, "bxa", [2]),
        ("open", True, "aab", []),
        ("open", True, "axb", []),
        ("open", True, "aba", [2]),
        ("closed", True, "xba", [0, 2]),
    ],
)
def test_rules_and_order_of_slices(
    findings: Findings, profile: Profile, rules: str, ordered: bool, codes: str, wrong: list[int]
) -> None:
    definition = sliced_by(
        profile,
        "value",
        "code",
        slice_of("a", ".code", patternCodeableConcept=concept_of("a")),
        slice_of("b", ".code", patternCodeableConcept=concept_of("b")),
        rules=rules,
        ordered=ordered,
    )
    assert findings(observed(component=components_of(*codes)), definition) == [
        ("error", "profile-slicing", f"Observation.component[{index}]") for index in wrong
    ]


def test_slices_discriminated_by_existence(findings: Findings, profile: Profile) -> None:
    definition = sliced_by(
        profile,
        "exists",
        "value",
        slice_of("with", max="1"),
        slice_of("with", ".value[x]", min=1),
        slice_of("without", max="1"),
        slice_of("without", ".value[x]", max="0"),
    )
    bare = {"code": concept_of("x")}
    assert findings(observed(component=[*components_of("x"), bare]), definition) == []
    assert findings(observed(component=[bare, bare]), definition) == [
        ("error", "profile-cardinality", "Observation.component[1]")
    ]


def test_slices_discriminated_by_the_type_of_a_child_element(
    findings: Findings, profile: Profile
) -> None:
    definition = sliced_by(
        profile,
        "type",
        "value",
        slice_of("number", max="1"),
        slice_of("number", ".value[x]", type=[{"code": "integer"}]),
    )
    text = {"code": concept_of("x"), "valueString": "x"}
    assert findings(observed(component=[text, text, *components_of("x")]), definition) == []
    assert findings(observed(component=components_of("x", "y")), definition) == [
        ("error", "profile-cardinality", "Observation.component[1]")
    ]


def test_choice_elements_are_sliced_by_type(findings: Findings, profile: Profile) -> None:
    definition = profile(
        "Observation",
        {
            "id": "Observation.value[x]",
            "path": "Observation.value[x]",
            "slicing": slicing_by("type", "$this", rules="closed"),
        },
        {
            "id": "Observation.value[x]:valueQuantity",
            "path": "Observation.value[x]",
            "sliceName": "valueQuantity",
            "type": [{"code": "Quantity"}],
        },
        {
            "id": "Observation.value[x]:valueQuantity.code",
            "path": "Observation.value[x].code",
            "min": 1,
        },
        {
            "id": "Observation.value[x]:valueString",
            "path": "Observation.value[x]",
            "sliceName": "valueString",
        },
    )
    assert findings(observed(valueString="x"), definition) == []
    assert findings(observed(valueQuantity={"value": 1, "code": "g"}), definition) == []
    assert findings(observed(valueQuantity={"value": 1}), definition) == [
        ("error", "profile-cardinality", "Observation.valueQuantity.code")
    ]
    assert findings(observed(valueBoolean=True), definition) == [
        ("error", "profile-slicing", "Observation.valueBoolean")
    ]


def test_the_short_form_of_a_choice_leaves_that_type_alone(
    findings: Findings, profile: Profile
) -> None:
    definition = profile(
        "Observation",
        {"path": "Observation.valueQuantity"},
        {"path": "Observation.valueQuantity.unit", "min": 1},
    )
    assert findings(observed(valueQuantity={"value": 1, "unit": "g"}), definition) == []
    assert findings(observed(valueQuantity={"value": 1}), definition) == [
        ("error", "profile-cardinality", "Observation.valueQuantity.unit")
    ]
    assert findings(observed(valueString="x"), definition) == [
        ("error", "profile-slicing", "Observation.valueString")
    ]


def test_a_slice_may_be_sliced_again(findings: Findings, profile: Profile) -> None:
    definition = profile(
        "Observation",
        {
            "id": "Observation.category",
            "path": "Observation.category",
            "slicing": slicing_by("value", "coding.system"),
        },
        {
            "id": "Observation.category:own",
            "path": "Observation.category",
            "sliceName": "own",
            "slicing": slicing_by("value", "coding.code", rules="closed"),
        },
        {
            "id": "Observation.category:own.coding.system",
            "path": "Observation.category.coding.system",
            "fixedUri": "s:own",
        },
        {
            "id": "Observation.category:own/first",
            "path": "Observation.category",
            "sliceName": "own/first",
            "min": 1,
            "max": "1",
        },
        {
            "id": "Observation.category:own/first.coding.code",
            "path": "Observation.category.coding.code",
            "fixedCode": "first",
        },
    )

    def category(code: str, system: str) -> Json:
        return {"coding": [coding_of(code, system)]}

    first, other = category("first", "s:own"), category("second", "s:other")
    assert findings(observed(category=[first, other]), definition) == []
    assert findings(observed(category=[other]), definition) == [
        ("error", "profile-cardinality", "Observation.category")
    ]
    second = category("second", "s:own")
    assert findings(observed(category=[first, second]), definition) == [
        ("error", "profile-slicing", "Observation.category[1]")
    ]


def test_elements_without_ids_belong_to_the_slice_before_them(
    findings: Findings, profile: Profile
) -> None:
    definition = profile(
        "Observation",
        {"path": "Observation.component", "slicing": slicing_by("value", "code.text")},
        {"path": "Observation.component", "sliceName": "a", "max": "1"},
        {"path": "Observation.component.code.text", "fixedString": "a"},
        {"path": "Observation.component", "sliceName": "b"},
        {"path": "Observation.component.code.text", "fixedString": "b"},
        {"path": "Observation.component.dataAbsentReason", "min": 1},
    )
    resource = observed(component=[{"code": {"text": "a"}}, {"code": {"text": "b"}}])
    assert findings(resource, definition) == [
        ("error", "profile-cardinality", "Observation.component[1].dataAbsentReason")
    ]


def test_slices_discriminated_by_the_target_of_a_reference(
    findings: Findings, profile: Profile
) -> None:
    definition = profile(
        "Observation",
        {
            "id": "Observation.performer",
            "path": "Observation.performer",
            "slicing": slicing_by("type", "resolve()", rules="closed"),
        },
        {
            "id": "Observation.performer:person",
            "path": "Observation.performer",
            "sliceName": "person",
            "max": "1",
            "type": [
                {
                    "code": "Reference",
                    "targetProfile": ["http://hl7.org/fhir/StructureDefinition/Practitioner"],
                }
            ],
        },
    )
    person, place = {"reference": "Practitioner/1"}, {"reference": "Organization/1"}
    assert findings(observed(performer=[person]), definition) == []
    assert findings(observed(performer=[person, place]), definition) == [
        ("error", "profile-slicing", "Observation.performer[1]")
    ]
    hidden = {"reference": "urn:uuid:0c3f2ad1-5c5d-4f3a-9d3c-1f2e3d4c5b6a"}
    assert findings(observed(performer=[hidden]), definition) == [
        ("information", "profile-slicing", "Observation.performer[0]")
    ]


def test_slices_of_bundle_entries_discriminated_by_profile_and_type(
    findings: Findings, profile: Profile
) -> None:
    named = profile("Patient", {"path": "Patient.name", "min": 1}, name="named")

    def entry(kind: str, **resource: Any) -> Json:
        return profile(
            "Bundle",
            {
                "id": "Bundle.entry",
                "path": "Bundle.entry",
                "slicing": slicing_by(kind, "resource"),
            },
            {
                "id": "Bundle.entry:named",
                "path": "Bundle.entry",
                "sliceName": "named",
                "min": 1,
            },
            {
                "id": "Bundle.entry:named.resource",
                "path": "Bundle.entry.resource",
                "type": [{"code": "Patient"} | resource],
            },
        )

    def bundle(**patient: Any) -> Json:
        entries = [{"resource": {"resourceType": "Patient"} | patient}]
        return {"resourceType": "Bundle", "type": "collection", "entry": entries}

    by_type = entry("type", profile=[named["url"]])
    assert findings(bundle(name=[{"text": "x"}]), by_type, named) == []
    assert findings(bundle(), by_type, named) == [
        ("error", "profile-cardinality", "Bundle.entry[0].resource.name")
    ]
    by_profile = entry("profile", profile=[named["url"]])
    assert findings(bundle(name=[{"text": "x"}]), by_profile, named) == []
    assert findings(bundle(), by_profile, named) == [
        ("error", "profile-cardinality", "Bundle.entry")
    ]
    assert findings(bundle(), by_profile)[0] == (
        "information",
        "profile-slicing",
        "Bundle.entry[0]",
    )


def test_a_slice_that_cant_be_discriminated_is_reported_and_its_minimum_is_no_error(
    findings: Findings, profile: Profile
) -> None:
    definition = sliced_by(profile, "value", "code", slice_of("a", min=1), rules="closed")
    assert findings(observed(component=components_of("x")), definition) == [
        ("information", "profile-slicing", "Observation.component[0]")
    ]
    assert findings(observed(), definition) == [
        ("error", "profile-cardinality", "Observation.component")
    ]


def test_without_discriminators_a_slice_is_what_meets_its_demands(
    findings: Findings, profile: Profile
) -> None:
    definition = profile(
        "Observation",
        {
            "id": "Observation.component",
            "path": "Observation.component",
            "slicing": {"rules": "open"},
        },
        slice_of("a", max="1"),
        slice_of("a", ".interpretation", min=1),
    )
    rated = [
        component | {"interpretation": [concept_of("H")]} for component in components_of("x", "y")
    ]
    assert findings(observed(component=components_of("x", "y")), definition) == []
    assert findings(observed(component=rated), definition) == [
        ("error", "profile-cardinality", "Observation.component[1]")
    ]
