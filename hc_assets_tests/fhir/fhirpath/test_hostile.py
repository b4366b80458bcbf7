"""Expressions made to take long, or to break the process, end soon and with an error of ours."""

import pytest

from hc_assets.fhir.fhirpath import (
    Environment,
    FhirPathError,
    TypeView,
    compile_expression,
    resource_node,
)
from hc_assets.fhir.r4.definitions import r4

TYPES = TypeView(r4())


@pytest.mark.parametrize(
    "expression",
    [
        "9.power(1000).power(1000)",
        "(1 | 2).repeatAll($this)",
        "repeat($this + 1)",
        "(1.5).power(999.5).power(999.5)",
        "1000.exp().exp()",
        "@2014-01-01 + 9999999999999999999999999999 days",
        "9999999999999999999999999999 'Ym' * 9999999999999999999999999999 'Ym'.power(2)",
        "1 '" + "(" * 10_000 + "' = 1 'm'",
        "('a').encode('hex')" + ".encode('hex')" * 40,
        "1 '10*200' = 1 '10*201.10*200.10*200.10*200.10*200.10*200.10*200.10*200.10*200.10*200'",
        "'a'" + ".replace('', 'aaaaaaaaaa')" * 40,
        "('a')" + ".select($this & $this & $this)" * 40,
        "('a')" + ".select($this + $this)" * 40,
        "'a'.toChars()" + ".select($this.combine($this))" * 40,
        "('a')" + ".escape('html')" * 40,
        "('a')" + ".replaceMatches('a', 'aaaaaa')" * 40,
        "('a' | 'b')" + ".combine('c').join('ccccccccccccccccccc').split('c')" * 20,
        "iif(" * 40 + "true" + ", 1)" * 40,
        "defineVariable('a', $this).select(%a)" * 3,
    ],
)
def test_it_ends(expression: str) -> None:
    node = resource_node({"resourceType": "Patient", "multipleBirthInteger": 1})
    try:
        compiled = compile_expression(expression, TYPES)
        found = compiled.evaluate(node, Environment(node, node, is_lenient=True))
    except FhirPathError:
        return
    assert isinstance(found, list)
