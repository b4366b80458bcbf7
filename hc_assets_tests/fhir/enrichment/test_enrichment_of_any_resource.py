import json
from collections.abc import Callable
from itertools import cycle
from typing import Any, NamedTuple

from hypothesis import example, given
from hypothesis import strategies as st

from hc_assets.fhir.validation import has_errors, validate
from hc_assets_tests.fhir.enrichment.enriching import (
    AGE_GROUP,
    OWN,
    SCORE,
    SIGNIFICANCE,
    UUID,
    enrich,
    enriched,
    patient,
)

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


def parsed(text: bytes) -> Members:
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
    """What was sent, less the extensions under our own base: those are rebuilt."""
    meta = sent.get("meta")
    if meta is not None:
        meta = _without_extensions(meta, *OWN)
        sent = Members(tuple((n, meta if n == "meta" else v) for n, v in sent.pairs))
    return _without_own_extensions(sent)


@given(texts())
def test_nothing_is_lost_changed_or_moved(text):
    sent = parsed(text)
    made = parsed(enriched(text).resource)
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
