"""The tables of an index file, and how values are written in them so that SQL can compare them.

Belongs here: names, columns, order, keys. Rows are made in `rows.py`, files in `runs.py`.
"""

import string
from collections.abc import Mapping
from decimal import Decimal
from functools import cache
from hashlib import sha256

import pyarrow as pa

# Counted up when the same resources give other rows, or when the tables change.
VERSION = "1"

_KEY = [pa.field("key", pa.int64()), pa.field("part", pa.int32())]
_ROW = [pa.field("row", pa.int64())]


def _texts(*names: str) -> list[pa.Field]:
    return [pa.field(name, pa.string()) for name in names]


TABLES: Mapping[str, pa.Schema] = {
    "tokens": pa.schema([*_KEY, *_texts("code", "system", "text"), *_ROW]),
    "texts": pa.schema([*_KEY, *_texts("normal", "exact"), *_ROW]),
    "refs": pa.schema(
        [*_KEY, *_texts("type", "id", "url", "version", "source", "system", "code"), *_ROW]
    ),
    "dates": pa.schema([*_KEY, pa.field("low", pa.int64()), pa.field("high", pa.int64()), *_ROW]),
    "numbers": pa.schema([*_KEY, *_texts("low", "high"), *_ROW]),
    "amounts": pa.schema(
        [
            *_KEY,
            *_texts("low", "high", "system", "code", "unit", "base_unit", "base_low", "base_high"),
            *_ROW,
        ]
    ),
    "uris": pa.schema([*_KEY, *_texts("uri"), *_ROW]),
    # `behind`: by how many rows a resource comes behind the first one of its block
    "resources": pa.schema(
        [*_ROW, *_texts("type", "id", "source"), pa.field("behind", pa.int32())]
    ),
    "contents": pa.schema([*_ROW, pa.field("block", pa.binary())]),
}
ORDER: Mapping[str, str] = {
    "tokens": "key, code, system, text, row, part",
    "texts": "key, normal, exact, row, part",
    "refs": "key, id, type, url, version, source, system, code, row, part",
    "dates": "key, low, high, row, part",
    "numbers": "key, low, high, row, part",
    "amounts": "key, base_unit, base_low, base_high, low, high, system, code, unit, row, part",
    "uris": "key, uri, row, part",
    "resources": "row",
    "contents": "row",
}
TABLE_OF: Mapping[str, str] = {
    "token": "tokens",  # nosec B105
    "string": "texts",
    "reference": "refs",
    "date": "dates",
    "number": "numbers",
    "quantity": "amounts",
    "uri": "uris",
}
BEGINNING, END = -(2**63) + 1, 2**63 - 1  # of time
LEAST, GREATEST = "", "~"  # of numbers
_ZERO_EXPONENT = 50_000
_DIGITS = string.digits + string.ascii_uppercase + string.ascii_lowercase
_BASE = len(_DIGITS)


@cache
def key_of(resource_type: str, code: str) -> int:
    """Number of a parameter of a type: the same in every file, whichever parameters there are."""
    digest = sha256(f"{resource_type}.{code}".encode()).digest()
    return int.from_bytes(digest[:8], "big", signed=True)


def part_of(code: str, component: int) -> str:
    """Name under which the values of one component of a composite are kept."""
    return f"{code}${component}"


def by_type(code: str) -> str:
    """Name under which identifiers are kept for `:of-type`."""
    return f"{code}:of-type"


_COMPLEMENT = str.maketrans("0123456789", "9876543210")


def ordered(value: Decimal) -> str:
    """A number as a text; texts sort as their numbers do, of whatever size and precision.

    >>> sorted(map(ordered, map(Decimal, ["10", "-3", "-3.5", "0", "9.99"])), key=str) == [
    ...     ordered(Decimal(n)) for n in ("-3.5", "-3", "0", "9.99", "10")]
    True
    """
    if not value:
        return "m"
    mantissa, _, exponent = format(value, "e").partition("e")  # with all its digits
    digits = mantissa.replace(".", "").rstrip("0")
    if digits[0] != "-":
        return f"p{_short(_ZERO_EXPONENT + int(exponent))}{digits}"
    return f"d{_short(_ZERO_EXPONENT - int(exponent))}{digits[1:].translate(_COMPLEMENT)}~"


@cache
def _short(number: int) -> str:
    """A number from 0 to 238,327 as three characters, so that digits are among the first eight.

    DuckDB knows the least and the greatest of so many characters, and skips rows by that.
    """
    high, low = divmod(number, _BASE)
    return "".join(_DIGITS[each] for each in (*divmod(high, _BASE), low))
