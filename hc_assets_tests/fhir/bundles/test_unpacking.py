"""Bundles in Bundles, and what Parameters hold."""

import json
from typing import Any

import pytest

from hc_assets.fhir.bundles.entries import Entry, resource_entry
from hc_assets.fhir.bundles.envelopes import issues_of_whole
from hc_assets.fhir.bundles.unpacking import MAX_NESTED, unpacked
from hc_assets_tests.fhir.bundles.split_entries import LINES, split


def patient(id_: str) -> dict[str, Any]:
    return {"resourceType": "Patient", "id": id_}


def bundle(type_: str, *resources: dict[str, Any]) -> dict[str, Any]:
    entries = [{"resource": resource} for resource in resources]
    return {"resourceType": "Bundle", "type": type_, "entry": entries}


def parameters(*held: dict[str, Any], **parameter: Any) -> dict[str, Any]:
    listed = [{"name": "return", "resource": each} for each in held]
    return {"resourceType": "Parameters", "parameter": [*listed, {"name": "x", **parameter}]}


def named(entries: list[Entry]) -> list[tuple[int, str | None, str | None]]:
    return [(entry.position, entry.resource_id, entry.place) for entry in entries]


NESTED = bundle(
    "batch-response",
    patient("a"),
    bundle("searchset", patient("b"), bundle("history", patient("c"))),
    patient("d"),
    parameters(patient("e"), part=[{"name": "y", "resource": bundle("batch", patient("f"))}]),
)


def test_entries_are_taken_at_any_depth_in_order_each_named_by_its_place():
    found = split(json.dumps(NESTED).encode())
    assert not any(entry.problem or entry.not_data for entry in found)
    assert named(found) == [
        (0, "a", None),
        (1, "b", "Bundle.entry[1].resource.entry[0].resource"),
        (2, "c", "Bundle.entry[1].resource.entry[1].resource.entry[0].resource"),
        (3, "d", "Bundle.entry[2].resource"),  # which its position does not say any more
        (4, "e", "Bundle.entry[3].resource.parameter[0].resource"),
        (5, "f", "Bundle.entry[3].resource.parameter[1].part[0].resource.entry[0].resource"),
    ]


def test_lines_that_hold_others_are_counted_on():
    lines = [patient("a"), parameters(patient("b"), patient("c")), patient("d")]
    found = split("\n".join(map(json.dumps, lines)).encode(), LINES)
    assert named(found) == [
        (0, "a", None),
        (1, "b", "Parameters.parameter[0].resource"),
        (2, "c", "Parameters.parameter[1].resource"),
        (3, "d", None),
    ]


def test_what_is_kept_whole_is_kept_whole_within_others_too():
    document = bundle("document", patient("a"))
    for held in (bundle("collection", document), parameters(document)):
        (inner,) = split(json.dumps(held).encode())
        assert inner.resource_id == "a"
        (kept,) = split(json.dumps(held).encode(), LINES)
        assert json.loads(kept.resource or b"") == document
        assert (kept.resource_type, kept.problem) == ("Bundle", None)


@pytest.mark.parametrize(
    "held",
    [
        parameters(),
        parameters(valueString="y"),
        parameters(part=[{"name": "z", "valueString": "y"}]),
        bundle("collection", bundle("searchset")),
        {"resourceType": "Parameters"},
    ],
)
def test_what_holds_no_resource_is_no_data(held):
    (entry,) = split(json.dumps(held).encode())
    assert "there is nothing in" in str(entry.not_data)
    assert entry.problem is None


def test_a_member_twice_around_what_parameters_hold_refuses_them():
    text = json.dumps(parameters(patient("a"))).replace('"name": "x"', '"name": "x", "name": "y"')
    (entry,) = split(text.encode())
    assert entry.problem == "Parameters says a member twice"
    within = text.replace('"id": "a"', '"id": "a", "id": "b"').replace('"name": "x", ', "")
    (entry,) = split(within.encode())
    assert (entry.problem, entry.resource_type) == (None, "Patient")


def test_bundles_deeper_than_json_may_be_are_named():
    held = bundle("collection", patient("a"))
    for _ in range(MAX_NESTED + 1):
        held = bundle("collection", held)
    (entry,) = split(json.dumps(held).encode())
    assert entry.problem == f"a Bundle more than {MAX_NESTED} deep in others"
    assert entry.resource_type == "Bundle"
    assert (entry.place or "").count(".resource") == MAX_NESTED + 1


def test_what_is_wrong_as_a_whole_stands_behind_what_it_holds():
    whole = resource_entry(4, json.dumps(NESTED).encode())
    found = list(unpacked(whole, judge=issues_of_whole))
    assert [entry.position for entry in found] == list(range(4, 4 + len(found)))
    assert [entry.resource_id for entry in found if not entry.issues] == list("abcdef")
    # Innermost first; none has what R4 asks of entries of its type.
    assert [(entry.resource_type, entry.place) for entry in found if entry.issues] == [
        ("Bundle", "Bundle.entry[1].resource.entry[1].resource"),
        ("Bundle", "Bundle.entry[1].resource"),
        ("Bundle", "Bundle.entry[3].resource.parameter[1].part[0].resource"),
        ("Bundle", None),
    ]


def test_a_judge_that_raises_costs_the_row_of_the_whole_and_no_entry():
    def failing(_: bytes) -> list[Any]:
        raise ZeroDivisionError

    data = json.dumps(bundle("collection", patient("a"))).encode()
    entry, whole = unpacked(resource_entry(0, data), judge=failing)
    assert (entry.resource_id, entry.problem) == ("a", None)
    assert str(whole.problem).startswith("internal error: ZeroDivisionError")
    assert (whole.position, whole.resource_type) == (1, "Bundle")


def test_what_is_wrong_in_an_entry_that_is_refused_is_said_once():
    right = {"fullUrl": "https://example.org/Patient/a", "resource": patient("a")}
    wrong = right | {"fullUrl": "https://example.org/Patient/b", "link": [{"relation": 5}]}
    for entries, are_said_once in ([[right, wrong], True], [[wrong, right, right], False]):
        data = json.dumps(bundle("collection") | {"entry": entries}).encode()
        found = list(unpacked(resource_entry(0, data), judge=issues_of_whole))
        assert sum(entry.problem is not None for entry in found) == 1
        assert [bool(entry.issues) for entry in found[-1:]] == [not are_said_once]
    # Of a Bundle that has a row, every reason is in it.
    assert {issue.expression for issue in found[-1].issues} >= {"Bundle.entry[0].link[0].relation"}
