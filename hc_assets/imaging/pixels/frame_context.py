"""What the header says about one frame besides its pixels: modality, spacing, windows, kind.

Belongs here: reading those. Windows are applied in `display.py`.
"""

from dataclasses import dataclass
from math import isfinite

from hc_assets.imaging.headers.elements import Elements, MalformedValueError, Value
from hc_assets.imaging.headers.functional_groups import FrameAttributes
from hc_assets.imaging.pixels.lookup_tables import LookupTable, read_lookup_table
from hc_assets.imaging.pixels.pixel_description import PixelDescription
from hc_assets.imaging.pixels.uptake import Uptake, read_uptake

_LABELS = frozenset(
    [
        "1.2.840.10008.5.1.4.1.1.66.4",  # Segmentation
        "1.2.840.10008.5.1.4.1.1.66.7",  # Label Map Segmentation
    ]
)
# Secondary Capture Image Storage, and its multi-frame kinds below
_SECONDARY_CAPTURE = "1.2.840.10008.5.1.4.1.1.7."
_SPACINGS = (
    ("PixelSpacing", 0x00280030),
    ("ImagerPixelSpacing", 0x00181164),
    ("NominalScannedPixelSpacing", 0x00182010),
)
_TILT = 0.01
_REGIONS = 0x00186011
_ASPECT_RATIO = 0x00280034
_CENTIMETRES = 3
# Region Data Type of PS3.3 C.8.5.5.1.2: tissue, and colour flow laid over it
_IMAGE_DATA = ([1.0], [2.0])
_MODALITY_LUTS = 0x00283000
_VOI_LUTS = 0x00283010


@dataclass(frozen=True)
class Window:
    """A window of PS3.3 C.11.2.1.2.

    Attributes:
        center: in modality units.
        width: in modality units.
        function: LINEAR, LINEAR_EXACT or SIGMOID.
    """

    center: float
    width: float
    function: str


@dataclass(frozen=True)
class FrameContext:
    """What the header says about a frame.

    Attributes:
        sop_instance_uid: of the file; None where the header has none.
        series_instance_uid: of the file; None where the header has none.
        modality: (0008,0060), upper case; "" where absent.
        scanner: Manufacturer and ManufacturerModelName; "" where both are absent.
        body_part: (0018,0015), upper case; "" where absent.
        units: of the pixels: HU for CT; RescaleType or Units where sent; "" where unknown.
        has_unknown_units: whether what makes modality units of stored values can't be read, so
            that the pixels are stored values.
        spacing: mm between rows and between columns; only their ratio means something where the
            source is PixelAspectRatio; None where unknown.
        spacing_source: the attribute that it is from, or "".
        windows: as sent, in order; those that can't be are left out.
        voi_tables: VOI LUTs, in order; those that can't be are left out.
        is_inverted: whether low values are shown white (MONOCHROME1).
        is_labels: whether pixels are labels, not intensities: a segmentation or single bits.
        laterality: L or R; "" where absent.
        bits_stored: of a sample.
        position: ImagePositionPatient, mm; None where unknown.
        orientation: ImageOrientationPatient: two unit vectors; None where unknown.
        patient_orientation: PatientOrientation: where rows and where columns lead, such as A and F.
        is_secondary: whether ImageType or the SOP class says that this is no original image.
        is_capture_class: whether the SOP class is Secondary Capture or one of its kinds.
        image_type: (0008,0008), upper case, each value.
        conversion_type: (0008,0064), upper case; "" where absent.
        burned_in_annotation: (0028,0301), upper case; "" where absent, which means unknown.
        uptake: what SUV are computed from; None but for PT and NM.
        is_recognizable: whether the header says that a person may be recognized
            (RecognizableVisualFeatures), or it is a photograph (modality XC).
        brightens_with_dose: of radiographs: whether more exposure gives higher stored values
            (PixelIntensityRelationshipSign); None where unknown.
        image_regions: of ultrasound: where the screen shows tissue, as first column, first row,
            last column and last row.
    """

    sop_instance_uid: str | None = None
    series_instance_uid: str | None = None
    modality: str = ""
    scanner: str = ""
    body_part: str = ""
    units: str = ""
    spacing: tuple[float, float] | None = None
    spacing_source: str = ""
    windows: tuple[Window, ...] = ()
    voi_tables: tuple[LookupTable, ...] = ()
    is_inverted: bool = False
    is_labels: bool = False
    laterality: str = ""
    bits_stored: int = 16
    position: tuple[float, ...] | None = None
    orientation: tuple[float, ...] | None = None
    patient_orientation: tuple[str, ...] = ()
    is_secondary: bool = False
    burned_in_annotation: str = ""
    uptake: Uptake | None = None
    is_recognizable: bool = False
    brightens_with_dose: bool | None = None
    image_regions: tuple[tuple[int, int, int, int], ...] = ()
    has_unknown_units: bool = False
    is_capture_class: bool = False
    image_type: tuple[str, ...] = ()
    conversion_type: str = ""


