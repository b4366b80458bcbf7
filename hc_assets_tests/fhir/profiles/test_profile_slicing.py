from collections.abc import Callable
from typing import Any

import pytest

Json = dict[str, Any]
Findings = Callable[..., list[tuple[str, str, str]]]
Profile = Callable[..., Json]
BASE = "https://example.org/StructureDefinition/"


def _coding(code: str, system: str = "http://loinc.org") -> Json:
    return {"system": system, "code": code}


def _concept(*codes: str) -> Json:
    return {"coding": [_coding(code) for code in codes]}


def _observation(**members: Any) -> Json:
    return {"resourceType": "Observation", "status": "final", "code": _concept("1-8")} | members


def _slicing(kind: str, path: str, rules: str = "open", **others: Any) -> Json:
    return {"discriminator": [{"type": kind, "path": path}], "rules": rules} | others


def _components(*codes: str) -> list[Json]:
    return [{"code": _concept(code), "valueInteger": 1} for code in codes]


def _slice(name: str, below: str = "", **demands: Any) -> Json:
    return {
        "id": f"Observation.component:{name}{below}",
        "path": f"Observation.component{below}",
        **({} if below else {"sliceName": name}),
    } | demands


def _sliced(profile: Profile, kind: str, path: str, *slices: Json, **slicing: Any) -> Json:
    component = {
        "id": "Observation.component",
        "path": "Observation.component",
        "slicing": _slicing(kind, path, **slicing),
    }
    return profile("Observation", component, *slices)


# The same two slices a and b, told apart in the ways that a profile may choose.
WAYS: list[tuple[str, str, Callable[[str, str], list[Json]]]] = [
    (
        "value",
        "code",
        lambda name, code: [_slice(name, ".code", patternCodeableConcept=_concept(code))],
    ),
    (
        "pattern",
        "code",
        lambda name, code: [_slice(name, ".code", fixedCodeableConcept=_concept(code))],
    ),
    (
        "value",
        "code.coding.code",
        lambda name, code: [_slice(name, ".code.coding.code", fixedCode=code)],
    ),
    (
        "value",
        "code.coding.code",
        lambda name, code: [_slice(name, ".code", patternCodeableConcept=_concept(code))],
    ),
    (
        "value",
        "code.coding",
        lambda name, code: [
            _slice(name, ".code.coding.system", fixedUri="http://loinc.org"),
            _slice(name, ".code.coding.code", fixedCode=code),
        ],
    ),
    (
        "value",
        "$this",
        lambda name, code: [_slice(name, ".code", patternCodeableConcept=_concept(code))],
    ),
]


