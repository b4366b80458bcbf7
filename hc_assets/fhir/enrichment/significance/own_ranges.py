"""The reference ranges that an observation brings: which are for this patient, and what they say.

Belongs here: choosing among them, and their ends in the unit of the value. A range counts where it
is one of normal values and where patient and age are those that it names; of several the most
specific count. What can't be used is noted, and nothing takes its place.
"""

from collections.abc import Iterable
from typing import NamedTuple

from hc_assets.fhir.enrichment.demographics import Ages
from hc_assets.fhir.enrichment.elements import Quantity, Range, ReferenceRange
from hc_assets.fhir.enrichment.sex_specific_codes import SNOMED
from hc_assets.fhir.enrichment.significance.notes import REVERSED, Note, by_text
from hc_assets.fhir.enrichment.significance.quantities import (
    Amount,
    amount,
    less,
    name_of,
    number,
    relation,
    unit_of,
)
from hc_assets.fhir.enrichment.significance.units import NO_ANALYTE, Analyte

# HL7 referencerange-meaning: of normal values, and not of a treatment, a cycle or a therapy.
_NORMAL_MEANING = "normal"
_NORMAL_TEXTS = frozenset({"normal", "normal range", "reference range"})
_SEXES = {
    (SNOMED, "248152002"): "female",
    (SNOMED, "248153007"): "male",
    ("http://hl7.org/fhir/administrative-gender", "female"): "female",
    ("http://hl7.org/fhir/administrative-gender", "male"): "male",
    ("http://terminology.hl7.org/CodeSystem/v3-AdministrativeGender", "F"): "female",
    ("http://terminology.hl7.org/CodeSystem/v3-AdministrativeGender", "M"): "male",
}


class Person(NamedTuple):
    """Whom a value is of: completed years and days at that time, and sex; None where unknown."""

    ages: Ages | None = None
    sex: str | None = None
    days: Ages | None = None


NOBODY = Person()


class Ends(NamedTuple):
    """The ends of a range in the unit of the value; None where a side has none."""

    low: float | None
    high: float | None


class OwnRanges(NamedTuple):
    """What the ranges of an observation come to.

    Attributes:
        are_for_patient: whether any is, usable or not: then no table says what is normal.
        usable: the most specific ones, without what can't be used.
        notes: what can't be used, and why.
    """

    are_for_patient: bool
    usable: tuple[Ends, ...]
    notes: tuple[Note, ...]


NO_RANGES = OwnRanges(are_for_patient=False, usable=(), notes=())


def own_ranges(
    quantity: Quantity,
    ranges: Iterable[ReferenceRange],
    person: Person,
    analyte: Analyte = NO_ANALYTE,
) -> OwnRanges:
    """Find the ranges that count for a value.

    Args:
        quantity: the value.
        ranges: of the observation, or of the component.
        person: whom the value is of.
        analyte: of what the value is, where that is known.
    """
    applicable = [(r, _specificity(r, person)) for r in ranges if r.low or r.high]
    fitting = [(r, how) for r, how in applicable if how is not None]
    if not fitting:
        return NO_RANGES
    # One for this age and sex is more specific than one for everybody.
    most = max(how for _, how in fitting)
    notes: list[Note] = []
    usable = []
    for each, how in fitting:
        ends = _ends(each, quantity, analyte, notes) if how == most else None
        if ends is not None:
            usable.append(ends)
    if not usable and not notes:
        return NO_RANGES  # ends without a number
    return OwnRanges(True, tuple(usable), tuple(dict.fromkeys(notes)))


def _ends(
    range_: ReferenceRange, quantity: Quantity, analyte: Analyte, notes: list[Note]
) -> Ends | None:
    found: list[float | None] = []
    for end in (range_.low, range_.high):
        limit = _end(end, quantity, analyte)
        if isinstance(limit, Note):
            notes.append(limit)
            return None
        if limit is not None and limit.note is not None:
            notes.append(limit.note)
        found.append(limit.value if limit is not None else None)
    low, high = found
    if low is None and high is None:
        return None
    if low is not None and high is not None and less(high, low):
        notes.append(REVERSED)
        return None
    return Ends(low, high)


class _Limit(NamedTuple):
    """An end in the unit of the value, and what is to be noted of how it came to be in that."""

    value: float
    note: Note | None = None


def _end(end: Quantity | None, of_value: Quantity, analyte: Analyte) -> _Limit | Note | None:
    """Return an end of a range in the unit of the value; where it states none, it is that."""
    limit = number(end)
    if end is None or limit is None:
        return None
    if end.code is None and end.unit is None:
        return _Limit(limit)
    unit, wanted = unit_of(end), unit_of(of_value)
    if (end.system, end.code, end.unit) == (of_value.system, of_value.code, of_value.unit):
        return _Limit(limit, by_text(name_of(unit)) if unit.code is None else None)
    there = relation(wanted, unit, analyte)
    back = relation(unit, wanted, analyte)
    if isinstance(there, Note):
        return there
    if isinstance(back, Note):
        return back
    note = None
    if there.source != wanted.code:
        note = by_text(there.source)
    elif there.target != unit.code:
        note = by_text(there.target, "referenceRange")
    return _Limit(back.conversion(limit), note)


def _specificity(range_: ReferenceRange, person: Person) -> int | None:
    """How specific a range is about whom it is for; None where that is not this person."""
    specific = 0
    if range_.type is not None:
        is_normal = any(coding.code == _NORMAL_MEANING for coding in range_.type.coding)
        named = not range_.type.coding and (range_.type.text or "").strip().lower()
        if not is_normal and named not in _NORMAL_TEXTS:
            return None
    for group in range_.applies_to:
        sexes = {_SEXES.get((c.system or "", c.code or "")) for c in group.coding} - {None}
        if person.sex is None or person.sex not in sexes:
            return None  # of others, or of a group that can't be known from here
        specific += 1
    if range_.age is not None:
        if not _in_age(range_.age, person):
            return None
        specific += 1
    return specific


def _in_age(range_: Range, person: Person) -> bool:
    if person.ages is None or person.days is None:
        return False
    for end, is_low in ((range_.low, True), (range_.high, False)):
        if end is None:
            continue
        years, days = _age(end, "a"), _age(end, "d")
        if years is None or days is None:
            return False
        # A whole number of years counts as completed: "up to 17 a" ends on the 18th birthday.
        counts_years = years.code == "a" and years.value.is_integer()
        limit, ages = (years.value, person.ages) if counts_years else (days.value, person.days)
        if ages.least < limit if is_low else ages.most > limit:
            return False
    return True


def _age(age: Quantity, unit: str) -> Amount | None:
    value = number(age)
    found = None if value is None else amount(value, unit_of(age), unit)
    return None if isinstance(found, Note) else found
