"""Mosaics written here: United Imaging's grids, and Siemens' with a CSA header of our own."""

import struct
from collections.abc import Sequence
from math import ceil, sqrt
from typing import Any

import numpy as np
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence as Items

from hc_assets_tests.imaging.conftest import image_dataset

ROW, COLUMN = np.array([1.0, 0.0, 0.0]), np.array([0.0, np.cos(0.3), np.sin(0.3)])
NORMAL = np.cross(ROW, COLUMN)
START = np.array([-40.0, -35.0, 10.0])
SPACING, THICKNESS = (2.5, 2.0), 3.5


def slices(count: int, rows: int = 32, columns: int = 40) -> np.ndarray:
    """Slices that differ in every place, uint16."""
    of_slice = np.arange(rows)[:, None] + 2 * np.arange(columns)
    return (100 * np.arange(1, count + 1)[:, None, None] + of_slice).astype(np.uint16)


def laid_out(voxels: np.ndarray, down: int) -> np.ndarray:
    """One picture of slices, row by row, as many in each as the least square has."""
    count, rows, columns = voxels.shape
    across = ceil(sqrt(count))
    picture = np.zeros((down * rows, across * columns), voxels.dtype)
    for number, pixels in enumerate(voxels):
        top, left = divmod(number, across)
        part = np.s_[top * rows : (top + 1) * rows, left * columns : (left + 1) * columns]
        picture[part] = pixels
    return picture


def positions(count: int, order: int = 1) -> np.ndarray:
    """ImagePositionPatient of slices that follow one another along the normal, or against it."""
    return START + order * THICKNESS * np.arange(count)[:, None] * NORMAL


def _dataset(picture: np.ndarray, first: Sequence[float], **attributes: Any) -> Dataset:
    common = {
        "Modality": "MR",
        "SOPClassUID": "1.2.840.10008.5.1.4.1.1.4",
        "RescaleIntercept": None,
        "RescaleSlope": None,
        "PixelSpacing": list(SPACING),
        "SliceThickness": THICKNESS,
        "SpacingBetweenSlices": THICKNESS,
        "ImageOrientationPatient": [f"{value:.9f}" for value in (*ROW, *COLUMN)],
        "ImagePositionPatient": [f"{value:.6f}" for value in first],
        "FrameOfReferenceUID": "1.2.3.9",
        "SeriesNumber": 3,
        "InstanceNumber": 1,
        "PatientPosition": "HFS",
    }
    return image_dataset(picture, **common | attributes)


def united_imaging(
    voxels: np.ndarray, *, order: int = 1, items: int | None = None, **attributes: Any
) -> Dataset:
    """A grid of VFRAMEs, with the place of each in its own item."""
    count = len(voxels)
    at = positions(count, order)
    picture = laid_out(voxels, down=ceil(count / ceil(sqrt(count))))
    dataset = _dataset(
        picture,
        at[0],
        **{
            "Manufacturer": "UIH",
            "ImageType": ["ORIGINAL", "PRIMARY", "M", "VFRAME"],
            **attributes,
        },
    )
    block = dataset.private_block(0x0065, "Image Private Header", create=True)
    block.add_new(0x50, "DS", str(count))
    sent = []
    for position in at[:items]:
        item = Dataset()
        item.ImagePositionPatient = [f"{value:.6f}" for value in position]
        sent.append(item)
    block.add_new(0x51, "SQ", Items(sent))
    return dataset


def siemens(
    voxels: np.ndarray,
    *,
    order: int = 1,
    csa: dict[str, Sequence[float]] | None = None,
    **attributes: Any,
) -> Dataset:
    """A mosaic, whose ImagePositionPatient is that of the whole picture around the first slice."""
    count, rows, columns = voxels.shape
    across = ceil(sqrt(count))
    moved = (across - 1) / 2 * np.array([rows * SPACING[0], columns * SPACING[1]])
    first = START - COLUMN * moved[0] - ROW * moved[1]
    dataset = _dataset(
        laid_out(voxels, down=across),
        first,
        **{
            "Manufacturer": "SIEMENS",
            "ImageType": ["ORIGINAL", "PRIMARY", "M", "ND", "MOSAIC"],
            **attributes,
        },
    )
    if csa is None:
        csa = {"NumberOfImagesInMosaic": [count], "SliceNormalVector": list(order * NORMAL)}
    block = dataset.private_block(0x0029, "SIEMENS CSA HEADER", create=True)
    block.add_new(0x10, "OB", csa_header(csa))
    return dataset


def csa_header(entries: dict[str, Sequence[float]]) -> bytes:
    """A CSA header of the second kind, of numbers: one counts as a whole, several as decimals."""
    parts = [b"SV10\4\3\2\1", struct.pack("<2I", len(entries), 77)]
    for name, numbers in entries.items():
        vr = b"IS\0\0" if len(numbers) == 1 else b"FD\0\0"
        head = (name.encode(), len(numbers), vr, 1, len(numbers), 77)
        parts.append(struct.pack("<64si4s3i", *head))
        for number in numbers:
            text = (f"{number:.8f}" if len(numbers) > 1 else f"{number:g}").encode() + b"\0"
            parts.append(struct.pack("<4i", len(text), len(text), 77, len(text)))
            parts.append(text + bytes(-len(text) % 4))
    data = b"".join(parts)
    return data + bytes(len(data) % 2)
