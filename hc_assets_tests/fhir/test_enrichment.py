import hashlib
import json
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from itertools import cycle
from typing import Any, NamedTuple

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from hc_assets.fhir.demographics import age_group, age_in_years
from hc_assets.fhir.enrichment import Enriched, Enricher, EnrichmentOptions, compact
from hc_assets.fhir.validation import has_errors, validate

LANDED = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
BASE = "https://example.org/fhir/StructureDefinition"
OPTIONS = EnrichmentOptions("urn:test:source", BASE)
SCORE, AGE, AGE_GROUP = (f"{BASE}/{name}" for name in ("data-quality-score", "age", "age-group"))
RISK, SIGNIFICANCE = f"{BASE}/demographic-risk-factor", f"{BASE}/clinical-significance"
OWN = (SCORE, AGE, AGE_GROUP, RISK, SIGNIFICANCE)
UUID = "0a1b2c3d-0000-4000-8000-00000000000f"


def enriched(resource: bytes, **rest: Any) -> Enriched:
    return enrich(resource, 0, **rest)


def enrich(
    resource: bytes, warnings: int, *, landed_at: datetime = LANDED, **rest: Any
) -> Enriched:
    return Enricher(landed_at, OPTIONS)(compact(resource), warnings, **rest)


def decoded(resource: bytes) -> dict[str, Any]:
    value: dict[str, Any] = json.loads(resource)
    return value


def patient(**members: Any) -> bytes:
    return json.dumps({"resourceType": "Patient", "id": "p1", **members}).encode()


def extension(element: dict[str, Any], url: str) -> dict[str, Any] | None:
    found = [each for each in element.get("extension", []) if each.get("url") == url]
    assert len(found) <= 1
    return found[0] if found else None


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


def test_meta_that_was_sent_is_kept_and_told():
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
def test_a_patient_gets_age_and_age_group_where_they_can_be_told(members, age, group):
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


# --- Properties: lossless, repeatable, valid ---


class Number(NamedTuple):
    """A number by its digits: 1.00 and 1.0 are two."""

    digits: str


class Members(NamedTuple):
    """An object by its members, in order."""

    pairs: tuple[tuple[str, Any], ...]

    def get(self, name: str) -> Any:
        return dict(self.pairs).get(name)

    def without(self, *names: str) -> "Members":
        return Members(tuple(pair for pair in self.pairs if pair[0] not in names))


def taken_apart(text: bytes) -> Members:
    parts: Members = json.loads(
        text,
        parse_int=Number,
        parse_float=Number,
        object_pairs_hook=lambda pairs: Members(tuple(pairs)),
    )
    return parts


def render(value: Any, gap: Callable[[], str], ascii_only: bool) -> str:
    """JSON text of a value whose numbers are `Number`, with given white space between tokens."""
    if isinstance(value, Number):
        return value.digits
    if isinstance(value, dict):
        inner = f"{gap()},{gap()}".join(
            f"{json.dumps(name)}{gap()}:{gap()}{render(each, gap, ascii_only)}"
            for name, each in value.items()
        )
        return f"{{{gap()}{inner}{gap()}}}"
    if isinstance(value, list):
        inner = f"{gap()},{gap()}".join(render(each, gap, ascii_only) for each in value)
        return f"[{gap()}{inner}{gap()}]"
    return json.dumps(value, ensure_ascii=ascii_only)


DIGITS = ["0", "-0.0", "1.00", "0.10", "100", "1e5", "1E-7", "1e999", "3.14159265358979323846264"]
NUMBERS = st.sampled_from(DIGITS).map(Number)
TEXTS = st.text(st.characters(codec="utf-8", exclude_categories=("C", "Z")), min_size=1, max_size=6)
DATES = st.sampled_from(["1950", "1950-06", "1950-06-15", "2000-02-29", "2026-02-28", "2030-01-01"])
TIMES = st.sampled_from(["2016-12-31T23:59:60Z", "2020-01-01T00:00:00.120+02:00"])
EXTENSIONS = st.lists(
    st.one_of(
        st.builds(lambda n: {"url": "https://example.org/n", "valueDecimal": n}, NUMBERS),
        st.builds(lambda t: {"valueString": t, "url": "https://example.org/t"}, TEXTS),
        st.just({"url": SCORE, "valueDecimal": Number("0.250")}),
        st.just({"url": AGE_GROUP, "valueCode": "adult"}),
        st.just({"url": SIGNIFICANCE, "extension": [{"url": "reason", "valueString": "old"}]}),
    ),
    min_size=1,
    max_size=3,
)
META = st.fixed_dictionaries(
    {"versionId": st.just("1")},
    optional={
        "lastUpdated": TIMES,
        "source": st.just("https://example.org/a"),
        "tag": st.just([{"system": "https://example.org", "code": "t"}]),
        "extension": EXTENSIONS,
    },
)
NARRATIVE = {"status": "generated", "div": '<div xmlns="http://www.w3.org/1999/xhtml">x</div>'}
ANY_RESOURCE: dict[str, st.SearchStrategy[Any]] = {
    "id": st.sampled_from(["p1", "a.b-C"]),
    "meta": META,
    "language": st.just("en"),
    "text": st.just(NARRATIVE),
    "extension": EXTENSIONS,
}
QUANTITY = st.builds(
    lambda n, unit: {"value": n, **unit},
    NUMBERS,
    st.sampled_from(
        [
            {"unit": "mg"},
            {},
            {"unit": "mmol/L", "system": "http://unitsofmeasure.org", "code": "mmol/L"},
            {"unit": "mg/dL", "system": "http://unitsofmeasure.org", "code": "mg/dL"},
        ]
    ),
)
CODE = st.one_of(
    st.builds(lambda t: {"text": t}, TEXTS),
    st.just({"coding": [{"system": "http://loinc.org", "code": "2345-7"}]}),
)
RANGE = st.builds(lambda low: {"low": {"value": low}}, NUMBERS)
COMPONENT = st.builds(
    lambda code, quantity, ranges, extensions: (
        {"code": code, "valueQuantity": quantity, "referenceRange": ranges} | extensions
    ),
    st.just({"coding": [{"system": "http://loinc.org", "code": "2339-0"}]}),  # obs-7: another
    QUANTITY,
    st.lists(RANGE, min_size=1, max_size=2),
    st.one_of(st.just({}), st.builds(lambda e: {"extension": e}, EXTENSIONS)),
)


