import gzip
import hashlib
import json
import re
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pytest
from upath import UPath

from hc_assets.fhir.export.ndjson import (
    MANIFEST_NAME,
    Compression,
    ExportedFile,
    ExportOptions,
    Group,
    Stated,
    write_export,
)
from hc_assets.fhir.export.schemas import NDJSON_EXPORTS

TIME = "2026-01-01T00:00:00+00:00"
STATED = Stated(TIME, "urn:hc-assets:$export")
PATIENTS = [b'{"resourceType":"Patient","id":"a"}', b'{"resourceType":"Patient","id":"b"}']
OBSERVATION = b'{"resourceType":"Observation","valueQuantity":{"value":1.00}}'
LINES = [(Group("Observation"), OBSERVATION), *((Group("Patient"), line) for line in PATIENTS)]
DELETED = [(Group("Patient"), b'{"resourceType":"Bundle","type":"transaction"}')]
ERRORS = [(Group("OperationOutcome"), b'{"resourceType":"OperationOutcome"}')] * 2


@pytest.fixture
def folder(tmp_path: Path) -> UPath:
    return UPath(tmp_path / "exports" / "fhir")


def put(folder: UPath, lines: list[tuple[str, bytes]] = LINES, **more: object):
    return write_export(folder, STATED, output=iter(lines), **more)


def everything(folder: UPath) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in Path(folder.path).rglob("*")
        if path.is_file() and path.name != ".lock"
    }


def contents(folder: UPath) -> dict[str, bytes]:
    """What is under plain names."""
    return {n: data for n, data in everything(folder).items() if not n.startswith(".snapshots/")}


def urls(folder: UPath) -> list[str]:
    lists = (manifest(folder)[name] for name in ("output", "deleted", "error"))
    return [each["url"] for list_ in lists for each in list_]


def plain(url: str) -> str:
    return re.sub(r"\.snapshots/(.*)-[0-9a-f]{16}\.", r"\1.", url)


def manifest(folder: UPath) -> dict:
    return json.loads((folder / MANIFEST_NAME).read_bytes())


def test_each_type_gets_a_file_with_one_resource_a_line_byte_for_byte(folder):
    put(folder)
    assert (folder / "Observation.ndjson").read_bytes() == OBSERVATION + b"\n"
    assert (folder / "Patient.ndjson").read_bytes() == b"\n".join([*PATIENTS, b""])


def test_the_files_are_listed_with_count_size_and_hash(folder):
    files = put(folder)
    data = (folder / "Patient.ndjson").read_bytes()
    digest = hashlib.sha256(data).hexdigest()
    assert files[1] == ExportedFile("output", "Patient", "Patient.ndjson", 2, len(data), digest)
    assert [file.resource_type for file in files] == ["Observation", "Patient"]
    table = pa.Table.from_pylist([vars(file) for file in files], NDJSON_EXPORTS)
    assert table.num_rows == 2


def test_the_manifest_is_that_of_the_bulk_data_specification(folder):
    observations, patients, deleted, errors = (
        each.snapshot for each in put(folder, deleted=DELETED, errors=ERRORS)
    )
    assert manifest(folder) == {
        "transactionTime": TIME,
        "request": "urn:hc-assets:$export",
        "requiresAccessToken": False,
        "output": [
            {"type": "Observation", "url": observations, "count": 1},
            {"type": "Patient", "url": patients, "count": 2},
        ],
        "deleted": [{"type": "Bundle", "url": deleted, "count": 1}],
        "error": [{"type": "OperationOutcome", "url": errors, "count": 2}],
    }


def test_the_manifest_names_each_file_by_its_content_and_it_is_there_under_a_plain_name(folder):
    put(folder, deleted=DELETED, errors=ERRORS)
    names = [
        "Observation.ndjson",
        "Patient.ndjson",
        "deleted/Patient.ndjson",
        "errors/OperationOutcome.ndjson",
    ]
    assert [plain(url) for url in urls(folder)] == names
    assert set(contents(folder)) == {*names, MANIFEST_NAME}
    for url, name in zip(urls(folder), names, strict=True):
        assert hashlib.sha256((folder / name).read_bytes()).hexdigest()[:16] in url
        assert Path(folder / url).samefile(folder / name)


def test_whoever_has_read_a_manifest_finds_its_files_until_it_is_replaced_twice(folder):
    def of(number: int) -> list[tuple[str, bytes]]:
        return [(Group("Patient"), b'{"resourceType":"Patient","id":"%d"}' % number)]

    put(folder, of(1))
    (first,) = urls(folder)
    put(folder, of(2))
    (second,) = urls(folder)
    assert (folder / first).read_bytes() == of(1)[0][1] + b"\n"
    put(folder, of(3))
    assert not (folder / first).exists()
    assert (folder / second).read_bytes() == of(2)[0][1] + b"\n"
    assert (folder / "Patient.ndjson").read_bytes() == of(3)[0][1] + b"\n"


def test_a_base_url_goes_before_the_names(folder):
    put(folder, options=ExportOptions(base_url="https://example.org/x/"))
    assert [plain(url) for url in urls(folder)] == [
        "https://example.org/x/Observation.ndjson",
        "https://example.org/x/Patient.ndjson",
    ]


