"""Diffusion series written here, each maker's in its own elements."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence as Items

from hc_assets_tests.imaging.conftest import image_dataset

AXIAL = ((1.0, 0.0, 0.0), (0.0, 1.0, 0.0))
TILTED = ((1.0, 0.0, 0.0), (0.0, float(np.cos(0.3)), float(np.sin(0.3))))
CORONAL = ((1.0, 0.0, 0.0), (0.0, 0.0, -1.0))
SAGITTAL = ((0.0, 1.0, 0.0), (0.0, 0.0, -1.0))
B_VALUES = (0.0, 1000.0, 1000.0, 2000.0)
SENT = ((0.0, 0.0, 0.0), (0.6, 0.0, 0.8), (0.36, 0.48, 0.8), (-0.48, 0.6, 0.64))
MAKERS = {
    "standard": "Hitachi Medical Corporation",
    "siemens": "SIEMENS",
    "philips": "Philips Medical Systems",
    "united imaging": "UIH",
    "ge": "GE MEDICAL SYSTEMS",
}
SPACING, THICKNESS = (2.5, 2.0), 3.5


def weigh(dataset: Dataset, maker: str, b_value: float, sent: Sequence[float]) -> None:
    """Put a b-value and a direction into the elements of a maker."""
    block = dataset.private_block
    if maker == "standard":
        dataset.DiffusionBValue = b_value
        dataset.DiffusionGradientOrientation = list(sent)
    elif maker == "siemens":
        own = block(0x0019, "SIEMENS MR HEADER", create=True)
        own.add_new(0x0C, "IS", int(b_value))
        if b_value:
            own.add_new(0x0E, "FD", list(sent))
    elif maker == "philips":
        block(0x2001, "Philips Imaging DD 001", create=True).add_new(0x03, "FL", b_value)
        own = block(0x2005, "Philips MR Imaging DD 001", create=True)
        for element, value in zip((0xB0, 0xB1, 0xB2), sent, strict=True):
            own.add_new(element, "FL", value)
    elif maker == "united imaging":
        own = block(0x0065, "Image Private Header", create=True)
        own.add_new(0x09, "FD", b_value)
        own.add_new(0x37, "FD", list(sent))
    else:
        own = block(0x0019, "GEMS_ACQU_01", create=True)
        own.add_new(0x9C, "LO", "epi2")
        for element, value in zip((0xBB, 0xBC, 0xBD), sent, strict=True):
            own.add_new(element, "DS", f"{value:.6f}")
        own = block(0x0043, "GEMS_PARM_01", create=True)
        own.add_new(0x39, "IS", [1_000_000_000 + int(b_value), 8, 0, 0])


def slice_of(
    number: int,
    volume: int,
    maker: str,
    axes: tuple[Sequence[float], Sequence[float]] = AXIAL,
    **attributes: Any,
) -> Dataset:
    """One of the four slices of one of the four volumes of a series."""
    normal = np.cross(*axes)
    pixels = 100 * (number + 1) + 1000 * volume + np.arange(16)[:, None] + 2 * np.arange(20)
    position = np.array([-20.0, -20.0, 5.0]) + THICKNESS * number * normal
    common = {
        "Modality": "MR",
        "SOPClassUID": "1.2.840.10008.5.1.4.1.1.4",
        "SOPInstanceUID": f"1.2.3.4.{4 * volume + number + 1}",
        "RescaleIntercept": None,
        "RescaleSlope": None,
        "Manufacturer": MAKERS[maker],
        "ImageType": ["ORIGINAL", "PRIMARY", "M", "DIFFUSION"],
        "ScanningSequence": "EP",
        "RepetitionTime": 3000,
        "EchoTime": 90,
        "PatientPosition": "HFS",
        "InPlanePhaseEncodingDirection": "COL",
        "FrameOfReferenceUID": "1.2.3.9",
        "PixelSpacing": list(SPACING),
        "SliceThickness": THICKNESS,
        "SpacingBetweenSlices": THICKNESS,
        "ImageOrientationPatient": [f"{value:.9f}" for axis in axes for value in axis],
        "ImagePositionPatient": [f"{value:.6f}" for value in position],
        "SeriesNumber": 3,
        "InstanceNumber": 4 * volume + number + 1,
        "AcquisitionNumber": volume + 1,
        "AcquisitionDate": "20260102",
        "AcquisitionTime": f"1010{10 + 3 * volume}",
    }
    dataset = image_dataset(pixels.astype(np.uint16), **common | attributes)
    weigh(dataset, maker, B_VALUES[volume], SENT[volume])
    return dataset


def enhanced(directions: str = "DIRECTIONAL") -> Dataset:
    """The same series in one file, with the macros of Enhanced MR."""
    frames, groups = [], []
    for volume in range(4):
        for number in range(4):
            single = slice_of(number, volume, "standard")
            frames.append(single.pixel_array)
            groups.append(_groups(single, volume, number, directions))
    dataset = slice_of(0, 0, "siemens", SOPClassUID="1.2.840.10008.5.1.4.1.1.4.1")
    for name in ("ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing"):
        delattr(dataset, name)
    dataset.ImageType = ["ORIGINAL", "PRIMARY", "DIFFUSION", "NONE"]
    dataset.NumberOfFrames = 16
    dataset.PixelData = np.stack(frames).tobytes()
    dataset.PerFrameFunctionalGroupsSequence = Items(groups)
    return dataset


def _groups(single: Dataset, volume: int, number: int, directionality: str) -> Dataset:
    def item(**attributes: Any) -> Items:
        made = Dataset()
        for name, value in attributes.items():
            setattr(made, name, value)
        return Items([made])

    diffusion = {
        "DiffusionBValue": B_VALUES[volume],
        "DiffusionDirectionality": directionality if B_VALUES[volume] else "NONE",
        "DiffusionGradientDirectionSequence": item(DiffusionGradientOrientation=list(SENT[volume])),
    }
    group = Dataset()
    group.MRDiffusionSequence = item(**diffusion)
    group.PlanePositionSequence = item(ImagePositionPatient=single.ImagePositionPatient)
    group.PlaneOrientationSequence = item(ImageOrientationPatient=single.ImageOrientationPatient)
    group.PixelMeasuresSequence = item(
        PixelSpacing=single.PixelSpacing, SliceThickness=single.SliceThickness
    )
    group.FrameContentSequence = item(
        FrameAcquisitionDateTime=f"20260102{single.AcquisitionTime}.5",
        DimensionIndexValues=[1, number + 1, volume + 1],
    )
    return group
