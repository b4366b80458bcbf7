import gzip
import json
from collections import Counter
from dataclasses import replace
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hc_assets.core.compute import executor, in_order
from hc_assets.fhir.bundles.entry_columns import Bounds
from hc_assets.fhir.bundles.workers import SplitWork, split_files
from hc_assets.fhir.validation.business_rules import BusinessRules
from hc_assets.fhir.validation.workers import validate_rows
from hc_assets.fhir.verdicts.accounting import (
    entries_accounted_for,
    identifiers_unique,
    identity_keys,
)
from hc_assets.lake.layout import Layout
from hc_assets.lake.manifests import LandedFile
from hc_assets.lake.parts import Part
from hc_assets.lake.tables import read_partition
from hc_assets_tests.fhir.worker_runs import (
    BATCH,
    ENRICHED,
    QUARANTINED,
    RAW,
    URN_A,
    URN_B,
    URN_C,
    UUID,
    VALIDATED,
    Row,
    Run,
    bundle,
    entry,
    observation,
    patient,
    resource,
)


@pytest.fixture
def run(tmp_path: Path) -> Run:
    return Run(Layout.of(tmp_path))


# --- Judging ---


def test_good_entries_go_on_and_bad_ones_stay_with_their_bytes_and_reasons(run):
    good, bad = patient(), patient("p2", gender=5, birthDate="yesterday")
    found = run.all(a__json=bundle(entry(good), entry(bad)))
    (kept,), (set_aside,) = found[VALIDATED], found[QUARANTINED]
    assert json.loads(kept["resource"]) == good
    assert json.loads(set_aside["resource"]) == bad
    assert (set_aside["position"], set_aside["resource_id"]) == (1, "p2")
    assert {(i["expression"], i["severity"]) for i in set_aside["issues"]} >= {
        ("Patient.gender", "error"),
        ("Patient.birthDate", "error"),
    }
    assert [i["rule"] for i in kept["warnings"]] == ["dom-6"]


def test_the_reasons_of_a_quarantined_entry_come_worst_first(run):
    # The warning (no narrative) is found before the errors of the values, in document order.
    held = resource("Bundle", type="document", entry=[entry(patient(gender=5), "urn:uuid:1")])
    lines = [json.dumps(each).encode() for each in (held, patient("p", gender=5))]
    found = run.all(a__ndjson=b"\n".join(lines))
    assert [row["resource_type"] for row in found[QUARANTINED]] == ["Bundle", "Patient"]
    order = ["fatal", "error", "warning", "information"]
    for row in found[QUARANTINED]:
        severities = [order.index(issue["severity"]) for issue in row["issues"]]
        assert len(set(severities)) > 1
        assert severities == sorted(severities)


def test_broken_rules_are_counted_over_all_rows(run):
    raw = run.split(*run.land(a__json=bundle(entry(patient("a")), entry(patient("b")))))
    _, _, broken = run.judge(raw)
    assert broken == Counter({"dom-6": 2})


def test_rules_of_the_deployment_can_quarantine(run):
    nameless = json.dumps(resource("Patient", "p1")).encode()
    assert len(run.all(a__json=nameless)[VALIDATED]) == 1
    run.rules = BusinessRules(frozenset({"patient-has-name"}))
    found = run.all(a__json=nameless)
    assert found[VALIDATED] == []
    assert "patient-has-name" in {issue["rule"] for issue in found[QUARANTINED][0]["issues"]}


DIRTY = {
    "empty__json": b"",
    "blank__ndjson": b"\n\n",
    "text__json": b"resourceType,id\n",
    "array__json": b"[1,2]",
    "cut__ndjson__gz": gzip.compress(b"".join(b'{"x":"%d"}\n' % n for n in range(999)))[:-99],
    "latin__json": '{"resourceType":"Patient","id":"p","birthDate":"\xe9"}'.encode("latin-1"),
    "latin_type__json": '{"resourceType":"\xe9"}'.encode("latin-1"),
    "deep__json": b'{"resourceType":"Patient","extension":' + b"[" * 5_000,
    "unknown__json": b'{"resourceType":"Pancake","id":"p"}',
    "no_type__json": b'{"id":"p"}',
    "number_id__json": b'{"resourceType":"Patient","id":5}',
    "born_huge__json": b'{"resourceType":"Patient","id":"q","birthDate":1e999}',
}


@pytest.mark.parametrize("name", DIRTY)
def test_a_file_that_is_no_resource_leaves_a_reason_and_holds_nobody_up(run, name):
    good = json.dumps(patient()).encode()
    found = run.all(**{name: DIRTY[name], "good__json": good})
    assert [row["source_file"] for row in found[ENRICHED]] == ["good.json"]
    assert found[QUARANTINED]
    for row in found[QUARANTINED]:
        assert row["source_file"] == name.replace("__", ".")
        assert all(issue["diagnostics"] for issue in row["issues"])
        assert {issue["severity"] for issue in row["issues"]} & {"fatal", "error"}
    assert entries_accounted_for(*found["keys"]).passed


