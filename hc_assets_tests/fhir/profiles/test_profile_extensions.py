from collections.abc import Callable
from typing import Any

import pytest

Json = dict[str, Any]
Findings = Callable[..., list[tuple[str, str, str]]]
Profile = Callable[..., Json]
URL = "https://example.org/StructureDefinition/own"
OWN = {"url": URL, "valueCode": "x"}


def _definition(profile: Profile, *contexts: tuple[str, str], **root: Any) -> Json:
    definition = profile("Extension", name="own", kind="complex-type")
    definition["context"] = [{"type": kind, "expression": text} for kind, text in contexts]
    definition["differential"]["element"][0] |= root
    return definition


PLACES: list[tuple[Json, str]] = [
    ({"extension": [OWN]}, "Patient.extension[0]"),
    ({"name": [{"extension": [OWN]}]}, "Patient.name[0].extension[0]"),
    ({"_birthDate": {"extension": [OWN]}}, "Patient.birthDate.extension[0]"),
    ({"contact": [{"extension": [OWN]}]}, "Patient.contact[0].extension[0]"),
    ({"deceasedBoolean": False, "_deceasedBoolean": {"extension": [OWN]}}, ""),
]


@pytest.mark.parametrize(
    ("context", "allowed"),
    [
        ("Patient", [0]),
        ("DomainResource", [0]),
        ("Resource", [0]),
        ("Element", [0, 1, 2, 3, 4]),
        ("Patient.name", [1]),
        ("HumanName", [1]),
        ("date", [2]),
        ("Patient.birthDate", [2]),
        ("Patient.contact", [3]),
        ("BackboneElement", [3]),
        ("boolean", [4]),
        ("Patient.deceased[x]", [4]),
        ("Patient.deceased", [4]),
        ("Person", []),
    ],
)
def test_an_extension_is_where_its_context_allows_it(
    findings: Findings, profile: Profile, context: str, allowed: list[int]
) -> None:
    definition = _definition(profile, ("element", context))
    for index, (members, _) in enumerate(PLACES):
        found = findings({"resourceType": "Patient"} | members, definition, profiles=[])
        assert [rule for _, rule, _ in found] == ([] if index in allowed else ["extension-context"])


@pytest.mark.parametrize(("members", "place"), PLACES[:4])
def test_a_misplaced_extension_is_an_error_at_its_place(
    findings: Findings, profile: Profile, members: Json, place: str
) -> None:
    definition = _definition(profile, ("element", "Person"), ("extension", "https://example.org/x"))
    assert findings({"resourceType": "Patient"} | members, definition, profiles=[]) == [
        ("error", "extension-context", place)
    ]


def test_any_of_several_contexts_will_do(findings: Findings, profile: Profile) -> None:
    definition = _definition(profile, ("element", "Person"), ("element", "Patient"))
    assert findings({"resourceType": "Patient", "extension": [OWN]}, definition, profiles=[]) == []


def test_an_extension_may_be_for_another_extension(findings: Findings, profile: Profile) -> None:
    definition = _definition(profile, ("extension", "https://example.org/outer"))
    for url, wrong in (("https://example.org/outer", False), ("https://example.org/other", True)):
        outer = {"url": url, "extension": [OWN]}
        found = findings({"resourceType": "Patient", "extension": [outer]}, definition, profiles=[])
        place = "Patient.extension[0].extension[0]"
        assert found == ([("error", "extension-context", place)] if wrong else [])


@pytest.mark.parametrize(
    "context", [("fhirpath", "Patient.name"), ("element", "CanonicalResource")]
)
def test_a_context_that_cant_be_told_is_said_to_be_so(
    findings: Findings, profile: Profile, context: tuple[str, str]
) -> None:
    definition = _definition(profile, context)
    assert findings({"resourceType": "Patient", "extension": [OWN]}, definition, profiles=[]) == [
        ("information", "extension-context", "Patient.extension[0]")
    ]


@pytest.mark.parametrize("is_modifier", [False, True])
def test_a_modifier_stands_with_the_modifiers(
    findings: Findings, profile: Profile, is_modifier: bool
) -> None:
    definition = _definition(profile, isModifier=is_modifier)
    for member in ("extension", "modifierExtension"):
        found = findings({"resourceType": "Patient", member: [OWN]}, definition, profiles=[])
        is_right = is_modifier == (member == "modifierExtension")
        expected = [("error", "extension-modifier", f"Patient.{member}[0]")]
        assert found == ([] if is_right else expected)


def test_an_extension_inside_a_contained_resource_is_on_that_resource(
    findings: Findings, profile: Profile
) -> None:
    definition = _definition(profile, ("element", "Patient"))
    patient = {"resourceType": "Patient", "id": "p", "extension": [OWN]}
    person = {"resourceType": "Person", "contained": [patient], "link": [{"extension": [OWN]}]}
    assert findings(person, definition, profiles=[]) == [
        ("error", "extension-context", "Person.link[0].extension[0]")
    ]
