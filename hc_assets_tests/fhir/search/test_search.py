"""A search finds what plain Python finds; pages are the whole; hostile ones are refused at once."""

import json
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from hc_assets.fhir.search import Searcher, SearchError
from hc_assets.fhir.search.execute import IndexDamagedError
from hc_assets.fhir.search.stored.runs import file_of
from hc_assets.fhir.validation import validate
from hc_assets.lake.layout import Layout
from hc_assets_tests.fhir.search.indexed import index
from hc_assets_tests.fhir.search.random_resources import UCUM, as_bytes
from hc_assets_tests.fhir.search.world import World

_SEARCHES = 120


@pytest.fixture(scope="module")
def world() -> World:
    return World(7)


@pytest.fixture(scope="module")
def searcher(world: World, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Searcher]:
    """On the world's resources in three files."""
    layout = Layout.of(tmp_path_factory.mktemp("index"))
    contents = [as_bytes(each) for each in world.all]
    generation = index(layout, [contents[:47], contents[47:59], contents[59:]])
    assert len(generation.runs) == 2
    with Searcher(layout) as made:
        yield made


def ask(searcher: Searcher, text: str, **options: Any) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(searcher.search(text, **options))
    return found


def ids(bundle: dict[str, Any], mode: str = "match") -> list[str]:
    entries = bundle.get("entry", [])
    return [each["resource"]["id"] for each in entries if each["search"]["mode"] == mode]


def pages(searcher: Searcher, text: str) -> list[list[str]]:
    """Ids of all pages, by following links."""
    found: list[list[str]] = []
    link: str | None = text
    while link is not None:
        bundle = ask(searcher, link)
        found.append(ids(bundle))
        link = next((each["url"] for each in bundle["link"] if each["relation"] == "next"), None)
    return found


def test_any_search_finds_what_plain_python_finds(searcher: Searcher, world: World) -> None:
    differences, found = {}, 0
    for _ in range(_SEARCHES):
        text, wanted = world.search()
        bundle = ask(searcher, f"{text}&_count=1000")
        found += bool(wanted)
        if sorted(ids(bundle)) != wanted or bundle["total"] != len(wanted):
            differences[text] = (ids(bundle), wanted)
    assert differences == {}
    assert found > _SEARCHES / 3, "most searches should find something"


@pytest.mark.parametrize(
    "text",
    [
        "Observation?_sort=date",
        "Observation?_sort=-date,code,-value-quantity",
        "Observation?_sort=-value-quantity&status=final",
        "Observation?_sort=subject,-code",
        "Patient?_sort=-family,birthdate",
        "Patient?_sort=-_id",
        "Observation",
    ],
)
def test_pages_are_the_whole_and_its_order_is_total_and_stable(
    searcher: Searcher, text: str
) -> None:
    join = "&" if "?" in text else "?"
    (whole,) = pages(searcher, f"{text}{join}_count=1000")
    assert len(whole) == len(set(whole)) > 5
    for size in (1, 7):
        parts = pages(searcher, f"{text}{join}_count={size}")
        assert [each for part in parts for each in part] == whole
        assert {len(part) for part in parts[:-1]} <= {size}


def test_values_that_are_missing_come_last_and_the_others_in_their_order(
    searcher: Searcher, world: World
) -> None:
    births = {each["id"]: each.get("birthDate") for each in world.patients}
    (up,) = pages(searcher, "Patient?_sort=birthdate&_count=100")
    (down,) = pages(searcher, "Patient?_sort=-birthdate&_count=100")
    known = sum(birth is not None for birth in births.values())
    assert 0 < known < len(births)
    for order in (up, down):
        assert all(births[each] is not None for each in order[:known])
    years = [births[each][:4] for each in up[:known]]
    assert years == sorted(years)
    years = [births[each][:4] for each in down[:known]]
    assert years == sorted(years, reverse=True)


