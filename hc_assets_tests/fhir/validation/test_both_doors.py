"""What `validate` refuses, `ingest` quarantines, file by file and entry by entry, and the other way
round; and what is no data to one is no data to the other.
"""

import json
import os
import re
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
import pytest

from hc_assets.fhir.bundles.entries import resource_entry
from hc_assets.fhir.bundles.unpacking import unpacked
from hc_assets.fhir.validation import has_errors, validate
from hc_assets.fhir.validation.files import Checked, validate_files
from hc_assets.fhir.validation.wholes import issues_of_whole
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
IN_RESOURCE = re.compile(r"Bundle\.entry\[\d+\]\.resource\b")
BASE = "https://example.org/StructureDefinition"


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
        of_whole: rule and place of each error in the file's Bundle itself, and of what names a
            release; None where no row stands for the Bundle.
    """

    entries: set[int] = field(default_factory=set)
    refused: set[int] = field(default_factory=set)
    is_refused: bool = False
    not_data: int = 0
    is_flat: bool = True
    of_whole: set[tuple[str, str]] | None = None


def told_of_whole(issues: list[dict[str, str]]) -> set[tuple[str, str]]:
    return {
        (each["rule"], each["expression"])
        for each in issues
        if (each["severity"] in ("fatal", "error") or each["rule"] == "fhir-version")
        and not IN_RESOURCE.match(each["expression"])
    }


def ingested(
    folder: Path, files: dict[str, bytes], profiles: tuple[str, ...] = ()
) -> dict[str, Ingested]:
    run = Run(Layout.of(folder), profiles=profiles)
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
            of_file.of_whole = told_of_whole(row["issues"])
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


def validated(
    folder: Path, files: dict[str, bytes], profiles: tuple[str, ...] = ()
) -> dict[str, Checked]:
    folder.mkdir()
    for name, data in files.items():
        (folder / name).write_bytes(data)
    found = validate_files(discover([folder], folder), workers=1, profiles=profiles)
    return {Path(each.file).name: each for each in found}


def said_to_be_no_data(checked: Checked) -> int:
    return sum(i.rule == "not-data" for finding in checked.findings for i in finding.issues)


def profile(name: str, type_: str, *elements: dict[str, Any], **more: Any) -> dict[str, Any]:
    listed = [{"id": each["path"], **each} for each in ({"path": type_}, *elements)]
    return {
        "resourceType": "StructureDefinition",
        "url": f"{BASE}/{name}",
        "name": name,
        "status": "active",
        "kind": "resource",
        "abstract": False,
        "type": type_,
        "baseDefinition": f"http://hl7.org/fhir/StructureDefinition/{type_}",
        "derivation": "constraint",
        "differential": {"element": listed},
    } | more


PROFILES = [
    profile("dated", "Bundle", {"path": "Bundle.timestamp", "min": 1}),
    profile("identified", "Bundle", {"path": "Bundle.identifier", "min": 1}),
    profile("named", "Parameters", {"path": "Parameters.parameter.name", "fixedString": "x"}),
    profile("born", "Patient", {"path": "Patient.birthDate", "min": 1}),
    profile(
        "met",
        "Encounter",
        {
            "path": "Encounter.subject",
            "type": [{"code": "Reference", "targetProfile": [f"{BASE}/born"]}],
        },
    ),
    profile(
        "noted",
        "Extension",
        {"path": "Extension.url", "fixedUri": f"{BASE}/noted"},
        {"path": "Extension.value[x]", "min": 1, "type": [{"code": "boolean"}]},
        kind="complex-type",
        context=[{"type": "element", "expression": "Patient"}],
    ),
]
NAMED = [f"{BASE}/{each['name']}" for each in PROFILES] + [
    f"http://hl7.org/fhir/StructureDefinition/{name}" for name in ("Patient", "Bundle", "bmi")
]
NOTED = f'"extension":[{{"url":"{BASE}/noted","valueString":"x"}}]'


def agree(checked: dict[str, Checked], found: dict[str, Ingested], files: dict[str, bytes]) -> None:
    counts: Counter[tuple[bool, bool]] = Counter()
    for name, of_file in found.items():
        assert (checked[name].invalid() > 0) == of_file.is_refused, files[name]
        counts[of_file.is_refused, of_file.is_flat] += 1
        if not of_file.is_refused:
            assert said_to_be_no_data(checked[name]) == of_file.not_data, files[name]
        if of_file.is_flat:
            must, may = refused_by_validate(checked[name], len(of_file.entries))
            assert must & of_file.entries <= of_file.refused, files[name]
            assert of_file.refused <= may, files[name]
        wholes = [
            told_of_whole([msgspec.structs.asdict(issue) for issue in finding.issues])
            for finding in checked[name].findings
            if finding.position is None
        ]
        if of_file.is_flat and of_file.of_whole is not None and wholes:
            assert of_file.of_whole == wholes[0], files[name]
    assert all(counts[refused, flat] > 10 for refused in (True, False) for flat in (True, False))


@pytest.mark.parametrize("seed", range(3))
def test_a_file_and_each_entry_is_refused_by_both_or_by_neither(seed: int, tmp_path: Path) -> None:
    files = {f"f{number}.json": damaged(1_000 * seed + number) for number in range(300)}
    agree(validated(tmp_path / "files", files), ingested(tmp_path, files), files)


@pytest.mark.parametrize("demands", [(), (f"Bundle={BASE}/dated",)], ids=["named", "demanded"])
def test_so_it_is_by_profiles_of_bundles_and_of_what_is_in_them(
    demands: tuple[str, ...], tmp_path: Path
) -> None:
    (tmp_path / "profiles").mkdir()
    for each in PROFILES:
        (tmp_path / "profiles" / f"{each['name']}.json").write_text(json.dumps(each))
    profiles = (str(tmp_path / "profiles"), *demands)
    files = {
        f"f{number}.json": damaged(number, NAMED, NOTED)
        for number in range(300 * len(demands), 300 * len(demands) + 300)
    }
    checked = validated(tmp_path / "files", files, profiles)
    agree(checked, ingested(tmp_path, files, profiles), files)


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
