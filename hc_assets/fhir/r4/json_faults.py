"""Why a text can't be read as JSON, and where, without what is in it.

Belongs here: a parser's errors put into words, with line and column. Which texts can't be read is
found by `json_text.py` and `fhir/bundles/entries.py`.
"""

import re
from typing import NamedTuple

_BYTE = re.compile(r" \(byte (\d+)\)$")
_PLACE = re.compile(r" \(line (\d+), column (\d+)\)$")
_TRAILING = "trailing characters"
_HIGH_BYTES = re.compile(rb"[\x80-\xff]+")
# Windows-1252 has no characters here; ISO-8859-1 has control characters, which nobody writes.
_UNASSIGNED = frozenset(b"\x81\x8d\x8f\x90\x9d")


class Place(NamedTuple):
    """A place in a text.

    Attributes:
        line: from 1.
        column: characters from the beginning of the line, from 1; a byte-order mark is none.
    """

    line: int
    column: int


def place_of(text: bytes, offset: int, line: int = 1) -> Place:
    """Return the line and the column of a byte.

    Args:
        text: UTF-8; what is not counts as one character for a byte or some.
        offset: of the byte, from 0.
        line: that the text begins in.
    """
    begin = text.rfind(b"\n", 0, offset) + 1
    column = len(text[begin:offset].decode("utf-8", "replace")) + 1
    return Place(line + text.count(b"\n", 0, begin), column)


def fault_in(error: Exception, text: bytes) -> int | None:
    """Offset of the byte at which a text stops being JSON; its size where it is cut off.

    Args:
        error: as for `words`.
        text: that was read.

    Returns:
        None where the text is JSON: its values are others than expected.
    """
    if isinstance(error, RecursionError):
        return len(text)
    if isinstance(error, UnicodeDecodeError):
        try:
            text.decode()
        except UnicodeDecodeError as found:
            return found.start
        return None
    at_byte = _BYTE.search(str(error))
    if at_byte is None:
        return len(text) if str(error).endswith("truncated") else None
    offset = min(int(at_byte[1]), len(text))
    # msgspec names the byte behind the first of them
    return offset - (_TRAILING in str(error))


def words(error: Exception, text: bytes, line: int | None = 1) -> str:
    """Say why a text could not be read, and where: `expected ',' or '}' (line 1, column 48)`.

    Args:
        error: that msgspec raised: DecodeError, UnicodeDecodeError or RecursionError.
        text: that was read.
        line: that the text begins in; None where that is not known, and no place is to be named.
    """
    if isinstance(error, RecursionError):
        return "nested too deeply"
    if isinstance(error, UnicodeDecodeError):
        return _not_utf8(text, line)
    said = str(error).removeprefix("JSON is malformed: ")
    offset = fault_in(error, text)
    if offset is None:
        return said  # of values, not of syntax
    said = _BYTE.sub("", said)
    if said == _TRAILING and text[offset : offset + 1] in (b"{", b"["):
        said = "several JSON documents where one is expected"
    return _placed(said, text, offset, line)


def _placed(said: str, text: bytes, offset: int, line: int | None) -> str:
    return said if line is None else with_place(said, place_of(text, offset, line))


def _not_utf8(text: bytes, line: int | None) -> str:
    try:
        text.decode()
    except UnicodeDecodeError as error:
        guess = ", probably Latin-1 or Windows-1252" if _is_one_byte_text(text) else ""
        return _placed(f"text that is not UTF-8{guess}", text, error.start, line)
    return "text that is not UTF-8"  # only a part of it was read


def _is_one_byte_text(text: bytes) -> bool:
    """Whether letters beyond ASCII stand alone, as accents do, and none is a UTF-8 sequence."""
    found = _HIGH_BYTES.findall(text)
    alone = sum(len(each) == 1 for each in found)
    return 2 * alone > len(found) and not any(
        _is_utf8(each) or not _UNASSIGNED.isdisjoint(each) for each in found
    )


def _is_utf8(text: bytes) -> bool:
    try:
        text.decode()
    except UnicodeDecodeError:
        return False
    return True


def within(said: str, where: str) -> str:
    """Add what the place is in, before the place."""
    place = place_in(said)
    return (
        f"{said} in {where}"
        if place is None
        else with_place(within(without_place(said), where), place)
    )


def with_place(said: str, place: Place) -> str:
    """Add a place to what is said."""
    return f"{said} (line {place.line}, column {place.column})"


def place_in(said: str) -> Place | None:
    """Return the place that `with_place` added; None where there is none."""
    found = _PLACE.search(said)
    return Place(int(found[1]), int(found[2])) if found else None


def moved(said: str, lines: int) -> str:
    """Move the place that `with_place` added down by some lines, where there is one."""
    place = place_in(said)
    if place is None:
        return said
    return with_place(without_place(said), place._replace(line=place.line + lines))


def without_place(said: str) -> str:
    """Take out the place that `with_place` added, where there is one."""
    return _PLACE.sub("", said)