@pytest.mark.parametrize("digits", [b"1e999", b"-1E+4000", b"1.00", b"0.1234567890123456789"])
def test_a_number_goes_through_whether_a_float_holds_it_or_not(run, digits):
    extension = [{"url": "https://example.org/n", "valueDecimal": "DIGITS"}]
    sent = json.dumps(patient(extension=extension)).encode().replace(b'"DIGITS"', digits)
    found = run.all(a__json=sent)
    assert [row["resource"] for row in found[VALIDATED]] == [sent]
    assert b'"valueDecimal":' + digits + b"}" in found[ENRICHED][0]["resource"]


TYPES = ["transaction", "batch", "history", "searchset", "collection", "document", "message"]


@pytest.mark.parametrize("type_", [*TYPES, "transaction-response", "batch-response"])
def test_a_file_that_is_a_bundle_of_any_type_gives_its_resources(run, type_):
    data = bundle(entry(patient("p1")), entry(patient("p2"))).replace(
        b"transaction", type_.encode()
    )
    found = run.all(a__json=data)
    assert [row["resource_id"] for row in found[ENRICHED]] == ["p1", "p2"]
    # Most types would have their entries otherwise: that is said of the Bundle.
    assert {row["resource_type"] for row in found[QUARANTINED]} <= {"Bundle"}
    assert (found[QUARANTINED] == []) == (type_ in ("transaction", "batch"))
    assert entries_accounted_for(*found["keys"]).passed


def test_a_history_is_taken_with_its_deletions_and_what_undoes_them(run):
    def changed(method: str, at: str, sent: dict[str, Any] | None) -> dict[str, Any]:
        changed_entry = {
            "fullUrl": "https://example.org/Patient/p1",
            "request": {"method": method, "url": "Patient/p1"},
            "response": {"status": "200", "lastModified": at},
        }
        return changed_entry | ({"resource": sent} if sent else {})

    first, last = (
        patient("p1", meta={"lastUpdated": f"2026-01-0{day}T00:00:00Z"}) for day in (1, 3)
    )
    data = bundle(
        changed("PUT", "2026-01-03T00:00:00Z", last),
        changed("DELETE", "2026-01-02T00:00:00Z", None),
        changed("POST", "2026-01-01T00:00:00Z", first),
    ).replace(b"transaction", b"history")
    found = run.all(a__json=data)
    assert found[QUARANTINED] == []
    days = [(row["last_updated"].day, row["resource"] is None) for row in found[ENRICHED]]
    assert days == [(3, False), (2, True), (1, False)]


def test_ids_that_clash_are_all_kept_and_reported(run):
    one, other = patient("p1"), patient("p1", birthDate="1950-01-01")
    raw = run.split(*run.land(a__json=bundle(entry(one)), b__json=bundle(entry(other))))
    validated, quarantined, _ = run.judge(raw)
    assert (validated.count_rows(), quarantined.count_rows()) == (2, 0)
    verdict = identifiers_unique(identity_keys(validated))
    assert (verdict.passed, verdict.value) == (False, 1.0)


# --- No data ---


def test_what_is_no_data_is_a_class_of_its_own_in_quarantine_unless_it_is_invalid(run):
    told = {"severity": "error", "code": "not-found"}
    outcomes = [resource("OperationOutcome", issue=issue) for issue in ([told], [])]
    asking = {"request": {"method": "GET", "url": "Patient/p1"}}
    entries = [entry(each) for each in outcomes]
    found = run.all(
        a__json=json.dumps(
            {"resourceType": "Bundle", "type": "batch", "entry": [asking, entry(patient())]}
        ).encode(),
        b__ndjson=b"\n".join(json.dumps(each["resource"]).encode() for each in entries),
    )
    rows = [(row["source_file"], row["class"], row["issues"]) for row in found[QUARANTINED]]
    assert [(file, class_) for file, class_, _ in rows] == [
        ("a.json", "not_data"),
        ("a.json", "invalid"),  # the Bundle: one entry of the batch asks for nothing
        ("b.ndjson", "not_data"),
        ("b.ndjson", "invalid"),
    ]
    assert [issues[-1]["rule"] for _, class_, issues in rows if class_ == "not_data"] == [
        "not-data",
        "not-data",
    ]
    assert {issue["rule"] for issue in rows[1][2]} == {"bdl-3"}
    assert "empty-array" in {issue["rule"] for issue in rows[3][2]}
    assert entries_accounted_for(*found["keys"]).passed


