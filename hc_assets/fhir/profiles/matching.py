"""When a value is the one that a profile fixes, or contains the pattern that it gives.

Belongs here: fixed[x] and pattern[x] on decoded JSON. Which elements they stand on belongs to
`specs.py`; telling the user belongs to `value_checks.py`.
"""

from decimal import Decimal
from typing import Any

import msgspec

_CLIP = 120
_ENCODER = msgspec.json.Encoder(decimal_format="number")


def is_number(value: Any) -> bool:
    """Whether a decoded JSON value is a number; Python's booleans aren't."""
    return isinstance(value, int | Decimal) and not isinstance(value, bool)


def _is_same(value: Any, wanted: Any) -> bool:
    """Whether two values that are no objects or arrays are the same; 1.0 and 1.00 are."""
    if is_number(wanted):
        return is_number(value) and bool(value == wanted)
    return type(value) is type(wanted) and bool(value == wanted)


def is_fixed(value: Any, wanted: Any) -> bool:
    """Whether a value is exactly the wanted one: all members and no others, arrays in order."""
    if isinstance(wanted, dict):
        return (
            isinstance(value, dict)
            and value.keys() == wanted.keys()
            and all(is_fixed(value[name], part) for name, part in wanted.items())
        )
    if isinstance(wanted, list):
        return (
            isinstance(value, list)
            and len(value) == len(wanted)
            and all(map(is_fixed, value, wanted))
        )
    return _is_same(value, wanted)


def has_pattern(value: Any, wanted: Any) -> bool:
    """Whether a value contains the wanted one.

    Every member of the pattern is there; every entry of an array in it is matched by some entry of
    the value's, in any order; what is no object or array is the same.
    """
    if isinstance(wanted, dict):
        return isinstance(value, dict) and all(
            name in value and has_pattern(value[name], part) for name, part in wanted.items()
        )
    if isinstance(wanted, list):
        return isinstance(value, list) and all(
            any(has_pattern(one, part) for one in value) for part in wanted
        )
    return _is_same(value, wanted)


def as_json(wanted: Any) -> str:
    """A value of a profile as JSON, short enough for a line."""
    text = _ENCODER.encode(wanted).decode()
    return text if len(text) <= _CLIP else f"{text[:_CLIP]}..."
