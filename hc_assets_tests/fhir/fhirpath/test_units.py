"""UCUM's units are exact, and quantities are equal by what they measure."""

import csv
import math
from decimal import Decimal
from fractions import Fraction
from importlib.util import find_spec
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hc_assets.fhir.enrichment.significance.units import conversion
from hc_assets.fhir.fhirpath import Quantity, UndecidableError
from hc_assets.fhir.fhirpath.quantities import (
    added_quantities,
    compare_quantities,
    converted,
    equal_quantities,
    equivalent_quantities,
    multiplied,
)
from hc_assets.fhir.fhirpath.units import unit

_CODES = ("mg", "kg", "[lb_av]", "ug", "g", "Cel", "[degF]", "K", "mg/dL", "g/L", "h", "wk", "%")


def ucum(value: str, code: str) -> Quantity:
    return Quantity(Decimal(value), code, is_ucum=True)


def calendar(value: str, word: str) -> Quantity:
    return Quantity(Decimal(value), word, is_ucum=False)


@pytest.mark.parametrize(
    ("code", "factor", "dimension"),
    [
        ("mg/dL", "10", {"g": 1, "m": -3}),
        ("10*3/uL", "1000000000000", {"m": -3}),
        ("[in_i]", "127/5000", {"m": 1}),
        ("kg.m/s2", "1000", {"g": 1, "m": 1, "s": -2}),
        ("mmol/L", "1", {"mol": 1, "m": -3}),
        ("/min", "1/60", {"s": -1}),
        ("g/(24.h)", "1/86400", {"g": 1, "s": -1}),
        ("mL/min/{1.73_m2}", "1/60000000", {"m": 3, "s": -1}),
        ("k[IU]/L", "1000000", {"[iU]": 1, "m": -3}),
        ("dam", "10", {"m": 1}),
        ("10*-2", "1/100", {}),
        ("{score}", "1", {}),
        ("dB", "1/10", {"B": 1}),
    ],
)
def test_a_code_is_so_much_in_base_units(code: str, factor: str, dimension: dict[str, int]) -> None:
    found = unit(code)
    assert found is not None
    assert (found.factor, dict(found.dimension)) == (Fraction(factor), dimension)


@pytest.mark.parametrize(
    "code",
    [
        *("", "lbs", "m s", "(m", "m)", "/", "m//s", "m2-1", "[s]", "Cel/min", "kmin", "0"),
        *("m" * 201, "m" + "9" * 9, "10*99999", ".m", "{a}{b}", "(" * 100, "\u0661"),
    ],
)
def test_what_is_no_code_has_no_unit(code: str) -> None:
    assert unit(code) is None


def test_ucum_s_own_examples_are_units() -> None:
    place = find_spec("ucumvert")
    assert place is not None
    assert place.origin is not None
    path = Path(place.origin).with_name("vendor") / "ucum_examples.tsv"
    with path.open() as file:
        codes = [row["UCUM_CODE"] for row in csv.DictReader(file, delimiter="\t")]
    # The list has one code that UCUM's table doesn't.
    assert [code for code in codes if unit(code) is None] == ["Torr"]
    assert len(codes) > 800


@given(st.sampled_from(_CODES), st.sampled_from(_CODES), st.decimals(-1000, 1000, places=2))
@settings(max_examples=50)
def test_conversions_are_those_of_pint(source: str, target: str, value: Decimal) -> None:
    ours = converted(Quantity(value, source, is_ucum=True), target, is_ucum=True)
    theirs = conversion(source, target)
    assert (ours is None) == (theirs is None)
    if ours is not None and theirs is not None:
        assert math.isclose(float(ours.value), theirs(float(value)), rel_tol=1e-7, abs_tol=1e-6)


@given(st.sampled_from(_CODES), st.sampled_from(_CODES), st.decimals(-1000, 1000, places=3))
@settings(max_examples=50)
def test_what_is_converted_is_equal_unless_it_has_no_end(
    source: str, target: str, value: Decimal
) -> None:
    quantity = Quantity(value, source, is_ucum=True)
    other = converted(quantity, target, is_ucum=True)
    if other is None:
        assert equal_quantities(quantity, ucum("1", target)) is False
    elif len(other.value.as_tuple().digits) < 28:
        assert equal_quantities(quantity, other) is True
        assert compare_quantities(other, quantity) == 0


def test_equality_is_exact() -> None:
    assert equal_quantities(ucum("4.0000", "g"), ucum("4000.0", "mg")) is True
    assert equal_quantities(ucum("0.1", "[in_i]"), ucum("2.54", "mm")) is True
    assert equal_quantities(ucum("0.1", "[in_i]"), ucum("2.5400000000000001", "mm")) is False
    assert equal_quantities(ucum("37", "Cel"), ucum("98.6", "[degF]")) is True
    assert equal_quantities(ucum("1", "cm"), ucum("1", "s")) is False
    assert equal_quantities(ucum("1", "nonsense"), ucum("1", "s")) is None


def test_equivalence_goes_to_the_lesser_precision() -> None:
    assert equivalent_quantities(ucum("4", "g"), ucum("4040", "mg")) is True
    assert equivalent_quantities(ucum("4.0", "g"), ucum("4040", "mg")) is True
    assert equivalent_quantities(ucum("4.0", "g"), ucum("4060", "mg")) is False
    assert equivalent_quantities(calendar("1", "year"), ucum("1", "a")) is True


def test_months_and_years_of_the_calendar_are_no_definite_durations() -> None:
    assert equal_quantities(calendar("1", "year"), calendar("12", "month")) is True
    assert equal_quantities(calendar("1", "year"), calendar("365", "day")) is True
    assert equal_quantities(calendar("1", "week"), ucum("7", "d")) is True
    assert equal_quantities(calendar("1", "year"), ucum("1", "a")) is None
    with pytest.raises(UndecidableError):
        compare_quantities(calendar("1", "month"), ucum("1", "d"))


def test_sums_are_in_the_smaller_unit_and_products_in_both() -> None:
    assert added_quantities(ucum("3", "m"), ucum("3", "cm"), 1) == ucum("303", "cm")
    assert added_quantities(ucum("3", "cm"), ucum("3", "m"), -1) == ucum("-297", "cm")
    assert added_quantities(ucum("3", "m"), ucum("3", "s"), 1) is None
    area = multiplied(ucum("2.0", "cm"), ucum("2.0", "m"), is_division=False)
    assert area is not None
    assert equal_quantities(area, ucum("0.040", "m2")) is True
    assert multiplied(ucum("4", "g"), ucum("2", "m"), is_division=True) == ucum("2", "g/m")
    assert multiplied(ucum("4", "m"), ucum("2", "m"), is_division=True) == ucum("2", "1")
    assert multiplied(ucum("4", "m"), ucum("0", "m"), is_division=True) is None
