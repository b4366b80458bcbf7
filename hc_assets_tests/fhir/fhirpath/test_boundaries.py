"""Boundaries hold every value that a number, date or time may stand for, and are its nearest."""

from datetime import date
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hc_assets.fhir.fhirpath import (
    Environment,
    EvaluationError,
    TypeView,
    compile_expression,
    resource_node,
)
from hc_assets.fhir.fhirpath.functions.boundaries import number_boundary, temporal_boundary
from hc_assets.fhir.fhirpath.functions.conversions import printed
from hc_assets.fhir.fhirpath.values import compare_temporal, parse_temporal
from hc_assets.fhir.r4.definitions import r4

TYPES = TypeView(r4())


def texts(expression: str, **members: Any) -> list[str | None]:
    node = resource_node({"resourceType": "Observation", **members})
    found = compile_expression(expression, TYPES).evaluate(node, Environment(node, node))
    return [printed(item) for item in found]


@given(st.decimals(-(10**6), 10**6, places=4), st.integers(0, 12))
@settings(max_examples=50)
def test_a_number_lies_between_its_boundaries(number: Decimal, digits: int) -> None:
    low = number_boundary(number, digits, is_high=False)
    high = number_boundary(number, digits, is_high=True)
    assert low is not None
    assert high is not None
    half = Decimal("0.00005")
    assert low <= number - half
    assert high >= number + half
    step = Decimal(1).scaleb(-digits)
    assert low + step > number - half
    assert high - step < number + half
    assert low.as_tuple().exponent == high.as_tuple().exponent == -digits


@given(st.dates(date(1000, 1, 1)), st.sampled_from([4, 7, 10]))
@settings(max_examples=50)
def test_a_day_lies_between_the_boundaries_of_its_month_and_year(day: date, length: int) -> None:
    moment = parse_temporal(day.isoformat()[:length])
    ends = [temporal_boundary(moment, 8, is_high) for is_high in (False, True)]
    first, last = (date.fromisoformat(str(printed(end))) for end in ends if end is not None)
    assert first <= day <= last
    assert (first.toordinal() - 1, last.toordinal() + 1) == (
        _neighbour(first, -1, length, day),
        _neighbour(last, 1, length, day),
    )


def _neighbour(end: date, step: int, length: int, day: date) -> int:
    """The day beyond an end, which must be of another year or month."""
    beyond = end.toordinal() + step
    if 1 <= beyond <= date.max.toordinal():
        assert date.fromordinal(beyond).isoformat()[:length] != day.isoformat()[:length]
    return beyond


@pytest.mark.parametrize(
    ("value", "low", "high"),
    [
        ({"valueDateTime": "2010-10-10"}, "2010-10-10T00:00:00.000+14:00", None),
        ({"valueDateTime": "2024-02"}, None, "2024-02-29T23:59:59.999-12:00"),
        ({"valueDateTime": "2010-10-10T08:05:03+02:00"}, None, "2010-10-10T08:05:03.999+02:00"),
        ({"valueTime": "12:34:00"}, "12:34:00.000", "12:34:00.999"),
        ({"valueQuantity": {"value": Decimal("1.0")}}, "0.95000000", "1.05000000"),
        ({"valueInteger": 3}, "2.50000000", "3.50000000"),
        ({"valueDateTime": "9999"}, None, "9999-12-31T23:59:59.999-12:00"),
    ],
)
def test_boundaries_of_elements(value: dict[str, Any], low: str | None, high: str | None) -> None:
    path = "value.ofType(Quantity).value" if "valueQuantity" in value else "value"
    for wanted, name in ((low, "lowBoundary"), (high, "highBoundary")):
        if wanted is not None:
            assert texts(f"{path}.{name}()", **value) == [wanted]


def test_the_last_moment_of_the_calendar_is_after_all_others() -> None:
    last = temporal_boundary(parse_temporal("9999", is_date_time=True), None, is_high=True)
    assert last is not None
    assert compare_temporal(last, parse_temporal("9999-12-31T23:59:59Z")) == 1


def test_a_precision_that_there_is_not_gives_nothing() -> None:
    for expression in ("1.587.lowBoundary(-1)", "1.587.highBoundary(32)", "@2014.lowBoundary(5)"):
        assert texts(expression) == []
    assert texts("value.lowBoundary()") == []


def test_text_has_no_boundaries() -> None:
    with pytest.raises(EvaluationError, match="a boundary of what is no number"):
        texts("'abc'.lowBoundary()")


@pytest.mark.parametrize(
    ("expression", "digits"),
    [
        ("1.58700.precision()", "5"),
        ("@2014.precision()", "4"),
        ("@2014-01-05T10:30:00.000.precision()", "17"),
        ("@2014-01-05T10:30.precision()", "12"),
        ("@T10:30.precision()", "4"),
        ("@T10:30:00.000.precision()", "9"),
    ],
)
def test_precision_counts_digits(expression: str, digits: str) -> None:
    assert texts(expression) == [digits]