def read_context(
    attributes: FrameAttributes, meta: Elements, frame: int, description: PixelDescription
) -> FrameContext:
    """Read the context of a frame.

    Args:
        attributes: of the dataset.
        meta: file meta elements.
        frame: its number, from 0.
        description: of the pixels.

    Returns:
        The context; a malformed attribute counts as absent (`imaging/headers/read.py` notes it).
    """
    dataset = attributes.dataset
    modality = _text(dataset, 0x00080060).upper()
    spacing, source = _spacing(attributes, frame)
    sop_class = _text(dataset, 0x00080016) or _text(meta, 0x00020002)
    image_type = tuple(str(value).strip().upper() for value in _values(dataset, 0x00080008))
    is_capture_class = f"{sop_class}.".startswith(_SECONDARY_CAPTURE)
    return FrameContext(
        sop_instance_uid=_text(dataset, 0x00080018) or _text(meta, 0x00020003) or None,
        series_instance_uid=_text(dataset, 0x0020000E) or None,
        modality=modality,
        scanner=" ".join(filter(None, (_text(dataset, 0x00080070), _text(dataset, 0x00081090)))),
        body_part=_text(dataset, 0x00180015).upper(),
        units=_units(attributes, frame, modality),
        spacing=spacing,
        spacing_source=source,
        windows=_windows(attributes, frame),
        voi_tables=_voi_tables(attributes, frame),
        is_inverted=description.photometric == "MONOCHROME1",
        is_labels=sop_class in _LABELS or description.bits_allocated == 1,
        laterality=_text(dataset, 0x00200062) or _text(dataset, 0x00200060),
        bits_stored=description.bits_stored,
        position=_vector(attributes, 0x00200032, frame, 3),
        orientation=_orientation(attributes, frame),
        patient_orientation=tuple(str(each).upper() for each in _values(dataset, 0x00200020)),
        is_secondary=is_capture_class or "SECONDARY" in image_type,
        is_capture_class=is_capture_class,
        image_type=image_type,
        conversion_type=_text(dataset, 0x00080064).upper(),
        burned_in_annotation=_text(dataset, 0x00280301).upper(),
        uptake=read_uptake(dataset) if modality in ("PT", "NM") else None,
        is_recognizable=_text(dataset, 0x00280302).upper() == "YES" or modality == "XC",
        brightens_with_dose=_brightens(dataset),
        image_regions=_image_regions(dataset) if modality == "US" else (),
    )


def _brightens(dataset: Elements) -> bool | None:
    numbers = _numbers(dataset, 0x00281041)
    return numbers[0] > 0 if numbers in ([1.0], [-1.0]) else None


def _image_regions(dataset: Elements) -> tuple[tuple[int, int, int, int], ...]:
    boxes = []
    for region in _items(dataset, _REGIONS):
        corners = [
            _numbers(region, tag) for tag in (0x00186018, 0x0018601A, 0x0018601C, 0x0018601E)
        ]
        box = [int(each[0]) for each in corners if len(each) == 1 and 0 <= each[0] < 2**31]
        if len(box) == 4 and _numbers(region, 0x00186014) in _IMAGE_DATA:
            boxes.append((box[0], box[1], box[2], box[3]))
    return tuple(boxes)


def _vector(
    attributes: FrameAttributes, tag: int, frame: int, count: int
) -> tuple[float, ...] | None:
    numbers = _numbers(attributes.holder(tag, frame), tag)
    return tuple(numbers) if len(numbers) == count and all(map(isfinite, numbers)) else None


