"""The parts of StructureDefinition, ValueSet and CodeSystem that profile validation reads.

Belongs here: their JSON shapes, so that a file of another shape is refused with the place that is
wrong. Finding the files belongs to `reading.py`, what the definitions mean to `specs.py` and
`terminology.py`.
"""

from typing import Any, Literal

import msgspec

JsonObject = dict[str, Any]


class TypeShape(msgspec.Struct):
    """ElementDefinition.type."""

    code: str
    profile: list[str] = []
    targetProfile: list[str] = []  # noqa: N815 - FHIR's name


class DiscriminatorShape(msgspec.Struct):
    """ElementDefinition.slicing.discriminator."""

    type: Literal["value", "exists", "pattern", "type", "profile"]
    path: str


class SlicingShape(msgspec.Struct):
    """ElementDefinition.slicing; a differential may leave the rules to its base."""

    discriminator: list[DiscriminatorShape] = []
    rules: Literal["closed", "open", "openAtEnd"] | None = None
    ordered: bool = False


class ConstraintShape(msgspec.Struct):
    """ElementDefinition.constraint."""

    key: str
    severity: Literal["error", "warning"]
    human: str = ""
    expression: str = ""
    source: str = ""


class ExtensionShape(msgspec.Struct):
    """An extension whose value is a URL; others are of no interest here."""

    url: str
    valueCanonical: str = ""  # noqa: N815
    valueUri: str = ""  # noqa: N815


class BindingShape(msgspec.Struct):
    """ElementDefinition.binding."""

    strength: Literal["required", "extensible", "preferred", "example"]
    valueSet: str = ""  # noqa: N815
    extension: list[ExtensionShape] = []


class ElementShape(msgspec.Struct):
    """ElementDefinition, without fixed[x], pattern[x], minValue[x] and maxValue[x]."""

    path: str
    id: str = ""
    sliceName: str = ""  # noqa: N815
    min: int | None = None
    max: str | None = None
    type: list[TypeShape] = []
    contentReference: str = ""  # noqa: N815
    slicing: SlicingShape | None = None
    constraint: list[ConstraintShape] = []
    binding: BindingShape | None = None
    maxLength: int | None = None  # noqa: N815
    isModifier: bool | None = None  # noqa: N815


class ElementsShape(msgspec.Struct):
    """StructureDefinition.snapshot or .differential."""

    element: list[ElementShape]


class ContextShape(msgspec.Struct):
    """StructureDefinition.context."""

    type: str
    expression: str


class StructureShape(msgspec.Struct):
    """StructureDefinition."""

    url: str
    type: str
    kind: Literal["primitive-type", "complex-type", "resource", "logical"]
    version: str = ""
    fhirVersion: str = ""  # noqa: N815
    derivation: Literal["constraint", "specialization"] = "specialization"
    baseDefinition: str = ""  # noqa: N815
    context: list[ContextShape] = []
    snapshot: ElementsShape | None = None
    differential: ElementsShape | None = None


class ConceptShape(msgspec.Struct):
    """CodeSystem.concept; also ValueSet.compose.include.concept."""

    code: str
    property: list[JsonObject] = []
    concept: "list[ConceptShape]" = []


class CodeSystemShape(msgspec.Struct):
    """CodeSystem."""

    url: str
    content: str
    version: str = ""
    concept: list[ConceptShape] = []


class FilterShape(msgspec.Struct):
    """ValueSet.compose.include.filter."""

    property: str
    op: str
    value: str


class PartShape(msgspec.Struct):
    """ValueSet.compose.include and exclude."""

    system: str = ""
    concept: list[ConceptShape] = []
    filter: list[FilterShape] = []
    valueSet: list[str] = []  # noqa: N815


class ComposeShape(msgspec.Struct):
    """ValueSet.compose."""

    include: list[PartShape] = []
    exclude: list[PartShape] = []


class ContainsShape(msgspec.Struct):
    """ValueSet.expansion.contains."""

    system: str = ""
    code: str = ""
    abstract: bool = False
    contains: "list[ContainsShape]" = []


class ExpansionShape(msgspec.Struct):
    """ValueSet.expansion."""

    total: int | None = None
    offset: int = 0
    contains: list[ContainsShape] = []
    extension: list[ExtensionShape] = []


class ValueSetShape(msgspec.Struct):
    """ValueSet."""

    url: str
    version: str = ""
    compose: ComposeShape | None = None
    expansion: ExpansionShape | None = None
