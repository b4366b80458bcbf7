"""The lake is the truth: what Dagster's record lacks is published all the same."""

import json
import shutil
from pathlib import Path

import dagster as dg
import pytest

from hc_assets.definitions import build_defs
from hc_assets.domains import warehouse_of
from hc_assets.fhir.assets import ndjson_exports
from hc_assets.fhir.versions import ledger
from hc_assets.lake.incremental import ShrinkingTableError
from hc_assets.lake.layout import Layout
from hc_assets.lake.manifests import batch_keys
from hc_assets.lake.tables import read_partitions
from hc_assets.orchestration import internals
from hc_assets.orchestration.failures import described_error
from hc_assets.orchestration.runs import open_instance
from hc_assets.settings import Settings
from hc_assets_tests.conftest import DataFolder

CURRENT = "SELECT resource_id FROM fhir.current_resources ORDER BY 1"


def patient(path: Path, number: int) -> Path:
    path.write_text(json.dumps({"resourceType": "Patient", "id": f"p{number}", "gender": "male"}))
    return path


@pytest.fixture(scope="module")
def lake_of_three(tmp_path_factory: pytest.TempPathFactory) -> DataFolder:
    """Three batches of a patient each, with the instance that made them."""
    folder = tmp_path_factory.mktemp("lake_of_three")
    made = DataFolder(folder / "data")
    for number in range(3):
        result = made.run("ingest", patient(folder / f"{number}.json", number))
        assert result.exit_code == 0, result.output
    return made


@pytest.fixture
def restored(lake_of_three, data_dir, tmp_path, monkeypatch) -> Path:
    """A copy of that lake beside a Dagster instance that knows of none of its batches."""
    shutil.copytree(lake_of_three.path, data_dir, ignore=shutil.ignore_patterns("dagster"))
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


def run(job: str) -> dg.ExecuteInProcessResult:
    settings = Settings()
    with open_instance(Layout.configured(settings)) as instance:
        return internals.defined_job(build_defs(settings), job).execute_in_process(
            instance=instance, raise_on_error=False
        )


def test_a_warehouse_older_than_the_lake_empties_no_export_and_is_brought_up_by_an_ingest(
    hc_assets, restored, query, tmp_path
):
    warehouse = restored / "warehouse.duckdb"
    before = exported(restored)
    warehouse.unlink()
    outcome = dg.materialize(
        [ndjson_exports],
        resources=build_defs().resources,
        raise_on_error=False,
    )
    (failure,) = [each for each in outcome.all_events if each.is_step_failure]
    assert "fhir/ndjson_exports would lose 3 batches" in described_error(failure)
    assert exported(restored) == before

    assert hc_assets("ingest", patient(tmp_path / "0.json", 0)).exit_code == 0
    assert query(CURRENT) == [("p0",), ("p1",), ("p2",)]
    assert exported(restored) == before


def test_freshness_goes_by_the_commits(restored, monkeypatch):
    monkeypatch.setenv("HC_FRESHNESS_HOURS", "0.000001")
    outcome = run("check_freshness")
    assert outcome.success
    assert [e.check_name for e in outcome.get_asset_check_evaluations() if not e.passed] == []


def test_no_batch_is_taken_back_because_a_run_was_given_fewer(restored):
    layout = Layout.of(restored)
    enriched = read_partitions(layout, "fhir/enriched_resources")
    first = enriched.only(batch_keys(layout, "fhir")[:1])
    with warehouse_of(layout).read() as connection:
        ledger.refuse_lost_batches(connection, layout, enriched)
        with pytest.raises(ShrinkingTableError, match="would lose 2 batches"):
            ledger.refuse_lost_batches(connection, layout, first)
