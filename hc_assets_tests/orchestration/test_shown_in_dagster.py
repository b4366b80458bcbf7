"""What Dagster's UI is given of every asset and every check, whoever adds one."""

import os
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest
from typer.testing import CliRunner

from hc_assets.cli.main import app
from hc_assets.definitions import build_defs
from hc_assets.lake.layout import Layout
from hc_assets.orchestration.runs import Job, open_instance, run_job
from hc_assets.sample_data.write import write_sample

GRAPH = build_defs().resolve_asset_graph()


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dg.DagsterInstance]:
    """The record of an instance in which a small sample went all the way."""
    folder = tmp_path_factory.mktemp("shown")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HC_DATA_DIR", str(folder / "data"))
        patch.setenv("DAGSTER_HOME", "")
        write_sample(folder, patients=1)
        for kind, files in (("fhir", folder / "fhir"), ("dicom", folder / "dicom" / "study-01")):
            done = CliRunner().invoke(app, ["ingest", str(files), "--kind", kind])
            assert done.exit_code == 0, done.output
        with open_instance(Layout.of(Path(os.environ["HC_DATA_DIR"]))) as instance:
            run_job(build_defs(), instance, Job("check_freshness"))
            yield instance


@pytest.mark.parametrize("key", sorted(GRAPH.get_all_asset_keys()), ids=dg.AssetKey.to_user_string)
def test_an_asset_has_description_owner_and_columns(key):
    node = GRAPH.get(key)
    assert node.group_name == key.path[0]
    assert node.description.startswith("One row per")
    assert all((node.kinds, node.owners, node.code_version))
    assert node.tags["layer"] in {"raw", "core", "out"}
    columns = node.metadata["dagster/column_schema"].columns
    assert columns
    assert all(column.description for column in columns)
    if node.parent_keys:
        assert node.metadata["dagster/column_lineage"].deps_by_column


def test_every_materialization_has_its_number_of_rows(finished):
    for key in GRAPH.get_all_asset_keys():
        event = finished.get_latest_materialization_event(key)
        assert event is not None, key
        metadata = event.asset_materialization.metadata
        assert metadata["dagster/row_count"].value >= 0, key


def test_every_check_says_what_must_hold_and_has_numbers_that_the_ui_plots(finished):
    records = finished.event_log_storage.get_latest_asset_check_execution_by_key(
        list(GRAPH.asset_check_keys)
    )
    for key in GRAPH.asset_check_keys:
        assert GRAPH.get(key).description, key
        assert key in records, key
        evaluation = records[key].evaluation
        for plotted in ("value", "threshold"):
            assert isinstance(evaluation.metadata[plotted], dg.FloatMetadataValue), key
        assert evaluation.description, key
