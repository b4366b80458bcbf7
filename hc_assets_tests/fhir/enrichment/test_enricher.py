import hashlib
import json
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hc_assets.fhir.enrichment.demographics import age_group, age_in_years
from hc_assets.fhir.validation import has_errors, validate
from hc_assets_tests.fhir.enrichment.enriching import (
    AGE,
    AGE_GROUP,
    LANDED,
    RISK,
    SCORE,
    UUID,
    decoded,
    enrich,
    enriched,
    extension,
    patient,
)

# --- What is added ---


def test_what_is_added_to_a_resource_that_has_nothing():
    made = enriched(b'{"resourceType":"Basic","code":{"text":"x"}}', known_id=UUID)
    assert decoded(made.resource) == {
        "resourceType": "Basic",
        "id": UUID,
        "code": {"text": "x"},
        "meta": {
            "lastUpdated": "2026-03-01T12:00:00+00:00",
            "source": "urn:test:source",
            "extension": [{"url": SCORE, "valueDecimal": 1.0}],
        },
    }
    assert (made.resource_id, made.last_updated) == (UUID, LANDED)
    assert (made.quality_score, made.completeness, made.validity) == (1.0, None, 1.0)


def test_meta_that_was_sent_is_kept_and_read():
    sent = {
        "versionId": "7",
        "lastUpdated": "2020-01-01T00:00:00+02:00",
        "source": "https://example.org",
        "extension": [{"url": "https://example.org/x", "valueString": "y"}],
        "tag": [{"code": "t"}],
    }
    made = enriched(patient(meta=sent))
    meta = decoded(made.resource)["meta"]
    assert extension(meta, SCORE)
    meta["extension"] = meta["extension"][:1]
    assert list(meta.items()) == list(sent.items())
    assert made.last_updated == datetime(2019, 12, 31, 22, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2016-12-31T23:59:60Z", datetime(2016, 12, 31, 23, 59, 59, 999999, tzinfo=UTC)),
        ("2020-01-01T00:00:00.1234567Z", datetime(2020, 1, 1, 0, 0, 0, 123456, tzinfo=UTC)),
        ("2020-01-01T00:00:00-03:30", datetime(2020, 1, 1, 3, 30, tzinfo=UTC)),
    ],
)
def test_every_instant_of_r4_is_understood_as_last_updated(text, moment):
    resource = patient(meta={"lastUpdated": text})
    assert not has_errors(validate(resource))
    assert enriched(resource).last_updated == moment


def test_warnings_lower_the_score_that_is_added():
    made = enrich(b'{"resourceType":"Basic","id":"b"}', 3)
    assert made.quality_score == pytest.approx(0.7)
    added = extension(decoded(made.resource)["meta"], SCORE)
    assert added == {"url": SCORE, "valueDecimal": made.quality_score}


# --- Ids ---


def test_an_id_is_made_from_the_content_where_none_is_known():
    sent = b'{"resourceType":"Patient","name":[{"text":"x"}]}'
    made = enriched(sent)
    assert made.resource_id == made.content_sha256[:32]
    assert made == enriched(sent)
    assert made.resource_id == enriched(b" " + sent.replace(b":", b" :\n")).resource_id
    assert made.resource_id != enriched(sent.replace(b"x", b"y")).resource_id
    assert not has_errors(validate(made.resource))


def test_an_id_that_was_sent_is_kept():
    assert enriched(patient(), known_id=UUID).resource_id == "p1"


def test_a_made_id_follows_the_type_and_moves_nothing():
    sent = b'{"language":"en","resourceType":"Basic","code":{"text":"x"}}'
    made = decoded(enriched(sent).resource)
    assert list(made) == ["language", "resourceType", "id", "code", "meta"]


# --- The hash of the content ---


def content(resource: bytes) -> str:
    return enriched(resource).content_sha256


