"""From a file to its frames in modality units, one frame in memory at a time.

Belongs here: what stored values mean: rescale and Modality LUT, padding, spacing, windows of each
frame. Decoding is in `decoding.py`; making a frame fit to be looked at is in `display.py`.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hc_assets.core.fence import InternalError, fenced, fenced_each
from hc_assets.imaging.headers.columns import TypedColumns, is_image_class, sop_class_name
from hc_assets.imaging.headers.elements import (
    Elements,
    MalformedValueError,
    dataset_elements,
    meta_elements,
    tag_name,
)
from hc_assets.imaging.headers.functional_groups import (
    PER_FRAME_GROUPS,
    SHARED_GROUPS,
    FrameAttributes,
)
from hc_assets.imaging.headers.mosaics import UnknownMosaicError, tiling_of
from hc_assets.imaging.headers.parsed_headers import PARSED
from hc_assets.imaging.headers.reading import (
    Header,
    UnreadableFile,
    opened,
    quiet_pydicom,
)
from hc_assets.imaging.pixels.decoding import (
    FRAME_LIMIT,
    StoredFrame,
    UndecodableFrame,
    fenced_frame,
    stored_frames,
)
from hc_assets.imaging.pixels.frame_context import FrameContext, read_context
from hc_assets.imaging.pixels.lookup_tables import LookupTable, apply_palette, read_lookup_table
from hc_assets.imaging.pixels.pixel_description import (
    PixelDescription,
    UndescribedPixelsError,
    describe_pixels,
)
from hc_assets.imaging.pixels.tiles import frames_with, tiles_of

# Rows, Columns and BitsAllocated: what has all three is an image (spectroscopy has no bits)
_IMAGE_TAGS = (0x00280010, 0x00280011, 0x00280100)
_PIXEL_PROVIDER = 0x00287FE0
_PADDING = 0x00280120
_PADDING_LIMIT = 0x00280121
_MODALITY_LUTS = 0x00283000
_SLOPE = 0x00281053
_INTERCEPT = 0x00281052
_DOSE_SCALING = 0x3004000E
# Sequences from which the way from stored values to modality units may come
_TRANSFORMATIONS = (_MODALITY_LUTS, SHARED_GROUPS, PER_FRAME_GROUPS)
_SOP_CLASS = 0x00080016
_META_SOP_CLASS = 0x00020002


@dataclass(frozen=True)
class Frame:
    """One frame, ready to be measured.

    Attributes:
        index: number of the frame in its file, from 0; of a mosaic's slice, of its tile.
        pixels: rows by columns in modality units (Hounsfield units for CT): native integers where
            no rescale applies, else float32 (float64 where the stored values have more than 24
            bits). Rows by columns by 3 in RGB, native integers, where `is_color`. MONOCHROME1 is
            not inverted here: that is for display.
        is_color: whether there are three samples.
        padding: rows by columns, True where the scanner padded; None where nothing is padded.
        limits: lowest and highest value that the bits can hold, in modality units.
        decoder: name of the decoder that gave the pixels.
        context: what else the header says about this frame.
        notes: what is odd about the pixels, such as values outside of the range that is stated.
    """

    index: int
    pixels: NDArray[Any]
    is_color: bool
    padding: NDArray[np.bool_] | None
    limits: tuple[float, float]
    decoder: str
    context: FrameContext
    notes: tuple[str, ...] = ()


def iter_frames(
    path: Path,
    *,
    wanted: frozenset[int] | None = None,
    frame_limit: int = FRAME_LIMIT,
) -> Iterator[Frame | UndecodableFrame]:
    """Read the frames of a file in order.

    Args:
        path: the file.
        wanted: numbers of the frames to read; None for all.
        frame_limit: bytes that a decoded frame may take up; a larger one is refused unread.

    Yields:
        Each wanted frame once: decoded, or with the reason why not. One that can't be decoded for
        an image that has no pixel data, and for a mosaic whose tiles are not known; nothing for
        what is no image, such as a report. The slices of a mosaic are frames (`tiles.py`).

    Raises:
        UnreadableFile: the file has no DICOM header.
    """
    with opened(path) as file:
        header, stream = PARSED.parse(path, file)
        place = header.pixels
        if place is None:
            reason = _why_without_pixels(header)
            if reason and (wanted is None or 0 in wanted):
                yield UndecodableFrame(0, reason)
            return
        is_float = place.keyword != "PixelData"
        try:
            with quiet_pydicom():
                elements = dataset_elements(header)
                description = describe_pixels(elements, is_float=is_float)
        except UndescribedPixelsError as error:
            yield UndecodableFrame(0, error.reason)
            return
        try:
            with quiet_pydicom():
                frames = _FrameReader(header, elements, description)
                tiling = tiling_of(elements)
        except UnknownMosaicError as error:
            if wanted is None or 0 in wanted:
                yield UndecodableFrame(0, error.reason)
            return
        in_file = wanted if tiling is None else frames_with(tiling, wanted)
        for stored in stored_frames(
            stream, header, place, description, wanted=in_file, frame_limit=frame_limit
        ):
            frame: Frame | UndecodableFrame
            if isinstance(stored, UndecodableFrame):
                frame = stored
            else:
                with quiet_pydicom():
                    frame = fenced_frame(stored.index, frames.read, stored)
            if tiling is None:
                yield frame
            else:
                yield from tiles_of(frame, tiling, wanted)


def frames_of(
    path: Path, *, wanted: frozenset[int] | None = None
) -> Iterator[Frame | UndecodableFrame]:
    """As `iter_frames`, but each frame is given whatever is raised.

    A file that can't be read is one frame that can't be decoded. Where reading is stopped by an
    internal error (`core/fence.py`), that is the reason of the frames that were still to come.
    """
    given: set[int] = set()
    for frame in fenced_each(_readable_frames(path, wanted)):
        if isinstance(frame, InternalError):
            for index in _still_to_come(path, wanted, given):
                yield UndecodableFrame(index, frame.text)
        else:
            given.add(frame.index)
            yield frame


def _readable_frames(
    path: Path, wanted: frozenset[int] | None
) -> Iterator[Frame | UndecodableFrame]:
    try:
        yield from iter_frames(path, wanted=wanted)
    except UnreadableFile as error:
        yield UndecodableFrame(0, error.reason)


def _still_to_come(path: Path, wanted: frozenset[int] | None, given: set[int]) -> list[int]:
    """Numbers of the frames that were not given; of one where nobody knows how many there are."""
    if wanted is None:
        count = fenced(_count_frames, path)
        wanted = frozenset(range(1 if isinstance(count, InternalError) else count))
    return sorted(wanted - given)


def _count_frames(path: Path) -> int:
    try:
        with opened(path) as file, quiet_pydicom():
            header, _ = PARSED.parse(path, file)
            if header.pixels is None:
                return 1
            is_float = header.pixels.keyword != "PixelData"
            elements = dataset_elements(header)
            tiling = tiling_of(elements)
            frames = describe_pixels(elements, is_float=is_float).frames
            return frames if tiling is None else frames * tiling.count
    except (UnreadableFile, UndescribedPixelsError, UnknownMosaicError):
        return 1


def _why_without_pixels(header: Header) -> str | None:
    if not all(tag in header.elements for tag in _IMAGE_TAGS) and not _is_image(header):
        return None
    if _PIXEL_PROVIDER in header.elements:
        return "the pixel data are not in the file but on a server (PixelDataProviderURL)"
    if any("truncated" in note or "damaged" in note for note in header.warnings):
        return "the file ends, or is damaged, before its pixel data"
    return "the header describes an image, but no pixel data follow"


def _is_image(header: Header) -> bool:
    """Whether the SOP class is one whose instances have pixels, whatever the header lacks."""
    for elements, tag in (
        (dataset_elements(header), _SOP_CLASS),
        (meta_elements(header), _META_SOP_CLASS),
    ):
        uid = TypedColumns(elements).text(tag)
        if uid:
            return is_image_class(sop_class_name(uid))
    return False


class _FrameReader:
    def __init__(self, header: Header, elements: Elements, description: PixelDescription) -> None:
        self._header = header
        self._elements = elements
        self._description = description
        self._attributes = FrameAttributes(elements)
        self._damaged = next(filter(partial(_is_malformed, elements), _TRANSFORMATIONS), 0)
        self._modality_lut = _modality_lut(elements, is_signed=description.is_signed)
        if self._modality_lut is None and elements.raw.get(_MODALITY_LUTS) and not self._damaged:
            self._damaged = _MODALITY_LUTS if elements.items(_MODALITY_LUTS) else 0
        self._padding = _padding_range(elements, description)
        self._context_of_all: FrameContext | None = None

    def read(self, stored: StoredFrame) -> Frame | UndecodableFrame:
        values = stored.values
        context = self._context(stored.index)
        if stored.photometric in ("PALETTE COLOR", "PALETTE_COLOR"):
            try:
                values = apply_palette(values, self._header)
            except ValueError as error:
                return UndecodableFrame(stored.index, str(error))
        if values.ndim == 3:
            top = float(np.iinfo(values.dtype).max) if values.dtype.kind in "ui" else 1.0
            if self._description.is_color:
                top = float(2**self._description.bits_stored - 1)
            return Frame(
                *(stored.index, values, True, None, (0.0, top), stored.decoder, context),
                notes=stored.notes,
            )
        padding = self._padding_mask(values)
        limits = np.array(_stored_limits(self._description, values))
        rescale, notes = self._rescale(stored.index), stored.notes
        table = self._modality_lut
        if isinstance(rescale, str):
            notes = (*notes, f"{rescale}: the pixels are stored values, their units unknown")
            context = replace(context, units="", has_unknown_units=True)
            rescale, table = (1.0, 0.0), None
        pixels = _to_modality_units(values, table, *rescale)
        low, high = sorted(float(limit) for limit in _to_modality_units(limits, table, *rescale))
        return Frame(
            *(stored.index, pixels, False, padding, (low, high), stored.decoder, context, notes)
        )

    def _context(self, index: int) -> FrameContext:
        if self._context_of_all is not None:
            return self._context_of_all
        made = read_context(self._attributes, meta_elements(self._header), index, self._description)
        if not self._attributes.vary_by_frame:
            self._context_of_all = made
        return made

    def _padding_mask(self, values: NDArray[Any]) -> NDArray[np.bool_] | None:
        if self._padding is None or values.dtype.kind not in "ui":
            return None
        low, high = self._padding
        mask: NDArray[np.bool_] = (
            values == low if low == high else (values >= low) & (values <= high)
        )
        return mask if mask.any() else None

    def _rescale(self, frame: int) -> tuple[float, float] | str:
        """Slope and intercept of a frame; why they are not known where they can't be read."""
        if self._damaged:
            return f"{tag_name(self._damaged)} can't be read"
        if self._modality_lut is not None:
            return 1.0, 0.0
        sent = {tag: self._attributes.holder(tag, frame) for tag in (_SLOPE, _INTERCEPT)}
        if _SLOPE not in sent[_SLOPE] and _DOSE_SCALING in self._elements:
            sent = {_DOSE_SCALING: self._elements}
        found = {tag: _numbers(holder, tag) for tag, holder in sent.items() if tag in holder}
        for tag, numbers in found.items():
            # Both empty are as good as absent; 0 would make every image constant
            is_empty = numbers == [] and not any(found.values())
            if not is_empty and (numbers is None or len(numbers) != 1):
                return f"{tag_name(tag)} can't be read"
            if tag != _INTERCEPT and numbers == [0.0]:
                return f"{tag_name(tag)} is 0"
        slope, intercept = ([1.0], [0.0])
        for tag, numbers in found.items():
            if numbers and tag == _INTERCEPT:
                intercept = numbers
            elif numbers:
                slope = numbers
        return slope[0], intercept[0]


