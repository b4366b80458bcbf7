"""HL7's own R4 examples are accepted, but for those that break HL7's rules.

Belongs here: the official examples. Which are rejected and why stands in
`rejected_official_examples.json`.
"""

import json
import os
from pathlib import Path

import pytest

from hc_assets.fhir.r4.fast_path import accept
from hc_assets.fhir.r4.thorough_path import thorough_issues
from hc_assets.fhir.validation import has_errors

_PACKAGE = Path(os.environ.get("HC_R4_PACKAGE", ""))
REASONS: dict[str, str] = json.loads(
    Path(__file__).with_name("rejected_official_examples.json").read_text("utf-8")
)


def test_few_examples_are_rejected_and_each_has_its_reason() -> None:
    assert len(REASONS) <= 15
    assert all(REASONS.values())


@pytest.mark.skipif(
    "HC_R4_PACKAGE" not in os.environ or not _PACKAGE.is_dir(),
    reason="HC_R4_PACKAGE names no unpacked npm package hl7.fhir.r4.examples 4.0.1",
)
def test_official_examples_are_accepted_but_for_those_with_a_reason() -> None:
    rejected = set()
    files = [p for p in sorted(_PACKAGE.rglob("*.json")) if p.name != "package.json"]
    assert len(files) == 5306
    for path in files:
        raw = path.read_bytes()
        has_error = has_errors(thorough_issues(raw))
        if has_error:
            rejected.add(path.name)
            assert accept(raw) is None, path.name
    assert rejected == set(REASONS)
