"""What a measured value means: HL7 v3 ObservationInterpretation codes, with the reason.

Belongs here: one value against all that is known of it, in this order.

1. A value that nobody can have (`plausible.py`) means nothing, whatever else is said of it.
2. What is normal, the observation's own range says where one is for this patient (`own_ranges.py`),
   else the table (`limits.py`); what is critical, the table alone says, whatever the range.
3. The observation's own interpretation (`interpretations.py`) is held against that. It is taken
   where there is nothing else, or where it is the graver on the same side.
"""

from collections.abc import Iterable
from functools import lru_cache
from typing import NamedTuple

from hc_assets.fhir.enrichment.demographics import Ages
from hc_assets.fhir.enrichment.elements import Concept, Measured, Quantity
from hc_assets.fhir.enrichment.sex_specific_codes import LOINC, SNOMED
from hc_assets.fhir.enrichment.significance.interpretations import (
    contradict,
    interpretations,
    is_graver,
)
from hc_assets.fhir.enrichment.significance.limits import LIMITS_BY_LOINC, LimitsRow
from hc_assets.fhir.enrichment.significance.notes import (
    CRITICAL_IN_RANGE,
    DISAGREEING,
    REVERSED,
    SEVERAL_INTERPRETATIONS,
    UNIT_AMBIGUOUS,
    UNIT_CODE,
    UNIT_CONVERTIBLE,
    Note,
    by_text,
    contradicted,
)
from hc_assets.fhir.enrichment.significance.own_ranges import (
    NO_RANGES,
    Ends,
    OwnRanges,
    Person,
    own_ranges,
)
from hc_assets.fhir.enrichment.significance.plausible import BOUNDS_BY_LOINC, not_plausible
from hc_assets.fhir.enrichment.significance.quantities import (
    AT_LEAST,
    AT_MOST,
    Amount,
    Unit,
    amount,
    is_score,
    less,
    number,
    unit_of,
)
from hc_assets.fhir.enrichment.significance.units import NO_ANALYTE, UCUM

OWN_RANGE, TABLE, CODED_RESULT = "reference-range", "reference-table", "coded-result"
OWN_INTERPRETATION = "interpretation"
_OF_RANGE = "the observation's reference range"
_CACHED = 4_096
# What laboratories answer in codes, as HL7's interpretation of it.
_BY_RESULT = {
    "10828004": "POS",
    "260385009": "NEG",
    "260373001": "DET",
    "260415000": "ND",
    "82334004": "IND",
    "11214006": "RR",
    "131194007": "NR",
}
_KNOWN = LIMITS_BY_LOINC.keys() | BOUNDS_BY_LOINC.keys()
_UNIT_RULES = frozenset({UNIT_CONVERTIBLE, UNIT_AMBIGUOUS})


class Limits(NamedTuple):
    """What a value is held against, in one unit.

    Attributes:
        low: least normal value.
        high: highest normal value.
        unit: of them: UCUM code, or text; "" where there is none.
        source: of what is normal, for people; "" where that is not known.
        critical_low: below it is LL.
        critical_high: above it is HH.
        critical_source: of those two, for people.
        high_is_normal: whether `high` itself is normal.
        is_ucum: whether `unit` is a code of UCUM, or just text.
    """

    low: float | None
    high: float | None
    unit: str
    source: str
    critical_low: float | None = None
    critical_high: float | None = None
    critical_source: str = ""
    high_is_normal: bool = True
    is_ucum: bool = True


class Significance(NamedTuple):
    """An interpretation: its code, what it rests on, and the limits, where it rests on any."""

    code: str
    evidence: str
    limits: Limits | None = None


class Judgement(NamedTuple):
    """What a value means, if anything, and what is to be noted of it."""

    found: Significance | None = None
    notes: tuple[Note, ...] = ()


_NOTHING = Judgement()


