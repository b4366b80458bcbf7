import json
from collections.abc import Callable
from typing import Any

import pytest

Json = dict[str, Any]
Findings = Callable[..., list[tuple[str, str, str]]]
Profile = Callable[..., Json]
BASE = "https://example.org/StructureDefinition/"
CORE = "http://hl7.org/fhir/StructureDefinition/"
NO_NAME = ("error", "profile-cardinality")


def _named(profile: Profile) -> Json:
    return profile("Patient", {"path": "Patient.name", "min": 1}, name="named")


def _subject(profile: Profile, *targets: str) -> Json:
    element = {
        "path": "Observation.subject",
        "type": [{"code": "Reference", "targetProfile": [*targets]}],
    }
    return profile("Observation", element, name="subject")


def _observation(reference: Json, **members: Any) -> Json:
    return {"resourceType": "Observation", "status": "final", "subject": reference} | members


def test_a_resource_is_held_against_the_profiles_that_it_names(
    findings: Findings, profile: Profile
) -> None:
    patient = {
        "resourceType": "Patient",
        "meta": {"profile": [BASE + "named", BASE + "unknown", CORE + "Patient"]},
    }
    assert findings(patient, _named(profile), profiles=None) == [
        ("warning", "profile-unknown", "Patient.meta.profile[1]"),
        (*NO_NAME, "Patient.name"),
    ]


def test_a_named_profile_of_another_type_is_an_error(findings: Findings, profile: Profile) -> None:
    for url in (BASE + "named", CORE + "Patient"):
        person = {"resourceType": "Person", "meta": {"profile": [url]}}
        assert [f[:2] for f in findings(person, _named(profile), profiles=None)] == [
            ("error", "profile-type")
        ]


def test_resources_inside_are_held_against_the_profiles_that_they_name(
    findings: Findings, profile: Profile
) -> None:
    patient = {"resourceType": "Patient", "id": "p", "meta": {"profile": [BASE + "named"]}}
    observation = _observation({"reference": "#p"}, contained=[patient])
    assert findings(observation, _named(profile), profiles=None) == [
        (*NO_NAME, "Observation.contained[0].name")
    ]
    entries = [{"resource": patient}, {"resource": observation}]
    bundle = {"resourceType": "Bundle", "type": "collection", "entry": entries}
    assert findings(bundle, _named(profile), profiles=None) == [
        (*NO_NAME, "Bundle.entry[0].resource.name"),
        (*NO_NAME, "Bundle.entry[1].resource.contained[0].name"),
    ]
    assert findings(bundle, _named(profile), profiles=[]) == []


def test_profiles_for_every_resource_of_a_type_need_no_name(
    findings: Findings, profile: Profile
) -> None:
    entries = [{"resource": {"resourceType": name}} for name in ("Person", "Patient")]
    bundle = {"resourceType": "Bundle", "type": "collection", "entry": entries}
    assert findings(bundle, _named(profile), for_every=[BASE + "named"]) == [
        (*NO_NAME, "Bundle.entry[1].resource.name")
    ]


def test_decoded_resources_are_taken_as_bytes_are(
    load: Callable[..., Any], profile: Profile
) -> None:
    profiles = load(_named(profile))
    patient = {"resourceType": "Patient", "meta": {"profile": [BASE + "named"]}}
    assert profiles.validate(patient) == profiles.validate(json.dumps(patient).encode())
    deep: Json = {"resourceType": "Patient"}
    for _ in range(10_000):
        deep = {"resourceType": "Patient", "contained": [deep]}
    assert [issue.rule for issue in profiles.validate(deep)] == ["nesting"]


@pytest.mark.parametrize(
    ("reference", "expected"),
    [
        ({"reference": "Patient/1"}, []),
        ({"reference": "https://example.org/fhir/Patient/1"}, []),
        ({"display": "x"}, []),
        ({"type": "Patient", "identifier": {"value": "1"}}, []),
        ({"reference": "Group/1"}, [("error", "profile-reference-target", "Observation.subject")]),
        (
            {"type": "Group", "identifier": {"value": "1"}},
            [("error", "profile-reference-target", "Observation.subject")],
        ),
        (
            {"reference": "https://example.org/fhir/Group/1"},
            [("warning", "profile-reference-target", "Observation.subject")],
        ),
        (
            {"reference": "urn:uuid:0c3f2ad1-5c5d-4f3a-9d3c-1f2e3d4c5b6a"},
            [("information", "profile-reference-target", "Observation.subject")],
        ),
    ],
)
def test_the_type_of_what_a_reference_leads_to(
    findings: Findings, profile: Profile, reference: Json, expected: list[Any]
) -> None:
    definition = _subject(profile, CORE + "Patient")
    assert findings(_observation(reference), definition) == expected


