"""Siemens mosaics: one frame that holds the slices of a volume side by side.

Belongs here: how many tiles there are and where each lies, from the private CSA header, which
nibabel reads. Cutting the tiles out is in `assembly.py`.
"""

import warnings
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from hc_assets.imaging.headers.elements import Elements, MalformedValueError, dataset_elements
from hc_assets.imaging.headers.parsed_headers import PARSED
from hc_assets.imaging.headers.reading import PARSE_ERRORS, opened, quiet_pydicom, raise_if_ours
from hc_assets.imaging.volumes.splitting import PlacedFrame

_CREATOR = "SIEMENS CSA HEADER"
_GROUP = 0x0029
_SPACING_BETWEEN_SLICES = 0x00180088
_THICKNESS = 0x00180050


class UnknownMosaicError(Exception):
    """The private header of a mosaic is not there or can't be read."""


def is_mosaic(image_type: list[str] | None) -> bool:
    """Whether ImageType says that a frame is a mosaic."""
    return "MOSAIC" in (image_type or ())


def tile_columns(tiles: int) -> int:
    """How many tiles are beside one another: the least square that holds them all."""
    return int(np.ceil(np.sqrt(tiles)))


def tiles_of(frame: PlacedFrame, path: Path, shape: tuple[int, int]) -> Iterator[PlacedFrame]:
    """Find the slices in a mosaic.

    Args:
        frame: the mosaic as if it were one slice; the last two values of its grid are PixelSpacing.
        path: its file.
        shape: its rows and columns.

    Yields:
        A frame for each tile, in the order of the tiles. ImagePositionPatient of a mosaic is where
        the first pixel would be if the whole mosaic were centred on the slice.

    Raises:
        UnknownMosaicError: the CSA header lacks what it takes.
    """
    elements = _elements(path)
    count, normal = _csa(elements)
    across = tile_columns(count)
    rows, columns = shape[0] // across, shape[1] // across
    spacing = _first(elements, _SPACING_BETWEEN_SLICES) or _first(elements, _THICKNESS)
    if spacing is None or rows * across != shape[0] or columns * across != shape[1]:
        raise UnknownMosaicError("its tiles or their spacing are not known")
    cosines = np.array(frame.orientation)
    pixel = _spacing(frame)
    corner = (
        np.array(frame.position)
        + cosines[3:] * pixel[0] * (shape[0] - rows) / 2
        + cosines[:3] * pixel[1] * (shape[1] - columns) / 2
    )
    for tile in range(count):
        x, y, z = (corner + tile * spacing * normal).tolist()
        grid = (rows, columns, *frame.grid[2:], "mosaic", frame.file)
        yield replace(frame, position=(x, y, z), tile=tile, grid=grid)


def _spacing(frame: PlacedFrame) -> tuple[float, float]:
    spacing: Any = frame.grid[2]
    if spacing is None:
        raise UnknownMosaicError("it has no PixelSpacing")
    return spacing[0], spacing[1]


def _elements(path: Path) -> Elements:
    with opened(path) as file, quiet_pydicom():
        header, _ = PARSED.parse(path, file)
        return dataset_elements(header)


def _csa(elements: Elements) -> tuple[int, Any]:
    with warnings.catch_warnings():
        # nibabel calls its DICOM readers experimental, at every import
        warnings.simplefilter("ignore")
        from nibabel.nicom import csareader  # noqa: PLC0415
    for block in range(0x10, 0x100):
        try:
            if _CREATOR not in elements.values(_GROUP << 16 | block):
                continue
            data = elements.first(_GROUP << 16 | block << 8 | 0x10)
            if not isinstance(data, bytes):
                continue
            csa = csareader.read(data)
            (count,) = csa["tags"]["NumberOfImagesInMosaic"]["items"]
            normal = np.array(csa["tags"]["SliceNormalVector"]["items"], np.float64)
        except (MalformedValueError, csareader.CSAReadError, *PARSE_ERRORS) as error:
            raise_if_ours(error)
            raise UnknownMosaicError("its CSA header can't be read") from error
        if normal.shape == (3,) and int(count) > 0:
            return int(count), normal / np.linalg.norm(normal)
    raise UnknownMosaicError("it has no CSA header")


def _first(elements: Elements, tag: int) -> float | None:
    try:
        value = elements.first(tag)
    except MalformedValueError:
        return None
    return float(value) if isinstance(value, int | float) and value > 0 else None
