"""Short cuts for the commonest parts of invariants: `a.exists()` and `a = 'text'`.

Belongs here: closures that look straight into the JSON where that is sure to give what the general
way gives, and take the general way elsewhere. Everything else belongs to `compiler.py`.
"""

from collections.abc import Callable

from hc_assets.fhir.fhirpath.model import Collection, Item, Node, Scope, TypeView
from hc_assets.fhir.fhirpath.operators import Collect, Truth

_NOT_DECLARED: frozenset[str] = frozenset()


def presence(types: TypeView, name: str) -> Callable[[Item], bool]:
    """The test whether an item has any value of an element.

    Args:
        types: that members are resolved by.
        name: the element.

    Returns:
        A function that agrees with `bool(types.step([item], name))`.
    """
    step = types.step
    sibling = f"_{name}"
    # For each type met: None where the element is a plain member, else the members that it may
    # stand in (none where the type doesn't have it).
    plans: dict[str, frozenset[str] | None] = {}

    def plan_of(type_name: str) -> frozenset[str] | None:
        members = types.members(type_name)
        if members is None or (name in members and members[name][0] == name):
            plan = None
        else:
            plan = types.choice(type_name, name) or _NOT_DECLARED
        plans[type_name] = plan
        return plan

    def present(item: Item) -> bool:
        if not isinstance(item, Node):
            return False
        value = item.value
        if isinstance(value, dict):
            type_name = item.type_name
            plan = plans[type_name] if type_name in plans else plan_of(type_name)
            if plan is not None:
                if plan.isdisjoint(value):
                    return False
            elif value.get(name) is None and sibling not in value:
                return False
        elif item.extra is None:
            return False
        return bool(step([item], name))

    return present


def has_member(types: TypeView, source: Collect, name: str) -> Truth:
    """`source.name.exists()`."""
    present = presence(types, name)

    def run(items: Collection, scope: Scope) -> bool:
        return any(map(present, source(items, scope)))

    return run


def equals_text(types: TypeView, source: Collect, name: str, text: str, general: Truth) -> Truth:
    """`source.name = 'text'`.

    Args:
        types: that members are resolved by.
        source: what the member is looked for in.
        name: the member.
        text: what it is compared with.
        general: the closure that does the same the general way.
    """
    members_of = types.members

    def run(items: Collection, scope: Scope) -> bool | None:
        found = source(items, scope)
        if len(found) == 1:
            item = found[0]
            if isinstance(item, Node) and isinstance(item.value, dict):
                value = item.value.get(name)
                members = members_of(item.type_name)
                if isinstance(value, str) and members is not None:
                    declared = members.get(name)
                    if declared is not None and declared[0] == name:
                        return value == text
        elif not found:
            return None
        return general(items, scope)

    return run
