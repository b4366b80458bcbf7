"""The jobs that a daemon or a person starts, and what is reported of those that fail."""

import json
import os
import shutil
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import dagster as dg
import pytest
from typer.testing import Result

from hc_assets.definitions import build_defs
from hc_assets.lake.backlog import hours_behind, hours_unfinished
from hc_assets.lake.layout import Layout
from hc_assets.lake.manifests import batch_keys
from hc_assets.orchestration.check_results import read_report
from hc_assets.orchestration.checks import FINISHED_IN_TIME, TAKEN_IN_IN_TIME
from hc_assets.orchestration.errors import RunFailedError
from hc_assets.orchestration.runs import Job, open_instance, run_job
from hc_assets.reports.check_report import CheckOutcome
from hc_assets_tests.conftest import DataFolder

DAGSTER = str(Path(sys.executable).parent / "dagster")


def patient(number: int) -> str:
    return json.dumps({"resourceType": "Patient", "id": f"p{number}", "active": True})


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> DataFolder:
    """A data folder with two finished FHIR batches."""
    files = tmp_path_factory.mktemp("files")
    folder = DataFolder(tmp_path_factory.mktemp("finished") / "data")
    for number in range(2):
        (files / f"{number}.json").write_text(patient(number))
        assert folder.run("ingest", files / f"{number}.json").exit_code == 0
    return folder


@pytest.fixture
def ingested(finished: DataFolder, hc_assets: Callable[..., Result], data_dir: Path) -> Path:
    """The same in the test's own data folder."""
    shutil.copytree(finished.path, data_dir)
    assert hc_assets("warehouse", "rebuild").exit_code == 0  # its views name the folder
    return data_dir


def run(data_dir: Path, job: str, **options: object) -> dg.ExecuteInProcessResult:
    with open_instance(Layout.of(data_dir)) as instance:
        return (
            build_defs()
            .resolve_job_def(job)
            .execute_in_process(instance=instance, raise_on_error=False, **options)
        )


def command(data_dir: Path, job: str) -> None:
    """Run a job as Dagster's own command does, with the whole code location at hand."""
    done = subprocess.run(
        [DAGSTER, "job", "execute", "-j", job, "-m", "hc_assets.definitions"],
        env=os.environ | {"HC_DATA_DIR": str(data_dir), "DAGSTER_HOME": str(data_dir / "dagster")},
        cwd=data_dir,
        capture_output=True,
        text=True,
        check=False,
        timeout=1200,
    )
    assert done.returncode == 0, done.stderr[-3000:]


def accounted(instance: dg.DagsterInstance) -> list[CheckOutcome]:
    return [
        outcome
        for outcome in read_report(build_defs(), instance).outcomes
        if outcome.check == "every_entry_accounted_for"
    ]


def test_the_jobs_over_all_batches_check_rebuild_and_report(ingested, query):
    before = query("SELECT count(*), sum(length(resource::VARCHAR)) FROM fhir.current_resources")

    keys = batch_keys(Layout.of(ingested), "fhir")
    with open_instance(Layout.of(ingested)) as instance:
        earlier = {o.batch: o.run_id for o in accounted(instance)}
    command(ingested, "check_quality")
    with open_instance(Layout.of(ingested)) as instance:
        later = {o.batch: o.run_id for o in accounted(instance)}
    assert set(later) == set(keys)
    assert not {*later.values()} & {*earlier.values()}

    (ingested / "warehouse.duckdb").unlink()
    assert run(ingested, "rebuild_warehouse").success
    assert before == query(
        "SELECT count(*), sum(length(resource::VARCHAR)) FROM fhir.current_resources"
    )

    command(ingested, "write_report")
    reports = sorted((ingested / "reports").glob("[!.]*"))
    assert [path.suffix for path in reports] == [".html", ".json", ".md", ".txt", ".xml"]
    assert {stat.S_IMODE(path.stat().st_mode) for path in reports} == {0o600}
    report = json.loads((ingested / "reports" / "checks.json").read_text())
    batches = {c["batch"] for c in report["checks"] if c["check"] == "every_entry_accounted_for"}
    assert batches >= set(keys)


def test_freshness_passes_where_nothing_is_left_behind(ingested):
    evaluations = run(ingested, "check_freshness").get_asset_check_evaluations()
    assert {e.check_name for e in evaluations} == {FINISHED_IN_TIME, TAKEN_IN_IN_TIME}
    assert all(e.passed for e in evaluations)


def test_freshness_warns_of_a_batch_that_waits(hc_assets, tmp_path, data_dir, monkeypatch):
    monkeypatch.setenv("HC_FRESHNESS_HOURS", "0.000001")
    (tmp_path / "a.json").write_text(patient(1))
    hc_assets("land", tmp_path / "a.json")
    waiting = [
        e for e in run(data_dir, "check_freshness").get_asset_check_evaluations() if not e.passed
    ]
    assert [e.asset_key.path[0] for e in waiting] == ["fhir"]
    assert waiting[0].metadata["value"].value > 0


