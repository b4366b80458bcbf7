"""What `validate` refuses, `ingest` quarantines, file by file and entry by entry, and the other way
round; and what is no data to one is no data to the other.
"""

import os
import re
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from hc_assets.fhir.bundles.entries import resource_entry
from hc_assets.fhir.bundles.envelopes import issues_of_whole
from hc_assets.fhir.bundles.unpacking import unpacked
from hc_assets.fhir.validation import has_errors, validate
from hc_assets.fhir.validation.files import Checked, validate_files
from hc_assets.fhir.verdicts.accounting import entries_accounted_for, entry_keys
from hc_assets.lake.discovery import discover
from hc_assets.lake.layout import Layout
from hc_assets_tests.fhir.validation.damaged_bundles import DOCUMENTS, damaged
from hc_assets_tests.fhir.worker_runs import Run, rows

PACKAGE = Path(os.environ.get("HC_R4_PACKAGE", ""))
# What is ambiguous or no JSON of FHIR. Other rules on what is around a resource hold for the Bundle
# as a whole (its type, fullUrls, who may refer to whom); its entries are taken each on its own.
REFUSED_AROUND = {"duplicate-member", "json-type", "null-value"}
OF_THE_BUNDLE = {"bundle-reference", "bundle-search"}
IN_ENTRY = re.compile(r"Bundle\.entry\[(\d+)\]")


def refused_by_validate(checked: Checked, count: int) -> tuple[set[int], set[int]]:
    """Positions of entries that must be refused, and of those that may."""
    must: set[int] = set()
    may: set[int] = set()
    for finding in checked.findings:
        for issue in finding.issues:
            if issue.severity not in ("fatal", "error"):
                continue
            inside = IN_ENTRY.match(issue.expression) if finding.position is None else None
            everywhere = finding.position is None and inside is None
            if finding.position is not None:
                places = {finding.position}
            else:
                places = {int(inside[1])} if inside else set(range(count))
            may |= places
            is_ambiguous = issue.rule == "duplicate-member"
            if everywhere or finding.resource_type == "Bundle":
                must |= places if is_ambiguous else set()
            if inside is not None:
                must |= places if issue.rule in REFUSED_AROUND else set()
            if finding.position is not None and issue.rule not in OF_THE_BUNDLE:
                must |= places
    return must, may


@dataclass
class Ingested:
    """What became of a file.

    Attributes:
        entries: positions of its rows, without those that stand for a Bundle.
        refused: positions of the invalid ones among them.
        is_refused: whether any row of the file is invalid.
        not_data: how many rows are no data.
        is_flat: whether each entry's position is its number in the file's Bundle or its line.
    """

    entries: set[int] = field(default_factory=set)
    refused: set[int] = field(default_factory=set)
    is_refused: bool = False
    not_data: int = 0
    is_flat: bool = True


def ingested(folder: Path, files: dict[str, bytes]) -> dict[str, Ingested]:
    run = Run(Layout.of(folder))
    raw = run.split(*run.land(**{name.replace(".", "__"): data for name, data in files.items()}))
    validated, quarantined, _ = run.judge(raw)
    keys = (entry_keys(table) for table in (raw, validated, quarantined))
    assert entries_accounted_for(*keys).passed
    found = {name: Ingested() for name in files}
    wholes = set()
    for row in rows(raw):
        of_file = found[row["source_file"]]
        of_file.is_flat &= row["place"] is None and row["resource_type"] != "Parameters"
        if row["issues"] is None:
            of_file.entries.add(row["position"])
        else:
            wholes.add((row["source_file"], row["position"]))
    for row in rows(quarantined):
        of_file = found[row["source_file"]]
        if row["class"] == "not_data":
            of_file.not_data += 1
            assert not any(issue["severity"] in ("fatal", "error") for issue in row["issues"])
            continue
        assert row["class"] == "invalid"
        assert any(issue["severity"] in ("fatal", "error") for issue in row["issues"])
        of_file.is_refused = True
        if (row["source_file"], row["position"]) not in wholes:
            of_file.refused.add(row["position"])
    return found


def validated(folder: Path, files: dict[str, bytes]) -> dict[str, Checked]:
    folder.mkdir()
    for name, data in files.items():
        (folder / name).write_bytes(data)
    found = validate_files(discover([folder], folder), workers=1)
    return {Path(each.file).name: each for each in found}


def said_to_be_no_data(checked: Checked) -> int:
    return sum(i.rule == "not-data" for finding in checked.findings for i in finding.issues)


@pytest.mark.parametrize("seed", range(3))
def test_a_file_and_each_entry_is_refused_by_both_or_by_neither(seed: int, tmp_path: Path) -> None:
    files = {f"f{number}.json": damaged(1_000 * seed + number) for number in range(300)}
    checked = validated(tmp_path / "files", files)
    counts: Counter[tuple[bool, bool]] = Counter()
    for name, found in ingested(tmp_path, files).items():
        assert (checked[name].invalid() > 0) == found.is_refused, files[name]
        counts[found.is_refused, found.is_flat] += 1
        if not found.is_refused:
            assert said_to_be_no_data(checked[name]) == found.not_data, files[name]
        if found.is_flat:
            must, may = refused_by_validate(checked[name], len(found.entries))
            assert must & found.entries <= found.refused, files[name]
            assert found.refused <= may, files[name]
    assert all(counts[refused, flat] > 10 for refused in (True, False) for flat in (True, False))


def test_what_nobody_damaged_is_refused_by_neither_and_no_data_to_both(tmp_path: Path) -> None:
    files = {f"f{number}.json": text.encode() for number, text in enumerate(DOCUMENTS)}
    checked = validated(tmp_path / "files", files)
    for name, found in ingested(tmp_path, files).items():
        assert (checked[name].invalid(), found.is_refused) == (0, False), files[name]
        assert said_to_be_no_data(checked[name]) == found.not_data, files[name]


@pytest.mark.skipif(
    "HC_R4_PACKAGE" not in os.environ or not PACKAGE.is_dir(),
    reason="HC_R4_PACKAGE names no unpacked npm package hl7.fhir.r4.examples 4.0.1",
)
def test_official_bundles_are_refused_by_both_or_by_neither() -> None:
    bundles = [
        data
        for path in sorted(PACKAGE.glob("*.json"))
        if b'"Bundle"' in (data := path.read_bytes()) and len(data) < 100_000
    ]
    judged = 0
    for data in bundles:
        whole = resource_entry(0, data)
        if whole.resource_type != "Bundle":
            continue
        judged += 1
        held = list(unpacked(whole, judge=issues_of_whole))
        refused = [
            each
            for each in held
            if each.problem
            or each.issues
            or (each.resource and each.resource_type and has_errors(validate(each.resource)))
        ]
        assert bool(refused) == has_errors(validate(data))
    assert judged > 20