def test_what_arrives_between_pages_neither_appears_twice_nor_pushes_others_out(
    tmp_path: Path,
) -> None:
    layout, world = Layout.of(tmp_path), World(3, patients=4, observations=20)
    contents = [as_bytes(each) for each in world.all]
    index(layout, [contents])
    with Searcher(layout) as before:
        (whole,) = pages(before, "Observation?_sort=-date&_count=100")
        first = ask(before, "Observation?_sort=-date&_count=6")
    more = [as_bytes(each | {"id": f"n{n}"}) for n, each in enumerate(world.observations)]
    index(layout, [contents, more])
    with Searcher(layout) as after:
        link = next(each["url"] for each in first["link"] if each["relation"] == "next")
        assert ids(first) + [e for page in pages(after, link) for e in page] == whole
        assert ask(after, "Observation")["total"] == 2 * len(whole)


def test_matches_are_the_bytes_as_stored_and_the_bundle_is_valid(
    searcher: Searcher, world: World
) -> None:
    for text in (
        "Observation?_count=5&_include=Observation:subject",
        "Patient?foo=1&_count=2",
        "Patient/nobody",
        "Observation?_summary=count",
        "Observation?_elements=status&_count=3",
    ):
        answer = searcher.search(text, lenient=True)
        errors = [each for each in validate(answer) if each.severity in ("error", "fatal")]
        assert errors == []
    answer = searcher.search("Observation?_count=1000")
    assert all(as_bytes(each) in answer for each in world.observations)


def test_includes_follow_references_and_cycles_end(tmp_path: Path) -> None:
    layout = Layout.of(tmp_path)

    def encounter(id_: str, part_of: str | None) -> bytes:
        link = {"partOf": {"reference": f"Encounter/{part_of}"}} if part_of else {}
        made = {"resourceType": "Encounter", "id": id_, "status": "finished", **link}
        return json.dumps(made).encode()

    links = {"a": "b", "b": "c", "c": "a", "d": "a", "e": None}
    index(layout, [[encounter(*each) for each in links.items()]])
    with Searcher(layout) as made:
        once = ask(made, "Encounter?_id=a&_include=Encounter:part-of")
        assert (ids(once), ids(once, "include")) == (["a"], ["b"])
        again = ask(made, "Encounter?_id=a&_include:iterate=Encounter:part-of")
        assert ids(again, "include") == ["b", "c"]
        back = ask(made, "Encounter?_id=a&_revinclude:iterate=Encounter:part-of")
        assert ids(back, "include") == ["c", "d", "b"]
        chain = ask(made, f"Encounter?{'part-of.' * 5}_id=c")
        assert ids(chain) == ["a"], "a, b, c, a, b, c"
        assert ids(ask(made, "Encounter?_has:Encounter:part-of:_id=d")) == ["a"]


def test_a_compartment_holds_what_refers_to_its_resource(searcher: Searcher, world: World) -> None:
    wanted = [e["id"] for e in world.observations if e["subject"]["reference"] == "Patient/p1"]
    assert wanted
    found = ask(searcher, "Patient/p1/Observation?_count=100")
    assert sorted(ids(found)) == sorted(wanted)
    assert ids(ask(searcher, "Patient/p1")) == ["p1"]


