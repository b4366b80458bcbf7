import json
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from upath import UPath

from hc_assets.fhir.enrichment.batch_index import (
    INDEXED_COLUMNS,
    BatchIndex,
    EncounterFacts,
    PatientFacts,
    gather,
    key_of,
)
from hc_assets.fhir.enrichment.consistency import Facts
from hc_assets.fhir.enrichment.enricher import Enriched, Enricher, EnrichmentOptions, compact
from hc_assets.fhir.enrichment.sex_specific_codes import sex_of
from hc_assets.fhir.times import span_of

ENRICHER = Enricher(datetime(2026, 3, 1, tzinfo=UTC), EnrichmentOptions("urn:x", "https://x.org"))
SNOMED = "http://snomed.info/sct"


def enriched(resource: dict[str, Any], **facts: Any) -> Enriched:
    return ENRICHER(compact(json.dumps(resource).encode()), facts=Facts(**facts))


def observation(**members: Any) -> dict[str, Any]:
    made = {"resourceType": "Observation", "id": "o1", "status": "final", "code": {"text": "x"}}
    return made | members


def broken(resource: dict[str, Any], **facts: Any) -> list[str]:
    return [issue.rule for issue in enriched(resource, **facts).issues]


# --- Facts ---


def test_references_to_nothing_lower_consistency_and_score():
    known = [("Patient/p1", True), ("Encounter/e1", True)]
    whole = enriched(observation(), references=known)
    assert (whole.consistency, whole.issues) == (1.0, [])
    half = enriched(observation(), references=[known[0], ("Encounter/e1", False)])
    assert half.consistency == 0.5
    assert half.quality_score < whole.quality_score
    assert [(i.rule, i.code) for i in half.issues] == [("reference-resolves", "not-found")]


PERSON = PatientFacts(span_of("1980-05-01"), span_of("2020-03-01"), "male")


@pytest.mark.parametrize(
    ("when", "rules"),
    [
        ("1980-05-01", []),
        ("1980-04-30", ["in-life"]),
        ("1980", []),  # overlaps with birth: nothing can be said against it
        ("1979", ["in-life"]),
        ("2020-03-01", []),
        ("2020-03-02", []),  # the day after: written down late
        ("2020-03-03T00:00:00Z", ["in-life"]),
        ("2020", []),
        ("2021", ["in-life"]),
    ],
)
def test_what_happens_to_a_patient_happens_in_life(when, rules):
    assert broken(observation(effectiveDateTime=when), patient=PERSON) == rules


VISIT = EncounterFacts(span_of("2019-06-01T10:00:00Z"), span_of("2019-06-01T11:00:00Z"))


@pytest.mark.parametrize(
    ("when", "rules"),
    [
        ("2019-06-01T10:30:00Z", []),
        ("2019-06-01", []),
        ("2019-05-31T12:00:00Z", []),  # the day before: drawn beforehand
        ("2019-05-31T09:00:00Z", ["in-encounter"]),
        ("2019-06-02T12:00:00Z", ["in-encounter"]),
        ("2019-06", []),
        ("2019-07", ["in-encounter"]),
    ],
)
def test_what_belongs_to_an_encounter_happens_in_it(when, rules):
    assert broken(observation(effectiveDateTime=when), encounter=VISIT) == rules


def test_an_encounter_that_has_not_ended_has_no_end_to_pass():
    open_ = EncounterFacts(start=VISIT.start)
    assert broken(observation(effectiveDateTime="2030-01-01"), encounter=open_) == []
    assert broken(observation(effectiveDateTime="2010-01-01"), encounter=open_) != []


def test_a_condition_may_begin_before_its_encounter_but_is_recorded_in_it():
    made = {"resourceType": "Condition", "id": "c", "subject": {"reference": "Patient/p"}}
    made["onsetDateTime"] = "2001-01-01"
    assert broken(made | {"recordedDate": "2019-06-01"}, encounter=VISIT) == []
    assert broken(made | {"recordedDate": "2001-01-01"}, encounter=VISIT) == ["in-encounter"]


