"""The public face takes plain values and gives plain values."""

import doctest
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest

from hc_assets.fhir import fhirpath
from hc_assets.fhir.fhirpath import Setting, UndecidableError

OBSERVATION: dict[str, Any] = {
    "resourceType": "Observation",
    "effectiveDateTime": "2026-01-31",
    "subject": {"reference": "Patient/1"},
    "valueQuantity": {
        "value": Decimal("1.50"),
        "system": "http://unitsofmeasure.org",
        "code": "g",
    },
}


def test_the_examples_hold() -> None:
    result = doctest.testmod(fhirpath)
    assert result.attempted > 5
    assert result.failed == 0


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("effective + 1 month", ["2026-02-28"]),
        ("value.toQuantity('mg')", [{"value": 1500, "unit": "mg", "code": "mg"}]),
        ("value + value", [{"value": Decimal("3.00"), "unit": "g", "code": "g"}]),
        ("2 days", [{"value": 2, "unit": "day"}]),
        ("subject", [{"reference": "Patient/1"}]),
        ("value.value", [Decimal("1.50")]),
        ("component", []),
    ],
)
def test_values_are_json_or_text(expression: str, expected: list[Any]) -> None:
    found = fhirpath.compile(expression)(OBSERVATION)
    for value in found:
        if isinstance(value, dict):
            value.pop("system", None)
    assert found == expected


def test_variables_have_the_values_of_python() -> None:
    given = {
        "number": Decimal("1.5"),
        "day": date(2026, 1, 31),
        "codes": ["g", "mg"],
        "pair": {"system": "s", "code": "g"},
    }
    compiled = fhirpath.compile(
        "value.value = %number and effective = %day and value.code in %codes"
        " and value.code = %pair.code",
        variables=given,
    )
    assert compiled(OBSERVATION) == [True]


def test_a_float_loses_digits_and_is_no_value() -> None:
    with pytest.raises(TypeError, match="float"):
        fhirpath.compile("%x", variables={"x": 1.5})  # type: ignore[dict-item]


def test_the_setting_answers_what_the_resource_can_not() -> None:
    patient = {"resourceType": "Patient", "id": "1", "gender": "female"}
    setting = Setting(
        now=datetime(2026, 2, 1, tzinfo=UTC),
        find={"Patient/1": patient}.get,
        member_of=lambda value, url: url == "v" and value == "g",
        conforms_to=lambda value, url: url == "p" and "valueQuantity" in value,
    )
    resolving = "subject.resolve().gender = 'female'"
    assert fhirpath.compile(resolving, setting=setting)(OBSERVATION) == [True]
    assert fhirpath.compile(resolving)(OBSERVATION) == []
    for expression in ("value.code.memberOf('v')", "conformsTo('p')", "effective < today()"):
        assert fhirpath.compile(expression, setting=setting)(OBSERVATION) == [True]
        with pytest.raises(UndecidableError):
            fhirpath.compile(expression)(OBSERVATION)


def test_what_has_no_order_gives_nothing() -> None:
    assert fhirpath.compile("value > 1 's'")(OBSERVATION) == []
