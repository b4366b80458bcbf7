import json
from datetime import UTC, datetime

from hc_assets.fhir.bundles.workers import SplitWork, split_files
from hc_assets.fhir.domain import FHIR_FILES
from hc_assets.fhir.validation.batch_facts import birth_dates, bundle_targets
from hc_assets.lake.discovery import discover
from hc_assets.lake.landing import BatchLimits, land
from hc_assets.lake.layout import Layout
from hc_assets.lake.manifests import read_manifest
from hc_assets.lake.parts import commit
from hc_assets.lake.tables import read_partition


def raw_parts(tmp_path, files: dict[str, str]) -> tuple[str, ...]:
    """Land and split files, each into a part of its own."""
    drop = tmp_path / "drop"
    drop.mkdir()
    for name, text in files.items():
        (drop / name).write_text(text)
    layout = Layout.of(tmp_path / "data")
    limits = BatchLimits(files=100, size=10**9)
    now = datetime(2026, 1, 1, tzinfo=UTC)
    (key,) = land(discover([drop], drop), layout, FHIR_FILES, limits=limits, now=now).batches
    parts = []
    for number, file in enumerate(read_manifest(layout, "fhir", key).files):
        parts += split_files(SplitWork(str(layout.data_dir), key, (file,), number))
    commit(layout, "fhir/raw_bundles", key, parts)
    return tuple(str(path) for path in read_partition(layout, "fhir/raw_bundles", key).parts())


def patient(id_: str, born: object) -> dict:
    return {"resourceType": "Patient", "id": id_, "birthDate": born}


def test_birth_dates_come_from_the_same_bundle_and_from_patients_in_other_files(tmp_path):
    bundle = {
        "resourceType": "Bundle",
        "entry": [
            {"resource": patient("a", "1990-01-01")},
            {"resource": {"resourceType": "Observation", "id": "o"}},
        ],
    }
    lines = [patient("b", "1991"), patient("c", "1992-02-30"), patient("d", 7)]
    a, b = raw_parts(
        tmp_path,
        {"a.json": json.dumps(bundle), "b.ndjson": "\n".join(map(json.dumps, lines))},
    )
    assert birth_dates((a,), (a, b)).by_patient == {
        (None, "a"): "1990-01-01",
        (None, "b"): "1991",
    }


def test_a_mixed_row_group_of_another_file_is_not_read(tmp_path):
    lines = [patient("b", "1991"), {"resourceType": "Observation"}]
    a, b = raw_parts(
        tmp_path,
        {
            "a.json": json.dumps(patient("a", "1990")),
            "b.ndjson": "\n".join(map(json.dumps, lines)),
        },
    )
    assert birth_dates((a,), (a, b)).by_patient == {(None, "a"): "1990"}


def test_full_urls_lead_to_patients_and_encounters(tmp_path):
    bundle = {
        "resourceType": "Bundle",
        "entry": [
            {"fullUrl": "urn:uuid:1", "resource": {"resourceType": "Patient", "id": "p"}},
            {"fullUrl": "urn:uuid:2", "resource": {"resourceType": "Encounter", "id": "e"}},
            {"fullUrl": "urn:uuid:3", "resource": {"resourceType": "Condition", "id": "c"}},
        ],
    }
    (path,) = raw_parts(tmp_path, {"a.json": json.dumps(bundle)})
    (targets,) = bundle_targets((path,)).by_file.values()
    assert targets == {"urn:uuid:1": "Patient/p", "urn:uuid:2": "Encounter/e"}
