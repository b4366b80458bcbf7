"""Seeded damage to DICOM files: what writers, networks and editors do to them.

Belongs here: where elements and fragments lie in a file, and each kind of damage. Which files are
damaged is in `sources.py`. Everything follows from the generator that is passed in.
"""

import random
import struct
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import NamedTuple

from hc_assets.imaging.headers.element_walk import (
    UNDEFINED,
    CutOffError,
    DamagedError,
    is_implicit_item,
    read_head,
)

_ITEM, _ITEM_END, _SEQUENCE_END = 0xFFFEE000, 0xFFFEE00D, 0xFFFEE0DD
_PIXELS = 0x7FE00010
_LONG = frozenset(["OB", "OD", "OF", "OL", "OV", "OW", "SQ", "SV", "UC", "UN", "UR", "UT", "UV"])
_ITEM_BYTES = b"\xfe\xff\x00\xe0"


@dataclass(frozen=True)
class Place:
    """Where an element, an item or a delimiter lies.

    Attributes:
        tag: of it.
        vr: as sent; None where it is implicit.
        at: of its first byte.
        value: of its value's first byte.
        length: of its value; `UNDEFINED`.
        depth: sequences around it.
    """

    tag: int
    vr: str | None
    at: int
    value: int
    length: int
    depth: int

    @property
    def length_at(self) -> int:
        """Where its length is."""
        return self.value - (4 if self.vr is None or self.vr in _LONG else 2)

    @property
    def end(self) -> int:
        """Behind its value, where its length is defined."""
        return self.value + self.length


@dataclass(frozen=True)
class Source:
    """A file to be damaged.

    Attributes:
        name: of the file.
        data: its bytes.
        syntax: its transfer syntax.
        has_pixels: whether it has all its pixels, not only the first bytes of them.
        places: of its elements.
    """

    name: str
    data: bytes
    syntax: str
    has_pixels: bool
    places: list[Place] = field(repr=False)

    @property
    def order(self) -> str:
        """Byte order, as struct has it."""
        return ">" if self.syntax == "1.2.840.10008.1.2.2" else "<"

    @cached_property
    def pixels(self) -> Place | None:
        """Where its pixel data are."""
        return next((each for each in self.places if each.tag == _PIXELS and not each.depth), None)

    def place(self, tag: int) -> Place | None:
        """Where an element of the dataset is."""
        return next((each for each in self.places if each.tag == tag and not each.depth), None)

    @cached_property
    def fragments(self) -> list[tuple[int, int]]:
        """Place and length of the items of encapsulated pixel data, the offset table first."""
        found: list[tuple[int, int]] = []
        if self.pixels is None or self.pixels.length != UNDEFINED:
            return found
        at = self.pixels.value
        while self.data[at : at + 4] == _ITEM_BYTES:
            (length,) = struct.unpack_from("<L", self.data, at + 4)
            found.append((at, length))
            at += 8 + length
        return found


class _Form(NamedTuple):
    is_implicit: bool
    is_little: bool
    depth: int = 0


def places_of(data: bytes, start: int, *, is_implicit: bool, is_little: bool) -> list[Place]:
    """Where elements, items and delimiters are, up to the pixels; as far as they can be read."""
    found: list[Place] = []
    try:
        _walk(data, start, len(data), _Form(is_implicit, is_little), found)
    except (CutOffError, DamagedError, struct.error):
        return found
    return found


def _walk(data: bytes, at: int, end: int, form: _Form, found: list[Place]) -> int:
    while at < end:
        head = read_head(data, at, end, is_implicit=form.is_implicit, is_little=form.is_little)
        place = Place(head.tag, head.vr, at, head.value, head.length, form.depth)
        found.append(place)
        if head.tag == _ITEM_END or (head.tag >= _PIXELS and head.tag >> 16 == 0x7FE0):
            return head.value
        if head.tag >> 16 == 0xFFFE:
            raise DamagedError
        if head.length == UNDEFINED or head.vr == "SQ":
            after = end if head.length == UNDEFINED else place.end
            inner = form._replace(depth=form.depth + 1)
            at = _walk_items(data, head.value, after, inner, found)
        else:
            at = place.end
    return at


