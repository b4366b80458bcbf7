import json
import traceback
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import dagster as dg
import pytest

from hc_assets.core.redaction import ForeignError
from hc_assets.definitions import build_defs
from hc_assets.domains import CATALOG
from hc_assets.lake.layout import Layout
from hc_assets.lake.manifests import batch_keys, read_manifest
from hc_assets.orchestration import sensors as sensors_module
from hc_assets.orchestration.runs import open_instance, register_batches
from hc_assets.settings import Settings

KEYS = ("settings", "layout", "warehouse")


class Daemon:
    """Does with a tick what Dagster's daemon does: partitions, runs by their key, the cursor."""

    def __init__(self, instance: dg.DagsterInstance, settings: Settings, name: str) -> None:
        self.instance = instance
        self.definitions = build_defs(settings)
        self.definitions.resources["warehouse"].ensure()  # as the first look does
        self.name = name
        self.cursor: str | None = None
        self.runs: dict[str, str] = {}

    def tick(self, *, dies: bool = False) -> dg.SensorResult:
        resources = {key: self.definitions.resources[key] for key in KEYS}
        (sensor,) = [each for each in self.definitions.sensors if each.name == self.name]
        with dg.build_sensor_context(
            instance=self.instance, cursor=self.cursor, resources=resources
        ) as context:
            result = sensor(context)
        for request in result.dynamic_partitions_requests or []:
            self.instance.add_dynamic_partitions(
                request.partitions_def_name, request.partition_keys
            )
        if dies:
            return result
        for request in result.run_requests or []:
            self.runs.setdefault(request.run_key, request.partition_key)
        self.cursor = result.cursor
        return result


@pytest.fixture
def layout(data_dir: Path) -> Layout:
    return Layout.of(data_dir)


@pytest.fixture
def instance(layout: Layout) -> Iterator[dg.DagsterInstance]:
    with open_instance(layout) as made:
        yield made


@pytest.fixture
def landing(data_dir: Path) -> Path:
    folder = data_dir / "landing" / "fhir"
    folder.mkdir(parents=True)
    return folder


def settings(**changed: object) -> Settings:
    return Settings(**{"landing_settle_seconds": 0, "landing_seconds": 600, **changed})


def patient(number: int) -> str:
    return json.dumps({"resourceType": "Patient", "id": f"p{number}"})


@pytest.fixture
def daemon(instance: dg.DagsterInstance) -> Daemon:
    return Daemon(instance, settings(batch_files=2), "new_fhir_files")


def test_each_kind_of_landing_has_its_sensor(data_dir):
    names = {sensor.name for sensor in build_defs().sensors}
    assert {kind.sensor for kind in CATALOG.kinds} <= names


def test_new_files_become_batches_each_with_a_run_named_by_its_content(daemon, landing, layout):
    for number in range(5):
        (landing / f"{number}.json").write_text(patient(number))

    daemon.tick()

    keys = batch_keys(layout, "fhir")
    assert len(keys) == 3
    assert sorted(daemon.runs.values()) == keys
    assert daemon.instance.get_dynamic_partitions("fhir_batches") == keys
    for run_key, batch in daemon.runs.items():
        assert run_key == read_manifest(layout, "fhir", batch).content_sha256
    assert not daemon.tick().run_requests
    assert len(daemon.runs) == 3


def test_the_first_look_makes_the_warehouse_and_the_next_lands(daemon, landing, data_dir):
    (landing / "a.json").write_text(patient(1))
    (data_dir / "warehouse.duckdb").unlink()
    result = daemon.tick()
    assert "the next look lands" in result.skip_reason.skip_message
    assert not result.run_requests
    assert daemon.tick().run_requests
    assert (data_dir / "warehouse.duckdb").exists()


def test_a_requested_run_ingests_its_batch(daemon, landing, layout):
    (landing / "a.json").write_text(patient(1))
    (request,) = daemon.tick().run_requests
    done = daemon.definitions.resolve_job_def("ingest_fhir").execute_in_process(
        instance=daemon.instance, partition_key=request.partition_key
    )
    assert done.success
    (check,) = [
        each
        for each in done.get_asset_check_evaluations()
        if each.check_name == "every_entry_accounted_for"
    ]
    assert check.passed


def test_a_file_replaced_with_new_content_runs_again(daemon, landing):
    (landing / "a.json").write_text(patient(1))
    daemon.tick()
    (landing / "a.json").write_text(patient(2))
    daemon.tick()
    assert len(daemon.runs) == 2


def test_the_same_content_under_another_name_runs_once(daemon, landing):
    (landing / "a.json").write_text(patient(1))
    daemon.tick()
    (landing / "b.json").write_text(patient(1))
    daemon.tick()
    assert len(daemon.runs) == 1


def test_a_tick_starts_a_bounded_number_of_runs_and_the_next_ones_the_rest(instance, landing):
    daemon = Daemon(instance, settings(batch_files=1, sensor_batches=2), "new_fhir_files")
    for number in range(5):
        (landing / f"{number}.json").write_text(patient(number))
    started = [len(daemon.tick().run_requests or []) for _ in range(4)]
    assert started == [2, 2, 1, 0]
    assert len(set(daemon.runs.values())) == 5


def test_a_tick_that_dies_before_its_runs_start_is_made_up_for(daemon, landing):
    for number in range(3):
        (landing / f"{number}.json").write_text(patient(number))
    daemon.tick(dies=True)
    assert daemon.runs == {}
    daemon.tick()
    assert len(daemon.runs) == 2


