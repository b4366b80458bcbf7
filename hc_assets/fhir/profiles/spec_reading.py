"""Reads a snapshot or a differential into a tree of demands.

Belongs here: ids, paths and names of slices, and what is in one ElementDefinition. The tree
itself belongs to `specs.py`.
"""

from typing import Any

from hc_assets.fhir.profiles.elements import CORE, Member, choice_of, elements_of
from hc_assets.fhir.profiles.errors import ProfileError
from hc_assets.fhir.profiles.reading import Structure
from hc_assets.fhir.profiles.shapes import BindingShape, ElementShape, JsonObject
from hc_assets.fhir.profiles.specs import (
    UNBOUNDED,
    BindingSpec,
    Constraint,
    Discriminator,
    SlicingSpec,
    Spec,
    TypeSpec,
)
from hc_assets.fhir.r4.definitions import r4

_SYSTEM_TYPE = "http://hl7.org/fhirpath/System."
_CLOSED_BY_TYPE = SlicingSpec((Discriminator("type", "$this"),), "closed", False, is_implied=True)
_MAX_VALUE_SET = CORE + "elementdefinition-maxValueSet"


def _content(element: JsonObject, prefix: str) -> Any:
    """The value of `fixed[x]` and its like; None where it is absent."""
    for name, value in element.items():
        if name.startswith(prefix) and name[len(prefix) : len(prefix) + 1].isupper():
            return value
    return None


def _bindings(binding: BindingShape | None) -> tuple[BindingSpec, ...]:
    if binding is None:
        return ()
    found = []
    if binding.valueSet and binding.strength in ("required", "extensible"):
        found.append(BindingSpec(binding.valueSet, binding.strength == "required"))
    for extension in binding.extension:
        url = extension.valueCanonical or extension.valueUri
        if extension.url == _MAX_VALUE_SET and url and binding.strength != "required":
            found.append(BindingSpec(url, is_required=True))
    return tuple(found)


def _types(shape: ElementShape) -> tuple[TypeSpec, ...] | None:
    if not shape.type or any(entry.code.startswith(_SYSTEM_TYPE) for entry in shape.type):
        return None
    return tuple(
        TypeSpec(entry.code, tuple(entry.profile), tuple(entry.targetProfile))
        for entry in shape.type
    )


