"""Small DICOM deliveries that meet every kind of row: images, no images, cut, doubled, unreadable.

Belongs here: data for tests of faults.
"""

from pathlib import Path

import numpy as np
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import (
    BasicTextSRStorage,
    CTImageStorage,
    ExplicitVRLittleEndian,
    UltrasoundImageStorage,
)

_ROOT = "1.2.826.0.1.3680043.10.4711"
_SIDE = 32
# Small arrays and no gates: what is made of a frame matters here, not how good it is.
ENVIRONMENT = {
    "HC_PREPROCESSING": (
        '{"ct": {"rows": 32, "columns": 32, "clahe_tiles": 2}, "us": {"rows": 32, "columns": 32}}'
    ),
    "HC_QUALITY_GATE": "0",
    "HC_QUALITY_TRAINING_GATE": "0",
    "HC_TRAINING_BURNED_IN": "true",
    "HC_TRAINING_SALT": "of a test",
    "HC_VOLUME_SPACING_MM": "2",
}


def slice_of(series: int, number: int) -> Dataset:
    """A slice of a CT series: a disc of water in air, with noise."""
    dataset = _dataset(CTImageStorage, series, number)
    random = np.random.default_rng([series, number])
    y, x = np.mgrid[:_SIDE, :_SIDE] - _SIDE / 2
    water = np.where(x**2 + y**2 < (_SIDE / 3) ** 2, 1024, 24)
    pixels = (water + random.normal(0, 12, water.shape)).clip(0).astype(np.uint16)
    dataset.Modality = "CT"
    dataset.RescaleSlope, dataset.RescaleIntercept = 1, -1024
    dataset.PixelSpacing, dataset.SliceThickness = [2, 2], 2
    dataset.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
    dataset.ImagePositionPatient = [0, 0, 2 * number]
    _fill(dataset, pixels)
    return dataset


def _dataset(sop_class: str, series: int, number: int) -> Dataset:
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.SOPClassUID, dataset.SOPInstanceUID = sop_class, f"{_ROOT}.{series}.1.{number}"
    dataset.StudyInstanceUID = f"{_ROOT}.{series}"
    dataset.SeriesInstanceUID = f"{_ROOT}.{series}.1"
    dataset.PatientID, dataset.StudyDate = f"P{series}", "20240102"
    dataset.SeriesNumber, dataset.InstanceNumber = 1, number
    dataset.BodyPartExamined = "CHEST"
    return dataset


def _fill(dataset: Dataset, pixels: np.ndarray) -> None:
    bits = pixels.dtype.itemsize * 8
    dataset.Rows, dataset.Columns = pixels.shape
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
    dataset.BitsAllocated = dataset.BitsStored = bits
    dataset.HighBit, dataset.PixelRepresentation = bits - 1, 0
    dataset.PixelData = pixels.tobytes()
    dataset["PixelData"].VR = "OB" if bits == 8 else "OW"


def write_dicom_deliveries(folder: Path) -> tuple[Path, Path]:
    """Two deliveries, the second of which adds to what the first brought."""
    first, second = folder / "first", folder / "second"
    first.mkdir(parents=True)
    second.mkdir()
    for number in range(3):
        _put(first / f"ct-{number}.dcm", slice_of(1, number))
    (first / "notes.dcm").write_text("no image\n" * 30)
    for number in range(3, 5):
        _put(second / f"ct-{number}.dcm", slice_of(1, number))
    _put(second / "other.dcm", slice_of(2, 0))
    whole = (second / "other.dcm").read_bytes()
    _put(second / "cut.dcm", slice_of(2, 1))
    (second / "cut.dcm").write_bytes((second / "cut.dcm").read_bytes()[:-500])
    (second / "twice.dcm").write_bytes(whole + b"\0\0")  # one object in two files
    report = _dataset(BasicTextSRStorage, 2, 7)
    report.Modality = "SR"
    _put(second / "report.dcm", report)
    echo = _dataset(UltrasoundImageStorage, 3, 0)
    echo.Modality = "US"
    _fill(echo, np.random.default_rng(3).integers(0, 255, (_SIDE, _SIDE), dtype=np.uint8))
    _put(second / "echo.dcm", echo)
    (second / "empty.dcm").touch()
    return first, second


def _put(path: Path, dataset: Dataset) -> None:
    dataset.save_as(path, enforce_file_format=True)
