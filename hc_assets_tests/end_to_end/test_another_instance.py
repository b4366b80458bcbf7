"""The lake is the truth: what Dagster's record lacks is published all the same."""

import json
from pathlib import Path

import pytest

from hc_assets.lake.layout import Layout
from hc_assets.lake.manifests import batch_keys
from hc_assets.orchestration.runs import open_instance

CURRENT = "SELECT resource_id FROM fhir.current_resources ORDER BY 1"


def patient(path: Path, number: int) -> Path:
    path.write_text(json.dumps({"resourceType": "Patient", "id": f"p{number}", "gender": "male"}))
    return path


@pytest.fixture
def restored(hc_assets, data_dir, tmp_path, monkeypatch) -> Path:
    """A lake of three batches beside a Dagster instance that knows of none."""
    for number in range(3):
        path = patient(tmp_path / f"{number}.json", number)
        assert hc_assets("ingest", path).exit_code == 0
    home = tmp_path / "another"
    home.mkdir()
    monkeypatch.setenv("DAGSTER_HOME", str(home))
    return data_dir


def exported(data_dir: Path) -> set[str]:
    lines = (data_dir / "exports" / "fhir" / "Patient.ndjson").read_text().splitlines()
    return {json.loads(line)["id"] for line in lines}


def test_an_ingest_beside_another_instance_keeps_all_that_was_published(
    hc_assets, restored, query, tmp_path
):
    result = hc_assets("ingest", patient(tmp_path / "further.json", 9))

    assert result.exit_code == 0, result.output
    assert query(CURRENT) == [("p0",), ("p1",), ("p2",), ("p9",)]
    assert exported(restored) == {"p0", "p1", "p2", "p9"}


def test_batches_that_an_instance_lacks_are_made_known_to_it(hc_assets, restored, tmp_path):
    hc_assets("land", patient(tmp_path / "further.json", 9))
    layout = Layout.of(restored)
    with open_instance(layout) as instance:
        known = instance.get_dynamic_partitions("fhir_batches")
    assert sorted(known) == batch_keys(layout, "fhir")
    assert len(known) == 4


def test_a_warehouse_rebuilt_beside_another_instance_stays_whole_at_the_next_ingest(
    hc_assets, restored, query, tmp_path
):
    (restored / "warehouse.duckdb").unlink()
    assert hc_assets("warehouse", "rebuild").exit_code == 0
    assert hc_assets("ingest", patient(tmp_path / "further.json", 9)).exit_code == 0
    assert query(CURRENT) == [("p0",), ("p1",), ("p2",), ("p9",)]
