"""The extensions that enrichment adds: their URLs, their JSON, and how they get into an element.

Belongs here: text in, text out. What they say is decided in the modules that ask for them; what
they mean is published by `extension_definitions.py`.
"""

from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

SCORE = "data-quality-score"
AGE = "age"
AGE_GROUP = "age-group"
RISK_FACTOR = "demographic-risk-factor"
SIGNIFICANCE = "clinical-significance"
ROW_COUNT = "row-count"
JUDGED_RESOURCE = "judged-resource"
# Those that no rule of enrichment adds: every resource's, and those of our Provenance and of the
# OperationOutcomes that `validate` prints.
WITHOUT_RULE = frozenset({SCORE, ROW_COUNT, JUDGED_RESOURCE})

Members = dict[str, msgspec.Raw]

_decode_members = msgspec.json.Decoder(Members).decode
_decode_list = msgspec.json.Decoder(list[msgspec.Raw]).decode


class _Url(msgspec.Struct):
    url: str = ""


_decode_url = msgspec.json.Decoder(_Url).decode


def url(base: str, name: str) -> str:
    """URL of one of our extensions."""
    return f"{base}/{name}"


def canonical(base: str, kind: str, name: str) -> str:
    """URL of a definition that our extensions rest on, beside that of theirs.

    Args:
        base: that our extensions share.
        kind: CodeSystem, ValueSet or StructureDefinition.
        name: of the definition.
    """
    return f"{base.removesuffix('/StructureDefinition')}/{kind}/{name}"


def extension(base: str, name: str, **value: Any) -> bytes:
    """Write an extension.

    Args:
        base: that our extensions share.
        name: of the extension.
        value: its `value[x]`, or `extension` with the parts of a complex one.
    """
    return msgspec.json.encode({"url": url(base, name), **value})


class Extender:
    """Adds our extensions to elements, and takes away those of an earlier run.

    Attributes:
        signs: a JSON text that holds none of these has none of our extensions.
    """

    def __init__(self, base: str, names: Iterable[str]) -> None:
        """Prepare.

        Args:
            base: URL that our extensions share.
            names: of those that rules add.
        """
        self._urls = frozenset(url(base, name) for name in WITHOUT_RULE.union(names))
        # A slash may be written with a backslash before it: rare enough to look closer then.
        self.signs = (msgspec.json.encode(f"{base}/")[1:-1], rb"\/")

    def may_be_in(self, text: bytes) -> bool:
        """Whether some of our extensions may be in a JSON text; quick."""
        return any(sign in text for sign in self.signs)

    def strip(self, members: Members) -> Members:
        """Return an element without our extensions, nor an empty list in their place."""
        if "extension" not in members:
            return members
        there = _decode_list(members["extension"])
        kept = [raw for raw in there if _decode_url(raw).url not in self._urls]
        if len(kept) == len(there):
            return members
        if kept:
            return {**members, "extension": listed(kept)}
        return {name: raw for name, raw in members.items() if name != "extension"}

    def strip_each(self, elements: msgspec.Raw) -> msgspec.Raw:
        """Return a list of elements without our extensions in them."""
        return listed(
            msgspec.json.encode(self.strip(_decode_members(raw))) for raw in _decode_list(elements)
        )


def extend(members: Members, extensions: Iterable[bytes]) -> None:
    """Append extensions to an element that has none of ours."""
    added = b",".join(extensions)
    there = members.get("extension")
    if there is None:
        members["extension"] = msgspec.Raw(b"[%b]" % added)
    else:
        members["extension"] = msgspec.Raw(b"%b,%b]" % (bytes(there)[:-1], added))


def extend_each(elements: msgspec.Raw, extensions: Iterable[Sequence[bytes]]) -> msgspec.Raw:
    """Append extensions to the elements of a list, to each its own."""
    made = []
    for raw, added in zip(_decode_list(elements), extensions, strict=True):
        if not added:
            made.append(bytes(raw))
        else:
            members = _decode_members(raw)
            extend(members, added)
            made.append(msgspec.json.encode(members))
    return listed(made)


def listed(elements: Iterable[bytes | msgspec.Raw]) -> msgspec.Raw:
    """Write a list of elements."""
    return msgspec.Raw(b"[%b]" % b",".join(bytes(each) for each in elements))
