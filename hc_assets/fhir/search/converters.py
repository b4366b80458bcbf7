"""Which elements a parameter of each type can search, and how they become values.

Belongs here: the table of converters by the parameter's and the element's type (R4, chapter
Search). The converters are in the modules named for what they give.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from hc_assets.fhir.r4.definitions import Definitions
from hc_assets.fhir.search import dates, numbers, references, texts, tokens
from hc_assets.fhir.search.values import Simple

Convert = Callable[[Any], Iterable[Simple]]

_WITHOUT_SYSTEM = tokens.of_code(None)
_QUANTITIES = (
    "Quantity",
    "SimpleQuantity",
    "MoneyQuantity",
    "Age",
    "Count",
    "Distance",
    "Duration",
)
_URIS = ("uri", "url", "canonical", "oid", "uuid")
_TEXTS = ("string", "markdown")

TABLE: Mapping[str, Mapping[str, Convert]] = {
    "token": {
        **dict.fromkeys(("code", "string", "id", *_URIS), _WITHOUT_SYSTEM),
        "boolean": tokens.of_boolean,
        "Coding": tokens.of_coding,
        "CodeableConcept": tokens.of_concept,
        "Identifier": tokens.of_identifier,
        "ContactPoint": tokens.of_contact,
    },
    "string": {
        **dict.fromkeys((*_TEXTS, *_URIS, "id", "code"), texts.of_text),
        "HumanName": texts.of_name,
        "Address": texts.of_address,
    },
    "reference": {
        "Reference": references.of_reference,
        "Resource": references.of_resource,
        **dict.fromkeys(_URIS, references.of_canonical),
    },
    "date": {
        **dict.fromkeys(("date", "dateTime", "instant"), dates.of_text),
        "Period": dates.of_period,
        "Timing": dates.of_timing,
    },
    "number": {
        **dict.fromkeys(("decimal", "integer", "positiveInt", "unsignedInt"), numbers.of_number),
        "Range": numbers.of_number_range,
    },
    "quantity": {
        **dict.fromkeys(_QUANTITIES, numbers.of_quantity),
        "Range": numbers.of_range,
        "Money": numbers.of_money,
    },
    "uri": dict.fromkeys(_URIS, texts.of_uri),
    "special": {},
}


def converter(parameter_type: str, element_type: str) -> Convert | None:
    """How elements of a type become values of a parameter; None where it can't search them."""
    return TABLE[parameter_type].get(element_type)


def system_of(definitions: Definitions, value_set: str) -> str | None:
    """The code system of a value set's codes; None where they are of several, or not listed."""
    systems = list(definitions.value_set(value_set).codes)
    return systems[0] if len(systems) == 1 else None
