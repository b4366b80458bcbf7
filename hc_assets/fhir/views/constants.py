"""Constants of a view: their values become literals of its paths.

Belongs here: which constants there may be and what they stand for. FHIRPath's own constants are in
`fhir/fhirpath/constants.py`.
"""

from collections.abc import Callable, Mapping
from dataclasses import fields, replace
from decimal import Decimal
from typing import Any, cast

from hc_assets.fhir.fhirpath import EvaluationError, Quantity, Temporal
from hc_assets.fhir.fhirpath.syntax import Constant, Expression, Literal
from hc_assets.fhir.fhirpath.values import parse_temporal

ROW_INDEX = "rowIndex"
Value = str | bool | int | Decimal | Temporal | Quantity


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError("expected a string")
    return value


def _boolean(value: Any) -> bool:
    if not isinstance(value, bool):
        raise ValueError("expected true or false")
    return value


def _integer(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int | str):
        raise ValueError("expected a whole number")
    return int(value)


def _decimal(value: Any) -> Decimal:
    if isinstance(value, bool) or not isinstance(value, int | Decimal):
        raise ValueError("expected a number")
    return Decimal(value)


def _temporal(value: Any) -> Temporal:
    try:
        return parse_temporal(_text(value))
    except EvaluationError as error:
        raise ValueError(str(error)) from error


_TEXTS = ("base64Binary", "canonical", "code", "id", "oid", "string", "uri", "url", "uuid")
_READERS: Mapping[str, Callable[[Any], Value]] = {
    **dict.fromkeys(_TEXTS, _text),
    **dict.fromkeys(("integer", "integer64", "positiveInt", "unsignedInt"), _integer),
    **dict.fromkeys(("date", "dateTime", "instant", "time"), _temporal),
    "boolean": _boolean,
    "decimal": _decimal,
}
MEMBERS = {f"value{type_[:1].upper()}{type_[1:]}": type_ for type_ in _READERS}


def constant_value(member: str, value: Any) -> Value:
    """Read the value of a constant.

    Args:
        member: one of `MEMBERS`.
        value: JSON.

    Raises:
        ValueError: it is not of the type that the member names; says what was expected.
    """
    return _READERS[MEMBERS[member]](value)


def with_values(tree: Expression, values: Mapping[str, Value]) -> Expression:
    """Put the values of constants into an expression; those that are not among them stay."""
    if isinstance(tree, Constant):
        return Literal(values[tree.name]) if tree.name in values else tree
    changed: dict[str, Any] = {}
    for field in fields(tree):
        part = getattr(tree, field.name)
        if isinstance(part, Expression):
            changed[field.name] = with_values(part, values)
        elif isinstance(part, tuple):
            changed[field.name] = tuple(with_values(each, values) for each in part)
    remade: Expression = replace(cast("Any", tree), **changed)
    return remade
