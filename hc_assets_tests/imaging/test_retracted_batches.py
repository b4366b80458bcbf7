"""A retracted batch of images is in nothing that is made of all of them, nor are its studies."""

import json
from pathlib import Path

import numpy as np
import pytest

from hc_assets_tests.conftest import DataFolder

PIXELS = np.random.default_rng(1).integers(0, 1000, (64, 64)).astype(np.uint16)


@pytest.fixture
def lake(tmp_path: Path, write_dicom) -> DataFolder:
    """Two studies of two patients, each in a batch of its own."""
    paths = [
        write_dicom(
            PIXELS + number,
            f"{number}.dcm",
            SOPInstanceUID=f"1.2.{number}.1",
            SeriesInstanceUID=f"1.2.{number}.2",
            StudyInstanceUID=f"1.2.{number}.3",
            PatientID=f"P{number}",
        )
        for number in (1, 2)
    ]
    made = DataFolder(tmp_path / "data", {"HC_BATCH_FILES": "1", "HC_QUALITY_TRAINING_GATE": "0"})
    assert made.run("ingest", *paths).exit_code == 0
    return made


def studies(lake: DataFolder) -> list[object]:
    rows = lake.query(
        "SELECT resource_id FROM fhir.current_resources"
        " WHERE resource_type = 'ImagingStudy' AND NOT is_deleted ORDER BY resource_id"
    )
    return [row[0] for row in rows]


def counts(lake: DataFolder) -> list[int]:
    tables = ("dicom_index", "series", "imaging_studies", "training_set", "volumes")
    return [len(lake.query(f"SELECT 1 FROM imaging.{table}")) for table in tables]  # noqa: S608


@pytest.mark.parametrize(
    "times",
    [pytest.param(1, id="once"), pytest.param(3, id="often", marks=pytest.mark.exhaustive)],
)
def test_a_retracted_batch_leaves_every_table_and_its_studies_are_deleted(lake, times):
    listed = json.loads(lake.run("batches", "--kind", "dicom", "--format", "json").stdout)
    assert [each["state"] for each in listed] == ["published", "published"]
    before = counts(lake)
    assert before[:3] == [2, 2, 2]
    first = listed[0]["key"]
    for _ in range(times):
        assert studies(lake) == ["1.2.1.3", "1.2.2.3"]
        assert lake.run("batches", "retract", first).exit_code == 0
        assert counts(lake) == [count // 2 for count in before]
        assert studies(lake) == ["1.2.2.3"]
        assert lake.run("batches", "restore", first).exit_code == 0
        assert counts(lake) == before
    assert studies(lake) == ["1.2.1.3", "1.2.2.3"]
    assert lake.run("lake", "verify").stdout == ""


@pytest.mark.exhaustive
def test_nothing_is_left_once_all_are_retracted(lake):
    before = counts(lake)
    for each in json.loads(lake.run("batches", "--kind", "dicom", "--format", "json").stdout):
        assert lake.run("batches", "retract", each["key"]).exit_code == 0
    assert counts(lake) == [0] * len(before)
    assert studies(lake) == []
    states = lake.run("batches", "--kind", "dicom").stdout.splitlines()
    assert all("\tretracted\t" in line for line in states)
