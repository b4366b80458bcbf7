"""Files and frames for the imaging tests: written here, pydicom's own, and shared real ones."""

import csv
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from pydicom.data import get_testdata_file
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian

from hc_assets.imaging.pixels.frame_context import FrameContext
from hc_assets.imaging.pixels.frames import Frame

_SHARED = Path(__file__).parents[3] / "shared" / "data" / "dicom"


@dataclass(frozen=True)
class SharedFile:
    """A line of the shared manifest."""

    path: Path
    modality: str
    header_ok: bool
    pixels_ok: str


@pytest.fixture(scope="session")
def shared_files() -> list[SharedFile]:
    """Real files of many makers; tests that need them skip where there are none."""
    manifest = _SHARED / "manifest.csv"
    if not manifest.exists():
        pytest.skip("no shared DICOM files beside the checkout")
    with manifest.open() as lines:
        return [
            SharedFile(
                _SHARED / row["path"], row["modality"], row["header_ok"] == "1", row["pixels_ok"]
            )
            for row in csv.DictReader(lines)
        ]


@pytest.fixture(scope="session")
def pydicom_files() -> list[Path]:
    """The .dcm files of pydicom's wheel."""
    return sorted((Path(pydicom.__file__).parent / "data").rglob("*.dcm"))


@pytest.fixture(scope="session")
def real_files() -> list[Path]:
    """Every file of pydicom, of pydicom-data and, where they are, of the shared ones."""
    package = Path(pydicom.__file__).parents[1]
    # In an order that does not depend on where they are: what is drawn from them is the same
    folders = [package / "data_store", package / "pydicom" / "data", _SHARED]
    found = (path for folder in folders for path in sorted(folder.rglob("*")) if path.is_file())
    return [path for path in found if path.suffix not in (".py", ".pyc", ".json", ".csv")]


@pytest.fixture(scope="session")
def testdata() -> Callable[[str], Path]:
    """Path of one of pydicom's files by its name."""

    def path(name: str) -> Path:
        found = get_testdata_file(name, download=False)
        assert found, f"pydicom has no {name}"
        return Path(found)

    return path


def image_dataset(pixels: np.ndarray, **attributes: Any) -> Dataset:
    """A small valid CT dataset around some pixels, with attributes put over it."""
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.file_meta.MediaStorageSOPClassUID = CTImageStorage
    dataset.file_meta.MediaStorageSOPInstanceUID = "1.2.3.4"
    dataset.SOPClassUID = CTImageStorage
    dataset.SOPInstanceUID = "1.2.3.4"
    dataset.StudyInstanceUID = "1.2.3"
    dataset.SeriesInstanceUID = "1.2.3.1"
    dataset.PatientID = "P1"
    dataset.Modality = "CT"
    dataset.PhotometricInterpretation = "RGB" if pixels.shape[-1] == 3 else "MONOCHROME2"
    dataset.SamplesPerPixel = 3 if pixels.shape[-1] == 3 else 1
    if dataset.SamplesPerPixel == 3:
        dataset.PlanarConfiguration = 0
    frame_shape = pixels.shape[:-1] if dataset.SamplesPerPixel == 3 else pixels.shape
    dataset.Rows, dataset.Columns = frame_shape[-2:]
    if len(frame_shape) == 3:
        dataset.NumberOfFrames = frame_shape[0]
    bits = pixels.dtype.itemsize * 8
    dataset.BitsAllocated = dataset.BitsStored = bits
    dataset.HighBit = bits - 1
    dataset.PixelRepresentation = int(pixels.dtype.kind == "i")
    dataset.PixelData = pixels.tobytes()
    dataset["PixelData"].VR = "OB" if bits == 8 else "OW"
    for name, value in attributes.items():
        setattr(dataset, name, value)
    return dataset


@pytest.fixture(scope="session")
def dataset_of() -> Callable[..., Dataset]:
    """`image_dataset`, for tests that change more than attributes."""
    return image_dataset


@pytest.fixture
def write_dicom(tmp_path: Path) -> Callable[..., Path]:
    """Write a dataset around pixels, or a dataset as it is, and give the path."""

    def write(pixels: np.ndarray | Dataset, name: str = "image.dcm", **attributes: Any) -> Path:
        dataset = pixels if isinstance(pixels, Dataset) else image_dataset(pixels, **attributes)
        path = tmp_path / name
        dataset.save_as(path, enforce_file_format=True)
        return path

    return write


@pytest.fixture(scope="session")
def frame_of() -> Callable[..., Frame]:
    """A frame around pixels, as if it had been decoded."""

    def frame(pixels: np.ndarray, modality: str = "MR", **context: Any) -> Frame:
        values = pixels.astype(np.float32) if pixels.dtype.kind == "f" else pixels
        return Frame(
            index=0,
            pixels=values,
            is_color=values.ndim == 3,
            padding=context.pop("padding", None),
            limits=context.pop("limits", (float(pixels.min()), float(pixels.max()))),
            decoder="none",
            context=FrameContext(sop_instance_uid="1.2.3", modality=modality, **context),
        )

    return frame
