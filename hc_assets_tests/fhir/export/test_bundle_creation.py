from datetime import UTC, datetime

import msgspec
import pytest
from fhir.resources.R4B.bundle import Bundle

from hc_assets.fhir.export.bundle_creation import create_bundle
from hc_assets.fhir.validation import has_errors, validate

OBSERVATION = (
    b'{"resourceType":"Observation","id":"o1","status":"final","code":{"text":"x"},'
    b'"valueQuantity":{"value":1.00}}'
)
BASIC = b'{"resourceType":"Basic","code":{"text":"x"}}'
BASE = "https://example.org/fhir"


def entries(bundle: bytes) -> list[dict]:
    return msgspec.json.decode(bundle)["entry"]


@pytest.mark.parametrize("type_", ["collection", "searchset", "batch"])
def test_resources_go_in_byte_for_byte_and_the_bundle_is_valid(type_):
    made = create_bundle(type_, [OBSERVATION], base_url=BASE)
    assert OBSERVATION in made
    assert not has_errors(validate(made))
    assert Bundle.model_validate_json(made).type == type_
    assert entries(made)[0]["fullUrl"] == f"{BASE}/Observation/o1"


def test_a_searchset_counts_and_says_what_matches():
    when = datetime(2026, 1, 1, tzinfo=UTC)
    made = create_bundle(
        "searchset",
        [OBSERVATION],
        included=[BASIC],
        timestamp=when,
        total=9,
        links={"self": f"{BASE}/Observation", "next": f"{BASE}/Observation?page=2"},
    )
    decoded = msgspec.json.decode(made)
    assert (decoded["total"], decoded["timestamp"]) == (9, "2026-01-01T00:00:00Z")
    assert [link["relation"] for link in decoded["link"]] == ["self", "next"]
    assert [entry["search"]["mode"] for entry in decoded["entry"]] == ["match", "include"]
    assert msgspec.json.decode(create_bundle("searchset", [OBSERVATION]))["total"] == 1


def test_a_batch_asks_for_an_update_or_where_there_is_no_id_for_a_creation():
    requests = [entry["request"] for entry in entries(create_bundle("batch", [OBSERVATION, BASIC]))]
    assert requests == [
        {"method": "PUT", "url": "Observation/o1"},
        {"method": "POST", "url": "Basic"},
    ]


@pytest.mark.parametrize("type_", ["collection", "searchset", "batch"])
def test_a_bundle_of_nothing_is_valid(type_):
    assert not has_errors(validate(create_bundle(type_, [])))


def test_what_is_no_resource_and_what_fits_no_type_is_refused():
    with pytest.raises(msgspec.ValidationError):
        create_bundle("collection", [b"{}"])
    with pytest.raises(ValueError, match="has no total"):
        create_bundle("collection", [OBSERVATION], total=1)


def test_full_urls_say_of_which_source_each_resource_is():
    sources = ["https://north.example/fhir", "south", None]
    made = create_bundle("collection", [OBSERVATION] * 3, base_url=f"{BASE}/", sources=sources)
    name = "Observation/o1"
    assert [entry["fullUrl"] for entry in entries(made)] == [
        f"https://north.example/fhir/{name}",
        f"{BASE}/@south/{name}",
        f"{BASE}/{name}",
    ]
    without = create_bundle("collection", [OBSERVATION] * 3, sources=sources)
    assert ["fullUrl" in entry for entry in entries(without)] == [True, False, False]
    with pytest.raises(ValueError, match="shorter"):
        create_bundle("collection", [OBSERVATION] * 2, sources=["south"])
