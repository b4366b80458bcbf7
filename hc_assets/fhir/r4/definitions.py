"""The compiled table of R4 definitions: what types and value sets hold, which rules bind.

Belongs here: the table's shape and its loading. It is written by `fhir/r4/build/build.py`; what is
checked with it belongs to `fhir/r4/fast/packing.py` (fast) and `walker.py` (thorough).
"""

import gzip
from functools import cache, cached_property
from pathlib import Path
from typing import Literal

import msgspec

TABLE_FORMAT = 3
TABLE_PATH = Path(__file__).with_name("definitions.json.gz")

Kind = Literal["resource", "complex-type", "backbone", "primitive-type"]


class Invariant(msgspec.Struct, frozen=True, omit_defaults=True):
    """A rule in FHIRPath.

    Attributes:
        key: its id, for example `obs-7`; unique within a type, not over all.
        severity: error or warning.
        human: the rule in words.
        expression: FHIRPath; evaluated on the element that the rule stands on.
    """

    key: str
    severity: Literal["error", "warning"]
    human: str
    expression: str


class TypeRef(msgspec.Struct, frozen=True, omit_defaults=True):
    """One type that an element may have.

    Attributes:
        code: name of a type in the table; for a nested element the path that defines it, such as
            `Observation.component`.
        targets: for Reference and canonical: names of the resource types that may be referred to;
            empty where any may.
    """

    code: str
    targets: tuple[str, ...] = ()


class Binding(msgspec.Struct, frozen=True, omit_defaults=True):
    """A value set that a coded element must take its codes from.

    Attributes:
        value_set: its URL, a key of the table's value sets.
        is_maximum: the set is the outer bound of a weaker binding (`maxValueSet`).
    """

    value_set: str
    is_maximum: bool = False


class Element(msgspec.Struct, frozen=True, omit_defaults=True):
    """One element of a type.

    Attributes:
        name: the name in FHIRPath; for a choice the name without `[x]`.
        min: least number of values.
        max: greatest number of values; None where there is no limit.
        types: the types that it may have; several only for a choice.
        is_choice: the JSON member's name carries the type (`value` + `Quantity`).
        binding: its required value set.
        invariants: rules that stand on this element, beside those of its type.
        fixed: the only value that it may have, as JSON.
        pattern: the value that it must contain, as JSON.
    """

    name: str
    min: int = 0
    max: int | None = 1
    types: tuple[TypeRef, ...] = ()
    is_choice: bool = False
    binding: Binding | None = None
    invariants: tuple[Invariant, ...] = ()
    fixed: msgspec.Raw | None = None
    pattern: msgspec.Raw | None = None

    @property
    def is_list(self) -> bool:
        """Whether the JSON member is an array."""
        return self.max is None or self.max > 1

    def members(self) -> tuple[tuple[str, TypeRef], ...]:
        """The JSON members that this element may be in, each with its type."""
        if not self.is_choice:
            return ((self.name, self.types[0]),)
        return tuple((choice_member(self.name, ref.code), ref) for ref in self.types)


class TypeDefinition(msgspec.Struct, frozen=True, omit_defaults=True):
    """A resource type, data type or nested element type.

    Attributes:
        name: its name; for a nested element its path.
        kind: what it is.
        base: the type that it specialises; "" for Element and Resource.
        is_abstract: no instance is of exactly this type.
        elements: its elements in order, inherited ones first.
        invariants: rules that stand on the type itself, without those of its bases.
        regex: for a primitive type the pattern that HL7 publishes.
        extensible: for a type of quantities the value set of its units, as of an element.
    """

    name: str
    kind: Kind
    base: str = ""
    is_abstract: bool = False
    elements: tuple[Element, ...] = ()
    invariants: tuple[Invariant, ...] = ()
    regex: str = ""
    extensible: str = ""


class ValueSet(msgspec.Struct, frozen=True, omit_defaults=True):
    """The codes of a value set.

    Attributes:
        codes: code system URL to its codes; empty where they can't be listed.
        syntax: where they can't be listed the name of the check of form that stands in
            (`bindings.SYNTAX_PATTERNS`).
    """

    codes: dict[str, tuple[str, ...]] = {}
    syntax: str = ""


class ExtensionSlot(msgspec.Struct, frozen=True, omit_defaults=True):
    """A nested extension that a complex extension may hold."""

    url: str
    min: int = 0
    max: int | None = 1
    types: tuple[TypeRef, ...] = ()


class ExtensionDefinition(msgspec.Struct, frozen=True, omit_defaults=True):
    """An extension that HL7's core package defines.

    Attributes:
        url: its canonical URL.
        contexts: paths of the elements, or names of the types, that it may stand on.
        max: how often it may stand on one element; None where there is no limit.
        is_modifier: it is in `modifierExtension` alone.
        types: the types that its value may have; empty where it holds nested extensions.
        slots: its nested extensions.
    """

    url: str
    contexts: tuple[str, ...] = ()
    max: int | None = None
    is_modifier: bool = False
    types: tuple[TypeRef, ...] = ()
    slots: tuple[ExtensionSlot, ...] = ()


class SearchComponent(msgspec.Struct, frozen=True):
    """A part of a composite search parameter.

    Attributes:
        definition: URL of the search parameter whose type it has.
        expression: FHIRPath, evaluated on each value of the composite's own expression.
    """

    definition: str
    expression: str


