"""Rule, place and kind are shown; nothing of what a resource holds is."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hc_assets.fhir.profiles import load_profiles
from hc_assets.fhir.r4.issues import Issue, clipped
from hc_assets.fhir.validation import validate
from hc_assets.fhir.validation.redacted_issues import known_type, without_values

NAME = "Quvzixbrandt"


@given(st.text(min_size=1), st.text(alphabet="ab'\"\\ .", min_size=1))
def test_what_is_quoted_is_taken_out_whole(first, second):
    text = f"found {clipped(first)!r}, expected one; {clipped(second)!r} can't be an isn't"
    redacted = without_values(Issue("error", "value", "Patient.id", "x", text))
    assert redacted.diagnostics == (
        "found (not shown), expected one; (not shown) can't be an isn't"
    )


@pytest.mark.parametrize(
    ("place", "expected"),
    [
        ("Patient.name[0].given[1]", "Patient.name[0].given[1]"),
        ("Observation.component[2].valueQuantity.value",) * 2,
        ("Patient._birthDate.extension[0].url",) * 2,
        ("Bundle.entry[3].resource",) * 2,
        (f"Patient.{NAME}", "Patient.unknown"),
        (f"{NAME}.id", "unknown.id"),
        (f"Patient.{NAME} of.{NAME}[0].id", "Patient.unknown.unknown[0].id"),
        ("", ""),
    ],
)
def test_a_place_has_only_names_that_r4_has(place, expected):
    issue = Issue("error", "value", place, "x", "found nothing")
    assert without_values(issue).expression == expected


@pytest.mark.parametrize(
    "more",
    [
        {"gender": NAME},
        {NAME: 1},
        {"extension": [{"url": f"http://{NAME}.example", f"value{NAME}": NAME}]},
        {"extension": [{"url": NAME, "valueString": NAME}]},
        {"contained": [{"resourceType": NAME, "id": NAME}]},
        {"managingOrganization": {"reference": f"#{NAME}"}},
        {"managingOrganization": {"reference": f"https://a.example/{NAME}/1", "type": NAME}},
        {"generalPractitioner": [{"reference": f"{NAME}/{NAME}"}]},
        {"meta": {"profile": [f"http://{NAME}.example/{NAME}"], "lastUpdated": NAME}},
        {"link": [{"other": {"reference": "Patient/1"}, "type": NAME}]},
        {"text": {"status": NAME, "div": f"<{NAME}>"}},
        {"birthDate": NAME, "_birthDate": {NAME: NAME}},
        {"id": f"{NAME} {NAME}", "deceasedBoolean": NAME, f"deceased{NAME}": True},
        {"resourceType": NAME},
    ],
)
def test_nothing_that_a_patient_holds_is_printed(more, tmp_path):
    raw = json.dumps({"resourceType": "Patient"} | more).encode()
    (tmp_path / "empty.json").write_text(
        json.dumps(
            {
                "resourceType": "StructureDefinition",
                "url": "https://example.org/a",
                "name": "A",
                "status": "active",
                "kind": "resource",
                "abstract": False,
                "type": "Patient",
                "baseDefinition": "http://hl7.org/fhir/StructureDefinition/Patient",
                "derivation": "constraint",
                "fhirVersion": "4.0.1",
                "differential": {"element": [{"id": "Patient", "path": "Patient"}]},
            }
        )
    )
    issues = validate(raw)
    assert issues
    if "resourceType" not in more:
        issues = [*issues, *load_profiles([tmp_path]).validate(raw)]
    for issue in issues:
        redacted = without_values(issue)
        assert NAME.lower() not in str(redacted).lower()
        assert (redacted.severity, redacted.code, redacted.rule) == (
            issue.severity,
            issue.code,
            issue.rule,
        )


def test_a_type_that_r4_lacks_is_unknown():
    assert known_type("Patient") == "Patient"
    assert {known_type(each) for each in (NAME, "", None, "Resource")} == {"unknown"}