def test_the_hash_of_the_content_does_not_see_what_changes_without_it():
    plain = content(patient())
    assert content(patient(meta={"versionId": "2"})) == plain
    assert content(patient(meta={"versionId": "3", "lastUpdated": "2020-01-01T00:00:00Z"})) == plain
    assert content(json.dumps(decoded(patient()), indent=4).encode()) == plain
    profiled = {"profile": ["https://example.org/p"]}
    assert content(patient(meta={**profiled, "versionId": "2"})) == content(patient(meta=profiled))
    assert content(patient(meta=profiled)) != plain


def test_the_hash_of_the_content_sees_every_other_change():
    assert content(patient(birthDate="2000-01-01")) != content(patient(birthDate="2000-01-02"))
    digits = '{"resourceType":"Basic","id":"b","extension":[{"url":"u:x","valueDecimal":%s}]}'
    assert content((digits % "1.0").encode()) != content((digits % "1.00").encode())


def test_the_hash_of_the_content_is_the_same_on_every_day():
    later = enrich(patient(birthDate="2000-01-01"), 2, landed_at=LANDED + timedelta(900))
    assert later.content_sha256 == content(patient(birthDate="2000-01-01"))
    assert later.resource != enriched(patient(birthDate="2000-01-01")).resource


def test_the_hash_is_sha256_of_the_compact_text():
    sent = b'{"resourceType":"Patient","id":"p1","name":[{"text":"a, b: c","use":"usual"}]}'
    assert content(sent) == hashlib.sha256(sent).hexdigest()
    assert content(json.dumps(decoded(sent), indent=1).encode()) == content(sent)


# --- Age ---


@pytest.mark.parametrize(
    ("born", "until", "years"),
    [
        ("2000-06-15", "2018-06-14", 17),
        ("2000-06-15", "2018-06-15", 18),
        ("2000-06-15", "2000-06-15", 0),
        ("2000-02-29", "2018-02-28", 17),
        ("2000-02-29", "2018-03-01", 18),
        ("2000-02-29", "2020-02-28", 19),
        ("2000-02-29", "2020-02-29", 20),
        ("1961-03-01", "2026-02-28", 64),
        ("1961-03-01", "2026-03-01", 65),
    ],
)
def test_years_are_completed_on_the_birthday(born, until, years):
    assert age_in_years(date.fromisoformat(born), date.fromisoformat(until)) == years


@given(st.dates(min_value=date(1850, 1, 1), max_value=date(2200, 1, 1)), st.integers(0, 130))
def test_a_year_is_completed_on_the_birthday_and_not_the_day_before(born, years):
    is_leap_day = (born.month, born.day) == (2, 29)
    in_march = date(born.year + years, 3, 1)
    birthday = in_march if is_leap_day and years % 4 else born.replace(year=born.year + years)
    if is_leap_day and born.year + years in (1900, 2100, 2200):
        birthday = in_march
    assert age_in_years(born, birthday) == years
    assert age_in_years(born, birthday - timedelta(1)) == years - 1


@pytest.mark.parametrize(
    ("years", "group"),
    [(0, "pediatric"), (17, "pediatric"), (18, "adult"), (64, "adult"), (65, "older-adult")],
)
def test_age_groups_begin_at_18_and_at_65(years, group):
    assert age_group(years) == group


def age_of(resource: bytes) -> tuple[Any, str | None]:
    made = decoded(enriched(resource).resource)
    age, group = extension(made, AGE), extension(made, AGE_GROUP)
    if age is None:
        assert group is None
        return None, None
    ends = age["valueRange"] if "valueRange" in age else {"age": age["valueQuantity"]}
    for value in ends.values():
        assert (value["unit"], value["system"], value["code"]) == (
            "years",
            "http://unitsofmeasure.org",
            "a",
        )
    years = tuple(value["value"] for value in ends.values())
    return years[0] if len(years) == 1 else years, group and group["valueCode"]


