"""The evaluator on npm, `fhirpath`, gives the same for random expressions on random resources.

Belongs here: the comparison. What is drawn is in `random_expressions.py`. Where one of the two
refuses, for several values where one must be, the other may have stopped before it met them.
"""

import json
import math
import random
import re
import shutil
import subprocess
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import pytest

from hc_assets.fhir.fhirpath import (
    Environment,
    FhirPathError,
    Node,
    Quantity,
    Temporal,
    TypeView,
    compile_expression,
    resource_node,
)
from hc_assets.fhir.fhirpath.functions.conversions import printed
from hc_assets.fhir.r4.definitions import r4
from hc_assets_tests.fhir.fhirpath.random_expressions import Expressions, resource

TYPES = TypeView(r4())
_DECODER = msgspec.json.Decoder(float_hook=Decimal)
_PACKAGE = "fhirpath@5.2.2"
_SECONDS = 120
_PROGRAM = """
import fhirpath from 'fhirpath';
import model from 'fhirpath/fhir-context/r4/index.js';
import * as readline from 'readline';
console.log = () => {};
for await (const line of readline.createInterface({input: process.stdin})) {
  const [expression, resource] = JSON.parse(line);
  let answer;
  try {
    answer = {values: fhirpath.evaluate(resource, expression, {}, model, {traceFn: () => {}})};
  } catch (error) {
    answer = {error: String(error && error.message || error)};
  }
  process.stdout.write(JSON.stringify(answer) + '\\n');
}
"""
_CALENDAR = re.compile(r"\S+ (?:year|month|week|day)s?")


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A program that answers expressions, one a line, by the package."""
    node, npm = shutil.which("node"), shutil.which("npm")
    if node is None or npm is None:
        pytest.skip("node or npm is not there")
    folder = tmp_path_factory.mktemp("npm")
    command = [npm, "install", "--prefer-offline", "--no-audit", "--no-fund", _PACKAGE]
    try:
        subprocess.run(command, cwd=folder, check=True, capture_output=True, timeout=_SECONDS)
    except (subprocess.CalledProcessError, subprocess.TimeoutExpired):
        pytest.skip(f"npm doesn't install {_PACKAGE}: its registry can't be reached")
    path = folder / "answer.mjs"
    path.write_text(_PROGRAM)
    return path


def _theirs(program: Path, cases: list[tuple[str, Any]]) -> list[dict[str, Any]]:
    asked = "\n".join(json.dumps(case) for case in cases)
    command = ["node", str(program)]
    done = subprocess.run(command, input=asked, capture_output=True, text=True, check=True)
    return [json.loads(line) for line in done.stdout.splitlines()]


def _ours(expression: str, value: Any) -> list[Any] | None:
    node = resource_node(_DECODER.decode(json.dumps(value)))
    try:
        found = compile_expression(expression, TYPES).evaluate(
            node, Environment(node, node, is_lenient=True)
        )
    except FhirPathError:
        return None
    return [_plain(item) for item in found]


def _plain(item: Any) -> Any:
    if isinstance(item, Node):
        return item.value
    return printed(item) if isinstance(item, Quantity | Temporal) else item


def _same(one: Any, other: Any) -> bool:
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(_same, one, other))
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(_same(one[name], other[name]) for name in one)
    if isinstance(one, bool) or isinstance(other, bool):
        return one is other
    if isinstance(one, str) and isinstance(other, str):
        # A word of the calendar may be in the plural, an offset of nothing may have digits.
        if _CALENDAR.fullmatch(one):
            return one.rstrip("s") == other.rstrip("s")
        return one == other or one == other.replace("-00:00", "Z")
    return math.isclose(one, other, rel_tol=1e-7, abs_tol=1e-7)


@pytest.mark.parametrize(
    "count", [500, pytest.param(20_000, marks=pytest.mark.exhaustive)], ids=["some", "20000"]
)
def test_random_expressions_have_the_same_values(program: Path, count: int) -> None:
    chance = random.Random(count)  # noqa: S311 - a sample, no secret
    expressions = Expressions(chance)
    cases = [(expressions.any(), resource(chance)) for _ in range(count)]
    compared, different = 0, []
    for (expression, value), theirs in zip(cases, _theirs(program, cases), strict=True):
        ours = _ours(expression, value)
        if ours is None or "error" in theirs:
            continue
        compared += 1
        if not _same(ours, theirs["values"]):
            different.append((expression, value, ours, theirs["values"]))
    assert different == []
    assert compared > 0.95 * count
