"""What holds for JSON text before any definition is looked at: syntax, nesting, names.

Belongs here: bytes to values without loss, in bounded time and memory. What the values mean belongs
to `walker.py`.
"""

import json
import re
from collections import Counter
from decimal import Decimal, InvalidOperation
from itertools import accumulate
from typing import Any, NamedTuple

import msgspec

from hc_assets.fhir.r4.json_faults import words

# Objects and arrays inside one another, counted from the document's root: more than any resource in
# use has, and far from the interpreter's own limit, which depends on the caller.
MAX_DEPTH = 128
# A document of more bytes is refused unread; bundles of that size should be NDJSON.
MAX_BYTES = 512 * 1024**2
# R4 sets no bounds to a decimal. These are far from any measurement (the exponent is that of IEEE
# 754's decimal128), and near enough that every calculation with such a number ends.
MAX_DIGITS = 4096
MAX_EXPONENT = 6144

_STRING = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"', re.DOTALL)
_STRING_OR_DIGITS = re.compile(_STRING.pattern + rb"|[0-9]{%d,}" % MAX_DIGITS, re.DOTALL)
_NOT_BRACKETS = bytes(set(range(256)) - set(b"[]{}"))
_STEP = {ord("["): 1, ord("{"): 1, ord("]"): -1, ord("}"): -1}


class JsonProblem(Exception):  # noqa: N818 - reported to the caller as an issue
    """Why a text can't be read as JSON; `rule` is `json-syntax`, `nesting` or `size`."""

    def __init__(self, rule: str, text: str) -> None:
        super().__init__(text)
        self.rule = rule
        self.text = text


class OutOfRange(Decimal):
    """Stands for a number beyond `MAX_DIGITS` or `MAX_EXPONENT`; its own value means nothing."""


class Document(NamedTuple):
    """A text taken apart.

    Attributes:
        root: the value: dict, list, str, int, Decimal, bool or None; no float. A number that is
            out of range is an `OutOfRange`.
        repeated: objects in which a member name comes twice, and the names, by `id()`.
    """

    root: Any
    repeated: dict[int, tuple[Any, list[str]]]


def exceeds_depth(raw: bytes, limit: int = MAX_DEPTH) -> bool:
    """Whether objects and arrays are nested deeper than a limit.

    Args:
        raw: JSON text; of a text that is no JSON the answer means nothing.
        limit: levels that are allowed.
    """
    if raw.count(b"{") + raw.count(b"[") <= limit:
        return False
    brackets = _STRING.sub(b"", raw).translate(None, _NOT_BRACKETS)
    return max(accumulate(map(_STEP.__getitem__, brackets)), default=0) > limit


def read_document(raw: bytes) -> Document:
    """Take a JSON text apart without loss.

    Args:
        raw: any bytes.

    Returns:
        Values and repeated member names.

    Raises:
        JsonProblem: the bytes are no JSON text, or too deep or too large to be taken apart.
    """
    check_text(raw)
    # The objects are kept with their ids, or one that a repeated name displaced could lend its id
    # to another.
    repeated: dict[int, tuple[Any, list[str]]] = {}

    def pairs(members: list[tuple[str, Any]]) -> dict[str, Any]:
        result = dict(members)
        if len(result) != len(members):
            count = Counter(name for name, _ in members)
            repeated[id(result)] = (result, [name for name in count if count[name] > 1])
        return result

    root = json.loads(raw, object_pairs_hook=pairs, parse_float=_decimal, parse_int=_integer)
    return Document(root, repeated)


def check_text(raw: bytes) -> None:
    """Look whether a text can be taken apart.

    Args:
        raw: any bytes.

    Raises:
        JsonProblem: as `read_document`.
    """
    if len(raw) > MAX_BYTES:
        raise JsonProblem("size", f"{len(raw)} bytes, expected at most {MAX_BYTES}")
    if exceeds_depth(raw):
        raise JsonProblem("nesting", f"objects and arrays nested deeper than {MAX_DEPTH} levels")
    try:
        # msgspec's grammar is the judge; the standard library, which is laxer, only adds the
        # repeated names, which msgspec drops in silence.
        _check_syntax(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise JsonProblem("json-syntax", f"not JSON: {words(error, raw)}") from None


_STRICT = msgspec.json.Decoder(float_hook=str)


def _check_syntax(raw: bytes) -> None:
    try:
        _STRICT.decode(raw)
    except msgspec.ValidationError:
        # An integer of more digits than Python converts. The first two say whether it is JSON.
        _STRICT.decode(_STRING_OR_DIGITS.sub(_shortened, raw))


def _shortened(match: re.Match[bytes]) -> bytes:
    return match[0] if match[0].startswith(b'"') else match[0][:2]


def _decimal(text: str) -> Decimal:
    if len(text) > MAX_DIGITS:
        return OutOfRange()
    try:
        number = Decimal(text)
    except InvalidOperation:  # an exponent that no Decimal has
        return OutOfRange()
    return number if -MAX_EXPONENT <= number.adjusted() <= MAX_EXPONENT else OutOfRange()


def _integer(text: str) -> int | Decimal:
    return int(text) if len(text) <= MAX_DIGITS else OutOfRange()
