from collections.abc import Callable
from typing import Any

import pytest

Json = dict[str, Any]
Findings = Callable[..., list[tuple[str, str, str]]]
Profile = Callable[..., Json]
SET = "https://example.org/ValueSet/v"
OWN, LOINC, UCUM = "https://example.org/s", "http://loinc.org", "http://unitsofmeasure.org"


def _value_set(*include: Json, url: str = SET, **others: Any) -> Json:
    return {"resourceType": "ValueSet", "url": url, "compose": {"include": [*include]} | others}


def _system(**others: Any) -> Json:
    child = {"code": "a1"}
    concepts = [{"code": "a", "concept": [child]}, {"code": "b"}]
    return {
        "resourceType": "CodeSystem",
        "url": OWN,
        "content": "complete",
        "concept": concepts,
    } | others


def _observation(system: str | None, code: str | None) -> Json:
    coding = {"system": system, "code": code}
    return {
        "resourceType": "Observation",
        "status": "final",
        "code": {"coding": [{name: part for name, part in coding.items() if part is not None}]},
    }


def _bound(profile: Profile, strength: str = "required", value_set: str = SET) -> Json:
    binding = {"strength": strength, "valueSet": value_set}
    return profile("Observation", {"path": "Observation.code", "binding": binding})


LISTED = {"system": LOINC, "concept": [{"code": "1-8"}]}
YES: list[Any] = []
NO = [("error", "profile-binding", "Observation.code")]
UNKNOWN = [("warning", "profile-binding", "Observation.code")]


@pytest.mark.parametrize(
    ("value_set", "system", "code", "expected"),
    [
        (_value_set(LISTED), LOINC, "1-8", YES),
        (_value_set(LISTED), LOINC, "2-6", NO),
        (_value_set(LISTED), OWN, "1-8", NO),
        (_value_set(LISTED), None, "1-8", NO),
        (_value_set(LISTED), LOINC, None, NO),
        # a whole system: at hand, a grammar, or out of reach
        (_value_set({"system": OWN}), OWN, "a1", YES),
        (_value_set({"system": OWN}), OWN, "c", NO),
        (_value_set({"system": UCUM}), UCUM, "mm[Hg]", YES),
        (_value_set({"system": UCUM}), UCUM, "mm Hg", NO),
        (_value_set({"system": LOINC}), LOINC, "1-8", UNKNOWN),
        (_value_set({"system": LOINC}), OWN, "a", NO),
        # filters
        (
            _value_set(
                {"system": OWN, "filter": [{"property": "concept", "op": "is-a", "value": "a"}]}
            ),
            OWN,
            "a1",
            YES,
        ),
        (
            _value_set(
                {"system": OWN, "filter": [{"property": "concept", "op": "is-a", "value": "a"}]}
            ),
            OWN,
            "b",
            NO,
        ),
        (
            _value_set(
                {"system": OWN, "filter": [{"property": "code", "op": "regex", "value": "("}]}
            ),
            OWN,
            "a",
            UNKNOWN,
        ),
        (
            _value_set(
                {"system": LOINC, "filter": [{"property": "CLASS", "op": "=", "value": "CHEM"}]}
            ),
            LOINC,
            "1-8",
            UNKNOWN,
        ),
        # several parts, exclusion, sets of sets
        (_value_set({"system": LOINC}, {"system": OWN}), OWN, "a", YES),
        (
            _value_set({"system": OWN}, exclude=[{"system": OWN, "concept": [{"code": "a"}]}]),
            OWN,
            "a",
            NO,
        ),
        (
            _value_set({"system": OWN}, exclude=[{"system": OWN, "concept": [{"code": "a"}]}]),
            OWN,
            "b",
            YES,
        ),
        (_value_set({"system": OWN}, exclude=[{"system": LOINC}]), OWN, "a", YES),
        (_value_set({"valueSet": [f"{SET}-inner"]}), LOINC, "1-8", YES),
        (_value_set({"valueSet": [f"{SET}-inner"]}), OWN, "a", NO),
        (_value_set({"valueSet": [f"{SET}-inner", f"{SET}-absent"]}), LOINC, "1-8", UNKNOWN),
        (_value_set({"valueSet": [f"{SET}-inner", f"{SET}-absent"]}), OWN, "a", NO),
        (_value_set({"valueSet": [SET]}), OWN, "a", UNKNOWN),
        # R4's own sets stand behind
        (
            _value_set({"valueSet": ["http://hl7.org/fhir/ValueSet/observation-status"]}),
            "http://hl7.org/fhir/observation-status",
            "final",
            YES,
        ),
        # an expansion
        (
            _value_set() | {"expansion": {"contains": [{"system": LOINC, "code": "1-8"}]}},
            LOINC,
            "1-8",
            YES,
        ),
        (
            _value_set() | {"expansion": {"contains": [{"system": LOINC, "code": "1-8"}]}},
            LOINC,
            "2-6",
            NO,
        ),
        (
            _value_set()
            | {"expansion": {"total": 9, "contains": [{"system": LOINC, "code": "1-8"}]}},
            LOINC,
            "2-6",
            UNKNOWN,
        ),
    ],
)
def test_whether_a_code_is_in_a_value_set_is_yes_no_or_unknown(
    findings: Findings,
    profile: Profile,
    value_set: Json,
    system: str | None,
    code: str | None,
    expected: list[Any],
) -> None:
    inner = _value_set(LISTED, url=f"{SET}-inner")
    found = findings(_observation(system, code), _bound(profile), value_set, inner, _system())
    assert found == expected


