"""Rules on resources that define things for others: code systems, value sets, expressions.

Belongs here: what R4's text asks of these and its invariants don't. Search parameters belong to
`search_rules.py`, profiles to `structure_rules.py`. Invariants belong to
`invariant_rules.py`, profiles that validation is done against to the modules that read them.
"""

from collections.abc import Iterator
from typing import Any

from hc_assets.fhir.fhirpath import FhirPathSyntaxError
from hc_assets.fhir.fhirpath.constants import is_constant
from hc_assets.fhir.fhirpath.parser import parse
from hc_assets.fhir.fhirpath.syntax import Constant, Expression, all_in
from hc_assets.fhir.r4.definitions import is_definition
from hc_assets.fhir.r4.issues import Findings, Severity, clipped
from hc_assets.fhir.r4.primitives import is_absolute
from hc_assets.fhir.r4.rules.expression_constraints import is_expression_constraint
from hc_assets.fhir.r4.walker import Visit, each

_SNOMED = "http://snomed.info/sct"
_PARAMETER = "http://hl7.org/fhir/tools/StructureDefinition/valueset-parameter"
_PROPERTIES = "http://hl7.org/fhir/concept-properties#"
# HL7's own concept properties (code system concept-properties) and their types.
_TYPES_OF_PROPERTIES = {
    "child": "code",
    "deprecated": "dateTime",
    "deprecationDate": "dateTime",
    "inactive": "boolean",
    "notSelectable": "boolean",
    "parent": "code",
    "retirementDate": "dateTime",
    "status": "code",
}


def _objects(value: Any) -> Iterator[tuple[dict[str, Any], str]]:
    """The objects in a member, each with its index in brackets."""
    for one, index in each(value, ""):
        if isinstance(one, dict):
            yield one, index


def _concepts(visit: Visit) -> Iterator[tuple[dict[str, Any], str]]:
    """Every concept of a code system with where it stands, in order of depth."""
    level = [(one, f"{visit.path}.concept{i}") for one, i in _objects(visit.value.get("concept"))]
    while level:
        yield from level
        level = [
            (child, f"{path}.concept{index}")
            for concept, path in level
            for child, index in _objects(concept.get("concept"))
        ]


def _check_url(visit: Visit, findings: Findings) -> None:
    """A definition is known by its URL, so that has to be absolute."""
    url = visit.value.get("url")
    if isinstance(url, str) and url and not is_absolute(url):
        text = f"found {clipped(url)!r}, expected an absolute URL"
        findings.error("invalid", f"{visit.path}.url", "canonical-url", text)


def _check_properties(visit: Visit, findings: Findings) -> dict[str, str]:
    """Declared properties: each once, of the type that HL7 gave it; gives types by code."""
    types: dict[str, str] = {}
    urls: set[str] = set()
    for declared, index in _objects(visit.value.get("property")):
        path = f"{visit.path}.property{index}"
        code, type_, url = (declared.get(name) for name in ("code", "type", "uri"))
        if isinstance(url, str):
            wanted = _TYPES_OF_PROPERTIES.get(url.removeprefix(_PROPERTIES))
            if (
                url.startswith(_PROPERTIES)
                and wanted
                and isinstance(type_, str)
                and type_ != wanted
            ):
                text = f"found type {clipped(type_)}, expected {wanted} for this property of HL7's"
                findings.error("invalid", f"{path}.type", "code-system-property", text)
        # HL7 publishes a code system that declares properties twice.
        if (isinstance(code, str) and code in types) or (isinstance(url, str) and url in urls):
            text = "the same property is declared before"
            findings.add("warning", "duplicate", path, "code-system-property", text)
        if isinstance(code, str) and isinstance(type_, str):
            types.setdefault(code, type_)
        if isinstance(url, str):
            urls.add(url)
    return types


def _check_code_system(visit: Visit, findings: Findings) -> None:
    """Number of concepts, supplements, and the types of properties."""
    types = _check_properties(visit, findings)
    number = 0
    for concept, path in _concepts(visit):
        number += 1
        for found, index in _objects(concept.get("property")):
            code = found.get("code")
            if isinstance(code, str) and code and code not in types:
                # R4 says what the code refers to (concept.property.code), and of no SHALL.
                where = f"{path}.property{index}.code"
                text = f"{clipped(code)!r} is no property that the code system declares"
                findings.add("warning", "not-found", where, "code-system-property", text)
            wanted = types.get(code) if isinstance(code, str) else None
            member = next((name for name in found if name.startswith("value")), "")
            if wanted and member and member != f"value{wanted[:1].upper()}{wanted[1:]}":
                text = f"found {clipped(member)}, expected {wanted} as the property is declared"
                where = f"{path}.property{index}"
                findings.error("invalid", where, "code-system-property", text)
    content, count = visit.value.get("content"), visit.value.get("count")
    if content == "complete" and isinstance(count, int) and count != number:
        text = f"count is {count}, but the complete code system has {number} concepts"
        findings.error("invalid", f"{visit.path}.count", "code-system-count", text)
    if content == "not-present" and number:
        text = "found concepts in a code system that states that it brings none"
        findings.error("invalid", f"{visit.path}.concept", "code-system-count", text)
    if content == "supplement" and not {"supplements", "_supplements"} & {*visit.value}:
        text = "found no supplements, expected the code system that is supplemented"
        findings.error("required", f"{visit.path}.supplements", "code-system-supplement", text)
    if "supplements" in visit.value and isinstance(content, str) and content != "supplement":
        text = f"found {clipped(content)!r} beside supplements, expected 'supplement'"
        findings.error("invalid", f"{visit.path}.content", "code-system-supplement", text)


