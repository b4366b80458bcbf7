"""The compiled fast path on hostile bytes, in threads, and beside the patterns that it stands for.

Belongs here: what only compiled code can get wrong: memory, and forms written out by hand. That its
verdicts are right is `test_two_paths_agree.py`.
"""

import importlib.util
import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import hc_assets
from hc_assets.fhir.r4.definitions import choice_member, r4
from hc_assets.fhir.r4.fast.fast_path import accept, accept_envelope
from hc_assets.fhir.r4.primitives import (
    PATTERNS,
    format_problem,
    has_control_characters,
    is_absolute,
)
from hc_assets.fhir.r4.references import parse_reference
from hc_assets.fhir.r4.thorough_path import issues_beside_resources, thorough_issues
from hc_assets.fhir.validation import has_errors
from hc_assets_tests.sanitizers import run_sanitized

_MUTANTS = Path(__file__).with_name("mutants.py")
_SPEC = importlib.util.spec_from_file_location("mutants", _MUTANTS)
assert _SPEC is not None
assert _SPEC.loader is not None
_MODULE = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(_MODULE)
_SOURCES = Path(hc_assets.__file__).parent / "fhir" / "r4" / "fast" / "native"


def test_mutants_that_are_accepted_have_no_issue_on_the_thorough_path() -> None:
    accepted = 0
    for text in _MODULE.mutants(seed=1, count=20_000):
        bare = accept(text)
        if bare is not None:
            accepted += 1
            issues = thorough_issues(text)
            assert {issue.rule for issue in issues} <= {"dom-6"}
            assert sorted(issue.expression for issue in issues) == sorted(bare)
    assert accepted > 200


def test_mutants_accepted_as_bundles_have_no_error_beside_their_resources() -> None:
    accepted = 0
    for text in _MODULE.mutants(seed=5, count=8_000):
        if accept_envelope(text):
            accepted += 1
            assert not has_errors(issues_beside_resources(text)), text
    assert accepted > 20


@pytest.mark.sanitized
def test_no_byte_is_read_or_written_out_of_bounds(tmp_path: Path) -> None:
    printed = run_sanitized(_SOURCES.glob("*.c"), _MUTANTS, tmp_path, "2", "40000")
    assert int(printed) > 400


def test_threads_judge_beside_one_another() -> None:
    texts = list(_MODULE.mutants(seed=3, count=3_000))
    alone = [accept(text) for text in texts]
    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(accept, texts * 4)) == alone * 4


def _holding(member: str, value: object) -> bytes:
    extension = {"url": "http://example.org/e", member: value}
    resource = {"resourceType": "Basic", "code": {"text": "x"}, "extension": [extension]}
    return json.dumps(resource).encode()


_TYPES = sorted(
    name
    for name in r4().type_names
    if r4().type(name).kind == "primitive-type" and name not in ("xhtml", "boolean", "decimal")
)
_NEAR = st.text("0123456789-:.TZ+ aAfFuri/#=\t\n", max_size=30)


@st.composite
def _values(draw: st.DrawFn) -> tuple[str, object]:
    """A primitive type, and a value that has its form or nearly has it."""
    type_name = draw(st.sampled_from(_TYPES))
    if type_name in ("integer", "unsignedInt", "positiveInt"):
        near = st.integers(-2, 2) | st.integers(2**31 - 2, 2**31 + 2)
        return type_name, draw(near | near.map(lambda number: -number))
    if type_name not in PATTERNS:
        return type_name, draw(_NEAR)
    value = draw(st.from_regex(PATTERNS[type_name]) | _NEAR)
    if draw(st.booleans()) and value:
        at = draw(st.integers(0, len(value) - 1))
        value = (
            value[:at] + draw(st.sampled_from(list("09-:.TZ+ aF/")) | st.just("")) + value[at + 1 :]
        )
    return type_name, value


@given(_values())
@settings(max_examples=1500, deadline=None)
def test_forms_are_those_of_the_patterns(of_type: tuple[str, object]) -> None:
    type_name, value = of_type
    is_right = format_problem(type_name, value) is None  # type: ignore[arg-type]
    accepted = accept(_holding(choice_member("value", type_name), value)) is not None
    if isinstance(value, str) and has_control_characters(value):
        assert not accepted  # worth a warning
    elif type_name == "base64Binary" or (
        # With white space in the one, with a relative URL in the other, the thorough path decides.
        type_name == "canonical" and isinstance(value, str) and not is_absolute(value)
    ):
        assert is_right or not accepted
    else:
        assert accepted == is_right


_SEGMENTS = st.sampled_from(
    [
        *("Patient", "Group", "Foo", "_history", "1", "a.b-C", "http:", "https:", "", "x.org"),
        *("#a", "?", "a b", "Patient?x=1", "urn:oid:1.2"),
        "urn:uuid:0c3151bd-1cbf-4d64-b04d-cd9187a4c6e0",
    ]
)


@given(st.lists(_SEGMENTS, min_size=1, max_size=7).map("/".join))
@settings(max_examples=800, deadline=None)
def test_references_that_are_accepted_name_a_type_that_may_stand_there(text: str) -> None:
    resource = {
        "resourceType": "Observation",
        "status": "final",
        "code": {"text": "x"},
        "subject": {"reference": text},
    }
    raw = json.dumps(resource).encode()
    parsed = parse_reference(text)
    if accept(raw) is not None:
        assert parsed is not None
        assert parsed.resource_type in ("Patient", "Group", "")
        assert {issue.rule for issue in thorough_issues(raw)} <= {"dom-6"}
    elif parsed is not None and parsed.kind == "relative":
        assert parsed.resource_type not in ("Patient", "Group")