def test_modifiers_of_tokens_references_and_uris(tmp_path: Path) -> None:
    layout = Layout.of(tmp_path)
    kind = {"coding": [{"system": "http://t", "code": "MR"}], "text": "Record number"}
    one = {"resourceType": "Patient", "id": "1", "gender": "male"}
    one["identifier"] = [{"system": "http://s", "value": "7", "type": kind}]  # type: ignore[assignment]
    other = {"resourceType": "Patient", "id": "2", "gender": "unknown"}
    other["managingOrganization"] = {"identifier": {"system": "http://o", "value": "9"}}  # type: ignore[assignment]
    sets = [
        {"resourceType": "ValueSet", "id": str(n), "status": "active", "url": f"http://v{rest}"}
        for n, rest in enumerate(("", "/a", "/a/b", "/ab"))
    ]
    index(layout, [[json.dumps(each).encode() for each in (one, other, *sets)]])
    with Searcher(layout) as made:
        for text, wanted in {
            "Patient?identifier:of-type=http://t|MR|7": ["1"],
            "Patient?identifier:of-type=http://t|MR|8": [],
            "Patient?identifier:text=record": ["1"],
            "Patient?identifier=http://s|": ["1"],
            "Patient?organization:identifier=http://o|9": ["2"],
            "Patient?organization:identifier=9": ["2"],
            "Patient?gender:in=http://hl7.org/fhir/ValueSet/administrative-gender": ["1", "2"],
            "Patient?gender:not-in=http://hl7.org/fhir/ValueSet/administrative-gender": [],
            "ValueSet?url:below=http://v/a": ["1", "2"],
            "ValueSet?url:above=http://v/a/b": ["0", "1", "2"],
            "ValueSet?url=http://v/a": ["1"],
        }.items():
            assert sorted(ids(ask(made, text))) == wanted, text


def test_what_is_unknown_is_refused_with_what_there_is_or_dropped_and_named(
    searcher: Searcher,
) -> None:
    with pytest.raises(SearchError) as refused:
        searcher.search("Observation?foo=1&code:bar=x&status=final")
    issues = refused.value.outcome()["issue"]
    assert [each["code"] for each in issues] == ["not-supported"] * 2
    assert "value-quantity" in issues[0]["diagnostics"]
    assert "of-type" in issues[1]["diagnostics"]
    errors = [e for e in validate(refused.value.json().encode()) if e.severity == "error"]
    assert errors == []
    lenient = ask(searcher, "Observation?foo=1&code:bar=x&status=final", lenient=True)
    assert lenient["link"][0]["url"] == "Observation?status=final"
    assert lenient["total"] == ask(searcher, "Observation?status=final")["total"]
    outcome = lenient["entry"][-1]
    assert outcome["search"] == {"mode": "outcome"}
    assert len(outcome["resource"]["issue"]) == 2


_HOSTILE = [
    "Observation?code=" + "x" * 100_000,
    "Observation?code=" + ",".join(["x"] * 1_000),
    "Observation?" + "&".join(["code=x"] * 1_000),
    "Observation?" + "subject." * 50 + "name=x",
    "Patient?" + "_has:Observation:patient:subject:Patient." * 30 + "name=x",
    "Observation?" + "has-member." * 50 + "code=x",
    "Observation?code=%00",
    "Observation?code=%ff",
    "Observation?code=\ud800",
    "Observation?date=ge2020-02-30",
    "Observation?value-quantity=1e999999999",
    "Observation?value-quantity=" + "9" * 5_000,
    "Observation?_count=-1",
    "Observation?_page=abc",
    "Observation?_sort=code;DROP TABLE resources",
    "Observation?_include=Observation:subject';--",
    "Nothing?x=1",
    "",
    "/../../etc/passwd",
]


@pytest.mark.parametrize("number", range(len(_HOSTILE)))
def test_hostile_searches_are_refused(searcher: Searcher, number: int) -> None:
    with pytest.raises(SearchError) as refused:
        searcher.search(_HOSTILE[number])
    assert refused.value.outcome()["issue"]


def test_sql_in_values_finds_nothing_and_harms_nothing(searcher: Searcher) -> None:
    before = ask(searcher, "Observation")["total"]
    for value in ("'; DROP TABLE resources; --", "x' OR '1'='1", '"; SELECT 1', "$v0", "?"):
        for text in (f"Observation?code={value}", f"Observation?subject={value}"):
            assert ask(searcher, text)["total"] == 0
        assert ask(searcher, f"Patient?name={value}")["total"] == 0
    assert ask(searcher, "Observation")["total"] == before


def test_a_search_that_takes_too_long_is_given_up(world: World, tmp_path: Path) -> None:
    layout = Layout.of(tmp_path)
    index(layout, [[as_bytes(each) for each in world.patients]])
    with Searcher(layout) as made:
        opened = made._generation(None)
        with pytest.raises(SearchError, match="too long"):  # noqa: SIM117
            with made._limited(opened.connection, 0.01):
                opened.rows("SELECT count(*) FROM range(10000000000) AS a(x) WHERE x % 7 = 3", {})


