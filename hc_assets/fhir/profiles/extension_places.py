"""Where the definition of an extension lets it stand.

Belongs here: context and modifier of extensions that are at hand as profiles. Their content is
checked as any profile's; extensions of R4's core package are checked in `fhir/r4/`.
"""

import re
from functools import lru_cache
from typing import Any

from hc_assets.fhir.profiles.instance import Run
from hc_assets.fhir.profiles.shapes import StructureShape
from hc_assets.fhir.profiles.survey import Found, FoundExtension
from hc_assets.fhir.r4.definitions import is_definition, r4
from hc_assets.fhir.r4.issues import Severity
from hc_assets.fhir.r4.walker import members_of

_INDEX = re.compile(r"\[\d+\]")


@lru_cache(maxsize=4096)
def _names_at(resource_type: str, members: tuple[str, ...]) -> frozenset[str]:
    """The names under which a context may refer to an element; none for an unknown element.

    Args:
        resource_type: type of the resource that the element is in.
        members: the JSON members that lead to it.
    """
    type_name, path = resource_type, resource_type
    # "Element" stands for everything, resources too: so HL7 uses it.
    names = {"Element", *r4().bases(resource_type)}
    for name in members:
        member = members_of(type_name).get(name)
        if member is None:
            return frozenset()
        path = f"{path}.{member.element.name}"
        owners = [f"{owner}.{member.element.name}" for owner in r4().bases(type_name)]
        names = {"Element", *r4().bases(member.ref.code), *owners, path}
        names |= {f"{one}[x]" for one in (*owners, path)}
        names |= {f"{owner}.{name}" for owner in r4().bases(type_name)}
        type_name = member.ref.code
    return frozenset(names)


def _fits(shape: StructureShape, names: frozenset[str], holder: dict[str, Any]) -> bool | None:
    """Whether some context holds; None where that can't be decided."""
    verdict: bool | None = False
    for context in shape.context:
        if context.type == "extension":
            if holder.get("url") == context.expression:
                return True
        elif context.type == "element":
            if context.expression in names:
                return True
            if context.expression.partition(".")[0] not in r4().type_names:
                verdict = None  # a name of another kind, such as a profile's URL
        else:
            verdict = None
    return verdict


def check_place(found: FoundExtension, shape: StructureShape, owner: Found, run: Run) -> None:
    """Check where an extension stands.

    Args:
        found: the extension.
        shape: its definition.
        owner: the resource that it is in.
        run: takes the issues.

    Raises:
        TooManyIssuesError: see `Findings`.
    """
    source = f"profile {shape.url}"
    path = found.path
    members = tuple(_INDEX.sub("", path[len(owner.path) + 1 :]).split("."))
    elements = shape.snapshot or shape.differential
    is_modifier = elements is not None and elements.element[0].isModifier
    if is_modifier is not None and is_modifier != (members[-1] == "modifierExtension"):
        wanted = "modifierExtension" if is_modifier else "extension"
        text = f"found {members[-1]}, expected {wanted}"
        run.add("error", "extension", path, "extension-modifier", text, source=source)
    if not shape.context or owner.node.type_name not in r4().resource_names:
        return
    names = _names_at(owner.node.type_name, members[:-1])
    fits = _fits(shape, names, found.holder) if names else True
    wanted = ", ".join(context.expression for context in shape.context)
    if fits is None:
        text = f"whether it is allowed here can't be decided offline: it is for {wanted}"
        run.note("information", path, "extension-context", shape.url, text, source=source)
    elif not fits:
        # HL7's own definitions carry authoring extensions wherever they are of use.
        severity: Severity = "warning" if is_definition(owner.node.type_name) else "error"
        where = ".".join((owner.node.type_name, *members[:-1]))
        text = f"found it on {where}, expected {wanted}"
        run.add(severity, "extension", path, "extension-context", text, source=source)
