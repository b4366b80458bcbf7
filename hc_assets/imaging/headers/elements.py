"""What the bytes of a data element mean: text, numbers, dates, items of a sequence.

Belongs here: decoding one value by its VR (PS3.5 section 6.2), malformed ones distinguished. Which
elements make an index row is in `read.py`; how a file is parsed is in `reading.py`.
"""

import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

from pydicom.charset import convert_encodings, decode_bytes, python_encoding
from pydicom.datadict import (
    dictionary_has_tag,
    dictionary_keyword,
    dictionary_VR,
    private_dictionary_VR,
)

from hc_assets.imaging.headers.element_walk import (
    VRS,
    CutOffError,
    DamagedError,
    TooDeepError,
    is_little_sequence,
    read_items,
    reads_on,
)
from hc_assets.imaging.headers.reading import Element, Header

Value = str | int | float | bytes

TEXT_VRS = frozenset(
    (
        *("AE", "AS", "CS", "DA", "DS", "DT", "IS", "LO", "LT"),
        *("PN", "SH", "ST", "TM", "UC", "UI", "UR", "UT"),
    )
)
BYTES_VRS = frozenset(["OB", "OD", "OF", "OL", "OV", "OW", "UN"])
AMBIGUOUS_BYTES = dict.fromkeys(("OB or OW", "US or OW", "US or SS or OW", "OB/OW", "OB_OW"), "OW")

_VR_NAMES = frozenset(vr.decode() for vr in VRS) | {*AMBIGUOUS_BYTES, "US or SS"}
_SINGLE_TEXT = frozenset(["LT", "ST", "UT", "UR"])
_OWN_CHARACTERS = frozenset(["LO", "LT", "PN", "SH", "ST", "UC", "UT"])
_FORMATS = {
    "US": "H",
    "SS": "h",
    "UL": "L",
    "SL": "l",
    "UV": "Q",
    "SV": "q",
    "FL": "f",
    "FD": "d",
    "AT": "HH",
}
# After each of these a text goes back to its first character set (PS3.5 6.1.2.5.3)
_RESETS = {0x09, 0x0A, 0x0C, 0x0D, ord("^"), ord("="), ord("\\")}
# The escape sequence of ISO 2022 IR 58 (PS3.3 C.12.1.1.2), which pydicom leaves in the text
_TO_GB2312 = "\x1b$)A"
# Character sets newer than pydicom's table, by their codecs
_NEWER_CHARACTER_SETS = {"ISO_IR 203": "iso8859_15"}
_DEFAULT = "iso8859"
_ESCAPE = 0x1B
_LOST = "\N{REPLACEMENT CHARACTER}"
# Escapes that were not understood, and the bytes 80 to 9F, which no character set of DICOM has
_CONTROLS = frozenset(map(chr, (_ESCAPE, *range(0x80, 0xA0))))
_CHARACTER_SET = 0x00080005
_PIXEL_REPRESENTATION = 0x00280103


class MalformedValueError(ValueError):
    """The bytes of an element are not what its VR says.

    Attributes:
        text: the value as text, so that nothing is lost; "" where it is no text.
        data: the value as bytes; empty where it is text.
    """

    def __init__(self, tag: int, what: str, text: str = "", data: bytes = b"") -> None:
        found = f": {text[:64]!r}" if text else ""
        super().__init__(f"{tag_name(tag)} is {what}{found}")
        self.text = text
        self.data = data


def tag_name(tag: int) -> str:
    """Name a tag as the standard prints it, with its keyword where it has one."""
    number = f"({tag >> 16:04X},{tag & 0xFFFF:04X})"
    keyword = dictionary_keyword(tag) if dictionary_has_tag(tag) else ""
    return f"{number} {keyword}".strip()


def unknown_character_sets(names: Sequence[Value]) -> list[str]:
    """Which of the values of SpecificCharacterSet are no defined term, even a misspelt one."""
    unknown = []
    for name in map(str, names):
        try:
            is_known = name in _NEWER_CHARACTER_SETS or bool(convert_encodings([name]))
        except (LookupError, ValueError):
            is_known = False
        if not is_known or (
            name not in python_encoding
            and name not in _NEWER_CHARACTER_SETS
            and convert_encodings([name]) == [_DEFAULT]
        ):
            unknown.append(name)
    return unknown


def is_creator(tag: int) -> bool:
    """Whether a tag is of an element that names the owner of private ones (PS3.5 7.8.1)."""
    return bool(tag >> 16 & 1) and 0x10 <= tag & 0xFFFF <= 0xFF