def _to_modality_units(
    values: NDArray[Any], table: LookupTable | None, slope: float, intercept: float
) -> NDArray[Any]:
    if table is not None:
        return table.apply(values)
    if (slope, intercept) == (1.0, 0.0):
        return values
    is_long = values.dtype.itemsize > 2 and values.dtype != np.float32
    # What overflows becomes infinite, and what is not finite counts nowhere
    with np.errstate(over="ignore", invalid="ignore"):
        scaled = values.astype(np.float64) * slope + intercept
        return scaled if is_long else scaled.astype(np.float32)


def _stored_limits(description: PixelDescription, values: NDArray[Any]) -> tuple[float, float]:
    if values.dtype.kind == "f":
        finite = values[np.isfinite(values)]
        return (float(finite.min()), float(finite.max())) if finite.size else (0.0, 0.0)
    bits = description.bits_stored
    if description.is_signed:
        return float(-(2 ** (bits - 1))), float(2 ** (bits - 1) - 1)
    return 0.0, float(2**bits - 1)


def _modality_lut(elements: Elements, *, is_signed: bool) -> LookupTable | None:
    try:
        items = elements.items(_MODALITY_LUTS)
    except MalformedValueError:
        return None  # dicom_json notes it
    return read_lookup_table(items[0], is_input_signed=is_signed) if items else None


