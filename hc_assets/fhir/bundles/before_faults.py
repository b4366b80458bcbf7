"""What a text that is no JSON still says of itself before the place where it stops being JSON.

Belongs here: reading type and id, and in which entry of a Bundle the fault is, and no more than the
text shows: nothing is taken that the fault may have cut, changed or repeated. Why a text can't be
read, and where, is in `fhir/r4/json_faults.py`.
"""

import re
from typing import NamedTuple

import msgspec

_DEEPEST = 128
# From this size a text is not gone through: it would take seconds.
_MOST_BYTES = 16 * 1024**2
_TOKEN = re.compile(rb'[ \t\r\n]*("(?:[^"\\\x00-\x1f]|\\.)*"|[{}\[\],:]|[^\s{}\[\],:"]+)')
_OPENING, _CLOSING = (b"{", b"["), (b"}", b"]")
_decode_text = msgspec.json.Decoder(str).decode


class Shown(NamedTuple):
    """What a text shows before its fault.

    Attributes:
        resource_type: resourceType of the object that it is; None where it is not shown.
        resource_id: its id; None where it is not shown.
        place: `Bundle.entry[3].resource`, where the fault is in an entry of a Bundle; else "".
    """

    resource_type: str | None = None
    resource_id: str | None = None
    place: str = ""


class _Reader:
    """Follows the tokens of a JSON object up to some place.

    Attributes:
        open: the brackets that are open.
        at: of each of them the member's name, or the index, that it is at.
        members: values of the object's own members that are texts, by name.
    """

    def __init__(self) -> None:
        self.open: list[bytes] = []
        self.at: list[str | int] = []
        self.members: dict[str, list[str]] = {}
        self._value: str | None = None
        self._expects_name = False

    def take(self, token: bytes) -> None:
        """Take the next token."""
        if token in _OPENING:
            self.open.append(token)
            self.at.append("" if token == b"{" else 0)
            self._expects_name = token == b"{"
        elif token in _CLOSING:
            self._end_member()
            del self.open[-1:], self.at[-1:]
            self._value = None
        elif token == b",":
            self._end_member()
            self._expects_name = self.open[-1:] == [b"{"]
            if self.at and isinstance(self.at[-1], int):
                self.at[-1] += 1
        elif token != b":":
            text = _decode_text(token) if token.startswith(b'"') else None
            if self._expects_name:
                self.at[-1], self._value = text or "", None
                self._expects_name = False
            else:
                self._value = text

    def _end_member(self) -> None:
        """A member is known once something comes behind its value."""
        if len(self.open) == 1 and isinstance(self.at[0], str) and self._value is not None:
            self.members.setdefault(self.at[0], []).append(self._value)
        self._value = None

    def only(self, name: str) -> str | None:
        """Value of a member; None where it is missing, or there twice."""
        found = self.members.get(name, [])
        return found[0] if len(found) == 1 else None

    def place(self) -> str:
        """Which entry it is at, and whether in its resource."""
        if self.at[:1] != ["entry"] or self.open[1:2] != [b"["]:
            return ""
        within = ".resource" if self.at[2:3] == ["resource"] and len(self.open) > 3 else ""
        return f"Bundle.entry[{self.at[1]}]{within}"


def shown_before(text: bytes, fault: int) -> Shown:
    """Read what a text shows of itself.

    Args:
        text: that is no JSON.
        fault: offset of the byte that no JSON has there; the size of the text where it is cut off.

    Returns:
        Nothing where the text is no object, the object ends before the fault, or it lies 16 MiB or
        more from the beginning.
    """
    reader = _Reader()
    position = 0
    try:
        while fault < _MOST_BYTES and len(reader.open) <= _DEEPEST:
            found = _TOKEN.match(text, position, fault)
            if found is None:
                break
            reader.take(found[1])
            position = found.end()
            if not reader.open:
                return Shown()
    except (msgspec.DecodeError, UnicodeDecodeError):
        pass  # a text that msgspec does not read: that is the fault
    if not reader.open or reader.open[0] != b"{":
        return Shown()
    type_ = reader.only("resourceType")
    return Shown(type_, reader.only("id"), reader.place() if type_ == "Bundle" else "")
