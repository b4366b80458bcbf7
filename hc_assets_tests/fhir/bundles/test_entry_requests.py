import io
import json

import pytest

from hc_assets.fhir.bundles.entries import Entry
from hc_assets.fhir.bundles.read import read_entries
from hc_assets_tests.fhir.bundles.split_entries import DOCUMENT, LINES, PATIENT, bundle, only, split

# --- Deletions ---


def delete(url: str) -> Entry:
    return only(bundle(b'{"request":{"method":"DELETE","url":%b}}' % json.dumps(url).encode()))


def test_a_deletion_names_what_is_deleted_and_has_no_resource():
    assert delete("Patient/p-1.x") == Entry(
        0, None, None, "Patient", "p-1.x", None, "DELETE", "Patient/p-1.x"
    )


@pytest.mark.parametrize(
    "url",
    [
        "",
        "Patient",
        "Patient/",
        "/p1",
        "Patient?identifier=x",
        "Patient?identifier=a/b",
        "Patient/p1?x=y",
        "Patient/p1/_history/2",
        "https://example.org/Patient/p1?x=y",
        "//example.org/Patient/p1",
        "urn:uuid:Patient/p1",
        "Patient/has space",
        "patient/p1",
        "Patient/p1\n",
    ],
)
def test_a_deletion_by_anything_but_type_and_id_is_not_guessed_at(url):
    entry = delete(url)
    assert "request.url is not <type>/<id>" in str(entry.not_data or entry.problem)
    # R4 lets a request have any url, but not none
    assert (entry.problem is None) == bool(url)
    assert (entry.resource_type, entry.resource_id) == (None, None)
    assert entry.request_url == url
    assert entry.resource


@pytest.mark.parametrize(
    ("url", "source"),
    [
        ("Patient/p1", None),
        ("/Patient/p1", None),
        ("/fhir/Patient/p1", None),
        ("https://example.org/fhir/Patient/p1", "https://example.org/fhir"),
    ],
)
def test_a_deletion_may_name_a_path_or_a_server(url, source):
    entry = delete(url)
    assert (entry.problem, entry.resource) == (None, None)
    assert (entry.source, entry.resource_type, entry.resource_id) == (source, "Patient", "p1")


def test_a_deletion_that_carries_a_resource_is_still_a_deletion():
    entry = only(
        bundle(
            b'{"resource":%b,"request":{"method":"DELETE","url":"Patient/p1"}}' % PATIENT,
        )
    )
    assert (entry.resource, entry.problem) == (None, None)
    assert (entry.resource_type, entry.resource_id) == ("Patient", "p1")


@pytest.mark.parametrize(
    ("entry_fields", "bundle_fields", "expected"),
    [
        (b'"lastModified":"2026-01-02T03:04:05Z"', b"", "2026-01-02T03:04:05+00:00"),
        (b"", b'"meta":{"lastUpdated":"2026-02-01T00:00:00+01:00"}', "2026-02-01T00:00:00+01:00"),
        (b"", b'"timestamp":"2026-03-01T00:00:00Z"', "2026-03-01T00:00:00+00:00"),
        (
            b'"lastModified":"2026-01-02T03:04:05Z"',
            b'"timestamp":"2026-03-01T00:00:00Z"',
            "2026-01-02T03:04:05+00:00",
        ),
        (b"", b'"timestamp":"yesterday"', None),
        (b"", b'"timestamp":"2026-03-01"', None),
        (b'"lastModified":"2026-01-02T03:04:05"', b"", None),
        (b"", b'"meta":7', None),
    ],
)
def test_a_deletion_dates_from_its_entry_else_from_its_bundle(
    entry_fields, bundle_fields, expected
):
    request = b'"request":{"method":"DELETE","url":"Patient/p1"}'
    listed = b'{%b,"response":{%b}}' % (request, entry_fields)
    comma = b"," if bundle_fields else b""
    data = b'{"resourceType":"Bundle"%b%b,"entry":[%b]}' % (comma, bundle_fields, listed)
    found = only(data).last_modified
    assert (found and found.isoformat()) == expected


