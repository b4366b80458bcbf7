"""The thorough path: walks a resource beside its definitions and reports everything that is wrong.

Belongs here: members, cardinality, JSON types, choices, bindings, and the way down the tree. Formats
belong to `primitives.py`, FHIRPath rules to `invariant_rules.py`, what spans several elements to
`bundle_rules.py` and its neighbours.
"""

from collections.abc import Iterator
from functools import cache
from typing import Any, NamedTuple

from hc_assets.fhir.r4.bindings import allows_code, allows_coding, expectation
from hc_assets.fhir.r4.definitions import Element, TypeDefinition, TypeRef, r4
from hc_assets.fhir.r4.issues import Issue, IssueCode, Severity
from hc_assets.fhir.r4.json_text import Document
from hc_assets.fhir.r4.narrative import has_content, narrative_fault
from hc_assets.fhir.r4.primitives import (
    format_problem,
    has_control_characters,
    json_kind,
    kind_of,
)
from hc_assets.fhir.r4.references import parse_reference

# A hostile resource could break a rule at every byte; more findings help nobody.
MAX_ISSUES = 1000


class Visit(NamedTuple):
    """One object of the tree, met on the way down.

    Attributes:
        value: the object.
        type_name: its type; a resource type, a data type or the path of a nested element.
        path: where it stands.
        element: the element of its parent that it is a value of; None for a root resource.
        owner: path in the definitions of the parent's type, such as `Patient.contact`; "" for a
            root resource.
        resource: the innermost resource around it, or itself.
    """

    value: dict[str, Any]
    type_name: str
    path: str
    element: Element | None
    owner: str
    resource: dict[str, Any]


class TooManyIssuesError(Exception):
    """More issues than anyone reads: the walk ends early."""


class _Member(NamedTuple):
    element: Element
    ref: TypeRef
    is_primitive: bool


@cache
def _members(type_name: str) -> dict[str, _Member]:
    definition = r4().type(type_name)
    return {
        name: _Member(element, ref, r4().type(ref.code).kind == "primitive-type")
        for element in definition.elements
        for name, ref in element.members()
    }


def _clip(text: str) -> str:
    return text if len(text) <= 60 else text[:57] + "..."


