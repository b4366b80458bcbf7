import hashlib
import json
from collections.abc import Iterator
from pathlib import Path

import duckdb
import pyarrow as pa
import pytest
from upath import UPath

from hc_assets.fhir.ndjson import MANIFEST_NAME, ExportedFile, current_lines, export
from hc_assets.fhir.schemas import NDJSON_EXPORTS
from hc_assets.fhir.versions import create_tables

TIME = "2026-01-01T00:00:00+00:00"
PATIENTS = [b'{"resourceType":"Patient","id":"a"}', b'{"resourceType":"Patient","id":"b"}']
OBSERVATION = b'{"resourceType":"Observation","valueQuantity":{"value":1.00}}'
LINES = [("Observation", OBSERVATION), *(("Patient", line) for line in PATIENTS)]


@pytest.fixture
def folder(tmp_path: Path) -> UPath:
    return UPath(tmp_path / "exports" / "fhir")


def put(folder: UPath, lines: list[tuple[str, bytes]] = LINES) -> list[ExportedFile]:
    return export(iter(lines), folder, transaction_time=TIME)


def contents(folder: UPath) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_each_type_gets_a_file_with_one_resource_a_line_byte_for_byte(folder):
    put(folder)
    assert (folder / "Observation.ndjson").read_bytes() == OBSERVATION + b"\n"
    assert (folder / "Patient.ndjson").read_bytes() == b"\n".join([*PATIENTS, b""])


def test_the_files_are_told_with_count_size_and_hash(folder):
    files = put(folder)
    data = (folder / "Patient.ndjson").read_bytes()
    digest = hashlib.sha256(data).hexdigest()
    assert files[1] == ExportedFile("Patient", "Patient.ndjson", 2, len(data), digest)
    assert [file.resource_type for file in files] == ["Observation", "Patient"]
    table = pa.Table.from_pylist([vars(file) for file in files], NDJSON_EXPORTS)
    assert table.num_rows == 2


def test_the_manifest_lists_every_file(folder):
    put(folder)
    manifest = json.loads((folder / MANIFEST_NAME).read_bytes())
    assert manifest["transactionTime"] == TIME
    assert manifest["output"] == [
        {"type": "Observation", "url": "Observation.ndjson", "count": 1},
        {"type": "Patient", "url": "Patient.ndjson", "count": 2},
    ]
    assert {each["url"] for each in manifest["output"]} | {MANIFEST_NAME} == set(contents(folder))


def test_the_same_resources_give_the_same_bytes(folder, tmp_path):
    put(folder)
    put(UPath(tmp_path / "other"))
    before = contents(folder)
    put(folder)
    assert contents(folder) == before == contents(UPath(tmp_path / "other"))


def test_files_of_types_that_are_gone_are_removed(folder):
    put(folder)
    put(folder, LINES[:1])
    assert set(contents(folder)) == {"Observation.ndjson", MANIFEST_NAME}
    put(folder, [])
    assert set(contents(folder)) == {MANIFEST_NAME}
    assert json.loads((folder / MANIFEST_NAME).read_bytes())["output"] == []


def test_what_somebody_else_put_there_stays(folder):
    put(folder)
    (folder / "notes.txt").write_bytes(b"mine")
    (folder / "older.ndjson").mkdir()
    put(folder)
    assert (folder / "notes.txt").read_bytes() == b"mine"
    assert (folder / "older.ndjson").is_dir()


def test_files_are_open_to_their_owner_only(folder):
    put(folder)
    path = Path(folder.path)
    assert {p.stat().st_mode & 0o777 for p in path.iterdir()} == {0o600}
    assert {p.stat().st_mode & 0o777 for p in (path, path.parent)} == {0o700}


def test_an_export_that_fails_halfway_leaves_the_last_one_whole(folder):
    def failing() -> Iterator[tuple[str, bytes]]:
        yield "Patient", b'{"resourceType":"Patient","id":"new"}'
        raise RuntimeError("boom")

    put(folder)
    before = contents(folder)
    with pytest.raises(RuntimeError, match="boom"):
        export(failing(), folder, transaction_time=TIME)
    assert contents(folder) == before


def test_an_object_store_takes_an_export_too(request):
    folder = UPath(f"memory://exports-{request.node.name}")
    put(folder)
    put(folder, LINES[:1])
    assert set(contents(folder)) == {"Observation.ndjson", MANIFEST_NAME}


def test_current_lines_are_ordered_by_type_and_id_and_leave_out_the_deleted():
    with duckdb.connect() as connection:
        create_tables(connection)
        for type_, id_, resource in [
            ("Patient", "b", PATIENTS[1]),
            ("Patient", "gone", None),
            ("Observation", "z", OBSERVATION),
            ("Patient", "a", PATIENTS[0]),
        ]:
            connection.execute(
                "INSERT INTO fhir.current_resources (resource_type, resource_id, is_deleted, "
                "resource) VALUES (?, ?, ?, ?)",
                [type_, id_, resource is None, resource],
            )
        assert list(current_lines(connection)) == LINES


def test_current_lines_come_in_portions_and_all_of_them():
    with duckdb.connect() as connection:
        create_tables(connection)
        connection.execute(
            "INSERT INTO fhir.current_resources (resource_type, resource_id, is_deleted, resource) "
            "SELECT 'Basic', format('{:05d}', n), false, n::VARCHAR::BLOB FROM range(5_001) AS _(n)"
        )
        lines = list(current_lines(connection))
    assert lines == [("Basic", b"%d" % number) for number in range(5_001)]
