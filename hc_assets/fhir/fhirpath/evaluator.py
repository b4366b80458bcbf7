"""FHIRPath for callers with plain Python values: a decoded resource in, a list of values out.

Belongs here: from Python to FHIRPath's values and back. The meaning of expressions is that of
`expression.py`.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time
from decimal import Decimal
from functools import cache
from typing import Any

from hc_assets.fhir.fhirpath.equality import UCUM
from hc_assets.fhir.fhirpath.expression import compile_expression
from hc_assets.fhir.fhirpath.functions.conversions import printed
from hc_assets.fhir.fhirpath.model import (
    Collection,
    Environment,
    Item,
    Node,
    TypeView,
    resource_node,
)
from hc_assets.fhir.fhirpath.values import Quantity, Temporal, parse_temporal
from hc_assets.fhir.r4.definitions import r4

# What goes in by a variable and what comes out: JSON; dates and times as FHIR writes them.
Value = str | bool | int | Decimal | date | time | dict[str, Any] | Sequence[Any]


@dataclass(frozen=True, slots=True)
class Setting:
    """What an expression may ask for beside the resource that it looks at.

    Attributes:
        now: the time that `now()`, `today()` and `timeOfDay()` give.
        find: gives the resource that a reference names, or None: for `resolve()`.
        member_of: tells whether a code, Coding or CodeableConcept, as JSON, is in the value set of
            a URL; None for unknown.
        conforms_to: tells whether a resource or element, as JSON, conforms to the profile of a URL;
            None for unknown.
    """

    now: datetime | None = None
    find: Callable[[str], dict[str, Any] | None] | None = None
    member_of: Callable[[Any, str], bool | None] | None = None
    conforms_to: Callable[[Any, str], bool | None] | None = None

    def environment(self, node: Node) -> Environment:
        """The setting of an evaluation on a resource."""
        find, member_of, conforms_to = self.find, self.member_of, self.conforms_to
        return Environment(
            node,
            node,
            find=None if find is None else lambda reference: _found(find(reference)),
            member_of=None if member_of is None else lambda item, url: member_of(_plain(item), url),
            conforms_to=(
                None if conforms_to is None else lambda each, url: conforms_to(each.value, url)
            ),
            now=self.now,
            is_lenient=True,
        )


class Evaluator:
    """An expression ready to be asked of resources.

    Attributes:
        expression: as it is written.
    """

    __slots__ = ("_compiled", "_setting", "expression")

    def __init__(self, expression: str, variables: Mapping[str, Value], setting: Setting) -> None:
        """Compile; see `compile` of the package."""
        given = {name: _collection(value) for name, value in variables.items()}
        self.expression = expression
        self._setting = setting
        self._compiled = compile_expression(expression, r4_types(), variables=given)

    def __call__(self, resource: Mapping[str, Any]) -> list[Any]:
        """The values of the expression on a resource, in order.

        Args:
            resource: JSON, decoded with decimals as `Decimal`.

        Returns:
            JSON as it stands for what is of the resource; text for a computed date or time, a
            FHIR Quantity's JSON for a computed quantity.

        Raises:
            EvaluationError: the expression has no value on this data.
            UndecidableError: it depends on what the setting doesn't have.
        """
        node = resource_node(dict(resource))
        return [
            _plain(item) for item in self._compiled.evaluate(node, self._setting.environment(node))
        ]


@cache
def r4_types() -> TypeView:
    """The types of R4."""
    return TypeView(r4())


def _found(resource: dict[str, Any] | None) -> Node | None:
    return None if resource is None else resource_node(resource)


def _plain(item: Item) -> Any:
    if isinstance(item, Node):
        return item.value
    if isinstance(item, Temporal):
        return printed(item)
    if isinstance(item, Quantity):
        if item.is_ucum:
            return {"value": item.value, "unit": item.unit, "system": UCUM, "code": item.unit}
        return {"value": item.value, "unit": item.unit}
    return item


def _collection(value: Any) -> Collection:
    if isinstance(value, list | tuple):
        return [item for each in value for item in _collection(each)]
    if isinstance(value, str | bool | int | Decimal | Node | Temporal | Quantity):
        return [value]
    if isinstance(value, dict):
        return [resource_node(value) if "resourceType" in value else Node(value, "")]
    if isinstance(value, date | time):
        return [parse_temporal(value.isoformat())]
    raise TypeError(f"a variable of {type(value).__name__}, which FHIRPath has no value for")
