"""The fast path never accepts what the thorough path rejects; neither raises on anything.

Belongs here: properties that hold over both paths. Single rules belong to
`hc_assets_tests/fhir/validation/test_validation.py`.
"""

import copy
import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from hc_assets.fhir.r4.definitions import r4
from hc_assets.fhir.r4.fast.fast_path import accept, undecided
from hc_assets.fhir.r4.thorough_path import thorough_issues
from hc_assets.fhir.validation import has_errors, is_valid, operation_outcome, validate

VALID: list[dict[str, Any]] = json.loads(
    Path(__file__).with_name("valid_resources.json").read_text("utf-8")
)

# What mutations put in place of what was there: of the right kind and wrong, of every JSON type.
_SUBSTITUTES = st.sampled_from(
    [
        *(None, "", "x", " ", "a b", "2020-02-30", "2020", "#med", "#x", "Patient/p1", "Group/1"),
        *("urn:oid:1.2.3", "urn:oid:a", "urn:uuid:1", "oid:1.2", "http://x.org/a|1", "self"),
        *("Medication/1", "urn:uuid:0c3151bd-1cbf-4d64-b04d-cd9187a4c6e0", "http://x.org/a"),
        *("http://hl7.org/fhir/StructureDefinition/patient-birthPlace", "final", "home", "male"),
        *(
            "Group",
            "Patient",
            "entered-in-error",
            "document",
            "searchset",
            "collection",
            "en",
            "QUI=",
            "%",
            "\x00",
        ),
        *(0, 1, -1, 3, 1.5, 2**40, True, False, [], {}, [None], [{}], {"id": "a"}),
        *({"coding": [{"code": "x"}]}, {"reference": "#x"}, {"value": 1, "code": "m"}),
        {"status": "generated", "div": '<div xmlns="http://www.w3.org/1999/xhtml"></div>'},
        [{"url": "http://x.org/a", "valueString": "b"}],
        [{"url": "http://hl7.org/fhir/StructureDefinition/patient-birthPlace"}],
        {"contentType": "text/plain", "data": "QUI=", "size": 3},
        {"security": [{"system": "http://x.org/a", "code": "b"}] * 2},
        [{"relation": "self", "url": "http://x.org/a"}] * 2,
    ]
)
_NAMES = st.sampled_from(
    [
        *("_birthDate", "_status", "value", "valueString", "valueQuantity", "extension", "id"),
        *("modifierExtension", "contained", "meta", "text", "foo", "reference", "type", "_url"),
        *("identifier", "effectiveDateTime", "resourceType", "code", "status", "period"),
        *("link", "photo", "_id"),
        *("subject", "fullUrl", "request", "name", "language", "implicitRules", "_valueString"),
    ]
)


def _containers(value: Any) -> list[Any]:
    found = []
    if isinstance(value, dict | list):
        found.append(value)
        for child in value.values() if isinstance(value, dict) else value:
            found += _containers(child)
    return found


@st.composite
def _mutants(draw: st.DrawFn) -> bytes:
    """A valid resource after up to three random changes, in one of several ways to write JSON."""
    resource = copy.deepcopy(draw(st.sampled_from(VALID)))
    for _ in range(draw(st.integers(0, 3))):
        place = draw(st.sampled_from(_containers(resource)))
        if isinstance(place, dict):
            change = draw(st.sampled_from(["drop", "replace", "add", "move"]))
            if change == "add" or not place:
                place[draw(_NAMES)] = copy.deepcopy(draw(_SUBSTITUTES))
                continue
            name = draw(st.sampled_from(sorted(place)))
            if change == "drop":
                del place[name]
            elif change == "replace":
                place[name] = copy.deepcopy(draw(_SUBSTITUTES))
            else:
                place[draw(_NAMES)] = place.pop(name)
        elif place and draw(st.booleans()):
            place.append(copy.deepcopy(draw(st.sampled_from(place))))
        else:
            place.append(copy.deepcopy(draw(_SUBSTITUTES)))
    text = json.dumps(
        resource,
        indent=draw(st.sampled_from([None, 1])),
        ensure_ascii=draw(st.booleans()),
        separators=draw(st.sampled_from([(",", ":"), (", ", ": "), (" ,", " :\t")])),
    )
    if draw(st.booleans()):
        position = text.find('"', draw(st.integers(0, len(text) - 1)))
        if position >= 0:
            text = f'{text[:position]}"id":"z",{text[position:]}'
    return text.encode()


