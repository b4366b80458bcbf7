"""What a batch says of an id, it says of its source's resource only."""

import json
from pathlib import Path
from typing import Any

import pytest

from hc_assets.fhir.schemas import ENRICHED_RESOURCES
from hc_assets.lake.layout import Layout
from hc_assets_tests.fhir.worker_runs import ENRICHED, QUARANTINED, VALIDATED, Row, Run

NORTH, SOUTH = "https://north.example/fhir", "https://south.example/r4"


def entry(base: str, type_: str, id_: str, **members: Any) -> dict[str, Any]:
    resource = {"resourceType": type_, "id": id_, **members}
    return {"fullUrl": f"{base}/{type_}/{id_}", "resource": resource}


def patient(base: str, **members: Any) -> dict[str, Any]:
    return entry(base, "Patient", "1001", **members)


def observation(base: str, subject: str, **members: Any) -> dict[str, Any]:
    made = {"status": "final", "code": {"text": "x"}, "valueString": "y"} | members
    return entry(base, "Observation", "5", subject={"reference": subject}, **made)


def bundle(*entries: dict[str, Any]) -> bytes:
    return json.dumps({"resourceType": "Bundle", "type": "collection", "entry": entries}).encode()


def of(rows: list[Row], source: str | None, type_: str) -> Row:
    (row,) = (r for r in rows if (r["source"], r["resource_type"]) == (source, type_))
    return row


@pytest.fixture
def run(tmp_path: Path) -> Run:
    return Run(Layout.of(tmp_path))


def test_facts_of_a_patient_are_those_of_the_same_source(run):
    """Seen before the south's patient was born, long after the north's."""
    seen = {"effectiveDateTime": "2000-01-01"}
    data = bundle(
        patient(NORTH, birthDate="1951-02-03"),
        observation(NORTH, "Patient/1001", **seen),
        patient(SOUTH, birthDate="2015-06-07"),
        observation(SOUTH, "Patient/1001", **seen),
    )
    tables = run.all(a__json=data)
    north = of(tables[ENRICHED], NORTH, "Observation")
    south = of(tables[ENRICHED], SOUTH, "Observation")
    assert (north["consistency"], south["consistency"] < 1.0) == (1.0, True)
    assert [row["source"] for row in tables[ENRICHED]] == [NORTH, NORTH, SOUTH, SOUTH]
    assert [row["position"] for row in tables[ENRICHED]] == [0, 1, 2, 3]


def test_rules_of_business_take_the_birth_date_of_the_same_source(run):
    said = {"effectiveDateTime": "2000-01-01"}
    data = bundle(
        patient(NORTH, birthDate="1951-02-03"),
        observation(NORTH, "Patient/1001", **said),
        patient(SOUTH, birthDate="2015-06-07"),
    )
    tables = run.all(a__json=data)
    row = of(tables[VALIDATED], NORTH, "Observation")
    assert "birth" not in json.dumps([issue["rule"] for issue in row["warnings"]])
    assert tables[QUARANTINED] == []


def test_an_address_on_another_server_is_no_id_here(run):
    data = bundle(
        patient(NORTH),
        observation(NORTH, f"{NORTH}/Patient/1001"),
        observation(SOUTH, f"{NORTH}/Patient/1001"),
        patient(SOUTH),
    )
    tables = run.all(a__json=data)
    north = of(tables[ENRICHED], NORTH, "Observation")
    south = of(tables[ENRICHED], SOUTH, "Observation")
    assert json.loads(north["resource"])["subject"]["reference"] == "Patient/1001"
    assert json.loads(south["resource"])["subject"]["reference"] == f"{NORTH}/Patient/1001"
    assert (north["patient_id"], south["patient_id"]) == ("1001", None)
    assert (north["literal_references"], south["literal_references"]) == (["Patient/1001"], [])


def test_a_reference_leads_nowhere_that_only_another_source_has(run):
    data = bundle(patient(NORTH), entry(SOUTH, "Patient", "2"), observation(SOUTH, "Patient/1001"))
    row = of(run.all(a__json=data)[ENRICHED], SOUTH, "Observation")
    assert row["consistency"] < 1.0


def test_conditions_of_two_people_of_one_id_do_not_contradict_one_another(run):
    def condition(base: str, status: str) -> dict[str, Any]:
        system = "http://terminology.hl7.org/CodeSystem/condition-ver-status"
        return entry(
            base,
            "Condition",
            "c1",
            subject={"reference": "Patient/1001"},
            code={"coding": [{"system": "http://snomed.info/sct", "code": "38341003"}]},
            onsetDateTime="2001-01-01",
            verificationStatus={"coding": [{"system": system, "code": status}]},
        )

    data = bundle(condition(NORTH, "confirmed"), condition(SOUTH, "refuted"))
    tables = run.all(a__json=data)
    assert [row["issues"] for row in tables[ENRICHED]] == [[], []]


def test_meta_source_says_of_which_source_a_resource_is(run):
    unnamed = {"resource": {"resourceType": "Basic", "id": "b", "code": {"text": "x"}}}
    data = bundle(patient(NORTH), patient(SOUTH, meta={"source": "urn:theirs"}), unnamed)
    rows = run.all(a__json=data)[ENRICHED]
    sources = [json.loads(row["resource"])["meta"]["source"] for row in rows]
    assert sources == [NORTH, "urn:theirs", "urn:test"]
    assert all(list(row) == ENRICHED_RESOURCES.names for row in rows)


def test_times_to_their_last_digit_and_versions_are_columns_of_their_own(run):
    def stamped(id_: str, **meta: str) -> dict[str, Any]:
        return {"resource": {"resourceType": "Patient", "id": id_, "meta": meta}}

    deletion = {
        "request": {"method": "DELETE", "url": "Patient/d"},
        "response": {
            "status": "204",
            "lastModified": "2024-01-01T00:00:00.1234567Z",
            "etag": 'W/"4"',
        },
    }
    data = bundle(
        stamped("a", lastUpdated="2024-01-01T00:00:00.123456789Z", versionId="10"),
        stamped("b", lastUpdated="2024-01-01T00:00:00.120000+02:00"),
        stamped("c", lastUpdated="2016-12-31T23:59:60.25Z"),
        deletion,
    )
    rows = run.all(a__json=data)[ENRICHED]
    assert [(row["last_updated_digits"], row["stated_version"]) for row in rows] == [
        ("789", "10"),
        ("", None),
        ("L25", None),
        ("7", "4"),
    ]