def significance(measured: Measured, person: Person) -> Judgement:
    """Interpret a value.

    Args:
        measured: an Observation or a component of one.
        person: whom it is of.
    """
    quantity = measured.quantity
    if quantity is not None and is_score(quantity):
        return _NOTHING
    value = number(quantity)
    if quantity is None or value is None:
        by_code = _coded_result(measured.concept) if quantity is None else None
        return _with_interpretation(by_code, (), measured.interpretation)
    code = _loinc(measured)
    bounds = BOUNDS_BY_LOINC.get(code)
    unlike = None
    # Nearly all are within their bounds, in the unit of these.
    if value < 0 if bounds is None else not bounds.hold(value, quantity):
        unlike = not_plausible(value, quantity, bounds)
        if unlike is not None and unlike.rule not in _UNIT_RULES:
            return Judgement(None, (unlike,))
    fitting = _fitting(code, person.ages, person.sex)
    ranges = NO_RANGES
    if measured.reference_range:
        analyte = bounds.analyte if bounds is not None else NO_ANALYTE
        ranges = own_ranges(quantity, measured.reference_range, person, analyte)
    if ranges.are_for_patient:
        found, notes = _by_ranges(value, quantity, ranges, fitting)
        if not ranges.usable and REVERSED in ranges.notes:
            return Judgement(found, notes)  # a range that can't be is no base for anybody's word
    else:
        found, notes = _by_table(value, quantity, fitting)
        if unlike is not None and not notes:
            notes = (unlike,)
    if notes and notes[-1] is DISAGREEING:
        return Judgement(found, notes)
    return _with_interpretation(found, notes, measured.interpretation)


def _loinc(measured: Measured) -> str:
    """First LOINC code of what was measured that a table has; "" where there is none."""
    if measured.code is not None:
        for coding in measured.code.coding:
            if coding.code in _KNOWN and coding.system == LOINC:
                return coding.code or ""
    return ""


def _coded_result(concept: Concept | None) -> Significance | None:
    for coding in concept.coding if concept is not None else ():
        if coding.system == SNOMED and coding.code in _BY_RESULT:
            return Significance(_BY_RESULT[coding.code], CODED_RESULT)
    return None


# --- The table ---


class _Fitting(NamedTuple):
    """The row for a person, and its limits: those that hold for this person, whatever the sex."""

    row: LimitsRow
    limits: Limits


def _by_table(
    value: float, quantity: Quantity, fitting: _Fitting | None
) -> tuple[Significance | None, tuple[Note, ...]]:
    if fitting is None:
        return None, ()
    row = fitting.row
    notes: tuple[Note, ...] = ()
    if quantity.code != row.unit or quantity.system != UCUM:
        found = amount(value, unit_of(quantity), row.unit, row.analyte, only=row.only_unit)
        if isinstance(found, Note):
            return None, (found,)
        value = found.value
        notes = (by_text(found.code),) if found.is_by_text else ()
    return _judged(value, quantity.comparator, fitting.limits, TABLE), notes


@lru_cache(maxsize=_CACHED)
def _fitting(code: str, ages: Ages | None, sex: str | None) -> _Fitting | None:
    """The row for a person; where the sex isn't known, what is critical for either."""
    of_age = [row for row in LIMITS_BY_LOINC.get(code, ()) if _within(ages, row.ages)]
    for row in of_age:
        if row.sex is None or row.sex == sex:
            return _Fitting(row, _limits_of(row))
    critical = {(row.critical_low, row.critical_high) for row in of_age}
    if len(critical) != 1 or critical == {(None, None)}:
        return None
    return _Fitting(of_age[0], _limits_of(of_age[0])._replace(low=None, high=None, source=""))


def _within(ages: Ages | None, wanted: tuple[int, int]) -> bool:
    return ages is not None and wanted[0] <= ages.least and ages.most < wanted[1]


def _limits_of(row: LimitsRow) -> Limits:
    return Limits(
        row.low,
        row.high,
        row.unit,
        row.source,
        row.critical_low,
        row.critical_high,
        row.critical_source,
        row.high_is_normal,
    )


# --- The observation's own ranges ---


def _by_ranges(
    value: float, quantity: Quantity, ranges: OwnRanges, fitting: _Fitting | None
) -> tuple[Significance | None, tuple[Note, ...]]:
    notes = list(ranges.notes)
    critical = _critical(unit_of(quantity), fitting, notes)
    judged = [
        _judged(value, quantity.comparator, _limits_by(ends, quantity, critical), OWN_RANGE)
        for ends in ranges.usable or (Ends(None, None),)
    ]
    found = judged[0]
    if found is not None and found.code in ("LL", "HH"):
        found = found._replace(evidence=TABLE)
        if any(_holds(ends, value) for ends in ranges.usable):
            notes.append(CRITICAL_IN_RANGE)
    elif len({each and each.code for each in judged}) > 1:
        return None, (*_once(notes), DISAGREEING)
    return found, _once(notes)


