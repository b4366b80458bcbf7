"""Identifiers go in everywhere; they are in the tables, and in nothing that leaves beside them."""

import gzip
import json
import logging
import os
import resource
import sqlite3
import stat
import subprocess
import sys
import tempfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from traceback import format_exception

import dagster as dg
import duckdb
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from hc_assets.cli.main import FINDINGS, ReportFormat, app
from hc_assets.definitions import build_defs
from hc_assets.imaging.domain import STUDIES_FOLDER
from hc_assets.lake.layout import Layout
from hc_assets.lake.manifests import batch_keys
from hc_assets.orchestration.runs import open_instance
from hc_assets.settings import Settings
from hc_assets_tests.conftest import listening
from hc_assets_tests.faults.dicom_deliveries import ENVIRONMENT
from hc_assets_tests.privacy.identifiers import (
    BIRTH,
    FAMILY,
    IDENTITY,
    RECORD_NUMBER,
    leaks,
    needles,
)
from hc_assets_tests.privacy.planted_files import write_dicom, write_fhir, write_to_validate

FORMATS = [each.value for each in ReportFormat]


class Traces:
    """What a run of everything left behind outside the tables."""

    def __init__(self, data_dir: Path) -> None:
        self.data_dir = data_dir
        self.outputs: dict[str, str] = {}
        self.exceptions: list[BaseException] = []
        self.alerts: list[dict[str, str]] = []

    def run(self, name: str, *arguments: object) -> int:
        os.umask(0o022)  # what is kept private must not rest on what ran before
        result = CliRunner().invoke(app, [str(each) for each in arguments])
        self.outputs[name] = result.stdout + result.stderr
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            self.exceptions.append(result.exception)
        return result.exit_code


def sensor_of(definitions: dg.Definitions, name: str) -> dg.SensorDefinition:
    (sensor,) = [each for each in definitions.sensors or [] if each.name == name]
    assert isinstance(sensor, dg.SensorDefinition)
    return sensor


def tick(layout: Layout, name: str) -> str:
    """What a sensor requests and reports."""
    definitions = build_defs(Settings(landing_settle_seconds=0))
    resources = {key: definitions.resources[key] for key in ("settings", "layout", "warehouse")}
    with (
        open_instance(layout) as instance,
        dg.build_sensor_context(instance=instance, resources=resources) as context,
    ):
        answer = sensor_of(definitions, name)(context)
        assert isinstance(answer, dg.SensorResult)
        assert answer.run_requests
        for request in answer.dynamic_partitions_requests or []:
            instance.add_dynamic_partitions(request.partitions_def_name, request.partition_keys)
        return repr(answer)


def failing(layout: Layout, kind: str, key: str) -> None:
    """Run a batch that fails, and the sensor that reports it."""
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
    """Send identifiers through everything, let some of it fail, and collect every output."""
    folder = tmp_path_factory.mktemp("privacy")
    data_dir = folder / "data"
    layout = Layout.of(data_dir)
    recorder = Recorder()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HC_DATA_DIR", str(data_dir))
        patch.setenv("DAGSTER_HOME", "")
        patch.setenv("HC_WORKERS", "1")
        for name, value in ENVIRONMENT.items():  # so that images of a few pixels get to the end
            patch.setenv(name, value)
        patch.setattr(logging.getLogger(), "level", logging.DEBUG)
        logging.getLogger().addHandler(recorder)
        (folder / "temporary").mkdir()
        patch.setattr(tempfile, "tempdir", str(folder / "temporary"))
        found = Traces(data_dir)
        with listening() as (url, found.alerts):
            patch.setenv("HC_ALERT_URLS", url)
            try:
                yield gathered(found, layout, folder, recorder)
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
        found.outputs[f"sensor of {kind}"] = tick(layout, f"new_{kind}_files")
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
    found.run("replay", "replay", batch_keys(layout, "fhir")[0])
    found.run("replay of none", "replay", "none")
    found.run("export", "export", found.data_dir / "out")
    found.run("quality report", "quality-report")
    found.run("as a page", "quality-report", "--out", found.data_dir / "r.quality.html")
    found.run("training set", "training-set", found.data_dir / "set")
    files = write_to_validate(folder / "to validate")
    for kind in ("text", "ndjson"):
        assert found.run(f"validate {kind}", "validate", "--format", kind, *files) == FINDINGS
    assert found.run("validate with values", "validate", "--show-values", *files) == FINDINGS
    found.outputs["by workers"] = output_of_workers(folder)
    spoil(found.data_dir)
    assert found.run("verify damage", "lake", "verify") == FINDINGS
    found.run("rebuild over damage", "warehouse", "rebuild")
    found.run("repair", "lake", "verify", "--repair")
    found.outputs["logs"] = "\n".join(recorder.lines)
    return found


