"""Rules on profiles: the paths of a differential are those of the type that it constrains.

Belongs here: one StructureDefinition as a resource. Validation against a profile is done elsewhere.
"""

from collections.abc import Iterator
from functools import cache

from hc_assets.fhir.r4.definitions import r4
from hc_assets.fhir.r4.issues import Findings, clipped
from hc_assets.fhir.r4.walker import Visit, members_of

# What every primitive has; `value` stands for the value itself in definitions.
_OF_PRIMITIVES = frozenset({"id", "extension", "value"})


def _next_types(type_name: str, step: str) -> Iterator[str]:
    """The types that an element of a type may have, by the last part of its path."""
    definition = r4().type(type_name)
    for element in definition.elements:
        if step in (element.name, f"{element.name}[x]") and (
            element.is_choice == step.endswith("[x]")
        ):
            yield from (ref.code for ref in element.types)
            return
    member = members_of(type_name).get(step)
    if member is not None:
        yield member.ref.code
    elif definition.kind == "primitive-type" and step in _OF_PRIMITIVES:
        yield type_name


@cache
def _is_path_of(type_name: str, path: str) -> bool:
    """Whether a path leads to an element of a type, or of what a resource inside it may be."""
    root, *steps = path.split(".")
    if root != type_name:
        return True  # sdf-8a reports it
    types = {type_name}
    for step in steps:
        if "Resource" in types:
            return True
        types = {found for name in types for found in _next_types(name, step)}
    return bool(types)


def check_structures(visits: list[Visit], findings: Findings) -> None:
    """Check the paths of every profile on a type of R4.

    Args:
        visits: what the walk met.
        findings: takes the issues.
    """
    for visit in visits:
        profile = visit.resource.value
        if (
            visit.type_name != "ElementDefinition"
            or visit.parent is None
            or visit.parent.type_name != "StructureDefinition.differential"
            or profile.get("derivation") != "constraint"
        ):
            continue
        type_name, path = profile.get("type"), visit.value.get("path")
        if not isinstance(type_name, str) or not isinstance(path, str) or not path:
            continue
        if type_name in r4().type_names and not _is_path_of(type_name, path):
            text = f"found {clipped(path)!r}, expected a path of {type_name}"
            findings.error("invalid", f"{visit.path}.path", "element-path", text)
