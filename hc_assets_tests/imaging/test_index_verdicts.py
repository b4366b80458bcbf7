import pyarrow as pa
import pytest
from pydicom.uid import (
    CTImageStorage,
    EncapsulatedPDFStorage,
    MediaStorageDirectoryStorage,
    ParametricMapStorage,
)

from hc_assets.imaging.index_verdicts import (
    REQUIRED_COLUMNS,
    decodable_rate,
    defined_modalities,
    identifiers_unique,
    modality_known,
    patients_match,
    required_attributes_present,
)
from hc_assets.imaging.schemas import DICOM_INDEX

CT = {
    "sop_class_uid": CTImageStorage,
    "sop_instance_uid": "1.2.3",
    "study_instance_uid": "1.2",
    "series_instance_uid": "1.2.1",
    "frame_of_reference_uid": "1.2.9",
    "modality": "CT",
    "has_pixels": True,
    "image_type": ["ORIGINAL", "PRIMARY", "AXIAL"],
    "samples_per_pixel": 1,
    "photometric_interpretation": "MONOCHROME2",
    "rows": 2,
    "columns": 2,
    "bits_allocated": 16,
    "bits_stored": 12,
    "pixel_representation": 0,
    "pixel_spacing": [1.0, 1.0],
    "image_orientation": [1.0, 0.0, 0.0, 0.0, 1.0, 0.0],
    "image_position": [0.0, 0.0, 0.0],
    "rescale_slope": 1.0,
    "rescale_intercept": 0.0,
}
SCHEMA = pa.schema([DICOM_INDEX.field(name) for name in REQUIRED_COLUMNS])


def rows(*headers: dict) -> list[pa.RecordBatch]:
    return [pa.RecordBatch.from_pylist(list(headers), SCHEMA)]


def uids(*pairs: tuple[str | None, str]) -> pa.Table:
    names = ["sop_instance_uid", "file_sha256"]
    return pa.Table.from_pylist([dict(zip(names, pair, strict=True)) for pair in pairs]).select(
        names
    )


def test_a_whole_ct_has_what_it_needs():
    verdict = required_attributes_present(rows(CT, CT))
    assert (verdict.passed, verdict.value, verdict.counts["total"]) == (True, 0, 2)


@pytest.mark.parametrize("name", sorted(set(CT) - {"has_pixels", "sop_class_uid"}))
def test_each_missing_attribute_of_a_ct_is_counted(name):
    verdict = required_attributes_present(rows(CT, CT | {name: None}))
    assert (verdict.passed, verdict.value, verdict.counts[f"without_{name}"]) == (False, 1, 1)


def test_a_class_needs_what_it_needs_and_no_more():
    document = {name: CT[name] for name in CT if name.endswith(("_uid", "modality"))}
    document |= {"has_pixels": False, "sop_class_uid": EncapsulatedPDFStorage}
    directory = {
        "sop_class_uid": MediaStorageDirectoryStorage,
        "sop_instance_uid": "1.2.4",
        "has_pixels": False,
    }
    floats = CT | {"sop_class_uid": ParametricMapStorage, "bits_stored": None}
    assert required_attributes_present(rows(document, directory, floats)).passed
    assert not required_attributes_present(rows(document | {"modality": None})).passed


def test_a_file_without_a_class_lacks_it():
    verdict = required_attributes_present(rows(CT | {"sop_class_uid": None}))
    assert verdict.counts["without_sop_class_uid"] == 1


def test_nothing_lacks_nothing():
    assert required_attributes_present([]).passed
    assert modality_known(pa.array([], pa.string()), pa.array([], pa.string())).passed


def test_an_identifier_may_stand_for_one_content_only():
    same = uids(("1", "x"), ("1", "x"), (None, "y"), (None, "z"))
    assert identifiers_unique(same, [], 0).passed
    conflict = identifiers_unique(uids(("1", "x"), ("1", "y"), ("2", "z")), [], 0)
    assert (conflict.passed, conflict.value) == (False, 1)


def test_identifiers_are_held_against_those_of_other_batches():
    others = uids(("1", "other"), ("3", "x"), (None, "y")).to_batches()
    verdict = identifiers_unique(uids(("1", "x"), ("2", "y")), others, 4)
    assert (verdict.passed, verdict.value, verdict.counts["same_bytes"]) == (False, 1, 4)


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
    assert {"CT", "MR", "SR", "RTSTRUCT", "ECG", "SM", "MG", "NM", "PT"} <= defined_modalities()


def test_patients_match_by_distinct_identifier():
    sent = pa.array(["a", "a", "b ", "c", None])
    verdict = patients_match(sent, iter(["x", "a", "b"]), 0.5)
    assert (verdict.passed, verdict.value) == (True, 2 / 3)
    assert not patients_match(sent, iter(["a", "b"]), 0.9).passed


def test_without_patients_there_is_nothing_to_compare():
    verdict = patients_match(pa.array(["a"]), iter([]), 1.0)
    assert verdict.passed
    assert "no FHIR Patients" in verdict.explanation
