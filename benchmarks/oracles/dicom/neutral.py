"""One form for what every reader says of a dataset, so that they can be held against one another.

Belongs here: the form, and when two readers say the same. A dataset is a dict by tag (eight hex
digits) of elements; an element is (VR, kind, content), plain enough for JSON. Each reader's own way
into it is in `ours.py`, `dcmtk.py` and `judges.py`.
"""

import math
import struct
from collections.abc import Sequence
from typing import Any

Element = tuple[str, str, Any]
Dataset = dict[str, Element]

TEXT, RAW, NUMBERS, BYTES, ITEMS, UNKNOWN = "text", "raw", "numbers", "bytes", "items", "unknown"
"""Kinds: list of str; bytes of a text that are not ASCII, as Latin-1; list of float; hexadecimal
digits; list of datasets; no opinion."""

TEXTS = frozenset(
    [
        "AE",
        "AS",
        "CS",
        "DA",
        "DS",
        "DT",
        "IS",
        "LO",
        "LT",
        "PN",
        "SH",
        "ST",
        "TM",
        "UC",
        "UI",
        "UR",
        "UT",
    ]
)
_NUMBERS = {"US": "H", "SS": "h", "UL": "L", "SL": "l", "UV": "Q", "SV": "q", "FL": "f", "FD": "d"}
_FORMATS = _NUMBERS | {"AT": "HH"}
_SINGLE = frozenset(["LT", "ST", "UT", "UR"])
_ESCAPE = "\x1b"


def of_text(vr: str, text: str) -> Element:
    """An element of a text that has been decoded, or is plain ASCII."""
    text = text.strip("\0 ")
    if not text:
        return vr, TEXT, []
    if vr == "UI":
        text = "\\".join(part.strip() for part in text.split("\\"))
        if not text:
            return vr, TEXT, []
    parts = [text] if vr in _SINGLE else [part.strip("\0 ") for part in text.split("\\")]
    if vr in ("DS", "IS") and all(map(_is_number, parts)):
        return vr, NUMBERS, [float(part) for part in parts]
    if vr == "PN":
        parts = [part.rstrip("=") for part in parts]
    return vr, TEXT, parts


def of_bytes(vr: str, data: bytes, *, is_little: bool = True) -> Element:
    """An element of its bytes, by its VR."""
    if vr in TEXTS:
        if data.isascii() and _ESCAPE.encode() not in data:
            return of_text(vr, data.decode("ascii"))
        return vr, RAW, data.decode("latin-1").strip("\0 ")
    unit = _FORMATS.get(vr)
    if unit is None:
        return vr, BYTES, data.hex()
    size = struct.calcsize("<" + unit)
    if len(data) % size:
        return vr, BYTES, data.hex()
    found = struct.unpack(("<" if is_little else ">") + unit * (len(data) // size), data)
    if vr == "AT":
        pairs = zip(found[::2], found[1::2], strict=True)
        return vr, TEXT, [f"{group:04X}{element:04X}" for group, element in pairs]
    return vr, NUMBERS, [float(number) for number in found]


def say_the_same(one: Element, other: Element) -> bool:
    """Whether two readers say the same of an element; also where one has no opinion.

    VRs may differ, as dictionaries do, where the bytes can still be read alike. Items are held
    against one another elsewhere: here only their number counts.
    """
    (_, kind, content), (_, other_kind, other_content) = one, other
    if UNKNOWN in (kind, other_kind):
        return True
    if kind != other_kind and other_kind == BYTES:
        return say_the_same(other, one)
    if kind == other_kind:
        return _are_equal(kind, content, other_content)
    if not content or not other_content:
        return not content and not other_content
    if kind == BYTES:
        return _are_the_bytes(bytes.fromhex(content), other)
    if {kind, other_kind} == {TEXT, NUMBERS}:
        return _are_close(_as_numbers(content), _as_numbers(other_content))
    if {kind, other_kind} == {TEXT, RAW}:
        raw, text = (content, other_content) if kind == RAW else (other_content, content)
        return _may_be("\\".join(text), raw)
    return False


def _are_equal(kind: str, one: Any, other: Any) -> bool:
    match kind:
        case "numbers":
            return _are_close(one, other)
        case "items":
            return len(one) == len(other)
        case "bytes":
            return bool(one.removesuffix("00") == other.removesuffix("00"))
        case _:
            return bool(one == other)


def _are_the_bytes(data: bytes, other: Element) -> bool:
    vr, kind, _ = other
    if kind == ITEMS or vr not in TEXTS | _FORMATS.keys():
        return True  # nobody can say
    orders = (True, False) if vr in _FORMATS else (True,)
    read = [of_bytes(vr, data, is_little=is_little) for is_little in orders]
    return any(each[1] != BYTES and say_the_same(each, other) for each in read)


def _may_be(text: str, raw: str) -> bool:
    """Whether bytes may be the text's; where several may make a letter nobody can say."""
    data = raw.encode("latin-1")
    if _ESCAPE in raw or len(text) != len(data):
        return True
    return _skeleton(text) == _skeleton(raw)


def _skeleton(text: str) -> str:
    return "".join(letter for letter in text if " " < letter <= "~")


def _is_number(text: str) -> bool:
    try:
        return math.isfinite(float(text)) and "_" not in text
    except ValueError:
        return False


def _as_numbers(content: Sequence[Any]) -> list[float]:
    try:
        return [float(each) for each in content]
    except ValueError:
        return [math.inf]


def _are_close(one: Sequence[float], other: Sequence[float]) -> bool:
    if len(one) != len(other):
        return False
    return all(
        a == b or (math.isnan(a) and math.isnan(b)) or math.isclose(a, b, rel_tol=1e-6)
        for a, b in zip(one, other, strict=True)
    )