def test_the_cursor_stays_small(daemon, landing):
    for number in range(50):
        (landing / f"{number}.json").write_text(patient(number))
    daemon.tick()
    assert len(daemon.cursor) < 100


def test_a_new_instance_learns_of_finished_batches_and_runs_none(
    hc_assets, landing, layout, tmp_path
):
    (landing / "a.json").write_text(patient(1))
    assert hc_assets("ingest", landing).exit_code == 0
    with dg.instance_for_test(temp_dir=str(tmp_path)) as fresh:
        daemon = Daemon(fresh, settings(), "new_fhir_files")
        daemon.tick()
        assert daemon.runs == {}
        assert fresh.get_dynamic_partitions("fhir_batches") == batch_keys(layout, "fhir")


def test_a_batch_whose_landing_was_killed_before_it_was_registered_runs(
    daemon, landing, layout, monkeypatch
):
    (landing / "a.json").write_text(patient(1))

    def dying(*arguments):
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(sensors_module, "_due", dying)
        with pytest.raises(KeyboardInterrupt):
            daemon.tick()
    daemon.tick()
    assert list(daemon.runs.values()) == batch_keys(layout, "fhir")


def test_a_batch_that_somebody_else_runs_is_left_to_them(daemon, hc_assets, layout, tmp_path):
    (tmp_path / "a.json").write_text(patient(1))
    key = hc_assets("land", tmp_path / "a.json").stdout.strip()
    daemon.instance.create_run_for_job(
        daemon.definitions.resolve_job_def("ingest_fhir"), tags={"dagster/partition": key}
    )
    assert not daemon.tick().run_requests


def test_a_batch_landed_by_hand_runs(daemon, hc_assets, tmp_path):
    (tmp_path / "a.json").write_text(patient(1))
    key = hc_assets("land", tmp_path / "a.json").stdout.strip()
    daemon.tick()
    assert list(daemon.runs.values()) == [key]


def test_a_batch_whose_manifest_is_damaged_holds_up_no_other(daemon, hc_assets, layout, tmp_path):
    for number in range(2):
        (tmp_path / f"{number}.json").write_text(patient(number))
        hc_assets("land", tmp_path / f"{number}.json")
    first, second = batch_keys(layout, "fhir")
    layout.manifest("fhir", first).write_bytes(b"\0" * 100)
    daemon.instance.delete_dynamic_partition("fhir_batches", first)
    daemon.instance.delete_dynamic_partition("fhir_batches", second)
    daemon.tick()
    assert daemon.runs == {
        first: first,
        read_manifest(layout, "fhir", second).content_sha256: second,
    }


def test_a_batch_named_before_the_last_one_runs_where_nobody_knows_of_it(
    daemon, landing, monkeypatch
):
    (landing / "a.json").write_text(patient(1))
    daemon.tick()

    class Earlier(datetime):
        @classmethod
        def now(cls, tz: object = None) -> datetime:
            return datetime.now(UTC) - timedelta(days=1)

    monkeypatch.setattr(sensors_module, "datetime", Earlier)
    (landing / "b.json").write_text(patient(2))
    daemon.tick()
    daemon.tick()
    assert len(daemon.runs) == 2


def test_a_landing_folder_can_be_an_fsspec_url(instance, layout, tmp_path):
    from upath import UPath

    folder = UPath(f"memory://{tmp_path.name}")
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "a.json").write_text(patient(1))
    daemon = Daemon(instance, settings(landing_folders={"fhir": str(folder)}), "new_fhir_files")
    daemon.tick()
    (key,) = batch_keys(layout, "fhir")
    assert read_manifest(layout, "fhir", key).files[0].source_file == "a.json"


@pytest.mark.parametrize(
    "error",
    [
        PermissionError(13, "Permission denied", "/in/DOE^JANE.json"),
        LookupError("550 /in/DOE^JANE.json: no such file"),
    ],
)
def test_what_goes_wrong_in_a_look_names_no_file(daemon, landing, monkeypatch, error):
    def look(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(sensors_module, "look", look)
    with pytest.raises(ForeignError, match=type(error).__name__) as caught:
        daemon.tick()
    assert "JANE" not in "".join(traceback.format_exception(caught.value))
    daemon = Daemon(daemon.instance, settings(error_texts=True), "new_fhir_files")
    with pytest.raises(type(error), match="JANE"):
        daemon.tick()


def test_dicom_lands_in_its_own_batches(instance, data_dir, layout):
    folder = data_dir / "landing" / "dicom"
    folder.mkdir(parents=True)
    (folder / "a.dcm").write_bytes(b"\0" * 128 + b"DICM")
    daemon = Daemon(instance, settings(), "new_dicom_files")
    daemon.tick()
    assert instance.get_dynamic_partitions("dicom_batches") == batch_keys(layout, "dicom")
    assert len(daemon.runs) == 1


def test_registered_batches_stay(instance):
    register_batches(instance, "fhir", ["x"])
    register_batches(instance, "fhir", ["x", "y"])
    assert instance.get_dynamic_partitions("fhir_batches") == ["x", "y"]


@pytest.mark.parametrize(("automation", "status"), [(True, "RUNNING"), (False, "STOPPED")])
def test_automation_starts_switched_on_unless_the_settings_say_no(data_dir, automation, status):
    definitions = build_defs(Settings(automation=automation))
    assert {sensor.default_status.value for sensor in definitions.sensors} == {status}
    assert {schedule.default_status.value for schedule in definitions.schedules} == {status}
