"""What a measured value means: HL7 v3 ObservationInterpretation codes, with the reason.

Belongs here: one value against all that is known of it, in this order.

1. A value that nobody can have (`plausible.py`) means nothing, whatever else is said of it.
2. What is normal, the observation's own range says where one is for this patient (`own_ranges.py`),
   else the table (`limits.py`); what is critical, the table alone says, whatever the range. Where
   the limits depend on an age or a sex that isn't known, that is noted (`fitting.py`).
3. The observation's own interpretation (`interpretations.py`) is held against that. It is taken
   where there is nothing else, or where it is the graver on the same side.
"""

from collections.abc import Iterable
from functools import lru_cache
from typing import NamedTuple

from hc_assets.fhir.enrichment.elements import Measured, Quantity
from hc_assets.fhir.enrichment.sex_specific_codes import LOINC
from hc_assets.fhir.enrichment.significance.fitting import Fitting, fitting
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
    patient_unknown,
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
from hc_assets.fhir.enrichment.significance.results import result_of
from hc_assets.fhir.enrichment.significance.units import NO_ANALYTE, UCUM

OWN_RANGE, TABLE, CODED_RESULT = "reference-range", "reference-table", "coded-result"
OWN_INTERPRETATION = "interpretation"
_OF_RANGE, _BY_TEXT = "the observation's reference range", ", read from its text"
_CRITICAL_LIMITS, _TABLES_LIMITS = "table's critical limits", "table's limits"
_OWN_LIMITS = "observation's reference ranges"
_CACHED = 4_096
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
        low_is_normal: whether `low` itself is.
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
    low_is_normal: bool = True
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
    if quantity is None:
        return _by_result(measured, person)
    if value is None:
        return _with_interpretation((), (), measured.interpretation)
    code = _loinc(measured)
    bounds = BOUNDS_BY_LOINC.get(code)
    unlike = None
    # Nearly all are within their bounds, in the unit of these.
    if value < 0 if bounds is None else not bounds.hold(value, quantity):
        unlike = not_plausible(value, quantity, bounds)
        if unlike is not None and unlike.rule not in _UNIT_RULES:
            return Judgement(None, (unlike,))
    fits = fitting(code, person.ages, person.sex)
    ranges = NO_RANGES
    if measured.reference_range:
        analyte = bounds.analyte if bounds is not None else NO_ANALYTE
        ranges = own_ranges(quantity, measured.reference_range, person, analyte)
    if ranges.are_for_patient:
        found, notes = _by_ranges(value, quantity, ranges, fits)
        if not ranges.usable and REVERSED in ranges.notes:
            return Judgement(found, notes)  # a range that can't be is no base for anybody's word
    else:
        found, notes = _by_table(value, quantity, fits)
        if unlike is not None and not notes:
            notes = (unlike,)
    notes = (*notes, *_unknown(found, ranges, fits))
    if DISAGREEING in notes:
        return Judgement(found, notes)
    return _with_interpretation(_listed(found), notes, measured.interpretation)


def _listed(found: Significance | None) -> tuple[Significance, ...]:
    return () if found is None else (found,)


def _unknown(found: Significance | None, ranges: OwnRanges, fits: Fitting) -> tuple[Note, ...]:
    """What would have to be known of the patient to say more of a value than is found."""
    if found is not None and found.code in ("LL", "HH"):
        return ()
    notes = [patient_unknown(ranges.missing, _OWN_LIMITS)] if ranges.missing else []
    missing, limits = fits.missing_of_critical, _CRITICAL_LIMITS
    if not ranges.are_for_patient and fits.missing:
        missing, limits = fits.missing, _TABLES_LIMITS
    if missing:
        notes.append(patient_unknown(missing, limits))
    return tuple(notes)


def _loinc(measured: Measured) -> str:
    """First LOINC code of what was measured that a table has; "" where there is none."""
    if measured.code is not None:
        for coding in measured.code.coding:
            if coding.code in _KNOWN and coding.system == LOINC:
                return coding.code or ""
    return ""