@pytest.mark.parametrize(
    ("system", "code", "sex"),
    [
        (SNOMED, "77386006", "female"),
        (SNOMED, "126906006", "male"),
        (SNOMED, "44054006", None),
        ("http://hl7.org/fhir/sid/icd-10-cm", "O80", "female"),
        ("http://hl7.org/fhir/sid/icd-10-cm", "O9A.111", "female"),
        ("http://hl7.org/fhir/sid/icd-10-cm", "C61", "male"),
        ("http://hl7.org/fhir/sid/icd-10", "n40.1", "male"),
        ("http://hl7.org/fhir/sid/icd-10-cm", "C50.911", None),
        ("http://hl7.org/fhir/sid/icd-10-cm", "", None),
        ("http://loinc.org", "2857-1", "male"),
        ("urn:x", "77386006", None),
        (None, None, None),
    ],
)
def test_some_codes_are_of_one_sex_only(system, code, sex):
    assert sex_of(system, code) == sex


@pytest.mark.parametrize(
    ("sex", "consistent"), [("male", 0.0), ("female", 1.0), ("other", None), (None, None)]
)
def test_a_code_of_the_other_sex_is_a_contradiction(sex, consistent):
    made = {"resourceType": "Condition", "id": "c"}
    made["code"] = {"coding": [{"system": SNOMED, "code": "77386006"}]}
    assert enriched(made, patient=PatientFacts(sex=sex)).consistency == consistent


def test_a_contradicted_resource_is_flagged():
    assert broken(observation(), is_contradicted=True) == ["not-contradicted"]
    assert enriched(observation(), is_contradicted=False).consistency == 1.0
    assert enriched(observation()).consistency is None


# --- The index of a batch ---


def rows(*resources: dict[str, Any]) -> pa.RecordBatch:
    listed = [
        dict.fromkeys(INDEXED_COLUMNS)
        | {
            "resource_type": each["resourceType"],
            "resource_id": each.get("id"),
            "patient_id": "p1",
            "resource": json.dumps(each).encode(),
        }
        for each in resources
    ]
    types = {name: pa.binary() if name == "resource" else pa.string() for name in INDEXED_COLUMNS}
    return pa.RecordBatch.from_pylist(listed, pa.schema(list(types.items())))


def index(*units: list[dict[str, Any]]) -> BatchIndex:
    return BatchIndex.of([gather([rows(*unit)]) for unit in units if unit])


PATIENT = {"resourceType": "Patient", "id": "p1", "gender": "female", "birthDate": "1980-05"}
ENCOUNTER = {
    "resourceType": "Encounter",
    "id": "e1",
    "period": {"start": "2019-06-01T10:00:00+02:00"},
}


def test_an_index_answers_for_patients_encounters_and_ids(tmp_path):
    made = index([PATIENT, ENCOUNTER], [observation(), {"resourceType": "Basic"}])
    path = UPath(tmp_path / "index.npz")
    path.write_bytes(made.to_bytes())
    for each in (made, BatchIndex.load(path)):
        assert each.patient("p1") == PatientFacts(span_of("1980-05"), None, "female")
        assert each.patient("p2") is None
        start = span_of("2019-06-01T08:00:00Z")
        assert each.encounter("e1") == EncounterFacts(start, None)
        assert each.encounter("p1") is None
        asked = ["Patient/p1", "Patient/e1", "Encounter/e1", "Observation/o1", "Basic/None"]
        assert each.are_known([key_of(text) for text in asked]) == [True, False, True, True, False]


def born(year: str, **meta: str) -> dict[str, Any]:
    return {**PATIENT, "birthDate": year} | ({"meta": meta} if meta else {})


@pytest.mark.parametrize(
    ("units", "expected"),
    [
        ([[born("1980"), born("1981")]], "1981"),
        ([[born("1980")], [born("1981")]], "1981"),
        ([[born("1980", lastUpdated="2021-01-01T00:00:00Z"), PATIENT]], "1980-05"),
        ([[PATIENT, born("1980", lastUpdated="2021-01-01T00:00:00Z")]], "1980-05"),
        (
            [
                [born("1980", lastUpdated="2021-01-01T02:00:00+01:00")],
                [born("1981", lastUpdated="2021-01-01T00:59:00Z")],
            ],
            "1980",
        ),
    ],
)
def test_of_several_versions_the_latest_counts(units, expected):
    known = index(*units).patient("p1")
    assert known is not None
    assert known.birth == span_of(expected)


def test_a_version_without_a_time_of_its_own_is_of_that_of_its_entry():
    versions = rows(born("1981"), born("1980"))
    times = pa.array([datetime(2024, 1, 2, tzinfo=UTC), datetime(2024, 1, 1, tzinfo=UTC)])
    place = versions.schema.get_field_index("last_modified")
    made = BatchIndex.of([gather([versions.set_column(place, "last_modified", times)])])
    known = made.patient("p1")
    assert known is not None
    assert known.birth == span_of("1981")


