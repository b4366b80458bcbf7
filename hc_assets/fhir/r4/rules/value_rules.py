"""What is checked of one value on the thorough path: format, binding, narrative, reference.

Belongs here: rules that look at a value and its element alone. The way to the values belongs to
`fhir/r4/walker.py`.
"""

import hashlib
import re
from typing import Any, NamedTuple

from hc_assets.fhir.r4.bindings import (
    allows_code,
    allows_coding,
    expectation,
    extensible_codes,
    extensible_of,
)
from hc_assets.fhir.r4.code_systems import (
    is_unknown_code,
    nearest_code,
    nearest_of,
)
from hc_assets.fhir.r4.definitions import Element, TypeRef, r4
from hc_assets.fhir.r4.issues import Findings, Severity, clipped
from hc_assets.fhir.r4.primitives import (
    base64_bytes,
    format_problem,
    has_capital_uuid,
    has_control_characters,
    is_absolute,
    is_only_too_long,
    json_kind,
    kind_of,
)
from hc_assets.fhir.r4.references import parse_reference
from hc_assets.fhir.r4.rules.errata import severity_of_target
from hc_assets.fhir.r4.rules.narrative import has_content, narrative_dangers, narrative_fault

_URIS = frozenset({"uri", "url", "canonical"})
# One data point of SampledData (R4, datatypes: SampledData): a decimal, or what stands for one.
_POINT = r"(?:-?[0-9]+(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?|[EUL])"
_POINTS = re.compile(rf"{_POINT}(?: {_POINT})*")
_BYTES_OF_HEXADECIMAL = 30  # 40 digits read as base64
_RESTFUL = re.compile(r"[A-Z][A-Za-z]+/[A-Za-z0-9.\-]{1,64}(?:[|#].*)?")
_WHITE_SPACE_INSIDE = re.compile(r">\s+<")
_LONGEST_CODE = 100  # no code system of R4 has one as long


class Places(NamedTuple):
    """Where a value stands: its FHIRPath, and its element's path in the definitions."""

    path: str
    element: str


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
        if ref.code == "id" and is_only_too_long(value):
            rule = "id-length"  # apart from the format, since a deployment may let it through
        findings.error("value", path, rule, f"{ref.code}: found {problem}")
    elif isinstance(value, str):
        if has_control_characters(value):
            found = "found control characters, which XML can't carry"
            findings.add("warning", "value", path, "control-characters", found)
        if ref.code in _URIS and has_capital_uuid(value):
            found = "found a UUID with capital letters, expected small ones"
            findings.add("warning", "value", path, "primitive-format", found)
        if ref.code == "canonical":
            _check_canonical(value, path, findings)
        if ref.code == "xhtml":
            _check_narrative(value, path, findings)
        if element.binding is not None and not allows_code(element.binding.value_set, value):
            wanted = expectation(element.binding.value_set)
            found = f"found code {clipped(value)!r}, expected {wanted}"
            findings.error("code-invalid", path, "required-binding", found)


def _check_canonical(url: str, path: str, findings: Findings) -> None:
    """The URL that a definition is known by is absolute; `#id` names a contained one."""
    if not is_absolute(url) and not url.startswith("#"):
        # HL7 publishes definitions that are named as a reference would name them.
        severity: Severity = "warning" if _RESTFUL.fullmatch(url) else "error"
        found = "found a relative URL, expected the absolute one that the definition is known by"
        findings.add(severity, "value", path, "canonical-url", found)


def _check_narrative(div: str, path: str, findings: Findings) -> None:
    fault = narrative_fault(div)
    if fault is not None:
        findings.error("invariant", path, "txt-1", f"found {fault}, expected basic XHTML")
    elif not has_content(div):
        # Empty is empty; for white space HL7's own validator and four of its examples think that
        # the rule holds (R4 publishes the same expression for txt-1 and txt-2).
        severity: Severity = "warning" if _WHITE_SPACE_INSIDE.search(div) else "error"
        findings.add(severity, "invariant", path, "txt-2", "found no content, expected some")
    for danger in narrative_dangers(div):
        text = f"found {danger}, expected a narrative that is whole in itself"
        findings.add("warning", "business-rule", path, "narrative-is-self-contained", text)


