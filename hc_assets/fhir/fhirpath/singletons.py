"""FHIRPath's singleton evaluation: the one value that is taken from a collection.

Belongs here: what counts as the one string, number or truth value of a collection, and how a
function is declared. The functions themselves belong to the modules named after what they work on.
"""

from collections.abc import Callable
from decimal import Decimal
from typing import Any, NamedTuple

from hc_assets.fhir.fhirpath.equality import is_number, raw
from hc_assets.fhir.fhirpath.errors import EvaluationError
from hc_assets.fhir.fhirpath.model import Collection, Item, Node

# Computed texts and collections of more than this are refused: an expression can double either at
# each step.
MOST_CHARACTERS = 10_000_000
MOST_ITEMS = 1_000_000


def limited(items: Collection) -> Collection:
    """The same collection.

    Raises:
        EvaluationError: it has more than a million items.
    """
    if len(items) > MOST_ITEMS:
        raise EvaluationError("a collection too large to work with")
    return items


def check_length(characters: int) -> None:
    """Hold a text that is to be computed to the limit.

    Raises:
        EvaluationError: it would have more than ten million characters.
    """
    if characters > MOST_CHARACTERS:
        raise EvaluationError("a text too long to compute")


class Function(NamedTuple):
    """One function: how many arguments it takes, and what it does.

    Attributes:
        least: least number of arguments.
        most: greatest number of arguments.
        apply: called with the scope, the input and each argument's collection.
    """

    least: int
    most: int
    apply: Callable[..., Any]


def single(items: Collection) -> Item | None:
    """The only item; None of an empty collection.

    Raises:
        EvaluationError: there are several.
    """
    if not items:
        return None
    if len(items) > 1:
        raise EvaluationError("several values where one is expected")
    return items[0]


def text_of(items: Collection) -> str | None:
    """The only item as a string; None where there is none or it has no value.

    Raises:
        EvaluationError: there are several, or it is no string.
    """
    value = raw(item) if (item := single(items)) is not None else None
    if value is None or isinstance(value, str):
        return value
    raise EvaluationError("a value that is no string where a string is expected")


def integer_of(items: Collection) -> int | None:
    """The only item as an integer; None where there is none or it has no value.

    Raises:
        EvaluationError: there are several, or it is no integer.
    """
    value = raw(item) if (item := single(items)) is not None else None
    if value is None or (isinstance(value, int) and not isinstance(value, bool)):
        return value
    raise EvaluationError("a value that is no integer where an integer is expected")


def number_of(items: Collection) -> int | Decimal | None:
    """The only item as a number; None where there is none or it has no value.

    Raises:
        EvaluationError: there are several, or it is no number.
    """
    value = raw(item) if (item := single(items)) is not None else None
    if value is None:
        return None
    if is_number(value):
        number: int | Decimal = value
        return number
    raise EvaluationError("a value that is no number where a number is expected")


def truth_of(items: Collection) -> bool | None:
    """A collection as a truth value: a boolean as it is, any other single value true.

    Returns:
        None for an empty collection, or a boolean element that has extensions alone.

    Raises:
        EvaluationError: there are several values.
    """
    item = single(items)
    if item is None:
        return None
    value = raw(item)
    if isinstance(value, bool):
        return value
    is_empty = value is None and isinstance(item, Node) and item.type_name == "boolean"
    return None if is_empty else True
