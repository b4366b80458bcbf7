import io
import json
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from hc_assets.fhir.profiles import ProfileError, ProfileSet, load_profiles

Json = dict[str, Any]
URL = "https://example.org/StructureDefinition/p"
NAME = {"id": "Patient.name", "path": "Patient.name", "min": 1}


def test_a_file_a_folder_a_package_a_bundle_and_an_array_give_the_same_profiles(
    tmp_path: Path, profile: Callable[..., Json]
) -> None:
    definition = profile("Patient", NAME)
    single = tmp_path / "single.json"
    single.write_text(json.dumps(definition))
    folder = tmp_path / "folder" / "deep"
    folder.mkdir(parents=True)
    (folder / "profile.json").write_text(json.dumps(definition))
    (folder / "package.json").write_text('{"name": "x", "version": "1"}')
    (folder / "example.json").write_text('{"resourceType": "Patient", "id": "StructureDefinition"}')
    package = tmp_path / "package.tgz"
    with tarfile.open(package, "w:gz") as archive:
        member = tarfile.TarInfo("package/StructureDefinition-p.json")
        content = json.dumps(definition).encode()
        member.size = len(content)
        archive.addfile(member, io.BytesIO(content))
    zipped = tmp_path / "definitions.zip"
    with zipfile.ZipFile(zipped, "w") as other:
        other.writestr("StructureDefinition-p.json", json.dumps(definition))
    bundle = tmp_path / "bundle.json"
    bundle.write_text(json.dumps({"resourceType": "Bundle", "entry": [{"resource": definition}]}))
    array = tmp_path / "array.json"
    array.write_text(json.dumps([definition]))
    patient = b'{"resourceType":"Patient"}'
    answers = set()
    for path in (single, tmp_path / "folder", package, zipped, bundle, array):
        loaded = load_profiles([path])
        assert loaded.urls == {URL}
        answers.add(tuple(loaded.validate(patient, [URL])))
    assert len(answers) == 1
    assert [issue.rule for issue in answers.pop()] == ["profile-cardinality"]


