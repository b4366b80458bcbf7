"""A member that an object has twice, however its name is spelled: which one is meant can't be told.

Belongs here: looking for them around the resources of a Bundle. Within a resource they are found by
validation (`fhir/r4/json_text.py`).
"""

import json
from collections.abc import Iterable, Sequence

import msgspec
import numpy as np

# Names that say nothing of a patient, whoever wrote them.
_NAMES = frozenset(
    {
        *("resourceType", "id", "meta", "identifier", "type", "timestamp", "total", "link"),
        *("entry", "fullUrl", "resource", "search", "request", "response", "method", "url"),
        *("ifNoneMatch", "ifModifiedSince", "ifMatch", "ifNoneExist", "status", "lastModified"),
    }
)


class RepeatedNameError(Exception):
    """An object has two members of one name; the text names the object and no patient."""


def without(text: bytes, parts: Sequence[msgspec.Raw]) -> bytes:
    """A JSON text with `null` in place of some of its values.

    Args:
        text: JSON.
        parts: values in it, none in another, as msgspec decoded them: they are views of the text.
    """
    return replaced(text, [(part, b"null") for part in parts]) if parts else text


def replaced(text: bytes, parts: Iterable[tuple[msgspec.Raw, bytes]]) -> bytes:
    """A JSON text with others in place of some of its values.

    Args:
        text: JSON.
        parts: values in it, as for `without`, and what takes the place of each.
    """
    begin = _address(text)
    kept = []
    at = 0
    for start, size, other in sorted(
        (_address(part) - begin, len(memoryview(part)), other) for part, other in parts
    ):
        kept += [text[at:start], other]
        at = start + size
    return b"".join([*kept, text[at:]])


def _address(text: bytes | msgspec.Raw) -> int:
    address: int = np.frombuffer(text, np.uint8).__array_interface__["data"][0]
    return address


def refuse_repeated(text: bytes, place: str) -> None:
    """Refuse a JSON text in which an object, at any depth, has two members of one name.

    Decoders keep the last of them and drop the others in silence.

    Args:
        text: valid JSON.
        place: what it is, for the reason.

    Raises:
        RepeatedNameError: there is one.
        RecursionError: it is nested deeper than the interpreter can go.
    """

    def members(pairs: list[tuple[str, object]]) -> None:
        if len(pairs) > 1:
            names = [name for name, _ in pairs]
            if len(set(names)) < len(names):
                raise RepeatedNameError(_reason(place, names))

    plain = text.decode(errors="replace")
    json.loads(plain, object_pairs_hook=members, parse_int=str, parse_float=str)


def _reason(place: str, names: list[str]) -> str:
    name = next(name for name in names if names.count(name) > 1)
    return f"{place} says {f'`{name}`' if name in _NAMES else 'a member'} twice"
