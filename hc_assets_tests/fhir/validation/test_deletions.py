"""A deletion may name a server or a path: where resources of its source came from there."""

from pathlib import Path
from typing import Any

import pytest

from hc_assets.fhir.bundles.workers import SplitWork, split_files
from hc_assets.fhir.schemas import TABLES
from hc_assets.fhir.validation.business_rules import BusinessRules
from hc_assets.fhir.validation.deletions import known_servers
from hc_assets.fhir.validation.resource_work import ResourceWork
from hc_assets.fhir.validation.workers import validate_rows
from hc_assets.lake.layout import Layout
from hc_assets.lake.parts import commit, declare
from hc_assets.lake.tables import LakeTable, read_partition
from hc_assets_tests.fhir.worker_runs import LANDED, RAW, Run, bundle, entry, patient

NORTH, SOUTH = "https://north.example/fhir", "https://south.example/r4"


def put(layout: Layout, batch: str, data: bytes, source: str = "") -> LakeTable:
    """Split a file as a batch of its own."""
    run = Run(layout)
    files = run.land(a__json=data)
    for file in files:
        target = layout.landed_file("fhir", batch, file.stored)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(data)
    work = SplitWork(str(layout.data_dir), batch, files, 0, source=source)
    declare(layout, RAW, TABLES[RAW].schema)
    commit(layout, RAW, batch, split_files(work))
    return read_partition(layout, RAW, batch)


def delete(url: str) -> dict[str, Any]:
    return {"request": {"method": "DELETE", "url": url}}


def judged(layout: Layout, batch: str, raw: LakeTable) -> tuple[int, int]:
    """How many rows are kept, and how many refused."""
    parts = tuple(str(path) for path in raw.parts())
    (rows,) = raw.work(10**9)
    work = ResourceWork(str(layout.data_dir), batch, rows, LANDED, parts, parts)
    made = validate_rows(work, BusinessRules(), servers=known_servers(layout, raw))
    kept = sum(part.rows for part in made.validated)
    return kept, sum(part.rows for part in made.quarantined)


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    return Layout.of(tmp_path)


@pytest.mark.parametrize(
    ("url", "is_done"),
    [
        ("Patient/p1", True),
        ("/Patient/p1", True),
        (f"{NORTH}/Patient/p1", True),
        ("HTTP://North.Example:80/fhir//Patient/p1", True),
        ("/fhir/Patient/p1", True),
        (f"{SOUTH}/Patient/p1", False),
        ("https://north.example/Patient/p1", False),
        ("/r4/Patient/p1", False),
    ],
)
def test_a_deletion_is_done_where_its_server_is_known(layout, url, is_done):
    put(layout, "b1", bundle(entry(patient("p1"), f"{NORTH}/Patient/p1")))
    raw = put(layout, "b2", bundle(delete(url)))
    assert judged(layout, "b2", raw) == ((1, 0) if is_done else (0, 1))


def test_a_deletion_makes_no_server_known_and_a_resource_of_its_own_batch_does(layout):
    url = f"{NORTH}/Patient/p1"
    put(layout, "b1", bundle(delete(url)))
    raw = put(layout, "b2", bundle(delete(url)))
    assert judged(layout, "b2", raw) == (0, 1)
    raw = put(layout, "b3", bundle(entry(patient("p2"), f"{NORTH}/Patient/p2"), delete(url)))
    assert judged(layout, "b3", raw) == (2, 0)


def test_the_servers_of_a_named_source_are_those_that_its_files_named(layout):
    put(layout, "b1", bundle(entry(patient("p1"), f"{NORTH}/Patient/p1")), "east")
    put(layout, "b2", bundle(entry(patient("p1"), f"{SOUTH}/Patient/p1")))
    for number, (base, source, expected) in enumerate(
        [(NORTH, "east", 1), (SOUTH, "east", 0), (NORTH, "", 0), (SOUTH, "", 1)]
    ):
        raw = put(layout, f"c{number}", bundle(delete(f"{base}/Patient/p1")), source)
        assert judged(layout, f"c{number}", raw)[0] == expected, (base, source)


def test_a_refused_deletion_says_why_and_repeats_no_address(layout):
    run = Run(layout)
    raw = run.split(*run.land(a__json=bundle(delete(f"{NORTH}/Patient/p1"))))
    _, quarantined, _ = run.judge(raw)
    ((issue,),) = (row["issues"] for row in quarantined.to_table().to_pylist())
    assert "no resource of this source came from" in issue["diagnostics"]
    assert "north" not in issue["diagnostics"]
    assert quarantined.count_rows() == 1


def test_without_such_deletions_no_other_batch_is_read(layout):
    raw = put(layout, "b1", bundle(entry(patient("p1")), delete("Patient/p1")))
    (layout.table(RAW) / "batch=b0").mkdir()
    (layout.table(RAW) / "batch=b0" / "_commit.json").write_text("damaged")
    assert known_servers(layout, raw) == {}