@pytest.mark.parametrize(
    ("content", "place", "text"),
    [
        ("{", "", "no JSON"),
        ("[" * 100_000, "", "no JSON"),
        ('{"resourceType":"Patient"}', "", "found Patient, expected StructureDefinition"),
        ("[1]", "[0]", "found no resourceType"),
        (
            '{"resourceType":"StructureDefinition","url":"u","type":"Patient","kind":"resource",'
            '"derivation":"constraint","differential":{"element":[{"path":"Patient","min":"1"}]}}',
            "StructureDefinition.differential.element[0].min",
            "Expected `int | null`, got `str`",
        ),
        (
            '{"resourceType":"StructureDefinition","url":"u","type":"Patient","kind":"resource",'
            '"derivation":"constraint","differential":{"element":[{"path":"Patient.named"}]}}',
            "StructureDefinition.differential.element[0]",
            "found named, expected an element of Patient",
        ),
        (
            '{"resourceType":"StructureDefinition","url":"u","type":"Patient","kind":"resource",'
            '"derivation":"constraint","differential":{"element":[{"path":"Person.name"}]}}',
            "StructureDefinition.differential.element[0]",
            "found path Person.name, expected one of Patient",
        ),
        (
            '{"resourceType":"StructureDefinition","url":"u","type":"Patient","kind":"resource",'
            '"derivation":"constraint","differential":{"element":[{"path":"Patient.name",'
            '"max":"many"}]}}',
            "StructureDefinition.differential.element[0]",
            "found max 'many', expected a number or *",
        ),
        (
            '{"resourceType":"StructureDefinition","url":"u","type":"Patient","kind":"resource",'
            '"derivation":"constraint","differential":{"element":[{"path":"Patient.name",'
            '"type":[{"code":"integer64"}]}]}}',
            "StructureDefinition.differential.element[0]",
            "found type integer64, expected a type of R4",
        ),
        (
            '{"resourceType":"StructureDefinition","url":"u","type":"Patient","kind":"resource",'
            '"derivation":"constraint"}',
            "StructureDefinition",
            "expected a snapshot or a differential",
        ),
        (
            '{"resourceType":"StructureDefinition","url":"u","type":"Patient","kind":"resource",'
            '"derivation":"constraint","fhirVersion":"5.0.0",'
            '"differential":{"element":[{"path":"Patient"}]}}',
            "StructureDefinition.fhirVersion",
            "made for FHIR 5.0.0, expected 4.0.1",
        ),
        (
            # Which release it is for counts before its shape, which is that release's.
            '{"resourceType":"StructureDefinition","url":"u","type":"Patient","kind":"resource",'
            '"derivation":"constraint","fhirVersion":"3.0.2","snapshot":{"element":'
            '[{"path":"Patient","type":[{"code":"x","profile":"u"}]}]}}',
            "StructureDefinition.fhirVersion",
            "made for FHIR 3.0.2, expected 4.0.1",
        ),
        (
            '{"resourceType":"StructureDefinition","url":"u","type":"Nothing","kind":"resource",'
            '"derivation":"constraint","differential":{"element":[{"path":"Nothing"}]}}',
            "StructureDefinition.type",
            "found Nothing, expected a type of R4",
        ),
        (
            '{"resourceType":"StructureDefinition","url":"u","type":"Patient","kind":"resource",'
            '"derivation":"constraint","baseDefinition":"u",'
            '"differential":{"element":[{"path":"Patient"}]}}',
            "StructureDefinition.baseDefinition",
            "circle",
        ),
        (
            '{"resourceType":"ValueSet","url":"u","compose":{"include":[{"system":"s",'
            '"filter":[{"op":"="}]}]}}',
            "ValueSet.compose.include[0].filter[0]",
            "missing required field",
        ),
        (
            '{"resourceType":"CodeSystem","url":"u","content":"complete","concept":[{}]}',
            "CodeSystem.concept[0]",
            "missing required field `code`",
        ),
    ],
)
def test_a_bad_file_is_refused_with_file_place_and_expectation(
    tmp_path: Path, content: str, place: str, text: str
) -> None:
    file = tmp_path / "bad.json"
    file.write_text(content)
    with pytest.raises(ProfileError) as caught:
        load_profiles([file])
    assert caught.value.file == str(file)
    assert caught.value.place == place
    assert text in caught.value.text
    assert str(file) in str(caught.value)


def test_a_path_without_anything_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ProfileError, match="found nothing at that path"):
        load_profiles([tmp_path / "absent"])


def test_an_archive_that_is_none_is_refused(tmp_path: Path) -> None:
    package = tmp_path / "package.tgz"
    package.write_bytes(b"no archive")
    with pytest.raises(ProfileError, match="expected an npm package"):
        load_profiles([package])


def test_two_profiles_under_one_url_are_refused_and_copies_are_not(
    load: Callable[..., ProfileSet], profile: Callable[..., Json]
) -> None:
    one, same = profile("Patient", NAME), profile("Patient", NAME, title="the same")
    assert load(one, same).urls == {URL}
    with pytest.raises(ProfileError, match="found another definition of"):
        load(one, same, profile("Patient"))


def test_types_and_logical_models_are_passed_over(
    load: Callable[..., ProfileSet], profile: Callable[..., Json]
) -> None:
    logical = profile("Patient", kind="logical", name="logical")
    type_itself = profile("Patient", derivation="specialization", name="type")
    assert load(logical, type_itself, profile("Patient")).urls == {URL}
    with pytest.raises(ProfileError, match="found no definition of use"):
        load(logical, type_itself)