def test_a_fragment_of_a_code_system_decides_nothing(findings: Findings, profile: Profile) -> None:
    value_set = _value_set({"system": OWN})
    fragment = _system(content="fragment")
    resource = _observation(OWN, "a")
    assert findings(resource, _bound(profile), value_set, fragment) == UNKNOWN


def test_a_value_set_that_is_not_at_hand_is_a_warning_once(
    findings: Findings, profile: Profile
) -> None:
    binding = {"strength": "required", "valueSet": SET}
    definition = profile("Observation", {"path": "Observation.category", "binding": binding})
    resource = _observation(LOINC, "1-8")
    resource["category"] = [resource["code"], resource["code"]]
    assert findings(resource, definition) == [
        ("warning", "profile-binding", "Observation.category[0]")
    ]


def test_no_coding_at_all_breaks_any_required_binding(findings: Findings, profile: Profile) -> None:
    resource = _observation(LOINC, "1-8") | {"code": {"text": "x"}}
    assert findings(resource, _bound(profile)) == NO


@pytest.mark.parametrize(
    ("strength", "expected"),
    [("extensible", UNKNOWN), ("preferred", YES), ("example", YES)],
)
def test_a_weaker_binding_is_a_warning_at_most(
    findings: Findings, profile: Profile, strength: str, expected: list[Any]
) -> None:
    resource = _observation(OWN, "a")
    assert findings(resource, _bound(profile, strength), _value_set(LISTED)) == expected
    assert findings(resource, _bound(profile, strength)) == []


def test_the_greatest_value_set_of_a_weak_binding_is_required(
    findings: Findings, profile: Profile
) -> None:
    greatest = {
        "url": "http://hl7.org/fhir/StructureDefinition/elementdefinition-maxValueSet",
        "valueCanonical": SET,
    }
    definition = _bound(profile, "preferred", f"{SET}-weak")
    definition["differential"]["element"][1]["binding"]["extension"] = [greatest]
    assert findings(_observation(OWN, "a"), definition, _value_set(LISTED)) == NO


def test_codes_codings_and_quantities_are_bound_as_concepts_are(
    findings: Findings, profile: Profile
) -> None:
    binding = {"strength": "required", "valueSet": SET}
    status = profile("Observation", {"path": "Observation.status", "binding": binding})
    final = _value_set({"system": OWN, "concept": [{"code": "final"}]})
    assert findings(_observation(LOINC, "1-8"), status, final) == []
    amended = _observation(LOINC, "1-8") | {"status": "amended"}
    assert findings(amended, status, final) == [("error", "profile-binding", "Observation.status")]
    grams = _value_set({"system": UCUM, "concept": [{"code": "g"}]})
    value = profile("Observation", {"path": "Observation.value[x]", "binding": binding})
    for code, wrong in (("g", False), ("kg", True)):
        quantity = {"value": 1, "system": UCUM, "code": code}
        resource = _observation(LOINC, "1-8") | {"valueQuantity": quantity}
        expected = [("error", "profile-binding", "Observation.valueQuantity")] if wrong else []
        assert findings(resource, value, grams) == expected


def test_member_of_asks_the_value_sets_at_hand(findings: Findings, profile: Profile) -> None:
    rule = {
        "key": "own-1",
        "severity": "error",
        "human": "h",
        "expression": f"code.memberOf('{SET}')",
    }
    definition = profile("Observation")
    definition["differential"]["element"][0]["constraint"] = [rule]
    assert findings(_observation(LOINC, "1-8"), definition, _value_set(LISTED)) == []
    assert findings(_observation(LOINC, "2-6"), definition, _value_set(LISTED)) == [
        ("error", "own-1", "Observation")
    ]


def test_slices_may_be_discriminated_by_value_set(findings: Findings, profile: Profile) -> None:
    definition = profile(
        "Observation",
        {
            "id": "Observation.category",
            "path": "Observation.category",
            "slicing": {"discriminator": [{"type": "value", "path": "$this"}], "rules": "open"},
        },
        {
            "id": "Observation.category:lab",
            "path": "Observation.category",
            "sliceName": "lab",
            "max": "1",
            "binding": {"strength": "required", "valueSet": SET},
        },
    )
    resource = _observation(LOINC, "1-8")
    resource["category"] = [resource["code"], {"text": "x"}, resource["code"]]
    assert findings(resource, definition, _value_set(LISTED)) == [
        ("error", "profile-cardinality", "Observation.category[2]")
    ]
    assert findings(resource, definition) == [
        ("information", "profile-slicing", "Observation.category[0]")
    ]