def _check_include(visit: Visit, findings: Findings) -> None:
    """A value set names code systems by absolute URLs."""
    system = visit.value.get("system")
    if isinstance(system, str) and system and not is_absolute(system):
        # HL7 publishes a value set that names a contained code system so.
        severity: Severity = "warning" if system.startswith("#") else "error"
        text = f"found {clipped(system)!r}, expected an absolute URL"
        findings.add(severity, "invalid", f"{visit.path}.system", "value-set-system", text)


def _check_filter(visit: Visit, findings: Findings) -> None:
    """What a filter on SNOMED CT's `constraint` asks for is an expression constraint."""
    holder = visit.parent
    system = holder.value.get("system") if holder is not None else None
    asked = visit.value.get("property"), visit.value.get("op")
    value = visit.value.get("value")
    if system != _SNOMED or asked != ("constraint", "=") or not isinstance(value, str):
        return
    if value and not is_expression_constraint(value):
        text = "not an expression constraint of SNOMED CT"
        findings.error("invalid", f"{visit.path}.value", "value-set-filter", text)


def _parameters(value_set: dict[str, Any]) -> frozenset[str]:
    """The names that a value set declares for its expressions."""
    return frozenset(
        part["valueCode"]
        for extension, _ in _objects(value_set.get("extension"))
        if extension.get("url") == _PARAMETER
        for part, _ in _objects(extension.get("extension"))
        if part.get("url") == "name" and isinstance(part.get("valueCode"), str)
    )


def _check_variables(visit: Visit, read: Expression, findings: Findings) -> None:
    """A variable that nothing defines is an error (FHIRPath, environment variables).

    In a value set nothing does but the value set; elsewhere whoever evaluates may.
    """
    if visit.resource.type_name != "ValueSet":
        return
    names = {node.name for node in all_in(read) if isinstance(node, Constant)}
    unknown = sorted(
        name for name in names - _parameters(visit.resource.value) if not is_constant(name)
    )
    if unknown:
        text = f"%{clipped(unknown[0])} is neither FHIRPath's nor a parameter of the value set"
        findings.error("invalid", f"{visit.path}.expression", "fhirpath-variable", text)


def _check_fhirpath(visit: Visit, findings: Findings) -> None:
    """An expression can be read as FHIRPath."""
    expression = visit.value.get("expression")
    if not isinstance(expression, str) or not expression:
        return
    try:
        _check_variables(visit, parse(expression), findings)
    except FhirPathSyntaxError as error:
        # HL7 publishes a trigger whose condition is no FHIRPath; in an extension that computes a
        # value, in a search parameter and in a constraint nothing else can be meant.
        holder = visit.parent
        is_mild = visit.type_name == "Expression" and (
            holder is None or holder.type_name != "Extension"
        )
        severity: Severity = "warning" if is_mild else "error"
        text = f"not FHIRPath: {error}"
        findings.add(severity, "invalid", f"{visit.path}.expression", "fhirpath-syntax", text)


def check_definitions(visits: list[Visit], findings: Findings) -> None:
    """Check the resources of a document that define things for others.

    Args:
        visits: what the walk met.
        findings: takes the issues.
    """
    for visit in visits:
        if visit.ref is None and is_definition(visit.type_name):
            _check_url(visit, findings)
        if visit.type_name == "CodeSystem":
            _check_code_system(visit, findings)
        elif visit.type_name in ("ValueSet.compose.include", "ValueSet.compose.exclude"):
            _check_include(visit, findings)
        elif visit.type_name == "ValueSet.compose.include.filter":
            _check_filter(visit, findings)
        elif visit.type_name in ("SearchParameter", "ElementDefinition.constraint") or (
            visit.type_name == "Expression" and visit.value.get("language") == "text/fhirpath"
        ):
            _check_fhirpath(visit, findings)
