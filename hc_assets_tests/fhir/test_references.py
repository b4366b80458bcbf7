import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hc_assets.fhir.references import links, uuid_of

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
