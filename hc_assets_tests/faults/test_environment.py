"""A disk that is full, rights that are missing, inputs that vanish or are still being copied."""

import json
import os
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from hc_assets_tests.faults.conftest import EARLIER, Fed, Spawner, copied, differences, kept
from hc_assets_tests.faults.dicom_deliveries import ENVIRONMENT


def fhir(*paths: Path) -> list[str]:
    return ["ingest", *map(str, paths), "--kind", "fhir"]


@pytest.fixture
def small_disk(spawner: Spawner, tmp_path: Path) -> None:
    """Skip where no small disk can be mounted: neither as root, nor in a user's name space."""
    result = spawner.run("can mount", tmp_path / "probe")
    if "error" in result:
        pytest.skip(f"a small disk can't be mounted here: {result['error']}")


@pytest.mark.parametrize("size", [pytest.param("64k", marks=pytest.mark.exhaustive), "700k", "2m"])
def test_a_full_disk_is_told_and_the_next_run_completes(
    spawner: Spawner, fed: Fed, small_disk: None, tmp_path: Path, size: str
):
    data_dir, copy = tmp_path / "data", tmp_path / "copy"
    ended = spawner.must(
        "fill up",
        data_dir,
        size=size,
        copy=str(copy),
        arguments=fhir(fed.deliveries / "first"),
        now=EARLIER,
        log=str(tmp_path / "log"),
    )
    assert ended == {"full": 4, "roomy": 0}, (tmp_path / "log").read_text()[-3000:]
    assert kept(copy) == kept(fed.first)


@pytest.mark.exhaustive
@pytest.mark.parametrize("size", ["256k", "2m", "5m"])
def test_a_disk_that_is_full_of_images(
    spawner: Spawner, fed_dicom: Fed, small_disk: None, tmp_path: Path, size: str
):
    arguments = ["ingest", str(fed_dicom.deliveries / "first"), "--kind", "dicom"]
    told = {"arguments": arguments, "environment": ENVIRONMENT, "now": EARLIER}
    copy, log = tmp_path / "copy", tmp_path / "log"
    ended = spawner.must(
        "fill up", tmp_path / "data", size=size, copy=str(copy), log=str(log), **told
    )
    assert ended == {"full": 4, "roomy": 0}, log.read_text()[-3000:]
    assert differences(copy, kept(fed_dicom.first)) == []


def test_a_file_that_may_not_be_read_is_listed_and_the_others_go_on(
    spawner: Spawner, fed: Fed, tmp_path: Path
):
    drop = copied(fed.deliveries / "first", tmp_path / "drop")
    (drop / "weights.json").chmod(0)
    data_dir = tmp_path / "data"
    assert spawner.must("without privilege", data_dir, arguments=fhir(drop)) == 0, spawner.tail()
    (manifest,) = data_dir.glob("batches/fhir/*/manifest.json")
    problems = {
        Path(f["source_file"]).name: f["problem"] for f in json.loads(manifest.read_text())["files"]
    }
    assert problems["weights.json"] == "can't be read: Permission denied"
    assert [problems[name] for name in ("people.json", "invalid.ndjson")] == ["", ""]


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(".", marks=pytest.mark.exhaustive),
        "batches",
        pytest.param("lake", marks=pytest.mark.exhaustive),
        pytest.param("warehouse.duckdb", marks=pytest.mark.exhaustive),
        "exports/fhir",
    ],
)
def test_where_writing_is_denied_the_command_says_so_and_a_later_run_completes(
    spawner: Spawner, fed: Fed, tmp_path: Path, name: str
):
    data_dir = copied(fed.first, tmp_path / "data")
    denied = [data_dir / name, *(p for p in (data_dir / name).rglob("*") if p.is_dir())]
    if name == ".":
        denied = [data_dir, data_dir / "batches/fhir"]
    for path in denied:
        path.chmod(0o500 if path.is_dir() else 0o400)
    log = tmp_path / "log"
    arguments = fhir(fed.deliveries / "second")
    code = spawner.must("without privilege", data_dir, arguments=arguments, log=str(log))
    for path in denied:
        path.chmod(0o700 if path.is_dir() else 0o600)
    assert code == 4, log.read_text()
    assert "Traceback" not in log.read_text()
    assert log.read_text().splitlines()[-1].startswith("hc-assets: ")
    assert spawner.ingest(data_dir, *map(Path, arguments[1:2]), "--kind", "fhir") == 0
    assert kept(data_dir) == kept(fed.both)


