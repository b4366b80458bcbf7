"""Exports as they lie in a folder, landed and split for real, and what their manifests say of them.

What is made of the tables is in `end_to_end/test_fhir_exports.py`.
"""

import gzip
import json
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from upath import UPath

from hc_assets.core.verdicts import Verdict
from hc_assets.domains import warehouse_of
from hc_assets.fhir.bundles.landed_exports import count_of, landed_exports
from hc_assets.fhir.bundles.workers import SplitWork, split_files
from hc_assets.fhir.domain import FHIR_FILES
from hc_assets.fhir.export.ndjson import (
    Compression,
    ExportOptions,
    Group,
    Stated,
    write_export,
)
from hc_assets.fhir.schemas import TABLES
from hc_assets.fhir.verdicts.bulk_exports import exports_complete
from hc_assets.lake.discovery import discover
from hc_assets.lake.exclusions import retract
from hc_assets.lake.landing import BatchLimits, land
from hc_assets.lake.layout import Layout
from hc_assets.lake.manifests import read_manifest
from hc_assets.lake.parts import commit, declare

RAW = "fhir/raw_bundles"
SERVER = "https://fhir.example.org/bulk/1"
NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
TIME = "2026-03-01T00:00:00Z"
DELETIONS = "".join(
    json.dumps(
        {
            "resourceType": "Bundle",
            "type": "transaction",
            "entry": [{"request": {"method": "DELETE", "url": f"Patient/d{n}{m}"}} for m in "ab"],
        }
    )
    + "\n"
    for n in range(2)
)
OUTCOME = json.dumps({"resourceType": "OperationOutcome", "issue": [{"severity": "error"}]})


def lines(type_: str, count: int, start: int = 0) -> str:
    numbers = range(start, start + count)
    return "".join(f'{{"resourceType":"{type_}","id":"{type_}-{n}"}}\n' for n in numbers)


def listed(type_: str | None, name: str, count: object = None, **others: Any) -> dict[str, Any]:
    stated = {"type": type_, "url": f"{SERVER}/{name}", "count": count}
    return {key: value for key, value in stated.items() if value is not None} | others


def manifest(*output: dict[str, Any], **others: Any) -> str:
    members = {"transactionTime": TIME, "request": f"{SERVER}/$export", "requiresAccessToken": True}
    return json.dumps(members | {"output": output} | others)


class Lake:
    """A lake into which folders are landed and split, one after the other."""

    def __init__(self, folder: Path, files_of_batch: int = 100) -> None:
        self.layout = Layout.of(folder / "data")
        self.folder = folder / "drop"
        self._limits = BatchLimits(files_of_batch, 10**9)
        self._landings = 0
        declare(self.layout, RAW, TABLES[RAW].schema)

    def arrive(self, **files: str | bytes) -> list[str]:
        """Write files into the folder, a double underscore for a dot, and land what is new."""
        for key, content in files.items():
            path = self.folder / key.replace("__", ".").replace("SLASH", "/")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content.encode() if isinstance(content, str) else content)
        found = discover([self.folder], self.layout.landing("fhir"))
        self._landings += 1
        now = NOW + timedelta(minutes=self._landings)
        batches = land(found, self.layout, FHIR_FILES, limits=self._limits, now=now).batches
        for batch in batches:
            landed = read_manifest(self.layout, "fhir", batch)
            work = SplitWork(str(self.layout.data_dir), batch, tuple(landed.files), 0)
            commit(self.layout, RAW, batch, split_files(work))
        return batches

    def verdict(self) -> Verdict:
        """Judge what has landed."""
        warehouse = warehouse_of(self.layout)
        warehouse.ensure()
        with warehouse.read(RAW) as connection:
            exports = landed_exports(connection, self.layout)
            return exports_complete(exports, partial(count_of, self.layout))


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return Lake(tmp_path)


