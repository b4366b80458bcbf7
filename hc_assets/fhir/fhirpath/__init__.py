"""FHIRPath 2.0 with FHIR's additions, compiled once and evaluated on decoded JSON.

Belongs here: what other modules call. Which expression stands for which invariant belongs to
`fhir/r4/rules/invariants.py`.

Whoever has a resource and a question asks by `compile`:

>>> from decimal import Decimal
>>> patient = {"resourceType": "Patient", "name": [{"family": "F", "given": ["A", "B"]}]}
>>> compile("Patient.name.given.join(' ')")(patient)
['A B']
>>> observation = {"resourceType": "Observation", "valueQuantity": {"value": Decimal("1.50"),
...     "system": "http://unitsofmeasure.org", "code": "g"}}
>>> compile("value > %limit")(observation)
Traceback (most recent call last):
...
hc_assets.fhir.fhirpath.errors.FhirPathSyntaxError: unknown constant %limit
>>> compile("value.value > %limit", variables={"limit": Decimal("1.2")})(observation)
[True]
>>> compile("Patient.name.givne", resource_type="Patient")
Traceback (most recent call last):
...
hc_assets.fhir.fhirpath.errors.FhirPathSyntaxError: no element givne of HumanName
>>> compile("value = 1500 'mg'")(observation)
[True]
>>> compile("value.value.lowBoundary()")(observation)
[Decimal('1.49500000')]

Validation and views, which ask many expressions of many nodes, take the parts: `TypeView`,
`compile_expression`, `Environment`.
"""

from collections.abc import Mapping

from hc_assets.fhir.fhirpath.checking import check_strictly
from hc_assets.fhir.fhirpath.errors import (
    EvaluationError,
    FhirPathError,
    FhirPathSyntaxError,
    UndecidableError,
)
from hc_assets.fhir.fhirpath.evaluator import Evaluator, Setting, Value, r4_types
from hc_assets.fhir.fhirpath.expression import CompiledExpression, compile_expression
from hc_assets.fhir.fhirpath.model import (
    Collection,
    Environment,
    Item,
    Node,
    TypeView,
    resource_node,
)
from hc_assets.fhir.fhirpath.values import Quantity, Temporal

__all__ = [
    "Collection",
    "CompiledExpression",
    "Environment",
    "EvaluationError",
    "Evaluator",
    "FhirPathError",
    "FhirPathSyntaxError",
    "Item",
    "Node",
    "Quantity",
    "Setting",
    "Temporal",
    "TypeView",
    "UndecidableError",
    "Value",
    "check_strictly",
    "compile",
    "compile_expression",
    "resource_node",
]


def compile(  # noqa: A001 - what it does, as in `re.compile`
    expression: str,
    variables: Mapping[str, Value] | None = None,
    setting: Setting | None = None,
    resource_type: str | None = None,
) -> Evaluator:
    """Compile an expression for resources of R4.

    Args:
        expression: FHIRPath.
        variables: values of `%name` for names of the caller's: texts, numbers (no floats, which
            lose digits), booleans, dates, JSON objects, lists of them.
        setting: what the expression may ask for beside the resource: the time, other resources,
            terminology.
        resource_type: what it will look at; with it, elements that the type doesn't have are
            errors. Without it, or where types show in the data alone, they give nothing.

    Returns:
        A function of a decoded resource that gives the list of values.

    Raises:
        FhirPathSyntaxError: it isn't FHIRPath, is too large, or uses a function, constant or type
            that there is not, or an element that the type doesn't have; the text names it, and for
            a function the nearest there is.
        TypeError: a variable is of a kind that FHIRPath has no value for.
    """
    evaluator = Evaluator(expression, variables or {}, setting or Setting())
    if resource_type is not None:
        check_strictly(expression, r4_types(), resource_type)
    return evaluator
