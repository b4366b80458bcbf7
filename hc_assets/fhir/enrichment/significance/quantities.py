"""A quantity in the unit of what it is compared with.

Belongs here: which UCUM codes a quantity's unit can be, and whether one of them, and one only,
becomes the other unit. A code that UCUM has is what it says. Where there is none, or one that UCUM
doesn't have, the text is read by `unit_texts.py`.
"""

import math
from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

from hc_assets.fhir.enrichment.elements import Quantity
from hc_assets.fhir.enrichment.significance.notes import Note, ambiguous, not_convertible
from hc_assets.fhir.enrichment.significance.unit_texts import readings
from hc_assets.fhir.enrichment.significance.units import (
    NO_ANALYTE,
    UCUM,
    Analyte,
    Conversion,
    conversion,
    is_ucum,
)

_CACHED = 4_096
_SCORE = "{score}"
AT_MOST, AT_LEAST = frozenset({"<", "<="}), frozenset({">", ">="})
# A limit that was converted is met by what is as close to it as rounding leaves it.
_ROUNDING = 1e-9


class Amount(NamedTuple):
    """A number in a unit, and how it came to be in that: its unit's code, and if by text."""

    value: float
    code: str
    is_by_text: bool = False


class Unit(NamedTuple):
    """What a quantity says of its unit, without its value: code of UCUM, and text."""

    code: str | None
    text: str | None


def number(quantity: Quantity | None) -> float | None:
    """Value of a quantity; None where it has none, or one beyond what a float holds."""
    text = bytes(quantity.value) if quantity is not None else b""
    if not text:
        return None
    value = float(text)
    return value if math.isfinite(value) else None


def unit_of(quantity: Quantity) -> Unit:
    """Unit of a quantity. A code of another system than UCUM is none."""
    return Unit(quantity.code if quantity.system == UCUM else None, quantity.unit)


def is_score(quantity: Quantity) -> bool:
    """Whether a quantity is somebody's score, and no measurement."""
    return _SCORE in (quantity.code, quantity.unit)


def amount(
    value: float, unit: Unit, target: str, analyte: Analyte = NO_ANALYTE, *, only: bool = False
) -> Amount | Note:
    """Return a value in a unit.

    Args:
        value: in its own unit.
        unit: its own.
        target: UCUM code.
        analyte: of what it is.
        only: whether no other unit will do, though it may have the same dimension.

    Returns:
        The value in that unit; a note where the unit doesn't become it, or could in two ways.
    """
    if unit.code == target:
        return Amount(value, target)
    if unit.code is None and unit.text == target:
        return Amount(value, target, is_by_text=True)
    if only:
        if (unit.code is None or not is_ucum(unit.code)) and target in _codes(unit)[0]:
            return Amount(value, target, is_by_text=True)
        return not_convertible(name_of(unit), target)
    found = relation(unit, Unit(target, None), analyte)
    if isinstance(found, Note):
        return found
    return Amount(found.conversion(value), found.source, found.is_by_text)


class Relation(NamedTuple):
    """How one unit becomes another: the conversion, the codes, whether either is read by text."""

    conversion: Conversion
    source: str
    target: str
    is_by_text: bool


@lru_cache(maxsize=_CACHED)
def relation(source: Unit, target: Unit, analyte: Analyte) -> Relation | Note:
    """How a unit becomes another one, either of which may be text; a note where it does not.

    Args:
        source: the one.
        target: the other.
        analyte: of what the quantities are.
    """
    if source.code is not None and target.code is not None:
        stated = conversion(source.code, target.code, analyte)
        if stated is not None:
            return Relation(stated, source.code, target.code, is_by_text=False)
    (sources, text_source), (targets, text_target) = _codes(source), _codes(target)
    found: list[Relation] = []
    for one in sources:
        for other in targets:
            known = conversion(one, other, analyte)
            if known is not None and not any(_same(known, each.conversion) for each in found):
                found.append(Relation(known, one, other, text_source or text_target))
    if not found:
        return not_convertible(name_of(source), name_of(target))
    if len(found) > 1:
        return ambiguous(name_of(target))
    return found[0]


def _codes(unit: Unit) -> tuple[Sequence[str], bool]:
    """UCUM codes that a unit can be, and whether they are read from text."""
    if unit.code is not None:
        if is_ucum(unit.code):
            return (unit.code,), False
        return readings(unit.code), True
    return (readings(unit.text) if unit.text is not None else ()), True


def _same(one: Conversion, other: Conversion) -> bool:
    return math.isclose(one.factor, other.factor, rel_tol=_ROUNDING) and math.isclose(
        one.offset, other.offset, rel_tol=_ROUNDING, abs_tol=_ROUNDING
    )


def name_of(unit: Unit) -> str:
    """A unit as it is written, for people."""
    return unit.code or unit.text or "no unit"


def less(one: float, other: float) -> bool:
    """Whether a number is below another by more than rounding."""
    return one < other and not math.isclose(one, other, rel_tol=_ROUNDING)