WHOLE: dict[str, tuple[str, dict[str, str | bytes]]] = {
    "counted": (
        manifest(listed("Patient", "Patient.ndjson", 3), listed("Condition", "c.ndjson", 2)),
        {"Patient__ndjson": lines("Patient", 3), "c__ndjson": lines("Condition", 2)},
    ),
    "without counts, with members of the vendor's own": (
        manifest(listed("Patient", "p.ndjson", extension={"x": 1}), extension=[], issues=[]),
        {"p__ndjson": lines("Patient", 3) + "\n\n"},
    ),
    "packed on the way, with a token in the address": (
        manifest(listed("Patient", "Patient.ndjson?sig=a%2Fb.c", 3)),
        {"Patient__ndjson__gz": gzip.compress(lines("Patient", 3).encode())},
    ),
    "named by a parameter": (
        manifest(listed("Patient", "download?file=2026%2Fp.ndjson", 3)),
        {"p__ndjson": lines("Patient", 3)},
    ),
    "a folder for each type": (
        manifest(listed("Patient", "Patient/1.ndjson", 3), listed("Group", "Group/1.ndjson", 2)),
        {"GroupSLASH1__ndjson": lines("Group", 2), "PatientSLASH1__ndjson": lines("Patient", 3)},
    ),
    "addresses that are numbers alone": (
        manifest(*(listed("Patient", f"F{n}", n) for n in (3, 2)), listed("Group", "F9", 1)),
        {
            "Patient__000__ndjson": lines("Patient", 2),
            "Patient__001__ndjson": lines("Patient", 3, 2),
            "Group__ndjson": lines("Group", 1),
        },
    ),
    "deletions, counted by Bundles, and errors": (
        manifest(
            listed("Patient", "p.ndjson", 1),
            deleted=[listed("Bundle", "d.ndjson", 2)],
            error=[listed("OperationOutcome", "e.ndjson", 1)],
        ),
        {"p__ndjson": lines("Patient", 1), "d__ndjson": DELETIONS, "e__ndjson": OUTCOME},
    ),
    "deletions, counted one by one, without a type": (
        manifest(deleted=[listed(None, "1", 4)]),
        {"x__ndjson": DELETIONS},
    ),
    "errors that a client names otherwise, and its log": (
        manifest(
            listed("Patient", "p.ndjson", 1), error=[listed("OperationOutcome", "e.ndjson", 9)]
        ),
        {
            "p__ndjson": lines("Patient", 1),
            "errorSLASHx__ndjson": OUTCOME,
            "log__ndjson": '{"exportId":"1","timestamp":"2026","eventId":"kickoff"}\n',
        },
    ),
    "a file of nothing": (
        manifest(listed("Patient", "Patient.ndjson", 0), listed("Group", "g.ndjson", 1)),
        {"Patient__ndjson": "", "g__ndjson": lines("Group", 1)},
    ),
    "documents": (
        manifest(listed("Patient", "a.json", 1), listed("Bundle", "b.json", 2)),
        {
            "a__json": lines("Patient", 1),
            "b__json": json.dumps(
                {
                    "resourceType": "Bundle",
                    "type": "collection",
                    "entry": [{"resource": {"resourceType": "Patient", "id": id_}} for id_ in "xy"],
                }
            ),
        },
    ),
    "of version 4 of the guide": (
        manifest(
            listed("Patient", "p.ndjson", 1),
            resourceType="http://hl7.org/fhir/uv/bulkdata/StructureDefinition/BulkDataManifest",
            outcome=[listed(None, "o.ndjson", 1)],
        ),
        {"p__ndjson": lines("Patient", 1), "o__ndjson": OUTCOME},
    ),
}


def test_a_whole_export_is_whole_whatever_its_server_names_the_files(lake):
    names = ("manifest__json", "export__ndjson", "status")
    files = {
        f"{case}{name}SLASH{file}": content
        for case, (text, others) in enumerate(WHOLE.values())
        for name in names
        for file, content in ({name: text} | others).items()
    }
    lake.arrive(**files)
    verdict = lake.verdict()
    assert verdict.passed, verdict.explanation
    assert (verdict.value, verdict.counts["exports"]) == (0.0, len(WHOLE) * len(names))
    assert (verdict.counts["not_listed"], verdict.counts["error_files_missing"]) == (0, 0)


def test_without_a_manifest_nothing_is_asked_for(lake):
    lake.arrive(a__ndjson=lines("Patient", 2))
    verdict = lake.verdict()
    assert (verdict.passed, verdict.counts["exports"]) == (True, 0)
    assert "no manifest" in verdict.explanation


def test_what_is_missing_more_or_less_is_named(lake):
    cut = gzip.compress(lines("Observation", 2_000).encode())[:-20]
    lake.arrive(
        manifest__json=manifest(
            listed("Patient", "Patient.ndjson?token=secret", 3),
            listed("Condition", "Condition.ndjson", 50),
            listed("Observation", "o.ndjson.gz"),
            listed("Group", "g.ndjson", 1),
            deleted=[listed("Bundle", "deleted.ndjson", 1)],
            error=[listed("OperationOutcome", "errors.ndjson", 1)],
        ),
        Patient__ndjson=lines("Patient", 2),
        o__ndjson__gz=cut,
        g__ndjson=lines("Group", 3),
        Goal__ndjson=lines("Goal", 1),
    )
    verdict = lake.verdict()
    assert (verdict.passed, verdict.value) == (False, 5.0)
    for text in (
        "Patient.ndjson has 2 of 3 listed",
        "Condition.ndjson is missing (50 listed)",
        "gzip is damaged",
        "g.ndjson has 3 of 1 listed",
        "deleted.ndjson (of deletions) is missing (1 listed)",
        "besides: errors.ndjson (of errors) is missing, Goal.ndjson is not listed",
    ):
        assert text in verdict.explanation
    assert "secret" not in verdict.explanation
    expected = {"listed": 5, "missing": 2, "of_another_count": 3, "not_listed": 1}
    assert expected.items() <= verdict.counts.items()


