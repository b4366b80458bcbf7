"""Values of a query as typed tests: escapes, prefixes, what each type of parameter takes.

Belongs here: one value of one parameter. Names, modifiers and chains are in `parsing.py`.
"""

import re
from collections.abc import Callable, Mapping
from decimal import Decimal, InvalidOperation
from typing import cast

from hc_assets.fhir.fhirpath.equality import UCUM
from hc_assets.fhir.r4.definitions import r4
from hc_assets.fhir.search import dates, numbers
from hc_assets.fhir.search.parameters import Parameter
from hc_assets.fhir.search.query import (
    CompositeTest,
    DateTest,
    NumberTest,
    QuantityTest,
    ReferenceTest,
    SimpleTest,
    Test,
    TextTest,
    TokenTest,
    UriTest,
)

PREFIXES = ("eq", "ne", "gt", "lt", "ge", "le", "sa", "eb", "ap")
_NUMBER = re.compile(r"[+-]?[0-9]+(?:\.[0-9]+)?(?:[eE][+-]?[0-9]{1,4})?")
_MOST_DIGITS = 1_000
_DATE = re.compile(
    r"\d{4}(?:-\d\d(?:-\d\d(?:T\d\d:\d\d(?::\d\d(?:\.\d{1,18})?)?(?:Z|[+-]\d\d:\d\d)?)?)?)?"
)
_RELATIVE = re.compile(r"([A-Z][A-Za-z]*)/([A-Za-z0-9\-.]{1,64})(?:/_history/([^/]+))?")
_ID = re.compile(r"[A-Za-z0-9\-.]{1,64}")
_ESCAPE = re.compile(r"\\([,$|\\])")


class OperandError(ValueError):
    """A value that its parameter can't have; the text says what was expected, not what it was."""


def split(text: str, separator: str) -> list[str]:
    r"""Split at a separator that no backslash stands before; escapes stay as they are.

    >>> split(r"a,b\,c", ",")
    ['a', 'b\\,c']
    """
    found, start, at = [], 0, 0
    while at < len(text):
        if text[at] == "\\":
            at += 2
            continue
        if text[at] == separator:
            found.append(text[start:at])
            start = at + 1
        at += 1
    return [*found, text[start:]]


def unescape(text: str) -> str:
    r"""Take away the backslashes before `,`, `$`, `|` and themselves."""
    return _ESCAPE.sub(r"\1", text)


def test_of(parameter: Parameter, modifier: str, text: str) -> Test:
    """One value of a parameter, as it is to be tested.

    Args:
        parameter: whose value it is.
        modifier: without its colon.
        text: of the value, its escapes among it.

    Raises:
        OperandError: the parameter can't have it.
    """
    if parameter.type == "composite":
        parts = split(text, "$")
        if len(parts) != len(parameter.components):
            raise OperandError(f"expected {len(parameter.components)} values with $ between them")
        return CompositeTest(
            tuple(
                _simple(component.type, "", part)
                for component, part in zip(parameter.components, parts, strict=True)
            )
        )
    return _simple(parameter.type, modifier, text)


def _simple(type_: str, modifier: str, text: str) -> SimpleTest:
    if not text:
        raise OperandError("expected a value")
    if type_ == "reference" and modifier == "identifier":
        return _token(text)
    if type_ == "token" and modifier:
        return _modified_token(modifier, text)
    if type_ == "reference":
        return _reference(modifier, text)
    return _BY_TYPE[type_](text)


def _token(text: str) -> TokenTest:
    parts = [unescape(part) for part in split(text, "|")]
    if len(parts) > 2:
        raise OperandError("expected code, system|code, |code or system|")
    if len(parts) == 1:
        return TokenTest(None, parts[0])
    if parts == ["", ""]:
        raise OperandError("expected code, system|code, |code or system|")
    return TokenTest(parts[0], parts[1] or None)


def _modified_token(modifier: str, text: str) -> TokenTest:
    if modifier == "of-type":
        parts = [unescape(part) for part in split(text, "|")]
        if len(parts) != 3 or not all(parts):
            raise OperandError("expected system|code|value")
        return TokenTest(parts[0], parts[1], parts[2])
    if modifier in ("in", "not-in"):
        url = unescape(text)
        if url.partition("|")[0] not in r4().value_set_urls or not r4().value_set(url).codes:
            raise OperandError("expected the URL of a value set of R4 whose codes can be listed")
        return TokenTest(None, url)
    if modifier == "text":
        return TokenTest(None, unescape(text))
    return _token(text)


def _text(text: str) -> TextTest:
    return TextTest(unescape(text))


def _uri(text: str) -> UriTest:
    return UriTest(unescape(text))


def _reference(type_: str, text: str) -> ReferenceTest:
    bare = unescape(text)
    if match := _RELATIVE.fullmatch(bare):
        if type_ not in ("", match[1]):
            raise OperandError("expected the type that the modifier names")
        return ReferenceTest(match[1], match[2], None, match[3])
    if _ID.fullmatch(bare) and ":" not in bare:
        return ReferenceTest(type_ or None, bare)
    url, _, version = bare.partition("|")
    base, found, of_history = url.partition("/_history/")
    return ReferenceTest(type_ or None, None, base, version or (of_history if found else None))


def _prefixed(text: str) -> tuple[str, str]:
    bare = unescape(text)
    if bare[:2] in PREFIXES:
        return bare[:2], bare[2:]
    return "eq", bare


def _date(text: str) -> DateTest:
    prefix, bare = _prefixed(text)
    bare = bare.replace(" ", "+")  # what a plus comes to that was not written %2B
    if not _DATE.fullmatch(bare):
        raise OperandError("expected a date or time, such as ge2024-05-01")
    try:
        found = dates.interval(bare)
    except ValueError as error:
        raise OperandError("expected a date that a calendar has") from error
    return DateTest(prefix, cast("int", found.low), cast("int", found.high))


def _number(text: str) -> NumberTest:
    prefix, bare = _prefixed(text)
    if not _NUMBER.fullmatch(bare) or len(bare) > _MOST_DIGITS:
        raise OperandError("expected a number, such as lt5.4")
    try:
        value = Decimal(bare)
        low, high = numbers.bounds(value)
    except (ValueError, InvalidOperation) as error:
        raise OperandError("expected a number of fewer digits") from error
    return NumberTest(prefix, low, high, value)


def _quantity(text: str) -> QuantityTest:
    parts = split(text, "|")
    number = _number(parts[0])
    if len(parts) == 1:
        return QuantityTest(number, None, None)
    if len(parts) != 3:
        raise OperandError("expected number, number|system|code or number||code")
    system, code = unescape(parts[1]) or None, unescape(parts[2]) or None
    bounds = numbers.amount(number.low, number.high, system, code, None, value=number.value)
    if system != UCUM or bounds.base_unit is None:
        return QuantityTest(number, system, code)
    ends = bounds.base_low, bounds.base_high, bounds.base_value
    base = NumberTest(number.prefix, *cast("tuple[Decimal, Decimal, Decimal]", ends))
    return QuantityTest(number, system, code, base, bounds.base_unit)


_BY_TYPE: Mapping[str, Callable[[str], SimpleTest]] = {
    "token": _token,
    "string": _text,
    "uri": _uri,
    "date": _date,
    "number": _number,
    "quantity": _quantity,
}
