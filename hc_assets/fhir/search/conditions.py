"""One value of a query as a condition in SQL on the rows of an index table.

Belongs here: what each type, prefix and modifier comes to. Values are bound, never written into the
text. How conditions are put together is in `selection.py`.

A time is an interval, below whose `high` it lies; so is a range. A number that is no range is kept
with both ends alike. What a prefix means for intervals is R4's table in the chapter Search.
"""

import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from decimal import Decimal
from functools import cache

from hc_assets.fhir.r4.definitions import r4
from hc_assets.fhir.search.query import (
    CompositeTest,
    DateTest,
    NumberTest,
    QuantityTest,
    ReferenceTest,
    Test,
    TextTest,
    TokenTest,
    UriTest,
)
from hc_assets.fhir.search.stored.layout import ordered
from hc_assets.fhir.search.texts import normal

Bind = Callable[[object], str]
_OF_SERVER = re.compile(r"(https?://.+[^/])/+([A-Z][A-Za-z]*)/([A-Za-z0-9\-.]{1,64})")
_APPROXIMATELY = 10  # one in how many
_DATES = {
    "eq": "low >= {low} AND high <= {high}",
    "ne": "NOT (low >= {low} AND high <= {high})",
    "gt": "high > {high}",
    "lt": "low < {low}",
    "ge": "(high > {high} OR (low >= {low} AND high <= {high}))",
    "le": "(low < {low} OR (low >= {low} AND high <= {high}))",
    "sa": "low >= {high}",
    "eb": "high <= {low}",
    "ap": "low < {high} AND high > {low}",
}
_NUMBERS = {
    "eq": "({l} >= {low} AND {h} <= {high} AND {l} < {high})",
    "ne": "NOT ({l} >= {low} AND {h} <= {high} AND {l} < {high})",
    "gt": "{h} > {value}",
    "lt": "{l} < {value}",
    "ge": "({h} > {value} OR {l} >= {value})",
    "le": "{l} <= {value}",
    "sa": "{l} > {value}",
    "eb": "({h} <= {value} AND {l} < {value})",
    "ap": "({l} <= {high} AND ({h} > {low} OR {l} >= {low}))",
}


def condition(test: Test, modifier: str, bind: Bind, now: datetime) -> str:
    """The condition that a row must meet; of a composite, each part has its own.

    Args:
        test: what is asked for.
        modifier: of the parameter.
        bind: makes a value a parameter of the statement, and gives its name.
        now: what `ap` measures times from.
    """
    match test:
        case TokenTest():
            return _token(test, modifier, bind)
        case TextTest(text):
            return _text(text, modifier, bind)
        case UriTest(uri):
            return _uri(uri, modifier, bind)
        case ReferenceTest():
            return _reference(test, bind)
        case DateTest():
            return _date(test, bind, now)
        case NumberTest():
            return _number(test, "low", "high", bind)
        case QuantityTest():
            return _quantity(test, bind)
        case CompositeTest():
            raise TypeError("a composite is not one condition")


def _token(test: TokenTest, modifier: str, bind: Bind) -> str:
    if modifier == "text":
        return f"starts_with(text, {bind(normal(test.code or ''))})"
    if modifier in ("in", "not-in"):
        codes = _codes_in((test.code or "").partition("|")[0])
        listed = f"(SELECT unnest({bind(codes)}::VARCHAR[]))"  # hashed, where a list is walked
        return f"code IS NOT NULL AND concat(system, '|', code) IN {listed}"
    if modifier == "of-type":
        kind = bind(f"{test.system}|{test.code}")
        return f"code = {bind(test.value)} AND system = {kind}"
    if test.code is None:
        return f"system = {bind(test.system)} AND code IS NOT NULL"
    if test.system is None:
        return f"code = {bind(test.code)}"
    return f"code = {bind(test.code)} AND system = {bind(test.system)}"


