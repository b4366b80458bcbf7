"""What a header says about its pixels: size, samples, bits, frames (PS3.3 C.7.6.3).

Belongs here: the description and whether it can be right. Decoding by it is in `decoding.py`.
"""

from dataclasses import dataclass

from hc_assets.imaging.headers.elements import Elements, MalformedValueError, Value, tag_name

FRAMES_LIMIT = 2**20
"""Frames in one file that are read; a header that names more is taken for damaged."""

_COLOR = frozenset(
    ["RGB", "YBR_FULL", "YBR_FULL_422", "YBR_ICT", "YBR_RCT", "YBR_PARTIAL_420", "XYB"]
)
_PHOTOMETRIC = {
    term.replace("_", "").replace(" ", ""): term
    for term in (*_COLOR, "MONOCHROME1", "MONOCHROME2", "PALETTE COLOR")
}


class UndescribedPixelsError(Exception):
    """The header does not say enough of the pixels, or what can't be.

    Attributes:
        reason: what is missing or wrong, for a person.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


@dataclass(frozen=True)
class PixelDescription:
    """The Image Pixel module, checked.

    Attributes:
        rows: of a frame, from 1.
        columns: of a frame, from 1.
        samples: values of a pixel, 1 or 3.
        photometric: PhotometricInterpretation.
        planar: PlanarConfiguration, 0 or 1.
        bits_allocated: 1 or a multiple of 8.
        bits_stored: 1 to bits_allocated.
        high_bit: highest bit of a cell that is stored; bits_stored - 1 as PS3.5 8.1.1 has it since
            2014, higher in older files whose lower bits hold something else.
        is_signed: whether PixelRepresentation is 1.
        frames: number of frames, from 1.
        has_photometric: whether PhotometricInterpretation is sent.
        assumed: notes on what is missing, and what is taken in its place.
    """

    rows: int
    columns: int
    samples: int
    photometric: str
    planar: int
    bits_allocated: int
    bits_stored: int
    high_bit: int
    is_signed: bool
    frames: int
    has_photometric: bool = True
    assumed: tuple[str, ...] = ()

    @property
    def frame_bits(self) -> int:
        """Bits of one frame, uncompressed."""
        bits = self.rows * self.columns * self.samples * self.bits_allocated
        return bits // 3 * 2 if self.photometric == "YBR_FULL_422" else bits

    @property
    def decoded_bytes(self) -> int:
        """Bytes of one frame as an array."""
        return self.rows * self.columns * self.samples * max(1, self.bits_allocated // 8)

    @property
    def low_bits(self) -> int:
        """Bits of a cell below those that are stored."""
        return self.high_bit + 1 - self.bits_stored

    @property
    def is_color(self) -> bool:
        """Whether a pixel has three samples."""
        return self.samples == 3

    def options(self) -> dict[str, object]:
        """The description in the words of pydicom's decoders, for one frame."""
        return {
            "rows": self.rows,
            "columns": self.columns,
            "samples_per_pixel": self.samples,
            "photometric_interpretation": self.photometric,
            "planar_configuration": self.planar,
            "bits_allocated": self.bits_allocated,
            "bits_stored": self.bits_stored,
            "pixel_representation": int(self.is_signed),
            "number_of_frames": 1,
            # `stored_values.py` does that, and says where it mattered
            "correct_unused_bits": False,
        }


