"""How an extension of ours, and the codes that it uses, are described for publication.

Belongs here: the description alone. Which extensions there are is in `rules.py`; the
StructureDefinitions that follow are written by `extension_definitions.py`.
"""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class ExtensionValue:
    """A value that an extension, or a part of one, has.

    Attributes:
        types: FHIR types of `value[x]`.
        short: what it says.
        minimum: how often at least.
        value_set: the required one: canonical URL, or name of a `CodeSystem` of ours; "" for none.
    """

    types: tuple[str, ...]
    short: str
    minimum: int = 1
    value_set: str = ""


@dataclass(frozen=True)
class ExtensionDefinition:
    """An extension: where it stands, what it says, and its value or its parts."""

    name: str
    title: str
    description: str
    contexts: tuple[str, ...]
    content: ExtensionValue | Mapping[str, ExtensionValue]
    maximum: str = "1"


@dataclass(frozen=True)
class CodeSystem:
    """A code system: name, title, and each code with its display and its meaning."""

    name: str
    title: str
    codes: tuple[tuple[str, str, str], ...]