def test_a_file_that_is_full_is_followed_by_another(folder):
    lines = [
        (Group("Patient"), b'{"resourceType":"Patient","id":"%d"}' % number) for number in range(7)
    ]
    put(folder, lines, options=ExportOptions(split_bytes=100))
    files = ["Patient.ndjson", "Patient.2.ndjson", "Patient.3.ndjson"]
    assert [plain(url) for url in urls(folder)] == files
    assert [each["count"] for each in manifest(folder)["output"]] == [3, 3, 1]
    together = b"".join((folder / name).read_bytes() for name in files)
    assert together == b"".join(line + b"\n" for _, line in lines)


@pytest.mark.parametrize(("compression", "suffix"), [("gzip", ".gz"), ("zstd", ".zst")])
def test_files_may_be_packed(folder, compression, suffix):
    files = put(folder, options=ExportOptions(compression=Compression(compression)))
    packed = (folder / f"Patient.ndjson{suffix}").read_bytes()
    unpacked = b"\n".join([*PATIENTS, b""])
    if compression == "gzip":
        assert gzip.decompress(packed) == unpacked
    else:
        assert pa.CompressedInputStream(pa.BufferReader(packed), "zstd").read() == unpacked
    assert (files[1].bytes, files[1].sha256) == (len(packed), hashlib.sha256(packed).hexdigest())
    before = contents(folder)
    put(folder, options=ExportOptions(compression=Compression(compression)))
    assert contents(folder) == before
    put(folder)
    assert set(contents(folder)) == {"Observation.ndjson", "Patient.ndjson", MANIFEST_NAME}


def test_the_same_resources_give_the_same_bytes(folder, tmp_path):
    put(folder)
    put(UPath(tmp_path / "other"))
    before = contents(folder)
    put(folder)
    assert contents(folder) == before == contents(UPath(tmp_path / "other"))


def test_files_that_are_no_longer_listed_are_removed(folder):
    put(folder, deleted=DELETED, errors=ERRORS)
    put(folder, LINES[:1])
    assert set(contents(folder)) == {"Observation.ndjson", MANIFEST_NAME}
    assert not (folder / "deleted").exists()
    put(folder, [])
    assert set(contents(folder)) == {MANIFEST_NAME}
    assert manifest(folder)["output"] == []


def test_what_somebody_else_put_there_stays(folder):
    put(folder)
    (folder / "notes.txt").write_bytes(b"mine")
    (folder / "older.ndjson").mkdir()
    put(folder)
    assert (folder / "notes.txt").read_bytes() == b"mine"
    assert (folder / "older.ndjson").is_dir()


def test_files_are_open_to_their_owner_only(folder):
    put(folder, errors=ERRORS)
    path = Path(folder.path)
    files = [p for p in path.rglob("*") if p.is_file()]
    assert {p.stat().st_mode & 0o777 for p in files} == {0o600}
    assert {p.stat().st_mode & 0o777 for p in (path, path.parent, path / "errors")} == {0o700}


def test_an_export_that_fails_halfway_leaves_the_last_one_whole(folder):
    def failing() -> Iterator[tuple[Group, bytes]]:
        yield Group("Observation"), b'{"resourceType":"Observation","id":"new"}'
        yield Group("Patient"), b'{"resourceType":"Patient","id":"new"}'
        raise RuntimeError("boom")

    put(folder, LINES[:1])
    put(folder)
    before = everything(folder)
    with pytest.raises(RuntimeError, match="boom"):
        write_export(folder, STATED, output=failing())
    assert everything(folder) == before


@pytest.mark.parametrize("moment", range(3))
def test_wherever_an_export_is_stopped_the_manifest_lists_one_whole(folder, monkeypatch, moment):
    put(folder, LINES[:1])
    before = manifest(folder)
    whole, renames = Path.replace, []

    def stopping(source: Path, target: Path) -> Path:
        renames.append(target.name)
        if len(renames) == moment + 1:
            raise KeyboardInterrupt
        return whole(source, target)

    monkeypatch.setattr(Path, "replace", stopping)
    with pytest.raises(KeyboardInterrupt):
        put(folder, LINES[1:])
    monkeypatch.undo()
    found = manifest(folder)
    assert (found == before) == (moment < 2)
    for each in found["output"]:
        assert len((folder / each["url"]).read_bytes().splitlines()) == each["count"]
    put(folder, LINES[1:])  # the next run completes
    assert set(contents(folder)) == {"Patient.ndjson", MANIFEST_NAME}


def test_what_a_killed_export_left_is_cleared(folder):
    put(folder)
    before = everything(folder)
    for place in (folder, folder / ".snapshots"):
        (place / ".tmp-dead").write_bytes(b"half")
    (folder / ".snapshots" / "Patient-0123456789abcdef.ndjson").write_bytes(b"whole")
    put(folder)
    assert everything(folder) == before


def test_an_object_store_takes_an_export_too(request):
    folder = UPath(f"memory://exports-{request.node.name}")
    put(folder, errors=ERRORS)
    assert (folder / "Patient.ndjson").read_bytes() == b"\n".join([*PATIENTS, b""])
    put(folder, LINES[:1])
    names = {path.name for path in folder.iterdir() if path.is_file()}
    assert names == {"Observation.ndjson", MANIFEST_NAME}
