"""Quantities from one UCUM unit into another.

Belongs here: what a conversion is, and when there is none. The units themselves are known by pint,
with the UCUM parser and definitions of ucumvert. Both are loaded when two different units first
meet, and each conversion is worked out once.
"""

import math
import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

UCUM = "http://unitsofmeasure.org"

# Arbitrary units (UCUM section 24) mean nothing but themselves, whatever a library makes of them.
_ARBITRARY = re.compile(r"\[(?:[iI]U|[^\]]*'U)\]")
_EQUIVALENT = re.compile(r"(?<![A-Za-z\[])[YZEPTGMkhdcmunpfazy]?eq(?![A-Za-z])")
_ANNOTATION = re.compile(r"\{[^{}]*\}")
_ANNOTATED_DIVISOR = re.compile(r"/\{[^{}]*\}(?![A-Za-z0-9\[])")
_CACHED = 4_096
# Characters of a unit that is parsed: the parser recurses by term, and real units have some twenty.
_LONGEST_UNIT = 200
# How far an affine map may be off at a third point and still count as one: rounding only.
_ROUNDING = 1e-9


@dataclass(frozen=True)
class Analyte:
    """What turns amounts of a substance into masses, and equivalents into amounts.

    Attributes:
        molar_mass: g/mol; None where a conversion between amount and mass makes no sense.
        valence: charges per particle, by which an equivalent is divided; None where unknown.
    """

    molar_mass: float | None = None
    valence: int | None = None


NO_ANALYTE = Analyte()


@dataclass(frozen=True)
class Conversion:
    """An affine map: `value * factor + offset`."""

    factor: float
    offset: float = 0.0

    def __call__(self, value: float) -> float:
        """Convert a value."""
        return value * self.factor + self.offset


_SAME = Conversion(1.0)
_SAME_DIMENSION = object()


def conversion(source: str, target: str, analyte: Analyte = NO_ANALYTE) -> Conversion | None:
    """Return the conversion from one UCUM unit into another.

    Args:
        source: UCUM code, case-sensitive.
        target: the same.
        analyte: of which substance the quantity is.

    Returns:
        None where there is none: a code that is not UCUM or has more than 200 characters, another
        dimension, arbitrary units, logarithmic units, a mass for an amount of an unknown substance.
    """
    if source == target or _bare(source) == _bare(target):
        return _SAME
    from pint.errors import PintError  # noqa: PLC0415 - half a second, where units differ

    try:
        return _worked_out(source, target, analyte)
    except (PintError, ArithmeticError):
        # A logarithmic unit times another one, a power beyond what a float holds
        return None


def is_ucum(text: str) -> bool:
    """Whether a text is a code of UCUM, case-sensitive."""
    return _parsed(text) is not None


Dimension = frozenset[tuple[str, int]]


@lru_cache(maxsize=_CACHED)
def dimension(unit: str) -> Dimension | None:
    """Dimension of a unit: names, as pint has them, and powers; None where it is no UCUM.

    Arbitrary units count as numbers: a concentration of them is one of a number.
    """
    parsed = _parsed(unit)
    if parsed is None:
        return None
    return frozenset((name, int(power)) for name, power in parsed.dimensionality.items())


@lru_cache(maxsize=_CACHED)
def _bare(unit: str) -> str:
    """A unit without its annotations, which change nothing (UCUM section 6)."""
    return _ANNOTATION.sub("", _ANNOTATED_DIVISOR.sub("", unit))


@lru_cache(maxsize=_CACHED)
def _worked_out(source: str, target: str, analyte: Analyte) -> Conversion | None:
    if _arbitrary_units(source) != _arbitrary_units(target):
        return None
    scale = 1.0
    if bool(_EQUIVALENT.search(source)) != bool(_EQUIVALENT.search(target)):
        # UCUM has 1 eq = 1 mol; of a substance with several charges it is less.
        if analyte.valence is None:
            return None
        scale = 1 / analyte.valence if _EQUIVALENT.search(source) else float(analyte.valence)
    units = _parsed(source), _parsed(target)
    if units[0] is None or units[1] is None:
        return None
    bridge = _bridge(*units, analyte)
    if bridge is None:
        return None
    points = [_converted(value, *units, bridge) for value in (0.0, 1.0, 3.0)]
    offset, factor = points[0], points[1] - points[0]
    if not math.isclose(points[2], 3 * factor + offset, rel_tol=_ROUNDING, abs_tol=_ROUNDING):
        return None
    if abs(offset) < _ROUNDING * abs(factor):
        offset = 0.0
    return Conversion(factor * scale, offset)


def _arbitrary_units(unit: str) -> list[str]:
    return sorted(atom.upper() for atom in _ARBITRARY.findall(unit))


def _bridge(source: Any, target: Any, analyte: Analyte) -> Any:
    """What to multiply by so that the dimensions agree; None where nothing does."""
    if source.dimensionality == target.dimensionality:
        return _SAME_DIMENSION
    if analyte.molar_mass is None:
        return None
    molar_mass = analyte.molar_mass * _parsed("g/mol")
    for bridge in (molar_mass, 1 / molar_mass):
        if (source * bridge).dimensionality == target.dimensionality:
            return bridge
    return None


def _converted(value: float, source: Any, target: Any, bridge: Any) -> float:
    # Made by the class of the parsed unit, for pint's quantities belong to one registry each. What
    # the parser left as a number beside a unit (2.mg) counts as well.
    quantity = type(source)(value * source.magnitude, source.units)
    if bridge is not _SAME_DIMENSION:
        quantity = quantity * bridge
    return float(quantity.to(target.units).magnitude / target.magnitude)


@lru_cache(maxsize=1)
def _registry() -> Any:
    # Half a second, and only where units differ: most data needs none of it.
    from ucumvert import PintUcumRegistry  # noqa: PLC0415

    return PintUcumRegistry()


@lru_cache(maxsize=_CACHED)
def _parsed(unit: str) -> Any:
    from lark.exceptions import LarkError  # noqa: PLC0415
    from pint.errors import PintError  # noqa: PLC0415

    if len(unit) > _LONGEST_UNIT:
        return None
    registry = _registry()
    if _ANNOTATION.fullmatch(unit):
        unit = "1"
    try:
        parsed = registry.from_ucum(unit)
    except (LarkError, PintError):
        return None
    return registry.Quantity(1, parsed) if not hasattr(parsed, "units") else parsed
