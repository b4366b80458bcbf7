import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hc_assets.fhir.references import (
    conditional_references,
    links,
    local_targets,
    resolve,
    uuid_of,
)

ENTRIES = {
    "urn:uuid:a": "Patient/p1",
    "urn:uuid:b": "Encounter/e1",
    "urn:uuid:c": "Practitioner/d1",
    "https://example.org/fhir/Patient/old": "Patient/new",
}


def found(type_: str = "Observation", **members: Any) -> tuple[str | None, str | None]:
    resource = {"resourceType": type_, "id": "x1", **members}
    return links(json.dumps(resource).encode(), type_, "x1", ENTRIES)


def to(reference: str) -> dict[str, str]:
    return {"reference": reference}


@pytest.mark.parametrize("member", ["subject", "patient", "beneficiary", "individual"])
def test_the_patient_is_read_from_every_member_that_r4_names_it_by(member):
    assert found(**{member: to("Patient/p1")}) == ("p1", None)
    assert found(**{member: [to("Group/g"), to("Patient/p1")]}) == ("p1", None)


@pytest.mark.parametrize("member", ["encounter", "context"])
def test_the_encounter_is_read_from_both_members_that_r4_names_it_by(member):
    assert found(**{member: to("Encounter/e1")}) == (None, "e1")


def test_the_encounter_of_a_document_reference_lies_in_its_context():
    context = {"encounter": [to("EpisodeOfCare/x"), to("Encounter/e1")], "period": {}}
    assert found("DocumentReference", context=context) == (None, "e1")


@pytest.mark.parametrize(
    ("reference", "patient"),
    [
        ("Patient/p1", "p1"),
        ("Patient/p-1.x", "p-1.x"),
        ("Patient/p1/_history/3", "p1"),
        ("https://example.org/fhir/Patient/p1", "p1"),
        ("https://example.org/fhir/Patient/p1/_history/3", "p1"),
        ("urn:uuid:a", "p1"),
        ("https://example.org/fhir/Patient/old", "new"),
        ("urn:uuid:unknown", None),
        ("urn:uuid:c", None),
        ("#contained", None),
        ("Patient?identifier=x", None),
        ("Patient?identifier=Patient/p1", None),
        ("Group/g1", None),
        ("Patient/", None),
        ("Patient", None),
        ("OutPatient/p1", None),
        ("", None),
    ],
)
def test_a_reference_is_followed_where_it_leads_to_a_patient(reference, patient):
    assert found(subject=to(reference)) == (patient, None)


def test_the_first_member_that_names_a_patient_counts():
    assert found(subject=to("Location/l"), patient=to("Patient/p1")) == ("p1", None)
    assert found(subject=to("Patient/p1"), patient=to("Patient/p2")) == ("p1", None)


def test_patients_and_encounters_belong_to_themselves():
    assert found("Patient", link=[]) == ("x1", None)
    assert found("Encounter", subject=to("urn:uuid:a")) == ("p1", "x1")


@pytest.mark.parametrize(
    ("full_url", "uuid"),
    [
        ("urn:uuid:0a1b", "0a1b"),
        ("urn:uuid:", None),
        ("urn:uuid:a b", None),
        ("urn:uuid:" + "x" * 65, None),
        ("https://example.org/urn:uuid:0a1b", None),
        ("", None),
        (None, None),
    ],
)
def test_the_uuid_of_a_full_url_is_taken_where_it_can_be_an_id(full_url, uuid):
    assert uuid_of(full_url) == uuid


def test_a_logical_reference_names_nobody():
    assert found(subject={"identifier": {"value": "MRN 7"}, "display": "Jane"}) == (None, None)


ANYTHING = st.recursive(
    st.none() | st.integers() | st.text(max_size=5) | st.sampled_from(list(ENTRIES)),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["reference", "encounter", "x"]), inner, max_size=3)
    ),
    max_leaves=8,
)


@given(ANYTHING, ANYTHING)
def test_no_value_of_a_reference_makes_it_raise(subject, encounter):
    patient_id, encounter_id = found(subject=subject, encounter=encounter)
    assert patient_id in (None, "p1", "new")
    assert encounter_id in (None, "e1")


# --- Resolving ---


