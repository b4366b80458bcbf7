"""The thorough path: walks a resource beside its definitions and reports all that is wrong.

Belongs here: members, cardinality, JSON types, choices, and the way down the tree. What is checked
of a single value belongs to `fhir/r4/rules/value_rules.py`, FHIRPath rules to
`fhir/r4/rules/invariant_rules.py`, what spans several elements to `fhir/r4/rules/bundle_rules.py`
and its neighbours.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any, NamedTuple

from hc_assets.fhir.r4.definitions import Element, TypeRef, r4
from hc_assets.fhir.r4.issues import Findings, clipped
from hc_assets.fhir.r4.json_text import Document
from hc_assets.fhir.r4.primitives import kind_of
from hc_assets.fhir.r4.rules.value_rules import Places, check_complex, check_primitive

_ABSENT = object()


@dataclass(slots=True, eq=False)
class Visit:
    """One object of the tree, met on the way down.

    Attributes:
        value: the object; for the sibling of a primitive (`_birthDate`) the sibling.
        type_name: its type: a resource type, a data type or the path of a nested element; Element
            for the sibling of a primitive.
        path: where it stands.
        element: the element of its parent that it is a value of; None for a resource.
        ref: the type that it has in that element; None for a resource.
        parent: the object around it; None for the document's root.
        resource: the innermost resource around it, or itself.
    """

    value: dict[str, Any]
    type_name: str
    path: str
    element: Element | None
    ref: TypeRef | None
    parent: "Visit | None"
    resource: "Visit"

    def __init__(
        self,
        value: dict[str, Any],
        type_name: str,
        path: str,
        parent: "Visit | None" = None,
        member: "Member | None" = None,
    ) -> None:
        """Note an object; without `member` it is a resource."""
        self.value = value
        self.type_name = type_name
        self.path = path
        self.parent = parent
        self.element = None if member is None else member.element
        self.ref = None if member is None else member.ref
        self.resource = self if member is None or parent is None else parent.resource


class Member(NamedTuple):
    """A JSON member that a type may have: its element and the type that its name states."""

    element: Element
    ref: TypeRef
    is_primitive: bool


@cache
def members_of(type_name: str) -> dict[str, Member]:
    """The JSON members of a type by name, without the `_` siblings."""
    return {
        name: Member(element, ref, r4().type(ref.code).kind == "primitive-type")
        for element in r4().type(type_name).elements
        for name, ref in element.members()
    }


def each(content: Any, path: str) -> Iterator[tuple[Any, str]]:
    """The values of a JSON member, each with where it stands."""
    if isinstance(content, list):
        for index, one in enumerate(content):
            yield one, f"{path}[{index}]"
    else:
        yield content, path


class Walker:
    """Walks one document.

    Attributes:
        findings: the issues, in the order of the document.
        visits: every object of a known type, parents before children.
    """

    def __init__(self, document: Document, findings: Findings) -> None:
        """Make ready to walk a document, adding to the findings."""
        self.findings = findings
        self.visits: list[Visit] = []
        self._repeated = document.repeated

    def resource(self, value: Any, path: str, parent: Visit | None = None) -> None:
        """Walk a resource: the document's root, a contained resource, a bundle's entry.

        Raises:
            TooManyIssuesError: see `Findings`.
        """
        if not isinstance(value, dict):
            found = f"found {kind_of(value)}, expected an object with resourceType"
            self.findings.error("structure", path, "json-type", found)
            return
        name = value.get("resourceType")
        if not isinstance(name, str) or name not in r4().resource_names:
            found = "no resourceType"
            if isinstance(name, str):
                found = f"resourceType {clipped(name)!r}"
            elif "resourceType" in value:
                found = f"resourceType of JSON type {kind_of(name)}"
            self.findings.add(
                "error" if path else "fatal",
                "structure",
                path,
                "resource-type",
                f"found {found}, expected the name of an R4 resource type",
            )
            return
        self._object(Visit(value, name, path or name, parent))

    def _object(self, visit: Visit, has_value: bool = False) -> bool:
        """An object of a known type; False where it has no content to go into.

        `has_value` is for the sibling of a primitive: whether a value is beside it.
        """
        value, path, definition = visit.value, visit.path, r4().type(visit.type_name)
        for name in self._repeated.get(id(value), (None, []))[1]:
            self.findings.error(
                "duplicate",
                f"{path}.{clipped(name)}",
                "duplicate-member",
                "the member comes more than once in its object",
            )
        if not value:
            found = "found an empty object, expected content or no member at all"
            self.findings.error("structure", path, "ele-1", found)
            return False
        if visit.ref is not None and not has_value and value.keys() == {"id"}:
            found = "found an id alone, expected a value or children"
            self.findings.error("invariant", path, "ele-1", found)
        self.visits.append(visit)
        present = self._present(visit)
        for element in definition.elements:
            names = present.get(element.name, ())
            if len(names) > 1:
                found = f"found {', '.join(names)}, expected one of them"
                self.findings.error("structure", f"{path}.{element.name}", "choice", found)
            if not names and element.min > 0:
                name = f"{element.name}[x]" if element.is_choice else element.name
                found = f"{definition.name}.{name} is missing, expected at least {element.min}"
                self.findings.error("required", f"{path}.{element.name}", "cardinality", found)
            for name in names:
                if element.max == 0:
                    found = f"found a value, expected none in {definition.name}"
                    self.findings.error("structure", f"{path}.{name}", "cardinality", found)
                self._element(visit, name, members_of(visit.type_name)[name])
        return True

    def _present(self, visit: Visit) -> dict[str, list[str]]:
        """Names of the members present, without `_`, by element; unknown ones are reported."""
        members = members_of(visit.type_name)
        present: dict[str, list[str]] = {}
        for name in visit.value:
            plain = name.removeprefix("_")
            known = members.get(plain)
            if known is not None and (plain == name or known.is_primitive):
                names = present.setdefault(known.element.name, [])
                if plain not in names:
                    names.append(plain)
            elif name != "resourceType" or visit.ref is not None:
                found = f"not a member of {visit.type_name}"
                path = f"{visit.path}.{clipped(name)}"
                self.findings.error("structure", path, "unknown-member", found)
        return present

    def _element(self, parent: Visit, name: str, member: Member) -> None:
        """All values of an element in one JSON member."""
        if member.is_primitive:
            self._primitives(parent, name, member)
            return
        here, content = f"{parent.path}.{name}", parent.value[name]
        if not self._has_valid_shape(content, member.element, here):
            return
        for one, path in each(content, here):
            if member.ref.code == "Resource":
                self.resource(one, path, parent)
            elif not isinstance(one, dict):
                found = f"found {kind_of(one)}, expected an object ({member.ref.code})"
                rule = "null-value" if one is None else "json-type"
                self.findings.error("structure", path, rule, found)
            elif self._object(Visit(one, member.ref.code, path, parent, member)):
                places = Places(path, f"{parent.type_name}.{member.element.name}")
                check_complex(one, member.element, member.ref, places, self.findings)
        self._count(content, member.element, here)

    def _has_valid_shape(self, content: Any, element: Element, here: str) -> bool:
        """Whether a member is an array where it should be one, and only there."""
        if element.is_list == isinstance(content, list):
            return True
        expected = "an array" if element.is_list else "a single value"
        rule = "null-value" if content is None else "json-type"
        found = f"found {kind_of(content)}, expected {expected}"
        self.findings.error("structure", here, rule, found)
        return False

    def _count(self, content: Any, element: Element, here: str) -> None:
        """The number of values in an array."""
        if not isinstance(content, list):
            return
        if not content:
            found = "found an empty array, expected values or no member at all"
            self.findings.error("structure", here, "empty-array", found)
        elif len(content) < element.min:
            found = f"found {len(content)} values, expected at least {element.min}"
            self.findings.error("required", here, "cardinality", found)
        elif element.max is not None and len(content) > element.max:
            found = f"found {len(content)} values, expected at most {element.max}"
            self.findings.error("structure", here, "cardinality", found)

    def _primitives(self, parent: Visit, name: str, member: Member) -> None:
        """A primitive element: its values and their `_name` siblings."""
        here, extra_here = f"{parent.path}.{name}", f"{parent.path}._{name}"
        content, extra = parent.value.get(name, _ABSENT), parent.value.get(f"_{name}", _ABSENT)
        shapes = [
            self._has_valid_shape(part, member.element, where)
            for part, where in ((content, here), (extra, extra_here))
            if part is not _ABSENT
        ]
        if not all(shapes):
            return
        if member.element.is_list:
            self._primitive_list(parent, name, member)
            return
        for part, where in ((content, here), (extra, extra_here)):
            if part is None:
                found = "found null, expected a value or no member at all"
                self.findings.error("structure", where, "null-value", found)
        if content is not _ABSENT and content is not None:
            check_primitive(content, member.element, member.ref, here, self.findings)
        if extra is not _ABSENT and extra is not None:
            self._sibling(
                parent,
                extra,
                here,
                member,
                has_value=content is not _ABSENT and content is not None,
            )

    def _primitive_list(self, parent: Visit, name: str, member: Member) -> None:
        """Values and siblings side by side; null stands where one of the two is missing."""
        here = f"{parent.path}.{name}"
        contents, extras = parent.value.get(name, []), parent.value.get(f"_{name}", [])
        if name in parent.value:
            self._count(contents, member.element, here)
        if f"_{name}" in parent.value:
            if not extras:
                self._count(extras, member.element, f"{parent.path}._{name}")
            elif name in parent.value and len(contents) != len(extras):
                found = f"found {len(extras)} entries beside {len(contents)} values"
                self.findings.error("structure", f"{parent.path}._{name}", "sibling-length", found)
        for index in range(max(len(contents), len(extras))):
            one = contents[index] if index < len(contents) else None
            sibling = extras[index] if index < len(extras) else None
            path = f"{here}[{index}]"
            if one is None and sibling is None:
                found = "found null without extensions beside it, expected a value"
                self.findings.error("structure", path, "null-value", found)
            if one is not None:
                check_primitive(one, member.element, member.ref, path, self.findings)
            if sibling is not None:
                self._sibling(parent, sibling, path, member, has_value=one is not None)

    def _sibling(
        self, parent: Visit, extra: Any, here: str, member: Member, *, has_value: bool
    ) -> None:
        if member.ref.code == "xhtml":
            found = "found a member beside narrative, which has its id inside and no extensions"
            self.findings.error("structure", here, "unknown-member", found)
        elif isinstance(extra, dict):
            self._object(Visit(extra, "Element", here, parent, member), has_value)
        else:
            found = f"found {kind_of(extra)} in the `_` member, expected an object"
            self.findings.error("structure", here, "json-type", found)