def _padding_range(elements: Elements, description: PixelDescription) -> tuple[int, int] | None:
    ends = [_number(elements, tag) for tag in (_PADDING, _PADDING_LIMIT)]
    if ends[0] is None:
        return None
    first, second = ends[0], ends[0] if ends[1] is None else ends[1]
    bounds = sorted(_as_stored(int(end), description) for end in (first, second))
    return bounds[0], bounds[1]


def _as_stored(value: int, description: PixelDescription) -> int:
    """Read a value that was sent as US or SS as the pixels are: 63536 is -2000 where signed."""
    bits = description.bits_stored
    low, high = _stored_range(bits, is_signed=description.is_signed)
    if low <= value <= high:
        return value
    wrapped = value % 2**16
    if description.is_signed and wrapped >= 2**15:
        return wrapped - 2**16
    return wrapped


def _stored_range(bits: int, *, is_signed: bool) -> tuple[int, int]:
    return (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) if is_signed else (0, 2**bits - 1)


def _is_malformed(elements: Elements, tag: int) -> bool:
    try:
        elements.items(tag)
    except MalformedValueError:
        return True
    return False


def _numbers(elements: Elements, tag: int) -> list[float] | None:
    """Numbers of an element; None where they are something else."""
    try:
        values = [value for value in elements.values(tag) if value != ""]
    except MalformedValueError:
        return None
    numbers = [float(value) for value in values if isinstance(value, int | float)]
    return numbers if len(numbers) == len(values) else None


def _number(elements: Elements, tag: int) -> float | None:
    try:
        value = elements.first(tag)
    except MalformedValueError:
        return None  # imaging/headers/read.py notes it
    return float(value) if isinstance(value, int | float) else None
