"""Numbers of any length and exponent: kept as they are where they can be judged, else refused."""

import pytest

from hc_assets.fhir.r4.json_text import MAX_DIGITS, MAX_EXPONENT
from hc_assets.fhir.validation import validate
from hc_assets_tests.fhir.validation.judged_resources import errors

IN_RANGE = [
    *("0", "-0", "-0.00", "1e5", "1E+05", "1e-400", "1e400", "0.1e-7", "123456789012345678901"),
    *("0." + "1" * 400, "1" * 1_000, f"1e{MAX_EXPONENT}", f"-1e-{MAX_EXPONENT}"),
    *("1" * MAX_DIGITS, "0." + "1" * (MAX_DIGITS - 2)),
]
OUT_OF_RANGE = [
    *("1e99999999999999999999", "1e-99999999999999999999", "-1E+999999999999999999"),
    *(f"1e{MAX_EXPONENT + 1}", f"-1e-{MAX_EXPONENT + 1}", "1e" + "9" * 10_000),
    *("1" * (MAX_DIGITS + 1), "-" + "1" * 100_000, "0." + "1" * MAX_DIGITS, "1." + "0" * 100_000),
]


def observation(value: str) -> str:
    return (
        '{"resourceType":"Observation","id":"o","status":"final","code":{"text":"x"},'
        f'"referenceRange":[{{"low":{{"value":{value}}},"high":{{"value":7}}}}],'
        f'"valueQuantity":{{"value":{value}}}}}'
    )


def short(text: str) -> str:
    return text[:20]


@pytest.mark.parametrize("number", IN_RANGE, ids=short)
def test_a_number_in_range_is_a_decimal(number: str) -> None:
    rules = {rule for _, rule in errors(observation(number))}
    assert rules <= {"rng-2"}  # the low value may be above the high one


@pytest.mark.parametrize("number", OUT_OF_RANGE, ids=short)
def test_a_number_out_of_range_is_an_issue_where_it_stands(number: str) -> None:
    found = errors(observation(number))
    places = {place for place, rule in found if rule == "primitive-format"}
    assert places == {"Observation.valueQuantity.value", "Observation.referenceRange[0].low.value"}
    assert not {rule for _, rule in found} & {"json-syntax"}


@pytest.mark.parametrize("number", [*IN_RANGE, *OUT_OF_RANGE], ids=short)
@pytest.mark.parametrize(
    "member",
    [
        *('"multipleBirthInteger":%s', '"id":%s', '"birthDate":%s', '"active":%s', '"name":%s'),
        *('"name":[%s]', '"name":[{"given":[%s]}]', '"notAMember":{"deep":[%s]}', '"meta":%s'),
        '"extension":[{"url":"http://x.org/a","valueInteger":%s}]',
    ],
)
def test_a_number_anywhere_is_judged(number: str, member: str) -> None:
    text = '{"resourceType":"Patient",' + member.replace("%s", number) + "}"
    found = {rule for _, rule in errors(text)}
    is_right = number in ("0", "-0") and "Integer" in member
    assert bool(found) != is_right
    assert not found & {"json-syntax"}


@pytest.mark.parametrize("number", ["01", "1.", ".1", "1e", "1e+", "+1", "--1", "0x1", "NaN"])
def test_what_is_no_number_is_no_json(number: str) -> None:
    long = number.replace("1", "1" * 10_000)
    for text in (number, long):
        (issue,) = validate(observation(text).encode())
        assert issue.rule == "json-syntax"