def describe_pixels(elements: Elements, *, is_float: bool) -> PixelDescription:
    """Read what a dataset says about its pixels.

    Args:
        elements: of the dataset.
        is_float: whether they are FloatPixelData or DoubleFloatPixelData, which have no
            BitsStored and no sign.

    Returns:
        The description. A missing BitsStored is taken as BitsAllocated, a missing or impossible
        HighBit as BitsStored - 1, a missing PhotometricInterpretation as MONOCHROME2 or RGB, a
        missing or impossible NumberOfFrames as 1, as viewers do, and it is noted.

    Raises:
        UndescribedPixelsError: Rows, Columns or BitsAllocated are missing, or a value can't be.
    """
    assumed: list[str] = []

    def whole(tag: int, high: int, default: int) -> int:
        low = 0 if default == 0 else 1
        return _whole(elements, tag, low, high, default=default, assumed=assumed)

    rows = _whole(elements, 0x00280010, 1, 2**16 - 1)
    columns = _whole(elements, 0x00280011, 1, 2**16 - 1)
    samples = whole(0x00280002, 4, 1)
    if samples not in (1, 3):
        raise UndescribedPixelsError(f"{samples} samples per pixel: only 1 and 3 are allowed")
    allocated = _whole(elements, 0x00280100, 1, 64)
    if allocated != 1 and allocated % 8:
        raise UndescribedPixelsError(f"{allocated} bits allocated: must be 1 or a multiple of 8")
    stored = allocated
    if not is_float:
        stored = whole(0x00280101, allocated, allocated)
    is_signed = not is_float and whole(0x00280103, 1, 0) == 1
    if is_signed and allocated == 1:
        is_signed = False
        assumed.append("PixelRepresentation is 1, but single bits have no sign")
    sent = _photometric(elements)
    photometric = sent or ("RGB" if samples == 3 else "MONOCHROME2")
    if not sent:
        assumed.append(_assumption(0x00280004, photometric))
    if (photometric in _COLOR) != (samples == 3):
        raise UndescribedPixelsError(
            f"{samples} samples per pixel do not go with PhotometricInterpretation {photometric}"
        )
    return PixelDescription(
        rows=rows,
        columns=columns,
        samples=samples,
        photometric=photometric,
        planar=whole(0x00280006, 1, 0) if samples == 3 else 0,
        bits_allocated=allocated,
        bits_stored=stored,
        high_bit=stored - 1 if is_float else _high_bit(elements, stored, allocated),
        is_signed=is_signed,
        frames=_frames(elements),
        has_photometric=bool(sent),
        assumed=tuple(assumed),
    )


def _photometric(elements: Elements) -> str:
    """PhotometricInterpretation as the standard writes it, however this writer does."""
    sent = "".join(str(_first(elements, 0x00280004) or "").upper().split()).replace("_", "")
    return _PHOTOMETRIC.get(sent, sent)


def _high_bit(elements: Elements, stored: int, allocated: int) -> int:
    try:
        value = elements.first(0x00280102)
    except MalformedValueError:
        value = None  # imaging/headers/read.py notes it
    return value if isinstance(value, int) and stored <= value < allocated else stored - 1


def _frames(elements: Elements) -> int:
    try:
        count = elements.first(0x00280008)
    except MalformedValueError:
        return 1  # imaging/headers/read.py notes it
    if not isinstance(count, int) or count < 1:
        return 1
    if count > FRAMES_LIMIT:
        raise UndescribedPixelsError(f"{count} frames: more than the {FRAMES_LIMIT} that are read")
    return count


def _first(elements: Elements, tag: int) -> Value | None:
    try:
        return elements.first(tag)
    except MalformedValueError as error:
        raise UndescribedPixelsError(str(error)) from error


def _whole(
    elements: Elements,
    tag: int,
    low: int,
    high: int,
    *,
    default: int | None = None,
    assumed: list[str] | None = None,
) -> int:
    value = _first(elements, tag)
    if value is None and default is not None:
        if assumed is not None:
            assumed.append(_assumption(tag, default))
        return default
    if value is None:
        raise UndescribedPixelsError(f"{tag_name(tag)} is missing")
    if not isinstance(value, int) or not low <= value <= high:
        raise UndescribedPixelsError(f"{tag_name(tag)} is {value!r}, not {low} to {high}")
    return value


def _assumption(tag: int, value: object) -> str:
    return f"{tag_name(tag)} is missing: {value} is assumed"
