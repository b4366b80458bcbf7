"""What the fast path knows of extensions: HL7's own ones, by where they stand.

Belongs here: checks on the structs of `decoders.py`. The rules themselves, with words, belong to
`extension_rules.py`.
"""

from collections import Counter
from functools import cache
from operator import attrgetter
from typing import Any

from msgspec import UNSET

from hc_assets.fhir.r4.definitions import ExtensionDefinition, ExtensionSlot, choice_member, r4
from hc_assets.fhir.r4.struct_checks import Check, RefusedError


@cache
def _by_context() -> dict[str, list[ExtensionDefinition]]:
    found: dict[str, list[ExtensionDefinition]] = {}
    for url in sorted(r4().extension_urls):
        definition = r4().extension(url)
        if definition is not None and not definition.is_modifier:
            for context in definition.contexts:
                found.setdefault(context, []).append(definition)
    return found


@cache
def extensions_for(type_name: str) -> dict[str, ExtensionDefinition]:
    """The extensions that HL7 defines for every element of a type, by URL.

    Args:
        type_name: a type in the table. Extensions for single elements (`Patient.name`) are left
            out: the thorough path knows them.
    """
    names = {*r4().bases(type_name), "Element"}
    return {
        definition.url: definition
        for name in sorted(names)
        for definition in _by_context().get(name, [])
    }


def _has_allowed_value(struct: Any, definition: ExtensionDefinition | ExtensionSlot) -> bool:
    return any(
        getattr(struct, choice_member("value", ref.code), UNSET) is not UNSET
        for ref in definition.types
    )


def _slots_are_filled(struct: Any, definition: ExtensionDefinition) -> bool:
    children = struct.extension or ()
    counts = Counter(child.url for child in children)
    slots = {slot.url: slot for slot in definition.slots}
    return all(
        slot.min <= counts[slot.url] and (slot.max is None or counts[slot.url] <= slot.max)
        for slot in definition.slots
    ) and all(
        _has_allowed_value(child, slots[child.url]) for child in children if child.url in slots
    )


def extension_check(members: list[str], known: dict[str, ExtensionDefinition]) -> Check:
    """The check of an extension: ext-1, one value, and HL7's definition where it is known.

    Args:
        members: the members `value[x]` of the struct.
        known: extensions that may stand here; of HL7's others all are refused.
    """
    get = attrgetter("extension", *members)
    all_but_one = len(members)
    core = r4().extension_urls

    def check(struct: Any) -> None:
        if get(struct).count(UNSET) != all_but_one:
            raise RefusedError("ext-1")
        if struct.url not in core:
            return
        definition = known.get(struct.url)
        if definition is None:
            raise RefusedError("extension-context")
        if definition.types:
            if not _has_allowed_value(struct, definition):
                raise RefusedError("extension-value")
        elif not struct.extension or not _slots_are_filled(struct, definition):
            raise RefusedError("extension-slot")

    return check
