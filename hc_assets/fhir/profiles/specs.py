"""A profile as a tree of demands: what it says about each element and each slice.

Belongs here: the tree, and laying a differential's on its base's. Reading it from a
StructureDefinition belongs to `spec_reading.py`, making checks of it to `compiling.py`.
"""

import sys
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

from hc_assets.fhir.profiles.elements import Member

UNBOUNDED = sys.maxsize


class TypeSpec(NamedTuple):
    """A type that a profile allows, profiles of it, and profiles of what it may refer to."""

    code: str
    profiles: tuple[str, ...] = ()
    targets: tuple[str, ...] = ()


class Discriminator(NamedTuple):
    """How slices are distinguished: the kind of question and the path that it is asked of."""

    kind: str
    path: str


class SlicingSpec(NamedTuple):
    """How an element is sliced.

    Attributes:
        discriminators: how slices are distinguished.
        rules: what values of no slice may be; None where a differential leaves that to its base.
        is_ordered: slices come in order.
        is_implied: the profile doesn't say so itself, and its base may say otherwise.
    """

    discriminators: tuple[Discriminator, ...]
    rules: Literal["closed", "open", "openAtEnd"] | None
    is_ordered: bool
    is_implied: bool = False


class BindingSpec(NamedTuple):
    """A value set that codes are to come from; `is_required` where they must."""

    value_set: str
    is_required: bool


class Constraint(NamedTuple):
    """A rule in FHIRPath; `source` names the definition that it comes from, where known."""

    key: str
    severity: Literal["error", "warning"]
    human: str
    expression: str
    source: str


# Types that say only that an element has elements of its own.
_NESTED = frozenset({"BackboneElement", "Element"})


@dataclass(slots=True, eq=False)
class Spec:
    """What a profile says about an element or a slice of it; None where it says nothing.

    Attributes:
        element_id: its id in the profile.
        name: the element's name, without `[x]`; "" for the root.
        members: the JSON members that R4 gives the element; for a slice by type that type's.
        min: least number of values.
        max: greatest number; UNBOUNDED for `*`.
        types: the types allowed.
        fixed: the only value allowed.
        pattern: the value that must be contained.
        bindings: the value sets.
        constraints: rules in FHIRPath.
        least: minValue[x].
        greatest: maxValue[x].
        max_length: greatest number of characters.
        content_reference: the element whose content this one repeats, such as
            `#Questionnaire.item`; "" for none.
        slicing: how its slices are distinguished.
        children: specs of the elements below, by name.
        slices: specs of its slices, by name, in order.
    """

    element_id: str
    name: str
    members: tuple[Member, ...]
    min: int | None = None
    max: int | None = None
    types: tuple[TypeSpec, ...] | None = None
    fixed: Any = None
    pattern: Any = None
    bindings: tuple[BindingSpec, ...] = ()
    constraints: tuple[Constraint, ...] = ()
    least: Any = None
    greatest: Any = None
    max_length: int | None = None
    content_reference: str = ""
    slicing: SlicingSpec | None = None
    children: "dict[str, Spec]" = field(default_factory=dict)
    slices: "dict[str, Spec]" = field(default_factory=dict)

    @property
    def type_names(self) -> tuple[str, ...]:
        """The R4 types that a value may have; nested elements by their path."""
        if self.types:
            named = [ref.code for ref in self.types if ref.code not in _NESTED]
            if named:
                return tuple(named)
        return tuple(member.type_name for member in self.members)

    @property
    def is_choice(self) -> bool:
        """Whether the element is a choice in R4."""
        return any(member.name != self.name for member in self.members)


def _joined(base: dict[str, Spec], own: dict[str, Spec]) -> dict[str, Spec]:
    found = dict(base)
    for name, spec in own.items():
        found[name] = merged(base[name], spec) if name in base else spec
    return found


def _merged_slicing(base: SlicingSpec | None, own: SlicingSpec | None) -> SlicingSpec | None:
    if base is None or own is None or own.is_implied:
        return base or own
    return SlicingSpec(
        own.discriminators or base.discriminators,
        own.rules or base.rules,
        own.is_ordered or base.is_ordered,
    )


def merged(base: Spec, own: Spec) -> Spec:
    """Lay what a differential says on what its base says.

    Args:
        base: the tree of the base profile, or of one of its elements.
        own: that of the differential; where it says something, it goes before.

    Returns:
        A new tree; the two given stay as they are.
    """
    keys = {rule.key for rule in own.constraints}
    kept = tuple(rule for rule in base.constraints if rule.key not in keys)
    return Spec(
        element_id=own.element_id,
        name=own.name,
        members=own.members,
        min=base.min if own.min is None else own.min,
        max=base.max if own.max is None else own.max,
        types=base.types if own.types is None else own.types,
        fixed=base.fixed if own.fixed is None else own.fixed,
        pattern=base.pattern if own.pattern is None else own.pattern,
        bindings=own.bindings or base.bindings,
        constraints=(*kept, *own.constraints),
        least=base.least if own.least is None else own.least,
        greatest=base.greatest if own.greatest is None else own.greatest,
        max_length=base.max_length if own.max_length is None else own.max_length,
        content_reference=own.content_reference or base.content_reference,
        slicing=_merged_slicing(base.slicing, own.slicing),
        children=_joined(base.children, own.children),
        slices=_joined(base.slices, own.slices),
    )