class SearchDefinition(msgspec.Struct, frozen=True, omit_defaults=True):
    """A search parameter of HL7's core package.

    Attributes:
        type: a code of HL7's value set search-param-type.
        base: the resource types that it searches.
        code: its name in a query.
        expression: FHIRPath of the values; "" for those that no path says (`_text`).
        targets: for a reference: the resource types that it may refer to.
        components: for a composite: its parts, in order.
    """

    type: str
    base: tuple[str, ...]
    code: str = ""
    expression: str = ""
    targets: tuple[str, ...] = ()
    components: tuple[SearchComponent, ...] = ()


class Table(msgspec.Struct, frozen=True):
    """The file's content; all of its definitions stay encoded until asked for."""

    format: int
    fhir_version: str
    source: str
    types: dict[str, msgspec.Raw]
    value_sets: dict[str, msgspec.Raw]
    extensions: dict[str, msgspec.Raw]
    search_parameters: dict[str, msgspec.Raw]


# Profiles that stand as types in the table; a member is named for the type that they constrain.
_PROFILED = {"SimpleQuantity": "Quantity"}


def choice_member(name: str, type_code: str) -> str:
    """The JSON member of a choice for one of its types: `value`, `dateTime` -> `valueDateTime`."""
    type_code = _PROFILED.get(type_code, type_code)
    return name + type_code[:1].upper() + type_code[1:]


class Definitions:
    """Typed access to a table; every part is decoded on first use and then kept."""

    def __init__(self, table: Table) -> None:
        self._table = table
        self._types: dict[str, TypeDefinition] = {}
        self._value_sets: dict[str, ValueSet] = {}
        self._extensions: dict[str, ExtensionDefinition] = {}
        self._type_decoder = msgspec.json.Decoder(TypeDefinition)
        self._value_set_decoder = msgspec.json.Decoder(ValueSet)
        self._extension_decoder = msgspec.json.Decoder(ExtensionDefinition)

    @property
    def fhir_version(self) -> str:
        """The version of FHIR that the table was built from."""
        return self._table.fhir_version

    @property
    def source(self) -> str:
        """Name and version of the package that the table was built from."""
        return self._table.source

    @cached_property
    def type_names(self) -> frozenset[str]:
        """Names of all types, nested element types among them."""
        return frozenset(self._table.types)

    @cached_property
    def resource_names(self) -> frozenset[str]:
        """Names of the resource types that an instance can have: 148 less two abstract ones."""
        return frozenset(
            name
            for name, raw in self._table.types.items()
            if "." not in name
            and b'"kind":"resource"' in bytes(raw)
            and not self.type(name).is_abstract
        )

    def type(self, name: str) -> TypeDefinition:
        """Look up a type.

        Raises:
            KeyError: R4 has no type of that name.
        """
        found = self._types.get(name)
        if found is None:
            found = self._type_decoder.decode(self._table.types[name])
            self._types[name] = found
        return found

    def value_set(self, url: str) -> ValueSet:
        """Look up a value set that some required binding names.

        Raises:
            KeyError: no required binding of R4 names that value set.
        """
        found = self._value_sets.get(url)
        if found is None:
            found = self._value_set_decoder.decode(self._table.value_sets[url])
            self._value_sets[url] = found
        return found

    def extension(self, url: str) -> ExtensionDefinition | None:
        """Look up an extension; None where HL7's core package doesn't define it."""
        found = self._extensions.get(url)
        if found is None and url in self._table.extensions:
            found = self._extension_decoder.decode(self._table.extensions[url])
            self._extensions[url] = found
        return found

    def search_parameter(self, url: str) -> SearchDefinition | None:
        """Look up a search parameter; None where HL7's core package doesn't define it."""
        raw = self._table.search_parameters.get(url)
        return None if raw is None else msgspec.json.decode(raw, type=SearchDefinition)

    @property
    def search_parameter_urls(self) -> frozenset[str]:
        """URLs of all search parameters that HL7's core package defines."""
        return frozenset(self._table.search_parameters)

    @property
    def extension_urls(self) -> frozenset[str]:
        """URLs of all extensions that HL7's core package defines."""
        return frozenset(self._table.extensions)

    @property
    def value_set_urls(self) -> frozenset[str]:
        """URLs of all value sets that required bindings name, and types of quantities."""
        return frozenset(self._table.value_sets)

    def bases(self, name: str) -> tuple[str, ...]:
        """The type itself and the types that it specialises, nearest first."""
        chain = []
        while name:
            chain.append(name)
            name = self.type(name).base
        return tuple(chain)


def read_table(path: Path) -> Definitions:
    """Read a table from a file.

    Args:
        path: a gzipped table as `fhir/r4/build/build.py` writes it.

    Raises:
        FileNotFoundError: no such file.
        ValueError: the file is of another format.
        msgspec.DecodeError: it is no table.
    """
    table = msgspec.json.decode(gzip.decompress(path.read_bytes()), type=Table)
    if table.format != TABLE_FORMAT:
        raise ValueError(f"table format {table.format}, expected {TABLE_FORMAT}: {path}")
    return Definitions(table)


@cache
def r4() -> Definitions:
    """The R4 definitions that come with the package, read on first use."""
    return read_table(TABLE_PATH)


@cache
def is_definition(resource_type: str) -> bool:
    """Whether a resource type defines things for others, as StructureDefinition and ValueSet do.

    Args:
        resource_type: a resource type in the table.
    """
    names = {element.name for element in r4().type(resource_type).elements}
    return {"url", "status", "experimental"} <= names
