"""Each rule of validation is found where it is broken, and named.

Belongs here: single rules through the public functions. Properties over both paths belong to
`hc_assets_tests/fhir/r4/fast/test_two_paths_agree.py`, real data to
`test_validation_of_shared_data.py`.
"""

import json
from typing import Any

import pytest
from fhir.resources.R4B.operationoutcome import OperationOutcome

from hc_assets.fhir.validation import Issue, has_errors, operation_outcome, validate
from hc_assets_tests.fhir.validation.judged_resources import (
    DIV,
    errors,
    observation,
    patient,
    without,
)

CASES: dict[str, tuple[dict[str, Any], set[tuple[str, str]]]] = {
    "missing element": (
        without(observation(), "status"),
        {("Observation.status", "cardinality")},
    ),
    "missing nested element": (
        patient(link=[{"type": "refer"}]),
        {("Patient.link[0].other", "cardinality")},
    ),
    "missing choice": (
        {
            "resourceType": "MedicationRequest",
            "status": "active",
            "intent": "order",
            "subject": {"reference": "Patient/1"},
        },
        {("MedicationRequest.medication", "cardinality")},
    ),
    "two of a choice": (
        observation(valueString="a", valueInteger=1),
        {("Observation.value", "choice")},
    ),
    "choice and the sibling of another": (
        patient(
            deceasedBoolean=True,
            _deceasedDateTime={"extension": [{"url": "urn:x:y", "valueCode": "z"}]},
        ),
        {("Patient.deceased", "choice")},
    ),
    "unknown member": (patient(nickname="x"), {("Patient.nickname", "unknown-member")}),
    "unknown nested member": (
        patient(name=[{"family": "a", "maiden": "b"}]),
        {("Patient.name[0].maiden", "unknown-member")},
    ),
    "sibling of a complex element": (
        patient(_name=[{"id": "a"}]),
        {("Patient._name", "unknown-member")},
    ),
    "object for a list": (patient(name={"family": "a"}), {("Patient.name", "json-type")}),
    "list for a value": (patient(gender=["male"]), {("Patient.gender", "json-type")}),
    "string for an object": (observation(code="weight"), {("Observation.code", "json-type")}),
    "string for a boolean": (patient(active="true"), {("Patient.active", "json-type")}),
    "string for a decimal": (
        observation(valueQuantity={"value": "1.0"}),
        {("Observation.valueQuantity.value", "json-type")},
    ),
    "fraction for an integer": (
        observation(valueInteger=1.5),
        {("Observation.valueInteger", "primitive-format")},
    ),
    "integer out of range": (
        observation(valueInteger=2**31),
        {("Observation.valueInteger", "primitive-format")},
    ),
    "zero for a positive integer": (
        patient(telecom=[{"rank": 0}]),
        {("Patient.telecom[0].rank", "primitive-format")},
    ),
    "null": (patient(gender=None), {("Patient.gender", "null-value")}),
    "null in a list of objects": (patient(name=[None]), {("Patient.name[0]", "null-value")}),
    "null in a list of values": (
        patient(name=[{"given": ["a", None]}]),
        {("Patient.name[0].given[1]", "null-value")},
    ),
    "siblings of another number": (
        patient(name=[{"given": ["a"], "_given": [None, {"id": "b"}]}]),
        {
            ("Patient.name[0]._given", "sibling-length"),
            ("Patient.name[0].given[1]", "ele-1"),
        },
    ),
    "empty string": (patient(birthDate=""), {("Patient.birthDate", "empty-string")}),
    "empty list": (patient(name=[]), {("Patient.name", "empty-array")}),
    "empty object": (patient(maritalStatus={}), {("Patient.maritalStatus", "ele-1")}),
    "id alone": (patient(maritalStatus={"id": "a"}), {("Patient.maritalStatus", "ele-1")}),
    "day that is not": (
        patient(birthDate="2023-02-29"),
        {("Patient.birthDate", "primitive-format")},
    ),
    "leap day of no leap year": (
        patient(birthDate="1900-02-29"),
        {("Patient.birthDate", "primitive-format")},
    ),
    "time without zone": (
        observation(effectiveDateTime="2020-01-01T10:00:00"),
        {("Observation.effectiveDateTime", "primitive-format")},
    ),
    "bad id": (patient(id="a b"), {("Patient.id", "primitive-format")}),
    "long id": (patient(id="a" * 65), {("Patient.id", "id-length")}),
    "URI with white space": (
        patient(identifier=[{"system": "http://x y"}]),
        {("Patient.identifier[0].system", "primitive-format")},
    ),
    "bad base64": (
        {"resourceType": "Binary", "contentType": "text/plain", "data": "QU.="},
        {("Binary.data", "primitive-format")},
    ),
    "code outside its value set": (
        patient(gender="man"),
        {("Patient.gender", "required-binding")},
    ),
    "concept outside its value set": (
        {
            "resourceType": "Condition",
            "subject": {"reference": "Patient/1"},
            "clinicalStatus": {"coding": [{"system": "http://x.org", "code": "active"}]},
        },
        {("Condition.clinicalStatus", "required-binding")},
    ),
    "currency of two letters": (
        {
            "resourceType": "Account",
            "status": "active",
            "extension": [{"url": "http://x.org/m", "valueMoney": {"value": 1, "currency": "EU"}}],
        },
        {("Account.extension[0].valueMoney.currency", "required-binding")},
    ),
    "comparator of a simple quantity": (
        observation(referenceRange=[{"low": {"value": 1, "comparator": "<"}}]),
        {
            ("Observation.referenceRange[0].low", "sqty-1"),
            ("Observation.referenceRange[0].low.comparator", "cardinality"),
        },
    ),
    "reference of no form": (
        observation(subject={"reference": "Peter"}),
        {("Observation.subject.reference", "reference-format")},
    ),
    "reference and type disagree": (
        observation(subject={"reference": "Patient/1", "type": "Group"}),
        {("Observation.subject.type", "reference-type")},
    ),
    "fragment without a contained resource": (
        observation(subject={"reference": "#p"}),
        {("Observation.subject.reference", "ref-1")},
    ),
    "fragment to the wrong type": (
        observation(
            contained=[{"resourceType": "Organization", "id": "p", "name": "x"}],
            subject={"reference": "#p"},
        ),
        {("Observation.subject.reference", "reference-target")},
    ),
    "contained resource that nothing names": (
        observation(contained=[{"resourceType": "Patient", "id": "p"}]),
        {("Observation", "dom-3")},
    ),
    "contained in contained": (
        observation(
            contained=[
                {
                    "resourceType": "Patient",
                    "id": "p",
                    "contained": [{"resourceType": "Patient", "id": "q"}],
                }
            ],
            subject={"reference": "#p"},
        ),
        {("Observation", "dom-2"), ("Observation.contained[0]", "dom-3")},
    ),
    "contained with a version": (
        observation(
            contained=[{"resourceType": "Patient", "id": "p", "meta": {"versionId": "1"}}],
            subject={"reference": "#p"},
        ),
        {("Observation", "dom-4")},
    ),
    "contained with security labels": (
        observation(
            contained=[
                {"resourceType": "Patient", "id": "p", "meta": {"security": [{"code": "R"}]}}
            ],
            subject={"reference": "#p"},
        ),
        {("Observation", "dom-5")},
    ),
    "error in a contained resource": (
        observation(
            contained=[{"resourceType": "Patient", "id": "p", "gender": "x"}],
            subject={"reference": "#p"},
        ),
        {("Observation.contained[0].gender", "required-binding")},
    ),
    "extension with value and extensions": (
        patient(
            extension=[
                {
                    "url": "http://x.org/a",
                    "valueString": "x",
                    "extension": [{"url": "b", "valueString": "y"}],
                }
            ]
        ),
        {("Patient.extension[0]", "ext-1")},
    ),
    "extension without value": (
        patient(extension=[{"url": "http://x.org/a"}]),
        {("Patient.extension[0]", "ext-1")},
    ),
    "extension with a relative URL": (
        patient(extension=[{"url": "a", "valueString": "x"}]),
        {("Patient.extension[0].url", "extension-url")},
    ),
    "core extension of the wrong type": (
        patient(
            extension=[
                {
                    "url": "http://hl7.org/fhir/StructureDefinition/patient-birthPlace",
                    "valueString": "x",
                }
            ]
        ),
        {("Patient.extension[0].valueString", "extension-value")},
    ),
    "core extension in the wrong place": (
        observation(
            extension=[
                {
                    "url": "http://hl7.org/fhir/StructureDefinition/patient-birthPlace",
                    "valueAddress": {"city": "x"},
                }
            ]
        ),
        {("Observation.extension[0]", "extension-context")},
    ),
    "script in narrative": (
        patient(text={"status": "generated", "div": DIV.replace("x<", "<script>x</script><")}),
        {("Patient.text.div", "txt-1")},
    ),
    "narrative that is no XML": (
        patient(text={"status": "generated", "div": "<div>"}),
        {("Patient.text.div", "txt-1")},
    ),
    "narrative without content": (
        patient(text={"status": "generated", "div": DIV.replace("x<", "<")}),
        {("Patient.text.div", "txt-2")},
    ),
    "period that ends before it begins": (
        patient(name=[{"family": "a", "period": {"start": "2021", "end": "2020"}}]),
        {("Patient.name[0].period", "per-1")},
    ),
    "value and reason of absence": (
        observation(valueString="a", dataAbsentReason={"text": "b"}),
        {("Observation", "obs-6")},
    ),
    "component with the code of the whole": (
        observation(
            code={"coding": [{"system": "http://loinc.org", "code": "1"}]},
            valueString="a",
            component=[{"code": {"coding": [{"system": "http://loinc.org", "code": "1"}]}}],
        ),
        {("Observation", "obs-7")},
    ),
    "contact without details": (
        patient(contact=[{"gender": "male"}]),
        {("Patient.contact[0]", "pat-1")},
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_broken_rule_is_found_where_it_is_broken(name: str) -> None:
    resource, expected = CASES[name]
    assert errors(resource) == expected


def test_all_issues_are_reported_not_only_the_first() -> None:
    found = errors(patient(gender="x", birthDate="y", name=[{"use": "z", "foo": 1}]))
    assert found == {
        ("Patient.gender", "required-binding"),
        ("Patient.birthDate", "primitive-format"),
        ("Patient.name[0].use", "required-binding"),
        ("Patient.name[0].foo", "unknown-member"),
    }


def test_repeated_member_is_an_error_at_its_place() -> None:
    text = json.dumps(patient(name=[{"family": "a"}]))
    repeated = text.replace('{"family": "a"}', '{"family": "a", "family": "b"}')
    assert errors(repeated) == {("Patient.name[0].family", "duplicate-member")}


def test_repeated_member_hidden_by_an_escaped_quote_is_found() -> None:
    text = '{"resourceType":"Patient","id":"a","id":"b","name":[{"text":"\\u0022\\u0022"}]}'
    assert errors(text) == {("Patient.id", "duplicate-member")}


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("", "json-syntax"),
        ("{", "json-syntax"),
        ('{"resourceType": "Patient",}', "json-syntax"),
        ('{"resourceType": "Patient"} x', "json-syntax"),
        ("[]", "json-type"),
        ("1", "json-type"),
        ("{}", "resource-type"),
        ('{"resourceType": "Pateint"}', "resource-type"),
        ('{"resourceType": "Resource"}', "resource-type"),
        ('{"resourceType": 1}', "resource-type"),
    ],
)
def test_text_that_is_no_resource_is_fatal(text: str, rule: str) -> None:
    assert {found for _, found in errors(text)} == {rule}


