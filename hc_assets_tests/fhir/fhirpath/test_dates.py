"""Dates move by the calendar, and by no more than they are precise."""

from datetime import date, timedelta

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
from hc_assets.fhir.fhirpath.functions.conversions import printed
from hc_assets.fhir.r4.definitions import r4

TYPES = TypeView(r4())


def text(expression: str) -> str | None:
    node = resource_node({"resourceType": "Patient", "birthDate": "1974-12-25"})
    found = compile_expression(expression, TYPES).evaluate(node, Environment(node, node))
    return printed(found[0]) if found else None


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("birthDate + 18 years", "1992-12-25"),
        ("@2014-01-31 + 1 month", "2014-02-28"),
        ("@2016-02-29 + 1 year", "2017-02-28"),
        ("@2016-02-29 - 12 months", "2015-02-28"),
        ("@1973-12-25 + 7.7 days", "1974-01-01"),
        ("@2014 + 24 months", "2016"),
        ("@2014 + 23 months", "2015"),
        ("@2014 - 364 days", "2014"),
        ("@2014 + 366 days", "2015"),
        ("@2014-01 + 45 days", "2014-02"),
        ("@2014-01-01 + 25 hours", "2014-01-02"),
        ("@2014-01-01T10:30 + 90 seconds", "2014-01-01T10:31"),
        ("@2014-01-01T23:59:59.900+10:00 + 0.2 seconds", "2014-01-02T00:00:00.100+10:00"),
        ("@2014-01-01T00:00:00Z - 1 'ms'", "2013-12-31T23:59:59.999Z"),
        ("@2014-01-01T10:00:00-05:30 + 1 'wk'", "2014-01-08T10:00:00-05:30"),
        ("@T23:59:59 + 2 seconds", "00:00:01"),
        ("@T00:00 - 1 minute", "23:59"),
        ("@T10:00 + 90 seconds", "10:01"),
        ("@9999-12-31 + 1 day", None),
        ("@0001-01-01 - 1 month", None),
    ],
)
def test_a_date_is_moved(expression: str, expected: str | None) -> None:
    assert text(expression) == expected


@pytest.mark.parametrize(
    "expression",
    [
        *("@2014-01-01 + 1 'mo'", "@2014-01-01 + 1 'a'", "@2014-01-01 - 1 'cm'"),
        *("@2014-01-01 + 7", "@T10:00 + 1 day", "@2014-01-01 - @2013-01-01"),
    ],
)
def test_what_is_no_duration_of_the_calendar_moves_no_date(expression: str) -> None:
    with pytest.raises(EvaluationError):
        text(expression)


@given(st.dates(date(1600, 1, 1), date(2400, 1, 1)), st.integers(-100_000, 100_000))
@settings(max_examples=50)
def test_days_are_those_of_the_calendar(day: date, count: int) -> None:
    moved = text(f"@{day.isoformat()} {'-' if count < 0 else '+'} {abs(count)} days")
    assert moved == (day + timedelta(days=count)).isoformat()
