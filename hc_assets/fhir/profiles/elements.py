"""What R4 itself says about the elements that a profile refers to.

Belongs here: names, JSON members and types of a type's elements, looked up once. What a profile
demands of them belongs to `specs.py`.
"""

from functools import cache
from typing import NamedTuple

from hc_assets.fhir.fhirpath import TypeView
from hc_assets.fhir.r4.definitions import Element, r4
from hc_assets.fhir.r4.walker import members_of

CORE = "http://hl7.org/fhir/StructureDefinition/"


class Member(NamedTuple):
    """A JSON member that an element may be in.

    Attributes:
        name: its name.
        type_name: the type of its values.
        sibling: for a primitive type the member that holds ids and extensions; else "".
    """

    name: str
    type_name: str
    sibling: str = ""


class CoreElement(NamedTuple):
    """An element of an R4 type.

    Attributes:
        element: the element.
        members: its JSON members; several for a choice.
        by_name: the members by their names and by their siblings' names.
    """

    element: Element
    members: tuple[Member, ...]
    by_name: dict[str, Member]


@cache
def type_view() -> TypeView:
    """R4's types for FHIRPath."""
    return TypeView(r4())


@cache
def elements_of(type_name: str) -> dict[str, CoreElement]:
    """The elements of a type by name, without `[x]`; none for a type that R4 doesn't have."""
    if type_name not in r4().type_names:
        return {}
    members: dict[str, list[Member]] = {}
    for name, member in members_of(type_name).items():
        members.setdefault(member.element.name, []).append(
            Member(name, member.ref.code, f"_{name}" if member.is_primitive else "")
        )
    found = {}
    for element in r4().type(type_name).elements:
        own = tuple(members[element.name])
        by_name = {name: one for one in own for name in (one.name, one.sibling) if name}
        found[element.name] = CoreElement(element, own, by_name)
    return found


@cache
def choice_of(type_name: str, member: str) -> tuple[str, str] | None:
    """The choice element and the type that a JSON member stands for: `valueQuantity`.

    Returns:
        For example (`value`, `Quantity`); None where the type has no such choice.
    """
    if type_name not in r4().type_names:
        return None
    found = members_of(type_name).get(member)
    if found is None or not found.element.is_choice:
        return None
    return found.element.name, found.ref.code


def is_a(type_name: str, ancestor: str) -> bool:
    """Whether a type is another or specialises it."""
    return type_view().is_a(type_name, ancestor)


def core_type(url: str) -> str | None:
    """The R4 type that a canonical URL names, with or without version; None where it names none."""
    plain = url.partition("|")[0]
    name = plain.removeprefix(CORE)
    return name if name != plain and name in r4().type_names else None
