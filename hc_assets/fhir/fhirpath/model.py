"""What FHIRPath looks at: nodes of decoded JSON with their types, and the setting of an evaluation.

Belongs here: the way from a node to its members and children, with choice elements and primitives'
`_name` siblings. What operators and functions do with nodes belongs to the other fhirpath modules.
"""

from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any

from hc_assets.fhir.fhirpath.values import Quantity, Temporal
from hc_assets.fhir.r4.definitions import Definitions

# What `type()` gives; its members are strings.
TYPE_INFO = "TypeInfo"
_ANY_RESOURCE = frozenset({"Resource", "DomainResource"})


@dataclass(slots=True, eq=False)
class Node:
    """One value of an element.

    Attributes:
        value: JSON as decoded with decimals kept (dict, str, bool, int, Decimal); None for a
            primitive that has extensions or an id alone.
        type_name: its type: a name in the definitions; for a nested element the path that defines
            it (`Observation.component`); "" where it isn't known.
        extra: the JSON object of the primitive's `_name` sibling, or None.
    """

    value: Any
    type_name: str
    extra: dict[str, Any] | None = None


Item = Node | str | bool | int | Decimal | Temporal | Quantity
Collection = list[Item]


class TypeView:
    """What navigation asks of the definitions, each answer worked out once."""

    def __init__(self, definitions: Definitions) -> None:
        """Look at a table of definitions; types are read from it as they are met."""
        self._definitions = definitions
        self._members: dict[str, dict[str, tuple[str, str]] | None] = {
            TYPE_INFO: {name: (name, "string") for name in ("namespace", "name")}
        }
        self._choices: dict[tuple[str, str], frozenset[str] | None] = {}
        self._bases: dict[str, frozenset[str]] = {}

    def members(self, type_name: str) -> Mapping[str, tuple[str, str]] | None:
        """JSON member names of a type, each with the element that it stands for and its type.

        Returns:
            For Observation, among others, `valueQuantity` -> (`value`, `Quantity`); None for a type
            that the definitions don't have.
        """
        try:
            return self._members[type_name]
        except KeyError:
            return self._members.setdefault(type_name, self._read_members(type_name))

    def _read_members(self, type_name: str) -> dict[str, tuple[str, str]] | None:
        if type_name not in self._definitions.type_names:
            return None
        return {
            member: (element.name, reference.code)
            for element in self._definitions.type(type_name).elements
            if element.types
            for member, reference in element.members()
        }

    def choice(self, type_name: str, element: str) -> frozenset[str] | None:
        """Members that a choice element may be in, with their `_name` siblings.

        Returns:
            None where the type has no choice element of that name.
        """
        key = type_name, element
        try:
            return self._choices[key]
        except KeyError:
            members = self.members(type_name) or {}
            found = {m for m, (name, _) in members.items() if name == element and m != element}
            both = frozenset(found | {f"_{member}" for member in found}) or None
            return self._choices.setdefault(key, both)

    def is_a(self, type_name: str, ancestor: str) -> bool:
        """Whether a type is another or specialises it; an unknown one is only its name."""
        bases = self._bases.get(type_name)
        if bases is None:
            known = type_name in self._definitions.type_names
            bases = frozenset(self._definitions.bases(type_name) if known else (type_name,))
            self._bases[type_name] = bases
        return ancestor in bases

    def step(self, items: Collection, name: str) -> Collection:
        """All values of an element of that name, over all items, in document order.

        Args:
            items: where to look; items without members add nothing.
            name: the element's name; for a choice element without its type.
        """
        found: Collection = []
        for item in items:
            if isinstance(item, Node):
                if isinstance(item.value, dict):
                    self._add_element(item.value, item.type_name, name, found)
                elif item.extra is not None:
                    self._add_element(item.extra, "Element", name, found)
        return found

    def _add_element(
        self, value: dict[str, Any], type_name: str, name: str, found: Collection
    ) -> None:
        members = self.members(type_name)
        if members is None:
            if name != "resourceType":
                _add(value.get(name), value.get(f"_{name}"), "", found)
            return
        declared = members.get(name)
        if declared is not None and declared[0] == name:
            _add(value.get(name), value.get(f"_{name}"), declared[1], found)
            return
        choice = self.choice(type_name, name)
        if choice is None:
            return
        for key in value:
            if key not in choice:
                continue
            member = key.removeprefix("_")
            if key == member or member not in value:
                _add(value.get(member), value.get(f"_{member}"), members[member][1], found)

    def children(self, node: Node) -> list[Node]:
        """All values of all elements of a node, in document order; unknown members are left out."""
        if isinstance(node.value, dict):
            value, type_name = node.value, node.type_name
        elif node.extra is not None:
            value, type_name = node.extra, "Element"
        else:
            return []
        members = self.members(type_name)
        found: Collection = []
        for key in value:
            member = key.removeprefix("_")
            if key != member and member in value:
                continue
            if members is None:
                if key != "resourceType":
                    _add(value.get(member), value.get(f"_{member}"), "", found)
            elif member in members:
                _add(value.get(member), value.get(f"_{member}"), members[member][1], found)
        return found  # type: ignore[return-value]  # _add appends nodes alone

    def descendants(self, items: Collection) -> list[Node]:
        """All nodes below the items, level by level; the items themselves are left out."""
        found: list[Node] = []
        level = [item for item in items if isinstance(item, Node)]
        while level:
            level = [child for node in level for child in self.children(node)]
            found.extend(level)
        return found


