"""Search parameters of the user's own: SearchParameter resources read and checked.

Belongs here: what of a definition can be used, and the fault of one that can't. Evaluation is the
same as for R4's own (`index.py`).
"""

from collections.abc import Iterable, Mapping
from typing import Any

from hc_assets.fhir.fhirpath import FhirPathSyntaxError, compile_expression
from hc_assets.fhir.fhirpath.evaluator import r4_types
from hc_assets.fhir.r4.definitions import r4
from hc_assets.fhir.search.converters import TABLE
from hc_assets.fhir.search.parameters import Component, Parameter

_COMPOSITE = "composite"


class ParameterError(ValueError):
    """A definition that can't be used; the text names the member that is at fault."""


def read_parameters(definitions: Iterable[Mapping[str, Any]]) -> dict[str, tuple[Parameter, ...]]:
    """Read SearchParameter resources.

    Args:
        definitions: JSON of each; a composite may name others of them by their URLs.

    Returns:
        The parameters of each resource type that they search.

    Raises:
        ParameterError: a definition lacks a member, searches a type that R4 doesn't have, has an
            expression that isn't FHIRPath, or a component that is defined nowhere.
    """
    known = list(definitions)
    types = {str(each.get("url")): str(each.get("type")) for each in known}
    found: dict[str, list[Parameter]] = {}
    for definition in known:
        parameter = _parameter(definition, types)
        bases = definition.get("base")
        if not isinstance(bases, list) or not bases:
            raise _fault(parameter.url, "base", "names no resource type")
        for base in bases:
            for name in _resources(parameter.url, base):
                found.setdefault(name, []).append(parameter)
    return {name: tuple(each) for name, each in found.items()}


def _resources(url: str, base: Any) -> list[str]:
    """The resource types that a base stands for: itself, or those that specialise it."""
    names = [name for name in sorted(r4().resource_names) if base in r4().bases(name)]
    if not names:
        raise _fault(url, "base", "is no resource type of R4")
    return names


def _parameter(definition: Mapping[str, Any], types: Mapping[str, str]) -> Parameter:
    url = _text(definition, "url", "a definition")
    code, type_ = _text(definition, "code", url), _text(definition, "type", url)
    if type_ not in TABLE and type_ != _COMPOSITE:
        raise _fault(url, "type", f"is none of {', '.join(sorted((*TABLE, _COMPOSITE)))}")
    components = tuple(
        _component(part, types, url) for part in definition.get("component", ()) or ()
    )
    if (type_ == _COMPOSITE) != bool(components):
        raise _fault(url, "component", "belongs to a composite, and to no other")
    return Parameter(
        code=code,
        type=type_,
        expression=_expression(definition, url, "expression"),
        url=url,
        targets=tuple(definition.get("target", ())),
        components=components,
    )


def _component(part: Mapping[str, Any], types: Mapping[str, str], url: str) -> Component:
    named = _text(part, "definition", url, "component.")
    known = r4().search_parameter(named)
    type_ = types.get(named) if known is None else known.type
    if type_ is None or type_ == _COMPOSITE:
        raise _fault(url, "component.definition", "is no simple search parameter that is known")
    return Component(type_, _expression(part, url, "component.expression"))


def _text(definition: Mapping[str, Any], member: str, url: str, place: str = "") -> str:
    value = definition.get(member)
    if not isinstance(value, str) or not value:
        raise _fault(url, place + member, "is missing")
    return value


def _expression(definition: Mapping[str, Any], url: str, place: str) -> str:
    text = _text(definition, "expression", url, place.removesuffix("expression"))
    try:
        compile_expression(text, r4_types())
    except FhirPathSyntaxError as error:
        raise _fault(url, place, f"isn't FHIRPath that is known here: {error}") from error
    return text


def _fault(url: str, member: str, what: str) -> ParameterError:
    return ParameterError(f"search parameter {url}: {member} {what}")