def test_what_comes_later_completes_an_export(lake):
    text = manifest(listed("Patient", "p.ndjson", 3), listed("Group", "g.ndjson", 1))
    lake.arrive(manifest__json=text, p__ndjson=lines("Patient", 2))
    assert lake.verdict().value == 2.0
    lake.arrive(p__ndjson=lines("Patient", 3))
    assert "g.ndjson is missing" in lake.verdict().explanation
    (batch,) = lake.arrive(g__ndjson=lines("Group", 1))
    assert lake.verdict().passed
    retract(lake.layout, "fhir", batch, now=NOW, by="x", reason="")
    assert lake.verdict().value == 1.0


def test_the_next_export_in_the_same_folder_is_judged_by_its_own_files(lake):
    group = listed("Group", "g.ndjson", 1)
    lake.arrive(
        manifest__json=manifest(listed("Patient", "p.ndjson", 2), group),
        p__ndjson=lines("Patient", 2),
        g__ndjson=lines("Group", 1),
    )
    # The Group is the same as before, so that its bytes are not landed again
    lake.arrive(
        manifest__json=manifest(listed("Patient", "p.ndjson", 3), group, transactionTime="2026"),
        p__ndjson=lines("Patient", 3),
    )
    verdict = lake.verdict()
    assert (verdict.passed, verdict.counts["exports"]) == (True, 2), verdict.explanation
    lake.arrive(
        manifest__json=manifest(listed("Patient", "p.ndjson", 2), transactionTime="2027"),
        p__ndjson=lines("Patient", 1, 9),
    )
    assert "p.ndjson has 1 of 2 listed" in lake.verdict().explanation


def test_an_export_in_several_batches_and_folders_is_one(tmp_path):
    lake = Lake(tmp_path, files_of_batch=1)
    text = manifest(listed("Patient", "p.ndjson", 2), listed("Group", "g.ndjson", 1))
    outer = manifest(listed("Goal", "g.ndjson", 3))
    batches = lake.arrive(
        aSLASHmanifest__json=text,
        aSLASHgroupsSLASHg__ndjson=lines("Group", 1),
        aSLASHpSLASHp__ndjson=lines("Patient", 2),
        index__json=outer,
        zSLASHg__ndjson=lines("Goal", 3),
    )
    assert len(batches) == 5
    verdict = lake.verdict()
    assert (verdict.passed, verdict.counts["exports"]) == (True, 2), verdict.explanation


def test_each_page_of_a_manifest_has_to_come(lake):
    link = [{"relation": "next", "url": f"{SERVER}/2"}]
    one = manifest(listed("Patient", "p.ndjson", 2), link=link)
    lake.arrive(m1__json=one, p__ndjson=lines("Patient", 2))
    assert "a further page of a manifest is missing" in lake.verdict().explanation
    lake.arrive(m2__json=manifest(listed("Group", "g.ndjson", 1)), g__ndjson=lines("Group", 1))
    assert lake.verdict().passed


def test_files_elsewhere_are_those_of_a_manifest_by_name_alone(lake):
    text = manifest(listed("Patient", "1", 1))
    lake.arrive(aSLASHm__json=text, bSLASHp__ndjson=lines("Patient", 1))
    assert "1 is missing (1 listed)" in lake.verdict().explanation
    text = manifest(listed("Group", "g.ndjson", 1))
    lake.arrive(cSLASHm__json=text, dSLASHg__ndjson=lines("Group", 1))
    assert lake.verdict().counts["missing"] == 1


def test_our_own_export_of_several_sources_is_whole(lake):
    def of(source: str | None, type_: str, count: int) -> list[tuple[Group, bytes]]:
        made = lines(type_, count).encode().splitlines()
        return [(Group(type_, source), line) for line in made]

    lake.folder.mkdir(parents=True)
    write_export(
        UPath(lake.folder),
        Stated(TIME, "urn:x"),
        output=[*of("north", "Patient", 5), *of("south", "Patient", 5), *of(None, "Patient", 4)],
        deleted=[(Group("Patient", "north"), line.encode()) for line in DELETIONS.splitlines()],
        errors=[(Group("OperationOutcome"), OUTCOME.encode())],
        options=ExportOptions(split_bytes=100, compression=Compression.ZSTD),
    )
    lake.arrive()
    verdict = lake.verdict()
    assert verdict.passed, verdict.explanation
    assert (verdict.counts["listed"], verdict.counts["not_listed"]) == (8, 0)


def test_odd_manifests_are_read_as_far_as_they_go(lake):
    odd = {"transactionTime": "x", "output": [1, {"url": 2}, {"url": "http://["}], "deleted": "x"}
    lake.arrive(a__json=json.dumps(odd), b__json=json.dumps({"transactionTime": 1, "output": []}))
    verdict = lake.verdict()
    assert (verdict.passed, verdict.counts["exports"], verdict.counts["missing"]) == (False, 1, 1)
