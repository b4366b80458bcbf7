"""Whatever is raised for one row of FHIR, in any stage, costs that row and no other."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from hc_assets.definitions import build_defs
from hc_assets.fhir.validation.batch_facts import birth_dates, bundle_targets
from hc_assets.fhir.verdicts import exports
from hc_assets.lake.landing import batch_keys
from hc_assets.lake.layout import Layout
from hc_assets.lake.tables import read_partitions
from hc_assets.orchestration.runs import Job, open_instance, run_job
from hc_assets.settings import Settings
from hc_assets_tests.conftest import DataFolder
from hc_assets_tests.faults.conftest import SEED, kept
from hc_assets_tests.faults.deliveries import bundle, observation, patient, write_deliveries
from hc_assets_tests.faults.raising import NAME, Raising

RAW, VALIDATED = "fhir/raw_bundles", "fhir/validated_resources"
QUARANTINED, ENRICHED = "fhir/quarantined_resources", "fhir/enriched_resources"
RULE = "internal-error"
# In this process, so that what is raised is counted
ONE_WORKER = {"HC_WORKERS": "1"}
Entry = tuple[str, int]


@pytest.fixture(scope="module")
def deliveries(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of files that are split by columns, entry by entry, and line by line."""
    folder = tmp_path_factory.mktemp("deliveries")
    write_deliveries(folder)
    for number in range(12):
        people = [patient(f"p{number}-{n}", "x") for n in range(8)]
        weights = [observation(f"o{number}-{n}", f"p{number}-{n}", "1 kg") for n in range(8)]
        requests = [("PUT", each) for each in (*people, *weights)]
        (folder / f"b{number}.json").write_text(json.dumps(bundle(*requests)))
    lines = [json.dumps(patient(f"line{n}", "y")) for n in range(60)]
    lines[7] = json.dumps(bundle(("PUT", patient("inner", "z"))))  # so they are read one by one
    (folder / "lines.ndjson").write_text("\n".join(lines))
    return folder


@pytest.fixture(scope="module")
def unharmed(deliveries: Path, tmp_path_factory: pytest.TempPathFactory) -> DataFolder:
    """A data folder with all of them, made without a fault."""
    folder = DataFolder(tmp_path_factory.mktemp("unharmed") / "data", ONE_WORKER)
    assert folder.run("ingest", deliveries).exit_code == 0
    return folder


def issues(layout: Layout, table: str) -> dict[Entry, list[dict[str, Any]]]:
    columns = ["source_file", "position", "issues"]
    return {
        (row["source_file"], row["position"]): row["issues"] or []
        for rows in read_partitions(layout, table).batches(columns)
        for row in rows.to_pylist()
    }


def stopped(listed: dict[Entry, list[dict[str, Any]]]) -> set[Entry]:
    return {entry for entry, found in listed.items() if RULE in {each["rule"] for each in found}}


def comparable(folder: Path) -> dict[str, str]:
    """What must be the same, whatever happened before: not how often a batch was taken in."""
    return {name: hash_ for name, hash_ in kept(folder).items() if "warehouse/" not in name}


def resources(folder: DataFolder) -> list[tuple[object, ...]]:
    return folder.query("SELECT * FROM fhir.resource_history ORDER BY ALL")


def run_again(folder: DataFolder) -> None:
    """Make every table of every batch once more, as a backfill does."""
    birth_dates.cache_clear()
    bundle_targets.cache_clear()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HC_DATA_DIR", str(folder.path))
        patch.setenv("DAGSTER_HOME", "")
        patch.setenv("HC_WORKERS", "1")
        settings = Settings()
        layout = Layout.configured(settings)
        definitions = build_defs(settings)
        with open_instance(layout) as instance:
            for batch in batch_keys(layout, "fhir"):
                run_job(definitions, instance, Job("ingest_fhir", batch))
            run_job(definitions, instance, Job("publish_fhir"))


def raise_everywhere(
    raising: Raising, deliveries: Path, unharmed: DataFolder, folder: DataFolder
) -> None:
    """Ingest while rows raise, hold what comes of it against an unharmed run, and run it again."""
    shutil.copytree(unharmed.path / "batches", folder.path / "batches")
    read_back = exports._lines

    def trusted(*arguments: Any) -> Iterator[Any]:
        """Whoever can't read the export back is right to block it."""
        with raising.paused():
            yield from list(read_back(*arguments))

    with raising.everywhere(), pytest.MonkeyPatch.context() as patch:
        patch.setattr(exports, "_lines", trusted)
        ingested = folder.run("ingest", deliveries)
    assert ingested.exit_code == 0, ingested.stderr

    layout, clean = Layout.of(folder.path), Layout.of(unharmed.path)
    rows = {
        table: read_partitions(layout, table).count_rows()
        for table in (RAW, VALIDATED, QUARANTINED, ENRICHED)
    }
    assert rows[RAW] == rows[VALIDATED] + rows[QUARANTINED]
    assert rows[ENRICHED] == rows[VALIDATED]
    quarantined, enriched = issues(layout, QUARANTINED), issues(layout, ENRICHED)
    assert quarantined.keys() - issues(clean, QUARANTINED).keys() <= stopped(quarantined)
    assert NAME not in str([quarantined, enriched])

    report = msgspec.json.decode(folder.run("report", "--format", "json").stdout)
    assert NAME not in str(report)
    counted = {"fhir/quarantined_resources": 0.0, "fhir/enriched_resources": 0.0}
    for check in report["checks"]:
        if check["check"] == "no_internal_errors" and check["asset"] in counted:
            assert (check["severity"], check["is_blocking"]) == ("ERROR", False)
            assert check["passed"] == (check["value"] == 0)
            counted[check["asset"]] += check["value"]
    assert counted == {
        "fhir/quarantined_resources": len(stopped(quarantined)),
        "fhir/enriched_resources": len(stopped(enriched)),
    }

    run_again(folder)
    assert comparable(folder.path) == comparable(unharmed.path)
    assert resources(folder) == resources(unharmed)


def test_what_rows_raise_costs_those_rows(
    deliveries: Path, unharmed: DataFolder, tmp_path: Path
) -> None:
    raising = Raising(f"{SEED}", 0.1)

    raise_everywhere(raising, deliveries, unharmed, DataFolder(tmp_path / "data", ONE_WORKER))

    assert len(raising.raised) > 1


@pytest.mark.exhaustive
def test_a_thousand_rows_that_raise_cost_those_rows(
    deliveries: Path, unharmed: DataFolder, tmp_path: Path
) -> None:
    raised = rounds = 0
    while raised < 1_000:
        rounds += 1
        raising = Raising(f"{SEED} {rounds}", (0.01, 0.05, 0.2, 0.5)[rounds % 4])
        folder = DataFolder(tmp_path / f"{rounds}", ONE_WORKER)
        raise_everywhere(raising, deliveries, unharmed, folder)
        raised += raising.raised.total()
        shutil.rmtree(folder.path)
