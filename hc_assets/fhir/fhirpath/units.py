"""UCUM's units, exactly: what a code is in base units, as a fraction, with no rounding anywhere.

Belongs here: reading UCUM's table and its codes. What quantities do with units belongs to
`quantities.py`. The table is UCUM's own, as the package `ucumvert` carries it.
"""

import re
from dataclasses import dataclass
from fractions import Fraction
from functools import cache, lru_cache
from importlib.util import find_spec
from pathlib import Path
from xml.etree import ElementTree as ET

# Characters of a code that is read: real ones have some twenty.
_LONGEST = 200
_LARGEST_EXPONENT = 200
_CACHED = 4_096
_NAMESPACE = "{http://unitsofmeasure.org/ucum-essence}"
# Units on a scale with another zero, in kelvin: (value + shift) * factor.
_SCALES = {
    "Cel": (Fraction("273.15"), Fraction(1)),
    "degF": (Fraction("459.67"), Fraction(5, 9)),
    "degRe": (Fraction("218.52"), Fraction(5, 4)),
}
# UCUM has a mole as a number of particles; here amounts of substance are compared with their like.
_OWN_DIMENSION = frozenset({"mol"})

_TOKEN = re.compile(
    r"(?P<annotation>\{[!-z|~]*\})|(?P<atom>(?:\[[^\[\]\s]*\]|[^\s./(){}\[\]])+)|[./()]"
)
_WITH_EXPONENT = re.compile(r"(.*?[^+\-\d])([+-]?\d+)?", re.ASCII)


@dataclass(frozen=True, slots=True)
class Unit:
    """A unit in base units: `(value + shift) * factor`.

    Attributes:
        factor: how many base units one of it is.
        dimension: its base units with their powers; empty for numbers. Units that nothing converts
            to (arbitrary and logarithmic ones) are base units of their own.
        shift: what is added before; 0 but for degrees of temperature.
    """

    factor: Fraction
    dimension: frozenset[tuple[str, int]]
    shift: Fraction = Fraction(0)


@dataclass(frozen=True, slots=True)
class _Row:
    """A line of UCUM's table."""

    code: str
    is_metric: bool
    is_opaque: bool
    function: str
    value: str
    unit: str


class _InvalidError(Exception):
    """The code is not UCUM."""


_ONE = Unit(Fraction(1), frozenset())


@lru_cache(maxsize=_CACHED)
def unit(code: str) -> Unit | None:
    """A unit of UCUM.

    Args:
        code: case-sensitive, such as `mg/dL`.

    Returns:
        None where it is no code of UCUM, or one of more than 200 characters.
    """
    if not code or len(code) > _LONGEST:
        return None
    try:
        return _Reader(code).whole()
    except _InvalidError:
        return None


@cache
def _table() -> tuple[dict[str, Fraction], dict[str, _Row], frozenset[str]]:
    """Prefixes, units by code, base units."""
    place = find_spec("ucumvert")
    if place is None or place.origin is None:
        raise ModuleNotFoundError("ucumvert, which carries UCUM's table")
    path = Path(place.origin).with_name("vendor") / "ucum-essence.xml"
    # Of an installed package
    root = ET.parse(path).getroot()  # noqa: S314  # nosec B314
    prefixes = {
        each.attrib["Code"]: Fraction(_value(each).attrib["value"])
        for each in root.iter(f"{_NAMESPACE}prefix")
    }
    rows = {row.code: row for row in map(_row, root.iter(f"{_NAMESPACE}unit"))}
    bases = frozenset(each.attrib["Code"] for each in root.iter(f"{_NAMESPACE}base-unit"))
    return prefixes, rows, bases | _OWN_DIMENSION


def _value(element: ET.Element) -> ET.Element:
    found = element.find(f"{_NAMESPACE}value")
    if found is None:
        raise ValueError("UCUM's table has a unit without a value")
    return found


