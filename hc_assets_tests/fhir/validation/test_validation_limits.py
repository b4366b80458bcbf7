"""Mutations of a valid resource are found where they stand; hostile input is refused politely.

Belongs here: properties over many mutations, and limits. Single rules belong to
`test_validation.py`.
"""

import json
from datetime import date
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hc_assets.fhir.validation import validate
from hc_assets_tests.fhir.validation.judged_resources import errors, patient

FULL = patient(
    id="p",
    identifier=[{"use": "usual", "system": "urn:x:y", "value": "1"}],
    name=[{"use": "official", "family": "a", "given": ["b", "c"]}],
    gender="female",
    birthDate="1970-01-31",
    contact=[{"name": {"family": "d"}, "period": {"start": "2020-01-01"}}],
    communication=[{"language": {"text": "Dutch"}, "preferred": True}],
    link=[{"other": {"reference": "Patient/q"}, "type": "seealso"}],
)


def _members(value: Any, path: str) -> list[tuple[dict[str, Any], str, str]]:
    """Every member of every object: the object, the member's name and its FHIRPath location."""
    found = []
    if isinstance(value, dict):
        for name, child in value.items():
            if name != "resourceType":
                found.append((value, name, f"{path}.{name}"))
                found += _members(child, f"{path}.{name}")
    elif isinstance(value, list):
        for index, child in enumerate(value):
            found += _members(child, f"{path}[{index}]")
    return found


_NUMBER_OF_MEMBERS = len(_members(FULL, "Patient"))
_BREAK: dict[str, Any] = {
    "null": None,
    "empty object": {},
    "empty list": [],
    "list of a null": [None],
    "number": 12.5,
}


@given(st.integers(0, _NUMBER_OF_MEMBERS - 1), st.sampled_from(sorted(_BREAK)))
@settings(max_examples=200, deadline=None)
def test_value_of_the_wrong_kind_is_found_at_its_place(number: int, kind: str) -> None:
    resource = json.loads(json.dumps(FULL))
    holder, name, path = _members(resource, "Patient")[number]
    holder[name] = _BREAK[kind]
    assert path in {location.removesuffix("[0]") for location, _ in errors(resource)}


@given(st.integers(0, _NUMBER_OF_MEMBERS - 1))
@settings(max_examples=100, deadline=None)
def test_unknown_and_repeated_members_are_found_where_they_stand(number: int) -> None:
    resource = json.loads(json.dumps(FULL))
    holder, _, path = _members(resource, "Patient")[number]
    place = path.rpartition(".")[0]
    holder["notAMember"] = "x"
    assert errors(resource) == {(f"{place}.notAMember", "unknown-member")}
    text = json.dumps(resource).replace('"notAMember": "x"', '"zz": "x", "zz": "x"')
    assert (f"{place}.zz", "duplicate-member") in errors(text)


@pytest.mark.parametrize("path", ["link[0].other", "link[0].type", "communication[0].language"])
def test_dropped_required_element_is_found(path: str) -> None:
    resource = json.loads(json.dumps(FULL))
    outer, _, inner = path.partition("[0].")
    del resource[outer][0][inner]
    assert errors(resource) == {(f"Patient.{path}", "cardinality")}


@given(
    st.integers(1, 9999), st.integers(0, 14), st.integers(0, 33), st.sampled_from(["", "x", "T"])
)
def test_dates_are_accepted_exactly_where_the_calendar_has_them(
    year: int, month: int, day: int, tail: str
) -> None:
    text = f"{year:04}-{month:02}-{day:02}{tail}"
    try:
        date(year, month, day)
        exists = not tail
    except ValueError:
        exists = False
    assert errors(patient(birthDate=text)) == (
        set() if exists else {("Patient.birthDate", "primitive-format")}
    )


@pytest.mark.parametrize("opening", ["[", '{"extension":['])
def test_deep_nesting_is_refused_politely(opening: str) -> None:
    text = '{"resourceType":"Patient","extension":' + opening * 10_000
    assert {rule for _, rule in errors(text)} <= {"nesting", "json-syntax"}
    closing = "".join({"[": "]", "{": "}"}.get(c, "") for c in reversed(opening))
    assert {rule for _, rule in errors(text + closing * 10_000 + "}")} == {"nesting"}


def test_nesting_within_the_limit_is_judged_by_its_content() -> None:
    extension: dict[str, Any] = {"url": "http://x.org/a", "valueString": "x"}
    for _ in range(50):
        extension = {"url": "http://x.org/a", "extension": [extension]}
    assert errors(patient(extension=[extension])) == set()
    for _ in range(50):
        extension = {"url": "http://x.org/a", "extension": [extension]}
    assert errors(patient(extension=[extension])) == {("", "nesting")}


def test_huge_string_is_refused_with_its_length() -> None:
    raw = json.dumps(patient(name=[{"text": "x" * 100_000_000}])).encode()
    [issue] = [i for i in validate(raw) if i.severity == "error"]
    assert (issue.expression, issue.rule) == ("Patient.name[0].text", "primitive-format")
    assert "100000000 characters" in issue.diagnostics
    assert len(issue.diagnostics) < 200


def test_thousands_of_errors_end_in_a_bounded_list() -> None:
    issues = validate(json.dumps(patient(name=[{"foo": 1}] * 5000)).encode())
    assert len([i for i in issues if i.rule == "unknown-member"]) == 1000
    assert issues[-1].rule == "too-many-issues"


def test_values_stay_out_of_the_text_of_an_issue() -> None:
    private = "Lindqvist-7731"
    resource = patient(
        birthDate=private, identifier=[{"value": [private]}], id=private + "!", active=private
    )
    issues = validate(json.dumps(resource).encode())
    assert len([i for i in issues if i.severity == "error"]) == 4
    assert private not in str(issues)
