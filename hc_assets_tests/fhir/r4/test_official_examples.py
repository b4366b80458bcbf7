"""HL7's own R4 examples are accepted, but for those that break HL7's rules.

Belongs here: the official examples. Which are rejected and why stands in
`rejected_official_examples.json`.
"""

import json
import os
import random
from pathlib import Path

import pytest

from hc_assets.fhir.r4.fast.fast_path import accept
from hc_assets.fhir.r4.thorough_path import thorough_issues
from hc_assets.fhir.validation import has_errors

_PACKAGE = Path(os.environ.get("HC_R4_PACKAGE", ""))
_SEED = 20260301
REASONS: dict[str, str] = json.loads(
    Path(__file__).with_name("rejected_official_examples.json").read_text("utf-8")
)


def test_few_examples_are_rejected_and_each_has_its_reason() -> None:
    assert len(REASONS) <= 18
    assert all(REASONS.values())


_NEEDS_PACKAGE = pytest.mark.skipif(
    "HC_R4_PACKAGE" not in os.environ or not _PACKAGE.is_dir(),
    reason="HC_R4_PACKAGE names no unpacked npm package hl7.fhir.r4.examples 4.0.1",
)


def examples() -> list[Path]:
    files = [p for p in sorted(_PACKAGE.rglob("*.json")) if p.name != "package.json"]
    assert len(files) == 5306
    return files


@_NEEDS_PACKAGE
def test_the_fast_path_finds_every_issue_of_an_example() -> None:
    accepted = 0
    for path in examples():
        raw = path.read_bytes()
        bare = accept(raw)
        if bare is not None:
            accepted += 1
            issues = thorough_issues(raw)
            assert {issue.rule for issue in issues} <= {"dom-6"}, path.name
            assert [issue.expression for issue in issues] == bare, path.name
    # Clinical resources: the fast path leaves definitions (profiles, value sets) to the other.
    assert accepted > 500


@_NEEDS_PACKAGE
@pytest.mark.parametrize(
    "count",
    [pytest.param(500, id="sampled"), pytest.param(None, id="all", marks=pytest.mark.exhaustive)],
)
def test_official_examples_are_accepted_but_for_those_with_a_reason(count: int | None) -> None:
    files = examples()
    if count is not None:
        chosen = set(random.Random(_SEED).sample(files, count))  # noqa: S311
        files = [path for path in files if path in chosen or path.name in REASONS]
    rejected = set()
    for path in files:
        raw = path.read_bytes()
        if has_errors(thorough_issues(raw)):
            rejected.add(path.name)
            assert accept(raw) is None, path.name
    assert rejected == set(REASONS)
