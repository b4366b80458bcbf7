"""The search parameters of each resource type: R4's, and those of the user's own.

Belongs here: which there are. How their expressions are evaluated is in `paths.py` and `plan.py`.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache

from hc_assets.fhir.r4.definitions import SearchDefinition, r4


@dataclass(frozen=True, slots=True)
class Component:
    """A part of a composite parameter: the type of its values, and where they are."""

    type: str
    expression: str


@dataclass(frozen=True, slots=True)
class Parameter:
    """A search parameter of one resource type.

    Attributes:
        code: its name in a query.
        type: token, string, reference, date, number, quantity, uri, composite or special.
        expression: FHIRPath of its values; "" where no path says them.
        url: of its definition.
        targets: for a reference: the types that it may refer to.
        components: for a composite: its parts, in order.
    """

    code: str
    type: str
    expression: str
    url: str
    targets: tuple[str, ...] = ()
    components: tuple[Component, ...] = ()


# Among R4's definitions HL7 has examples of a SearchParameter, of names that others have: the
# subject of a Condition would lead to organizations.
_EXAMPLES = frozenset(
    f"http://hl7.org/fhir/SearchParameter/{name}"
    for name in ("example", "example-extension", "example-reference")
)


@cache
def _all() -> dict[str, SearchDefinition]:
    urls = sorted(r4().search_parameter_urls - _EXAMPLES)
    found = {url: r4().search_parameter(url) for url in urls}
    return {url: definition for url, definition in found.items() if definition is not None}


def parameters_of(resource_type: str) -> tuple[Parameter, ...]:
    """All parameters of a resource type by their names, those of all resources among them.

    Args:
        resource_type: a name of R4.

    Raises:
        KeyError: R4 has no type of that name.
    """
    bases = frozenset(r4().bases(resource_type))
    found = {
        definition.code: _parameter(url, definition)
        for url, definition in _all().items()
        if not bases.isdisjoint(definition.base)
    }
    return tuple(found[code] for code in sorted(found))


def _parameter(url: str, definition: SearchDefinition) -> Parameter:
    return Parameter(
        code=definition.code,
        type=definition.type,
        expression=definition.expression,
        url=url,
        targets=definition.targets,
        components=tuple(_components(definition)),
    )


def _components(definition: SearchDefinition) -> Iterable[Component]:
    for part in definition.components:
        yield Component(_all()[part.definition].type, part.expression)
