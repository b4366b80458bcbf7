import pytest

from hc_assets.fhir.bundles.requests import IDENTITY, deleted, known_id, refusal, requested_id

URN = "urn:uuid:0ff3c1f4-8b4f-4a53-9f4e-3a0b4a6f1c11"


def known(
    type_: str,
    id_: str | None,
    full_url: str | None,
    method: str | None,
    url: str | None,
    if_none_exist: str | None = None,
) -> str | None:
    values = (type_, id_, full_url, method, url, if_none_exist)
    return known_id(dict(zip(IDENTITY, values, strict=True)))


def test_its_own_id_counts_before_anything_else():
    assert known("Patient", "p1", URN, "PUT", "Patient?identifier=a|b", "identifier=a|b") == "p1"


def test_the_same_criteria_mean_the_same_resource_whatever_the_full_url():
    put = known("Patient", None, URN, "PUT", "Patient?identifier=a|b")
    post = known("Patient", None, "urn:uuid:other", "POST", "Patient", "identifier=a|b")
    assert put == post
    assert put is not None
    assert len(put) == 32
    assert put != known("Group", None, URN, "POST", "Group", "identifier=a|b")
    assert put != known("Patient", None, URN, "POST", "Patient", "identifier=a|c")


def test_without_criteria_the_uuid_of_the_full_url_counts():
    assert known("Patient", None, URN, "POST", "Patient") == URN.removeprefix("urn:uuid:")
    assert known("Patient", None, "https://example.org/Patient/1", None, None) is None
    assert known("Patient", None, None, None, None, "identifier=a|b") is None


@pytest.mark.parametrize("method", ["POST", None, "PATCH"])
def test_only_a_put_names_an_id(method):
    assert requested_id("PUT", "Patient/p1") == "p1"
    assert requested_id(method, "Patient/p1") is None
    assert requested_id("PUT", "Patient?identifier=x") is None


def test_a_deletion_by_query_names_nothing():
    assert deleted("Patient/p1") == ("Patient", "p1")
    assert deleted("Patient?identifier=x") is None
    assert deleted(None) is None


def test_a_refusal_repeats_no_patient_data():
    reason = refusal("PUT", "Patient/Considine", "Patient", "p1")
    assert reason is not None
    assert "Considine" not in reason
    assert refusal("Considine", None, "Patient", "p1") is not None
    assert "Considine" not in str(refusal("Considine", None, "Patient", "p1"))