def _once(notes: Iterable[Note]) -> tuple[Note, ...]:
    """Each note once; how a unit is read by its text, as what knows most of it has it: the last."""
    of_units = {note.member: note for note in notes if note.rule == UNIT_CODE}
    return tuple(
        dict.fromkeys(of_units.get(n.member, n) if n.rule == UNIT_CODE else n for n in notes)
    )


def _limits_by(
    ends: Ends, quantity: Quantity, critical: tuple[float | None, float | None, str]
) -> Limits:
    is_ucum = quantity.system == UCUM and quantity.code is not None
    unit = quantity.code if is_ucum else quantity.unit
    source = _OF_RANGE if ends != Ends(None, None) else ""
    return Limits(ends.low, ends.high, unit or "", source, *critical, is_ucum=is_ucum)


def _holds(ends: Ends, value: float) -> bool:
    is_low = ends.low is not None and less(value, ends.low)
    return not is_low and not (ends.high is not None and less(ends.high, value))


def _critical(
    unit: Unit, fitting: _Fitting | None, notes: list[Note]
) -> tuple[float | None, float | None, str]:
    """Critical limits in the unit of a value; none where there are none, or that is not known."""
    if fitting is None:
        return None, None, ""
    row = fitting.row
    ends: list[float | None] = []
    for limit in (row.critical_low, row.critical_high):
        found = None if limit is None else _back(limit, unit, row)
        if isinstance(found, Note):
            notes.append(found)
            return None, None, ""
        ends.append(found.value if found is not None else None)
        if found is not None and found.is_by_text:
            notes.append(by_text(found.code))
    return ends[0], ends[1], row.critical_source


@lru_cache(maxsize=_CACHED)
def _back(limit: float, unit: Unit, row: LimitsRow) -> Amount | Note:
    """A limit in another unit: conversions are affine, so two points of one say it all."""
    zero, one = (
        amount(each, unit, row.unit, row.analyte, only=row.only_unit) for each in (0.0, 1.0)
    )
    if isinstance(zero, Note) or isinstance(one, Note):
        return zero if isinstance(zero, Note) else one
    return one._replace(value=(limit - zero.value) / (one.value - zero.value))


# --- A value against limits ---


def _judged(
    value: float, comparator: str | None, limits: Limits, evidence: str
) -> Significance | None:
    """Hold a value against limits; None where a comparator or lack of limits leaves it open."""
    code = _code(value, limits)
    if code == "N" and limits.low is None and limits.high is None:
        return None
    if comparator in AT_MOST:
        # It may be anything below: certain only where nothing below is judged otherwise.
        certain = code in ("L", "LL") or (code == "N" and limits.low is None)
    elif comparator in AT_LEAST:
        certain = code in ("H", "HH") or (code == "N" and limits.high is None)
    else:
        certain = True
    return Significance(code, evidence, limits) if certain else None


def _code(value: float, limits: Limits) -> str:
    if limits.critical_low is not None and less(value, limits.critical_low):
        return "LL"
    if limits.critical_high is not None and less(limits.critical_high, value):
        return "HH"
    if limits.low is not None and less(value, limits.low):
        return "L"
    if limits.high is not None:
        is_above = less(limits.high, value)
        if is_above or not (limits.high_is_normal or less(value, limits.high)):
            return "H"
    return "N"


# --- The observation's own interpretation ---


def _with_interpretation(
    found: Significance | None, notes: tuple[Note, ...], raw: bytes
) -> Judgement:
    theirs = interpretations(bytes(raw)) if raw else ()
    if not theirs:
        return Judgement(found, notes)
    if any(contradict(one, other) for one in theirs for other in theirs):
        return Judgement(found, (*notes, SEVERAL_INTERPRETATIONS))
    if found is None:
        return Judgement(Significance(theirs[0], OWN_INTERPRETATION), notes)
    for code in theirs:
        if contradict(code, found.code):
            note = contradicted(code, found.code, found.evidence)
            return Judgement(found, (*notes, note))
        if is_graver(code, found.code):
            found = Significance(code, OWN_INTERPRETATION, found.limits)
    return Judgement(found, notes)