def check_complex(
    value: dict[str, Any],
    element: Element,
    ref: TypeRef,
    places: Places,
    findings: Findings,
) -> None:
    """Check a complex value: required binding of a CodeableConcept, form of a Reference.

    And what an Attachment says about its data, the points of SampledData, and whether the code of a
    Coding is in its code system.

    Args:
        value: the decoded object.
        element: the element that it is a value of.
        ref: its type.
        places: where it stands.
        findings: takes the issues.
    """
    path = places.path
    extensible = extensible_of(ref)
    if extensible:
        _check_unit(value, extensible, path, findings)
    if ref.code == "Reference":
        _check_reference(value, ref.targets, places, findings)
    elif ref.code == "Coding":
        _check_coding(value, path, findings)
    elif ref.code == "Identifier":
        system = value.get("system")
        if isinstance(system, str) and system and not is_absolute(system):
            # R4's text leaves it open; HL7's validator refuses it.
            found = "found a relative URL, expected an absolute one or a URN"
            findings.add("warning", "value", f"{path}.system", "identifier-system", found)
    elif ref.code == "Attachment":
        _check_attachment(value, path, findings)
    elif ref.code == "SampledData":
        points = value.get("data")
        if isinstance(points, str) and points and _POINTS.fullmatch(points) is None:
            found = "found other than decimals, E, U and L with one space between them"
            findings.error("value", f"{path}.data", "sampled-data", found)
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


def _check_coding(value: dict[str, Any], path: str, findings: Findings) -> None:
    """A code is one of its code system, where R4 publishes all of that.

    No error, whatever the binding: later versions of HL7's code systems have more codes.
    """
    system, code = value.get("system"), value.get("code")
    if not (isinstance(system, str) and isinstance(code, str) and code):
        return
    if not is_unknown_code(system, value.get("version"), code):
        return
    is_worth_it = len(code) <= _LONGEST_CODE and findings.takes_milder
    near = nearest_code(system, code) if is_worth_it else None
    # The code that was found is the sender's, and quoted; the nearest is HL7's own word.
    hint = f"; the nearest one is {near}" if near is not None else ""
    found = f"found code {clipped(code)!r}, expected one of code system {system}{hint}"
    findings.add("warning", "code-invalid", f"{path}.code", "code-system", found)


def _check_unit(value: dict[str, Any], value_set: str, path: str, findings: Findings) -> None:
    """The unit of a quantity is one that its type is bound to, or of another system.

    No error: the binding is extensible, and only the sender knows whether one of its units fits.
    """
    system, code = value.get("system"), value.get("code")
    of_system = extensible_codes(value_set).get(system) if isinstance(system, str) else None
    if of_system is None or not isinstance(code, str) or code in of_system:
        return
    is_worth_it = len(code) <= _LONGEST_CODE and findings.takes_milder
    near = nearest_of(of_system, code) if is_worth_it else None
    hint = f"; the nearest one is {near}" if near is not None else ""
    found = (
        f"found code {clipped(code)!r} of a code system of value set {value_set},"
        f" expected one of that value set where one fits{hint}"
    )
    findings.add("warning", "code-invalid", path, "extensible-binding", found)


def _check_attachment(value: dict[str, Any], path: str, findings: Findings) -> None:
    """The number of bytes and the SHA-1 that an attachment states are those of its data."""
    size, stated, text = value.get("size"), value.get("hash"), value.get("data")
    if not isinstance(text, str) or not ("size" in value or isinstance(stated, str)):
        return
    data = base64_bytes(text)
    if data is None:  # reported as the format of the primitive
        return
    if isinstance(size, int) and not isinstance(size, bool) and size != len(data):
        found = f"found {size}, but the data have {len(data)} bytes"
        findings.error("invalid", f"{path}.size", "attachment-size", found)
    digest = base64_bytes(stated) if isinstance(stated, str) else None
    if digest is not None and digest != hashlib.sha1(data, usedforsecurity=False).digest():
        # HL7 publishes an attachment with a SHA-1 in hexadecimal.
        is_mild = len(digest) == _BYTES_OF_HEXADECIMAL
        severity: Severity = "warning" if is_mild else "error"
        found = "not the SHA-1 of the data"
        findings.add(severity, "invalid", f"{path}.hash", "attachment-hash", found)


def _check_reference(
    value: dict[str, Any], targets: tuple[str, ...], places: Places, findings: Findings
) -> None:
    """Form of the reference; its type and what `type` says agree with the targets."""
    path = places.path
    text, type_ = value.get("reference"), value.get("type")
    named = ""
    if isinstance(text, str) and text:
        parsed = parse_reference(text)
        if parsed is None and path.startswith("Bundle.") and text.startswith("urn:"):
            pass  # `bundle_references.py` reports that no entry has this URN
        elif parsed is None:
            found = "found neither ResourceType/id, nor #id, nor an absolute URL or URN"
            findings.error("value", f"{path}.reference", "reference-format", found)
        else:
            named = parsed.resource_type
            if parsed.has_long_id:
                found = "found an id of more than 64 characters"
                findings.error("value", f"{path}.reference", "id-length", found)
    if named and targets and named not in targets:
        found = f"found a reference to {named}, expected one to {', '.join(targets)}"
        severity = severity_of_target(places.element, named)
        findings.add(severity, "structure", f"{path}.reference", "reference-target", found)
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
