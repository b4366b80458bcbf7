import json
from typing import Any

import pytest

from hc_assets.fhir.bundles.sources import Address, address
from hc_assets_tests.fhir.bundles.split_entries import only, split

NORTH, SOUTH = "https://north.example/fhir", "https://south.example/r4"


def entry(id_: str | None, full_url: str | None = None, **request: str) -> dict[str, Any]:
    resource = {"resourceType": "Patient"} | ({"id": id_} if id_ else {})
    made: dict[str, Any] = {"resource": resource}
    made |= {"fullUrl": full_url} if full_url else {}
    return made | ({"request": request} if request else {})


def sources(*entries: dict[str, Any]) -> list[str | None]:
    bundle = {"resourceType": "Bundle", "type": "collection", "entry": list(entries)}
    return [each.source for each in split(json.dumps(bundle).encode())]


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("Patient/1", Address(None, "", "Patient", "1")),
        ("/Patient/1", Address(None, "/", "Patient", "1")),
        ("/fhir/r4/Patient/1", Address(None, "/fhir/r4", "Patient", "1")),
        ("http://North.example/fhir//Patient/1", Address(NORTH, "", "Patient", "1")),
        ("https://north.example/Patient/1", Address("https://north.example", "", "Patient", "1")),
    ],
)
def test_an_address_is_read_from_its_end(url, expected):
    assert address(url) == expected


@pytest.mark.parametrize(
    "url",
    [
        None,
        "",
        "urn:uuid:1",
        "Patient",
        "x/Patient/1",
        "//h/Patient/1",
        "https://north.example/fhir/Patient/1/_history/2",
        "https://north.example/fhir/Patient?x=Patient/1",
        "ftp://h/Patient/1",
        "https://north.example/fhir/patient/1",
    ],
)
def test_what_does_not_end_in_type_and_id_or_is_elsewhere_is_no_address(url):
    assert address(url) is None


def test_an_entry_is_of_the_server_that_its_full_url_names():
    assert sources(
        entry("1", f"{NORTH}/Patient/1"), entry("1", "http://SOUTH.example:80/r4/Patient/1")
    ) == [NORTH, SOUTH]


def test_a_full_url_of_another_resource_says_nothing_of_this_one():
    mine = entry("1", f"{NORTH}/Patient/2"), entry("3", f"{NORTH}/Group/3")
    assert sources(*mine, entry("1", f"{SOUTH}/Patient/1")) == [None, None, SOUTH]


def test_an_entry_without_an_address_is_of_the_server_that_all_others_are_of():
    urn = "urn:uuid:00000000-0000-4000-8000-000000000001"
    others = [entry("2"), entry(None, urn), entry("3", method="PUT", url="Patient/3")]
    assert sources(entry("1", f"{NORTH}/Patient/1"), *others) == [NORTH] * 4
    two = [entry("1", f"{NORTH}/Patient/1"), entry("1", f"{SOUTH}/Patient/1")]
    assert sources(*two, *others) == [NORTH, SOUTH, None, None, None]
    assert sources(*others) == [None] * 3


def test_the_address_of_a_request_counts_where_there_is_no_other():
    put = entry("1", None, method="PUT", url=f"{NORTH}/Patient/1")
    assert sources(put) == [NORTH]
    put = entry("1", f"{SOUTH}/Patient/1", method="PUT", url=f"{NORTH}/Patient/1")
    assert sources(put) == [SOUTH]


def test_what_is_deleted_is_what_the_request_names():
    both = entry(None, f"{SOUTH}/Patient/1", method="DELETE", url=f"{NORTH}/Patient/1")
    relative = entry(None, f"{SOUTH}/Patient/1", method="DELETE", url="Patient/1")
    assert sources(both) == [NORTH]
    assert sources(relative) == [SOUTH]


def test_single_resources_are_of_no_source():
    assert only(b'{"resourceType":"Patient","id":"1"}').source is None


def test_digits_finer_than_a_microsecond_and_the_version_of_a_response_are_kept():
    response = {"lastModified": "2026-01-01T00:00:00.123456789Z", "etag": 'W/"3"'}
    bundle = {"entry": [{**entry("1"), "response": response}], "resourceType": "Bundle"}
    (found,) = split(json.dumps(bundle).encode())
    assert (found.last_modified_digits, found.response_etag) == ("789", 'W/"3"')
