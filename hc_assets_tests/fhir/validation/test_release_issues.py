"""What R4 refuses for another release's sake names that release; R4 itself is never called another.

HL7's packages of the other releases are not committed: `HC_OTHER_RELEASES` names a folder with
those of examples, unpacked, each in a folder of any name.
"""

import json
import os
import random
from collections import Counter
from pathlib import Path

import msgspec
import pytest

from hc_assets.fhir.r4.build.package import read_package
from hc_assets.fhir.r4.build.releases import build
from hc_assets.fhir.r4.releases import RELEASES_PATH, names_of_releases, release_r4, releases
from hc_assets.fhir.validation import has_errors, validate
from hc_assets.fhir.validation.release_issues import (
    RULE,
    label_of,
    may_name_release,
    named_releases,
    release_issues,
    seems_to_name_release,
)

_SEED = 20261128
_R4 = Path(os.environ.get("HC_R4_PACKAGE", ""))
_OTHERS = Path(os.environ.get("HC_OTHER_RELEASES", ""))


def said(resource: dict) -> list[str]:
    issues = validate(json.dumps(resource).encode())
    return [issue.diagnostics for issue in issues if issue.rule == RULE]


@pytest.mark.parametrize(
    ("resource", "expected"),
    [
        ({"resourceType": "ActorDefinition", "id": "a"}, ["ActorDefinition is R5"]),
        ({"resourceType": "ReferralRequest", "id": "a"}, ["ReferralRequest is STU3"]),
        ({"resourceType": "Ingredient", "role": {}}, ["Ingredient is R4B or R5"]),
        (
            {"resourceType": "Patient", "animal": {"species": {"text": "dog"}}},
            ["Patient.animal is STU3"],
        ),
        (
            {"resourceType": "Procedure", "status": "completed", "occurrenceDateTime": "2024"},
            ["Procedure.occurrenceDateTime is R5"],
        ),
        (
            {"resourceType": "Goal", "status": "in-progress", "description": {"text": "x"}},
            ["Goal.status is STU3"],
        ),
        (
            {"resourceType": "AllergyIntolerance", "verificationStatus": "confirmed"},
            ["AllergyIntolerance.verificationStatus as a string is STU3"],
        ),
        (
            {"resourceType": "Encounter", "status": "discharged", "class": {"code": "IMP"}},
            ["code discharged of Encounter.status is R5"],
        ),
        (
            {"resourceType": "EvidenceVariable", "status": "active", "handling": "boolean"},
            ["EvidenceVariable.handling is R4B or R5"],
        ),
        (
            {"resourceType": "CapabilityStatement", "fhirVersion": "4.3.0", "kind": "instance"},
            ["CapabilityStatement.fhirVersion names R4B"],
        ),
        (
            {"resourceType": "ImplementationGuide", "fhirVersion": ["4.0.1", "5.0.0-ballot"]},
            ["ImplementationGuide.fhirVersion names R5"],
        ),
        (
            {"resourceType": "Patient", "gender": 5, "meta": {"profile": ["http://hl7.org/fhir/5.0/StructureDefinition/Patient"]}},
            ["Patient.meta.profile names R5"],
        ),
        ({"resourceType": "Patient", "gender": "unheard-of"}, []),
        ({"resourceType": "Patient", "Zaphod": 1}, []),
        ({"resourceType": "Zaphod"}, []),
        ({"resourceType": "Observation", "status": "final"}, []),
        # A member of another release among many that only R4 has is a mistake, no release
        (
            {
                "resourceType": "Encounter",
                "actualPeriod": {"start": "2024"},
                "period": {"start": "2024"},
                "hospitalization": {"origin": {"display": "x"}},
            },
            [],
        ),
    ],
)  # fmt: skip
def test_what_another_release_has_names_it(resource, expected):
    assert said(resource) == expected


def test_the_whole_of_a_member_decides_between_releases():
    stu3 = {"resourceType": "Encounter", "reason": [{"text": "x"}]}
    r5 = {"resourceType": "Encounter", "reason": [{"use": [{"text": "x"}]}]}
    assert said(stu3) == ["Encounter.reason is STU3"]
    assert said(r5) == ["Encounter.reason is R5"]


def test_entries_of_a_bundle_are_each_of_their_own_release():
    stu3 = {"resourceType": "Patient", "animal": {"species": {"text": "dog"}}}
    r5 = {"resourceType": "Procedure", "recorded": "2024", "focus": {"display": "x"}}
    bundle = {
        "resourceType": "Bundle",
        "type": "collection",
        "entry": [{"resource": stu3}, {"resource": r5}, {"resource": stu3}],
    }
    issues = [i for i in validate(json.dumps(bundle).encode()) if i.rule == RULE]
    assert [(i.expression, i.diagnostics) for i in issues] == [
        ("Bundle.entry[0].resource.animal", "Patient.animal is STU3"),
        ("Bundle.entry[1].resource.recorded", "Procedure.recorded is R5"),
        ("Bundle.entry[1].resource.focus", "Procedure.focus is R5"),
        ("Bundle.entry[2].resource.animal", "Patient.animal is STU3"),
    ]


