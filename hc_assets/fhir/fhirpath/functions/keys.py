"""The keys that SQL on FHIR joins by: a resource's own, and those that references name.

Belongs here: what makes the two the same text. What a reference leads to belongs to `model.py`.
"""

import re

from hc_assets.fhir.fhirpath.equality import raw
from hc_assets.fhir.fhirpath.model import Collection, Environment, Node, Scope, TypeView
from hc_assets.fhir.fhirpath.operators import Collect
from hc_assets.fhir.fhirpath.types import type_test

_RELATIVE = re.compile(r"([A-Z][A-Za-z]*)/([A-Za-z0-9\-.]{1,64})(?:/_history/[^/]+)?")
_VERSION = re.compile(r"/_history/[^/]+$")
_LAST_TYPE = re.compile(r"/([A-Z][A-Za-z]*)/[^/]+$")


def of_resources(base: Collect) -> Collect:
    """`getResourceKey()`: `Patient/1` for each resource; those without an id have none."""

    def run(items: Collection, scope: Scope) -> Collection:
        nodes = [item for item in base(items, scope) if isinstance(item, Node)]
        return [key for node in nodes if (key := _key(node)) is not None]

    return run


def _key(node: Node) -> str | None:
    value = node.value
    if not isinstance(value, dict):
        return None
    type_name, id_ = value.get("resourceType"), value.get("id")
    return f"{type_name}/{id_}" if isinstance(type_name, str) and isinstance(id_, str) else None


def of_references(base: Collect, types: TypeView, type_name: str | None) -> Collect:
    """`getReferenceKey(type)`: the key of the resource that each Reference names.

    A reference that isn't `Type/id` is looked up; where it isn't found, a URL is its own key, for
    the same id on another server is another resource. One within the resource has none.

    Args:
        base: gives References; other items have no keys.
        types: the types that there are.
        type_name: that the resource must be of; None for any.

    Raises:
        FhirPathSyntaxError: there is no such type.
    """
    if type_name is not None:
        type_test(types, type_name)
    wanted = None if type_name is None else type_name.rpartition(".")[2]

    def run(items: Collection, scope: Scope) -> Collection:
        found: Collection = []
        for item in base(items, scope):
            value = raw(item)
            reference = value.get("reference") if isinstance(value, dict) else None
            if not isinstance(reference, str):
                continue
            type_, key = _named(reference, scope.environment)
            if type_ is None and isinstance(value.get("type"), str):
                type_ = value["type"]
            fits = wanted is None or (type_ is not None and types.is_a(type_, wanted))
            if key is not None and fits:
                found.append(key)
        return found

    return run


def _named(reference: str, environment: Environment) -> tuple[str | None, str | None]:
    """The type and the key that a reference names, each as far as it can be known."""
    if match := _RELATIVE.fullmatch(reference):
        return match.group(1), f"{match.group(1)}/{match.group(2)}"
    if reference.startswith("#"):
        return None, None
    resource = environment.resolve(reference)
    if resource is not None and (key := _key(resource)) is not None:
        return resource.type_name, key
    url = _VERSION.sub("", reference)
    last = _LAST_TYPE.search(url)
    return (last.group(1) if last else None), url