@cache
def _codes_in(value_set: str) -> list[str]:
    codes = r4().value_set(value_set).codes
    return [f"{system}|{code}" for system, of_system in codes.items() for code in of_system]


def _text(text: str, modifier: str, bind: Bind) -> str:
    if modifier == "exact":
        return f"exact = {bind(text)}"
    called = "contains" if modifier == "contains" else "starts_with"
    return f"{called}(normal, {bind(normal(text))})"


def _uri(uri: str, modifier: str, bind: Bind) -> str:
    if modifier == "below":
        name = bind(uri.rstrip("/"))
        return f"(uri = {bind(uri)} OR uri = {name} OR starts_with(uri, concat({name}, '/')))"
    if modifier == "above":
        name = bind(uri)
        return f"(uri = {name} OR starts_with({name}, concat(rtrim(uri, '/'), '/')))"
    return f"uri = {bind(uri)}"


def _reference(test: ReferenceTest, bind: Bind) -> str:
    names = {"type": test.type, "id": test.id, "url": test.url, "version": test.version}
    found = " AND ".join(f"{name} = {bind(v)}" for name, v in names.items() if v is not None)
    if test.url is None or (match := _OF_SERVER.fullmatch(test.url)) is None:
        return found
    # What a server's own resources refer to is kept as Type/id
    base, type_, id_ = (bind(each) for each in match.groups())
    own = f"type = {type_} AND id = {id_} AND rtrim(source, '/') = {base}"
    return f"({found}) OR ({own})"


def identifier_condition(test: TokenTest, bind: Bind) -> str:
    """The condition on a reference by its target's identifier."""
    found = "system IS NOT NULL"
    if test.system is not None:
        found += f" AND system = {bind(test.system)}"
    if test.code is not None:
        found += f" AND code = {bind(test.code)}"
    return found


def _date(test: DateTest, bind: Bind, now: datetime) -> str:
    low, high = around(test, now) if test.prefix == "ap" else (test.low, test.high)
    return _filled(_DATES[test.prefix], {"low": low, "high": high}, bind)


def around(test: DateTest, now: datetime) -> tuple[int, int]:
    """What `ap` takes for about a time: a tenth of how long ago it is, to either side."""
    elapsed = now.astimezone(UTC) - datetime(1970, 1, 1, tzinfo=UTC)
    today = elapsed.days * 86_400_000_000 + elapsed.seconds * 1_000_000
    gap = abs(today - test.low) // _APPROXIMATELY
    return test.low - gap, test.high + gap


def about(test: NumberTest) -> tuple[Decimal, Decimal]:
    """What `ap` takes for about a number: a tenth to either side, or what rounds to it."""
    gap = abs(test.value) / _APPROXIMATELY
    return min(test.low, test.value - gap), max(test.high, test.value + gap)


def _number(test: NumberTest, low: str, high: str, bind: Bind) -> str:
    ends = about(test) if test.prefix == "ap" else (test.low, test.high)
    numbers = {"low": ends[0], "high": ends[1], "value": test.value}
    shape = _NUMBERS[test.prefix].replace("{l}", low).replace("{h}", high)
    return _filled(shape, {name: ordered(number) for name, number in numbers.items()}, bind)


def _filled(shape: str, values: Mapping[str, object], bind: Bind) -> str:
    """A condition with the parameters that it has; DuckDB takes none that is not used."""
    used = {name: bind(value) for name, value in values.items() if f"{{{name}}}" in shape}
    return shape.format(**used)


def _quantity(test: QuantityTest, bind: Bind) -> str:
    if test.base is not None:
        return f"base_unit = {bind(test.base_unit)} AND " + _number(
            test.base, "base_low", "base_high", bind
        )
    found = _number(test.number, "low", "high", bind)
    if test.system is not None:
        found += f" AND system = {bind(test.system)}"
    if test.code is not None:
        code = bind(test.code)
        # Without a system, a unit is asked for by what is printed as well
        found += f" AND code = {code}" if test.system else f" AND (code = {code} OR unit = {code})"
    return found
