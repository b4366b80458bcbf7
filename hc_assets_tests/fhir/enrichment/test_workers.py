import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from hc_assets.fhir.bundles.entry_columns import Bounds
from hc_assets.fhir.enrichment.batch_index import PatientFacts
from hc_assets.fhir.enrichment.consistency import Facts
from hc_assets.fhir.enrichment.enricher import Enricher, compact
from hc_assets.fhir.schemas import TABLES
from hc_assets.fhir.times import span_of
from hc_assets.lake.layout import Layout
from hc_assets.lake.tables import read_partition
from hc_assets_tests.fhir.worker_runs import (
    BATCH,
    ENRICHED,
    LANDED,
    OPTIONS,
    QUARANTINED,
    URN_A,
    URN_B,
    URN_C,
    VALIDATED,
    Row,
    Run,
    bundle,
    entry,
    observation,
    patient,
    resource,
)

# --- Enriching ---


@pytest.fixture
def run(tmp_path: Path) -> Run:
    return Run(Layout.of(tmp_path))


def test_an_enriched_row_is_what_enrich_makes_of_the_resource(run):
    sent = json.dumps(patient(birthDate="1950-01-01")).encode()
    (row,) = run.all(a__json=sent)[ENRICHED]
    born = span_of("1950-01-01")
    facts = Facts(PatientFacts(birth=born), is_contradicted=False)
    made = Enricher(LANDED, OPTIONS)(compact(sent), 0, facts=facts)
    assert row["resource"] == made.resource
    for name in ("resource_id", "content_sha256", "last_updated", "quality_score", "completeness"):
        assert row[name] == getattr(made, name)
    with read_partition(run.layout, ENRICHED, BATCH).parts()[0].open("rb") as stream:
        assert pq.read_schema(stream) == TABLES[ENRICHED].schema


def test_a_deletion_passes_through_without_a_resource(run):
    request = {"method": "DELETE", "url": "Patient/p1"}
    found = run.all(a__json=bundle({"request": request}))
    assert found[QUARANTINED] == []
    (row,) = found[ENRICHED]
    assert (row["resource_type"], row["resource_id"]) == ("Patient", "p1")
    assert (row["resource"], row["content_sha256"]) == (None, None)
    assert row["last_updated"] == LANDED


def test_a_deletion_dates_from_when_its_bundle_says(run):
    deleted = {"request": {"method": "DELETE", "url": "Patient/p1"}}
    made = {"resourceType": "Bundle", "timestamp": "2026-02-01T00:00:00Z", "entry": [deleted]}
    (row,) = run.all(a__json=json.dumps(made).encode())[ENRICHED]
    assert row["last_updated"] == datetime(2026, 2, 1, tzinfo=UTC)


def subjects(found: dict[str, list[Row]]) -> dict[str, str]:
    resources = [json.loads(row["resource"]) for row in found[ENRICHED]]
    return {r["id"]: r["subject"]["reference"] for r in resources if "subject" in r}


def test_references_within_a_bundle_become_type_and_id(run):
    found = run.all(
        a__json=bundle(entry(observation("o1", URN_A)), entry(patient("p1"), URN_A)),
        b__json=bundle(entry(observation("o2", URN_A)), entry(observation("o3", "Patient/p1"))),
        c__json=bundle(entry(observation("o4", URN_A)), entry(patient("p2"), URN_A)),
    )
    assert subjects(found) == {
        "o1": "Patient/p1",
        "o2": URN_A,  # leads nowhere in its own bundle
        "o3": "Patient/p1",
        "o4": "Patient/p2",
    }
    # As received until there.
    assert json.loads(found[VALIDATED][0]["resource"])["subject"]["reference"] == URN_A