def _walk_items(data: bytes, at: int, end: int, form: _Form, found: list[Place]) -> int:
    while at < end:
        head = read_head(data, at, end, is_implicit=form.is_implicit, is_little=form.is_little)
        found.append(Place(head.tag, None, at, head.value, head.length, form.depth))
        if head.tag == _SEQUENCE_END:
            return head.value
        if head.tag != _ITEM:
            raise DamagedError
        after = end if head.length == UNDEFINED else head.value + head.length
        implicit = form.is_implicit or is_implicit_item(data, head.value, after, form.is_little)
        at = _walk(data, head.value, after, form._replace(is_implicit=implicit), found)
    return at


Mutation = Callable[[Source, random.Random], bytes | None]
"""The damaged bytes; None where the source has nothing that can be damaged so."""


def _put(data: bytes, at: int, new: bytes, old: int | None = None) -> bytes:
    return data[:at] + new + data[at + (len(new) if old is None else old) :]


def with_value(source: Source, place: Place, value: bytes) -> bytes:
    """The file with another value of an element of the dataset, its length put right."""
    value += b"\0" * (len(value) % 2)
    data = _put(source.data, place.value, value, place.length)
    size = struct.pack(source.order + "HL"[place.value - place.length_at > 2], len(value))
    return _put(data, place.length_at, size)


def _pick(source: Source, rng: random.Random, *, explicit: bool = False) -> Place | None:
    places = [
        each
        for each in source.places
        if each.tag >> 16 != 0xFFFE and each.tag < 0x7FE00000 and (each.vr or not explicit)
    ]
    return rng.choice(places) if places else None


def another_vr(source: Source, rng: random.Random) -> bytes | None:
    """A VR that does not exist, or another one."""
    place = _pick(source, rng, explicit=True)
    if place is None:
        return None
    odd = [b"??", b"\0\0", b"  ", b"xx", b"-1", b"ZZ", b"OX", b"lo", b"\xff\xff"]
    real = [b"LO", b"DS", b"US", b"UN", b"SQ", b"FD", b"PN", b"OB", b"UI", b"IS", b"UT", b"AT"]
    return _put(source.data, place.at + 4, rng.choice(rng.choice([odd, real])))


def another_length(source: Source, rng: random.Random) -> bytes | None:
    """A length that is a little off, or not a length."""
    place = _pick(source, rng)
    if place is None:
        return None
    is_short = place.value - place.length_at == 2
    size, most = ("H", 0xFFFF) if is_short else ("L", UNDEFINED)
    near = [place.length + by for by in (-4, -3, -2, -1, 1, 2, 3, 4, 8)]
    length = rng.choice([*near, 0, most, most - 1, 2 * place.length, 0x7FFF])
    return _put(
        source.data, place.length_at, struct.pack(source.order + size, max(0, length) & most)
    )


def another_tag(source: Source, rng: random.Random) -> bytes | None:
    """A tag that is another one's, a private one, or out of order."""
    place = _pick(source, rng)
    if place is None:
        return None
    group, element = place.tag >> 16, place.tag & 0xFFFF
    other = _pick(source, rng) or place
    group, element = rng.choice(
        [
            (group, element + 1),
            (group, element ^ 0x80),
            (group + 1, 0x1001),
            (group + 1, 0x0010),
            (other.tag >> 16, other.tag & 0xFFFF),
            (0x0008, 0x0001),
            (0x0028, 0x0010),
            (0xFFFE, 0xE00D),
            (rng.randrange(0x0008, 0x0050), rng.randrange(0x10000)),
        ]
    )
    return _put(
        source.data, place.at, struct.pack(source.order + "HH", group & 0xFFFF, element & 0xFFFF)
    )


def cut(source: Source, rng: random.Random) -> bytes | None:
    """The file ends early: anywhere, or within the head of an element."""
    place = _pick(source, rng)
    if place is None or rng.random() < 0.4:
        return source.data[: rng.randrange(132, len(source.data))]
    return source.data[: place.at + rng.randrange(13)]