def output_of_workers(folder: Path) -> str:
    """Output of other processes: the workers of an ingest, and its decoders."""
    settings = {
        "HC_DATA_DIR": str(folder / "shared"),
        "HC_WORKERS": "2",
        "HC_CHUNK_BYTES": "1",
        "TMPDIR": str(folder / "temporary"),
    }
    command = [Path(sys.executable).with_name("hc-assets"), "ingest", folder / "dicom"]
    done = subprocess.run(
        [*command, "--kind", "dicom"],
        env=os.environ | settings,
        capture_output=True,
        text=True,
        timeout=1200,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout + done.stderr


def spoil(data_dir: Path) -> None:
    """Damage a landed file, a part and a commit, so that they are named."""
    for pattern in (
        "batches/fhir/*/files/*",
        "lake/fhir/raw_bundles/batch=*/part-*",
        "lake/imaging/dicom_index/batch=*/_commit.json",
    ):
        path = min(data_dir.glob(pattern))
        path.write_bytes(path.read_bytes()[:-9])


def unpacked(value: object) -> bytes:
    """A value of a database as text: Dagster packs snapshots of jobs and plans."""
    try:
        return zlib.decompress(value) if isinstance(value, bytes) else b""
    except zlib.error:
        return b""


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
                        data = b" ".join([repr(row).encode(), *map(unpacked, row)])
                        yield f"{path.name}/{table}", data
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


def test_they_get_no_issue(traces):
    found = {name: leaks(text.encode()) for name, text in traces.outputs.items()}
    asked_for = {hit.partition(" ")[0] for hit in found.pop("validate with values")}
    assert {FAMILY, IDENTITY} <= asked_for
    # Programs are told the ids of resources; what is no id, a name with a space in it, is not shown
    for_programs = {hit.partition(" ")[0] for hit in found.pop("validate ndjson")}
    assert for_programs == {IDENTITY}
    assert {name: hits for name, hits in found.items() if hits} == {}
    assert len(traces.outputs) >= 20 + len(FORMATS)
    for error in traces.exceptions:
        assert not leaks("".join(format_exception(error)).encode())


def test_what_is_invalid_is_still_reported(traces):
    for name in ("validate text", "validate ndjson"):
        printed = traces.outputs[name]
        for rule in ("required-binding", "unknown-member", "resource-type", "extension-url"):
            assert rule in printed
        assert len(printed.splitlines()) > 15


def test_alerts_of_failures_identify_no_patient(traces):
    assert len(traces.alerts) == 2
    for alert in traces.alerts:
        assert "failed" in alert["title"]
        assert not leaks(json.dumps(alert).encode())


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
    reports = traces.data_dir / "reports"
    files = [*traces.data_dir.glob("r.*"), *(path for path in reports.rglob("*") if path.is_file())]
    names = {path.suffix for path in files}
    assert {".html", ".md", ".json"} <= names
    assert len(files) >= len(FORMATS) + 4
    found = {path.name: leaks(path.read_bytes()) for path in files}
    assert {"quality.html", "r.quality.html"} <= found.keys()
    assert "Siemens" in (reports / "quality.html").read_text()
    assert {name: hits for name, hits in found.items() if hits} == {}


def test_a_training_set_and_its_volumes_name_nobody(traces):
    exports = traces.data_dir / "exports"
    manifests = [*exports.glob("training_set/manifest.json"), traces.data_dir / "set/manifest.json"]
    shards = [
        *exports.rglob("training_set/**/*.parquet"),
        *traces.data_dir.glob("set/**/*.parquet"),
    ]
    volumes = list(exports.rglob("*.nii.gz"))
    provenance = list(exports.rglob("fhir_provenance/*.ndjson"))
    assert [len(manifests), len(provenance)] == [2, 1]
    assert shards
    assert volumes
    texts = {str(path): path.read_bytes() for path in [*manifests, *provenance]}
    for path in shards:
        table = pq.read_table(path)
        texts[str(path)] = (
            str(table.drop(["pixels"]).to_pylist()).encode()
            + str(table.schema).encode()
            + str(pq.read_metadata(path).to_dict()).encode()
        )
        assert set(table["body_part"].to_pylist()) <= {"CHEST", None}
    texts |= {str(path): gzip.decompress(path.read_bytes()) for path in volumes}
    assert {name: hits for name, data in texts.items() if (hits := leaks(data))} == {}


def test_names_that_we_make_hold_none_of_them(traces):
    for path in traces.data_dir.rglob("*"):
        name = path.relative_to(traces.data_dir)
        if name.parts[0] != "landing" or STUDIES_FOLDER in name.parts:
            assert not leaks(str(name).encode()), name


def test_nothing_is_left_in_the_folder_for_temporary_files(traces):
    left = [path.name for path in (traces.data_dir.parent / "temporary").rglob("*")]
    assert [name for name in left if not name.startswith(("loky-", "joblib"))] == []


def test_a_crash_leaves_no_memory_on_disk(traces):
    assert resource.getrlimit(resource.RLIMIT_CORE)[0] == 0


def test_every_file_and_folder_is_its_owner_s_alone(traces):
    modes = {
        str(path.relative_to(traces.data_dir)): oct(stat.S_IMODE(path.stat().st_mode))
        for path in [traces.data_dir, *traces.data_dir.rglob("*")]
        if path.relative_to(traces.data_dir).parts[:1] != ("landing",)
        or STUDIES_FOLDER in path.parts
        if stat.S_IMODE(path.stat().st_mode) != (0o700 if path.is_dir() else 0o600)
    }
    assert modes == {}


@pytest.mark.parametrize("what", sorted(set(needles().values())))
def test_the_search_finds_every_form(what):
    (form,) = [form for form, name in needles().items() if name == what][:1]
    assert what in leaks(b"before " + form + b" after")
    assert not leaks(b"Nobody, born 1970-01-01")
    assert str(BIRTH.year) in f"{BIRTH}"
