"""What is checked of one value on the thorough path: format, binding, narrative, reference.

Belongs here: rules that look at a value and its element alone. The way to the values belongs to
`walker.py`.
"""

import re
from typing import Any

from hc_assets.fhir.r4.bindings import allows_code, allows_coding, expectation
from hc_assets.fhir.r4.definitions import Element, TypeRef, r4
from hc_assets.fhir.r4.issues import Findings, Severity, clipped
from hc_assets.fhir.r4.narrative import has_content, narrative_fault
from hc_assets.fhir.r4.primitives import (
    format_problem,
    has_control_characters,
    json_kind,
    kind_of,
)
from hc_assets.fhir.r4.references import parse_reference

_WHITE_SPACE_INSIDE = re.compile(r">\s+<")


def check_primitive(
    value: Any, element: Element, ref: TypeRef, path: str, findings: Findings
) -> None:
    """Check a primitive value: JSON type, format, narrative, required binding.

    Args:
        value: the decoded value; not None.
        element: the element that it is a value of.
        ref: its primitive type.
        path: where it stands.
        findings: takes the issues.
    """
    expected = json_kind(ref.code)
    if kind_of(value) != expected:
        found = f"found {kind_of(value)}, expected {expected} ({ref.code})"
        findings.error("structure", path, "json-type", found)
        return
    problem = format_problem(ref.code, value)
    if problem is not None:
        rule = "empty-string" if value == "" else "primitive-format"
        findings.error("value", path, rule, f"{ref.code}: found {problem}")
    elif isinstance(value, str):
        if has_control_characters(value):
            found = "found control characters, which XML can't carry"
            findings.add("warning", "value", path, "control-characters", found)
        if ref.code == "xhtml":
            _check_narrative(value, path, findings)
        if element.binding is not None and not allows_code(element.binding.value_set, value):
            wanted = expectation(element.binding.value_set)
            found = f"found code {clipped(value)!r}, expected {wanted}"
            findings.error("code-invalid", path, "required-binding", found)


def _check_narrative(div: str, path: str, findings: Findings) -> None:
    fault = narrative_fault(div)
    if fault is not None:
        findings.error("invariant", path, "txt-1", f"found {fault}, expected basic XHTML")
    elif not has_content(div):
        # Empty is empty; for white space HL7's own validator and four of its examples think that
        # the rule holds (R4 publishes the same expression for txt-1 and txt-2).
        severity: Severity = "warning" if _WHITE_SPACE_INSIDE.search(div) else "error"
        findings.add(severity, "invariant", path, "txt-2", "found no content, expected some")


def check_complex(
    value: dict[str, Any], element: Element, ref: TypeRef, path: str, findings: Findings
) -> None:
    """Check a complex value: required binding of a CodeableConcept, form of a Reference.

    Args:
        value: the decoded object.
        element: the element that it is a value of.
        ref: its type.
        path: where it stands.
        findings: takes the issues.
    """
    if ref.code == "Reference":
        _check_reference(value, ref.targets, path, findings)
    elif ref.code == "CodeableConcept" and element.binding is not None:
        url = element.binding.value_set
        codings = value.get("coding")
        if codings is None and element.binding.is_maximum:
            return  # text alone: an outer bound binds codes where there are codes
        if not any(
            isinstance(coding, dict)
            and allows_coding(url, coding.get("system"), coding.get("code"))
            for coding in (codings if isinstance(codings, list) else ())
        ):
            found = f"found no coding of the value set, expected {expectation(url)}"
            findings.error("code-invalid", path, "required-binding", found)


def _check_reference(
    value: dict[str, Any], targets: tuple[str, ...], path: str, findings: Findings
) -> None:
    """Form of the reference; its type and what `type` says agree with the targets."""
    text, type_ = value.get("reference"), value.get("type")
    named = ""
    if isinstance(text, str) and text:
        parsed = parse_reference(text)
        if parsed is None:
            found = "found neither ResourceType/id, nor #id, nor an absolute URL or URN"
            findings.error("value", f"{path}.reference", "reference-format", found)
        else:
            named = parsed.resource_type
    if named and targets and named not in targets:
        # What is behind the reference may still be right; where it is at hand, it is looked at.
        found = f"found a reference to {named}, expected one to {', '.join(targets)}"
        findings.add("warning", "structure", f"{path}.reference", "reference-target", found)
    if not isinstance(type_, str) or not type_:
        return
    if type_ not in r4().resource_names:
        if "/" not in type_:  # an absolute URL may name a logical model
            found = f"found {clipped(type_)!r}, expected the name of a resource type"
            findings.error("code-invalid", f"{path}.type", "reference-type", found)
    elif named and type_ != named:
        found = f"found type {type_} beside a reference to {named}"
        findings.error("structure", f"{path}.type", "reference-type", found)
    elif targets and type_ not in targets:
        found = f"found type {type_}, expected one of {', '.join(targets)}"
        findings.error("structure", f"{path}.type", "reference-target", found)