def another_delimiter(source: Source, rng: random.Random) -> bytes | None:
    """An item or a delimiter that is missing, another one, too many, or of another length."""
    places = [each for each in source.places if each.tag >> 16 == 0xFFFE]
    if not places:
        return None
    place = rng.choice(places)
    data = source.data
    match rng.randrange(5):
        case 0:
            return data[: place.at] + data[place.at + 8 :]
        case 1:
            return data[: place.at] + data[place.at : place.at + 8] + data[place.at :]
        case 2:
            tag = rng.choice([0xE000, 0xE00D, 0xE0DD, 0xE001])
            return _put(data, place.at, struct.pack(source.order + "HH", 0xFFFE, tag))
        case 3:
            length = rng.choice([0, UNDEFINED, place.length + 2, place.length - 2, 8])
            new = struct.pack(source.order + "L", length & UNDEFINED)
            return _put(data, place.at + 4, new)
        case _:
            mark = struct.pack(source.order + "HHL", 0xFFFE, rng.choice([0xE00D, 0xE0DD]), 0)
            return data[: place.at] + mark + data[place.at :]


def another_character_set(source: Source, rng: random.Random) -> bytes | None:
    """Another SpecificCharacterSet, or letters that it does not have."""
    place = source.place(0x00080005)
    texts = [
        each
        for each in source.places
        if each.length not in (0, UNDEFINED) and each.vr in ("LO", "SH", "PN", "ST", "LT", "UT")
    ]
    if place is not None and rng.random() < 0.5:
        sets = [b"ISO_IR 192", b"ISO_IR 100", b"ISO_IR 144", b"GB18030", b"ISO_IR_100", b"latin1"]
        sets += [b"ISO 2022 IR 6\\ISO 2022 IR 87", b"\\ISO 2022 IR 149", b"", b"ISO_IR 13", b"nix"]
        return with_value(source, place, rng.choice(sets))
    if not texts:
        return None
    text = rng.choice(texts)
    letters = rng.choice([b"\xe9", b"\xc3\xa9", b"\x1b$B", b"\xff\xfe", b"\\", b"\0", b"^", b"="])
    at = text.value + rng.randrange(text.length)
    return _put(source.data, at, letters[: text.end - at])


def another_value(source: Source, rng: random.Random) -> bytes | None:
    """Bytes of a value that are others."""
    places = [
        each
        for each in source.places
        if 0 < each.length < 2000 and each.vr != "SQ" and 0x00080000 <= each.tag < 0x7FE00000
    ]
    if not places:
        return None
    place = rng.choice(places)
    at = place.value + rng.randrange(place.length)
    letters = bytes(
        rng.choice(b"0189.\\-e+ \0=^AZaz\xc3\xa9,_\t\n") for _ in range(rng.randrange(1, 6))
    )
    return _put(source.data, at, letters[: place.end - at])


def another_syntax(source: Source, rng: random.Random) -> bytes | None:
    """A transfer syntax that is not the dataset's, in the same number of bytes."""
    texts = [b"1.2.840.10008.1.2", b"1.2.840.10008.1.2.1", b"1.2.840.10008.1.2.2", b""]
    place = source.place(0x00020010)
    if place is None:
        return None
    fitting = [text for text in texts if len(text) <= place.length]
    return _put(source.data, place.value, rng.choice(fitting).ljust(place.length, b"\0"))


def lost_or_doubled(source: Source, rng: random.Random) -> bytes | None:
    """An element is left out, comes twice, or behind the next one."""
    places = [
        each
        for each in source.places
        if not each.depth and each.length != UNDEFINED and 0x00080000 <= each.tag < 0x7FE00000
    ]
    if len(places) < 2:
        return None
    number = rng.randrange(len(places) - 1)
    place, after = places[number], places[number + 1]
    one, other = source.data[place.at : place.end], source.data[after.at : after.end]
    data = source.data
    match rng.randrange(3):
        case 0:
            return data[: place.at] + data[place.end :]
        case 1:
            return data[: place.end] + one + data[place.end :]
        case _:
            if after.at != place.end:
                return None
            return data[: place.at] + other + one + data[after.end :]


