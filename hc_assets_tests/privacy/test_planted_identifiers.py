"""Identifiers go in everywhere; they are in the tables, and in nothing that leaves beside them."""

import logging
import sqlite3
import stat
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import duckdb
import pytest
from typer.testing import CliRunner

from hc_assets.cli import ReportFormat, app
from hc_assets.definitions import build_defs
from hc_assets.lake.landing import batch_keys
from hc_assets.lake.layout import Layout
from hc_assets.runs import open_instance
from hc_assets.settings import Settings
from hc_assets_tests.privacy.identifiers import BIRTH, FAMILY, RECORD_NUMBER, leaks, needles
from hc_assets_tests.privacy.planted_files import write_dicom, write_fhir

FORMATS = [each.value for each in ReportFormat]


class Traces:
    """What a run of everything left behind outside the tables."""

    def __init__(self, data_dir: Path) -> None:
        self.data_dir = data_dir
        self.said: dict[str, str] = {}
        self.exceptions: list[BaseException] = []

    def run(self, name: str, *arguments: object) -> int:
        result = CliRunner().invoke(app, [str(each) for each in arguments])
        self.said[name] = result.stdout + result.stderr
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            self.exceptions.append(result.exception)
        return result.exit_code


def sensor_of(definitions: dg.Definitions, name: str) -> dg.SensorDefinition:
    (sensor,) = [each for each in definitions.sensors or [] if each.name == name]
    assert isinstance(sensor, dg.SensorDefinition)
    return sensor


def tick(layout: Layout, name: str) -> str:
    """What a sensor asks for and says."""
    definitions = build_defs(Settings(landing_settle_seconds=0))
    resources = {key: definitions.resources[key] for key in ("settings", "layout", "warehouse")}
    with (
        open_instance(layout) as instance,
        dg.build_sensor_context(instance=instance, resources=resources) as context,
    ):
        told = sensor_of(definitions, name)(context)
        assert isinstance(told, dg.SensorResult)
        assert told.run_requests
        for request in told.dynamic_partitions_requests or []:
            instance.add_dynamic_partitions(request.partitions_def_name, request.partition_keys)
        return repr(told)


def failing(layout: Layout, kind: str, key: str) -> None:
    """Run a batch that fails, and the sensor that tells of it."""
    definitions = build_defs()
    with open_instance(layout) as instance:
        outcome = definitions.resolve_job_def(f"ingest_{kind}").execute_in_process(
            instance=instance, partition_key=key, raise_on_error=False
        )
        assert not outcome.success
        (entry,) = instance.all_logs(outcome.run_id, of_type=dg.DagsterEventType.RUN_FAILURE)
        context = dg.build_run_status_sensor_context(
            sensor_name="failed_runs",
            dagster_instance=instance,
            dagster_run=outcome.dagster_run,
            dagster_event=entry.dagster_event,
            resources={key: definitions.resources[key] for key in ("settings", "layout")},
        ).for_run_failure()
        sensor_of(definitions, "failed_runs")(context)


class Recorder(logging.Handler):
    """Keeps every record, with its arguments and traceback."""

    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.setFormatter(logging.Formatter("%(name)s %(message)s %(args)s"))
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(self.format(record))


@pytest.fixture(scope="module")
def traces(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Traces]:
    """Send identifiers through everything, let some of it fail, and gather what was said."""
    folder = tmp_path_factory.mktemp("privacy")
    data_dir = folder / "data"
    layout = Layout.of(data_dir)
    recorder = Recorder()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HC_DATA_DIR", str(data_dir))
        patch.setenv("DAGSTER_HOME", "")
        patch.setenv("HC_WORKERS", "1")
        patch.setattr(logging.getLogger(), "level", logging.DEBUG)
        logging.getLogger().addHandler(recorder)
        try:
            yield gathered(Traces(data_dir), layout, folder, recorder)
        finally:
            logging.getLogger().removeHandler(recorder)


