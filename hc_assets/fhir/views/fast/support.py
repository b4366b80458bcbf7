"""What generated code calls: values that take more than an attribute or an operator.

Belongs here: functions on plain values. Each does what `fhir/fhirpath` and `values.py` do.
"""

from decimal import Decimal
from functools import lru_cache
from typing import Any

import msgspec

from hc_assets.fhir.fhirpath import Environment, Node
from hc_assets.fhir.fhirpath.compiler import Compiler
from hc_assets.fhir.fhirpath.evaluator import r4_types
from hc_assets.fhir.fhirpath.model import Scope
from hc_assets.fhir.fhirpath.syntax import Call, Member
from hc_assets.fhir.views.compiling import joined
from hc_assets.fhir.views.values import decimal_text

# For functions that do not ask where they are
_NO_SCOPE = Scope(Environment(Node({}, ""), Node({}, "")), [])
_DIGITS = frozenset(b"-0123456789")


class TakeGeneralWayError(Exception):
    """A resource holds what generated code does not do."""


def number_text(raw: msgspec.Raw) -> str:
    """Text of a number that JSON holds, with all its digits."""
    text = bytes(raw)
    if text[0] not in _DIGITS:
        raise TakeGeneralWayError
    if text == b"-0" or b"e" in text or b"E" in text:
        raise TakeGeneralWayError  # it is written otherwise than as its digits
    return text.decode()


def number_of(raw: msgspec.Raw) -> int | Decimal:
    """A number that JSON holds."""
    return Decimal(number_text(raw))


def joined_text(values: list[Any], separator: str) -> str:
    """`join()` of texts."""
    return str(joined(_NO_SCOPE, values, [separator])[0])


@lru_cache(maxsize=2**16)
def reference_key(reference: str, type_: str | None, wanted: str | None) -> str | None:
    """`getReferenceKey()` of a Reference.

    Args:
        reference: of it.
        type_: of it.
        wanted: type that the resource must be of; None for any.
    """
    value = {"reference": reference, **({} if type_ is None else {"type": type_})}
    node = Node(value, "Reference")
    found = _reference_keys(wanted)([node], Scope(Environment(node, node), [node]))
    return found[0] if found else None


@lru_cache
def _reference_keys(wanted: str | None) -> Any:
    arguments = () if wanted is None else (Member(None, wanted),)
    call = Call(None, "getReferenceKey", arguments, 0)
    return Compiler(call, r4_types()).collect(call)


__all__ = [
    "TakeGeneralWayError",
    "decimal_text",
    "joined_text",
    "number_of",
    "number_text",
    "reference_key",
]
