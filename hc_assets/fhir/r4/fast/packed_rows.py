"""The layout of the packed table: what `native/fast_path.h` declares, repeated for Python.

Belongs here: names, orders and rows that both sides must agree on. What is in the rows belongs
to `packing.py`.
"""

import ctypes
from typing import NamedTuple

# fmt: off
# In the order of `enum Form`; primitive types of the same form share one.
FORMS = (
    "string", "code", "id", "uri", "date", "dateTime", "instant", "time", "oid", "uuid",
    "base64Binary", "xhtml", "boolean", "integer", "unsignedInt", "positiveInt", "decimal",
    "object", "resource",
)
KINDS = (
    "plain", "domain resource", "other resource", "extension", "reference", "meta", "bundle",
    "bundle entry", "sibling", "attachment", "coding", "quantity", "bound quantity",
    "component", "observation", "never",
)
ROLES = ("", "code", "category", "value")
SYNTAXES = ("any", "currency", "language", "mime", "ucum")
# fmt: on
MAX_CAPTURES = 8


class Packed(ctypes.Structure):
    """`Packed` of `native/fast_path.h`."""

    _fields_ = (
        *((name, ctypes.c_void_p) for name in (
            "pool", "strings", "members", "shapes", "sets", "set_items", "targets", "rules", "code",
            "extensions", "slots", "extension_types", "extension_members", "code_systems",
            "vital_signs", "vital_components",
        )),
        *((name, ctypes.c_int32) for name in (
            "string_count", "member_count", "shape_count", "set_count", "target_words",
            "extension_count", "type_words", "extension_set", "resource_set", "meta_forbidden_low",
            "meta_forbidden_high", "code_systems_size", "vital_sign_count", "patient_targets",
        )),
    )  # fmt: skip


class MemberRow(NamedTuple):
    """`MemberRow` of `native/fast_path.h`, where each field is explained."""

    name: int
    form: int
    element: int
    is_list: bool = False
    is_sibling: bool = False
    min: int = 0
    max: int = 1
    shape: int = 0
    capture: int = -1
    codes: int = -1
    is_maximum: bool = False
    targets: int = -1
    rules: int = 0
    rule_count: int = 0
    value_bit: int = -1
    is_modifier: bool = False
    needs_absolute: bool = False
    type: int = 0
    role: int = 0
    extensible: int = -1
    extensible_systems: int = -1


class ShapeRow(NamedTuple):
    """`ShapeRow` of `native/fast_path.h`."""

    kind: int
    name: int
    members: int
    member_count: int
    required_low: int
    required_high: int
    id_element: int
    rules: int
    rule_count: int
    text_element: int
    contained_element: int


class ExtensionRow(NamedTuple):
    """`ExtensionRow` of `native/fast_path.h`."""

    url: int
    is_modifier: bool
    mask_low: int
    mask_high: int
    slots: int
    slot_count: int
    members: int
    member_count: int


class SlotRow(NamedTuple):
    """`SlotRow` of `native/fast_path.h`."""

    url: int
    min: int
    max: int
    mask_low: int
    mask_high: int


class VitalSignRow(NamedTuple):
    """`VitalSignRow` of `native/fast_path.h`."""

    required_low: int
    required_high: int
    forbidden_low: int
    forbidden_high: int
    units: int
    components: int
    component_count: int


class ComponentRow(NamedTuple):
    """`ComponentRow` of `native/fast_path.h`."""

    sign: int
    units: int


class Pair(ctypes.Structure):
    """`Pair` of `native/fast_path.h`."""

    _fields_ = (("first", ctypes.c_int32), ("second", ctypes.c_int32))


class PackedTable(NamedTuple):
    """The arrays, with what keeps them alive.

    Attributes:
        header: pointers and counts, for `hc_table_new`.
        buffers: what the pointers point to.
        shape_names: names of the types by number.
    """

    header: Packed
    buffers: tuple[object, ...]
    shape_names: tuple[str, ...]


def halves(word: int) -> tuple[int, int]:
    """A word of 64 bits as two signed numbers of 32, the low one first."""
    low, high = (ctypes.c_int32(part & 0xFFFFFFFF).value for part in (word, word >> 32))
    return low, high


def row_size(row: type[tuple[object, ...]]) -> int:
    """Bytes of a row: each of its fields is an int32."""
    return len(row._fields) * ctypes.sizeof(ctypes.c_int32)  # type: ignore[attr-defined]
