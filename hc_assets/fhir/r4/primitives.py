"""The primitive types: which JSON values they take, as patterns that both validation paths share.

Belongs here: form and range of single values. Which codes an element allows belongs to
`bindings.py`, what a reference may look like to `references.py`.
"""

import binascii
import re
from decimal import Decimal
from typing import Literal

from hc_assets.fhir.r4.json_text import MAX_DIGITS, MAX_EXPONENT, OutOfRange

# A string holds at most 1024 * 1024 characters (R4, datatypes: string).
MAX_STRING_LENGTH = 1024 * 1024
INTEGER_MIN, INTEGER_MAX = -(2**31), 2**31 - 1

# Days that exist: 31-day months, 30-day months, February, and 29 February of leap years. HL7's own
# pattern lets 30 February pass; the text of the standard says that dates must be valid.
_YEAR = r"(?!0000)[0-9]{4}"
_MONTH = r"(?:0[1-9]|1[0-2])"
_LEAP_YEAR = r"(?:[0-9]{2}(?:0[48]|[2468][048]|[13579][26])|(?:0[48]|[2468][048]|[13579][26])00)"
_FULL_DATE = (
    rf"(?:{_YEAR}-(?:(?:0[13578]|1[02])-(?:0[1-9]|[12][0-9]|3[01])"
    r"|(?:0[469]|11)-(?:0[1-9]|[12][0-9]|30)"
    r"|02-(?:0[1-9]|1[0-9]|2[0-8]))"
    rf"|{_LEAP_YEAR}-02-29)"
)
_TIME = r"(?:[01][0-9]|2[0-3]):[0-5][0-9]:(?:[0-5][0-9]|60)(?:\.[0-9]+)?"
_ZONE = r"(?:Z|[+-](?:(?:0[0-9]|1[0-3]):[0-5][0-9]|14:00))"

_REST = r"[^ \t\r\n]"
_UUID_LOWER = r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"
_UUID_ANY = r"[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}"
_OID = r"[0-2](?:\.(?:0|[1-9][0-9]*))+"
# After a URN's own part: the version of a canonical URL, a query or a fragment (RFC 8141).
_URN_END = rf"(?:[|?#]{_REST}*)?\Z"
# URNs of UUIDs and OIDs have the form of these (R4, datatypes: uri); without `urn:` in front they
# are not absolute. HL7 publishes UUIDs in capitals, which `has_capital_uuid` tells, and a canonical
# URL with an OID that is only sketched.
_NOT_BARE = r"(?!oid:|uuid:)"
_GOOD_UUID = rf"(?!urn:uuid:(?!{_UUID_ANY}{_URN_END}))"
_GOOD_OID = rf"(?!urn:oid:(?!{_OID}{_URN_END}))"
_CANONICAL = rf"{_NOT_BARE}{_GOOD_UUID}{_REST}+"
_URI = rf"{_GOOD_OID}{_CANONICAL}"

# Anchored at both ends, with \Z because $ lets a newline follow. XML's white space, not Unicode's:
# the standard's \s is that of its XML schema.
PATTERNS: dict[str, str] = {
    "canonical": rf"\A{_CANONICAL}\Z",
    # HL7's pattern has any white space; its text says that there is none but single spaces.
    "code": r"\A[^ \t\r\n]+(?: [^ \t\r\n]+)*\Z",
    "date": rf"\A(?:{_FULL_DATE}|{_YEAR}(?:-{_MONTH})?)\Z",
    "dateTime": rf"\A(?:{_FULL_DATE}(?:T{_TIME}{_ZONE})?|{_YEAR}(?:-{_MONTH})?)\Z",
    "id": r"\A[A-Za-z0-9\-.]{1,64}\Z",
    "instant": rf"\A{_FULL_DATE}T{_TIME}{_ZONE}\Z",
    "oid": rf"\Aurn:oid:{_OID}\Z",
    "time": rf"\A{_TIME}\Z",
    "uri": rf"\A{_URI}\Z",
    "url": rf"\A{_URI}\Z",
    "uuid": rf"\Aurn:uuid:{_UUID_LOWER}\Z",
}
INTEGER_RANGES: dict[str, tuple[int, int]] = {
    "integer": (INTEGER_MIN, INTEGER_MAX),
    "positiveInt": (1, INTEGER_MAX),
    "unsignedInt": (0, INTEGER_MAX),
}
_EXPECTED = {
    "canonical": "a URI without white space; after urn:uuid: a UUID",
    "code": "a code without leading, trailing or double white space",
    "date": "a calendar date YYYY, YYYY-MM or YYYY-MM-DD",
    "dateTime": "a calendar date, or date and time with seconds and time zone",
    "id": "1 to 64 characters of A-Z, a-z, 0-9, - and .",
    "instant": "a date and time with seconds and time zone",
    "oid": "urn:oid: and a dotted object identifier",
    "time": "a time of day hh:mm:ss",
    "uri": "a URI without white space; after urn:uuid: a UUID, after urn:oid: an OID",
    "url": "a URL without white space; after urn:uuid: a UUID, after urn:oid: an OID",
    "uuid": "urn:uuid: and a UUID in lower case",
}
_COMPILED = {name: re.compile(pattern) for name, pattern in PATTERNS.items()}
# White space stands between groups of four (R4, datatypes: base64Binary).
_BASE64_GROUPS = re.compile(r"(?:[ \t\r\n]*[A-Za-z0-9+/=]{4})+[ \t\r\n]*")
_NO_WHITE_SPACE = {ord(character): None for character in " \t\r\n"}
_LONG_ID = re.compile(r"[A-Za-z0-9\-.]{65,}")
_CAPITAL_UUID = re.compile(r"\Aurn:uuid:[0-9a-f-]*[A-F]")
_CONTROL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f]")