def _row(element: ET.Element) -> _Row:
    value = _value(element)
    function = value.find(f"{_NAMESPACE}function")
    name = "" if function is None else function.attrib["name"]
    is_special = element.get("isSpecial") == "yes"
    # An arbitrary unit that is another one's synonym is that one.
    is_arbitrary = element.get("isArbitrary") == "yes" and value.get("Unit") == "1"
    return _Row(
        element.attrib["Code"],
        element.get("isMetric") == "yes",
        is_arbitrary or (is_special and name not in _SCALES),
        name,
        value.get("value", "1"),
        value.get("Unit", "1"),
    )


@cache
def _atom(code: str) -> Unit:
    """A unit without a prefix."""
    _, rows, bases = _table()
    if code in bases:
        return Unit(Fraction(1), frozenset({(code, 1)}))
    row = rows.get(code)
    if row is None:
        raise _InvalidError
    if row.is_opaque:
        return Unit(Fraction(1), frozenset({(code, 1)}))
    if row.function:
        shift, factor = _SCALES[row.function]
        return Unit(factor, frozenset({("K", 1)}), shift)
    base = _Reader(row.unit).whole()
    return Unit(base.factor * Fraction(row.value), base.dimension)


def _is_metric(code: str) -> bool:
    _, rows, bases = _table()
    return code in bases or (code in rows and rows[code].is_metric)


def _simple(code: str) -> Unit:
    """A unit with or without a prefix."""
    prefixes, rows, bases = _table()
    if code in rows or code in bases:
        return _atom(code)
    for length in (1, 2):
        prefix, rest = prefixes.get(code[:length]), code[length:]
        if prefix is not None and _is_metric(rest):
            base = _atom(rest)
            return Unit(base.factor * prefix, base.dimension, base.shift / prefix)
    raise _InvalidError


def _power(base: Unit, exponent: int) -> Unit:
    if base.shift or not exponent or abs(exponent) > _LARGEST_EXPONENT:
        raise _InvalidError
    return Unit(
        base.factor**exponent, frozenset((name, power * exponent) for name, power in base.dimension)
    )


def _product(left: Unit, right: Unit) -> Unit:
    if left.shift or right.shift:
        raise _InvalidError  # degrees of another zero stand alone
    powers = dict(left.dimension)
    for name, power in right.dimension:
        powers[name] = powers.get(name, 0) + power
    factor = left.factor * right.factor
    if max(factor.numerator.bit_length(), factor.denominator.bit_length()) > 10 * _LARGEST_EXPONENT:
        raise _InvalidError
    return Unit(factor, frozenset((name, power) for name, power in powers.items() if power))


class _Reader:
    """Reads one code from left to right, as UCUM has it: what follows `/` is one component."""

    def __init__(self, code: str) -> None:
        self._tokens: list[str] = []
        position = 0
        while position < len(code):
            match = _TOKEN.match(code, position)
            if match is None:
                raise _InvalidError
            self._tokens.append(match.group())
            position = match.end()
        self._tokens.append("")
        self._next = 0

    def whole(self) -> Unit:
        found = self._term()
        if self._tokens[self._next]:
            raise _InvalidError
        return found

    def _take(self) -> str:
        token = self._tokens[self._next]
        self._next += 1
        return token

    def _term(self) -> Unit:
        if self._tokens[self._next] == "/":
            self._next += 1
            found = _power(self._component(), -1)
        else:
            found = self._component()
        while self._tokens[self._next] in (".", "/"):
            is_divisor = self._take() == "/"
            part = self._component()
            found = _product(found, _power(part, -1) if is_divisor else part)
        return found

    def _component(self) -> Unit:
        text = self._take()
        if text == "(":
            found = self._term()
            if self._take() != ")":
                raise _InvalidError
        elif text.startswith("{"):
            return _ONE
        elif not text or text in "./)":
            raise _InvalidError
        else:
            found = _measured(text)
        if self._tokens[self._next].startswith("{"):
            self._next += 1  # an annotation says what is measured and changes nothing
        return found


def _measured(text: str) -> Unit:
    if text.isdigit() and text.isascii():
        number = Fraction(text)
        if not number:
            raise _InvalidError
        return Unit(number, frozenset())
    match = _WITH_EXPONENT.fullmatch(text)
    if match is None:
        raise _InvalidError
    base = _simple(match.group(1))
    return base if match.group(2) is None else _power(base, int(match.group(2)))
