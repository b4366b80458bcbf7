"""Rules on extensions: content, URL, and what HL7 defines for the extensions of its core package.

Belongs here: one extension and the element that it stands on. How the fast path knows the same
extensions is in `fhir/r4/fast/packing.py`.
"""

from functools import cache

from hc_assets.fhir.r4.definitions import (
    ExtensionDefinition,
    ExtensionSlot,
    TypeRef,
    choice_member,
    r4,
)
from hc_assets.fhir.r4.issues import Findings, clipped
from hc_assets.fhir.r4.primitives import is_absolute
from hc_assets.fhir.r4.rules.errata import severity_of_context
from hc_assets.fhir.r4.walker import Visit


@cache
def allowed_members(types: tuple[TypeRef, ...]) -> tuple[str, ...]:
    """The JSON members that an extension's value may be in, by its types."""
    return tuple(choice_member("value", ref.code) for ref in types)


def contexts_of(holder: Visit) -> set[str]:
    """The names under which a definition may allow the element that holds an extension.

    Returns:
        Its type and the types that it specialises, and its path in its parent's type.
    """
    # "Element" stands for everything, resources too: so HL7 uses it.
    if holder.ref is None:
        return {*r4().bases(holder.type_name), "Element"}
    names = {"Element", *r4().bases(holder.ref.code), *r4().bases(holder.type_name)}
    if holder.parent is not None and holder.element is not None:
        for type_name in r4().bases(holder.parent.type_name):
            names.add(f"{type_name}.{holder.element.name}")
            names.add(f"{type_name}.{holder.element.name}[x]")
    return names


def _value_members(visit: Visit) -> list[str]:
    names = {name.removeprefix("_") for name in visit.value}
    return sorted(names & _all_value_members())


@cache
def _all_value_members() -> frozenset[str]:
    """What R4 knows: others are reported as unknown, and their names are not quoted."""
    elements = r4().type("Extension").elements
    return frozenset(name for e in elements if e.name == "value" for name, _ in e.members())


def _check_types(
    visit: Visit, definition: ExtensionDefinition | ExtensionSlot, findings: Findings
) -> None:
    """The value's type against the definition's."""
    found = _value_members(visit)
    wanted = allowed_members(definition.types)
    if not wanted and found:
        text = f"found {found[0]}, expected nested extensions alone"
        findings.error("extension", visit.path, "extension-value", text)
    elif wanted and found and found[0] not in wanted:
        text = f"found {found[0]}, expected {', '.join(wanted)}"
        findings.error("extension", f"{visit.path}.{found[0]}", "extension-value", text)
    elif wanted and "extension" in visit.value and not found:
        text = f"found nested extensions, expected {', '.join(wanted)}"
        findings.error("extension", visit.path, "extension-value", text)


def _check_slots(
    visit: Visit,
    children: list[Visit],
    definition: ExtensionDefinition,
    findings: Findings,
) -> None:
    """Nested extensions against the definition's slots."""
    slots = {slot.url: slot for slot in definition.slots}
    counts = dict.fromkeys(slots, 0)
    for child in children:
        url = child.value.get("url")
        slot = slots.get(url) if isinstance(url, str) else None
        if slot is not None:
            counts[slot.url] += 1
            _check_types(child, slot, findings)
    for slot in definition.slots:
        if counts[slot.url] < slot.min:
            text = f"nested extension {slot.url} is missing, expected at least {slot.min}"
            findings.error("extension", visit.path, "extension-slot", text)
        elif slot.max is not None and counts[slot.url] > slot.max:
            text = f"found {counts[slot.url]} of {slot.url}, expected at most {slot.max}"
            findings.error("extension", visit.path, "extension-slot", text)


def _check_known(
    visit: Visit, children: list[Visit], definition: ExtensionDefinition, findings: Findings
) -> None:
    holder = visit.parent
    is_modifier = visit.element is not None and visit.element.name == "modifierExtension"
    if is_modifier != definition.is_modifier:
        expected = "modifierExtension" if definition.is_modifier else "extension"
        text = f"{definition.url} belongs in {expected}"
        findings.error("extension", visit.path, "extension-modifier", text)
    if holder is not None and not contexts_of(holder) & {*definition.contexts}:
        text = (
            f"{definition.url} is not for {holder.type_name}, "
            f"only for {', '.join(definition.contexts)}"
        )
        severity = severity_of_context(definition.url, visit.resource.type_name)
        findings.add(severity, "extension", visit.path, "extension-context", text)
    _check_types(visit, definition, findings)
    _check_slots(visit, children, definition, findings)


def check_extensions(visits: list[Visit], findings: Findings) -> None:
    """Check every extension of a resource.

    Args:
        visits: what the walk met.
        findings: takes the issues.
    """
    extensions = [visit for visit in visits if visit.type_name == "Extension"]
    children: dict[int, list[Visit]] = {}
    for visit in extensions:
        if visit.parent is not None and visit.parent.type_name == "Extension":
            children.setdefault(id(visit.parent), []).append(visit)
    for visit in extensions:
        has_nested = bool(visit.value.get("extension"))
        if has_nested == bool(_value_members(visit)):
            found = "both a value and nested" if has_nested else "neither a value nor nested"
            text = f"found {found} extensions, expected one of the two"
            findings.error("invariant", visit.path, "ext-1", text)
        url = visit.value.get("url")
        if not isinstance(url, str) or not url:
            continue
        is_nested = visit.parent is not None and visit.parent.type_name == "Extension"
        definition = r4().extension(url)
        if definition is not None:
            _check_known(visit, children.get(id(visit), []), definition, findings)
        elif "|" in url:
            text = f"found {clipped(url)!r}, expected the URL of an extension without its version"
            findings.error("extension", f"{visit.path}.url", "extension-url", text)
        elif not is_nested and not is_absolute(url):
            text = f"found {clipped(url)!r}, expected an absolute URL"
            findings.error("extension", f"{visit.path}.url", "extension-url", text)