@pytest.mark.parametrize(
    ("profile", "label"),
    [
        ("http://hl7.org/fhir/5.0/StructureDefinition/Patient", "R5"),
        ("http://hl7.org/fhir/R4B/StructureDefinition/Patient", "R4B"),
        ("http://hl7.org/fhir/StructureDefinition/Patient|5.0.0", "R5"),
        ("http://hl7.org/fhir/StructureDefinition/Patient|3.0.2", "STU3"),
        ("http://hl7.org/fhir/StructureDefinition/Patient|4.0.1", None),
        ("http://hl7.org/fhir/4.0/StructureDefinition/Patient", None),
        ("http://hl7.org/fhir/us/core/StructureDefinition/us-core-patient|5.0.0", None),
        ("https://example.org/5.0/StructureDefinition/Patient|5.0.0", None),
    ],
)
def test_a_valid_resource_that_names_another_release_gets_a_note(profile, label):
    raw = json.dumps({"resourceType": "Patient", "meta": {"profile": [profile]}}).encode()
    assert not has_errors(validate(raw))
    notes = named_releases(raw)
    members = msgspec.json.decode(raw, type=dict[str, msgspec.Raw])
    if label:
        assert may_name_release(members)
        assert seems_to_name_release(raw, "Patient")
    assert [label_of(msgspec.structs.asdict(note)) for note in notes] == ([label] if label else [])
    assert all(note.severity == "information" for note in notes)


def test_a_valid_definition_for_another_release_gets_a_note():
    raw = json.dumps(
        {
            "resourceType": "CapabilityStatement",
            "status": "draft",
            "date": "2024",
            "kind": "requirements",
            "description": "x",
            "fhirVersion": "3.0.1",
            "format": ["json"],
            "rest": [{"mode": "server"}],
        }
    ).encode()
    assert not has_errors(validate(raw))
    assert seems_to_name_release(raw, "CapabilityStatement")
    assert may_name_release(msgspec.json.decode(raw, type=dict[str, msgspec.Raw]))
    assert [note.diagnostics for note in named_releases(raw)] == [
        "CapabilityStatement.fhirVersion names STU3"
    ]


def test_only_this_rule_has_a_label():
    assert label_of({"rule": RULE, "diagnostics": "X.y is R4B or R5"}) == "R4B or R5"
    assert label_of({"rule": "obs-7", "diagnostics": "X.y is R5"}) is None
    assert release_issues(b"no JSON", []) == named_releases(b"no JSON") == []


def test_the_releases_are_those_of_hl7_and_r4_differs_from_each():
    assert [each.name for each in releases()] == ["R4B", "R5", "STU3"]
    assert {"ActorDefinition", "actualPeriod", "animal"} <= names_of_releases()
    for release in releases():
        assert release.has_resource("Patient")
        assert release.member("Patient", "birthDate") == release_r4().member("Patient", "birthDate")


def files_in(folder: Path) -> list[Path]:
    found = [path for path in sorted(folder.rglob("*.json")) if path.name != "package.json"]
    return [path for path in found if not path.name.startswith(".")]


def labels(files: list[Path]) -> Counter[str | None]:
    """Releases that refused resources look like."""
    counts: Counter[str | None] = Counter()
    for path in files:
        issues = validate(path.read_bytes().removeprefix(b"\xef\xbb\xbf"))
        # R4's own profiles hold those that name them, of whichever release: that tells of none
        if has_errors([issue for issue in issues if not issue.rule.startswith("profile-")]):
            named = Counter(label_of(msgspec.structs.asdict(issue)) for issue in issues)
            named.pop(None)
            counts[named.most_common(1)[0][0] if named else None] += 1
    return counts


def packages() -> dict[str, Path]:
    """Folders of HL7's packages of examples, by the first three characters of their version."""
    found = {path: json.loads(path.read_bytes()) for path in _OTHERS.glob("*/**/package.json")}
    return {
        manifest["version"][:3]: path.parent
        for path, manifest in found.items()
        if manifest["name"].endswith("examples")
    }


_NEEDS_OTHERS = pytest.mark.skipif(
    "HC_OTHER_RELEASES" not in os.environ or not packages().keys() >= {"3.0", "4.3", "5.0"},
    reason="HC_OTHER_RELEASES names no folder of HL7's examples of STU3, R4B and R5",
)


@_NEEDS_OTHERS
def test_the_table_is_what_the_packages_make_of_it():
    made = build([read_package(folder) for _, folder in sorted(packages().items())])
    assert made == RELEASES_PATH.read_bytes()


@_NEEDS_OTHERS
@pytest.mark.parametrize(
    "count",
    [pytest.param(100, id="sampled"), pytest.param(None, id="all", marks=pytest.mark.exhaustive)],
)
@pytest.mark.parametrize(("version", "name"), [("3.0", "STU3"), ("4.3", "R4B"), ("5.0", "R5")])
def test_examples_of_another_release_that_are_refused_name_it(version, name, count):
    files = files_in(packages()[version])
    assert len(files) > 2_000
    if count is not None:
        files = random.Random(_SEED).sample(files, count)  # noqa: S311
    found = labels(files)
    right = sum(number for label, number in found.items() if label and name in label.split(" or "))
    assert right >= 0.85 * found.total(), found


@pytest.mark.skipif(
    "HC_R4_PACKAGE" not in os.environ or not _R4.is_dir(),
    reason="HC_R4_PACKAGE names no unpacked npm package hl7.fhir.r4.examples 4.0.1",
)
@pytest.mark.parametrize(
    "count",
    [pytest.param(100, id="sampled"), pytest.param(None, id="all", marks=pytest.mark.exhaustive)],
)
def test_no_example_of_r4_names_another_release(count):
    files = files_in(_R4)
    if count is not None:
        files = random.Random(_SEED).sample(files, count)  # noqa: S311
    assert labels(files).keys() <= {None}
    assert [path.name for path in files if named_releases(path.read_bytes())] == []
