"""Mammograms of both breasts, bright or dark tissue, labelled in lead: from files to arrays."""

import cv2
import numpy as np
import pytest
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import DigitalMammographyXRayImageStorageForPresentation, ExplicitVRLittleEndian

from hc_assets.imaging.headers.required_attributes import lacking_attributes
from hc_assets.lake.layout import Layout
from hc_assets.lake.tables import read_partitions
from hc_assets.sample_data import dicom_headers
from hc_assets.sample_data.phantoms_xray import breast_attenuation

SHAPE = (1152, 896)
SIDE = 2048
TOP = 4095
LEAD = 4.6  # attenuation of the densest that is distinguished
KINDS = [(side, photometric) for side in "LR" for photometric in ("MONOCHROME1", "MONOCHROME2")]


def attenuation_of(side: str) -> np.ndarray:
    """Both breasts are alike, so that what becomes of them can be compared."""
    drawn = breast_attenuation(*SHAPE, np.random.default_rng(3), is_left=True, photons=40_000)
    if side == "R":
        drawn = np.ascontiguousarray(drawn[:, ::-1])
    at = (30, 120) if side == "R" else (SHAPE[1] - 330, 120)  # in air, away from the chest wall
    lead = np.zeros(SHAPE, np.uint8)
    cv2.putText(lead, f"{side} MLO", at, cv2.FONT_HERSHEY_SIMPLEX, 3.0, 1, 8)
    return np.where(lead > 0, np.float32(LEAD), drawn)


def mammogram(side: str, photometric: str, number: int) -> Dataset:
    """A valid Digital Mammography X-Ray Image - For Presentation (PS3.3 A.27)."""
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.SOPClassUID = DigitalMammographyXRayImageStorageForPresentation
    dataset.SOPInstanceUID = f"1.2.826.0.1.3680043.10.99.1.{number}"
    dataset.StudyInstanceUID = "1.2.826.0.1.3680043.10.99.2"
    dataset.SeriesInstanceUID = f"1.2.826.0.1.3680043.10.99.3.{number}"
    dataset.PatientID, dataset.PatientName, dataset.PatientSex = "M1", "Made^Up", "F"
    dataset.PatientBirthDate, dataset.AccessionNumber, dataset.StudyID = "19600101", "A1", "1"
    dataset.ReferringPhysicianName = dataset.PositionReferenceIndicator = ""
    for what in ("Study", "Series", "Content", "Acquisition"):
        setattr(dataset, f"{what}Date", "20260102")
        setattr(dataset, f"{what}Time", "101500")
    dataset.Modality, dataset.BodyPartExamined = "MG", "BREAST"
    dataset.SeriesNumber = dataset.InstanceNumber = number
    dataset.Manufacturer, dataset.ManufacturerModelName = "Made-up Imaging", "MG 1"
    dataset.BurnedInAnnotation, dataset.LossyImageCompression = "NO", "00"
    dataset.AcquisitionContextSequence = []
    dicom_headers.add_projection(dataset, spacing_mm=0.2, view="MLO", is_digital=True)
    dicom_headers.add_mammogram(dataset, is_left=side == "L")
    dataset.VOILUTFunction = "LINEAR"
    stored = np.rint(np.clip(attenuation_of(side) / LEAD, 0, 1) * TOP).astype(np.uint16)
    center = 2200
    if photometric == "MONOCHROME1":
        stored, center = (TOP - stored).astype(np.uint16), TOP - center
        dataset.PresentationLUTShape = "INVERSE"
    dataset.WindowCenter, dataset.WindowWidth = center, 2800
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, photometric
    dataset.Rows, dataset.Columns = SHAPE
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit = 16, 12, 11
    dataset.PixelRepresentation = 0
    dataset.PixelData = stored.tobytes()
    dataset["PixelData"].VR = "OW"
    return dataset


@pytest.fixture
def mammograms(tmp_path):
    paths = {}
    for number, (side, photometric) in enumerate(KINDS, start=1):
        path = tmp_path / f"{number}.dcm"
        mammogram(side, photometric, number).save_as(path, enforce_file_format=True)
        paths[side, photometric] = path
    return paths


def rows_of(batch):
    """Rows of arrays, their pixels as NumPy."""
    pixels = batch["pixels"].to_numpy_ndarray()
    for number, row in enumerate(batch.drop_columns(["pixels"]).to_pylist()):
        yield row | {"pixels": pixels[number]}


def test_mammograms_become_arrays_of_the_breast_alone_all_turned_one_way(
    mammograms, hc_assets, query, data_dir, monkeypatch
):
    monkeypatch.setenv("HC_IMAGING_STUDIES_TO_FHIR", "false")
    assert hc_assets("ingest", *mammograms.values()).exit_code == 0
    indexed = query("SELECT dicom_json, warnings, sop_class_uid FROM imaging.dicom_index")
    assert [lacking_attributes(*row, has_pixels=True) for row in indexed] == [[]] * 4

    assert query("SELECT passes_gate FROM imaging.quality_metrics") == [(True,)] * 4

    columns = ["source_file", "pipeline", "decisions", "source_to_array", "pixels"]
    table = read_partitions(Layout.of(data_dir), "imaging/preprocessed_arrays").to_table(columns)
    kinds = {str(path): kind for kind, path in mammograms.items()}
    arrays = {}
    for row in (row for batch in table.to_batches() for row in rows_of(batch)):
        side, photometric = kind = kinds[row["source_file"]]
        assert row["pipeline"].partition("/")[0] == "mg"
        assert "breast mask" in row["decisions"]
        assert ("turned left to right" in row["decisions"]) == (side == "R")
        assert ("MONOCHROME1 inverted" in row["decisions"]) == (photometric == "MONOCHROME1")
        # Stored columns run the other way in a right breast; both fill the height
        assert (row["source_to_array"][4] < 0) == (side == "R")
        assert row["source_to_array"][0] == pytest.approx(SIDE / SHAPE[0])
        arrays[kind] = row["pixels"]
    assert arrays.keys() == mammograms.keys()

    first = arrays["L", "MONOCHROME2"]
    for array in arrays.values():
        assert np.abs(array - first).mean() < 0.005
    scale = SIDE / SHAPE[0]
    margin = (SIDE - round(SHAPE[1] * scale)) // 2
    # The chest wall is on the left, and the label in lead is gone
    breast = first[:, margin:] > 0
    assert breast[SIDE // 2, :200].all()
    label = first[: int(130 * scale), margin + int((SHAPE[1] - 340) * scale) :]
    assert not label.any()
    truth = attenuation_of("L")
    truth[:140, SHAPE[1] - 340 :] = 0
    seen = cv2.resize((truth > 0.3).astype(np.uint8), (round(SHAPE[1] * scale), SIDE)) > 0
    found = first[:, margin : margin + seen.shape[1]] > 0
    assert (found & seen).sum() / (found | seen).sum() > 0.95
    # Local equalisation in more than 8 bits, over the full range
    tissue = first[first > 0]
    assert len(np.unique(tissue)) > 4 * 256
    assert tissue.max() > 0.98
