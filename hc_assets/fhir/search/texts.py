"""Strings, names and addresses as they are searched.

Belongs here: what of an element is searched by text, and what case and accents come to.
"""

import unicodedata
from collections.abc import Iterator
from typing import Any

from hc_assets.fhir.search.values import Text, Uri

_NAME = ("text", "family", "given", "prefix", "suffix")
_ADDRESS = ("text", "line", "city", "district", "state", "postalCode", "country")


def normal(text: str) -> str:
    """A text without case, accents and widths of spaces."""
    if text.isascii():
        folded = text.lower()
    else:
        parts = unicodedata.normalize("NFKD", text.casefold())
        folded = "".join(letter for letter in parts if not unicodedata.combining(letter))
    return " ".join(folded.split())


def of_text(value: Any) -> Iterator[Text]:
    """A string or Markdown."""
    if isinstance(value, str):
        yield Text(normal(value), value)


def _of_members(value: Any, names: tuple[str, ...]) -> Iterator[Text]:
    for name in names:
        part = value.get(name)
        for text in part if isinstance(part, list) else (part,):
            if isinstance(text, str):
                yield Text(normal(text), text)


def of_name(value: Any) -> Iterator[Text]:
    """The parts of a HumanName."""
    return _of_members(value, _NAME)


def of_address(value: Any) -> Iterator[Text]:
    """The parts of an Address."""
    return _of_members(value, _ADDRESS)


def of_uri(value: Any) -> Iterator[Uri]:
    """A URI, URL, OID or canonical."""
    if isinstance(value, str):
        yield Uri(value)