def _add(value: Any, extra: Any, type_name: str, found: Collection) -> None:
    """Append the nodes of one JSON member and its `_name` sibling; nulls stand for no value."""
    if isinstance(value, list) or (value is None and isinstance(extra, list)):
        values = value if isinstance(value, list) else []
        extras = extra if isinstance(extra, list) else []
        for index in range(max(len(values), len(extras))):
            one = values[index] if index < len(values) else None
            sibling = extras[index] if index < len(extras) else None
            _add_one(one, sibling, type_name, found)
    else:
        _add_one(value, extra, type_name, found)


def _add_one(value: Any, extra: Any, type_name: str, found: Collection) -> None:
    sibling = extra if isinstance(extra, dict) and extra else None
    if value is None and sibling is None:
        return
    if isinstance(value, dict):
        found.append(resource_node(value) if type_name in _ANY_RESOURCE else Node(value, type_name))
    else:
        found.append(Node(value, type_name, sibling))


def resource_node(resource: dict[str, Any]) -> Node:
    """The node of a resource, typed by its `resourceType`; `Resource` where it names none."""
    name = resource.get("resourceType")
    return Node(resource, name if isinstance(name, str) else "Resource")


@dataclass(slots=True)
class Environment:
    """The setting of an evaluation: the context of the rule's element, and its callbacks.

    Attributes:
        resource: `%resource`: the resource that the element belongs to; for an element of a
            contained resource that contained resource.
        root_resource: `%rootResource`: its container, or the same resource.
        find: returns the resource that a reference other than `#…` names, or None; without it such
            references resolve to nothing.
        member_of: returns whether a code, Coding or CodeableConcept is in the value set of a URL;
            None for unknown. Without it `memberOf` can't be decided.
        conforms_to: returns whether a node conforms to the profile of a URL; None for unknown.
            Without it `conformsTo` can't be decided.
        now: the time that `now()`, `today()` and `timeOfDay()` give; without it they can't be
            decided.
        is_lenient: what has no order, such as a length and a time, compares to nothing, as FHIRPath
            has it. Otherwise that is an error, so that no rule is called broken for it.
        kept: what parts of expressions gave that depend on the resources alone, and contained
            resources by id. Environments of one document share it.
    """

    resource: Node
    root_resource: Node
    find: Callable[[str], Node | None] | None = None
    member_of: Callable[[Item, str], bool | None] | None = None
    conforms_to: Callable[[Node, str], bool | None] | None = None
    now: datetime | None = None
    is_lenient: bool = False
    kept: dict[Hashable, Any] = field(default_factory=dict)

    def resolve(self, reference: str) -> Node | None:
        """The resource that a reference names: `#id` within the root resource, others by `find`.

        Returns:
            None where there is none or it isn't at hand.
        """
        if not reference.startswith("#"):
            return None if self.find is None else self.find(reference)
        root = self.root_resource
        if reference == "#":
            return root
        return self._contained().get(reference[1:])

    def _contained(self) -> dict[str, Node]:
        """The resources contained in the root resource by id; the first of those that share one."""
        root = self.root_resource.value
        key = "contained", id(root)
        found: dict[str, Node] | None = self.kept.get(key)
        if found is None:
            found = self.kept[key] = {}
            contained = root.get("contained") if isinstance(root, dict) else None
            for resource in contained if isinstance(contained, list) else ():
                id_ = resource.get("id") if isinstance(resource, dict) else None
                if isinstance(id_, str):
                    found.setdefault(id_, resource_node(resource))
        return found


@dataclass(slots=True)
class Scope:
    """What an evaluation carries along beside the items that it looks at.

    Attributes:
        environment: the setting.
        context: `%context`: what the expression was first applied to.
        index: `$index`: position of the item in the innermost `where`, `select` or `all`.
        total: `$total`: what the innermost `aggregate` has so far.
        kept: what parts of the expression gave that depend on the context alone.
        variables: what `defineVariable` has defined so far; None where it hasn't.
    """

    environment: Environment
    context: Collection
    index: int = 0
    total: Collection | None = None
    kept: dict[Hashable, Any] = field(default_factory=dict)
    variables: dict[str, Collection] | None = None
