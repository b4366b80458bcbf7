"""What `validate` refuses, `ingest` quarantines, entry by entry, and the other way round.

Bundles are damaged in every way that a sender could: members twice under any spelling and at any
depth, values of another JSON type, values exchanged, bytes cut off or in front.
"""

import re
from pathlib import Path

import pytest

from hc_assets.fhir.validation.files import Checked, validate_files
from hc_assets.lake.discovery import discover
from hc_assets.lake.layout import Layout
from hc_assets_tests.fhir.validation.damaged_bundles import damaged
from hc_assets_tests.fhir.worker_runs import Run, rows

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


@pytest.mark.parametrize("seed", range(4))
def test_an_entry_is_refused_by_both_or_by_neither(seed: int, tmp_path: Path) -> None:
    files = {f"f{number}__json": damaged(1_000 * seed + number) for number in range(250)}
    folder = tmp_path / "files"
    folder.mkdir()
    for name, data in files.items():
        (folder / name.replace("__", ".")).write_bytes(data)
    checked = {
        Path(each.file).name: each for each in validate_files(discover([folder], folder), workers=1)
    }
    run = Run(Layout.of(tmp_path))
    raw = run.split(*run.land(**files))
    _, quarantined, _ = run.judge(raw)
    ingested: dict[str, set[int]] = {name: set() for name in checked}
    refused: dict[str, set[int]] = {name: set() for name in checked}
    for row in rows(raw):
        ingested[row["source_file"]].add(row["position"])
    wholes: set[str] = set()
    for row in rows(quarantined):
        if row["class"] == "invalid":
            stands_for_bundle = row["resource_type"] == "Bundle" and row["position"] > 0
            (
                wholes.add(row["source_file"])
                if stands_for_bundle
                else refused[row["source_file"]].add(row["position"])
            )
    number_refused = 0
    for name, by_ingest in refused.items():
        must, may = refused_by_validate(checked[name], len(ingested[name]))
        text = files[name.replace(".", "__")]
        assert (checked[name].invalid() > 0) == bool(by_ingest or name in wholes), text
        assert must & ingested[name] <= by_ingest, text
        assert by_ingest <= may, text
        number_refused += len(by_ingest)
    assert 200 < number_refused < len(list(rows(raw))) - 50
