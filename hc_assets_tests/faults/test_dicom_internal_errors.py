"""Whatever is raised for a file, frame, series or study costs that alone, in every DICOM stage."""

import json
from dataclasses import dataclass

import pytest

from hc_assets.definitions import build_defs
from hc_assets.imaging.verdicts.internal_errors import NO_INTERNAL
from hc_assets.lake.layout import Layout
from hc_assets.orchestration.runs import Job, open_instance, run_job
from hc_assets.settings import Settings
from hc_assets_tests.conftest import DataFolder
from hc_assets_tests.faults.conftest import SEED, kept
from hc_assets_tests.faults.dicom_deliveries import ENVIRONMENT, write_dicom_deliveries
from hc_assets_tests.faults.raising import NAME, Raising

IN_ONE_PROCESS = {"HC_WORKERS": "1", "HC_IMAGING_STUDIES_TO_FHIR": "false"}
# Which column says of a row that something was raised
REASONS = {
    "unreadable_files": "reason",
    "undecodable_frames": "reason",
    "series_quality": "reason",
    "failed_arrays": "reason",
    "series": "array_to_string(warnings, ' ')",
    "imaging_studies": "reason",
    "volumes": "verdict",
    "aligned_volumes": "verdict",
    "nifti_exports": "reason",
}


@dataclass(frozen=True)
class Clean:
    """A folder into which files were taken, and what was made of them."""

    data: DataFolder
    made: dict[str, str]


@pytest.fixture(scope="module")
def clean(tmp_path_factory) -> Clean:
    folder = tmp_path_factory.mktemp("internal_errors")
    write_dicom_deliveries(folder / "landing")
    data = DataFolder(folder / "data", ENVIRONMENT | IN_ONE_PROCESS)
    result = data.run("ingest", folder / "landing", "--kind", "dicom")
    assert result.exit_code == 0, result.output
    return Clean(data, made(data))


def materialized_again(data: DataFolder) -> None:
    """What somebody does in Dagster who wants everything made anew."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in (data.environment | {"HC_DATA_DIR": str(data.path)}).items():
            patch.setenv(name, value)
        patch.setenv("DAGSTER_HOME", "")
        settings = Settings()
        layout = Layout.configured(settings)
        definitions = build_defs(settings)
        with open_instance(layout) as instance:
            for batch in sorted(p.name for p in (data.path / "batches" / "dicom").glob("[0-9]*")):
                run_job(definitions, instance, Job("ingest_dicom", batch))
            run_job(definitions, instance, Job("publish_dicom"))


def everything_is_accounted_for(data: DataFolder) -> None:
    def one(sql: str) -> object:
        return data.query(sql)[0][0]

    landed = sum(
        len(json.loads(path.read_bytes())["files"])
        for path in data.path.glob("batches/dicom/*/manifest.json")
    )
    assert landed == one(
        "SELECT (SELECT count(*) FROM imaging.dicom_index)"
        " + (SELECT count(*) FROM imaging.unreadable_files)"
    )
    assert not data.query(
        """
        SELECT batch, source_file, frames, count(frame)
        FROM imaging.dicom_index LEFT JOIN (
            SELECT batch, source_file, frame FROM imaging.quality_metrics
            UNION ALL SELECT batch, source_file, frame FROM imaging.undecodable_frames
        ) USING (batch, source_file)
        WHERE has_pixels GROUP BY ALL HAVING count(frame) <> frames
        """
    )
    assert not data.query(
        """
        (SELECT batch, source_file, frame FROM imaging.quality_metrics WHERE passes_gate)
        EXCEPT ALL (
            SELECT batch, source_file, frame FROM imaging.preprocessed_arrays
            UNION ALL SELECT batch, source_file, frame FROM imaging.failed_arrays
        )
        """
    )
    for of_index, table in (
        ("study_instance_uid, series_instance_uid", "series"),
        ("study_instance_uid", "imaging_studies"),
    ):
        assert not data.query(
            f"SELECT DISTINCT {of_index} FROM imaging.dicom_index"  # noqa: S608
            f" WHERE series_instance_uid IS NOT NULL EXCEPT ALL"
            f" SELECT {of_index} FROM imaging.{table}"
        )
    assert not data.query(
        "SELECT volume_id FROM imaging.volumes WHERE content_sha256 IS NOT NULL"
        " EXCEPT ALL SELECT volume_id FROM imaging.aligned_volumes"
    )
    assert not data.query(
        """
        (SELECT volume_id AS id FROM imaging.volumes WHERE content_sha256 IS NOT NULL
        UNION ALL SELECT aligned_id FROM imaging.aligned_volumes WHERE content_sha256 IS NOT NULL)
        EXCEPT ALL SELECT volume_id FROM imaging.nifti_exports
        """
    )


def failures(data: DataFolder) -> dict[str, int]:
    """How many rows of each table stand for what was raised."""
    return {
        f"imaging/{table}": data.query(
            f"SELECT count(*) FROM imaging.{table}"  # noqa: S608
            f" WHERE {column} LIKE 'internal error: %'"
        )[0][0]
        for table, column in REASONS.items()
    }


def counted(data: DataFolder) -> dict[str, int]:
    """How many rows the latest checks counted, which they count as errors that block nothing."""
    report = json.loads(data.run("report", "--format", "json").stdout)
    found: dict[str, int] = {}
    for check in report["checks"]:
        if check["check"] == NO_INTERNAL and check["asset"] in failures(data):
            assert check["passed"] is (check["value"] == 0)
            assert check["passed"] or (check["severity"], check["is_blocking"]) == ("ERROR", False)
            found[check["asset"]] = found.get(check["asset"], 0) + int(check["value"])
    return found


def made(data: DataFolder) -> dict[str, str]:
    """All that is made of the batches, byte by byte."""
    return {
        name: digest
        for name, digest in kept(data.path).items()
        if name.startswith(("lake/imaging/", "exports/")) and "/_schema/" not in name
    }


def errors_cost_their_rows_alone(clean: Clean, seed: int, share: float) -> int:
    """Make everything with errors, and again without; give how many rows failed."""
    data = clean.data
    with Raising(f"{seed}", share).everywhere():
        materialized_again(data)
    everything_is_accounted_for(data)
    failed = failures(data)
    assert counted(data) == failed
    for path in (data.path / "lake" / "imaging").rglob("part-*"):
        assert NAME.encode() not in path.read_bytes()
    materialized_again(data)
    assert sum(failures(data).values()) == 0
    assert made(data) == clean.made
    return sum(failed.values())


def test_errors_raised_at_random_cost_their_rows_alone(clean):
    assert errors_cost_their_rows_alone(clean, SEED, 0.15) > 0


@pytest.mark.exhaustive
@pytest.mark.parametrize("share", [0.02, 0.1, 0.3, 0.6, 1.0])
@pytest.mark.parametrize("run", range(4))
def test_however_many_are_raised(clean, share, run):
    errors_cost_their_rows_alone(clean, SEED + run, share)
