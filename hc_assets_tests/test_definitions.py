"""A change of keys, groups, kinds, owners, dependencies or checks shows here in review."""

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import dagster as dg
import pyarrow as pa
import pytest

import hc_assets
from hc_assets.core.columns import note
from hc_assets.definitions import build_defs
from hc_assets.domains import CATALOG
from hc_assets.orchestration.specs import asset_key
from hc_assets.settings import Settings

SNAPSHOT = Path(__file__).with_name("asset_specs.json")


def described() -> dict[str, Any]:
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
            "schema_sha256": CATALOG.tables[key.to_user_string()].contents.digest(),
            "deps": sorted(parent.to_user_string() for parent in node.parent_keys),
            "partitions": node.partitions_def.name if node.partitions_def else None,
        }
    checks = sorted(
        f"{key.asset_key.to_user_string()}: {key.name}"
        + (" (blocking)" if graph.get(key).blocking else "")
        for key in graph.asset_check_keys
    )
    return {"assets": assets, "checks": checks}


def moved_alone(recorded: dict[str, Any], now: dict[str, Any]) -> list[str]:
    """Assets whose columns changed while their code version stayed."""
    return [
        asset
        for asset, spec in now["assets"].items()
        if (before := recorded["assets"].get(asset)) is not None
        and before["schema_sha256"] != spec["schema_sha256"]
        and before["code_version"] == spec["code_version"]
    ]


def snapshot() -> str:
    """What is described, as it is kept."""
    return json.dumps(described(), indent=1) + "\n"


def test_asset_specs_are_as_recorded():
    """Where the change is meant: `make snapshot`.

    In a process of its own, with the views that come with the package and the search index: the
    other tests have none.
    """
    code = "import hc_assets_tests.test_definitions as here; print(here.snapshot(), end='')"
    environment = os.environ | {"HC_SHIPPED_VIEWS": "true", "HC_SEARCH_INDEX": "true"}
    made = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True
    )
    assert made.stdout == SNAPSHOT.read_text()


def test_columns_and_code_version_move_together():
    """Rows made before lack a new column: count up the table's `code_version` beside its schema."""
    recorded = json.loads(SNAPSHOT.read_text())
    assert moved_alone(recorded, described()) == []
    changed = json.loads(SNAPSHOT.read_text())
    spec = changed["assets"]["fhir/raw_bundles"]
    spec["schema_sha256"] = "another"
    assert moved_alone(recorded, changed) == ["fhir/raw_bundles"]
    spec["code_version"] = "another"
    assert moved_alone(recorded, changed) == []


def test_a_column_more_of_another_type_or_in_another_place_is_another_schema():
    contents = CATALOG.tables["fhir/raw_bundles"].contents
    first, second, *others = contents.schema
    for fields in (
        [first, second, *others, pa.field("further", pa.string())],
        [second, first, *others],
        [first.with_type(pa.int8()), second, *others],
        [first.with_nullable(not first.nullable), second, *others],
    ):
        assert replace(contents, schema=pa.schema(fields)).digest() != contents.digest()
    renoted = [first.with_metadata({"description": "other words", "unit": ""}), second, *others]
    assert replace(contents, schema=pa.schema(renoted)).digest() == contents.digest()


def test_each_kind_of_landing_has_the_partitions_and_jobs_that_its_declaration_says():
    definitions = build_defs(Settings())
    graph = definitions.resolve_asset_graph()
    jobs = {job.name for job in definitions.jobs}
    for landing in CATALOG.landings.values():
        for table in landing.batch_tables:
            node = graph.get(asset_key(table))
            assert node.partitions_def.name == landing.kind.partitions
            assert node.backfill_policy == dg.BackfillPolicy.single_run(), "a range is one run"
        assert all(graph.get(asset_key(t)).partitions_def is None for t in landing.publish_tables)
        assert {landing.kind.ingest_job, landing.kind.check_job} <= jobs
        assert not landing.publish_job or landing.publish_job in jobs
    assert {*CATALOG.tables} == {key.to_user_string() for key in graph.get_all_asset_keys()}


@pytest.mark.parametrize("table", sorted(CATALOG.tables))
def test_every_column_has_a_description(table):
    for field in CATALOG.schemas[table]:
        assert note(field).description, field.name


@pytest.mark.parametrize("table", sorted(CATALOG.tables))
def test_every_column_is_made_from_columns_of_tables_upstream(table):
    """Where a table is new: declare it beside its schema."""
    graph = build_defs(Settings()).resolve_asset_graph()
    upstream = {
        key.to_user_string() for key in graph.get_ancestor_asset_keys(dg.AssetKey(table.split("/")))
    }
    made_from = {s.table for of_one in CATALOG.column_sources(table).values() for s in of_one}
    assert made_from <= upstream - {table}


def test_dagster_has_the_lineage_of_columns_from_raw_to_export():
    graph = build_defs(Settings()).resolve_asset_graph()

    def back(column: dg.TableColumnDep) -> set[dg.TableColumnDep]:
        lineage = graph.get(column.asset_key).metadata.get("dagster/column_lineage")
        deps = lineage.deps_by_column.get(column.column_name, []) if lineage else []
        return {column, *(each for dep in deps for each in back(dep))}

    exported = dg.TableColumnDep(dg.AssetKey(["fhir", "ndjson_exports"]), "resources")
    raw = dg.TableColumnDep(dg.AssetKey(["fhir", "raw_bundles"]), "resource")
    assert raw in back(exported)


def test_the_column_table_has_unit_and_origin():
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
    if alone := moved_alone(json.loads(SNAPSHOT.read_text()), described()):
        sys.exit(f"{', '.join(alone)}: columns changed; count up code_version beside the schema")
    SNAPSHOT.write_text(snapshot())
