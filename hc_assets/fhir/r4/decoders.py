"""The fast path's decoders: msgspec structs compiled from the R4 table on first use of a type.

Belongs here: types, cardinality, formats, bindings, choices and native invariants as structs. What
concerns a resource as a whole (duplicate members, contained resources, bundles) belongs to
`fast_path.py`; every issue in words to `walker.py`.
"""

import re
import sys
from collections.abc import Callable
from functools import cache
from threading import Lock
from types import ModuleType
from typing import Annotated, Any, ForwardRef, Literal, NamedTuple, Union

import msgspec
from msgspec import UNSET, Meta, Raw, UnsetType

from hc_assets.fhir.r4.bindings import SYNTAX_PATTERNS, codes_of
from hc_assets.fhir.r4.definitions import (
    Element,
    ExtensionDefinition,
    Invariant,
    TypeDefinition,
    TypeRef,
    choice_member,
    is_definition,
    r4,
)
from hc_assets.fhir.r4.extension_checks import extension_check, extensions_for
from hc_assets.fhir.r4.narrative import has_content, narrative_fault
from hc_assets.fhir.r4.natives import Holds
from hc_assets.fhir.r4.primitives import INTEGER_RANGES, PATTERNS
from hc_assets.fhir.r4.references import fast_pattern
from hc_assets.fhir.r4.struct_checks import (
    Check,
    RefusedError,
    attribute,
    checks_of,
    invariants_of,
    post_init,
    reference_check,
    rules_of,
)

_NOT_EMPTY = Annotated[str, Meta(min_length=1)]


class Text(NamedTuple):
    """A string that is held to a pattern once the struct is decoded."""

    pattern: str


class Field(NamedTuple):
    """A field of a struct: its name in Python, its type, and whether it must be there."""

    name: str
    type: Any
    is_required: bool = False


# Value types of extensions that the fast path knows; those with others go the thorough way. Each
# further type would make the struct of every extension wider.
# fmt: off
_EXTENSION_VALUES = frozenset({
    "Address", "boolean", "canonical", "code", "CodeableConcept", "Coding", "date", "dateTime",
    "decimal", "id", "Identifier", "instant", "integer", "markdown", "Period", "Quantity",
    "Reference", "string", "uri", "url",
})
# fmt: on
_ABSOLUTE_URL = Text(r"\A[A-Za-z][^ \t\r\n/:]*:[^ \t\r\n]+\Z")
# Types whose values come again and again, so that it pays to remember them.
_RECURRING = frozenset({"canonical", "code", "dateTime", "instant", "uri", "url"})
# Elements that every resource may have and hardly any has: a pattern of msgspec costs nothing then.
_RARE = frozenset({"implicitRules", "language"})
_RAW_RESOURCES = frozenset({"Bundle.entry.resource"})

# Structs refer to one another by name, in circles; msgspec looks the names up in this module.
_STRUCTS = ModuleType("hc_assets.fhir.r4._compiled_structs")
sys.modules[_STRUCTS.__name__] = _STRUCTS


@cache
def _primitive_type(type_name: str) -> Any:
    """The annotation for a primitive type's JSON value."""
    if type_name == "boolean":
        return bool
    if type_name == "decimal":
        return int | float  # which of the two tells whether it was written as a whole number
    if type_name == "base64Binary":
        return Annotated[bytes, Meta(min_length=1)]
    if type_name in INTEGER_RANGES:
        least, greatest = INTEGER_RANGES[type_name]
        return Annotated[int, Meta(ge=least, le=greatest)]
    if type_name in _RECURRING:
        return Text(PATTERNS[type_name])
    if type_name in PATTERNS:
        return Annotated[str, Meta(pattern=PATTERNS[type_name])]
    return _NOT_EMPTY


def _annotated(field: Field) -> tuple[str, Any, Any]:
    """A field as msgspec takes it."""
    type_ = _NOT_EMPTY if isinstance(field.type, Text) else field.type
    if field.is_required:
        return (field.name, type_, msgspec.NODEFAULT)
    return (field.name, Union[type_, UnsetType], UNSET)  # noqa: UP007 - | takes no forward names


def _identifier(type_name: str) -> str:
    return re.sub(r"\W", "_", type_name)


