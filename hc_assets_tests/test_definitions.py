"""A change of keys, groups, kinds, owners, dependencies or checks shows here in review."""

import json
import subprocess
import sys
from pathlib import Path

import dagster as dg
import pytest

import hc_assets
from hc_assets.core.columns import note
from hc_assets.definitions import build_defs
from hc_assets.lake.landing import batch_keys
from hc_assets.lake.layout import Layout
from hc_assets.lake.lineage import sources
from hc_assets.orchestration.runs import open_instance
from hc_assets.orchestration.specs import asset_key
from hc_assets.pipelines import PIPELINES
from hc_assets.settings import Settings
from hc_assets.tables import LINEAGE, PARQUET_TABLES, STATE_TABLES

SNAPSHOT = Path(__file__).with_name("asset_specs.json")


def described() -> dict[str, object]:
    graph = build_defs(Settings()).resolve_asset_graph()
    assets = {}
    for key in sorted(graph.get_all_asset_keys()):
        node = graph.get(key)
        assets[key.to_user_string()] = {
            "group": node.group_name,
            "kinds": sorted(node.kinds),
            "owners": list(node.owners),
            "layer": node.tags["layer"],
            "code_version": node.code_version,
            "deps": sorted(parent.to_user_string() for parent in node.parent_keys),
            "partitions": node.partitions_def.name if node.partitions_def else None,
        }
    checks = sorted(
        f"{key.asset_key.to_user_string()}: {key.name}"
        + (" (blocking)" if graph.get(key).blocking else "")
        for key in graph.asset_check_keys
    )
    return {"assets": assets, "checks": checks}


def snapshot() -> str:
    """What is described, as it is kept."""
    return json.dumps(described(), indent=1) + "\n"


def test_asset_specs_are_as_recorded():
    """Where the change is meant: `make snapshot`."""
    assert snapshot() == SNAPSHOT.read_text()


def test_each_kind_of_landing_has_the_partitions_and_jobs_that_its_declaration_says():
    definitions = build_defs(Settings())
    graph = definitions.resolve_asset_graph()
    jobs = {job.name for job in definitions.jobs}
    for pipeline in PIPELINES.values():
        for table in pipeline.batch_tables:
            node = graph.get(asset_key(table))
            assert node.partitions_def.name == pipeline.partitions_name
            assert node.backfill_policy == dg.BackfillPolicy.single_run(), "a range is one run"
        assert all(graph.get(asset_key(t)).partitions_def is None for t in pipeline.publish_tables)
        assert {pipeline.ingest_job, pipeline.check_job, pipeline.publish_job} <= jobs
    declared = {t for p in PIPELINES.values() for t in (*p.batch_tables, *p.publish_tables)}
    assert declared == {key.to_user_string() for key in graph.get_all_asset_keys()}


FURTHER_KIND = """
import sys
import dagster as dg
from hc_assets import pipelines
pipelines.PIPELINES["genomics"] = pipelines.Pipeline("genomics", ("genomics/variants",))
from hc_assets.cli.main import main
from hc_assets.orchestration.jobs import JOBS
from hc_assets.orchestration.sensors import sensors
from hc_assets.settings import Settings
assert "new_genomics_files" in {sensor.name for sensor in sensors(Settings())}
assert {"ingest_genomics", "check_genomics_batch"} <= {job.name for job in JOBS}
main()
"""


def test_a_further_kind_of_landing_is_one_declaration(data_dir, tmp_path):
    (tmp_path / "a.vcf").write_text("##fileformat=VCFv4.3\n")
    done = subprocess.run(
        [sys.executable, "-c", FURTHER_KIND, "land", str(tmp_path / "a.vcf")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    key = done.stdout.strip()
    assert batch_keys(Layout.of(data_dir), "genomics") == [key]
    with open_instance(Layout.of(data_dir)) as instance:
        assert instance.get_dynamic_partitions("genomics_batches") == [key]


@pytest.mark.parametrize("table", sorted(PARQUET_TABLES))
def test_every_column_has_a_description(table):
    for field in PARQUET_TABLES[table]:
        assert note(field).description, field.name


TABLES = {**PARQUET_TABLES, **STATE_TABLES}


@pytest.mark.parametrize("table", sorted(TABLES))
def test_every_column_is_made_from_columns_of_tables_upstream(table):
    """Where a table is new: declare it in its domain's `lineage.py`."""
    graph = build_defs(Settings()).resolve_asset_graph()
    upstream = {
        key.to_user_string() for key in graph.get_ancestor_asset_keys(dg.AssetKey(table.split("/")))
    }
    made_from = {s.table for of_one in sources(table, LINEAGE, TABLES).values() for s in of_one}
    assert made_from <= upstream - {table}


def test_dagster_is_told_the_lineage_of_columns_from_raw_to_export():
    graph = build_defs(Settings()).resolve_asset_graph()

    def back(column: dg.TableColumnDep) -> set[dg.TableColumnDep]:
        lineage = graph.get(column.asset_key).metadata.get("dagster/column_lineage")
        deps = lineage.deps_by_column.get(column.column_name, []) if lineage else []
        return {column, *(each for dep in deps for each in back(dep))}

    exported = dg.TableColumnDep(dg.AssetKey(["fhir", "ndjson_exports"]), "resources")
    raw = dg.TableColumnDep(dg.AssetKey(["fhir", "raw_bundles"]), "resource")
    assert raw in back(exported)


def test_the_column_table_says_unit_and_origin():
    node = build_defs(Settings()).resolve_asset_graph().get(dg.AssetKey(["imaging", "series"]))
    columns = {each.name: each for each in node.metadata["dagster/column_schema"].columns}
    assert columns["slice_thickness"].constraints.other == ["unit: mm"]
    assert columns["slice_thickness"].description.endswith("(from imaging/dicom_index)")
    assert columns["pixel_spacing"].type == "list of double"


def test_every_asset_leads_to_the_check_report(data_dir):
    for settings, kind, link in (
        (Settings(), "path", str(data_dir / "reports" / "checks.html")),
        (
            Settings(report_url="https://reports.example.org/"),
            "url",
            "https://reports.example.org/checks.html#fhir/raw_bundles",
        ),
    ):
        graph = build_defs(settings).resolve_asset_graph()
        metadata = graph.get(dg.AssetKey(["fhir", "raw_bundles"])).metadata
        assert getattr(metadata["check_report"], kind) == link
        assert all("check_report" in graph.get(k).metadata for k in graph.get_all_asset_keys())


def test_overrides_replace_resources():
    definitions = build_defs(Settings(), layout="another")
    assert definitions.resources["layout"] == "another"


def test_worker_modules_are_free_of_dagster():
    package = Path(hc_assets.__file__).parent
    modules = [
        ".".join(path.relative_to(package.parent).with_suffix("").parts)
        for path in sorted(package.rglob("workers.py"))
    ]
    assert "hc_assets.fhir.validation.workers" in modules
    code = f"import sys, {', '.join(modules)}; sys.exit('dagster' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


if __name__ == "__main__":
    SNAPSHOT.write_text(snapshot())
