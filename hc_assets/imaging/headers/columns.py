"""Which element makes which typed column of the index, and when a value is too odd for one.

Belongs here: the list of columns and the rules of each. Decoding values is in `elements.py`, the
row as a whole in `read.py`.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date
from enum import Enum
from functools import lru_cache
from typing import NamedTuple

from pydicom.config import IGNORE
from pydicom.uid import UID

from hc_assets.imaging.headers.elements import Elements, MalformedValueError, Value, tag_name
from hc_assets.imaging.headers.functional_groups import FrameAttributes

_INT32 = 2**31
_INT64 = 2**63

# Names of SOP classes with pixels that have no image in their name
_OTHER_IMAGES = frozenset(
    (
        "Segmentation Storage",
        "Label Map Segmentation Storage",
        "Parametric Map Storage",
        "Enhanced US Volume Storage",
        "Corneal Topography Map Storage",
        "Ophthalmic Thickness Map Storage",
    )
)

NUMBER_OF_FRAMES = 0x00280008

ColumnValue = str | int | float | date | list[str] | list[float] | None


class Kind(Enum):
    """What a column holds."""

    TEXT = 1
    TEXTS = 2
    WHOLE = 3
    NUMBER = 4
    NUMBERS = 5
    DATE = 6
    FRAMES = 7


class Column(NamedTuple):
    """A typed column.

    Attributes:
        name: in `schemas.DICOM_INDEX`.
        kind: what it holds.
        tag: of the element.
        limit: of a whole number, what its magnitude stays below; of numbers, how many there must be
            (0: any).
    """

    name: str
    kind: Kind
    tag: int
    limit: int = 0


# In the order in which their warnings are listed
COLUMNS = (
    Column("sop_instance_uid", Kind.TEXT, 0x00080018),
    Column("sop_class_uid", Kind.TEXT, 0x00080016),
    Column("series_instance_uid", Kind.TEXT, 0x0020000E),
    Column("study_instance_uid", Kind.TEXT, 0x0020000D),
    Column("frame_of_reference_uid", Kind.TEXT, 0x00200052),
    Column("patient_id", Kind.TEXT, 0x00100020),
    Column("issuer_of_patient_id", Kind.TEXT, 0x00100021),
    Column("accession_number", Kind.TEXT, 0x00080050),
    Column("study_description", Kind.TEXT, 0x00081030),
    Column("series_description", Kind.TEXT, 0x0008103E),
    Column("modality", Kind.TEXT, 0x00080060),
    Column("body_part", Kind.TEXT, 0x00180015),
    Column("manufacturer", Kind.TEXT, 0x00080070),
    Column("model_name", Kind.TEXT, 0x00081090),
    Column("photometric_interpretation", Kind.TEXT, 0x00280004),
    Column("burned_in_annotation", Kind.TEXT, 0x00280301),
    Column("image_type", Kind.TEXTS, 0x00080008),
    Column("character_set", Kind.TEXTS, 0x00080005),
    Column("series_number", Kind.WHOLE, 0x00200011, _INT64),
    Column("instance_number", Kind.WHOLE, 0x00200013, _INT64),
    Column("samples_per_pixel", Kind.WHOLE, 0x00280002, _INT32),
    Column("rows", Kind.WHOLE, 0x00280010, _INT32),
    Column("columns", Kind.WHOLE, 0x00280011, _INT32),
    Column("bits_allocated", Kind.WHOLE, 0x00280100, _INT32),
    Column("bits_stored", Kind.WHOLE, 0x00280101, _INT32),
    Column("pixel_representation", Kind.WHOLE, 0x00280103, _INT32),
    Column("slice_thickness", Kind.NUMBER, 0x00180050),
    Column("spacing_between_slices", Kind.NUMBER, 0x00180088),
    Column("gantry_tilt", Kind.NUMBER, 0x00181120),
    Column("rescale_slope", Kind.NUMBER, 0x00281053),
    Column("rescale_intercept", Kind.NUMBER, 0x00281052),
    Column("pixel_spacing", Kind.NUMBERS, 0x00280030, 2),
    Column("imager_pixel_spacing", Kind.NUMBERS, 0x00181164, 2),
    Column("image_orientation", Kind.NUMBERS, 0x00200037, 6),
    Column("image_position", Kind.NUMBERS, 0x00200032, 3),
    Column("window_center", Kind.NUMBERS, 0x00281050),
    Column("window_width", Kind.NUMBERS, 0x00281051),
    Column("study_date", Kind.DATE, 0x00080020),
    Column("frames", Kind.FRAMES, NUMBER_OF_FRAMES, _INT32),
)


@lru_cache(maxsize=1024)
def sop_class_name(uid: object) -> str | None:
    """Name of a SOP class (PS3.6 Annex A): what a file is; None where it is not in the standard."""
    if not uid or not isinstance(uid, str):
        return None
    name = UID(uid, validation_mode=IGNORE).name
    return None if name == uid else name


def is_image_class(name: str | None) -> bool:
    """Whether a SOP class, by its name, is one whose instances have pixels."""
    return name is not None and ("Image Storage" in name or name in _OTHER_IMAGES)


@dataclass
class TypedColumns:
    """Typed columns of a dataset.

    Attributes:
        elements: of the dataset.
        notes: what is malformed, in the order found.
    """

    elements: Elements
    notes: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._frame_attributes = FrameAttributes(self.elements)

    def value(self, column: Column) -> ColumnValue:
        """Value of a column; None where it is absent, or malformed, which is noted."""
        match column.kind:
            case Kind.TEXT:
                return self.text(column.tag)
            case Kind.TEXTS:
                return [str(value) for value in self._values(column.tag)] or None
            case Kind.WHOLE:
                return self._whole(column.tag, column.limit)
            case Kind.NUMBER:
                value = self._only(column.tag)
                return float(value) if isinstance(value, int | float) else None
            case Kind.NUMBERS:
                return self._numbers(column.tag, column.limit)
            case Kind.DATE:
                return self._date(column.tag)
            case Kind.FRAMES:
                return self._frames(column)

    def text(self, tag: int) -> str | None:
        """A single text."""
        value = self._only(tag)
        return value if isinstance(value, str) else None

    def _values(self, tag: int) -> Sequence[Value]:
        try:
            values = self._frame_attributes.holder(tag, 0).values(tag)
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

    def _whole(self, tag: int, below: int) -> int | None:
        value = self._only(tag)
        if value is None:
            return None
        if not isinstance(value, int) or not -below <= value < below:
            self.notes.append(f"{tag_name(tag)} is no whole number that fits")
            return None
        return value

    def _numbers(self, tag: int, count: int) -> list[float] | None:
        values = [float(value) for value in self._values(tag) if isinstance(value, int | float)]
        if values and count and len(values) != count:
            self.notes.append(f"{tag_name(tag)} has {len(values)} values, {count} are needed")
            return None
        return values or None

    def _date(self, tag: int) -> date | None:
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

    def _frames(self, column: Column) -> int | None:
        if column.tag not in self.elements:
            return 1
        count = self._whole(column.tag, column.limit)
        if count is None or count < 1:
            self.notes.append("(0028,0008) NumberOfFrames is no count: 1 is assumed")
            return 1
        return count