class Walker:
    """Walks one document; `issues` and `visits` are its results.

    Attributes:
        issues: what was found, in the order of the document.
        visits: every object that has a known type, parents before children.
    """

    def __init__(self, document: Document) -> None:
        self.issues: list[Issue] = []
        self.visits: list[Visit] = []
        self._repeated = document.repeated

    def add(
        self, severity: Severity, code: IssueCode, path: str, rule: str, diagnostics: str
    ) -> None:
        """Report an issue.

        Raises:
            TooManyIssuesError: it is one too many; the last issue says so.
        """
        if len(self.issues) >= MAX_ISSUES:
            text = f"more than {MAX_ISSUES} issues, the rest is left out"
            self.issues.append(Issue("error", "too-costly", path, "too-many-issues", text))
            raise TooManyIssuesError
        self.issues.append(Issue(severity, code, path, rule, diagnostics))

    def resource(self, value: Any, path: str, owner: str = "") -> None:
        """Walk a resource: the document's root, a contained resource, a bundle's entry."""
        if not isinstance(value, dict):
            where = path or ""
            self.add(
                "error",
                "structure",
                where,
                "json-type",
                f"found {kind_of(value)}, expected an object with resourceType",
            )
            return
        name = value.get("resourceType")
        if not isinstance(name, str) or name not in r4().resource_names:
            found = (
                "no resourceType"
                if "resourceType" not in value
                else (
                    f"resourceType {_clip(name)!r}"
                    if isinstance(name, str)
                    else f"resourceType of JSON type {kind_of(name)}"
                )
            )
            self.add(
                "error" if path else "fatal",
                "structure",
                path,
                "resource-type",
                f"found {found}, expected the name of an R4 resource type",
            )
            return
        here = path or name
        if self._content(value, name, here):
            self._members_of(value, name, here, None, owner, value)

    def _content(self, value: dict[str, Any], type_name: str, path: str) -> bool:
        """Report repeated names, and objects without content (ele-1)."""
        for name in self._repeated.get(id(value), (None, []))[1]:
            self.add(
                "error",
                "duplicate",
                f"{path}.{_clip(name)}",
                "duplicate-member",
                "the member comes more than once in its object",
            )
        if not value:
            self.add(
                "error",
                "structure",
                path,
                "ele-1",
                "found an empty object, expected content or no member at all",
            )
            return False
        if value.keys() == {"id"} and r4().type(type_name).kind != "resource":
            self.add(
                "error",
                "invariant",
                path,
                "ele-1",
                "found an id alone, expected a value or children",
            )
        return True

    def _members_of(
        self,
        value: dict[str, Any],
        type_name: str,
        path: str,
        element: Element | None,
        owner: str,
        resource: dict[str, Any],
    ) -> None:
        definition = r4().type(type_name)
        self.visits.append(Visit(value, type_name, path, element, owner, resource))
        members = _members(type_name)
        present: dict[str, list[str]] = {}
        for name in value:
            known = members.get(name)
            if known is None and name.startswith("_"):
                sibling_of = members.get(name[1:])
                known = sibling_of if sibling_of is not None and sibling_of.is_primitive else None
            if known is not None:
                found = present.setdefault(known.element.name, [])
                if name.lstrip("_") not in found:
                    found.append(name.lstrip("_"))
            elif name != "resourceType" or definition.kind != "resource":
                self.add(
                    "error",
                    "structure",
                    f"{path}.{_clip(name)}",
                    "unknown-member",
                    f"not a member of {type_name}",
                )
        for child in definition.elements:
            names = present.get(child.name, [])
            if len(names) > 1:
                self.add(
                    "error",
                    "structure",
                    f"{path}.{child.name}",
                    "choice",
                    f"found {', '.join(names)}, expected one type only",
                )
            if not names and child.min > 0:
                self._missing(definition, child, path)
            for name in names:
                if child.max == 0:
                    self.add(
                        "error",
                        "structure",
                        f"{path}.{name}",
                        "cardinality",
                        f"found a value, expected none in {type_name}",
                    )
                self._element(value, name, members[name], type_name, path, resource)

    def _missing(self, definition: TypeDefinition, child: Element, path: str) -> None:
        name = f"{child.name}[x]" if child.is_choice else child.name
        self.add(
            "error",
            "required",
            f"{path}.{child.name}",
            "cardinality",
            f"{definition.name}.{name} is missing, expected at least {child.min}",
        )

    def _element(
        self,
        value: dict[str, Any],
        name: str,
        member: _Member,
        owner: str,
        path: str,
        resource: dict[str, Any],
    ) -> None:
        here = f"{path}.{name}"
        element = member.element
        if member.is_primitive:
            self._primitives(value, name, member, owner, here, resource)
            return
        content = value[name]
        if element.is_list != isinstance(content, list):
            self._wrong_shape(content, element, here)
            return
        for one, where in _each(content, here):
            if member.ref.code == "Resource":
                self.resource(one, where, f"{owner}.{element.name}")
            elif not isinstance(one, dict):
                self.add(
                    "error",
                    "structure",
                    where,
                    "json-type",
                    f"found {kind_of(one)}, expected an object ({member.ref.code})",
                )
            elif self._content(one, member.ref.code, where):
                self._members_of(one, member.ref.code, where, element, owner, resource)
                self._complex_value(one, member, where)
        if isinstance(content, list):
            self._count(content, element, here)

    def _wrong_shape(self, content: Any, element: Element, here: str) -> None:
        expected = "an array" if element.is_list else "a single value"
        rule = "null-value" if content is None else "json-type"
        self.add("error", "structure", here, rule, f"found {kind_of(content)}, expected {expected}")

    def _count(self, content: list[Any], element: Element, here: str) -> None:
        if not content:
            self.add(
                "error",
                "structure",
                here,
                "empty-array",
                "found an empty array, expected values or no member at all",
            )
        elif len(content) < element.min:
            self.add(
                "error",
                "required",
                here,
                "cardinality",
                f"found {len(content)} values, expected at least {element.min}",
            )
        elif element.max is not None and len(content) > element.max:
            self.add(
                "error",
                "structure",
                here,
                "cardinality",
                f"found {len(content)} values, expected at most {element.max}",
            )

    def _primitives(
        self,
        value: dict[str, Any],
        name: str,
        member: _Member,
        owner: str,
        here: str,
        resource: dict[str, Any],
    ) -> None:
        """A primitive element: its values and their `_name` siblings, one by one."""
        absent = object()
        content, extra = value.get(name, absent), value.get(f"_{name}", absent)
        extra_here = f"{here.rpartition('.')[0]}._{name}"
        element = member.element
        for part, where in ((content, here), (extra, extra_here)):
            if part is not absent and element.is_list != isinstance(part, list):
                self._wrong_shape(part, element, where)
                return
        if not element.is_list:
            if content is None or extra is None:
                where = here if content is None else extra_here
                self.add(
                    "error",
                    "structure",
                    where,
                    "null-value",
                    "found null, expected a value or no member at all",
                )
            if content is not absent and content is not None:
                self._primitive(content, member, here)
            if extra is not absent and extra is not None:
                self._sibling(extra, here, owner, element, resource)
            return
        contents = content if isinstance(content, list) else []
        extras = extra if isinstance(extra, list) else []
        if content is not absent or not extras:
            self._count(contents, element, here)
        if content is not absent and extra is not absent and len(contents) != len(extras):
            self.add(
                "error",
                "structure",
                extra_here,
                "sibling-length",
                f"found {len(extras)} entries beside {len(contents)} values, expected as many",
            )
        for index in range(max(len(contents), len(extras))):
            one = contents[index] if index < len(contents) else None
            sibling = extras[index] if index < len(extras) else None
            where = f"{here}[{index}]"
            if one is None and sibling is None:
                self.add(
                    "error",
                    "structure",
                    where,
                    "null-value",
                    "found null without extensions beside it, expected a value",
                )
            if one is not None:
                self._primitive(one, member, where)
            if sibling is not None:
                self._sibling(sibling, where, owner, element, resource)

    def _sibling(
        self, extra: Any, here: str, owner: str, element: Element, resource: dict[str, Any]
    ) -> None:
        if not isinstance(extra, dict):
            self.add(
                "error",
                "structure",
                here,
                "json-type",
                f"found {kind_of(extra)} in the `_` member, expected an object",
            )
        elif self._content(extra, "Element", here):
            self._members_of(extra, "Element", here, element, owner, resource)

    def _primitive(self, value: Any, member: _Member, here: str) -> None:
        type_name, element = member.ref.code, member.element
        expected = json_kind(type_name)
        if kind_of(value) != expected:
            self.add(
                "error",
                "structure",
                here,
                "json-type",
                f"found {kind_of(value)}, expected {expected} ({type_name})",
            )
            return
        problem = format_problem(type_name, value)
        if problem is not None:
            self._bad_format(value, type_name, here, problem)
            return
        if isinstance(value, str):
            if has_control_characters(value):
                self.add(
                    "warning",
                    "value",
                    here,
                    "control-characters",
                    "found control characters, which XML can't carry",
                )
            if type_name == "xhtml":
                self._narrative(value, here)
            if element.binding is not None and not allows_code(element.binding.value_set, value):
                self.add(
                    "error",
                    "code-invalid",
                    here,
                    "required-binding",
                    f"found code {_clip(value)!r}, expected "
                    f"{expectation(element.binding.value_set)}",
                )

    def _narrative(self, div: str, here: str) -> None:
        fault = narrative_fault(div)
        if fault is not None:
            self.add("error", "invariant", here, "txt-1", f"found {fault}, expected basic XHTML")
        elif not has_content(div):
            self.add("error", "invariant", here, "txt-2", "found white space, expected content")

    def _bad_format(self, value: Any, type_name: str, here: str, problem: str) -> None:
        if value == "":
            self.add("error", "value", here, "empty-string", f"found {problem}")
        else:
            self.add("error", "value", here, "primitive-format", f"{type_name}: found {problem}")

    def _complex_value(self, value: dict[str, Any], member: _Member, here: str) -> None:
        binding = member.element.binding
        if member.ref.code == "CodeableConcept" and binding is not None:
            codings = value.get("coding")
            if not any(
                isinstance(c, dict)
                and allows_coding(binding.value_set, c.get("system"), c.get("code"))
                for c in (codings if isinstance(codings, list) else ())
            ):
                self.add(
                    "error",
                    "code-invalid",
                    here,
                    "required-binding",
                    f"found no coding of the value set, expected {expectation(binding.value_set)}",
                )
        elif member.ref.code == "Reference":
            self._reference(value, member.ref.targets, here)

    def _reference(self, value: dict[str, Any], targets: tuple[str, ...], here: str) -> None:
        text, type_ = value.get("reference"), value.get("type")
        if isinstance(text, str) and text:
            parsed = parse_reference(text)
            if parsed is None:
                self.add(
                    "error",
                    "value",
                    f"{here}.reference",
                    "reference-format",
                    "found neither ResourceType/id, nor #id, nor an absolute URL or URN",
                )
                return
            named = parsed.resource_type
            if named and targets and named not in targets:
                self.add(
                    "error",
                    "structure",
                    f"{here}.reference",
                    "reference-target",
                    f"found a reference to {named}, expected {', '.join(targets)}",
                )
            if named and isinstance(type_, str) and type_ != named:
                self.add(
                    "error",
                    "structure",
                    f"{here}.type",
                    "reference-type",
                    f"found type {_clip(type_)!r} beside a reference to {named}",
                )
        if isinstance(type_, str) and type_:
            if type_ not in r4().resource_names:
                if "/" not in type_:
                    self.add(
                        "error",
                        "code-invalid",
                        f"{here}.type",
                        "reference-type",
                        f"found {_clip(type_)!r}, expected the name of a resource type",
                    )
            elif targets and type_ not in targets:
                self.add(
                    "error",
                    "structure",
                    f"{here}.type",
                    "reference-target",
                    f"found type {type_}, expected {', '.join(targets)}",
                )


def _each(content: Any, here: str) -> Iterator[tuple[Any, str]]:
    """The values of an element, each with where it stands."""
    if isinstance(content, list):
        for index, one in enumerate(content):
            yield one, f"{here}[{index}]"
    else:
        yield content, here