def test_hostile_names_are_labels_and_their_rows_are_kept(spawner: Spawner, tmp_path: Path):
    drop, outside = tmp_path / "drop", tmp_path / "outside.json"
    drop.mkdir()
    outside.write_text('{"resourceType": "Patient", "id": "outside"}')
    names = [
        b"new\nline.json",
        b"..json",
        b"...",
        b"x..\\..\\up.json",
        b"%2e%2e%2fup.json",
        b"not-utf8-\xff\xfe.json",
        b"quote'\"`$(touch hacked);.json",
        b"-rf",
        b"*?[x].json",
        " \u202egpj.json".encode(),
        b"a" * 250 + b".json",
    ]
    for number, name in enumerate(names):
        (drop / os.fsdecode(name)).write_text(
            json.dumps({"resourceType": "Patient", "id": f"p{number}"})
        )
    (drop / "link.json").symlink_to(outside)
    deep = drop
    for _ in range(8):
        deep /= "d" * 255
        deep.mkdir()
    (deep / "deep.json").write_text('{"resourceType": "Patient", "id": "deep"}')

    data_dir = tmp_path / "data"
    assert spawner.ingest(data_dir, drop, "--kind", "fhir") == 0, spawner.tail()

    (part,) = data_dir.glob("lake/fhir/raw_bundles/batch=*/part-*")
    rows = pq.read_table(part, columns=["source_file", "resource_id"]).to_pylist()
    # A name that begins with a dot is hidden, as everywhere
    visible = [number for number, name in enumerate(names) if not name.startswith(b".")]
    ids = [row["resource_id"] for row in rows if row["resource_id"]]
    assert sorted(ids) == sorted(["deep", *(f"p{number}" for number in visible)])
    (refused,) = (row["source_file"] for row in rows if not row["resource_id"])
    assert refused.endswith("/drop/link.json")
    assert len({row["source_file"] for row in rows}) == len(rows)
    for path in data_dir.rglob("*"):
        assert path.name.isascii()
        assert path.name.isprintable()
    assert not list(tmp_path.rglob("hacked"))
    again = kept(data_dir)
    assert spawner.ingest(data_dir, drop, "--kind", "fhir") == 0
    assert kept(data_dir) == again


def test_a_file_still_being_copied_is_not_taken_half(spawner: Spawner, fed: Fed, tmp_path: Path):
    """It grows while it is read: nothing of it is landed, and whole it is landed once."""
    drop = copied(fed.deliveries / "first", tmp_path / "drop")
    growing = drop / "weights.json"
    whole = growing.read_bytes()
    growing.write_bytes(whole[:100])
    data_dir = tmp_path / "data"
    result = spawner.must("land while it grows", data_dir, source=str(drop), grows=str(growing))
    assert result["waiting"] == 1
    stored = {path.name for path in data_dir.glob("batches/fhir/*/files/*")}
    listed = {
        each["stored"]
        for path in data_dir.glob("batches/fhir/*/manifest.json")
        for each in json.loads(path.read_text())["files"]
    }
    assert stored == listed
    assert len(listed) == 2
    growing.write_bytes(whole)
    assert spawner.ingest(data_dir, drop, "--kind", "fhir") == 0
    sizes = [path.read_bytes() for path in data_dir.glob("batches/fhir/*/files/*")]
    assert sizes.count(whole) == 1
    assert len(sizes) == 3


def test_files_that_vanish_between_listing_and_landing_are_no_error(
    spawner: Spawner, fed: Fed, tmp_path: Path
):
    drop = copied(fed.deliveries / "first", tmp_path / "drop")
    result = spawner.must(
        "land while it vanishes",
        tmp_path / "data",
        source=str(drop),
        vanishes=str(drop / "people.json"),
    )
    assert result["landed"] == 2