def test_a_target_may_be_named_with_its_version(findings: Findings, profile: Profile) -> None:
    definition = _subject(profile, CORE + "Patient|4.0.1", BASE + "named|1.0")
    definitions = definition, _named(profile)
    assert findings(_observation({"reference": "Patient/1"}), *definitions) == []
    assert findings(_observation({"reference": "Group/1"}), *definitions) == [
        ("error", "profile-reference-target", "Observation.subject")
    ]


def test_targets_that_r4_itself_names_are_left_to_r4s_own_validation(
    findings: Findings, profile: Profile
) -> None:
    same = [CORE + name for name in ("Patient", "Group", "Device", "Location")]
    definition = _subject(profile, *same)
    assert findings(_observation({"reference": "Person/1"}), definition) == []


def test_a_target_inside_is_held_against_its_profile(findings: Findings, profile: Profile) -> None:
    definition = _subject(profile, BASE + "named")
    known, unknown = (definition, _named(profile)), (definition,)
    target = ("profile-reference-target", "Observation.subject")
    bare = {"resourceType": "Patient", "id": "p"}
    named = bare | {"name": [{"text": "x"}]}
    inside = {"reference": "#p"}
    assert findings(_observation(inside, contained=[named]), *known) == []
    assert findings(_observation(inside, contained=[bare]), *known) == [("error", *target)]
    assert findings(_observation(inside, contained=[bare]), *unknown) == [("information", *target)]
    assert findings(_observation({"reference": "Patient/p"}), *known) == [("information", *target)]
    assert findings(_observation({"reference": "Group/p"}), *known) == [("error", *target)]


@pytest.mark.parametrize("reference", ["Patient/p", "urn:uuid:p", "https://example.org/Patient/p"])
def test_a_target_in_the_same_bundle_is_held_against_its_profile(
    findings: Findings, profile: Profile, reference: str
) -> None:
    observation = _observation({"reference": reference}, meta={"profile": [BASE + "subject"]})
    target = {"resource": {"resourceType": "Patient", "id": "p"}, "fullUrl": reference}
    entries = [{"resource": observation}, target]
    bundle = {"resourceType": "Bundle", "type": "collection", "entry": entries}
    definitions = _subject(profile, BASE + "named"), _named(profile)
    place = "Bundle.entry[0].resource.subject"
    assert findings(bundle, *definitions, profiles=None) == [
        ("error", "profile-reference-target", place)
    ]
    target["resource"]["name"] = [{"text": "x"}]
    assert findings(bundle, *definitions, profiles=None) == []


def test_references_in_a_circle_come_to_an_end(findings: Findings, profile: Profile) -> None:
    element = {
        "path": "Observation.hasMember",
        "type": [{"code": "Reference", "targetProfile": [BASE + "p"]}],
    }
    definition = profile("Observation", element)
    entries = [
        {
            "resource": {
                "resourceType": "Observation",
                "id": str(index),
                "meta": {"profile": [BASE + "p"]},
                "hasMember": [{"reference": f"Observation/{(index + 1) % 500}"}],
            }
        }
        for index in range(500)
    ]
    bundle = {"resourceType": "Bundle", "type": "collection", "entry": entries}
    assert [f for f in findings(bundle, definition, profiles=None) if f[0] == "error"] == []


def test_conforms_to_asks_the_profiles_at_hand(findings: Findings, profile: Profile) -> None:
    rule = {
        "key": "own-1",
        "severity": "error",
        "human": "h",
        "expression": f"contained.first().conformsTo('{BASE}named')",
    }
    definition = profile("Observation")
    definition["differential"]["element"][0]["constraint"] = [rule]
    named = {"resourceType": "Patient", "id": "p", "name": [{"text": "x"}]}
    reference = {"reference": "#p"}
    good = _observation(reference, contained=[named])
    bad = _observation(reference, contained=[{"resourceType": "Patient", "id": "p"}])
    assert findings(good, definition, _named(profile)) == []
    assert findings(bad, definition, _named(profile)) == [("error", "own-1", "Observation")]
    assert findings(bad, definition) == [("information", "own-1", "Observation")]


@pytest.mark.parametrize(
    ("raw", "rule"),
    [
        (b"", "json-syntax"),
        (b"\xff", "json-syntax"),
        (b"[" * 100_000, "nesting"),
        (b"[]", "json-type"),
        (b"{}", "resource-type"),
        (b'{"resourceType":["Patient"]}', "resource-type"),
        (b'{"resourceType":"Nothing"}', "resource-type"),
    ],
)
def test_what_is_no_resource_is_one_fatal_issue(
    load: Callable[..., Any], profile: Profile, raw: bytes, rule: str
) -> None:
    issues = load(_named(profile)).validate(raw)
    assert [(issue.severity, issue.rule) for issue in issues] == [("fatal", rule)]


def test_a_thousand_errors_are_enough(findings: Findings, profile: Profile) -> None:
    definition = profile("Patient", {"path": "Patient.name.family", "min": 1})
    patient = {"resourceType": "Patient", "name": [{"text": "x"}] * 5000}
    found = findings(patient, definition)
    assert len(found) == 1001
    assert found[-1] == ("error", "too-many-issues", "")
