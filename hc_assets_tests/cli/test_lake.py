"""`hc-assets lake verify`: what it sees, what `--repair` mends, and what it says it can't."""

import json
import shutil
from pathlib import Path

import duckdb
import pytest

from hc_assets_tests.conftest import DataFolder


@pytest.fixture(scope="module")
def ingested(tmp_path_factory: pytest.TempPathFactory) -> DataFolder:
    """Two batches."""
    folder = tmp_path_factory.mktemp("ingested")
    made = DataFolder(folder / "data")
    for number in range(2):
        path = folder / f"{number}.json"
        path.write_text(json.dumps({"resourceType": "Patient", "id": f"p{number}"}))
        result = made.run("ingest", path)
        assert result.exit_code == 0, result.output
    return made


@pytest.fixture
def data(ingested: DataFolder, tmp_path: Path) -> DataFolder:
    """A copy of it, at another place."""
    shutil.copytree(ingested.path, tmp_path / "data")
    return DataFolder(tmp_path / "data")


def verified(data: DataFolder, *options: str) -> tuple[int, list[str]]:
    result = data.run("lake", "verify", *options)
    return result.exit_code, result.stdout.splitlines()


def changed(path: Path) -> None:
    # Put in its place, as a file of another number: the clock of a file system may be coarse
    new = path.with_name("changed")
    new.write_bytes(path.read_bytes()[:-1] + b"!")
    new.replace(path)


def test_a_moved_or_copied_folder_reads_its_own_rows(ingested, data):
    for path in (data.path / "lake/fhir/raw_bundles").glob("batch=*"):
        shutil.rmtree(path)
    shutil.move(data.path, data.path.with_name("moved"))
    moved = DataFolder(data.path.with_name("moved"))
    result = moved.run("ingest", data.path.parent.with_name("nothing"), "--kind", "fhir")
    assert result.exit_code == 3  # no such folder
    assert verified(moved) == (0, [])
    source = ingested.path.parent / "0.json"
    assert moved.run("ingest", source).exit_code == 0
    assert moved.query("SELECT count(*) FROM fhir.raw_bundles") == [(1,)]
    assert ingested.query("SELECT count(*) FROM fhir.raw_bundles") == [(2,)]


def test_exports_that_are_damaged_are_named_and_written_again(data):
    exports = data.path / "exports"
    manifest = (exports / "fhir/manifest.json").read_text()
    expected = {
        path: path.read_bytes()
        for path in exports.glob("**/*")
        # A snapshot of the export before is for whoever still follows that
        if path.is_file() and (".snapshots" not in path.parts or path.name in manifest)
    }
    changed(exports / "fhir/Patient.ndjson")
    changed(exports / "fhir/manifest.json")
    (exports / "fhir_provenance/Provenance.ndjson").unlink()
    definition = min((exports / "fhir_definitions").iterdir())
    changed(definition)
    code, named = verified(data)
    assert (code, sorted(named)) == (
        1,
        [
            "exports/fhir/Patient.ndjson is not what was written",
            "exports/fhir/manifest.json is not what was written",
            f"exports/fhir_definitions/{definition.name} is not what was written",
            "exports/fhir_provenance/Provenance.ndjson is gone",
        ],
    )
    assert verified(data, "--repair")[0] == 0
    assert {path: path.read_bytes() for path in expected} == expected


def test_rows_that_duckdb_lost_are_found_and_rebuilt(data):
    with duckdb.connect(data.path / "warehouse.duckdb") as connection:
        connection.execute("UPDATE fhir.resource_versions SET last_updated = now()")
    code, named = verified(data)
    assert code == 1
    assert [line.split(" than ")[0] for line in named] == [
        "warehouse.duckdb holds other rows of fhir/current_resources",
        "warehouse.duckdb holds other rows of fhir/resource_history",
    ]
    assert verified(data, "--repair")[0] == 0
    assert verified(data) == (0, [])


def test_a_warehouse_that_has_not_taken_in_a_batch_yet_is_not_damaged(data):
    with duckdb.connect(data.path / "warehouse.duckdb") as connection:
        last = "(SELECT max(batch) FROM fhir.applied_batches)"
        for table in ("resource_versions", "deliveries"):
            connection.execute(f"DELETE FROM fhir.{table} WHERE batch = {last}")  # noqa: S608
        connection.execute(f"DELETE FROM fhir.applied_batches WHERE batch = {last}")  # noqa: S608
    assert verified(data) == (0, [])


def test_a_lost_manifest_or_kind_is_named_and_can_only_come_from_a_backup(data):
    first, second = sorted((data.path / "batches/fhir").glob("[!.]*"))
    (first / "manifest.json").unlink()
    shutil.rmtree(second)
    lost = [f"batches/fhir/{path.name}/manifest.json is gone" for path in (first, second)]
    assert verified(data) == (1, lost)
    result = data.run("lake", "verify", "--repair")
    assert result.exit_code == 1
    assert result.stderr.splitlines()[-2:] == [
        f"hc-assets: still damaged: {line}; it can only be put back from a backup" for line in lost
    ]


def test_a_landed_file_is_copied_again_only_where_the_same_bytes_lie_there_still(ingested, data):
    first, second = sorted((data.path / "batches/fhir").glob("*/files/*"), key=str)
    for path in (first, second):
        changed(path)
    source = ingested.path.parent / "1.json"
    content = source.read_text()
    source.write_text("{}")
    try:
        code, named = verified(data, "--repair")
    finally:
        source.write_text(content)
    assert (code, len(named)) == (1, 2)
    assert verified(data) == (
        1,
        [f"batches/fhir/{second.parents[1].name}/files/{second.name} is not what was written"],
    )


def test_a_run_refuses_a_landed_file_that_changed_and_names_it(data, tmp_path):
    path = tmp_path / "further.json"
    path.write_text('{"resourceType": "Patient", "id": "p9"}')
    key = data.run("land", path).stdout.strip()
    (landed,) = (data.path / "batches/fhir" / key / "files").iterdir()
    changed(landed)
    result = data.run("ingest", path)
    assert result.exit_code == 4
    assert f"DamagedFileError: batches/fhir/{key}/files/{landed.name} is not" in result.stderr
    assert "lake verify --repair" in result.stderr
    assert not (data.path / "lake/fhir/raw_bundles" / f"batch={key}" / "_commit.json").exists()
    assert data.query("SELECT count(*) FROM fhir.current_resources") == [(2,)]


def test_a_rebuild_refuses_a_part_that_changed_and_names_it(data):
    part = min((data.path / "lake/fhir/enriched_resources").glob("batch=*/part-*"))
    changed(part)
    result = data.run("warehouse", "rebuild")
    assert result.exit_code == 4
    assert f"{part.parent.name}/{part.name} is not what its commit says" in result.stderr


def test_what_can_not_be_rebuilt_stays_as_it_is(data):
    (landed, _) = sorted((data.path / "batches/fhir").glob("*/files/*"), key=str)
    batch = landed.parents[1].name
    landed.unlink()
    manifest = json.loads((landed.parents[1] / "manifest.json").read_text())
    source = Path(manifest["files"][0]["source_file"])
    part = min((data.path / f"lake/fhir/raw_bundles/batch={batch}").glob("part-*"))
    changed(part)
    content = source.read_text()
    source.unlink()
    try:
        assert data.run("lake", "verify", "--repair").exit_code == 1
    finally:
        source.write_text(content)
    assert part.exists()
    assert (part.parent / "_commit.json").exists()