def _orientation(attributes: FrameAttributes, frame: int) -> tuple[float, ...] | None:
    """Two unit vectors at a right angle, as C.7.6.2.1.1 asks for; None where they are not."""
    found = _vector(attributes, 0x00200037, frame, 6)
    if found is None:
        return None
    row, column = found[:3], found[3:]
    lengths = (_dot(row, row), _dot(column, column))
    is_right = all(abs(each - 1) < _TILT for each in lengths) and abs(_dot(row, column)) < _TILT
    return found if is_right else None


def _dot(one: tuple[float, ...], other: tuple[float, ...]) -> float:
    return sum(a * b for a, b in zip(one, other, strict=True))


def _units(attributes: FrameAttributes, frame: int, modality: str) -> str:
    dataset = attributes.dataset
    sent = _text(attributes.holder(0x00281054, frame), 0x00281054)
    if modality == "CT" and sent in ("", "HU", "US"):
        return "HU"
    return sent or _text(dataset, 0x00541001) or _text(dataset, 0x30040002)


def _spacing(attributes: FrameAttributes, frame: int) -> tuple[tuple[float, float] | None, str]:
    for name, tag in _SPACINGS:
        pair = _pair(_numbers(attributes.holder(tag, frame), tag))
        if pair is not None:
            return pair, name
    for region in _items(attributes.dataset, _REGIONS):
        units = _numbers(region, 0x00186024) + _numbers(region, 0x00186026)
        deltas = _numbers(region, 0x0018602E) + _numbers(region, 0x0018602C)
        pair = _pair([abs(delta) * 10 for delta in deltas])  # cm to mm
        if units == [_CENTIMETRES, _CENTIMETRES] and pair is not None:
            return pair, "SequenceOfUltrasoundRegions"
    ratio = _pair(_numbers(attributes.dataset, _ASPECT_RATIO))
    return (ratio, "PixelAspectRatio") if ratio is not None else (None, "")


def _pair(numbers: list[float]) -> tuple[float, float] | None:
    if len(numbers) == 2 and all(1e-6 < number < 1e6 for number in numbers):
        return numbers[0], numbers[1]
    return None


def _windows(attributes: FrameAttributes, frame: int) -> tuple[Window, ...]:
    holder = attributes.holder(0x00281050, frame)
    function = (_text(holder, 0x00281056) or "LINEAR").upper()
    centers, widths = _numbers(holder, 0x00281050), _numbers(holder, 0x00281051)
    # LINEAR needs a width of at least 1, the others one above 0 (C.11.2.1.2.1)
    least = 1.0 if function == "LINEAR" else 1e-12
    return tuple(
        Window(center, width, function)
        for center, width in zip(centers, widths, strict=False)
        if width >= least
    )


def _voi_tables(attributes: FrameAttributes, frame: int) -> tuple[LookupTable, ...]:
    is_signed = _has_negative_input(attributes, frame)
    items = _items(attributes.holder(_VOI_LUTS, frame), _VOI_LUTS)
    tables = (read_lookup_table(item, is_input_signed=is_signed) for item in items)
    return tuple(table for table in tables if table is not None)


def _has_negative_input(attributes: FrameAttributes, frame: int) -> bool:
    """Whether what enters the VOI LUT can be negative (C.11.2.1.1: then the first input is SS).

    What leaves a Modality LUT can't be (C.11.1.1.1).
    """
    if _items(attributes.dataset, _MODALITY_LUTS):
        return False
    intercepts = _numbers(attributes.holder(0x00281052, frame), 0x00281052)
    return attributes.dataset.is_signed or any(intercept < 0 for intercept in intercepts)


def _values(elements: Elements, tag: int) -> list[Value]:
    try:
        return list(elements.values(tag))
    except MalformedValueError:
        return []


def _numbers(elements: Elements, tag: int) -> list[float]:
    return [float(value) for value in _values(elements, tag) if isinstance(value, int | float)]


def _text(elements: Elements, tag: int) -> str:
    return next((str(value) for value in _values(elements, tag) if value), "")


def _items(elements: Elements, tag: int) -> list[Elements]:
    try:
        return list(elements.items(tag))
    except MalformedValueError:
        return []