@pytest.mark.parametrize("name", ["empty", "empty.zip", "empty.tgz"])
def test_a_path_without_any_definition_is_refused(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    if name.endswith(".zip"):
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("example.json", '{"resourceType": "Patient"}')
    elif name.endswith(".tgz"):
        with tarfile.open(path, "w:gz"):
            pass
    else:
        path.mkdir()
        (path / "readme.txt").write_text("StructureDefinition")
    with pytest.raises(ProfileError, match="found no definition of use") as caught:
        load_profiles([path])
    assert caught.value.file == str(path)


def test_a_file_that_only_claims_to_be_a_zip_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "definitions.zip"
    path.write_bytes(b"no archive")
    with pytest.raises(ProfileError, match="no readable ZIP archive"):
        load_profiles([path])


def _package(folder: Path, definition: Json, **manifest: Any) -> Path:
    folder.mkdir(parents=True)
    (folder / "StructureDefinition-p.json").write_text(json.dumps(definition))
    (folder / "package.json").write_text(json.dumps(manifest))
    return folder


def test_packages_that_are_asked_for_and_not_given_are_named(
    tmp_path: Path, profile: Callable[..., Json]
) -> None:
    wanted = {"hl7.fhir.r4.core": "4.0.1", "a.base": "1.2.0", "a.terms": "3.1.x", "a.old": "2.0.0"}
    guide = _package(
        tmp_path / "guide", profile("Patient"), name="a.guide", version="1", dependencies=wanted
    )
    base = profile("Patient", name="base")
    old = _package(tmp_path / "old", base, name="a.old", version="1.0.0")
    terms = _package(tmp_path / "terms", base, name="a.terms", version="3.1.7")
    assert load_profiles([guide, old, terms]).notes == (
        "package a.guide#1 depends on a.base#1.2.0: it is not given",
        "package a.guide#1 depends on a.old#2.0.0: version 1.0.0 is given",
    )
    assert load_profiles([old, terms]).notes == ()


def test_of_several_versions_the_newest_counts_unless_one_is_named(
    load: Callable[..., ProfileSet], profile: Callable[..., Json]
) -> None:
    old = profile("Patient", version="9.0.0")
    new = profile("Patient", NAME, version="10.0.0")
    profiles = load(old, new)
    patient = b'{"resourceType":"Patient"}'
    assert [i.rule for i in profiles.validate(patient, [URL])] == ["profile-cardinality"]
    assert profiles.validate(patient, [f"{URL}|9.0.0"]) == []
    named = json.dumps({"resourceType": "Patient", "meta": {"profile": [f"{URL}|8.0.0"]}}).encode()
    assert [(i.severity, i.rule) for i in profiles.validate(named)] == [
        ("warning", "profile-unknown"),
        ("error", "profile-cardinality"),
    ]


def test_asking_for_a_profile_that_was_not_loaded_is_the_callers_error(
    load: Callable[..., ProfileSet], profile: Callable[..., Json]
) -> None:
    profiles = load(profile("Patient"))
    with pytest.raises(ProfileError, match="found no such profile"):
        profiles.validate(b"{}", ["https://example.org/other"])
    with pytest.raises(ProfileError, match="found no such profile"):
        profiles.validate(b"{}", for_every=["https://example.org/other"])


def test_a_profile_without_its_base_reports_what_is_left_unchecked(
    findings: Callable[..., list[Any]], profile: Callable[..., Json]
) -> None:
    derived = profile("Patient", NAME, baseDefinition="https://example.org/base")
    assert findings({"resourceType": "Patient"}, derived) == [
        ("warning", "profile-base", "Patient"),
        ("error", "profile-cardinality", "Patient.name"),
    ]


def test_a_base_of_another_type_is_refused(
    load: Callable[..., ProfileSet], profile: Callable[..., Json]
) -> None:
    base = profile("Person", name="base")
    with pytest.raises(ProfileError, match="found a profile of Person, expected one of Patient"):
        load(base, profile("Patient", baseDefinition=base["url"]))
