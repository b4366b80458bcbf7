"""What is done to whole columns gives the bytes that one resource after the other gives."""

import json
import os
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hc_assets.fhir.bundles.read import Entry, read_entries
from hc_assets.fhir.domain import FHIR_FILES
from hc_assets.fhir.validation import is_valid
from hc_assets_tests.fhir.enrichment.columns.both_ways import LANDED, both_ways, validated
from hc_assets_tests.fhir.enrichment.judged_observations import LOINC, UCUM

SHARED = Path(__file__).parents[4].parent / "shared" / "data" / "fhir"
PACKAGE = Path(os.environ.get("HC_R4_PACKAGE", ""))
TARGETS = {"urn:uuid:p": "Patient/p"}


def test_a_version_without_a_time_has_that_of_its_entry():
    stated = b'{"resourceType":"Basic","id":"a","meta":{"lastUpdated":"2020-01-01T00:00:00Z"}}'
    bare = b'{"resourceType":"Basic","id":"b"}'
    with_meta = b'{"resourceType":"Basic","id":"c","meta":{"versionId":"3"}}'
    rows = validated([stated, bare, with_meta, bare, None])
    of_entry = datetime(2024, 1, 2, 3, 4, 5, 678000, tzinfo=UTC)
    times = pa.array([of_entry, of_entry, of_entry, None, of_entry], pa.timestamp("us", "UTC"))
    place = rows.schema.get_field_index("last_modified")
    made, by_columns = both_ways(rows.set_column(place, rows.schema.field(place), times))
    expected = [datetime(2020, 1, 1, tzinfo=UTC), of_entry, of_entry, LANDED, of_entry]
    assert made["last_updated"].to_pylist() == expected
    written = [json.loads(each)["meta"]["lastUpdated"] for each in made["resource"].to_pylist()[:4]]
    assert [datetime.fromisoformat(each) for each in written] == expected[:4]
    assert made["content_sha256"][1] == made["content_sha256"][3]
    assert by_columns == 0.5