def test_an_empty_batch_knows_nobody():
    empty = BatchIndex.of([])
    assert (empty.patient("p"), empty.encounter("e")) == (None, None)
    assert empty.are_known([1, 2]) == [False, False]
    assert empty.are_known([]) == []


WHEN = "2020-01-01T10:00:00Z"


def reading(id_: str, value: float, **members: Any) -> dict[str, Any]:
    quantity = {"value": value, "unit": "kg"}
    made = {"id": id_, "effectiveDateTime": WHEN, "valueQuantity": quantity}
    return observation(**(made | members))


def contradicted(*units: list[dict[str, Any]]) -> list[str]:
    made = index(*units)
    listed = [each for unit in units for each in unit]
    keys = [key_of(f"{each['resourceType']}/{each['id']}") for each in listed]
    found = made.are_contradicted(keys)
    return [each["id"] for each, is_ in zip(listed, found, strict=True) if is_]


@pytest.mark.parametrize(
    ("one", "other", "ids"),
    [
        (reading("a", 70), reading("b", 71), ["a", "b"]),
        (reading("a", 70), reading("b", 70), []),
        (reading("a", 70), reading("a", 71), []),  # versions of one resource
        (reading("a", 70), reading("b", 71, status="entered-in-error"), []),
        (reading("a", 70), reading("b", 71, effectiveDateTime="2020-01-01T10:00:01Z"), []),
        (reading("a", 70), reading("b", 71, bodySite={"text": "left"}), []),
        (reading("a", 70), reading("b", 71, code={"text": "y"}), []),
        (
            reading("a", 70, effectiveDateTime="2020-01-01"),
            reading("b", 71, effectiveDateTime="2020-01-01"),
            [],  # there is time for several in a day
        ),
    ],
)
def test_two_readings_of_one_thing_at_one_time_agree(one, other, ids):
    assert contradicted([one, other]) == ids
    assert contradicted([one], [other]) == ids


def test_readings_are_compared_whatever_white_space_they_have():
    spaced = rows(reading("a", 70))
    tight = json.dumps(reading("b", 70), separators=(",", ":")).encode()
    names = [*INDEXED_COLUMNS]
    columns = [
        pa.array([tight]) if n == "resource" else spaced[n] for n in [*names[:-1], "resource"]
    ]
    other = pa.RecordBatch.from_arrays(columns, names=names)
    made = BatchIndex.of([gather([spaced, other])])
    assert made.are_contradicted([key_of("Observation/a")]) == [False]


def test_two_patients_of_one_identifier_were_born_on_one_day():
    identifier = [{"system": "urn:mrn", "value": "7"}]
    one = {
        "resourceType": "Patient",
        "id": "a",
        "identifier": identifier,
        "birthDate": "1980-05-01",
    }
    assert contradicted([one, one | {"id": "b", "birthDate": "1980-05-02"}]) == ["a", "b"]
    assert contradicted([one, one | {"id": "b"}]) == []


def test_a_diagnosis_is_not_both_confirmed_and_refuted():
    made = {"resourceType": "Condition", "code": {"text": "flu"}, "onsetDateTime": "2020-01-01"}

    def diagnosis(id_: str, status: str) -> dict[str, Any]:
        return made | {"id": id_, "verificationStatus": {"coding": [{"code": status}]}}

    assert contradicted([diagnosis("a", "confirmed"), diagnosis("b", "refuted")]) == ["a", "b"]
    assert contradicted([diagnosis("a", "confirmed"), diagnosis("b", "provisional")]) == []


@given(st.sets(st.text(min_size=1, max_size=8), max_size=40), st.sets(st.text(max_size=8)))
def test_what_is_known_is_what_was_gathered(ids, others):
    gathered = [gather([rows({"resourceType": "Basic", "id": each})]) for each in ids]
    made = BatchIndex.of(gathered)
    asked = sorted(ids | others)
    assert made.are_known([key_of(f"Basic/{each}") for each in asked]) == [
        each in ids for each in asked
    ]


def test_the_index_is_small():
    many = [reading(f"o{number}", number) for number in range(2000)]
    made = gather([rows(*many)])
    held = sum(np.asarray(each).nbytes for each in made)
    assert held <= 2000 * (8 + 24) + 8 + 8  # the type, and that nothing failed
