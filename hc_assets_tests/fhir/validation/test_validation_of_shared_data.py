"""Validation of real data: Synthea bundles, a Bulk Data export, HL7's validator cases.

Belongs here: data that nobody in this project wrote; without it the tests are skipped.
"""

import json
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from hc_assets.fhir.r4.fast.fast_path import accept
from hc_assets.fhir.validation import has_errors, validate

DATA = Path(__file__).resolve().parents[4] / "shared" / "data" / "fhir"
CASES = DATA / "validator_cases"
STRUCTURAL_TIERS = ("structure", "invariant", "bundle", "json_syntax")

needs_data = pytest.mark.skipif(not DATA.is_dir(), reason=f"no shared FHIR data at {DATA}")


class _Entry(msgspec.Struct):
    resource: msgspec.Raw


class _Bundle(msgspec.Struct):
    entry: list[_Entry]


def _bundles() -> Iterator[bytes]:
    for path in sorted((DATA / "synthea_bundles").glob("*.json")):
        yield path.read_bytes()


def _lines() -> Iterator[bytes]:
    for path in sorted((DATA / "bulk_10_patients").glob("*.ndjson")):
        yield from (line for line in path.read_bytes().splitlines() if line.strip())


@needs_data
def test_synthea_bundles_are_valid_as_a_whole_and_entry_by_entry() -> None:
    entries = 0
    for raw in _bundles():
        assert not has_errors(validate(raw))
        for entry in msgspec.json.decode(raw, type=_Bundle).entry:
            entries += 1
            assert not has_errors(validate(bytes(entry.resource)))
    assert entries == 3453


@needs_data
def test_bulk_export_is_valid() -> None:
    lines = list(_lines())
    assert len(lines) == 7160
    assert not any(has_errors(validate(line)) for line in lines)


@needs_data
def test_usual_data_takes_the_fast_path() -> None:
    entries = [
        bytes(entry.resource)
        for raw in _bundles()
        for entry in msgspec.json.decode(raw, type=_Bundle).entry
    ]
    for resources in (entries, list(_lines())):
        slow = sum(accept(resource) is None for resource in resources)
        assert slow <= 0.01 * len(resources)


def _cases() -> list[dict[str, Any]]:
    cases: list[dict[str, Any]] = json.loads((CASES / "manifest.json").read_text("utf-8"))["cases"]
    return cases


def _rejected(case: dict[str, Any]) -> bool:
    return has_errors(validate((CASES / case["file"]).read_bytes()))


@needs_data
def test_cases_of_structure_invariants_bundles_and_syntax_are_caught() -> None:
    wanted = [c for c in _cases() if not c["valid"] and c["tier"] in STRUCTURAL_TIERS]
    missed = [case["name"] for case in wanted if not _rejected(case)]
    assert len(wanted) > 20
    assert len(missed) <= 0.05 * len(wanted), missed


@needs_data
def test_valid_cases_are_accepted() -> None:
    valid = [case for case in _cases() if case["valid"]]
    refused = [case["name"] for case in valid if _rejected(case)]
    assert len(valid) > 30
    assert len(refused) <= 0.03 * len(valid), refused


@needs_data
def test_most_cases_that_can_be_decided_offline_are_decided_as_by_hl7() -> None:
    agreed: dict[bool, list[str]] = defaultdict(list)
    for case in _cases():
        if case["tier"] not in ("terminology_only", "extension_definition"):
            agreed[_rejected(case) != case["valid"]].append(case["name"])
    assert len(agreed[True]) >= 0.85 * (len(agreed[True]) + len(agreed[False])), agreed[False]