def gathered(found: Traces, layout: Layout, folder: Path, recorder: Recorder) -> Traces:
    write_fhir(folder / "fhir")
    write_dicom(folder / "dicom")
    assert found.run("land fhir", "land", folder / "fhir", "--kind", "fhir") == 0
    assert found.run("ingest fhir", "ingest", folder / "fhir", "--kind", "fhir") == 0
    assert found.run("ingest dicom", "ingest", folder / "dicom", "--kind", "dicom") == 0
    # Once more through the watched folder, with a batch that can't be read and so fails
    for kind, write in (("fhir", write_fhir), ("dicom", write_dicom)):
        landing = found.data_dir / "landing" / kind / "again"
        write(landing)
        for path in landing.rglob("*"):
            if path.is_file():
                path.write_bytes(path.read_bytes() + b" ")
        before = set(batch_keys(layout, kind))
        found.said[f"sensor of {kind}"] = tick(layout, f"new_{kind}_files")
        (key,) = set(batch_keys(layout, kind)) - before
        manifest = layout.manifest(kind, key)
        manifest.write_bytes(
            manifest.read_bytes().replace(b'"files"', b'"files\xff' + FAMILY.encode())
        )
        failing(layout, kind, key)
    for kind in FORMATS:
        found.run(f"report {kind}", "report", "--format", kind)
        found.run("to a file", "report", "--format", kind, "--out", found.data_dir / f"r.{kind}")
    found.run("verify", "lake", "verify")
    found.run("rebuild", "warehouse", "rebuild")
    found.said["logs"] = "\n".join(recorder.lines)
    return found


def records(folder: Path) -> Iterator[tuple[str, bytes]]:
    """All that Dagster keeps: files as they are, and databases row by row."""
    for path in sorted(folder.rglob("*")):
        if not path.is_file():
            continue
        yield path.name, path.read_bytes()
        if path.suffix == ".db":
            # A long value is spread over pages
            with sqlite3.connect(path) as database:
                tables = database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
                for (table,) in tables.fetchall():
                    for row in database.execute(f'SELECT * FROM "{table}"'):  # noqa: S608
                        yield f"{path.name}/{table}", repr(row).encode()
            database.close()


def test_identifiers_are_in_the_tables(traces):
    with duckdb.connect(traces.data_dir / "warehouse.duckdb", read_only=True) as connection:
        (counts,) = connection.execute(
            "SELECT (SELECT count(*) FROM fhir.current_resources WHERE resource::VARCHAR LIKE ?),"
            " (SELECT count(*) FROM fhir.quarantined_resources WHERE resource::VARCHAR LIKE ?),"
            " (SELECT count(*) FROM imaging.dicom_index WHERE patient_id = ?),"
            " (SELECT count(*) FROM imaging.unreadable_files)",
            [f"%{FAMILY}%", f"%{FAMILY}%", RECORD_NUMBER],
        ).fetchall()
    assert all(count > 0 for count in counts), counts
    assert counts[1] >= 12


def test_nothing_is_said_of_them(traces):
    assert {
        name: found for name, text in traces.said.items() if (found := leaks(text.encode()))
    } == {}
    assert len(traces.said) >= 9 + len(FORMATS)
    for error in traces.exceptions:
        assert not leaks(repr(error).encode())


def test_dagster_keeps_none_of_them(traces):
    found: dict[str, set[str]] = {}
    events = 0
    for name, data in records(traces.data_dir / "dagster"):
        events += "/event_logs" in name
        if hits := leaks(data):
            found.setdefault(name, set()).update(hits)
    assert found == {}
    assert events > 100


def test_reports_and_failures_hold_none_of_them(traces):
    files = [*traces.data_dir.glob("r.*"), *(traces.data_dir / "reports").rglob("*.md")]
    assert len(files) == len(FORMATS) + 2
    for path in files:
        assert not leaks(path.read_bytes()), path.name


def test_names_that_we_make_hold_none_of_them(traces):
    for path in traces.data_dir.rglob("*"):
        name = path.relative_to(traces.data_dir)
        if name.parts[0] != "landing":
            assert not leaks(str(name).encode()), name


def test_every_file_and_folder_is_its_owner_s_alone(traces):
    modes = {
        str(path.relative_to(traces.data_dir)): oct(stat.S_IMODE(path.stat().st_mode))
        for path in [traces.data_dir, *traces.data_dir.rglob("*")]
        if path.relative_to(traces.data_dir).parts[:1] != ("landing",)
        if stat.S_IMODE(path.stat().st_mode) != (0o700 if path.is_dir() else 0o600)
    }
    assert modes == {}


@pytest.mark.parametrize("what", sorted(set(needles().values())))
def test_the_search_finds_every_form(what):
    (form,) = [form for form, name in needles().items() if name == what][:1]
    assert what in leaks(b"before " + form + b" after")
    assert not leaks(b"Nobody, born 1970-01-01")
    assert str(BIRTH.year) in f"{BIRTH}"
