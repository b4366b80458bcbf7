"""References as they are searched: by type and id, by URL, by identifier.

Belongs here: what a reference says of its target without looking it up.
"""

import re
from collections.abc import Iterator
from typing import Any

from hc_assets.fhir.search.values import Reference

_RELATIVE = re.compile(r"([A-Z][A-Za-z]*)/([A-Za-z0-9\-.]{1,64})(?:/_history/([^/]+))?")
_ABSOLUTE = re.compile(
    r"([A-Za-z][A-Za-z0-9+.\-]*:.*/([A-Z][A-Za-z]*)/[A-Za-z0-9\-.]{1,64})(?:/_history/([^/]+))?"
)


def of_reference(value: Any) -> Iterator[Reference]:
    """A Reference; one that has neither text nor identifier is not searched."""
    stated = value.get("type")
    given = value.get("identifier")
    identifier = None if given is None else (given.get("system"), given.get("value"))
    text = value.get("reference")
    if not isinstance(text, str):
        if identifier is not None:
            yield Reference(stated, None, identifier=identifier)
        return
    if match := _RELATIVE.fullmatch(text):
        yield Reference(match[1], match[2], match[3], None, identifier)
    elif match := _ABSOLUTE.fullmatch(text):
        yield Reference(match[2], None, match[3], match[1], identifier)
    else:
        yield Reference(stated, None, None, text, identifier)


def of_canonical(value: Any) -> Iterator[Reference]:
    """A canonical or URI that stands for a resource, with or without a version."""
    if isinstance(value, str):
        url, _, version = value.partition("|")
        yield Reference(None, None, version or None, url)


def of_resource(value: Any) -> Iterator[Reference]:
    """A resource within another one, such as the first of a document."""
    type_, id_ = value.get("resourceType"), value.get("id")
    if isinstance(type_, str) and isinstance(id_, str):
        yield Reference(type_, id_)


def type_of(value: Any, root: Any) -> str | None:
    """The type of the resource that a Reference names, as far as it and its resource say it.

    Args:
        value: the Reference.
        root: the resource that it stands in, whose contained resources it may name.
    """
    text = value.get("reference")
    if isinstance(text, str):
        if match := _RELATIVE.fullmatch(text):
            return match[1]
        if text.startswith("#"):
            for contained in root.get("contained", ()):
                if contained.get("id") == text[1:]:
                    found: str | None = contained.get("resourceType")
                    return found
        elif match := _ABSOLUTE.fullmatch(text):
            return match[2]
    stated: str | None = value.get("type")
    return stated
