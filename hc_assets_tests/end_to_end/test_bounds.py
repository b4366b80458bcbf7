"""Input that asks for more than there is stops itself and nothing beside it.

Hostile files are ingested beside good ones, once for all tests here.
"""

import gzip
import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from hc_assets_tests.conftest import DataFolder
from hc_assets_tests.imaging.conftest import image_dataset

ENVIRONMENT = {
    "HC_FHIR_TEXT_BYTES": "200000",
    "HC_IMAGING_STUDIES_TO_FHIR": "false",
    "HC_QUARANTINE_RATE_THRESHOLD": "1",
    "HC_VALIDATION_RATE_THRESHOLD": "0",
}
TOO_LONG = "more than 200000 bytes"


def patient(id_: str, **members: object) -> str:
    name = [{"family": "Test"}]
    return json.dumps({"resourceType": "Patient", "id": id_, "name": name, **members})


def observation(id_: str, value: str, unit: str = "mg") -> str:
    return (
        f'{{"resourceType":"Observation","id":"{id_}","status":"final","code":{{"text":"x"}},'
        f'"valueQuantity":{{"value":{value},"unit":"{unit}",'
        f'"system":"http://unitsofmeasure.org","code":"{unit}"}}}}'
    )


def bundle(*entries: str) -> str:
    return f'{{"resourceType":"Bundle","type":"transaction","entry":[{",".join(entries)}]}}'


TWICE = bundle(f'{{"resource":{patient("a")}}}').replace("]}", '],"\\u0065ntry":[{}]}')
METHOD = bundle(
    f'{{"resource":{patient("good2")},"request":{{"method":"PUT","url":"Patient/good2"}}}}',
    f'{{"resource":{patient("m")},'
    '"request":{"method":"PUT","url":"Patient/m","method":"DELETE"}}',
)
CONTAINED = [{"resourceType": "Organization", "id": f"c{n}", "name": "x"} for n in range(1_500)]
FILES: dict[str, bytes] = {
    "good.json": patient("good").encode(),
    "bomb.json.gz": gzip.compress(b'{"resourceType":"Patient","x":"' + b"x" * 10**7),
    "bomb.json.zst": pa.compress(b" " * 10**7, "zstd", asbytes=True),
    "lines.ndjson": f"{patient('l1')}\n{'x' * 10**6}\n{patient('l2')}\n".encode(),
    "endless.ndjson.gz": gzip.compress(f"{patient('l3')}\n".encode() + b"x" * 10**7),
    "tiny.json": observation("tiny", "1e-99999999999999999999").encode(),
    "huge.json": observation("huge", "1e99999999999999999999").encode(),
    "long.json": observation("long", "1" * 10_000).encode(),
    "large.json": observation("large", "1e400").encode(),
    "small.json": observation("small", "1e-400").encode(),
    "units.json": observation("units", "1", ".".join(["mg"] * 3_000)).encode(),
    "twice.json": TWICE.encode(),
    "method.json": METHOD.encode(),
    "contained.json": patient("contained", contained=CONTAINED).encode(),
}
QUARANTINED = {
    ("bomb.json.gz", 0): TOO_LONG,
    ("bomb.json.zst", 0): TOO_LONG,
    ("lines.ndjson", 1): TOO_LONG,
    ("endless.ndjson.gz", 1): TOO_LONG,
    ("tiny.json", 0): "with an exponent beyond 6144",
    ("huge.json", 0): "with an exponent beyond 6144",
    ("long.json", 0): "a number of more than 4096 digits",
    ("twice.json", 0): "Bundle says `entry` twice",
    ("method.json", 1): "Bundle.entry says `method` twice",
    ("contained.json", 0): "contained",
}


@pytest.fixture(scope="module")
def ingested(tmp_path_factory: pytest.TempPathFactory) -> DataFolder:
    drop: Path = tmp_path_factory.mktemp("drop")
    for kind in ("fhir", "dicom"):
        (drop / kind).mkdir()
    for name, content in FILES.items():
        (drop / "fhir" / name).write_bytes(content)
    pixels = np.arange(64 * 64, dtype=np.uint16).reshape(64, 64)
    for name, frames in (("good", 1), ("many", 20_000), ("most", 1_000_000_000)):
        dataset = image_dataset(pixels, NumberOfFrames=frames, SOPInstanceUID=f"1.2.{frames}")
        dataset.save_as(drop / "dicom" / f"{name}.dcm", enforce_file_format=True)
    folder = DataFolder(tmp_path_factory.mktemp("bounds") / "data", ENVIRONMENT)
    for kind in ("fhir", "dicom"):
        result = folder.run("ingest", "--kind", kind, drop / kind)
        assert result.exit_code == 0, result.output
    return folder


def test_what_is_too_large_or_ambiguous_is_in_quarantine_with_the_reason(
    ingested: DataFolder,
) -> None:
    found = {
        (Path(str(file)).name, position): str(issues)
        for file, position, issues in ingested.query(
            "SELECT source_file, position, issues::VARCHAR FROM fhir.quarantined_resources"
        )
    }
    assert found.keys() == QUARANTINED.keys()
    for place, reason in QUARANTINED.items():
        assert reason in found[place]


def test_what_lies_beside_it_goes_all_the_way(ingested: DataFolder) -> None:
    found = ingested.query("SELECT resource_id FROM fhir.current_resources ORDER BY 1")
    ids = ["good", "good2", "l1", "l2", "l3", "large", "small", "units"]
    assert [id_ for (id_,) in found] == ids


def test_numbers_keep_their_digits(ingested: DataFolder) -> None:
    found = dict(
        ingested.query(
            "SELECT resource_id, decode(resource) FROM fhir.current_resources"
            " WHERE resource_type = 'Observation'"
        )
    )
    assert '"value":1e400' in str(found["large"])
    assert '"value":1e-400' in str(found["small"])


def test_frames_are_as_many_as_a_file_can_hold(ingested: DataFolder) -> None:
    ((frames,),) = ingested.query("SELECT frames FROM imaging.series")
    assert frames == 3
    decoded = ingested.query("SELECT source_file FROM imaging.quality_metrics")
    assert sorted(Path(str(file)).name for (file,) in decoded) == ["good.dcm", "many.dcm"]
    reasons = ingested.query(
        "SELECT reason FROM imaging.undecodable_frames WHERE source_file LIKE '%most.dcm'"
    )
    assert reasons == [("1000000000 frames: more than the 1048576 that are read",)]
    ((missing,),) = ingested.query(
        "SELECT count(*) FROM imaging.undecodable_frames WHERE source_file LIKE '%many.dcm'"
    )
    assert 0 < int(str(missing)) < 1_100


def test_validate_refuses_the_same(ingested: DataFolder, tmp_path: Path) -> None:
    for name, content in FILES.items():
        (tmp_path / name).write_bytes(content)
        result = ingested.run("validate", tmp_path / name)
        is_refused = any(name == refused for refused, _ in QUARANTINED)
        assert result.exit_code == int(is_refused), (name, result.output)