def test_a_table_is_behind_since_the_first_commit_that_it_lacks():
    assert hours_behind([3700.0, 100.0], 7300.0) == 2
    assert hours_behind([], 7300.0) == 0


def test_finished_batches_do_not_wait(ingested):
    from datetime import UTC, datetime

    layout = Layout.of(ingested)
    assert hours_unfinished(layout, "fhir", ["fhir/raw_bundles"], datetime.now(UTC)) == {}
    (key, _) = batch_keys(layout, "fhir")
    (layout.partition("fhir/raw_bundles", key) / "_commit.json").unlink()
    assert set(hours_unfinished(layout, "fhir", ["fhir/raw_bundles"], datetime.now(UTC))) == {key}


def failure_summary(data_dir: Path, outcome: dg.ExecuteInProcessResult) -> str:
    definitions = build_defs()
    (sensor,) = [s for s in definitions.sensors if s.name == "failed_runs"]
    with open_instance(Layout.of(data_dir)) as instance:
        (entry,) = instance.all_logs(outcome.run_id, of_type=dg.DagsterEventType.RUN_FAILURE)
        context = dg.build_run_status_sensor_context(
            sensor_name="failed_runs",
            dagster_instance=instance,
            dagster_run=outcome.dagster_run,
            dagster_event=entry.dagster_event,
            resources={key: definitions.resources[key] for key in ("settings", "layout")},
        ).for_run_failure()
        sensor(context)
    return (data_dir / "reports" / "failures" / f"{outcome.run_id}.md").read_text()


def test_a_failed_run_leaves_and_sends_a_summary_with_step_and_batch_but_no_patient(
    hc_assets, tmp_path, data_dir, webhook, monkeypatch
):
    url, received = webhook
    monkeypatch.setenv("HC_ALERT_URLS", url)
    (tmp_path / "a.json").write_text(patient(1))
    key = hc_assets("land", tmp_path / "a.json").stdout.strip()
    manifest = Layout.of(data_dir).manifest("fhir", key)
    manifest.write_text("zq-secret is no JSON")

    outcome = run(data_dir, "ingest_fhir", partition_key=key)

    assert not outcome.success
    text = failure_summary(data_dir, outcome)
    assert f"ingest_fhir failed on batch {key}" in text
    assert "step `fhir__raw_bundles` ended with DamagedManifestError" in text
    assert "zq-secret" not in text
    (alert,) = received
    assert alert["title"] == f"hc_assets: ingest_fhir failed on batch {key}"
    assert "ended with DamagedManifestError" in alert["message"]


def test_a_run_of_a_command_that_fails_leaves_a_summary(hc_assets, tmp_path, data_dir):
    (tmp_path / "a.json").write_text(patient(1))
    key = hc_assets("land", tmp_path / "a.json").stdout.strip()
    Layout.of(data_dir).manifest("fhir", key).write_text("zq-secret is no JSON")
    with open_instance(Layout.of(data_dir)) as instance, pytest.raises(RunFailedError):
        run_job(build_defs(), instance, Job("ingest_fhir", key))
    (text,) = [path.read_text() for path in (data_dir / "reports" / "failures").iterdir()]
    assert f"ingest_fhir failed on batch {key}" in text
    assert "zq-secret" not in text


def test_a_failed_run_in_a_process_of_its_own_leaves_a_summary(hc_assets, tmp_path, data_dir):
    (tmp_path / "a.json").write_text(patient(1))
    key = hc_assets("land", tmp_path / "a.json").stdout.strip()
    Layout.of(data_dir).manifest("fhir", key).write_text("zq-secret is no JSON")
    with open_instance(Layout.of(data_dir)) as instance:
        job = dg.reconstructable(ingest_of_this_module)
        tags = {"dagster/partition": key}
        outcome = dg.execute_job(job, instance=instance, tags=tags)
    assert not outcome.success
    text = (data_dir / "reports" / "failures" / f"{outcome.run_id}.md").read_text()
    assert f"ingest_fhir failed on batch {key}" in text
    assert "step `fhir__raw_bundles` ended with DamagedManifestError" in text


def ingest_of_this_module() -> dg.JobDefinition:
    return build_defs().resolve_job_def("ingest_fhir")


def test_a_fault_that_stays_is_not_tried_again(hc_assets, tmp_path, data_dir):
    (tmp_path / "a.json").write_text(patient(1))
    key = hc_assets("land", tmp_path / "a.json").stdout.strip()
    Layout.of(data_dir).manifest("fhir", key).write_text("no JSON")
    outcome = run(data_dir, "ingest_fhir", partition_key=key)
    assert not [e for e in outcome.all_events if e.is_step_restarted]