@pytest.mark.parametrize(
    ("sent", "resolved"),
    [
        (b'{"subject":{"reference":"urn:uuid:a"}}', b'{"subject":{"reference":"Patient/p1"}}'),
        (b'{"a":{"reference":"","x":"urn:uuid:a"}}', None),
        (b'{"a":{"reference":"urn:uuid:\\"a"}}', None),
        (b'{"a":{"reference":"\\\\","x":1}}', None),
        (b'{"a":{"reference":"urn\\u003auuid:b"}}', b'{"a":{"reference":"Encounter/e1"}}'),
        (b'{"reference":"urn:uuid:nowhere"}', None),
        (b'{"reference":"Patient/p1"}', None),
        (b'{"value":"urn:uuid:a"}', None),
        (b'{"text":"\\"reference\\":\\"urn:uuid:a\\""}', None),
        (b'{"reference":7,"x":1.00}', None),
    ],
)
def test_references_that_hold_in_the_bundle_only_are_replaced_and_nothing_else(sent, resolved):
    assert resolve(sent, ENTRIES)[0] == (sent if resolved is None else resolved)


def test_every_reference_of_a_resource_is_resolved():
    sent = b'{"a":[{"reference":"urn:uuid:a"},{"reference":"urn:uuid:b"}],"n":1.00}'
    expected = b'{"a":[{"reference":"Patient/p1"},{"reference":"Encounter/e1"}],"n":1.00}'
    assert resolve(sent, ENTRIES) == (expected, ["Patient/p1", "Encounter/e1"])
    assert resolve(sent, {}) == (sent, ["urn:uuid:a", "urn:uuid:b"])


def test_the_texts_of_references_are_decoded_from_escapes():
    sent = b'{"a":{"reference":"Patient\\/p1"},"b":{"reference":"x\\"\\\\"},"c":{"reference":"y"}}'
    assert resolve(sent, {})[1] == ["Patient/p1", 'x"\\', "y"]


def test_what_a_batch_can_hold_is_named_by_type_and_id_or_urn():
    texts = ["Patient/p1", "Patient/p1/_history/3", "urn:uuid:a", "#x", "Group?a=b"]
    texts += ["https://example.org/fhir/Patient/p1", "Patient", "", "Patient/p1/x"]
    assert local_targets(texts) == ["Patient/p1", "Patient/p1", "urn:uuid:a"]


def test_conditional_references_are_reported_once_each_and_in_order():
    sent = (
        b'{"a":{"reference":"Practitioner?identifier=s|2"},"b":{"reference":"Patient/p1"},'
        b'"c":[{"reference":"Practitioner?identifier=s|2"},{"reference":"Group?identifier=1"}],'
        b'"d":{"reference":"https://example.org/Patient?x=y"},"e":{"value":"Group?x=y"}}'
    )
    assert conditional_references(resolve(sent, {})[1]) == [
        "Practitioner?identifier=s|2",
        "Group?identifier=1",
    ]


@given(ANYTHING, ANYTHING)
def test_resolving_changes_no_member_but_references(one, other):
    sent = {"a": one, "b": [other]}
    text = json.dumps(sent, separators=(",", ":")).encode()

    def replaced(value: Any) -> Any:
        if isinstance(value, list):
            return [replaced(each) for each in value]
        if not isinstance(value, dict):
            return value
        return {
            name: ENTRIES.get(each, each)
            if name == "reference" and isinstance(each, str)
            else replaced(each)
            for name, each in value.items()
        }

    assert json.loads(resolve(text, ENTRIES)[0]) == replaced(sent)


def test_the_same_bytes_lead_elsewhere_in_another_bundle():
    resource = b'{"resourceType":"Observation","id":"x1","subject":{"reference":"urn:uuid:a"}}'
    seen = [
        links(resource, "Observation", "x1", targets)[0]
        for targets in ({"urn:uuid:a": "Patient/1"}, {"urn:uuid:a": "Patient/2"}, {})
    ]
    assert seen == ["1", "2", None]


@pytest.mark.parametrize("text", ["", "x" * 2_000])
def test_a_long_member_is_read_as_a_short_one(text):
    subject = {"display": text, "reference": "urn:uuid:a"}
    assert found(subject=subject, encounter=[{"display": text}, to("Encounter/e1")]) == ("p1", "e1")
