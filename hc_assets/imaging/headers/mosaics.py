"""Mosaics: one frame that holds the slices of a volume side by side, as tiles.

Belongs here: how many tiles there are, which part of the frame each is, and where it lies, for
Siemens' mosaics and for those of United Imaging (which calls them grids of VFRAMEs). Cutting them
out of the pixels is in `imaging/pixels/tiles.py`.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from math import ceil, isfinite, isqrt

import numpy as np

from hc_assets.imaging.headers.elements import Elements, MalformedValueError
from hc_assets.imaging.headers.functional_groups import PER_FRAME_GROUPS
from hc_assets.imaging.headers.private_elements import numbers_in, private_tag
from hc_assets.imaging.headers.siemens_csa import NoCsaHeaderError, csa_numbers

_IMAGE_TYPE = 0x00080008
_ROWS, _COLUMNS, _FRAMES = 0x00280010, 0x00280011, 0x00280008
_PIXEL_SPACING = 0x00280030
_POSITION, _ORIENTATION = 0x00200032, 0x00200037
_SPACING_BETWEEN_SLICES, _THICKNESS = 0x00180088, 0x00180050
_SIEMENS, _UNITED_IMAGING = "MOSAIC", "VFRAME"
# What Siemens states outside of its CSA header: NumberOfImagesInMosaic
_MR_OWNER, _MR_GROUP, _MR_COUNT = "SIEMENS MR HEADER", 0x0019, 0x0A
# United Imaging: MR Number Of Slice In Volume, and an item of MR VFrame Sequence for each slice
_UIH_OWNER, _UIH_GROUP, _UIH_COUNT, _UIH_SLICES = "Image Private Header", 0x0065, 0x50, 0x51
# Of a tile, since nothing that was ever scanned is smaller
_LEAST_SIDE = 8

Position = tuple[float, float, float]


class UnknownMosaicError(Exception):
    """A mosaic of which it is not known what its tiles are.

    Attributes:
        reason: why, as words to be read by a user.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = f"a mosaic whose slices can't be told apart: {reason}"


@dataclass(frozen=True)
class Tiling:
    """The tiles of a mosaic.

    Attributes:
        count: how many hold a slice; those after them are empty.
        shape: rows and columns of each.
        across: how many are beside one another; they follow one another row by row.
        positions: ImagePositionPatient of each, in their order, mm; None where that is not known.
    """

    count: int
    shape: tuple[int, int]
    across: int
    positions: tuple[Position, ...] | None

    def part(self, tile: int) -> tuple[slice, slice]:
        """Rows and columns of the frame that a tile is."""
        down, right = divmod(tile, self.across)
        rows, columns = self.shape
        return (
            slice(down * rows, (down + 1) * rows),
            slice(right * columns, (right + 1) * columns),
        )


def is_mosaic(image_type: Iterable[object] | None) -> bool:
    """Whether ImageType says that a frame is a mosaic."""
    return any(str(value).upper() in (_SIEMENS, _UNITED_IMAGING) for value in image_type or ())


def tiling_of(elements: Elements) -> Tiling | None:
    """Find out what the tiles of a frame are.

    Args:
        elements: of the dataset.

    Returns:
        The tiles; None where ImageType does not say that it is a mosaic, and for an enhanced file
        of several frames.

    Raises:
        UnknownMosaicError: it says so, but not what its tiles are.
    """
    image_type = _texts(elements, _IMAGE_TYPE)
    if not is_mosaic(image_type):
        return None
    frames = _numbers(elements, _FRAMES)
    if frames and frames != [1.0]:
        if PER_FRAME_GROUPS in elements:
            return None  # enhanced files place their frames themselves
        raise UnknownMosaicError("it has several frames")
    shape = _whole(_numbers(elements, _ROWS)), _whole(_numbers(elements, _COLUMNS))
    if shape[0] is None or shape[1] is None:
        raise UnknownMosaicError("its rows or columns are not known")
    if any(value.upper() == _SIEMENS for value in image_type):
        return _of_siemens(elements, shape[0], shape[1])
    return _of_united_imaging(elements, shape[0], shape[1])


