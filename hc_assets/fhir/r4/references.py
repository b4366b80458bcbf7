"""What Reference.reference may look like, and which resource type it names.

Belongs here: the form of one reference. Whether it resolves inside a resource or a bundle belongs
to `fhir/r4/rules/resource_rules.py` and `fhir/r4/rules/bundle_references.py`.
"""

import re
from functools import cache
from typing import Literal, NamedTuple

from hc_assets.fhir.r4.definitions import r4

_ID = r"[A-Za-z0-9\-.]+"
_MAX_ID = 64
_UUID = r"[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}"
_OID = r"[0-2](?:\.(?:0|[1-9][0-9]*))+"

ReferenceKind = Literal["fragment", "relative", "absolute", "urn", "conditional", "other"]


class ParsedReference(NamedTuple):
    """A reference taken apart.

    Attributes:
        kind: fragment (#id), relative (Patient/1), absolute (http://.../Patient/1), urn,
            conditional (Patient?identifier=1), other (an absolute URI of another shape).
        resource_type: the resource type that it names; "" where it names none.
        resource_id: the id that it names; "" where it names none.
        version: the version that it names; "" where it names none.
    """

    kind: ReferenceKind
    resource_type: str = ""
    resource_id: str = ""
    version: str = ""

    @property
    def has_long_id(self) -> bool:
        """Whether an id is longer than R4 allows, which is all that is wrong with it."""
        return self.kind == "relative" and max(len(self.resource_id), len(self.version)) > _MAX_ID


def _type_names(targets: tuple[str, ...]) -> str:
    return "|".join(targets or sorted(r4().resource_names))


@cache
def _restful() -> re.Pattern[str]:
    names = _type_names(())
    return re.compile(
        rf"(?P<base>[A-Za-z][A-Za-z0-9+.-]*://[^ \t\r\n?#]+/)?(?P<type>{names})/(?P<id>{_ID})"
        rf"(?:/_history/(?P<version>{_ID}))?(?:#[^ \t\r\n]*)?"
    )


@cache
def _conditional() -> re.Pattern[str]:
    return re.compile(
        rf"(?:[A-Za-z][A-Za-z0-9+.-]*://[^ \t\r\n?#]+/)?(?P<type>{_type_names(())})\?[^ \t\r\n]+"
    )


# What a request's url names a resource by, and nothing around it: no query, version or server.
_TYPE_AND_ID = re.compile(rf"([A-Z][A-Za-z]*)/({_ID})")


def type_and_id(url: str) -> tuple[str, str] | None:
    """The type and id that a url is, whether R4 has the type or not; None for any other."""
    named = _TYPE_AND_ID.fullmatch(url)
    return (named[1], named[2]) if named else None


def names_another(url: str, resource_type: str | None, resource_id: str | None) -> bool:
    """Whether the url of an update names another resource than the update carries.

    Args:
        url: of the request.
        resource_type: of the resource that it carries; None for an unknown one.
        resource_id: of that; None where it has none, and gets the one that the url names.
    """
    named = type_and_id(url)
    if named is None and (url.startswith("/") or "://" in url):
        named = type_and_id("/".join(url.split("/")[-2:]))
    return named is not None and (named[0] != resource_type or resource_id not in (None, named[1]))


_ABSOLUTE = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:[^ \t\r\n]+")
_URN_UUID = re.compile(rf"urn:uuid:{_UUID}")
_URN_OID = re.compile(rf"urn:oid:{_OID}")


def parse_reference(text: str) -> ParsedReference | None:
    """Take a reference apart.

    Args:
        text: the value of Reference.reference.

    Returns:
        Its parts; None where it is neither a fragment, nor a URL or URN, nor a resource type with
        an id.
    """
    if text.startswith("#"):
        return ParsedReference("fragment", resource_id=text[1:])
    restful = _restful().fullmatch(text)
    if restful is not None:
        if restful["base"] and max(len(restful["id"]), len(restful["version"] or "")) > _MAX_ID:
            return ParsedReference("other")
        return ParsedReference(
            "absolute" if restful["base"] else "relative",
            restful["type"],
            restful["id"],
            restful["version"] or "",
        )
    if text.startswith("urn:uuid:"):
        return ParsedReference("urn") if _URN_UUID.fullmatch(text) else None
    if text.startswith("urn:oid:"):
        return ParsedReference("urn") if _URN_OID.fullmatch(text) else None
    conditional = _conditional().fullmatch(text)
    if conditional is not None:
        return ParsedReference("conditional", conditional["type"])
    return ParsedReference("other") if _ABSOLUTE.fullmatch(text) else None
