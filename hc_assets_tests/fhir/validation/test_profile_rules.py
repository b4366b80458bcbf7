import json

import pytest

from hc_assets.fhir.validation.wholes import issues_of_whole

PROFILE = {
    "resourceType": "StructureDefinition",
    "url": "https://example.org/StructureDefinition/named-patient",
    "name": "NamedPatient",
    "status": "active",
    "kind": "resource",
    "abstract": False,
    "type": "Patient",
    "baseDefinition": "http://hl7.org/fhir/StructureDefinition/Patient",
    "derivation": "constraint",
    "differential": {
        "element": [
            {"id": "Patient", "path": "Patient"},
            {"id": "Patient.gender", "path": "Patient.gender", "min": 1},
        ]
    },
}
DIV = '<div xmlns="http://www.w3.org/1999/xhtml">A patient</div>'
PATIENT = {
    "resourceType": "Patient",
    "id": "p1",
    "meta": {"profile": [PROFILE["url"]]},
    "text": {"status": "generated", "div": DIV},
    "name": [{"family": "Made-Up"}],
}


@pytest.fixture
def profile(tmp_path):
    path = tmp_path / "profiles" / "named-patient.json"
    path.parent.mkdir()
    path.write_text(json.dumps(PROFILE))
    return path


@pytest.fixture
def patients(tmp_path):
    path = tmp_path / "patients.ndjson"
    good = PATIENT | {"id": "p2", "gender": "other"}
    path.write_text(json.dumps(PATIENT) + "\n" + json.dumps(good))
    return path


def test_validate_holds_resources_against_the_profiles_it_is_named(hc_assets, profile, patients):
    assert hc_assets("validate", patients).exit_code == 0
    result = hc_assets("validate", patients, "--profile", profile.parent)
    assert result.exit_code == 1
    (line,) = result.stdout.splitlines()
    assert f"{patients}:0: Patient: error profile-cardinality at Patient" in line


def test_what_a_bundle_holds_is_held_against_profiles_too(hc_assets, profile, tmp_path):
    bundle = {"resourceType": "Bundle", "type": "collection", "entry": [{"resource": PATIENT}]}
    path = tmp_path / "bundle.json"
    path.write_text(json.dumps(bundle))
    result = hc_assets("validate", path, "--profile", profile)
    assert result.exit_code == 1
    assert f"{path}:0: Patient: error profile-cardinality" in result.stdout


def test_what_a_bundle_s_own_profile_finds_is_said_of_the_bundle_and_not_of_its_entries(profile):
    url = "https://example.org/StructureDefinition/named-bundle"
    elements = [{"id": name, "path": name} for name in ("Bundle", "Bundle.identifier")]
    elements[1]["min"] = 1
    (profile.parent / "bundle.json").write_text(
        json.dumps(
            PROFILE
            | {"url": url, "type": "Bundle", "differential": {"element": elements}}
            | {"baseDefinition": "http://hl7.org/fhir/StructureDefinition/Bundle"}
        )
    )
    entry = {"fullUrl": "https://example.org/Patient/p1", "resource": PATIENT}
    bundle = {"resourceType": "Bundle", "type": "collection", "entry": [entry]}
    named = json.dumps(bundle | {"meta": {"profile": [url]}}).encode()
    profiles = (str(profile.parent),)
    (issue,) = issues_of_whole(named, profiles)
    assert (issue.rule, issue.severity) == ("profile-cardinality", "error")
    assert issue.expression.startswith("Bundle")
    assert "entry" not in issue.expression
    assert issues_of_whole(json.dumps(bundle).encode(), profiles) == []
    assert issues_of_whole(named, ()) == []


def test_a_file_that_is_no_profile_is_exit_code_3(hc_assets, patients, tmp_path):
    (tmp_path / "broken.json").write_text('{"resourceType": "StructureDefinition"')
    result = hc_assets("validate", patients, "--profile", tmp_path / "broken.json")
    assert result.exit_code == 3
    assert "broken.json" in result.stderr


def test_the_pipeline_quarantines_what_breaks_a_profile(
    hc_assets, query, profile, patients, monkeypatch
):
    monkeypatch.setenv("HC_FHIR_PROFILES", str(profile.parent))
    assert hc_assets("ingest", patients).exit_code == 0
    assert query("SELECT resource_id, issues[1].rule FROM fhir.quarantined_resources") == [
        ("p1", "profile-cardinality")
    ]
    assert query("SELECT resource_id FROM fhir.current_resources") == [("p2",)]


def test_a_profile_that_nothing_names_is_said_and_may_be_demanded(
    hc_assets, profile, tmp_path, monkeypatch
):
    path = tmp_path / "unnamed.json"
    path.write_text(json.dumps({"resourceType": "Patient", "id": "p3", "name": [{"text": "x"}]}))
    result = hc_assets("validate", path, "--profile", profile)
    assert result.exit_code == 0
    assert "no resource names one of the profiles that were given" in result.stderr
    monkeypatch.setenv("HC_FHIR_PROFILE_FOR", f"Patient={PROFILE['url']}")
    result = hc_assets("validate", path, "--profile", profile)
    assert result.exit_code == 1
    assert "error profile-cardinality at Patient.gender" in result.stdout
    assert "no resource names" not in result.stderr


@pytest.mark.parametrize("command", ["ingest", "land"])
def test_profiles_that_can_t_be_used_are_refused_before_anything_lands(
    hc_assets, patients, tmp_path, monkeypatch, command
):
    path = tmp_path / "stu3.json"
    path.write_text(json.dumps(PROFILE | {"fhirVersion": "3.0.2"}))
    monkeypatch.setenv("HC_FHIR_PROFILES", str(path))
    result = hc_assets(command, patients)
    assert result.exit_code == 3
    assert f"{path}: StructureDefinition.fhirVersion: made for FHIR 3.0.2" in result.stderr
    monkeypatch.delenv("HC_FHIR_PROFILES")
    assert "landed 1 fhir files" in hc_assets("land", patients).stderr


def test_what_only_informs_is_counted_and_printed_on_request(hc_assets, profile, tmp_path):
    path = tmp_path / "patient.json"
    extension = {"url": "https://example.org/unknown", "valueString": "x"}
    path.write_text(json.dumps(PATIENT | {"gender": "other", "extension": [extension]}))
    result = hc_assets("validate", path, "--profile", profile)
    assert (result.exit_code, result.stdout) == (0, "")
    assert "information profile-unknown" in result.stderr
    shown = hc_assets("validate", path, "--profile", profile, "--information")
    assert "information profile-unknown at Patient.extension" in shown.stdout