@lru_cache(maxsize=4096)
def _public_vr(tag: int) -> str | None:
    try:
        return str(dictionary_VR(tag))  # that of repeating groups, such as overlays, as well
    except KeyError:
        return None


@dataclass(frozen=True)
class Elements:
    """Elements of a dataset or of an item, with what is needed to decode them.

    Attributes:
        raw: elements by tag, in the order of the file.
        encodings: Python codecs of the character sets in force.
        is_signed: whether PixelRepresentation says that pixels are signed: decides "US or SS".
    """

    raw: Mapping[int, Element]
    encodings: tuple[str, ...]
    is_signed: bool

    def __contains__(self, tag: int) -> bool:
        return tag in self.raw

    def vr(self, tag: int) -> str:
        """VR of an element: as sent, else from the dictionaries; UN of one that does not exist.

        Raises:
            KeyError: there is no such element.
        """
        return "UN" if self.has_odd_vr(tag) else self._read_as(tag)

    def has_odd_vr(self, tag: int) -> bool:
        """Whether an element was sent with a VR that does not exist."""
        vr = self.raw[tag].VR
        return vr is not None and vr not in _VR_NAMES

    def _read_as(self, tag: int) -> str:
        """VR by which the bytes are read: of a VR that does not exist, what the dictionary has."""
        vr = None if self.has_odd_vr(tag) else self.raw[tag].VR
        if vr is None or (vr == "UN" and (is_creator(tag) or _public_vr(tag))):
            vr = self._looked_up_vr(tag)
        if vr == "US or SS":
            return "SS" if self.is_signed else "US"
        return AMBIGUOUS_BYTES.get(vr, vr)

    def _looked_up_vr(self, tag: int) -> str:
        public = _public_vr(tag)
        if public:
            return public
        if tag & 0xFFFF == 0:
            return "UL"
        if not tag >> 16 & 1:
            return "UN"
        if is_creator(tag):
            return "LO"
        owner = (tag & 0xFFFF0000) | (tag >> 8 & 0xFF)
        if owner not in self.raw:
            return "UN"
        try:
            return str(
                private_dictionary_VR(tag, str(next(iter(_values_or_none(self, owner)), "")))
            )
        except KeyError:
            return "UN"

    def values(self, tag: int) -> Sequence[Value]:
        """Decode the values of an element that is not a sequence.

        Args:
            tag: the element's tag.

        Returns:
            Its values in order: str for text and attribute tags, int or float for numbers, one
            bytes for bulk; none where it is absent or empty.

        Raises:
            MalformedValueError: the bytes are not what the VR says.
        """
        element = self.raw.get(tag)
        if element is None:
            return ()
        data = element.value
        if not data:
            return ()
        vr = self._read_as(tag)
        if vr in TEXT_VRS:
            return self._text(tag, vr, data)
        if vr in _FORMATS:
            return _numbers(tag, vr, data, is_little=element.is_little_endian)
        return (bytes(data),)

    def fits_character_set(self, tag: int) -> bool:
        """Whether the bytes of a text are ones that its character set has (PS3.3 C.12.1.1.2).

        Those that it lacks are read as U+FFFD, or as Latin-1 where the default repertoire is
        declared: a reader has to go back to the bytes.
        """
        data = self.raw[tag].value
        vr = self._read_as(tag)
        if not data or vr not in TEXT_VRS or (data.isascii() and _ESCAPE not in data):
            return True
        if vr not in _OWN_CHARACTERS:
            return bool(data.isascii())
        if self.encodings[0] == _DEFAULT and _ESCAPE not in data:
            return False
        text = decode_bytes(data, self.encodings, _RESETS).replace(_TO_GB2312, "")
        lost = text.count(_LOST) - data.count(_LOST.encode())
        return lost <= 0 and not any(letter in _CONTROLS for letter in text)

    def _text(self, tag: int, vr: str, data: bytes) -> Sequence[Value]:
        if vr in _OWN_CHARACTERS:
            text = decode_bytes(data, self.encodings, _RESETS).replace(_TO_GB2312, "")
        else:
            text = data.decode("ascii", "replace") if data.isascii() else data.decode("latin-1")
        text = text.rstrip("\0 ")
        if not text:
            return ()
        if vr in _SINGLE_TEXT:
            return (text,)
        parts = [part.strip("\0 ") for part in text.split("\\")]
        if vr not in ("DS", "IS"):
            return parts
        try:
            return [(_decimal if vr == "DS" else _integer)(tag, part) for part in parts]
        except MalformedValueError as error:
            error.text = text  # with the numbers beside it
            raise

    def first(self, tag: int) -> Value | None:
        """The first value of an element, or None.

        Raises:
            MalformedValueError: as for `values`.
        """
        found = self.values(tag)
        return found[0] if found else None

    def items(self, tag: int, notes: list[str] | None = None) -> Sequence["Elements"]:
        """Items of a sequence.

        Args:
            tag: the sequence's tag.
            notes: takes what was odd.

        Returns:
            Its items, none where it is absent or empty.

        Raises:
            MalformedValueError: the bytes are no sequence.
        """
        element = self.raw.get(tag)
        if element is None or not element.value:
            return ()
        data = element.value
        is_implicit, is_little = element.is_implicit_VR, element.is_little_endian
        if element.VR == "UN":
            # Implicit VR little endian inside (PS3.5 6.2.2), if its writer knew that
            is_little = is_little_sequence(data, 0, otherwise=True)
            is_implicit = (
                is_implicit
                or data[12:14] not in VRS
                or reads_on(data, 8, len(data), is_implicit=True, is_little=is_little)
            )
        try:
            items = read_items(
                data,
                is_implicit=is_implicit,
                is_little=is_little,
                notes=[] if notes is None else notes,
                base=element.value_tell,
            )
        except (CutOffError, DamagedError, TooDeepError) as error:
            raise MalformedValueError(tag, "no sequence") from error
        return [self._item(item) for item in items]

    def _item(self, raw: Mapping[int, Element]) -> "Elements":
        encodings = _encodings(raw) if _CHARACTER_SET in raw else self.encodings
        is_signed = _is_signed(raw) if _PIXEL_REPRESENTATION in raw else self.is_signed
        return Elements(raw, encodings, is_signed)