TIMES = st.sampled_from(
    [
        "1969",
        "1970-02",
        "2000-02-29",
        "2000-03-01",
        "2000-02-29T10:00:00Z",
        "2000-02-29T10:00:00.5+14:00",
        "2000-02-29T10:00:00.1234567891-09:30",
        "2000-02-28T23:59:60Z",
        "2000-02-29T09:59:59.999999Z",
    ]
) | st.builds(
    "{:%Y-%m-%dT%H:%M:%S}{}".format,
    st.datetimes(datetime(1000, 1, 1), datetime(9999, 12, 31)),  # noqa: DTZ001 - the zone is drawn
    st.sampled_from(["Z", "+01:00", "-11:45", ".25Z"]),
)
PERIODS = st.fixed_dictionaries({}, optional={"start": TIMES, "end": TIMES, "id": st.just("x")})
CODES = st.sampled_from(["77386006", "399068003", "1"])
META = st.fixed_dictionaries(
    {},
    optional={
        "profile": st.just(["http://x"]),
        "source": st.just("urn:y"),
        "lastUpdated": st.just("2020-01-01T00:00:00Z"),
        "extension": st.just([{"url": "urn:e", "valueString": "/"}]),
    },
)
QUANTITY = st.builds(
    lambda value, unit, coded: (
        {"value": value, "unit": unit} | coded | ({"code": unit} if coded else {})
    ),
    st.integers(-5, 600),
    st.sampled_from(["mg/dL", "mmol/L", "mm[Hg]", "kg", "{score}", "MG/DL", "deg"]),
    st.sampled_from([{"system": UCUM}, {"system": UCUM}, {}]),
)
CODE = st.sampled_from(["2345-7", "8480-6", "2857-1", "2823-3"])
RANGES = st.lists(
    st.builds(lambda low, high: {"low": low, "high": high}, QUANTITY, QUANTITY),
    min_size=1,
    max_size=2,
)
INTERPRETATION = st.builds(
    lambda code: [
        {
            "coding": [
                {
                    "system": "http://terminology.hl7.org/CodeSystem/v3-ObservationInterpretation",
                    "code": code,
                }
            ]
        }
    ],
    st.sampled_from(["H", "HH", "L", "N", "U"]),
)
CATEGORY = st.builds(
    lambda code: [
        {
            "coding": [
                {
                    "system": "http://terminology.hl7.org/CodeSystem/observation-category",
                    "code": code,
                }
            ]
        }
    ],
    st.sampled_from(["survey", "laboratory"]),
)
MEASURED = st.builds(
    lambda code, value, rest: {
        "code": {"coding": [{"system": LOINC, "code": code}]},
        "valueQuantity": value,
        **rest,
    },
    CODE,
    QUANTITY,
    st.fixed_dictionaries(
        {}, optional={"referenceRange": RANGES, "interpretation": INTERPRETATION}
    ),
)
EVENTS = st.one_of(
    st.builds(
        lambda members, code: {
            "resourceType": "Condition",
            "code": {"coding": [{"system": "http://snomed.info/sct", "code": code}]},
            **members,
        },
        st.fixed_dictionaries(
            {}, optional={"onsetDateTime": TIMES, "onsetPeriod": PERIODS, "recordedDate": TIMES}
        ),
        CODES,
    ),
    st.builds(
        lambda measured, members: {"resourceType": "Observation"} | measured | members,
        MEASURED,
        st.fixed_dictionaries(
            {"status": st.sampled_from(["final", "entered-in-error"])},
            optional={
                "effectiveDateTime": TIMES,
                "effectivePeriod": PERIODS,
                "effectiveInstant": TIMES,
                "issued": TIMES,
                "component": st.lists(MEASURED, min_size=1, max_size=2),
                "category": CATEGORY,
                "derivedFrom": st.just([{"reference": "QuestionnaireResponse/q"}]),
                "extension": st.just([{"url": "urn:e", "valueCode": "x"}]),
            },
        ),
    ),
    st.builds(lambda period: {"resourceType": "Encounter", "period": period}, PERIODS),
    st.builds(
        lambda members: {"resourceType": "Procedure", **members},
        st.fixed_dictionaries(
            {}, optional={"performedDateTime": TIMES, "performedPeriod": PERIODS}
        ),
    ),
)
RESOURCES = st.builds(
    lambda event, meta, links, id_: {
        "resourceType": event["resourceType"],
        **({"id": id_} if id_ else {}),
        **({} if meta is None else {"meta": meta}),
        **event,
        **links,
    },
    EVENTS,
    st.none() | META,
    st.fixed_dictionaries(
        {},
        optional={
            "subject": st.sampled_from([{"reference": "Patient/p"}, {"reference": "urn:uuid:p"}]),
            "encounter": st.just({"reference": "Encounter/e"}),
            "identifier": st.just([{"system": "s", "value": 'ä"'}]),
        },
    ),
    st.sampled_from(["a", "b", "c", None]),
)
PATIENTS = st.fixed_dictionaries(
    {"resourceType": st.just("Patient"), "id": st.just("p")},
    optional={
        "birthDate": st.sampled_from(["1970", "2000-02-29", "2001-01"]),
        "deceasedDateTime": TIMES,
        "gender": st.sampled_from(["male", "female", "other"]),
    },
)
ENCOUNTERS = st.builds(
    lambda period: {"resourceType": "Encounter", "id": "e", "period": period}, PERIODS
)


@settings(max_examples=60)
@given(
    st.lists(st.none() | RESOURCES, max_size=8),
    PATIENTS,
    ENCOUNTERS,
    st.sampled_from([None, 1]),
    st.booleans(),
)
def test_columns_are_enriched_as_one_after_the_other(drawn, patient, encounter, indent, ascii_only):
    sent = [
        None if each is None else json.dumps(each, indent=indent, ensure_ascii=ascii_only).encode()
        for each in [*drawn, patient, encounter]
    ]
    made, _ = both_ways(validated(sent, TARGETS), TARGETS)
    again, _ = both_ways(validated(made["resource"].to_pylist()))
    assert again["resource"].to_pylist() == made["resource"].to_pylist()