def test_links_to_entries_of_a_transaction_are_replaced_and_those_of_a_collection_are_kept(run):
    file = resource("DocumentReference", "d1", status="current")
    file["content"] = [{"attachment": {"url": URN_A}}]
    binary = resource("Binary", contentType="text/plain")
    post = {"request": {"method": "POST", "url": "Binary"}}
    put = {"request": {"method": "PUT", "url": "DocumentReference/d1"}}
    entries = [entry(binary, URN_A, **post), entry(file, URN_B, **put)]
    whole = {"resourceType": "Bundle", "type": "transaction", "entry": entries}
    asked = run.all(a__json=json.dumps(whole).encode())[ENRICHED]
    held = {"type": "collection", "entry": [entry(binary, URN_A), entry(file, URN_B)]}
    kept = run.all(a__json=json.dumps(whole | held).encode())[ENRICHED]
    for made, url in ((asked, f"Binary/{URN_A[9:]}"), (kept, URN_A)):
        (found,) = [json.loads(r["resource"]) for r in made if r["resource_id"] == "d1"]
        assert found["content"] == [{"attachment": {"url": url}}]


def test_a_reference_counts_where_the_batch_can_decide_whether_it_resolves(run):
    lines = [
        observation("known", "Patient/p1"),
        observation("missing", "Patient/p2"),
        observation("elsewhere", "Group/g1"),
        observation("nowhere", URN_C),
        patient("p1"),
    ]
    found = run.all(a__ndjson=b"\n".join(json.dumps(each).encode() for each in lines))[ENRICHED]
    judged = {
        row["resource_id"]: (row["consistency"], [i["rule"] for i in row["issues"]])
        for row in found
        if row["resource_type"] == "Observation"
    }
    assert judged == {
        "known": (1.0, []),
        "missing": (0.5, ["reference-resolves"]),  # the other fact: nothing contradicts it
        "elsewhere": (1.0, []),
        "nowhere": (0.5, ["reference-resolves"]),
    }


def test_a_full_url_that_two_entries_share_resolves_to_neither(run):
    found = run.all(
        a__json=bundle(
            entry(observation("o1", URN_A)),
            entry(patient("p1"), URN_A),
            entry(patient("p2"), URN_A),
        )
    )
    assert subjects(found) == {"o1": URN_A}


def test_a_reference_to_a_quarantined_entry_still_names_it(run):
    bad = patient("p1", gender=5)
    found = run.all(a__json=bundle(entry(observation("o1", URN_A)), entry(bad, URN_A)))
    assert subjects(found) == {"o1": "Patient/p1"}


def test_references_are_resolved_across_the_parts_and_row_groups_of_a_file(run):
    run.split_bounds = {"bounds": Bounds(rows=1), "part_bytes": 1}
    run.work_bytes = 1
    found = run.all(
        a__json=bundle(*(entry(observation(f"o{n}", URN_A)) for n in range(4))),
        b__json=bundle(
            *(entry(observation(f"x{n}", URN_A)) for n in range(3)), entry(patient("p1"), URN_A)
        ),
    )
    assert subjects(found) == {f"o{n}": URN_A for n in range(4)} | {
        f"x{n}": "Patient/p1" for n in range(3)
    }


def test_the_query_of_a_resource_is_kept_with_it(run):
    identifier = [{"system": "urn:s", "value": "9"}]
    sent = observation("o1", "Patient?identifier=s|1", identifier=identifier)
    (row,) = run.all(a__json=json.dumps(sent).encode())[ENRICHED]
    assert row["identifiers"] == ["urn:s|9"]
    assert row["conditional_references"] == ["Patient?identifier=s|1"]


def test_an_id_that_had_to_be_made_is_warned_of(run):
    found = run.all(a__json=bundle(entry(patient(None)), entry(patient("p1"))))
    rules = [[issue["rule"] for issue in row["warnings"]] for row in found[VALIDATED]]
    assert ["id-made" in of_row for of_row in rules] == [True, False]


def test_conditional_requests_with_the_same_criteria_mean_the_same_resource(run):
    def made(method: str, url: str, family: str, **request: str) -> dict[str, Any]:
        resource_ = resource("Patient", name=[{"family": family}])
        return entry(resource_, request={"method": method, "url": url, **request})

    found = run.all(
        a__json=bundle(
            made("PUT", "Patient?identifier=s|1", "x"),
            made("POST", "Patient", "y", ifNoneExist="identifier=s|1"),
            made("PUT", "Patient?identifier=s|2", "x"),
            made("PUT", "Patient/p7", "x"),
        )
    )
    first, second, third, named = (row["resource_id"] for row in found[ENRICHED])
    assert first == second != third
    assert named == json.loads(found[ENRICHED][3]["resource"])["id"] == "p7"