class _Reader:
    """Reads the elements of one part into a tree."""

    def __init__(self, structure: Structure, part: str) -> None:
        self._structure = structure
        self._part = part
        name = structure.shape.type
        self.root = Spec(name, "", (Member("", name),))

    def _error(self, index: int, text: str) -> ProfileError:
        place = f"StructureDefinition.{self._part}.element[{index}]"
        return ProfileError(self._structure.file, place, text)

    def element(self, index: int, shape: ElementShape, content: JsonObject) -> None:
        """Take one ElementDefinition in."""
        segments = self._segments(shape)
        if segments[0] != self._structure.shape.type:
            text = f"found path {shape.path}, expected one of {self._structure.shape.type}"
            raise self._error(index, text)
        spec = self.root
        for segment in segments[1:]:
            spec = self._step(spec, segment, index)
        spec.element_id = shape.id or spec.element_id
        self._fill(spec, shape, content, index)

    def _segments(self, shape: ElementShape) -> list[str]:
        """The way to the element, with slices: from its id, or from path and name of the slice."""
        segments = shape.id.split(".")
        if [segment.partition(":")[0] for segment in segments] == shape.path.split("."):
            return segments
        # Without a proper id the slices above are those that came last in the document.
        segments = shape.path.split(".")
        spec: Spec | None = self.root
        for index, segment in enumerate(segments[1:-1], start=1):
            spec = None if spec is None else spec.children.get(segment.removesuffix("[x]"))
            while spec is not None and spec.slices:
                name, spec = list(spec.slices.items())[-1]
                segments[index] = f"{segment}:{name}"
        if shape.sliceName:
            segments[-1] += f":{shape.sliceName}"
        return segments

    def _step(self, parent: Spec, segment: str, index: int) -> Spec:
        """One step down the tree; what isn't there yet is made."""
        written, _, slice_name = segment.partition(":")
        name = written.removesuffix("[x]")
        members = self._members(parent, name)
        choice = None
        if members is None:
            # `valueQuantity` stands for a slice of `value[x]` by type, and leaves no other type:
            # so R4's own profiles have it in their snapshots (bodyweight among others).
            choice = next((c for t in parent.type_names if (c := choice_of(t, name))), None)
            if choice is None:
                wanted = " or ".join(dict.fromkeys(parent.type_names))
                raise self._error(index, f"found {written}, expected an element of {wanted}")
            slice_name = slice_name or name
            name = choice[0]
            members = self._members(parent, name) or ()
        spec = parent.children.get(name)
        if spec is None:
            suffix = "[x]" if any(member.name != name for member in members) else ""
            spec = parent.children[name] = Spec(
                f"{parent.element_id}.{name}{suffix}", name, members
            )
        if choice is not None and spec.slicing is None:
            spec.slicing = _CLOSED_BY_TYPE
        return self._slice(spec, slice_name) if slice_name else spec

    def _members(self, parent: Spec, name: str) -> tuple[Member, ...] | None:
        """The JSON members of an element; None where no type of the parent has it."""
        found: list[Member] = []
        for type_name in parent.type_names:
            core = elements_of(type_name).get(name)
            if core is not None:
                found.extend(core.members)
            elif name == "value" and r4().type(type_name).kind == "primitive-type":
                return ()  # the value of a primitive, which JSON has no member for
        return tuple(dict.fromkeys(found)) or None

    def _slice(self, spec: Spec, name: str) -> Spec:
        # A slice of slice a is named a/b; where there is no a, that is the name of a plain slice.
        upper = name.rpartition("/")[0]
        while upper:
            if upper in spec.slices:
                spec = spec.slices[upper]
                break
            upper = upper.rpartition("/")[0]
        known = spec.slices.get(name)
        if known is None:
            typed = tuple(member for member in spec.members if member.name == name)
            known = Spec(f"{spec.element_id}:{name}", spec.name, typed or spec.members)
            if typed and spec.is_choice:
                known.types = (TypeSpec(typed[0].type_name),)
            spec.slices[name] = known
        return known

    def _fill(self, spec: Spec, shape: ElementShape, content: JsonObject, index: int) -> None:
        """What an ElementDefinition says."""
        spec.min = shape.min
        spec.max = self._max(shape.max, index)
        spec.types = _types(shape) or spec.types
        for ref in spec.types or ():
            if ref.code not in r4().type_names:
                raise self._error(index, f"found type {ref.code}, expected a type of R4")
        spec.fixed = _content(content, "fixed")
        spec.pattern = _content(content, "pattern")
        spec.least = _content(content, "minValue")
        spec.greatest = _content(content, "maxValue")
        spec.bindings = _bindings(shape.binding)
        spec.constraints = tuple(
            Constraint(rule.key, rule.severity, rule.human, rule.expression, rule.source)
            for rule in shape.constraint
        )
        spec.max_length = shape.maxLength
        spec.content_reference = shape.contentReference
        if shape.slicing is not None:
            spec.slicing = SlicingSpec(
                tuple(Discriminator(d.type, d.path) for d in shape.slicing.discriminator),
                shape.slicing.rules,
                shape.slicing.ordered,
            )

    def _max(self, written: str | None, index: int) -> int | None:
        if written is None or written == "*":
            return None if written is None else UNBOUNDED
        if not (written.isascii() and written.isdecimal()):
            raise self._error(index, f"found max {written!r}, expected a number or *")
        return int(written)


def read_spec(structure: Structure) -> Spec:
    """Read what a profile says.

    Args:
        structure: a StructureDefinition that constrains a type of R4.

    Returns:
        The tree of its snapshot; of its differential where it has no snapshot.

    Raises:
        ProfileError: it has neither, or an element is none of R4's.
    """
    shape = structure.shape
    if shape.type not in r4().type_names:
        text = f"found {shape.type}, expected a type of R4"
        raise ProfileError(structure.file, "StructureDefinition.type", text)
    part = "snapshot" if shape.snapshot is not None else "differential"
    elements = shape.snapshot or shape.differential
    if elements is None or not elements.element:
        text = "found no element, expected a snapshot or a differential"
        raise ProfileError(structure.file, "StructureDefinition", text)
    reader = _Reader(structure, part)
    contents = structure.content[part]["element"]
    for index, (element, content) in enumerate(zip(elements.element, contents, strict=True)):
        reader.element(index, element, content)
    return reader.root
