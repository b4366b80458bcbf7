"""Rules on search parameters, and on what a capability statement says about them.

Belongs here: what R4's text asks of these and its invariants don't. Whether an expression can be
read at all belongs to `definition_rules.py`.
"""

from collections.abc import Iterator
from contextlib import suppress

from hc_assets.fhir.fhirpath import FhirPathSyntaxError
from hc_assets.fhir.fhirpath.parser import parse
from hc_assets.fhir.fhirpath.syntax import Call, Expression, Member, parts
from hc_assets.fhir.r4.definitions import r4
from hc_assets.fhir.r4.issues import Findings, Severity
from hc_assets.fhir.r4.walker import Visit

_RULE = "search-parameter"
_SUPPORTED = "CapabilityStatement.rest.resource.searchParam"
# Types that HL7's published capability statements take for one another.
_CONFUSED = frozenset({"reference", "string", "token", "uri"})
_FOR_ALL = frozenset({"Resource", "DomainResource"})


def _check_components(visit: Visit, findings: Findings) -> None:
    """A composite parameter has parts (R4, SearchParameter.component)."""
    components = visit.value.get("component")
    number = len(components) if isinstance(components, list) else 0
    path = f"{visit.path}.component"
    if visit.value.get("type") == "composite" and number < 2:
        text = f"found {number} components of a composite parameter, expected at least two"
        findings.error("invalid", path, _RULE, text)
    elif visit.value.get("type") != "composite" and number:
        text = "found components, which only a composite parameter has"
        findings.add("warning", "invalid", path, _RULE, text)


def _roots(expression: Expression) -> Iterator[str]:
    """The names that a FHIRPath expression starts from."""
    if isinstance(expression, Member) and expression.base is None:
        yield expression.name
    elif isinstance(expression, Call) and expression.base is not None:
        yield from _roots(expression.base)  # what its arguments start from is not the resource
    elif not isinstance(expression, Call):
        for part in parts(expression):
            yield from _roots(part)


def _bases_of(visit: Visit) -> list[str]:
    found = visit.value.get("base")
    return [one for one in found if isinstance(one, str)] if isinstance(found, list) else []


def _check_roots(visit: Visit, findings: Findings) -> None:
    """The expression starts from one of the resource types that are searched."""
    expression, bases = visit.value.get("expression"), _bases_of(visit)
    if not isinstance(expression, str) or not bases or _FOR_ALL & {*bases}:
        return
    with suppress(FhirPathSyntaxError):  # reported as such
        others = {*_roots(parse(expression))} & r4().resource_names - {*bases}
        if others:
            # HL7 publishes one on a patient that finds an extension of a document.
            severity: Severity = "warning" if ".extension" in expression else "error"
            text = f"found an expression on {', '.join(sorted(others))}, which is not in base"
            findings.add(severity, "invalid", f"{visit.path}.expression", _RULE, text)


def _check_origin(visit: Visit, findings: Findings) -> None:
    """A parameter is consistent with the one it is derived from (R4, derivedFrom)."""
    url, type_ = visit.value.get("derivedFrom"), visit.value.get("type")
    origin = r4().search_parameter(url.partition("|")[0]) if isinstance(url, str) else None
    if origin is None:
        return
    if isinstance(type_, str) and type_ and type_ != origin.type:
        text = f"found another type than {origin.type}, that of the parameter it is derived from"
        findings.error("invalid", f"{visit.path}.type", _RULE, text)
    others = {*_bases_of(visit)} - {*origin.base}
    if others and not _FOR_ALL & {*origin.base}:
        text = f"the parameter that it is derived from is for {', '.join(origin.base)} alone"
        findings.error("invalid", f"{visit.path}.base", _RULE, text)


def _check_supported(visit: Visit, findings: Findings) -> None:
    """A server states the type that the parameter's definition has (R4, searchParam.type)."""
    url, type_ = visit.value.get("definition"), visit.value.get("type")
    found = r4().search_parameter(url.partition("|")[0]) if isinstance(url, str) else None
    if found is not None and isinstance(type_, str) and type_ and type_ != found.type:
        severity: Severity = "warning" if {type_, found.type} <= _CONFUSED else "error"
        text = f"found another type than {found.type}, that of the parameter's definition"
        findings.add(severity, "invalid", f"{visit.path}.type", _RULE, text)


def check_searches(visits: list[Visit], findings: Findings) -> None:
    """Check search parameters and the statements of servers about them.

    Args:
        visits: what the walk met.
        findings: takes the issues.
    """
    for visit in visits:
        if visit.type_name == "SearchParameter":
            _check_components(visit, findings)
            _check_roots(visit, findings)
            _check_origin(visit, findings)
        elif visit.type_name == _SUPPORTED:
            _check_supported(visit, findings)
