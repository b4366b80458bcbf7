"""Codes, identifiers and what else is searched like them.

Belongs here: the tokens of each type of element.
"""

from collections.abc import Callable, Iterator
from typing import Any

from hc_assets.fhir.search.values import Token


def of_code(system: str | None) -> Callable[[Any], Iterator[Token]]:
    """The token of a code.

    Args:
        system: of the element's codes, by its binding; None where they are of several.
    """

    def convert(value: Any) -> Iterator[Token]:
        if isinstance(value, str):
            yield Token(system, value)

    return convert


def of_boolean(value: Any) -> Iterator[Token]:
    """`true` or `false`."""
    if isinstance(value, bool):
        yield Token(None, "true" if value else "false")


def of_coding(value: Any) -> Iterator[Token]:
    """A Coding."""
    yield Token(value.get("system"), value.get("code"), value.get("display"))


def of_concept(value: Any) -> Iterator[Token]:
    """The codings of a CodeableConcept, and its text."""
    for coding in value.get("coding", ()):
        yield Token(coding.get("system"), coding.get("code"), coding.get("display"))
    if (text := value.get("text")) is not None:
        yield Token(None, None, text)


def of_identifier(value: Any) -> Iterator[Token]:
    """An Identifier, with the types that `:of-type` asks for."""
    kind = value.get("type") or {}
    types = tuple((each.get("system"), each.get("code")) for each in kind.get("coding", ()))
    yield Token(value.get("system"), value.get("value"), kind.get("text"), types)


def of_contact(value: Any) -> Iterator[Token]:
    """A ContactPoint's value; what it is reached by is no code system."""
    if (number := value.get("value")) is not None:
        yield Token(None, number)