JsonKind = Literal["boolean", "number", "string"]


def json_kind(type_name: str) -> JsonKind:
    """The JSON type that a primitive type is written as."""
    if type_name == "boolean":
        return "boolean"
    return "number" if type_name == "decimal" or type_name in INTEGER_RANGES else "string"


def kind_of(value: object) -> str:
    """The JSON type of a decoded value, in words."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, int | Decimal):
        return "number"
    if isinstance(value, str):
        return "string"
    return "array" if isinstance(value, list) else "object"


def has_control_characters(text: str) -> bool:
    """Whether a text holds characters that XML can't carry (below U+0020 but tab and line ends)."""
    return _CONTROL.search(text) is not None


def has_capital_uuid(text: str) -> bool:
    """Whether a URI is the URN of a UUID with capitals in it; R4 asks for small letters."""
    return _CAPITAL_UUID.match(text) is not None


def is_only_too_long(value: object) -> bool:
    """Whether a value is an id but for its length."""
    return isinstance(value, str) and _LONG_ID.fullmatch(value) is not None


def is_absolute(url: str) -> bool:
    """Whether a URL begins with a scheme."""
    scheme, colon, rest = url.partition(":")
    begins = scheme[:1].isascii() and scheme[:1].isalpha()  # RFC 3986, 3.1
    return bool(colon and rest and begins) and "/" not in scheme


def _integer_problem(type_name: str, value: int | Decimal) -> str | None:
    least, greatest = INTEGER_RANGES[type_name]
    if isinstance(value, Decimal):
        return "a number with a fraction or an exponent, expected a whole number"
    if not least <= value <= greatest:
        return f"a number out of range, expected {least} to {greatest}"
    return None


def base64_bytes(value: str) -> bytes | None:
    """The bytes that a base64Binary stands for; None where it is not valid."""
    if value and _BASE64_GROUPS.fullmatch(value) is None:
        return None
    try:
        packed = value.translate(_NO_WHITE_SPACE).encode("ascii")
        return binascii.a2b_base64(packed, strict_mode=True)
    except (UnicodeEncodeError, binascii.Error):
        return None


def format_problem(type_name: str, value: bool | int | Decimal | str) -> str | None:
    """Check a value of the right JSON type against its primitive type.

    Args:
        type_name: name of the primitive type.
        value: the decoded value; of the JSON type that `json_kind` names.

    Returns:
        What was found and what was expected, without the value itself; None where it is valid.
    """
    if isinstance(value, bool):
        return None
    if isinstance(value, OutOfRange):
        return (
            f"a number of more than {MAX_DIGITS} digits, or with an exponent beyond {MAX_EXPONENT}"
        )
    if isinstance(value, int | Decimal):
        return None if type_name == "decimal" else _integer_problem(type_name, value)
    if not value:
        return "an empty string, expected a value or no member at all"
    if type_name == "base64Binary":
        return None if base64_bytes(value) is not None else "not valid base64"
    if type_name != "xhtml" and len(value) > MAX_STRING_LENGTH:
        return f"{len(value)} characters, expected at most {MAX_STRING_LENGTH}"
    pattern = _COMPILED.get(type_name)
    if pattern is not None and pattern.match(value) is None:
        return f"not in the format of {type_name}, expected {_EXPECTED[type_name]}"
    return None