def flipped(source: Source, rng: random.Random) -> bytes | None:
    """A byte of the header is another."""
    end = source.pixels.at if source.pixels else len(source.data)
    at = rng.randrange(132, max(133, end))
    return _put(source.data, at, bytes([(source.data[at] + rng.choice([-2, -1, 1, 2, 128])) % 256]))


_FIGURES = {
    "rows": (0x00280010, lambda old, rng: rng.choice([old + 1, old - 1, old * 2, old // 2, 0])),
    "columns": (0x00280011, lambda old, rng: rng.choice([old + 1, old - 1, old * 2, old // 2, 0])),
    "samples": (0x00280002, lambda old, rng: rng.choice([0, 1, 2, 3, 4])),
    "planar": (0x00280006, lambda old, rng: rng.choice([0, 1, 2])),
    "allocated": (0x00280100, lambda old, rng: rng.choice([1, 8, 16, 32, old + 1, 12])),
    "stored": (0x00280101, lambda old, rng: rng.choice([old - 1, old - 4, old + 1, 1, 8, 12, 16])),
    "high_bit": (0x00280102, lambda old, rng: rng.choice([old - 1, old + 1, 0, 7, 11, 15, 16])),
    "representation": (0x00280103, lambda old, rng: rng.choice([1 - old % 2, 2])),
}


def contradiction(source: Source, rng: random.Random) -> bytes | None:
    """A figure of the Image Pixel module that the pixels contradict."""
    tag, change = _FIGURES[rng.choice(list(_FIGURES))]
    place = source.place(tag)
    if place is None or place.length != 2:
        return None
    (old,) = struct.unpack_from(source.order + "H", source.data, place.value)
    new = struct.pack(source.order + "H", change(old, rng) & 0xFFFF)
    return _put(source.data, place.value, new)


def another_frame_count(source: Source, rng: random.Random) -> bytes | None:
    """A NumberOfFrames that does not fit, or is no number."""
    place = source.place(0x00280008)
    if place is None:
        return None
    try:
        old = int(source.data[place.value : place.end].strip(b" \0"))
    except ValueError:
        return None
    counts = [str(old + 1), str(old - 1), str(old * 2), "1", "0", "-1", "", "2.0", "x", "9999"]
    return with_value(source, place, rng.choice(counts).encode())


def another_photometric(source: Source, rng: random.Random) -> bytes | None:
    """A PhotometricInterpretation in small letters, padded, or another one."""
    place = source.place(0x00280004)
    if place is None:
        return None
    old = source.data[place.value : place.end].strip(b" \0")
    others = [b"MONOCHROME1", b"RGB", b"YBR_FULL", b"YBR_FULL_422", b"PALETTE COLOR", b"ARGB", b""]
    made = rng.choice([old.lower(), b" " + old + b"  ", old.replace(b"_", b" "), *others])
    return with_value(source, place, made)


def another_rescale(source: Source, rng: random.Random) -> bytes | None:
    """A RescaleSlope or Intercept that is no number, or another one."""
    place = source.place(rng.choice([0x00281052, 0x00281053]))
    if place is None:
        return None
    values = [b"-1024,5", b"1e3", b"+1", b" 1", b"1.0\\2.0", b"", b"0", b"nan", b"inf", b"1_0"]
    return with_value(source, place, rng.choice([*values, b"0x10", b"1.", b".5", b"1 2", b"--1"]))


def another_table(source: Source, rng: random.Random) -> bytes | None:
    """A basic offset table that is empty, short, moved, of another byte order or at random."""
    if len(source.fragments) < 2:
        return None
    at, length = source.fragments[0]
    starts = [place - source.fragments[1][0] for place, _ in source.fragments[1:]]
    table = starts[: max(1, length // 4)] if rng.random() < 0.7 else list(starts)
    order = "<"
    match rng.randrange(7):
        case 0:
            table = []
        case 1:
            table = table[: rng.randrange(len(table))]
        case 2:
            by = rng.choice([8, 20, -8, 2, 200])
            table = [max(0, offset + by) for offset in table]
        case 3:
            order = ">"
        case 4:
            rng.shuffle(table)
        case 5:
            table = [0] * len(table)
        case _:
            table[rng.randrange(len(table))] = rng.randrange(2 * starts[-1] + 8)
    new = struct.pack(f"{order}{len(table)}L", *table)
    item = _ITEM_BYTES + struct.pack("<L", len(new)) + new
    return _put(source.data, at, item, 8 + length)


def other_fragments(source: Source, rng: random.Random) -> bytes | None:
    """Fragments that are split, joined, lost, doubled, empty, swapped or of another length."""
    if len(source.fragments) < 2:
        return None
    number = rng.randrange(1, len(source.fragments))
    at, length = source.fragments[number]
    data = source.data
    item = data[at : at + 8 + length]
    match rng.randrange(7):
        case 0:
            half = length // 4 * 2
            pieces = [item[8 : 8 + half], item[8 + half :]]
            made = b"".join(_ITEM_BYTES + struct.pack("<L", len(each)) + each for each in pieces)
            return _put(data, at, made, len(item))
        case 1:
            return _put(data, at, b"", len(item))
        case 2:
            return _put(data, at, item + item, len(item))
        case 3:
            return _put(data, at, _ITEM_BYTES + bytes(4), 0)
        case 4:
            size = max(0, length + rng.choice([-2, 2, 4, -8, 1]))
            return _put(data, at + 4, struct.pack("<L", size))
        case 5:
            return _put(
                data, at, rng.choice([b"\xfe\xff\xdd\xe0", b"\0\0\0\0", b"\xfe\xff\x0d\xe0"])
            )
        case _:
            if number + 1 == len(source.fragments):
                return None
            after, size = source.fragments[number + 1]
            other = data[after : after + 8 + size]
            return _put(data, at, other + item, len(item) + len(other))


def other_pixel_bytes(source: Source, rng: random.Random) -> bytes | None:
    """Bytes of the pixel data that are others, or missing at the end."""
    if source.pixels is None or source.pixels.value + 16 >= len(source.data):
        return None
    data, start = source.data, source.pixels.value
    match rng.randrange(3):
        case 0:
            return data[: rng.randrange(start, len(data))]
        case 1:
            at = rng.randrange(start, len(data))
            return _put(data, at, bytes([rng.randrange(256)]))
        case _:
            if source.pixels.length == UNDEFINED:
                return None
            by = rng.choice([-2, -1, 1, 2, 10, -100, 100])
            size = struct.pack(source.order + "L", max(0, source.pixels.length + by))
            return _put(data, source.pixels.value - 4, size)


OF_HEADERS: dict[str, Mutation] = {
    "VR": another_vr,
    "length": another_length,
    "tag": another_tag,
    "cut": cut,
    "delimiter": another_delimiter,
    "character set": another_character_set,
    "value": another_value,
    "transfer syntax": another_syntax,
    "lost or doubled": lost_or_doubled,
    "byte": flipped,
    "rescale": another_rescale,
    "photometric": another_photometric,
}
OF_PIXELS: dict[str, Mutation] = {
    "offset table": another_table,
    "fragments": other_fragments,
    "pixel module": contradiction,
    "frame count": another_frame_count,
    "photometric": another_photometric,
    "pixel bytes": other_pixel_bytes,
    "transfer syntax": another_syntax,
    "cut": cut,
    "VR": another_vr,
    "length": another_length,
}


def mutated(
    kind: str, damage: Mutation, source: Source, rng: random.Random
) -> tuple[str, bytes] | None:
    """A kind of damage and the damaged bytes; None where it finds nothing in the source."""
    made = damage(source, rng)
    return None if made is None or made == source.data or len(made) < 140 else (kind, made)