def test_numbers_keep_their_digits_and_their_precision(tmp_path: Path) -> None:
    layout = Layout.of(tmp_path)
    values = ["5.4", "5.40", "5.44", "5.45", "1e40", "0.1234567890123456789012345678901234567"]
    template = {"resourceType": "Observation", "status": "final", "code": {"text": "c"}}
    contents = [
        re.sub(
            r'"@"',
            value,
            json.dumps(template | {"id": f"v{n}", "valueQuantity": {"value": "@"}}),
        ).encode()
        for n, value in enumerate(values)
    ]
    index(layout, [contents])
    with Searcher(layout) as made:
        for asked, wanted in {
            "5.4": ["v0", "v1", "v2"],
            "5.40": ["v0", "v1"],
            "gt5.4": ["v2", "v3", "v4"],
            "ge1e40": ["v4"],
            "gt0.123456789012345678901234567890123456": ["v0", "v1", "v2", "v3", "v4", "v5"],
            "lt0.1234567890123456789012345678901234567": [],
            f"5.4|{UCUM}|mg": [],
        }.items():
            assert sorted(ids(ask(made, f"Observation?value-quantity={asked}"))) == wanted, asked


def test_no_search_is_slow_for_its_size(searcher: Searcher) -> None:
    """Not a benchmark: the largest that is let through ends long before a minute."""
    started = time.monotonic()
    ask(searcher, "Observation?code=" + ",".join(f"c{n}" for n in range(500)))
    ask(searcher, "Observation?" + "&".join(["code=x", "status=final"] * 50))
    assert time.monotonic() - started < 60


def test_references_join_resources_of_their_own_source_only(tmp_path: Path) -> None:
    layout = Layout.of(tmp_path)
    condition = {"resourceType": "Condition", "id": "c", "subject": {"reference": "Patient/1"}}
    batches = [
        [json.dumps(each).encode() for each in (patient, condition)]
        for patient in (
            {"resourceType": "Patient", "id": "1", "gender": "male"},
            {"resourceType": "Patient", "id": "1", "gender": "female"},
        )
    ]
    index(layout, batches, ["http://a/fhir", "http://b/fhir"])
    with Searcher(layout) as made:
        found = ask(made, "Condition?subject:Patient.gender=female&_include=Condition:subject")
        addresses = [each["fullUrl"] for each in found["entry"]]
        assert addresses == ["http://b/fhir/Condition/c", "http://b/fhir/Patient/1"]
        assert ask(made, "Condition?subject=Patient/1")["total"] == 2
        own = ask(made, "Condition?subject=http://a/fhir/Patient/1")
        assert [each["fullUrl"] for each in own["entry"]] == ["http://a/fhir/Condition/c"]


def test_a_resource_whose_values_cannot_be_read_is_counted_and_harms_no_other(
    tmp_path: Path,
) -> None:
    layout = Layout.of(tmp_path)
    births = ["1974", "no date", "1975"]
    contents = [
        json.dumps({"resourceType": "Patient", "id": str(n), "birthDate": birth}).encode()
        for n, birth in enumerate(births)
    ]
    (run,) = index(layout, [contents]).runs
    assert run.shares[0].refused == {"Patient: ValueError": 1}
    with Searcher(layout) as made:
        assert ids(ask(made, "Patient?birthdate=ge1974")) == ["0", "2"]


def test_a_damaged_index_is_the_environments_fault(tmp_path: Path) -> None:
    layout = Layout.of(tmp_path)
    (run,) = index(layout, [[b'{"resourceType":"Patient","id":"1"}']]).runs
    file_of(layout, run).write_bytes(b"no database")
    with Searcher(layout) as made, pytest.raises(IndexDamagedError):
        made.search("Patient")
