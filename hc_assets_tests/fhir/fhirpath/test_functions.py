"""What each function gives, and that one that there is not is named with its nearest."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from hc_assets.fhir.fhirpath import (
    Environment,
    EvaluationError,
    FhirPathSyntaxError,
    TypeView,
    compile_expression,
    resource_node,
)
from hc_assets.fhir.fhirpath.functions.conversions import printed
from hc_assets.fhir.r4.definitions import r4

TYPES = TypeView(r4())
NOW = datetime(2026, 11, 1, 12, 30, 15, 250_000, UTC)
PATIENT = {
    "resourceType": "Patient",
    "active": True,
    "birthDate": "1974-12-25",
    "name": [{"family": "C", "given": ["P", "J"]}, {"given": ["A"]}, {"family": "B"}],
    "contact": [{"name": {"family": "D"}}],
    "extension": [{"url": "u", "valueDecimal": Decimal("1.10")}],
}


def texts(expression: str) -> list[str | None]:
    node = resource_node(PATIENT)
    setting = Environment(node, node, now=NOW, is_lenient=True)
    return [printed(each) for each in compile_expression(expression, TYPES).evaluate(node, setting)]


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("81.sqrt()", ["9"]),
        ("2.sqrt()", ["1.414213562373095048801688724"]),
        ("(-1).sqrt() | 0.ln() | (-1).power(0.5) | 0.power(-1) | 5.log(1)", []),
        ("1000.log(10)", ["3"]),
        ("2.power(-1)", ["0.5"]),
        ("1.1.power(3)", ["1.331"]),
        ("2.power(100)", ["1267650600228229401496703205376"]),
        ("0.exp()", ["1"]),
        ("3.14159.round(3)", ["3.142"]),
        ("(-2.5).round()", ["-3"]),
        ("(-5.50 'mg').abs()", ["5.50 'mg'"]),
        ("0.1 + 0.2", ["0.3"]),
        ("1.00 * 3", ["3.00"]),
        ("99999999999999999999999999 + 0.1", ["99999999999999999999999999.1"]),
        ("-(1.10)", ["-1.10"]),
        ("7 mod -3", ["1"]),
        ("extension.value + 0", ["1.10"]),
        ("(1 | 2 | 4).sum()", ["7"]),
        ("(1 | 2 | 4).avg().round(2)", ["2.33"]),
        ("('b' | 'a').min() | (3 | 9.5).max()", ["a", "9.5"]),
        ("{}.sum() | {}.min() | {}.avg()", []),
        ("name.sort(family).family", ["B", "C"]),
        ("name.sort(family).first().given", ["A"]),
        ("name.sort(family desc, given.first()).family", ["C", "B"]),
        ("(3 | 1 | 2).sort(-$this)", ["3", "2", "1"]),
        ("coalesce({}, name.where(family = 'X'), 'none')", ["none"]),
        ("name.given.combine(name.given).repeatAll({}).count()", ["0"]),
        ("('a,b,,c').split(',').join('-')", ["a-b--c"]),
        ("'abcabc'.lastIndexOf('b')", ["4"]),
        ("'AbC'.matchesFull('[A-Z]b')", ["false"]),
        ("'ä'.encode('base64').decode('base64')", ["ä"]),
        ("'ä?'.encode('urlbase64').decode('urlbase64')", ["ä?"]),
        ("'ä'.encode('hex')", ["c3a4"]),
        ("'a\"\\n'.escape('json')", ['a\\"\\n']),
        ("'a\"\\n'.escape('json').unescape('json') = 'a\"\\n'", ["true"]),
        ("'<&>'.escape('html').unescape('html')", ["<&>"]),
        ("contact.type().name", ["BackboneElement"]),
        ("active.type().namespace & '.' & active.type().name", ["FHIR.boolean"]),
        ("@2014T.type().name | 1.5.type().name", ["DateTime", "Decimal"]),
        ("hasExtension('u') and hasExtension('v').not()", ["true"]),
        ("now()", ["2026-11-01T12:30:15.250000Z"]),
        ("today() | timeOfDay()", ["2026-11-01", "12:30:15.250000"]),
        ("birthDate.yearOf() | birthDate.monthOf() | birthDate.hourOf()", ["1974", "12"]),
        ("now().millisecondOf() | now().dateOf()", ["250", "2026-11-01"]),
        ("@2014-01-01T10:00:00+02:30.timezoneOffsetOf()", ["2.5"]),
        ("'1 \\'wk\\''.toQuantity() = 7 days", ["true"]),
        ("'2 weeks'.toQuantity('d')", ["14 'd'"]),
        ("'1 wk'.toQuantity() | 'x'.toQuantity()", []),
        ("1 'm'.toQuantity('g')", []),
        ("true.toQuantity()", ["1 '1'"]),
        ("1 'cm'.comparable(1 '[in_i]') and 1 'cm'.comparable(1 's').not()", ["true"]),
        ("1 'cm' < 1 's'", []),
    ],
)
def test_value_is(expression: str, expected: list[str]) -> None:
    assert texts(expression) == expected


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("defineVariable('n', name.first()).select(%n.family & name.last().family)", ["CB"]),
        ("name.select(defineVariable('g', given.count()).given.where(%g > 1))", ["P", "J"]),
        ("defineVariable('a', 1).select(%a) | defineVariable('a', 2).select(%a)", ["1", "2"]),
        ("name.defineVariable('all').where(family = %all.last().family).family", ["B"]),
    ],
)
def test_a_variable_holds_for_what_comes_after(expression: str, expected: list[str]) -> None:
    assert texts(expression) == expected


@pytest.mark.parametrize(
    "expression",
    [
        "defineVariable('a', 1).defineVariable('a', 2)",
        "defineVariable('resource', 1)",
        "select(defineVariable('a', 1)).select(%a)",
        "'a'.decode('hex')",
        "'\\\\q'.unescape('json')",
        "'a'.encode('rot13')",
        "2.power(1001)",
        "1.round(101)",
        "('a' | 1).sort()",
        "('a' | 'b').iif(true, 1)",
        "1 + 'a'",
        "1 'cm' div 2",
    ],
)
def test_what_has_no_value_ends_the_evaluation(expression: str) -> None:
    with pytest.raises(EvaluationError):
        texts(expression)


@pytest.mark.parametrize(
    ("expression", "message"),
    [
        ("name.frist()", r"unknown function frist; did you mean first\? \(at character 5\)"),
        ("name.wher(family = 'x')", "did you mean where"),
        ("qqqq()", r"unknown function qqqq \(at character 0\)"),
        ("%mine", "unknown constant %mine"),
        ("where()", "where doesn't take 0 arguments"),
        ("defineVariable(name)", "takes a name as a literal"),
        ("type().ofType(1)", "takes the name of a type"),
    ],
)
def test_what_there_is_not_is_named_when_compiled(expression: str, message: str) -> None:
    with pytest.raises(FhirPathSyntaxError, match=message):
        compile_expression(expression, TYPES)


def test_numbers_of_the_data_keep_their_digits() -> None:
    node: Any = resource_node(PATIENT)
    found = compile_expression("extension.value", TYPES).evaluate(node, Environment(node, node))
    assert [str(each.value) for each in found] == ["1.10"]  # type: ignore[union-attr]


@pytest.mark.parametrize("digits", ["1" * 28 + ".1", "0." + "1" * 26])
def test_arithmetic_rounds_no_sum(digits: str) -> None:
    node = resource_node(
        {"resourceType": "Basic", "extension": [{"valueDecimal": Decimal(digits)}]}
    )
    expression = compile_expression("extension.value - 1 + 1", TYPES)
    assert expression.evaluate(node, Environment(node, node)) == [Decimal(digits)]


def test_what_is_kept_of_a_resource_is_not_kept_of_a_variable() -> None:
    node = resource_node(PATIENT)
    setting = Environment(node, node)
    text = "%resource.name.where(family = %wanted).given"
    found = [
        len(compile_expression(text, TYPES, variables={"wanted": [name]}).evaluate(node, setting))
        for name in ("C", "B", "C")
    ]
    assert found == [2, 0, 2]
    each = (
        "name.select(defineVariable('f', family).select(%resource.name.where(family = %f).count()))"
    )
    assert compile_expression(each, TYPES).evaluate(node, setting) == [1, 0, 1]
