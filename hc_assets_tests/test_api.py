"""The public interface is what docs/api.md states, and its examples run."""

import re
import subprocess
import sys
from pathlib import Path

import dagster as dg
import duckdb
import pandas as pd
import pyarrow as pa
import pytest
from pydicom.data import get_testdata_file

import hc_assets as package
from hc_assets.definitions import build_defs
from hc_assets.lake.layout import Layout
from hc_assets.lake.reading import UnknownColumnError, UnknownTableError
from hc_assets.lake.tables import MissingPartitionError
from hc_assets.orchestration.runs import open_instance
from hc_assets.settings import Settings
from hc_assets_tests.conftest import DataFolder

DOCS = Path(__file__).parents[1] / "docs"
PATIENTS = (
    '{"resourceType": "Patient", "gender": "male"}\n{"resourceType": "Patient", "gender": "mail"}\n'
)


def examples(document: Path) -> str:
    """The Python of a document, in order."""
    blocks = re.findall(r"^```python\n(.*?)^```", document.read_text(), re.DOTALL | re.MULTILINE)
    assert blocks
    return "\n".join(blocks)


@pytest.fixture(scope="module")
def ingested(tmp_path_factory: pytest.TempPathFactory) -> DataFolder:
    """A data folder with two patients, one of them invalid, and an image with all made of it."""
    folder = DataFolder(tmp_path_factory.mktemp("api") / "data", {"HC_QUALITY_GATE": "0"})
    patients = tmp_path_factory.mktemp("api") / "patients.ndjson"
    patients.write_text(PATIENTS)
    for path in (patients, get_testdata_file("CT_small.dcm")):
        result = folder.run("ingest", path)
        assert result.exit_code == 0, result.output
    return folder


@pytest.fixture
def at_work(ingested: DataFolder, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Where a user is who works on that folder."""
    monkeypatch.setenv("HC_DATA_DIR", str(ingested.path))
    monkeypatch.setenv("DAGSTER_HOME", "")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_examples_of_the_interface_run(at_work):
    found: dict[str, object] = {}
    exec(compile(examples(DOCS / "api.md"), "api.md", "exec"), found)  # noqa: S102
    assert isinstance(found["defs"], dg.Definitions)
    assert not package.is_valid(found["patient"])
    assert len(found["samples"]) in (0, 1)


def test_all_that_may_be_imported_is_in_the_document():
    text = (DOCS / "api.md").read_text()
    for name in package.__all__:
        assert f"hc_assets.{name}" in text
        assert getattr(package, name)
    with pytest.raises(AttributeError, match="no attribute another"):
        _ = package.another


def test_importing_the_package_imports_nothing_slow():
    code = (
        "import sys, hc_assets; hc_assets.validate, hc_assets.Settings;"
        "sys.exit(' '.join({'dagster', 'pandas', 'duckdb'} & {*sys.modules}) or None)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_rows_come_as_arrow_pandas_and_duckdb_with_the_same_content(at_work):
    rows = package.read("fhir/quarantined_resources")
    table = rows.arrow()
    assert len(rows) == table.num_rows == 1
    assert table.schema.equals(rows.schema)
    frame = rows.pandas()
    assert frame["resource"][0] == PATIENTS.splitlines()[1].encode()
    assert frame["position"].dtype == pd.ArrowDtype(pa.int64())
    assert frame["issues"][0][0]["rule"] == "required-binding"
    assert pa.Table.from_batches(rows.batches()).equals(table)
    with duckdb.connect() as connection:
        assert rows.duckdb(connection).aggregate("count(*)").fetchall() == [(1,)]


def test_columns_batches_and_folder_can_be_named(at_work, monkeypatch, ingested):
    monkeypatch.delenv("HC_DATA_DIR")
    rows = package.read("fhir/raw_bundles", columns=["batch"], data_dir=ingested.path)
    first, second = sorted(set(rows.arrow()["batch"].to_pylist()))
    assert rows.schema.names == ["batch"]
    assert len(package.read("fhir/raw_bundles", first, data_dir=ingested.path)) == 2
    assert len(package.read("fhir/raw_bundles", [first, second], data_dir=ingested.path)) == 3


def test_what_is_missing_is_named(at_work, tmp_path):
    with pytest.raises(UnknownTableError, match="the nearest is imaging/quality_metrics"):
        package.read("imaging/qualty_metrics")
    with pytest.raises(UnknownColumnError, match=r"no column snrr; there are .*snr"):
        package.read("imaging/quality_metrics", columns=["snrr"])
    with pytest.raises(MissingPartitionError, match="no rows of b are committed"):
        package.read("imaging/quality_metrics", "b")
    with pytest.raises(MissingPartitionError, match="nothing is committed yet"):
        package.read("imaging/quality_metrics", data_dir=tmp_path / "empty")


def test_parts_that_are_not_committed_are_not_read(at_work, ingested):
    folder = next((ingested.path / "lake" / "fhir" / "raw_bundles").glob("batch=*"))
    part = next(folder.glob("part-*.parquet"))
    stray = folder / "part-00009-000-0123456789ab.parquet"
    stray.write_bytes(part.read_bytes())
    try:
        assert package.read("fhir/raw_bundles").arrow().num_rows == 3  # the study's as well
    finally:
        stray.unlink()


def test_an_asset_of_ones_own_reads_the_warehouse_through_dagsters_resource(at_work, ingested):
    found: dict[str, object] = {}
    code = examples(DOCS / "how-to" / "read-results.md")
    exec(compile(code, "read-results.md", "exec"), found)  # noqa: S102
    definitions = found["defs"]
    with open_instance(Layout.configured(Settings())) as instance:
        job = definitions.resolve_implicit_global_asset_job_def()
        done = job.execute_in_process(
            instance=instance, asset_selection=[dg.AssetKey("resources_by_type")]
        )
    assert done.success
    assert (at_work / "resources_by_type.csv").read_text() == (
        "resource_type,resources\nImagingStudy,1\nPatient,1\n"
    )


def test_the_resource_can_not_write_and_is_closed_when_a_block_raises(at_work):
    resource = build_defs(Settings()).resources["duckdb"]
    with pytest.raises(duckdb.InvalidInputException), resource.get_connection() as connection:
        connection.execute("CREATE TABLE own (a INTEGER)")
    with pytest.raises(duckdb.ConnectionException):
        connection.execute("SELECT 1")