def _define(
    name: str,
    fields: list[Field],
    checks: list[Check],
    rules: tuple[Holds, ...] = (),
    resource_type: str = "",
) -> None:
    patterns = {f.name: f.type.pattern for f in fields if isinstance(f.type, Text)}
    run = post_init(patterns, checks, rules)
    struct = msgspec.defstruct(
        name,
        [_annotated(field) for field in fields],
        module=_STRUCTS.__name__,
        namespace=None if run is None else {"__post_init__": run},
        forbid_unknown_fields=True,
        kw_only=True,
        gc=False,
        rename={field.name: field.name[:-1] for field in fields if field.name.endswith("_")},
        tag=resource_type or None,
        tag_field="resourceType" if resource_type else None,
    )
    setattr(_STRUCTS, name, struct)


class _Compiler:
    """Compiles types to structs; types that refer to one another are worked off from a list."""

    def __init__(self) -> None:
        self._pending: list[tuple[str, Callable[[], None]]] = []
        self._known: set[str] = set()
        self._decoders: dict[str, msgspec.json.Decoder[Any]] = {}
        self._lock = Lock()

    def decoder(self, type_name: str) -> msgspec.json.Decoder[Any]:
        """The decoder of a resource type, compiled on first use."""
        found = self._decoders.get(type_name)
        if found is None:
            with self._lock:
                struct = self._struct(type_name).__forward_arg__
                while self._pending:
                    self._pending.pop()[1]()
                found = msgspec.json.Decoder(getattr(_STRUCTS, struct))
                self._decoders[type_name] = found
        return found

    def _require(self, name: str, compile_: Callable[[], None]) -> ForwardRef:
        if name not in self._known:
            self._known.add(name)
            self._pending.append((name, compile_))
        return ForwardRef(name)

    def _struct(self, type_name: str) -> ForwardRef:
        special = {
            "Element": self._compile_sibling,
            "Narrative": self._compile_narrative,
        }
        name = _identifier(type_name)
        return self._require(name, special.get(type_name, lambda: self._compile(type_name, name)))

    def _reference(self, targets: tuple[str, ...]) -> ForwardRef:
        name = "_".join(("Reference", *targets))
        return self._require(name, lambda: self._compile_reference(name, targets))

    def _value_type(self, element: Element, ref: TypeRef) -> Any:
        """The annotation for one value of an element, without cardinality."""
        if ref.code == "Resource":
            return Raw
        if ref.code == "Reference":
            return self._reference(ref.targets)
        if r4().type(ref.code).kind != "primitive-type":
            return self._struct(ref.code)
        if element.binding is None or ref.code != "code":
            return _primitive_type(ref.code)
        codes = codes_of(element.binding.value_set)
        if codes is not None:
            return Literal[tuple(sorted(codes))]
        # Where the codes can't be listed, the form that stands in is stricter than that of code.
        syntax = r4().value_set(element.binding.value_set).syntax
        return Text(SYNTAX_PATTERNS[syntax])

    def _field(self, element: Element, ref: TypeRef, member: str, owner: str) -> Field:
        if ref.code == "Extension":
            type_: Any = self._extension(owner if member == "extension" else "")
        else:
            type_ = self._value_type(element, ref)
        if element.is_list:
            size = Meta(min_length=max(1, element.min), max_length=element.max)
            if isinstance(type_, Text):
                type_ = Annotated[str, Meta(pattern=type_.pattern)]
            type_ = Annotated[list[type_], size]
        if member == "url" and isinstance(type_, Text) and "." not in owner:
            # The URL that a definition is known by; any other resource's is held to no more.
            kind = r4().type(owner).kind if owner else ""
            type_ = _ABSOLUTE_URL if kind == "resource" and is_definition(owner) else type_
        is_required = element.min > 0 and len(element.types) == 1
        if isinstance(type_, Text) and not is_required and member in _RARE:
            type_ = Annotated[str, Meta(pattern=type_.pattern)]
        return Field(attribute(member), type_, is_required)

    def _sibling_fields(
        self, definition: TypeDefinition, invariants: list[Invariant]
    ) -> list[Field]:
        """`_birthDate` beside `birthDate`: only where no invariant of the type reads the element.

        The natives take an absent member for an empty element, which a sibling would make untrue.
        """
        read = {word for rule in invariants for word in re.findall(r"\w+", rule.expression)}
        return [
            Field(f"_{member}", self._struct("Element"))
            for element in definition.elements
            # Of a choice, the sibling of one type could stand beside the value of another.
            if not (element.is_list or element.is_choice or element.name in {*read, "id"})
            for member, ref in element.members()
            if ref.code != "Resource" and r4().type(ref.code).kind == "primitive-type"
        ]

    def _compile(self, type_name: str, name: str) -> None:
        definition = r4().type(type_name)
        is_resource = definition.kind == "resource"
        elements = tuple(
            element
            for element in definition.elements
            # Forbidden by a profile, such as the comparator of SimpleQuantity; ids of elements,
            # which hardly any data has, are left to the thorough path.
            if element.max != 0 and (is_resource or element.name != "id")
        )
        invariants = invariants_of(definition)
        fields = [
            self._field(element, ref, member, type_name)
            for element in elements
            for member, ref in element.members()
            # Other whole resources inside a resource are left to the thorough path.
            if ref.code != "Resource"
            or f"{type_name}.{member}" in _RAW_RESOURCES
            or member == "contained"
        ]
        fields += self._sibling_fields(definition, invariants)
        tag = type_name if is_resource else ""
        _define(name, fields, checks_of(elements), rules_of(invariants), tag)

    def _compile_reference(self, name: str, targets: tuple[str, ...]) -> None:
        """Reference, held to its targets by the pattern of the reference."""
        types = targets or tuple(sorted(r4().resource_names))
        string = _primitive_type("string")
        fields = [
            Field("extension", self._some_extensions("Reference")),
            Field("reference", _NOT_EMPTY),
            Field("type", Literal[types]),
            Field("identifier", self._struct("Identifier")),
            Field("display", string),
        ]
        _define(name, fields, [reference_check(fast_pattern(targets))])

    def _compile_sibling(self) -> None:
        """What stands beside a primitive value."""
        fields = [
            Field("extension", self._some_extensions("Element"), is_required=True),
        ]
        _define("Element", fields, [])

    def _extension(self, owner: str) -> ForwardRef:
        """The struct of the extensions of a type: it knows those that HL7 defines for it.

        Args:
            owner: the type; "Extension" for extensions in extensions, whose URLs may be relative;
                "" for modifier extensions, of which the fast path knows none.
        """
        known = {} if owner in ("", "Extension") else extensions_for(owner)
        if owner == "Extension":
            name = "NestedExtension"
        elif known == extensions_for("Element"):
            name = "Extension"
        else:
            name = f"Extension_{_identifier(owner)}" if owner else "ModifierExtension"
        url = _primitive_type("uri") if owner == "Extension" else _ABSOLUTE_URL
        return self._require(name, lambda: self._compile_extension(name, url, known))

    def _compile_extension(
        self, name: str, url: Any, known: dict[str, ExtensionDefinition]
    ) -> None:
        value = next(e for e in r4().type("Extension").elements if e.name == "value")
        types = tuple(ref for ref in value.types if ref.code in _EXTENSION_VALUES)
        members = [choice_member("value", ref.code) for ref in types]
        fields = [
            Field("extension", self._some_extensions("Extension")),
            Field("url", url, is_required=True),
            *(self._field(value, r, m, "") for m, r in zip(members, types, strict=True)),
        ]
        checks = [extension_check(members, known)]
        _define(name, fields, checks)

    def _compile_narrative(self) -> None:
        status, div = r4().type("Narrative").elements[-2:]

        def div_is_valid(struct: Any) -> None:
            if narrative_fault(struct.div) is not None or not has_content(struct.div):
                raise RefusedError("txt-1")

        fields = [
            Field("extension", self._some_extensions("Narrative")),
            self._field(status, status.types[0], "status", "Narrative"),
            self._field(div, div.types[0], "div", "Narrative"),
        ]
        _define("Narrative", fields, [div_is_valid])

    def _some_extensions(self, owner: str) -> Any:
        struct: Any = self._extension(owner)
        return Annotated[list[struct], Meta(min_length=1)]


_COMPILER = _Compiler()


def decoder(resource_type: str) -> msgspec.json.Decoder[Any]:
    """The fast path's decoder of a resource type.

    Args:
        resource_type: the name of a resource type that is not abstract.

    Returns:
        A decoder that raises `msgspec.ValidationError` on everything that it can't tell to be
        valid. Whole resources inside (`contained`, `Bundle.entry.resource`) stay `msgspec.Raw`.

    Raises:
        KeyError: R4 has no such type.
    """
    return _COMPILER.decoder(resource_type)