def test_what_is_ordinary_is_done_by_columns():
    ordinary = {
        "resourceType": "Observation",
        "id": "o",
        "status": "final",
        "code": {"coding": [{"system": LOINC, "code": "2345-7"}]},
        "effectiveDateTime": "2020-01-01T10:00:00Z",
        "valueQuantity": {"value": 90, "unit": "mg/dL", "system": UCUM, "code": "mg/dL"},
    }
    ordinary["subject"] = {"reference": "Patient/p"}
    patient = {"resourceType": "Patient", "id": "p", "gender": "female", "birthDate": "1970-01-01"}
    listed = [*(ordinary | {"id": f"o{number}"} for number in range(9)), patient]
    made, share = both_ways(validated(json.dumps(each).encode() for each in listed))
    assert share == 0.9
    assert b"clinical-significance" in made["resource"][0].as_py()


def test_what_is_ordinary_but_for_issues_is_done_by_columns():
    sent = {
        "resourceType": "Observation",
        "id": "o",
        "status": "final",
        "code": {"coding": [{"system": LOINC, "code": "2345-7"}]},
        "valueQuantity": {"value": 90, "unit": "mg/dL"},
        "referenceRange": [{"high": {"value": 99, "unit": "mg/dL"}}],
    }
    made, share = both_ways(validated([json.dumps(sent).encode()]))
    assert share == 1
    rules = [issue["rule"] for issue in made["issues"][0].as_py()]
    assert rules == ["unit-code", "limits-need-patient"]
    assert b"clinical-significance" in made["resource"][0].as_py()


def test_deletions_pass_through():
    made, _ = both_ways(validated([None, None]))
    assert made["resource"].to_pylist() == made["quality_score"].to_pylist() == [None, None]
    assert made["last_updated"].to_pylist() == [LANDED, LANDED]
    empty, _ = both_ways(validated([]))
    assert empty.num_rows == 0


def entries_of(path: Path) -> list[Entry]:
    with path.open("rb") as file:
        entries = list(read_entries(file, FHIR_FILES.media_type(path.name)))
    return [each for each in entries if each.resource is not None and is_valid(each.resource)]


@pytest.mark.skipif(not SHARED.is_dir(), reason="shared data is not here")
@pytest.mark.parametrize(
    ("pattern", "by_columns"),
    [("synthea_bundles/*.json", 0.9), ("bulk_10_patients/*.ndjson", 0.0)],
)
def test_shared_data_is_enriched_as_one_after_the_other(pattern, by_columns):
    files = sorted(SHARED.glob(pattern))
    assert files
    found = [each for path in files for each in entries_of(path)]
    targets = {
        each.full_url: f"{each.resource_type}/{each.resource_id}"
        for each in found
        if each.full_url is not None
    }
    made, share = both_ways(validated((each.resource for each in found), targets), targets)
    assert made.num_rows == len(found) > 1_000
    assert share >= by_columns


@pytest.mark.skipif(
    "HC_R4_PACKAGE" not in os.environ or not PACKAGE.is_dir(),
    reason="HC_R4_PACKAGE names no unpacked npm package hl7.fhir.r4.examples 4.0.1",
)
def test_official_examples_are_enriched_as_one_after_the_other():
    paths = sorted(PACKAGE.rglob("*.json"))
    sent = [path.read_bytes() for path in paths if path.name != "package.json"]
    known = [each for each in sent if b'"resourceType"' in each and len(each) < 100_000]
    made, share = both_ways(validated(each for each in known[::3] if is_valid(each)))
    assert made.num_rows > 1_500
    assert share > 0.2