def test_missing_narrative_is_a_warning_on_both_paths() -> None:
    plain = [{"resourceType": "Patient", "active": True}]
    plain.append({**plain[0], "maritalStatus": {"id": "m", "text": "x"}})
    for resource in plain:
        assert [(i.severity, i.rule) for i in validate(json.dumps(resource).encode())] == [
            ("warning", "dom-6")
        ]


def test_operation_outcome_is_a_valid_resource_with_rule_text_and_place() -> None:
    issues = validate(json.dumps(patient(gender="x")).encode())
    raw = operation_outcome(issues)
    assert not has_errors(validate(raw))
    outcome = OperationOutcome.model_validate_json(raw)
    assert [(i.severity, i.code, i.expression, i.details.text) for i in outcome.issue] == [
        ("error", "code-invalid", ["Patient.gender"], "required-binding")
    ]
    assert "'x'" in outcome.issue[0].diagnostics
    nothing = OperationOutcome.model_validate_json(operation_outcome([]))
    assert [i.severity for i in nothing.issue] == ["information"]


def test_only_fatal_and_error_make_a_resource_invalid() -> None:
    def issue(severity: Any) -> Issue:
        return Issue(severity, "invalid", "Patient", "x", "y")

    assert has_errors([issue("warning"), issue("fatal")])
    assert has_errors([issue("error")])
    assert not has_errors([issue("warning"), issue("information")])
    assert not has_errors([])