def resources(type_: str, required: dict[str, Any], **optional: Any) -> st.SearchStrategy[Any]:
    return st.fixed_dictionaries(
        {"resourceType": st.just(type_), **required}, optional={**ANY_RESOURCE, **optional}
    )


RESOURCES = st.one_of(
    resources(
        "Patient",
        {},
        name=st.builds(lambda t: [{"family": t}], TEXTS),
        gender=st.just("other"),
        birthDate=DATES,
        deceasedDateTime=st.one_of(DATES, TIMES),
        multipleBirthInteger=st.just(Number("2")),
    ),
    resources(
        "Observation",
        {"status": st.just("final"), "code": CODE},
        subject=st.just({"reference": f"urn:uuid:{UUID}"}),
        effectiveDateTime=st.one_of(DATES, TIMES),
        issued=TIMES,
        valueQuantity=QUANTITY,
        referenceRange=st.lists(RANGE, min_size=1, max_size=2),
        component=st.lists(COMPONENT, min_size=1, max_size=2),
        note=st.builds(lambda t: [{"text": t}], TEXTS),
    ),
)
GAPS = st.lists(st.sampled_from(["", " ", "\n  ", "\r\n\t"]), min_size=1, max_size=7)


@st.composite
def texts(draw: st.DrawFn) -> bytes:
    """Valid R4 resources as JSON: members in any order, any white space, any digits."""
    members = draw(st.permutations(list(draw(RESOURCES).items())))
    gaps = cycle(draw(GAPS))
    return render(dict(members), lambda: next(gaps), draw(st.booleans())).encode()


def without_additions(made: Members, sent: Members) -> Members:
    """Take from an enriched resource what enrichment adds, and nothing more."""
    meta = made.get("meta")
    sent_meta = sent.get("meta") or Members(())
    for name in ("lastUpdated", "source"):
        if sent_meta.get(name) is None:
            assert meta.get(name) is not None
            meta = meta.without(name)
    meta = _without_extensions(meta, *OWN)
    rest = Members(tuple((n, meta if n == "meta" else v) for n, v in made.pairs))
    if sent.get("id") is None:
        assert rest.get("id")
        rest = rest.without("id")
    if not meta.pairs:
        rest = rest.without("meta")
    return _without_own_extensions(rest)


def _without_own_extensions(resource: Members) -> Members:
    resource = _without_extensions(resource, *OWN)
    pairs = []
    for name, value in resource.pairs:
        inner = (
            [_without_extensions(each, *OWN) for each in value] if name == "component" else value
        )
        pairs.append((name, inner))
    return Members(tuple(pairs))


def _without_extensions(element: Members, *urls: str) -> Members:
    """Without the extensions of these urls, and without an empty list of them."""
    kept = [each for each in element.get("extension") or [] if each.get("url") not in urls]
    if not kept:
        return element.without("extension")
    return Members(tuple((n, kept if n == "extension" else v) for n, v in element.pairs))


def as_sent(sent: Members) -> Members:
    """What was sent, less the extensions under our own base: those are made anew."""
    meta = sent.get("meta")
    if meta is not None:
        meta = _without_extensions(meta, *OWN)
        sent = Members(tuple((n, meta if n == "meta" else v) for n, v in sent.pairs))
    return _without_own_extensions(sent)


@given(texts())
def test_nothing_is_lost_changed_or_moved(text):
    sent = taken_apart(text)
    made = taken_apart(enriched(text).resource)
    assert without_additions(made, sent) == as_sent(sent)


@given(texts())
def test_the_result_is_one_line_that_the_same_input_always_gives(text):
    made = enriched(text)
    assert not set(made.resource) & set(b"\n\r\t")
    assert made.resource == made.resource.strip()
    assert made == enriched(text)


@given(texts(), st.sampled_from([None, UUID]), st.integers(0, 12))
def test_a_valid_resource_stays_valid(text, known_id, warnings):
    issues = validate(text)
    assert not has_errors(issues)
    made = enrich(text, warnings, known_id=known_id)
    after = validate(made.resource)
    assert not has_errors(after)
    assert [issue.rule for issue in after] == [issue.rule for issue in issues]


@given(texts())
@example(patient(birthDate="1950-06-15"))
def test_enriching_what_was_enriched_adds_nothing_twice(text):
    once = enriched(text)
    twice = enriched(once.resource)
    assert twice.resource == once.resource
    assert (twice.resource_id, twice.last_updated.replace(microsecond=0)) == (
        once.resource_id,
        once.last_updated.replace(microsecond=0),
    )
