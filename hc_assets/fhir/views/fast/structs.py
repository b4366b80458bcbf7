"""Structs that hold of a resource what a view needs, and nothing else.

Belongs here: gathering the members, and making msgspec's structs of them. Where JSON is not as the
definitions have it, decoding raises, and the resource goes the general way.
"""

import keyword
from dataclasses import dataclass, field
from functools import cache
from typing import Annotated, Any, Literal

import msgspec

from hc_assets.fhir.fhirpath import TypeView
from hc_assets.fhir.r4.definitions import r4
from hc_assets.fhir.views.path_types import family_of

Kind = Literal["struct", "text", "boolean", "integer", "decimal", "present"]

# What a member is decoded as. Decimals stay the bytes that they are.
_DECODED: dict[Kind, Any] = {
    "text": str,
    "boolean": bool,
    "integer": Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)],  # as columns hold
    "decimal": msgspec.Raw,
    "present": Any,
}


class UnsupportedError(Exception):
    """A view needs what only the general way does; says what."""


@dataclass
class Position:
    """An element at some place of a resource.

    Attributes:
        type_name: of the element, in the definitions.
        members: that are needed, by their name in JSON.
    """

    type_name: str
    members: dict[str, "MemberOf"] = field(default_factory=dict)


@dataclass
class MemberOf:
    """A member of an element.

    Attributes:
        kind: what its values are; `present` where only whether there is one is needed.
        is_list: whether JSON has a list of them.
        below: the element that each value is; None of a primitive.
    """

    kind: Kind
    is_list: bool
    below: Position | None


class Members:
    """All members that a view needs.

    Attributes:
        root: the resource.
        primitives: names of those members whose `_name` siblings would make a difference.
    """

    def __init__(self, types: TypeView, resource: str) -> None:
        self.root = Position(resource)
        self.primitives: set[str] = set()
        self._types = types
        self.need(self.root, "resourceType", "code", is_list=False)

    def of_element(self, type_name: str, element: str) -> dict[str, str]:
        """Members that an element may be in, each with its type; none where there is no such."""
        members = self._types.members(type_name)
        if members is None:
            raise UnsupportedError(f"members of {type_name}")
        return {name: code for name, (of, code) in members.items() if of == element}

    def need(
        self, position: Position, member: str, code: str, *, is_list: bool | None = None
    ) -> MemberOf:
        """Take a member among those that are decoded."""
        kind = family_of(code)
        if kind is None and code in ("", "Resource", "DomainResource"):
            raise UnsupportedError("resources within resources")
        if kind is not None:
            self.primitives.add(member)
        known = position.members.get(member)
        if known is None or known.kind == "present":
            listed = _lists(position.type_name).get(member, False) if is_list is None else is_list
            below = Position(code) if kind is None else None
            known = position.members[member] = MemberOf(kind or "struct", listed, below)
        return known

    def need_presence(self, position: Position, member: str, code: str) -> None:
        """Take a member of which only whether it is there is needed."""
        if family_of(code) is not None:
            self.primitives.add(member)
        listed = _lists(position.type_name).get(member, False)
        position.members.setdefault(member, MemberOf("present", listed, None))

    def decoder(self) -> "msgspec.json.Decoder[Any]":
        """Decoder of the resource with the members that were taken."""
        return msgspec.json.Decoder(_struct(self.root))


@cache
def _lists(type_name: str) -> dict[str, bool]:
    return {
        member: element.is_list
        for element in r4().type(type_name).elements
        if element.types
        for member, _ in element.members()
    }


def attribute(member: str) -> str:
    """Name of a member in Python."""
    return f"{member}_" if keyword.iskeyword(member) else member


def _struct(position: Position) -> type[msgspec.Struct]:
    fields = []
    # In the order of the definitions, which is that of most JSON: msgspec looks there first
    order = {
        name: place for place, name in enumerate(("resourceType", *_lists(position.type_name)))
    }
    listed = sorted(position.members.items(), key=lambda each: order.get(each[0], len(order)))
    for name, member in listed:
        wanted: Any = _DECODED[member.kind] if member.below is None else _struct(member.below)
        if member.is_list and member.kind != "present":
            wanted = list.__class_getitem__(wanted)
        # Alone in msgspec, as it holds whatever there is: null as well
        may_be_null = wanted in (Any, msgspec.Raw)
        fields.append((attribute(name), wanted if may_be_null else wanted | None, None))
    names = {attribute(name): name for name in position.members}
    # Nothing in them refers back to them, so the collector need not look
    return msgspec.defstruct("Needed", fields, rename=names, gc=False)