def test_rows_that_were_split_by_a_version_before_are_judged_all_the_same(run):
    raw = run.split(*run.land(a__json=bundle(entry(patient("a")), entry(patient("b", gender=5)))))
    for part in raw.parts():
        columns = pq.read_table(str(part)).drop_columns(["not_data", "issues", "place"])
        older = part.parent / "older.parquet"
        pq.write_table(columns, str(older))
    (work,) = run.work(raw)
    rows = replace(work.rows, path=str(older))
    judged = validate_rows(replace(work, rows=rows), run.rules)
    assert [part.rows for part in judged.validated] == [1]
    assert [part.rows for part in judged.quarantined] == [1]


# --- Whom a resource is about ---


def links(found: dict[str, list[Row]], table: str = VALIDATED) -> dict[str, tuple[Any, Any]]:
    return {row["resource_id"]: (row["patient_id"], row["encounter_id"]) for row in found[table]}


def test_patient_and_encounter_are_found_through_full_urls_that_differ_from_the_ids(run):
    visit = resource(
        "Encounter",
        "e1",
        status="finished",
        **{"class": {"code": "AMB"}},
        subject={"reference": URN_A},
    )
    seen = observation("o1", URN_A, encounter={"reference": URN_B})
    found = run.all(
        a__json=bundle(
            entry(seen, URN_C),
            entry(visit, URN_B),
            entry(patient("p1"), URN_A),
        )
    )
    expected = {"o1": ("p1", "e1"), "e1": ("p1", "e1"), "p1": ("p1", None)}
    assert links(found) == links(found, ENRICHED) == expected


def test_full_urls_lead_nowhere_outside_their_own_bundle(run):
    found = run.all(
        a__json=bundle(entry(patient("p1"), URN_A)),
        b__json=bundle(entry(observation("o1", URN_A))),
        c__json=bundle(entry(patient("p2"), URN_A), entry(observation("o2", URN_A))),
    )
    assert links(found)["o1"] == (None, None)
    assert links(found)["o2"] == ("p2", None)


def test_a_patient_in_another_part_of_the_same_writer_is_found(run):
    run.split_bounds = {"bounds": Bounds(rows=1), "part_bytes": 1}
    run.work_bytes = 1
    found = run.all(a__json=bundle(entry(observation("o1", URN_A)), entry(patient("p1"), URN_A)))
    assert links(found) == {"o1": ("p1", None), "p1": ("p1", None)}
    assert len(read_partition(run.layout, RAW, BATCH).parts()) == 2


def test_resources_without_ids_get_the_one_of_their_full_url_and_are_linked_by_it(run):
    found = run.all(
        a__json=bundle(
            entry(patient(None), f"urn:uuid:{UUID}"),
            entry(observation("o1", f"urn:uuid:{UUID}")),
        )
    )
    assert links(found, ENRICHED) == {UUID: (UUID, None), "o1": (UUID, None)}


def test_a_patient_without_any_id_is_about_the_one_that_is_made(run):
    (row,) = run.all(a__json=json.dumps(patient(None)).encode())[ENRICHED]
    assert row["resource_id"] == row["patient_id"] == row["content_sha256"][:32]


# --- In workers ---


def _split(run: Run, file: LandedFile, number: int) -> list[Part]:
    return split_files(SplitWork(str(run.layout.data_dir), BATCH, (file,), number))


def test_worker_processes_write_what_this_process_writes(run):
    files = run.land(**{f"f{n}__json": bundle(entry(patient(f"p{n}"))) for n in range(3)})
    raw = run.put(
        RAW, [part for number, file in enumerate(files) for part in _split(run, file, number)]
    )
    judging = partial(validate_rows, rules=BusinessRules())
    judged = list(in_order(executor(3, workers=2), judging, run.work(raw)))
    assert judged == [judging(work) for work in run.work(raw)]


# --- Properties ---

_NAMES = count()
LINES = st.one_of(
    st.binary(max_size=40).map(lambda data: data.replace(b"\n", b"").replace(b"\r", b"")),
    st.sampled_from(
        [
            json.dumps(patient()).encode(),
            json.dumps(observation("o", "Patient/p1")).encode(),
            b'{"resourceType":"Patient","id":"p","gender":"blue"}',
            b'{"resourceType":"Patient","birthDate":"\xff"}',
            b'{"resourceType":"Bundle","entry":[{"resource":{"resourceType":"Patient"}}]}',
            *(data for data in DIRTY.values() if b"\n" not in data and len(data) < 200),
        ]
    ),
)


@settings(max_examples=30)
@given(st.lists(LINES, max_size=12), st.sampled_from(["a__ndjson", "a__json", "a"]))
def test_everything_that_arrives_is_accounted_for(lines, name):
    run = Run(Layout.of(f"memory://workers-{next(_NAMES)}"))
    found = run.all(**{name: b"\n".join(lines)})
    assert entries_accounted_for(*found["keys"]).passed
    assert len(found[ENRICHED]) == len(found[VALIDATED])
    assert found[RAW]