def _by_result(measured: Measured, person: Person) -> Judgement:
    result = result_of(measured, person)
    found = () if result.code is None else (Significance(result.code, CODED_RESULT),)
    if result.is_normal is not None:
        found = (Significance("N" if result.is_normal else "A", OWN_RANGE), *found)
    notes = (patient_unknown(result.missing, _OWN_LIMITS),) if result.missing else ()
    return _with_interpretation(found, notes, measured.interpretation)


# --- The table ---


def _by_table(
    value: float, quantity: Quantity, fits: Fitting
) -> tuple[Significance | None, tuple[Note, ...]]:
    row = fits.row
    if row is None:
        return None, ()
    notes: tuple[Note, ...] = ()
    if quantity.code != row.unit or quantity.system != UCUM:
        found = amount(value, unit_of(quantity), row.unit, row.analyte, only=row.only_unit)
        if isinstance(found, Note):
            return None, (found,)
        value = found.value
        notes = (by_text(found.code),) if found.is_by_text else ()
    limits = _limits_of(row)
    if not fits.normal:
        limits = limits._replace(low=None, high=None, source="")
    return _judged(value, quantity.comparator, limits, TABLE), notes


@lru_cache(maxsize=_CACHED)
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
    value: float, quantity: Quantity, ranges: OwnRanges, fits: Fitting
) -> tuple[Significance | None, tuple[Note, ...]]:
    notes = list(ranges.notes)
    critical = _critical(unit_of(quantity), fits.row, notes)
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
    source = "" if ends == Ends(None, None) else _OF_RANGE + (_BY_TEXT if ends.is_by_text else "")
    return Limits(
        ends.low,
        ends.high,
        unit or "",
        source,
        *critical,
        high_is_normal=ends.high_is_normal,
        low_is_normal=ends.low_is_normal,
        is_ucum=is_ucum,
    )


def _holds(ends: Ends, value: float) -> bool:
    is_low = ends.low is not None and less(value, ends.low)
    return not is_low and not (ends.high is not None and less(ends.high, value))


def _critical(
    unit: Unit, row: LimitsRow | None, notes: list[Note]
) -> tuple[float | None, float | None, str]:
    """Critical limits in the unit of a value; none where there are none, or that is not known."""
    if row is None:
        return None, None, ""
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
    code = _code(value, comparator, limits)
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


def _code(value: float, comparator: str | None, limits: Limits) -> str:
    if limits.critical_low is not None and less(value, limits.critical_low):
        return "LL"
    if limits.critical_high is not None and less(limits.critical_high, value):
        return "HH"
    if limits.low is not None:
        is_above = less(limits.low, value) or comparator == ">"
        if less(value, limits.low) or not (limits.low_is_normal or is_above):
            return "L"
    if limits.high is not None:
        is_below = less(value, limits.high) or comparator == "<"
        if less(limits.high, value) or not (limits.high_is_normal or is_below):
            return "H"
    return "N"


# --- The observation's own interpretation ---


def _with_interpretation(
    ours: tuple[Significance, ...], notes: tuple[Note, ...], raw: bytes
) -> Judgement:
    """Hold an interpretation as it was sent against what we found; what is found first is taken."""
    found = ours[0] if ours else None
    theirs = interpretations(bytes(raw)) if raw else ()
    if not theirs:
        return Judgement(found, notes)
    if any(contradict(one, other) for one in theirs for other in theirs):
        return Judgement(found, (*notes, SEVERAL_INTERPRETATIONS))
    if found is None:
        return Judgement(Significance(theirs[0], OWN_INTERPRETATION), notes)
    for code in theirs:
        for each in ours:
            if contradict(code, each.code):
                note = contradicted(code, each.code, each.evidence)
                return Judgement(found, (*notes, note))
        if is_graver(code, found.code):
            found = Significance(code, OWN_INTERPRETATION, found.limits)
    return Judgement(found, notes)
