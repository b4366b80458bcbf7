"""A disk that is full, rights that are missing, inputs that vanish or are still being copied."""

import json
import os
import re
from pathlib import Path
from typing import Any

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


def of_fhir(fed: Fed) -> dict[str, Any]:
    return {"arguments": fhir(fed.deliveries / "first"), "now": EARLIER}


def of_dicom(fed: Fed) -> dict[str, Any]:
    arguments = ["ingest", str(fed.deliveries / "first"), "--kind", "dicom"]
    return {"arguments": arguments, "environment": ENVIRONMENT, "now": EARLIER}


@pytest.fixture(scope="module")
def needed(spawner: Spawner, fed: Fed, tmp_path_factory: pytest.TempPathFactory) -> int:
    """Bytes of the disk that the results of a FHIR delivery take."""
    return int(spawner.must("measure", tmp_path_factory.mktemp("roomy"), **of_fhir(fed)))


@pytest.fixture(scope="module")
def needed_by_dicom(
    spawner: Spawner, fed_dicom: Fed, tmp_path_factory: pytest.TempPathFactory
) -> int:
    """The same of DICOM."""
    return int(spawner.must("measure", tmp_path_factory.mktemp("roomy"), **of_dicom(fed_dicom)))


def must_be_reported_and_completed(
    spawner: Spawner, folder: Path, size: float, expected: Path, **task: Any
) -> None:
    """Ingest on a disk of some bytes, on which the results have no room, then on one with room."""
    copy, log = folder / "copy", folder / "log"
    disk = {"size": f"{max(64, int(size / 1024))}k", "copy": str(copy), "log": str(log)}
    ended = spawner.must("fill up", folder / "data", **disk, **task)
    output = log.read_text()
    assert ended == {"full": 4, "roomy": 0}, (disk, output[-3000:])
    assert re.search("no space left on|disk is full", output.lower()), output[-3000:]
    assert differences(copy, kept(expected)) == []


# The more room there is, the later the step that finds none: landing, the tables, the exports
SHARES = [pytest.param(share, marks=pytest.mark.exhaustive) for share in (0.02, 0.2, 0.6, 0.8)]


@pytest.mark.parametrize("share", [*SHARES, 0.4, 0.95])
def test_a_full_disk_is_reported_and_the_next_run_completes(
    spawner: Spawner, fed: Fed, small_disk: None, needed: int, tmp_path: Path, share: float
):
    must_be_reported_and_completed(spawner, tmp_path, needed * share, fed.first, **of_fhir(fed))


@pytest.mark.exhaustive
@pytest.mark.parametrize("share", [0.05, 0.2, 0.4, 0.6, 0.8, 0.95])
def test_a_disk_that_is_full_of_images(
    spawner: Spawner,
    fed_dicom: Fed,
    small_disk: None,
    needed_by_dicom: int,
    tmp_path: Path,
    share: float,
):
    size, task = needed_by_dicom * share, of_dicom(fed_dicom)
    must_be_reported_and_completed(spawner, tmp_path, size, fed_dicom.first, **task)


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
