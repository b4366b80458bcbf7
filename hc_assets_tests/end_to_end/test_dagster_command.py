import os
import subprocess
import sys
from pathlib import Path

from hc_assets.sample_data.write import write_sample


def dagster(*arguments: str, data_dir: Path) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {
        "HC_DATA_DIR": str(data_dir),
        "DAGSTER_HOME": str(data_dir / "dagster"),
    }
    return subprocess.run(
        [str(Path(sys.executable).parent / "dagster"), *arguments],
        env=environment,
        cwd=data_dir,
        capture_output=True,
        text=True,
        check=False,
        timeout=1200,
    )


def test_assets_materialize_by_dagsters_own_command(hc_assets, query, data_dir):
    write_sample(data_dir / "landing", patients=2)
    landed = hc_assets("land", data_dir / "landing" / "fhir")
    key = landed.stdout.strip()

    done = dagster(
        "asset",
        "materialize",
        "-m",
        "hc_assets.definitions",
        "--select",
        "*fhir/enriched_resources",
        "--partition",
        key,
        data_dir=data_dir,
    )
    assert done.returncode == 0, done.stderr
    done = dagster(
        "asset",
        "materialize",
        "-m",
        "hc_assets.definitions",
        "--select",
        "fhir/current_resources,fhir/ndjson_exports",
        data_dir=data_dir,
    )
    assert done.returncode == 0, done.stderr

    ((validated,),) = query("SELECT count(*) FROM fhir.validated_resources")
    ((current,),) = query("SELECT count(*) FROM fhir.current_resources")
    assert validated >= current > 0
    assert (data_dir / "exports" / "fhir" / "manifest.json").exists()
    assert "BetaWarning" not in done.stderr
    assert "PreviewWarning" not in done.stderr


def test_a_range_of_batches_materializes_in_one_run(hc_assets, query, data_dir, tmp_path):
    keys = []
    for number in range(2):
        path = tmp_path / f"{number}.json"
        path.write_text(f'{{"resourceType": "Patient", "id": "p{number}"}}')
        keys.append(hc_assets("land", path).stdout.strip())

    done = dagster(
        "asset",
        "materialize",
        "-m",
        "hc_assets.definitions",
        "--select",
        "*fhir/enriched_resources",
        "--partition-range",
        f"{keys[0]}...{keys[1]}",
        data_dir=data_dir,
    )

    assert done.returncode == 0, done.stderr
    assert query("SELECT batch FROM fhir.enriched_resources ORDER BY 1") == [(k,) for k in keys]


def test_one_of_two_tables_of_a_pass_brings_the_other(hc_assets, query, data_dir, tmp_path):
    path = tmp_path / "two.ndjson"
    path.write_text('{"resourceType": "Patient", "id": "p1"}\n{"resourceType": "Patient", "id": 7}')
    key = hc_assets("land", path).stdout.strip()
    for selection in ("fhir/raw_bundles", "fhir/validated_resources"):
        done = dagster(
            "asset",
            "materialize",
            "-m",
            "hc_assets.definitions",
            "--select",
            selection,
            "--partition",
            key,
            data_dir=data_dir,
        )
        assert done.returncode == 0, done.stderr
    assert query("SELECT count(*) FROM fhir.quarantined_resources") == [(1,)]
