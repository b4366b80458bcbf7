import gzip
import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from hc_assets.core.compute import executor, in_order
from hc_assets.fhir.bundles import read, workers
from hc_assets.fhir.bundles.entries import Entry, resource_entry
from hc_assets.fhir.bundles.entry_columns import EntryColumns, read_columns
from hc_assets.fhir.bundles.workers import SplitWork, split_files
from hc_assets.fhir.domain import FHIR_FILES
from hc_assets.fhir.schemas import TABLES
from hc_assets.lake.layout import Layout
from hc_assets.lake.manifests import LandedFile
from hc_assets.lake.tables import read_partition
from hc_assets_tests.fhir.worker_runs import BATCH, RAW, URN_A, Run, bundle, entry, patient, rows


@pytest.fixture
def run(tmp_path: Path) -> Run:
    return Run(Layout.of(tmp_path))


def test_each_entry_is_a_row_with_where_it_came_from(run):
    sent = b'{ "id":"p1", "resourceType":"Patient",\n "multipleBirthInteger":1 }'
    data = b'{"resourceType":"Bundle","type":"batch","entry":[{"resource":' + sent
    data += b',"fullUrl":"%b",' % URN_A.encode()
    data += b'"request":{"method":"PUT","url":"Patient/p1"}}]}'
    (row,) = rows(run.split(*run.land(a__json=data)))
    assert row == {
        "batch": BATCH,
        "source_file": "a.json",
        "source_sha256": hashlib.sha256(data).hexdigest(),
        "position": 0,
        "resource_type": "Patient",
        "resource_id": "p1",
        "full_url": URN_A,
        "request_method": "PUT",
        "request_url": "Patient/p1",
        "request_if_none_exist": None,
        "last_modified": None,
        "last_modified_digits": None,
        "response_etag": None,
        "source": None,
        "problem": None,
        "not_data": None,
        "issues": None,
        "place": None,
        "resource": sent,
    }


def test_files_follow_one_another_in_a_part_of_the_declared_schema(run):
    lines = b"\n".join(json.dumps(patient(f"p{n}")).encode() for n in range(3))
    table = run.split(
        *run.land(b__ndjson=lines, a__json=b"nonsense", c__ndjson__gz=gzip.compress(lines))
    )
    assert [(row["source_file"], row["position"]) for row in rows(table)] == [
        *(("b.ndjson", n) for n in range(3)),
        ("a.json", 0),
        *(("c.ndjson.gz", n) for n in range(3)),
    ]
    (part,) = table.parts()
    with part.open("rb") as stream:
        assert pq.read_schema(stream) == TABLES[RAW].schema


def test_a_file_whose_bytes_could_not_be_taken_is_a_row_with_the_reason(run):
    gone = LandedFile(
        "x.json", "", 0, "", FHIR_FILES.media_type("x.json"), "can't be read: Permission denied"
    )
    raw = run.split(gone, *run.land(a__json=json.dumps(patient()).encode()))
    assert [row["problem"] for row in rows(raw)] == [
        "the file can't be read: Permission denied",
        None,
    ]
    validated, quarantined, _ = run.judge(raw)
    assert [row["source_file"] for row in rows(validated)] == ["a.json"]
    (reason,) = rows(quarantined)[0]["issues"]
    assert (reason["severity"], reason["rule"]) == ("fatal", "unreadable")
    assert reason["diagnostics"] == "the file can't be read: Permission denied"


def test_a_second_split_writes_the_same_parts(run):
    files = run.land(a__json=bundle(entry(patient())), b__json=b"{")
    work = SplitWork(str(run.layout.data_dir), BATCH, files, 3)
    first = split_files(work)
    assert split_files(work) == first
    assert first[0].name.startswith("part-00003-")


def test_worker_processes_write_what_this_process_writes(run):
    files = [run.land(**{f"f{n}__json": bundle(entry(patient(f"p{n}")))}) for n in range(3)]
    listed = [
        SplitWork(str(run.layout.data_dir), BATCH, each, number)
        for number, each in enumerate(files)
    ]
    here = [split_files(work) for work in listed]
    assert list(in_order(executor(len(listed), workers=2), split_files, listed)) == here


def test_a_line_whose_splitting_raises_is_a_row_with_that_problem(run, monkeypatch):
    def failing(position: int, data: bytes, line: int) -> Entry:
        if position == 1:
            raise MemoryError
        return resource_entry(position, data, line)

    monkeypatch.setattr(read, "resource_entry", failing)
    lines = [json.dumps(patient(f"p{n}")).encode() for n in range(3)]
    lines[0] = bundle(entry(patient("p0")))  # so that lines are read one by one
    found = rows(run.split(*run.land(a__ndjson=b"\n".join(lines))))
    assert [row["position"] for row in found] == [0, 1, 2]
    assert [row["problem"] is None for row in found] == [True, False, True]
    assert found[1]["problem"].startswith("internal error: MemoryError at read.py:")
    assert found[1]["resource"] == lines[1]


def test_a_file_whose_splitting_raises_keeps_the_rows_before_and_spares_other_files(
    run, monkeypatch
):
    def failing(*arguments: Any, **options: Any) -> Iterator[EntryColumns]:
        whole = read_columns(*arguments, **options)
        yield next(whole)
        raise RecursionError

    data = json.dumps(patient("p1")).encode()
    files = run.land(a__json=data, b__json=data + b" ")
    monkeypatch.setattr(workers, "read_columns", failing)
    found = rows(run.split(*files))
    assert [(row["source_file"], row["position"]) for row in found] == [
        ("a.json", 0),
        ("a.json", 1),
        ("b.json", 0),
        ("b.json", 1),
    ]
    validated, quarantined, broken = run.judge(read_partition(run.layout, RAW, BATCH))
    assert validated.count_rows() == 2
    assert broken["internal-error"] == 2
    (issue, *_) = rows(quarantined)[0]["issues"]
    assert (issue["rule"], issue["severity"], issue["code"]) == (
        "internal-error",
        "fatal",
        "exception",
    )
    assert issue["diagnostics"].startswith("internal error: RecursionError at workers.py:")
