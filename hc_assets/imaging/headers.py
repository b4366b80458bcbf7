"""From a file to its row of the index: typed columns, the whole header as JSON, warnings.

Belongs here: which element makes which column. Reading the file is in `reading.py`, decoding values
in `elements.py`, the JSON in `dicom_json.py`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path

from pydicom.uid import DeflatedExplicitVRLittleEndian

from hc_assets.imaging.dicom_json import dicom_json
from hc_assets.imaging.elements import (
    Elements,
    MalformedValueError,
    Value,
    dataset_elements,
    meta_elements,
    tag_name,
)
from hc_assets.imaging.functional_groups import FrameAttributes
from hc_assets.imaging.reading import (
    PARSE_ERRORS,
    Header,
    UnreadableFile,
    opened,
    parse,
    quiet_pydicom,
)

_INT32 = 2**31
_INT64 = 2**63

_TEXTS = {
    "sop_instance_uid": 0x00080018,
    "sop_class_uid": 0x00080016,
    "series_instance_uid": 0x0020000E,
    "study_instance_uid": 0x0020000D,
    "frame_of_reference_uid": 0x00200052,
    "patient_id": 0x00100020,
    "issuer_of_patient_id": 0x00100021,
    "accession_number": 0x00080050,
    "study_description": 0x00081030,
    "series_description": 0x0008103E,
    "modality": 0x00080060,
    "body_part": 0x00180015,
    "manufacturer": 0x00080070,
    "model_name": 0x00081090,
    "photometric_interpretation": 0x00280004,
    "burned_in_annotation": 0x00280301,
}
_TEXT_LISTS = {"image_type": 0x00080008, "character_set": 0x00080005}
_WHOLE_NUMBERS = {
    "series_number": (0x00200011, _INT64),
    "instance_number": (0x00200013, _INT64),
    "samples_per_pixel": (0x00280002, _INT32),
    "rows": (0x00280010, _INT32),
    "columns": (0x00280011, _INT32),
    "bits_allocated": (0x00280100, _INT32),
    "bits_stored": (0x00280101, _INT32),
    "pixel_representation": (0x00280103, _INT32),
}
_NUMBERS = {
    "slice_thickness": 0x00180050,
    "spacing_between_slices": 0x00180088,
    "gantry_tilt": 0x00181120,
    "rescale_slope": 0x00281053,
    "rescale_intercept": 0x00281052,
}
# Column: tag, how many numbers there must be (None: any)
_NUMBER_LISTS: Mapping[str, tuple[int, int | None]] = {
    "pixel_spacing": (0x00280030, 2),
    "imager_pixel_spacing": (0x00181164, 2),
    "image_orientation": (0x00200037, 6),
    "image_position": (0x00200032, 3),
    "window_center": (0x00281050, None),
    "window_width": (0x00281051, None),
}
_STUDY_DATE = 0x00080020
_NUMBER_OF_FRAMES = 0x00280008
_META_SOP_CLASS = 0x00020002
_META_SOP_INSTANCE = 0x00020003


def read_header(path: Path) -> dict[str, object]:
    """Read what the index says of a file.

    Args:
        path: the file.

    Returns:
        Every column of `schemas.DICOM_INDEX` apart from batch, source_file, file_sha256 and
        file_size. A malformed value is None in its column, with a warning, and kept as text in
        `dicom_json`.

    Raises:
        UnreadableFile: no header can be had.
    """
    with opened(path) as file, quiet_pydicom():
        header, _ = parse(file)
        try:
            return index_columns(header)
        except PARSE_ERRORS as error:
            raise UnreadableFile(f"the header is damaged: {error}") from error


def index_columns(header: Header) -> dict[str, object]:
    """Make the index columns of a header that has been read.

    Args:
        header: what `reading.parse` gives.

    Returns:
        As `read_header`.
    """
    elements = dataset_elements(header)
    typed = _TypedColumns(elements, list(header.warnings))
    row: dict[str, object] = {name: typed.text(tag) for name, tag in _TEXTS.items()}
    _fill_from_meta(row, header)
    row |= {name: typed.texts(tag) for name, tag in _TEXT_LISTS.items()}
    row |= {name: typed.whole(tag, below) for name, (tag, below) in _WHOLE_NUMBERS.items()}
    row |= {name: typed.number(tag) for name, tag in _NUMBERS.items()}
    row |= {name: typed.numbers(tag, count) for name, (tag, count) in _NUMBER_LISTS.items()}
    row["study_date"] = typed.date(_STUDY_DATE)
    row["has_pixels"] = header.pixels is not None
    row["frames"] = typed.frames() if header.pixels is not None else None
    row["transfer_syntax_uid"] = str(header.transfer_syntax) if header.has_transfer_syntax else None
    row["private_creators"] = _private_creators(elements)
    is_inflated = header.transfer_syntax == DeflatedExplicitVRLittleEndian
    row["dicom_json"], notes = dicom_json(elements, is_inflated=is_inflated)
    # The JSON and a typed column may stumble over the same value
    row["warnings"] = list(dict.fromkeys([*typed.notes, *notes]))
    return row


def _fill_from_meta(row: dict[str, object], header: Header) -> None:
    meta = _TypedColumns(meta_elements(header), [])
    row["sop_class_uid"] = row["sop_class_uid"] or meta.text(_META_SOP_CLASS)
    row["sop_instance_uid"] = row["sop_instance_uid"] or meta.text(_META_SOP_INSTANCE)


def _private_creators(elements: Elements) -> list[str] | None:
    owners: set[str] = set()
    for tag in elements.raw:
        if tag >> 16 & 1 and 0x10 <= tag & 0xFFFF <= 0xFF:
            owners.update(str(value) for value in elements.values(tag) if value)
    return sorted(owners) or None


@dataclass
class _TypedColumns:
    elements: Elements
    notes: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.frame_attributes = FrameAttributes(self.elements)

    def _values(self, tag: int) -> list[Value]:
        try:
            values = self.frame_attributes.holder(tag, 0).values(tag)
        except MalformedValueError as error:
            self.notes.append(str(error))
            return []
        return [value for value in values if value != ""]

    def _only(self, tag: int) -> Value | None:
        values = self._values(tag)
        if len(values) > 1:
            self.notes.append(f"{tag_name(tag)} has {len(values)} values, one is allowed")
            return None
        return values[0] if values else None

    def text(self, tag: int) -> str | None:
        value = self._only(tag)
        return value if isinstance(value, str) else None

    def texts(self, tag: int) -> list[str] | None:
        return [str(value) for value in self._values(tag)] or None

    def whole(self, tag: int, below: int) -> int | None:
        value = self._only(tag)
        if value is None:
            return None
        if not isinstance(value, int) or not -below <= value < below:
            self.notes.append(f"{tag_name(tag)} is no whole number that fits")
            return None
        return value

    def number(self, tag: int) -> float | None:
        value = self._only(tag)
        return float(value) if isinstance(value, int | float) else None

    def numbers(self, tag: int, count: int | None) -> list[float] | None:
        values = [float(value) for value in self._values(tag) if isinstance(value, int | float)]
        if values and count is not None and len(values) != count:
            self.notes.append(f"{tag_name(tag)} has {len(values)} values, {count} are needed")
            return None
        return values or None

    def date(self, tag: int) -> date | None:
        text = self.text(tag)
        if text is None:
            return None
        digits = text.replace(".", "")  # the ACR-NEMA form 1997.04.24 is still allowed
        try:
            if len(digits) != 8 or not digits.isdecimal():
                raise ValueError
            return date(int(digits[:4]), int(digits[4:6]), int(digits[6:]))
        except ValueError:
            self.notes.append(f"{tag_name(tag)} is not a date: {text[:64]!r}")
            return None

    def frames(self) -> int | None:
        if _NUMBER_OF_FRAMES not in self.elements:
            return 1
        count = self.whole(_NUMBER_OF_FRAMES, _INT32)
        if count is None or count < 1:
            self.notes.append("(0028,0008) NumberOfFrames is no count: 1 is assumed")
            return 1
        return count
