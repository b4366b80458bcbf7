"""What a document holds that profiles are held against: its resources and their extensions.

Belongs here: one pass over decoded JSON, whatever its types. What is found is judged elsewhere.
"""

from typing import Any, NamedTuple

from hc_assets.fhir.fhirpath import Node, resource_node
from hc_assets.fhir.r4.json_text import MAX_DEPTH

_EXTENSIONS = ("extension", "modifierExtension")


class FoundExtension(NamedTuple):
    """An extension of a document.

    Attributes:
        value: the extension.
        path: where it stands.
        holder: the object that it is in; for a primitive's the `_` sibling.
    """

    value: dict[str, Any]
    path: str
    holder: dict[str, Any]


class Found(NamedTuple):
    """A resource of a document.

    Attributes:
        node: the resource.
        path: where it stands.
        root: its container; the resource itself where it isn't contained.
        extensions: the extensions in it; those of resources inside it are theirs.
    """

    node: Node
    path: str
    root: Node
    extensions: list[FoundExtension]


def survey(root: dict[str, Any]) -> list[Found] | None:
    """Find the resources of a document.

    Args:
        root: the decoded document; a resource.

    Returns:
        The resources in order, the document itself first; None where it is nested too deep to be
        walked.
    """
    node = resource_node(root)
    found = [Found(node, node.type_name, node, [])]
    stack: list[tuple[Any, str, Found, int]] = [(root, node.type_name, found[0], 1)]
    while stack:
        value, path, owner, depth = stack.pop()
        if depth > MAX_DEPTH:
            return None
        below: list[tuple[Any, str, Found, int]] = []
        for name, part in value.items():
            here = f"{path}.{name.removeprefix('_')}"
            entries = part if isinstance(part, list) else (part,)
            is_list = isinstance(part, list)
            for index, one in enumerate(entries):
                if not isinstance(one, dict):
                    continue
                place = f"{here}[{index}]" if is_list else here
                holder = owner
                if isinstance(one.get("resourceType"), str):
                    inner = resource_node(one)
                    container = owner.root if name == "contained" else inner
                    holder = Found(inner, place, container, [])
                    found.append(holder)
                elif name in _EXTENSIONS:
                    owner.extensions.append(FoundExtension(one, place, value))
                below.append((one, place, holder, depth + (2 if is_list else 1)))
        stack.extend(reversed(below))
    return found
