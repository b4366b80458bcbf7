"""Types of FHIRPath: whether an item is of the type that a name stands for.

Belongs here: FHIR's and System's namespaces. What the definitions know of a type is asked of
`fhirpath_model.TypeView`.
"""

from collections.abc import Callable
from decimal import Decimal

from hc_assets.fhir.fhirpath.errors import FhirPathSyntaxError
from hc_assets.fhir.fhirpath.model import TYPE_INFO, Collection, Item, Node, Scope, TypeView
from hc_assets.fhir.fhirpath.operators import Collect
from hc_assets.fhir.fhirpath.values import Quantity, Temporal

_SYSTEM_TYPES = frozenset(
    {"Any", "Boolean", "String", "Integer", "Decimal", "Date", "DateTime", "Time", "Quantity"}
)
_DATE_FIELDS = 3


def system_type(item: Item) -> str:
    """The System type of an item that is no node."""
    if isinstance(item, Temporal):
        if item.is_time:
            return "Time"
        return "DateTime" if item.is_date_time or len(item.fields) > _DATE_FIELDS else "Date"
    if isinstance(item, bool):
        return "Boolean"
    for python_type, name in ((str, "String"), (int, "Integer"), (Decimal, "Decimal")):
        if isinstance(item, python_type):
            return name
    return "Quantity" if isinstance(item, Quantity) else "Any"


def type_test(types: TypeView, name: str) -> Callable[[Item], bool]:
    """The test for a type, subtypes included: `code` passes for `string`.

    Args:
        types: the types that there are.
        name: a type's name, with or without its namespace (`FHIR.Patient`, `System.String`).
            Without one it means FHIR's type for values of the data, System's for computed ones.

    Raises:
        FhirPathSyntaxError: there is no such type or namespace.
    """
    namespace, _, local = name.rpartition(".")
    is_fhir = namespace in ("", "FHIR") and types.members(local) is not None
    is_system = namespace in ("", "System") and local in _SYSTEM_TYPES
    if not is_fhir and not is_system:
        raise FhirPathSyntaxError(f"unknown type {name}")

    def fits(item: Item) -> bool:
        if isinstance(item, Node):
            return is_fhir and types.is_a(item.type_name, local)
        return is_system and (local == "Any" or system_type(item) == local)

    return fits


def type_filter(base: Collect, types: TypeView, name: str) -> Collect:
    """`ofType(name)`, and `as`: the items of a type.

    `as` on several items keeps those of the type: HL7's validator lets it for R4, whose dom-3 is
    written that way.

    Raises:
        FhirPathSyntaxError: there is no such type or namespace.
    """
    fits = type_test(types, name)

    def run(items: Collection, scope: Scope) -> Collection:
        return [item for item in base(items, scope) if fits(item)]

    return run


def type_of(types: TypeView, item: Item) -> Node:
    """What `type()` gives for an item: namespace and name; those of a nested element's kind."""
    if not isinstance(item, Node):
        return Node({"namespace": "System", "name": system_type(item)}, TYPE_INFO)
    name = item.type_name
    if "." in name:
        name = "BackboneElement" if types.is_a(name, "BackboneElement") else "Element"
    return Node({"namespace": "FHIR", "name": name}, TYPE_INFO)
