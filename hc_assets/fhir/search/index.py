"""The values of all search parameters of a resource, in one walk over it.

Belongs here: from parameters to the walk, and to FHIRPath where an expression is more than a way
through members. Which parameters there are is in `parameters.py`.
"""

from collections.abc import Iterable, Iterator
from functools import cache
from itertools import product
from typing import Any, cast

from hc_assets.fhir.fhirpath.evaluator import r4_types
from hc_assets.fhir.fhirpath.expression import CompiledExpression, compile_expression
from hc_assets.fhir.fhirpath.model import Environment, Node, resource_node
from hc_assets.fhir.r4.definitions import r4
from hc_assets.fhir.search.converters import Convert as ConvertElement
from hc_assets.fhir.search.converters import converter, system_of
from hc_assets.fhir.search.parameters import Component, Parameter, parameters_of
from hc_assets.fhir.search.paths import Route, alternatives, extension_values, routes
from hc_assets.fhir.search.plan import Branch, Convert, Found
from hc_assets.fhir.search.tokens import of_boolean, of_code
from hc_assets.fhir.search.values import Composite, Simple, Value

_PART = ""  # the name of the only parameter where parts of a composite are looked for


class Index:
    """Gives the values of some search parameters on resources of one type."""

    def __init__(self, resource_type: str, parameters: Iterable[Parameter]) -> None:
        """Prepare the walk.

        Args:
            resource_type: a name of R4.
            parameters: those to be evaluated.

        Raises:
            FhirPathSyntaxError: an expression isn't FHIRPath.
        """
        root = Branch()
        for parameter in parameters:
            if parameter.expression:
                _add(root, parameter, resource_type)
        self._walk = root.walk()

    def values(self, resource: dict[str, Any]) -> Found:
        """All values, each with its parameter's name, each pair once.

        Args:
            resource: valid R4, decoded with decimals as `Decimal`.

        Raises:
            ValueError: a date or a number that can't be read.
        """
        found: Found = []
        self._walk(resource, found, resource)
        return list(dict.fromkeys(found))


@cache
def index_of(resource_type: str) -> Index:
    """The index of all of R4's parameters of a resource type.

    Raises:
        KeyError: R4 has no type of that name.
    """
    return Index(resource_type, parameters_of(resource_type))


def _add(root: Branch, parameter: Parameter, type_name: str) -> None:
    for tree in alternatives(parameter.expression):
        found = routes(tree, type_name, r4_types())
        if found is None:
            root.add((), _by_fhirpath(parameter, type_name), parameter.code)
            return  # which asks for all alternatives
        for route in found:
            for end in extension_values(route, r4_types()):
                convert = _convert(parameter, end)
                if convert is not None:
                    root.add(end.hops, convert, parameter.code)


def _convert(parameter: Parameter, route: Route) -> Convert | None:
    if parameter.type == "composite":
        return _composite(parameter.components, route.type_name)
    return _simple(parameter.type, route.type_name, route.owner, _last_member(route))


def _last_member(route: Route) -> str:
    return next((hop for hop in reversed(route.hops) if isinstance(hop, str)), "")


# Routes that end alike share their converter: a value is converted once for all parameters.
@cache
def _simple(parameter_type: str, type_name: str, owner: str, member: str) -> Convert | None:
    system = _system(owner, member) if (parameter_type, type_name) == ("token", "code") else None
    if system is not None:
        return _without_root(of_code(system))
    found = converter(parameter_type, _known(type_name))
    return None if found is None else _without_root(found)


def _known(type_name: str) -> str:
    return "Resource" if type_name in ("Resource", "DomainResource") else type_name


@cache
def _without_root(convert: ConvertElement) -> Convert:
    return lambda value, _: convert(value)


@cache
def _system(owner: str, member: str) -> str | None:
    """The code system that an element's binding implies."""
    if not owner:
        return None
    for element in r4().type(owner).elements:
        if element.name == member and element.binding is not None:
            return system_of(r4(), element.binding.value_set)
    return None


@cache
def _composite(components: tuple[Component, ...], type_name: str) -> Convert:
    walks = []
    for component in components:
        branch = Branch()
        part = Parameter(_PART, component.type, component.expression, "")
        _add(branch, part, type_name)
        walks.append(branch.walk())

    def convert(value: Any, root: Any) -> Iterator[Value]:
        parts: list[list[Simple]] = []
        for walk in walks:
            found: Found = []
            walk(value, found, root)
            if not found:
                return
            parts.append([cast("Simple", each) for _, each in found])
        for combination in product(*parts):
            yield Composite(combination)

    return convert


@cache
def _compiled(expression: str) -> CompiledExpression:
    return compile_expression(expression, r4_types())


def _by_fhirpath(parameter: Parameter, type_name: str) -> Convert:
    """Evaluate all of an expression, on a resource or on the value that a composite starts from."""
    compiled = _compiled(parameter.expression)

    def convert(value: Any, root: Any) -> Iterator[Value]:
        document = resource_node(root)
        node = document if value is root else Node(value, type_name)
        for item in compiled.evaluate(node, Environment(document, document, is_lenient=True)):
            if not isinstance(item, Node):
                if isinstance(item, bool) and parameter.type == "token":
                    yield from of_boolean(item)
                continue
            is_resource = isinstance(item.value, dict) and "resourceType" in item.value
            kind = "Resource" if is_resource else item.type_name
            found = converter(parameter.type, kind)
            if found is not None and item.value is not None:
                yield from found(item.value)

    return convert