def _of_siemens(elements: Elements, rows: int, columns: int) -> Tiling:
    try:
        csa, why = csa_numbers(elements), "its CSA header does not say how many there are"
    except NoCsaHeaderError as error:
        csa, why = {}, str(error)
    count = _whole(csa.get("NumberOfImagesInMosaic", []))
    if count is None:
        tag = private_tag(elements, _MR_GROUP, _MR_OWNER, _MR_COUNT)
        count = _whole(numbers_in(elements, tag, "US"))
    if count is None:
        raise UnknownMosaicError(why)
    across = _square_root(count)
    tile = _tile(rows, columns, down=across, across=across)
    normal = csa.get("SliceNormalVector", [])
    return Tiling(count, tile, across, _from_corner(elements, count, tile, normal))


def _from_corner(
    elements: Elements, count: int, tile: tuple[int, int], normal: list[float]
) -> tuple[Position, ...] | None:
    """Positions of Siemens' tiles.

    ImagePositionPatient is where the first pixel would be if the whole mosaic were centred on the
    first slice; the slices follow one another along the normal of the CSA header.
    """
    position, cosines = _numbers(elements, _POSITION), _numbers(elements, _ORIENTATION)
    pixel = _numbers(elements, _PIXEL_SPACING)
    spacing = _first_above_0(elements, _SPACING_BETWEEN_SLICES, _THICKNESS)
    lengths = [len(each) for each in (position, cosines, pixel, normal)]
    if lengths != [3, 6, 2, 3] or spacing is None or not np.linalg.norm(normal) > 0:
        return None
    rows, columns = _numbers(elements, _ROWS)[0], _numbers(elements, _COLUMNS)[0]
    corner = (
        np.array(position)
        + np.array(cosines[3:]) * pixel[0] * (rows - tile[0]) / 2
        + np.array(cosines[:3]) * pixel[1] * (columns - tile[1]) / 2
    )
    step = spacing * np.array(normal) / np.linalg.norm(normal)
    return _finite((corner + number * step).tolist() for number in range(count))


def _of_united_imaging(elements: Elements, rows: int, columns: int) -> Tiling:
    tag = private_tag(elements, _UIH_GROUP, _UIH_OWNER, _UIH_COUNT)
    count = _whole(numbers_in(elements, tag, "DS"))
    if count is None:
        raise UnknownMosaicError("(0065,1050) does not say how many there are")
    across = _square_root(count)
    tile = _tile(rows, columns, down=ceil(count / across), across=across)
    slices = private_tag(elements, _UIH_GROUP, _UIH_OWNER, _UIH_SLICES)
    try:
        items = elements.items(slices) if slices is not None else ()
    except MalformedValueError as error:
        raise UnknownMosaicError("(0065,1051) can't be read") from error
    if items and len(items) != count:
        raise UnknownMosaicError(f"{count} slices, but {len(items)} items in (0065,1051)")
    positions = [_numbers(item, _POSITION) for item in items]
    return Tiling(count, tile, across, _finite(positions))


def _tile(rows: int, columns: int, *, down: int, across: int) -> tuple[int, int]:
    tile = rows // down, columns // across
    if tile[0] * down != rows or tile[1] * across != columns or min(tile) < _LEAST_SIDE:
        raise UnknownMosaicError(f"{rows} x {columns} pixels are not {down} x {across} tiles")
    return tile


def _square_root(count: int) -> int:
    """Side of the least square that holds so many tiles."""
    return isqrt(count - 1) + 1


def _finite(positions: Iterable[list[float]]) -> tuple[Position, ...] | None:
    found = [tuple(position) for position in positions]
    if not found or not all(len(each) == 3 and all(map(isfinite, each)) for each in found):
        return None
    return tuple((x, y, z) for x, y, z in found)


def _first_above_0(elements: Elements, *tags: int) -> float | None:
    found = (_numbers(elements, tag)[:1] for tag in tags)
    return next((values[0] for values in found if values and values[0] > 0), None)


def _whole(numbers: list[float]) -> int | None:
    if len(numbers) == 1 and 0 < numbers[0] < 2**16 and numbers[0].is_integer():
        return int(numbers[0])
    return None


def _numbers(elements: Elements, tag: int) -> list[float]:
    try:
        values = elements.values(tag)
    except MalformedValueError:
        return []
    return [float(value) for value in values if isinstance(value, int | float)]


def _texts(elements: Elements, tag: int) -> list[str]:
    try:
        return [str(value) for value in elements.values(tag)]
    except MalformedValueError:
        return []