def dataset_elements(header: Header) -> Elements:
    """Elements of a dataset with its character sets and signedness."""
    return Elements(header.elements, _encodings(header.elements), _is_signed(header.elements))


def private_creators(elements: Elements) -> list[str] | None:
    """Owners of private elements of a dataset, sorted; None where there are none."""
    owners: set[str] = set()
    for tag in elements.raw:
        if is_creator(tag):
            owners.update(v for v in _values_or_none(elements, tag) if isinstance(v, str) and v)
    return sorted(owners) or None


def _values_or_none(elements: Elements, tag: int) -> Sequence[Value]:
    try:
        return elements.values(tag)
    except MalformedValueError:
        return ()  # its JSON notes it


def meta_elements(header: Header) -> Elements:
    """Elements of the file meta information."""
    return Elements(header.meta, ("iso8859",), False)


def _encodings(raw: Mapping[int, Element]) -> tuple[str, ...]:
    element = raw.get(_CHARACTER_SET)
    value = element.value if element is not None else None
    if not value:
        return ("iso8859",)
    text = value.decode("ascii", "replace") if isinstance(value, bytes) else value
    names = text.split("\\") if isinstance(text, str) else list(text)
    names = [name.strip("\0 ") for name in names]
    if len(names) == 1 and names[0] in _NEWER_CHARACTER_SETS:
        return (_NEWER_CHARACTER_SETS[names[0]],)
    try:
        return tuple(convert_encodings(names))
    except (LookupError, ValueError):
        return ("iso8859",)


def _is_signed(raw: Mapping[int, Element]) -> bool:
    element = raw.get(_PIXEL_REPRESENTATION)
    value = element.value if element is not None else None
    return 1 in (bytes(value)[:2] if isinstance(value, bytes) else [value])


def _decimal(tag: int, text: str) -> float | str:
    if not text:
        return ""
    try:
        number = float(text)
    except ValueError:
        raise MalformedValueError(tag, "not a number", text) from None
    if number - number != 0 or "_" in text:
        raise MalformedValueError(tag, "not a number", text)
    return number


def _integer(tag: int, text: str) -> int | str:
    if not text:
        return ""
    number = _decimal(tag, text)
    if not isinstance(number, float) or not number.is_integer():
        raise MalformedValueError(tag, "not a whole number", text)
    return int(number)


def _numbers(tag: int, vr: str, data: bytes, *, is_little: bool) -> Sequence[Value]:
    unit = _FORMATS[vr]
    size = struct.calcsize("<" + unit)
    count, rest = divmod(len(data), size)
    if rest:
        raise MalformedValueError(tag, f"{len(data)} bytes of {vr}", data=data)
    numbers = struct.unpack(("<" if is_little else ">") + unit * count, data)
    if vr == "AT":
        return [
            f"{group:04X}{element:04X}"
            for group, element in zip(numbers[::2], numbers[1::2], strict=True)
        ]
    return numbers