@pytest.mark.parametrize(
    ("members", "age", "group"),
    [
        ({"birthDate": "1961-03-01"}, 65, "older-adult"),
        ({"birthDate": "1961-03-02"}, 64, "adult"),
        ({"birthDate": "2026-03-01"}, 0, "pediatric"),
        ({"birthDate": "1950-01-01", "deceasedDateTime": "1967-12-31"}, 17, "pediatric"),
        (
            {"birthDate": "1950-01-01", "deceasedDateTime": "2015-01-01T05:00:00Z"},
            65,
            "older-adult",
        ),
        # The day that the time names counts, whatever the day is elsewhere.
        (
            {"birthDate": "1950-01-01", "deceasedDateTime": "2015-01-01T05:00:00+14:00"},
            65,
            "older-adult",
        ),
        ({"birthDate": "1950-01-01", "deceasedBoolean": False}, 76, "older-adult"),
        ({"birthDate": "1950-01-01", "deceasedBoolean": True}, None, None),
        # Dates that state less than a day are ranges.
        ({"birthDate": "1950-01-01", "deceasedDateTime": "2015"}, 65, "older-adult"),
        ({"birthDate": "1950-06-15", "deceasedDateTime": "2015-06"}, (64, 65), None),
        ({"birthDate": "1950-06"}, 75, "older-adult"),
        ({"birthDate": "1950-03"}, (75, 76), "older-adult"),
        ({"birthDate": "2008"}, (17, 18), None),
        ({"birthDate": "2026"}, 0, "pediatric"),
        ({"birthDate": "1950-01-02", "deceasedDateTime": "1950-01-01"}, None, None),
        ({"birthDate": "2026-03-02"}, None, None),
        ({"birthDate": "2027"}, None, None),
        ({}, None, None),
    ],
)
def test_a_patient_gets_age_and_age_group_where_they_are_certain(members, age, group):
    resource = patient(**members)
    assert age_of(resource) == (age, group)
    assert not has_errors(validate(enriched(resource).resource))


def risks(**members: Any) -> list[str]:
    made = decoded(enriched(patient(**members)).resource)
    found = [e for e in made.get("extension", []) if e["url"] == RISK]
    assert all(e["valueCoding"]["system"].startswith("https://example.org/fhir/") for e in found)
    return [e["valueCoding"]["code"] for e in found]


@pytest.mark.parametrize(
    ("members", "codes"),
    [
        ({"birthDate": "1981-03-01", "gender": "male"}, ["male-45-or-older"]),
        ({"birthDate": "1981-03-02", "gender": "male"}, []),
        ({"birthDate": "1981-03-01", "gender": "female"}, []),
        ({"birthDate": "1971-03-01", "gender": "female"}, ["female-55-or-older"]),
        ({"birthDate": "1971-03-01", "gender": "other"}, []),
        ({"birthDate": "1961-03-01"}, ["adult-65-or-older"]),
        ({"birthDate": "1961-03", "gender": "male"}, ["male-45-or-older"]),  # 64 or 65
        ({"birthDate": "2025-06-01"}, ["infant", "child-under-5"]),
        (
            {"birthDate": "2025-06-01", "multipleBirthInteger": 2},
            ["infant", "child-under-5", "multiple-birth-infant"],
        ),
        (
            {"birthDate": "2025-06-01", "multipleBirthBoolean": True},
            ["infant", "child-under-5", "multiple-birth-infant"],
        ),
        ({"birthDate": "2021-03-02"}, ["child-under-5"]),
        ({"birthDate": "2021-03-01"}, []),
        ({"birthDate": "1940-01-01", "deceasedDateTime": "2020-01-01"}, []),
        ({"gender": "male"}, []),
    ],
)
def test_risk_factors_are_those_that_age_and_sex_make_certain(members, codes):
    assert risks(**members) == codes


def test_nobody_but_patients_gets_an_age():
    person = b'{"resourceType":"Person","id":"x","birthDate":"1950-01-01"}'
    assert "extension" not in decoded(enriched(person).resource)