@pytest.mark.parametrize(("kind", "path", "demand"), WAYS)
def test_slices_told_by_value_have_their_own_cardinality_and_demands(
    findings: Findings,
    profile: Profile,
    kind: str,
    path: str,
    demand: Callable[[str, str], list[Json]],
) -> None:
    definition = _sliced(
        profile,
        kind,
        path,
        _slice("a", min=1, max="1"),
        *demand("a", "a"),
        _slice("b", max="1"),
        *demand("b", "b"),
        _slice("b", ".interpretation", min=1),
    )
    assert findings(_observation(component=_components("a", "c", "c")), definition) == []
    assert findings(_observation(component=_components("c")), definition) == [
        ("error", "profile-cardinality", "Observation.component")
    ]
    assert findings(_observation(component=_components("a", "c", "a")), definition) == [
        ("error", "profile-cardinality", "Observation.component[2]")
    ]
    assert findings(_observation(component=_components("b", "a")), definition) == [
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
    definition = _sliced(
        profile,
        "value",
        "code",
        _slice("a", ".code", patternCodeableConcept=_concept("a")),
        _slice("b", ".code", patternCodeableConcept=_concept("b")),
        rules=rules,
        ordered=ordered,
    )
    assert findings(_observation(component=_components(*codes)), definition) == [
        ("error", "profile-slicing", f"Observation.component[{index}]") for index in wrong
    ]


def test_slices_told_by_existence(findings: Findings, profile: Profile) -> None:
    definition = _sliced(
        profile,
        "exists",
        "value",
        _slice("with", max="1"),
        _slice("with", ".value[x]", min=1),
        _slice("without", max="1"),
        _slice("without", ".value[x]", max="0"),
    )
    bare = {"code": _concept("x")}
    assert findings(_observation(component=[*_components("x"), bare]), definition) == []
    assert findings(_observation(component=[bare, bare]), definition) == [
        ("error", "profile-cardinality", "Observation.component[1]")
    ]


def test_slices_told_by_the_type_of_an_element_below(findings: Findings, profile: Profile) -> None:
    definition = _sliced(
        profile,
        "type",
        "value",
        _slice("number", max="1"),
        _slice("number", ".value[x]", type=[{"code": "integer"}]),
    )
    text = {"code": _concept("x"), "valueString": "x"}
    assert findings(_observation(component=[text, text, *_components("x")]), definition) == []
    assert findings(_observation(component=_components("x", "y")), definition) == [
        ("error", "profile-cardinality", "Observation.component[1]")
    ]


def test_choice_elements_are_sliced_by_type(findings: Findings, profile: Profile) -> None:
    definition = profile(
        "Observation",
        {
            "id": "Observation.value[x]",
            "path": "Observation.value[x]",
            "slicing": _slicing("type", "$this", rules="closed"),
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
    assert findings(_observation(valueString="x"), definition) == []
    assert findings(_observation(valueQuantity={"value": 1, "code": "g"}), definition) == []
    assert findings(_observation(valueQuantity={"value": 1}), definition) == [
        ("error", "profile-cardinality", "Observation.valueQuantity.code")
    ]
    assert findings(_observation(valueBoolean=True), definition) == [
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
    assert findings(_observation(valueQuantity={"value": 1, "unit": "g"}), definition) == []
    assert findings(_observation(valueQuantity={"value": 1}), definition) == [
        ("error", "profile-cardinality", "Observation.valueQuantity.unit")
    ]
    assert findings(_observation(valueString="x"), definition) == [
        ("error", "profile-slicing", "Observation.valueString")
    ]


def test_a_slice_may_be_sliced_again(findings: Findings, profile: Profile) -> None:
    definition = profile(
        "Observation",
        {
            "id": "Observation.category",
            "path": "Observation.category",
            "slicing": _slicing("value", "coding.system"),
        },
        {
            "id": "Observation.category:own",
            "path": "Observation.category",
            "sliceName": "own",
            "slicing": _slicing("value", "coding.code", rules="closed"),
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
        return {"coding": [_coding(code, system)]}

    first, other = category("first", "s:own"), category("second", "s:other")
    assert findings(_observation(category=[first, other]), definition) == []
    assert findings(_observation(category=[other]), definition) == [
        ("error", "profile-cardinality", "Observation.category")
    ]
    second = category("second", "s:own")
    assert findings(_observation(category=[first, second]), definition) == [
        ("error", "profile-slicing", "Observation.category[1]")
    ]


def test_elements_without_ids_belong_to_the_slice_before_them(
    findings: Findings, profile: Profile
) -> None:
    definition = profile(
        "Observation",
        {"path": "Observation.component", "slicing": _slicing("value", "code.text")},
        {"path": "Observation.component", "sliceName": "a", "max": "1"},
        {"path": "Observation.component.code.text", "fixedString": "a"},
        {"path": "Observation.component", "sliceName": "b"},
        {"path": "Observation.component.code.text", "fixedString": "b"},
        {"path": "Observation.component.dataAbsentReason", "min": 1},
    )
    resource = _observation(component=[{"code": {"text": "a"}}, {"code": {"text": "b"}}])
    assert findings(resource, definition) == [
        ("error", "profile-cardinality", "Observation.component[1].dataAbsentReason")
    ]


def _extension(profile: Profile, name: str, *elements: Json) -> Json:
    url = {"id": "Extension.url", "path": "Extension.url", "fixedUri": BASE + name}
    return profile("Extension", url, *elements, name=name, kind="complex-type")


def _on_patient(profile: Profile, name: str, **demands: Any) -> Json:
    return profile(
        "Patient",
        {
            "id": f"Patient.extension:{name}",
            "path": "Patient.extension",
            "sliceName": name,
            "type": [{"code": "Extension", "profile": [BASE + name]}],
        }
        | demands,
    )


def test_extensions_are_told_by_the_url_of_their_profile(
    findings: Findings, profile: Profile
) -> None:
    coded = _extension(
        profile, "coded", {"path": "Extension.value[x]", "min": 1, "type": [{"code": "code"}]}
    )
    definition = _on_patient(profile, "coded", min=1, max="1")
    good = {"url": BASE + "coded", "valueCode": "x"}
    assert findings({"resourceType": "Patient", "extension": [good]}, definition, coded) == []
    assert findings({"resourceType": "Patient"}, definition, coded) == [
        ("error", "profile-cardinality", "Patient.extension")
    ]
    assert findings({"resourceType": "Patient", "extension": [good, good]}, definition, coded) == [
        ("error", "profile-cardinality", "Patient.extension[1]")
    ]
    wrong = {"url": BASE + "coded", "valueString": "x"}
    assert findings({"resourceType": "Patient", "extension": [wrong]}, definition, coded) == [
        ("error", "profile-type", "Patient.extension[0].valueString")
    ]


def test_an_extension_whose_profile_is_not_at_hand_is_counted_and_said_to_be_unchecked(
    findings: Findings, profile: Profile
) -> None:
    definition = _on_patient(profile, "coded", min=1)
    extension = {"url": BASE + "coded", "valueCode": "x"}
    assert findings({"resourceType": "Patient", "extension": [extension]}, definition) == [
        ("warning", "profile-unknown", "Patient.extension[0]")
    ]
    unknown = {"url": "https://example.org/unknown", "valueCode": "x"}
    both = {"resourceType": "Patient", "extension": [extension, unknown]}
    assert findings(both, definition)[1:] == [
        ("information", "profile-unknown", "Patient.extension[1]")
    ]


def test_an_extension_at_hand_is_checked_wherever_it_stands(
    findings: Findings, profile: Profile
) -> None:
    coded = _extension(profile, "coded", {"path": "Extension.value[x]", "min": 1})
    patient = {
        "resourceType": "Patient",
        "_birthDate": {"extension": [{"url": BASE + "coded"}]},
    }
    assert findings(patient, coded, profiles=[]) == [
        ("error", "profile-cardinality", "Patient.birthDate.extension[0].value")
    ]


def test_nested_extensions_are_slices_of_the_outer_one(
    findings: Findings, profile: Profile
) -> None:
    inner = {
        "id": "Extension.extension:part",
        "path": "Extension.extension",
        "sliceName": "part",
        "min": 1,
    }
    url = {
        "id": "Extension.extension:part.url",
        "path": "Extension.extension.url",
        "fixedUri": "part",
    }
    outer = _extension(profile, "outer", inner, url)
    definition = _on_patient(profile, "outer")

    def patient(name: str) -> Json:
        nested = {"url": BASE + "outer", "extension": [{"url": name, "valueCode": "x"}]}
        return {"resourceType": "Patient", "extension": [nested]}

    assert findings(patient("part"), definition, outer) == []
    assert findings(patient("other"), definition, outer) == [
        ("error", "profile-cardinality", "Patient.extension[0].extension")
    ]


def test_a_differential_speaks_of_slices_of_the_profile_that_its_element_has(
    findings: Findings, profile: Profile
) -> None:
    part = {"id": "Extension.extension:part", "path": "Extension.extension", "sliceName": "part"}
    url = {
        "id": "Extension.extension:part.url",
        "path": "Extension.extension.url",
        "fixedUri": "part",
    }
    outer = _extension(profile, "outer", part, url)
    definition = _on_patient(profile, "outer")
    definition["differential"]["element"].append(
        {
            "id": "Patient.extension:outer.extension:part",
            "path": "Patient.extension.extension",
            "sliceName": "part",
            "min": 1,
        }
    )

    def patient(name: str) -> Json:
        nested = {"url": BASE + "outer", "extension": [{"url": name, "valueCode": "x"}]}
        return {"resourceType": "Patient", "extension": [nested]}

    assert findings(patient("part"), definition, outer) == []
    assert findings(patient("other"), definition, outer) == [
        ("error", "profile-cardinality", "Patient.extension[0].extension")
    ]


def test_slices_told_by_what_a_reference_leads_to(findings: Findings, profile: Profile) -> None:
    definition = profile(
        "Observation",
        {
            "id": "Observation.performer",
            "path": "Observation.performer",
            "slicing": _slicing("type", "resolve()", rules="closed"),
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
    assert findings(_observation(performer=[person]), definition) == []
    assert findings(_observation(performer=[person, place]), definition) == [
        ("error", "profile-slicing", "Observation.performer[1]")
    ]
    hidden = {"reference": "urn:uuid:0c3f2ad1-5c5d-4f3a-9d3c-1f2e3d4c5b6a"}
    assert findings(_observation(performer=[hidden]), definition) == [
        ("information", "profile-slicing", "Observation.performer[0]")
    ]


def test_slices_of_bundle_entries_told_by_profile_and_type(
    findings: Findings, profile: Profile
) -> None:
    named = profile("Patient", {"path": "Patient.name", "min": 1}, name="named")

    def entry(kind: str, **resource: Any) -> Json:
        return profile(
            "Bundle",
            {
                "id": "Bundle.entry",
                "path": "Bundle.entry",
                "slicing": _slicing(kind, "resource"),
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


def test_a_slice_that_cant_be_told_is_said_to_be_so_and_its_least_number_is_no_error(
    findings: Findings, profile: Profile
) -> None:
    definition = _sliced(profile, "value", "code", _slice("a", min=1), rules="closed")
    assert findings(_observation(component=_components("x")), definition) == [
        ("information", "profile-slicing", "Observation.component[0]")
    ]
    assert findings(_observation(), definition) == [
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
        _slice("a", max="1"),
        _slice("a", ".interpretation", min=1),
    )
    rated = [component | {"interpretation": [_concept("H")]} for component in _components("x", "y")]
    assert findings(_observation(component=_components("x", "y")), definition) == []
    assert findings(_observation(component=rated), definition) == [
        ("error", "profile-cardinality", "Observation.component[1]")
    ]
