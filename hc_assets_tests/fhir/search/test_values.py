"""Elements become the values that a search compares, exactly."""

from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hc_assets.fhir.search import Interval, Token
from hc_assets.fhir.search.dates import interval, of_period, of_timing
from hc_assets.fhir.search.numbers import bounds, of_number, of_quantity, of_range
from hc_assets.fhir.search.texts import normal, of_name
from hc_assets.fhir.search.tokens import of_concept, of_identifier

UCUM = "http://unitsofmeasure.org"
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_ZONES = st.integers(-14 * 60, 14 * 60).map(lambda m: timezone(timedelta(minutes=m)))


def at(moment: datetime) -> int:
    return (moment - _EPOCH) // timedelta(microseconds=1)


@given(st.datetimes(timezones=_ZONES).filter(lambda moment: 1 < moment.year < 9999))
@settings(max_examples=50)
def test_an_instant_is_where_it_is_in_utc(moment: datetime) -> None:
    whole = moment.replace(microsecond=0)
    low = at(whole.astimezone(UTC))
    assert interval(whole.isoformat()) == Interval(low, low + 1_000_000)
    fine = at(moment.astimezone(UTC))
    assert interval(moment.isoformat(timespec="microseconds")) == Interval(fine, fine + 1)


@given(st.dates(date(1, 1, 2), date(9999, 12, 30)))
@settings(max_examples=50)
def test_a_day_lies_in_its_month_and_year(day: date) -> None:
    spans = [interval(day.isoformat()[:length]) for length in (4, 7, 10)]
    for wider, narrower in pairwise(spans):
        assert wider.low <= narrower.low < narrower.high <= wider.high  # type: ignore[operator]
    last = (day + timedelta(days=1)).isoformat()
    assert interval(last).low == spans[-1].high


@pytest.mark.parametrize(
    ("text", "width"),
    [
        ("2015-02-07T13:28Z", 60_000_000),
        ("2015-02-07T13:28:17.2Z", 100_000),
        ("2015-02-07T13:28:17.239+02:00", 1_000),
        ("2015-02-07T13:28:17.2391234567Z", 1),
        ("2016-12-31T23:59:60Z", 1_000_000),
        ("9999", 365 * 86_400_000_000),
    ],
)
def test_a_time_is_as_long_as_its_last_field(text: str, width: int) -> None:
    low, high = interval(text)
    assert low is not None
    assert high == low + width


@pytest.mark.parametrize("text", ["", "2015-13", "2015-02-30", "2015-02-07T25:00:00Z", "x" * 10])
def test_what_no_calendar_has_is_refused(text: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - Python's own texts
        interval(text)


def test_periods_and_timings_are_open_where_they_say_nothing() -> None:
    low, high = interval("2015")
    assert list(of_period({"start": "2015"})) == [Interval(low, None)]
    assert list(of_period({"end": "2015"})) == [Interval(None, high)]
    assert list(of_period({})) == []
    timing = {"event": ["2015", "2010"], "repeat": {"boundsPeriod": {"start": "2012"}}}
    assert list(of_timing(timing)) == [Interval(interval("2010").low, None)]
    assert list(of_timing({"repeat": {"frequency": 1}})) == []


@given(st.decimals(-(10**9), 10**9, places=5))
@settings(max_examples=50)
def test_a_number_stands_for_what_rounds_to_it(number: Decimal) -> None:
    low, high = bounds(number)
    assert high - low == Decimal("0.00001")
    assert low + high == 2 * number


def test_digits_say_how_exact_a_number_is() -> None:
    assert bounds(100) == (Decimal("99.5"), Decimal("100.5"))
    assert bounds(Decimal("1.00")) == (Decimal("0.995"), Decimal("1.005"))
    assert bounds(Decimal("1E2")) == (50, 150)
    assert [*of_number(True)] == []
    with pytest.raises(ValueError, match="more digits"):
        bounds(Decimal("1E6201"))


def _quantity(value: str, code: str, **members: Any) -> dict[str, Any]:
    return {"value": Decimal(value), "system": UCUM, "code": code, **members}


def test_quantities_are_comparable_in_base_units() -> None:
    (grams,) = of_quantity(_quantity("1.00", "g"))
    (milligrams,) = of_quantity(_quantity("1000", "mg"))
    assert (grams.base_unit, milligrams.base_unit) == ("g", "g")
    assert (grams.base_low, grams.base_high) == (Decimal("0.995"), Decimal("1.005"))
    assert (milligrams.base_low, milligrams.base_high) == (Decimal("0.9995"), Decimal("1.0005"))
    (fahrenheit,) = of_quantity(_quantity("98.6", "[degF]"))
    assert fahrenheit.base_low is not None
    assert fahrenheit.base_high is not None
    assert fahrenheit.base_low < Decimal("310.15") < fahrenheit.base_high
    (other,) = of_quantity({"value": 1, "unit": "tablet"})
    assert (other.unit, other.base_unit, other.base_low) == ("tablet", None, None)


def test_a_comparator_opens_an_interval() -> None:
    (below,) = of_quantity(_quantity("5", "g", comparator="<"))
    (least,) = of_quantity(_quantity("5", "g", comparator=">="))
    assert (below.low, below.high, below.base_low) == (None, 5, None)
    assert (least.low, least.high) == (Decimal("4.5"), None)
    assert [*of_quantity({"unit": "g"})] == []


def test_a_range_is_as_wide_as_its_ends() -> None:
    ends = {"low": _quantity("1", "g"), "high": _quantity("2.0", "g")}
    (found,) = of_range(ends)
    assert (found.low, found.high) == (Decimal("0.5"), Decimal("2.05"))
    (found,) = of_range({"high": ends["high"]})
    assert (found.low, found.base_unit) == (None, "g")
    assert [*of_range({})] == []


def test_texts_are_searched_without_case_and_accents() -> None:
    assert normal("  Ärger\tIM  Haus ") == "arger im haus"
    assert normal("STRASSE") == normal("Straße")
    name = {"family": "Ö", "given": ["A", None, "B"], "use": "usual"}
    assert [text.normal for text in of_name(name)] == ["o", "a", "b"]


def test_tokens_keep_system_text_and_type() -> None:
    concept = {"coding": [{"system": "s", "code": "c"}, {"display": "d"}], "text": "t"}
    assert list(of_concept(concept)) == [
        Token("s", "c"),
        Token(None, None, "d"),
        Token(None, None, "t"),
    ]
    identifier = {"value": "1", "type": {"coding": [{"system": "v", "code": "MR"}], "text": "x"}}
    assert list(of_identifier(identifier)) == [Token(None, "1", "x", (("v", "MR"),))]