@given(_mutants())
@settings(max_examples=600, deadline=None)
def test_fast_path_never_accepts_what_the_thorough_path_rejects(raw: bytes) -> None:
    bare = accept(raw)
    issues = thorough_issues(raw)
    if bare is not None:
        assert not has_errors(issues)
        # And nothing else is lost on the way: the same warnings, at the same places.
        assert sorted(i.expression for i in issues) == sorted(bare)
        assert {i.rule for i in issues} <= {"dom-6"}
    assert is_valid(raw) == (not has_errors(validate(raw)))


@settings(max_examples=50)
@given(st.lists(_mutants(), max_size=5), st.integers(0, 2))
def test_resources_side_by_side_are_decided_as_each_alone(texts: list[bytes], first: int) -> None:
    column = pa.array([*texts, b"{}"], pa.binary())[first:]
    _, offsets, data = column.buffers()
    places = np.frombuffer(offsets, np.int32)[column.offset :][: len(column) + 1]
    alone = [number for number, each in enumerate(column.to_pylist()) if accept(each) is None]
    assert undecided(data.address, places.tolist()) == alone


@pytest.mark.parametrize("resource", VALID, ids=lambda r: r["resourceType"])
def test_valid_resources_are_valid(resource: dict[str, Any]) -> None:
    assert not has_errors(thorough_issues(json.dumps(resource).encode()))


@pytest.mark.parametrize("resource", VALID[:7] + VALID[8:9], ids=lambda r: r["resourceType"])
@pytest.mark.parametrize("indent", [None, 2])
def test_usual_resources_take_the_fast_path(resource: dict[str, Any], indent: int | None) -> None:
    assert accept(json.dumps(resource, indent=indent).encode()) is not None


@given(st.binary(max_size=300))
@example(b"")
@example(b"\xff\xfe{}")
@example(b"{}")
@example(b"null")
@example(b"[1e999, 1e-999, 123456789012345678901234567890]")
@example(b'{"resourceType":"Patient"')
@example(b'{"resourceType":"Patient"}\x00')
@example(b'{"resourceType":["Patient"]}')
@example(b'{"resourceType":"DomainResource"}')
@example(b'"\\ud800"')
def test_arbitrary_bytes_are_answered(raw: bytes) -> None:
    issues = validate(raw)
    assert operation_outcome(issues)
    assert is_valid(raw) == (not has_errors(issues))


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(_NAMES | st.text(max_size=5), inner, max_size=4)
    ),
    max_leaves=12,
)


@given(st.sampled_from(sorted(r4().resource_names)), st.dictionaries(_NAMES, _JSON, max_size=5))
@settings(max_examples=300, deadline=None)
def test_arbitrary_json_is_answered(resource_type: str, members: dict[str, Any]) -> None:
    try:
        raw = json.dumps({**members, "resourceType": resource_type}).encode()
    except ValueError:  # an infinite float is no JSON
        return
    issues = thorough_issues(raw)
    assert operation_outcome(issues)
    if accept(raw) is not None:
        assert not has_errors(issues)


@pytest.mark.parametrize("name", sorted(r4().resource_names))
def test_every_resource_type_compiles_and_is_walked(name: str) -> None:
    raw = json.dumps({"resourceType": name, "unknown": 1}).encode()
    assert accept(raw) is None
    assert f"{name}.unknown" in [i.expression for i in thorough_issues(raw)]
