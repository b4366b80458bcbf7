"""A bad batch costs itself, and a batch can be taken out of all that was made of it."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from hc_assets.lake import exclusions
from hc_assets.lake.layout import Layout
from hc_assets_tests.conftest import DataFolder

BATCH_FILES = {"HC_BATCH_FILES": "1"}


def patient(id_: str, family: str, updated: str) -> str:
    name = [{"family": family}]
    meta = {"lastUpdated": updated}
    return json.dumps({"resourceType": "Patient", "id": id_, "meta": meta, "name": name})


def states(lake: DataFolder) -> dict[str, dict[str, Any]]:
    result = lake.run("batches", "--format", "json")
    assert result.exit_code == 0
    return {each["key"]: each for each in json.loads(result.stdout)}


def families(lake: DataFolder) -> list[str]:
    rows = lake.query("SELECT resource FROM fhir.current_resources ORDER BY resource_id")
    return [json.loads(row[0])["name"][0]["family"] for row in rows]  # type: ignore[arg-type]


def exported(lake: DataFolder) -> str:
    folder = lake.path / "exports" / "fhir"
    listed = json.loads((folder / "manifest.json").read_text())["output"]
    return "".join((folder / each["url"]).read_text() for each in listed)


def counted(lake: DataFolder) -> int:
    return len(lake.query("SELECT batch FROM fhir.pipeline_metrics"))


@pytest.fixture(scope="module")
def sent(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sent")
    (folder / "a.ndjson").write_text(patient("p1", "First", "2026-01-01T00:00:00Z"))
    (folder / "b.ndjson").write_text(patient("p2", "Jones", "2026-01-01T00:00:00Z"))
    (folder / "c.ndjson").write_text(patient("p1", "Second", "2026-02-01T00:00:00Z"))
    return folder


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory, sent: Path) -> Iterator[DataFolder]:
    """Three batches, the second of which fails: a landed file is not what was landed."""
    made = DataFolder(tmp_path_factory.mktemp("lake") / "data", BATCH_FILES)
    keys = made.run("land", sent).stdout.split()
    (landed,) = (made.path / "batches" / "fhir" / keys[1] / "files").iterdir()
    landed.chmod(0o600)
    landed.write_bytes(b"{}")
    return made


def test_a_bad_batch_costs_itself(lake, sent):
    result = lake.run("ingest", sent)
    good, bad, last = states(lake)
    assert result.exit_code == 1
    assert bad in result.stderr.splitlines()[-1]
    assert "DamagedFileError" in result.stderr
    assert good not in result.stderr.splitlines()[-1]
    found = states(lake)
    assert [found[key]["state"] for key in (good, bad, last)] == [
        "published",
        "failed",
        "published",
    ]
    assert "raw_bundles: DamagedFileError" in found[bad]["detail"]
    assert (found[good]["files"], found[good]["entries"]) == (1, 1)
    assert families(lake) == ["Second"]
    assert "Second" in exported(lake)
    assert "Jones" not in lake.run("batches").stdout

    # Whoever sends a better file in the place of the bad one needs to do nothing else
    (sent / "b.ndjson").write_text(patient("p2", "Mended", "2026-01-01T00:00:00Z"))
    assert lake.run("ingest", sent).exit_code == 0
    assert families(lake) == ["Second", "Mended"]
    assert len(states(lake)) == 4


def test_a_retracted_batch_is_in_nothing_that_is_made_of_all(lake, sent):
    _, bad, last, _ = states(lake)
    assert lake.run("batches", "retract", bad).exit_code == 0
    assert lake.run("batches", "retract", last, "--reason", "wrong ward").exit_code == 0
    found = states(lake)
    assert [each["state"] for each in found.values()] == [
        "published",
        "retracted",
        "retracted",
        "published",
    ]
    assert "wrong" not in str(found)
    assert families(lake) == ["First", "Mended"]
    assert (last,) not in lake.query("SELECT batch FROM fhir.enriched_resources")
    assert "Second" not in exported(lake)
    assert counted(lake) == 2
    record = exclusions.read_exclusion(Layout.of(lake.path), "fhir", last)
    assert record.reason == "wrong ward"
    assert record.by
    # It is kept, and it is whole but for what was damaged
    assert (lake.path / "lake/fhir/enriched_resources" / f"batch={last}").exists()
    assert last not in lake.run("lake", "verify").stdout
    again = lake.run("batches", "retract", last, "--reason", "other words")
    assert again.exit_code == 0
    assert exclusions.read_exclusion(Layout.of(lake.path), "fhir", last) == record

    result = lake.run("ingest", sent)
    assert result.exit_code == 0
    assert f"{last} is retracted" in result.stderr
    assert lake.run("warehouse", "rebuild").exit_code == 0
    assert families(lake) == ["First", "Mended"]


def test_a_restored_batch_is_back(lake):
    _, _, last, _ = states(lake)
    result = lake.run("batches", "restore", last)
    assert result.exit_code == 0
    assert states(lake)[last]["state"] == "published"
    assert families(lake) == ["Second", "Mended"]
    assert counted(lake) == 3
    (kept,) = (lake.path / "batches" / "fhir" / ".restored").iterdir()
    assert "wrong ward" in kept.read_text()
    assert "not retracted" in lake.run("batches", "restore", last).stderr


def test_a_retraction_that_was_killed_is_made_up_for_by_the_next_command(lake, sent):
    good, *_ = states(lake)
    # As far as a kill behind the record leaves it
    exclusions.retract(Layout.of(lake.path), "fhir", good, now=datetime.now(UTC), by="x", reason="")
    result = lake.run("ingest", sent / "b.ndjson")
    assert result.exit_code == 0
    assert counted(lake) == 2
    assert "First" not in exported(lake)
    for key, state in states(lake).items():
        if state["state"] == "published":
            assert lake.run("batches", "retract", key).exit_code == 0
    assert families(lake) == []
    assert exported(lake) == ""


def test_a_key_that_is_no_batch_is_a_mistake_of_the_caller(lake):
    result = lake.run("batches", "retract", "20260101T000000Z-00000000")
    assert result.exit_code == 2
    assert "is no batch" in result.stderr
