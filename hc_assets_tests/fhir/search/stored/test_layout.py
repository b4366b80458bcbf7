"""Numbers as texts sort as numbers do, and blocks give back what they hold."""

from decimal import Decimal

from hypothesis import example, given, settings
from hypothesis import strategies as st

from hc_assets.fhir.r4.definitions import r4
from hc_assets.fhir.search.parameters import parameters_of
from hc_assets.fhir.search.stored.blocks import pack, unpack
from hc_assets.fhir.search.stored.layout import GREATEST, LEAST, key_of, ordered

NUMBERS = st.decimals(allow_nan=False, allow_infinity=False) | st.integers(-9, 9).map(Decimal)


@settings(max_examples=200)
@given(NUMBERS, NUMBERS)
@example(Decimal("1.20"), Decimal("1.2"))
@example(Decimal("-1.2"), Decimal("-1.23"))
@example(Decimal("1e6200"), Decimal("1e-6200"))
@example(Decimal("0.00"), Decimal("-0"))
@example(Decimal("9" * 300), Decimal("9" * 299 + "8"))
def test_numbers_as_texts_sort_as_numbers_do(one: Decimal, other: Decimal) -> None:
    a, b = ordered(one), ordered(other)
    assert (a < b, a == b) == (one < other, one == other)
    assert LEAST < a < GREATEST


@given(st.lists(st.binary(max_size=50), min_size=1, max_size=20))
def test_a_block_gives_back_what_it_holds(resources: list[bytes]) -> None:
    assert unpack(pack(resources)) == resources


def test_no_two_parameters_have_one_key() -> None:
    names = [(t, p.code) for t in r4().resource_names for p in parameters_of(t)]
    assert len({key_of(*name) for name in names}) == len(names) > 2_000
