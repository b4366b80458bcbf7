import msgspec
import pyarrow as pa
import pytest
from pydicom.datadict import tag_for_keyword
from pydicom.uid import (
    CTImageStorage,
    MediaStorageDirectoryStorage,
)

from hc_assets.imaging.headers.required_attributes import required_attributes
from hc_assets.imaging.schemas.index import DICOM_INDEX
from hc_assets.imaging.verdicts.headers import (
    REQUIRED_COLUMNS,
    decodable_rate,
    identifiers_unique,
    modality_known,
    patients_match,
    required_attributes_present,
)

CT = {"sop_class_uid": CTImageStorage, "has_pixels": True, "warnings": []}
SCHEMA = pa.schema([DICOM_INDEX.field(name) for name in REQUIRED_COLUMNS])


def cts(*lacking: set[str]) -> list[pa.RecordBatch]:
    """A batch of CT headers, each of which lacks some attributes."""
    keywords = required_attributes(CTImageStorage, has_pixels=True)
    texts = [
        msgspec.json.encode(
            {
                f"{tag_for_keyword(keyword):08X}": {"vr": "UN", "Value": [1]}
                for keyword in keywords
                if keyword not in lacks
            }
        ).decode()
        for lacks in lacking
    ]
    return [pa.RecordBatch.from_pylist([CT | {"dicom_json": text} for text in texts], SCHEMA)]


def test_files_and_the_attributes_that_they_lack_are_counted():
    batches = [*cts(set(), {"Rows"}, {"Rows", "PixelSpacing"}), *cts(set(), {"Rows"})]
    verdict = required_attributes_present(batches)
    assert (verdict.passed, verdict.value, verdict.counts["total"]) == (False, 3, 5)
    counts = {name: n for name, n in verdict.counts.items() if name.startswith("without_")}
    assert counts == {"without_PixelSpacing": 1, "without_Rows": 3}


def test_whole_headers_lack_nothing():
    verdict = required_attributes_present(cts(set(), set()))
    assert (verdict.passed, verdict.value, verdict.counts["total"]) == (True, 0, 2)


def test_nothing_lacks_nothing():
    assert required_attributes_present([]).passed
    assert modality_known(pa.array([], pa.string()), pa.array([], pa.string())).passed


@pytest.mark.parametrize(("conflicting", "passed"), [(0, True), (1, False)])
def test_an_identifier_may_stand_for_one_content_only(conflicting, passed):
    verdict = identifiers_unique(conflicting, 7, 4)
    assert (verdict.passed, verdict.value) == (passed, conflicting)
    assert (verdict.counts["total"], verdict.counts["same_bytes"]) == (7, 4)


@pytest.mark.parametrize(
    ("decoded", "undecodable", "passed", "value"),
    [(95, 5, True, 0.95), (94, 6, False, 0.94), (0, 0, True, 1.0), (0, 3, False, 0.0)],
)
def test_the_rate_of_decodable_frames_is_held_against_the_threshold(
    decoded, undecodable, passed, value
):
    verdict = decodable_rate(decoded, undecodable, 0.95)
    assert (verdict.passed, verdict.value) == (passed, value)


def test_a_modality_must_be_a_defined_term():
    modalities = pa.array(["CT", "SEG", "XYZ", None, None])
    classes = pa.array(["1", "1", "1", "1", MediaStorageDirectoryStorage])
    verdict = modality_known(modalities, classes)
    assert (verdict.passed, verdict.value, verdict.counts["total"]) == (False, 2, 4)


def test_patients_match_by_distinct_identifier():
    sent = pa.array(["a", "a", "b ", "c", None])
    verdict = patients_match(sent, iter(["x", "a", "b"]), 0.5)
    assert (verdict.passed, verdict.value) == (True, 2 / 3)
    assert not patients_match(sent, iter(["a", "b"]), 0.9).passed


def test_without_patients_there_is_nothing_to_compare():
    verdict = patients_match(pa.array(["a"]), iter([]), 1.0)
    assert verdict.passed
    assert "no FHIR Patients" in verdict.explanation
