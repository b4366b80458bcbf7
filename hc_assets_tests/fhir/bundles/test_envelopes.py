"""A Bundle is judged without its resources as it is judged with them."""

import json
from typing import Any

import pytest

from hc_assets.fhir.bundles.envelopes import issues_of_whole, reduced
from hc_assets.fhir.r4.fast.fast_path import accept_envelope
from hc_assets.fhir.r4.thorough_path import issues_beside_resources
from hc_assets.fhir.validation import has_errors, validate
from hc_assets_tests.fhir.validation.damaged_bundles import DOCUMENTS, damaged

URN, OTHER = (f"urn:uuid:0a1b2c3d-0000-4000-8000-00000000000{digit}" for digit in "ab")


def transaction(*entries: dict[str, Any]) -> bytes:
    for each in entries:
        each.setdefault("request", {"method": "POST", "url": each["resource"]["resourceType"]})
    return json.dumps({"resourceType": "Bundle", "type": "transaction", "entry": entries}).encode()


def patient(**members: Any) -> dict[str, Any]:
    return {"resourceType": "Patient", "id": "p", **members}


def condition(**members: Any) -> dict[str, Any]:
    return {"resourceType": "Condition", "id": "c", "subject": {"reference": URN}, **members}


def contained(reference: str) -> dict[str, Any]:
    within = {"resourceType": "Specimen", "id": "s", "subject": {"reference": reference}}
    return condition(contained=[within], evidence=[{"detail": [{"reference": "#s"}]}])


def rules(data: bytes) -> set[tuple[str, str]]:
    return {(issue.rule, issue.expression) for issue in issues_of_whole(data)}


def test_a_resource_that_is_wrong_on_its_own_says_nothing_of_its_bundle():
    wrong = patient(gender=5, name="x", unknown=[{}])
    right = {"fullUrl": OTHER, "resource": condition()}
    data = transaction({"fullUrl": URN, "resource": wrong}, right)
    assert has_errors(validate(data))
    assert accept_envelope(data)
    assert issues_of_whole(data) == []


def test_what_stands_for_a_bundle_holds_no_resource_whole_whether_its_entry_has_a_request_or_not():
    entries = [{"resource": patient(gender="male")}, {"resource": patient(), "request": 5}]
    data = json.dumps({"resourceType": "Bundle", "type": "collection", "entry": entries}).encode()
    held = [each["resource"] for each in json.loads(reduced(data))["entry"]]
    assert held == [patient(), patient()]


@pytest.mark.parametrize(
    ("resource", "place"),
    [
        (condition(asserter={"reference": OTHER}), "asserter.reference"),
        (condition(extension=[{"url": "urn:x:y", "valueReference": {"reference": OTHER}}]), None),
        (contained(OTHER), "contained[0].subject.reference"),
        (condition(evidence=[{"detail": [{}, {"reference": OTHER}]}]), None),
    ],
)
def test_a_urn_that_leads_to_no_entry_is_found_wherever_it_is(resource, place):
    data = transaction({"fullUrl": URN, "resource": patient()}, {"resource": resource})
    found = rules(data)
    assert {rule for rule, _ in found} == {"bundle-reference"}
    assert place is None or found == {("bundle-reference", f"Bundle.entry[1].resource.{place}")}


def test_a_urn_that_leads_to_another_type_is_found():
    data = transaction(
        {"fullUrl": URN, "resource": patient()},
        {"resource": condition(encounter={"reference": URN})},
    )
    assert not accept_envelope(data)
    assert rules(data) == {("reference-target", "Bundle.entry[1].resource.encounter.reference")}


def test_an_update_of_another_resource_than_it_carries_is_wrong_of_the_bundle():
    entry = {"resource": patient(), "request": {"method": "PUT", "url": "Patient/q"}}
    assert rules(transaction(entry)) == {("bundle-request", "Bundle.entry[0].request.url")}
    entry["request"] = {"method": "PUT", "url": "Patient/p"}
    assert accept_envelope(transaction(entry))


def test_what_a_deletion_carries_is_judged_with_the_bundle():
    entry = {"resource": patient(gender=5), "request": {"method": "DELETE", "url": "Patient/p"}}
    assert ("json-type", "Bundle.entry[0].resource.gender") in rules(transaction(entry))


def test_cutting_resources_down_changes_nothing_of_what_is_said_of_the_bundle():
    unlike = 0
    for data in [*(text.encode() for text in DOCUMENTS), *map(damaged, range(400))]:
        try:
            head = json.loads(data)
        except ValueError:
            continue
        if not isinstance(head, dict) or head.get("resourceType") not in ("Bundle", "Parameters"):
            continue
        unlike += len(reduced(data)) < len(data)
        if head.get("type") != "document":  # which is judged as it is
            assert issues_beside_resources(data) == issues_beside_resources(reduced(data)), data
        if accept_envelope(data):
            assert not has_errors(issues_beside_resources(data)), data
    assert unlike > 100