# --- Requests ---


def requested(method: str, url: str, resource: bytes = PATIENT) -> Entry:
    request = json.dumps({"method": method, "url": url}).encode()
    return only(bundle(b'{"resource":%b,"request":%b}' % (resource, request)))


@pytest.mark.parametrize(
    ("method", "url", "problem"),
    [
        ("BREW", "Patient/p1", "a method that R4 does not know"),
        ("PUT", "Patient/p2", "PUT whose request.url names another resource"),
        ("PUT", "Group/p1", "PUT whose request.url names another resource"),
    ],
)
def test_a_request_that_names_another_resource_or_no_method_of_r4_is_refused(method, url, problem):
    entry = requested(method, url)
    assert problem in str(entry.problem)
    assert PATIENT in (entry.resource or b"")
    assert (entry.request_method, entry.request_url) == (method, url)


@pytest.mark.parametrize(
    ("method", "url", "reason"),
    [
        ("GET", "Patient/p1", "method is GET"),
        ("HEAD", "Patient/p1", "method is HEAD"),
        ("PATCH", "Patient/p1", "method is PATCH"),
        ("POST", "Patient/$match", "calls an operation"),
    ],
)
def test_a_request_that_stores_nothing_is_no_data_and_keeps_what_it_carries(method, url, reason):
    entry = requested(method, url)
    assert reason in str(entry.not_data)
    assert (entry.problem, entry.resource, entry.resource_type) == (None, PATIENT, "Patient")
    assert (entry.request_method, entry.request_url) == (method, url)


def test_an_entry_without_resource_is_no_data_where_r4_lets_it_have_none():
    asks = b'{"request":{"method":"%b","url":"Patient"}}'
    answers = b'{"response":{"status":"404"}}'
    found = split(bundle(asks % b"GET", asks % b"POST", answers, b"{}", asks % b"BREW"))
    assert [entry.problem is None for entry in found] == [True, True, True, False, False]
    assert [entry.not_data is None for entry in found] == [False, False, False, True, True]


@pytest.mark.parametrize(
    ("method", "url"),
    [("POST", "Patient"), ("PUT", "Patient/p1"), ("PUT", "Patient?identifier=a|b"), ("POST", "")],
)
def test_a_request_that_stores_is_taken(method, url):
    entry = requested(method, url)
    assert (entry.problem, entry.resource, entry.resource_id) == (None, PATIENT, "p1")


def test_a_put_gives_its_id_to_a_resource_that_states_none():
    entry = requested("PUT", "Basic/b1", b'{"resourceType":"Basic"}')
    assert (entry.problem, entry.resource_id) == (None, "b1")
    assert requested("POST", "Basic/b1", b'{"resourceType":"Basic"}').resource_id is None


OUTCOME = b'{"resourceType":"OperationOutcome","issue":[]}'


def test_the_outcome_of_a_search_an_export_or_a_request_is_no_data():
    in_search = b'{"resource":%b,"search":{"mode":"outcome"}}' % OUTCOME
    found = split(bundle(b'{"resource":%b,"search":{"mode":"include"}}' % PATIENT, in_search))
    assert found[0].resource == PATIENT
    for entry in (found[1], only(OUTCOME), only(OUTCOME, LINES)):
        assert "OperationOutcome: it reports on a request" in str(entry.not_data)
        assert (entry.problem, entry.resource) == (None, OUTCOME)
    (kept,) = read_entries(io.BytesIO(OUTCOME), DOCUMENT, keep_bundles=True)
    assert kept.problem is None


def test_the_manifest_of_a_bulk_data_export_is_recognized():
    manifest = {"transactionTime": "2026-01-01T00:00:00Z", "output": [{"type": "Patient"}]}
    data = json.dumps(manifest).encode()
    for media_type in (DOCUMENT, LINES):
        assert "Bulk Data manifest" in str(only(data, media_type).not_data)
    for other in (b'{"output":[]}', bundle(b'{"resource":%b}' % data)):
        assert (only(other).problem, only(other).not_data) == (None, None)  # validation judges
