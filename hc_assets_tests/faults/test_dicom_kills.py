"""The same of DICOM: whatever a kill leaves, and two runs at once; the next run makes it whole."""

from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from hc_assets.domains import CATALOG
from hc_assets_tests.faults.conftest import (
    EARLIER,
    NOW,
    Ended,
    Fed,
    Kill,
    Spawner,
    copied,
    differences,
    kept,
)
from hc_assets_tests.faults.dicom_deliveries import ENVIRONMENT

EXHAUSTIVE = pytest.mark.exhaustive
ALL = pytest.param(None, id="all", marks=EXHAUSTIVE)
OF_BATCHES = CATALOG.landings["dicom"].batch_tables
OF_ALL = [table for table in CATALOG.landings["dicom"].publish_tables if table in CATALOG.parquet]


def ingesting(fed: Fed, delivery: str) -> dict[str, Any]:
    return {
        "arguments": ["ingest", str(fed.deliveries / delivery), "--kind", "dicom"],
        "environment": ENVIRONMENT,
    }


def at_once(spawner: Spawner, data_dir: Path, *tasks: dict[str, Any]) -> None:
    command = {"do": "command", "data_dir": str(data_dir)}
    results = spawner.at_once(*(command | task for task in tasks))
    ends = [(result["signal"], result.get("value")) for result in results]
    assert ends == [(0, 0)] * len(tasks), spawner.tail()


def rows_of(data_dir: Path, table: str) -> int:
    return sum(
        pq.read_metadata(path).num_rows
        for path in (data_dir / "lake" / table).rglob("part-*")
        if path.parent.name != "_schema"
    )


def test_every_table_and_export_has_something_to_lose(fed_dicom: Fed):
    made = {
        "imaging/dicom_index": 8,
        "imaging/unreadable_files": 2,
        "imaging/quality_metrics": 8,
        "imaging/undecodable_frames": 1,
        "imaging/series_quality": 1,
        "imaging/preprocessed_arrays": 7,
        "imaging/series": 3,
        "imaging/imaging_studies": 3,
        "imaging/volume_slices": 5,
        "imaging/volumes": 1,
        "imaging/aligned_volumes": 1,
        "imaging/nifti_exports": 1,
        "imaging/training_set": 5,
        "imaging/quality_report": 1,
    }
    found = {table: rows_of(fed_dicom.both, table) for table in made}
    assert {name: n for name, n in found.items() if n < made[name]} == {}, found
    for pattern in ("exports/training_set/**/*.parquet", "exports/**/*.nii.gz", "landing/fhir/*/*"):
        assert list(fed_dicom.both.glob(pattern)), pattern
    assert rows_of(fed_dicom.both, "fhir/raw_bundles") > 0


@pytest.mark.parametrize("at_most", [pytest.param(2, id="sampled"), ALL])
def test_a_killed_ingest_is_finished_by_the_next(ended_everywhere: Ended, fed_dicom: Fed, at_most):
    places, tried = ended_everywhere(
        "command",
        fed_dicom.first,
        kept(fed_dicom.both),
        at_most=at_most,
        **ingesting(fed_dicom, "second"),
    )
    assert places > 1000
    assert tried >= (at_most or 100)


@pytest.mark.parametrize(
    "at_most", [pytest.param(2, id="sampled"), pytest.param(20, id="many", marks=EXHAUSTIVE)]
)
def test_an_ingest_that_is_killed(killed_everywhere: Kill, fed_dicom: Fed, at_most):
    task = ingesting(fed_dicom, "second")
    assert killed_everywhere("command", fed_dicom.first, at_most=at_most, **task) == at_most


def test_two_runs_over_the_same_batch(spawner: Spawner, fed_dicom: Fed, tmp_path: Path):
    data_dir = copied(fed_dicom.first, tmp_path / "data")
    at_once(spawner, data_dir, *[ingesting(fed_dicom, "second")] * 2)
    assert differences(data_dir, kept(fed_dicom.both)) == []


def test_two_runs_over_different_batches(spawner: Spawner, fed_dicom: Fed, tmp_path: Path):
    data_dir = tmp_path / "data"
    # Landed in their order, since whichever is landed later has the later key
    for name, now in (("first", EARLIER), ("second", NOW)):
        arguments = ["land", str(fed_dicom.deliveries / name), "--kind", "dicom"]
        assert spawner.must("command", data_dir, arguments=arguments, now=now) == 0
    at_once(spawner, data_dir, *(ingesting(fed_dicom, name) for name in ("first", "second")))
    expected = kept(fed_dicom.both)
    wrong = differences(data_dir, expected)
    assert [name for name in wrong if "imaging/" in name] == []
