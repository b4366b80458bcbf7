"""The reference ranges that an observation brings: which are for this patient, and what they say.

Belongs here: choosing among them, and their ends in the unit of the value. A range counts where it
is one of normal values and where patient and age are those that it names; of several the most
specific count. What can't be used is noted, and nothing takes its place. One that is only text
counts where it can be read (`range_texts.py`), and is as good as absent where it can't.
"""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from hc_assets.fhir.enrichment.demographics import Ages
from hc_assets.fhir.enrichment.elements import Quantity, Range, ReferenceRange
from hc_assets.fhir.enrichment.sex_specific_codes import SNOMED
from hc_assets.fhir.enrichment.significance.interpretation_texts import code_of_text
from hc_assets.fhir.enrichment.significance.interpretations import is_result
from hc_assets.fhir.enrichment.significance.notes import REVERSED, Note, by_text
from hc_assets.fhir.enrichment.significance.quantities import (
    Amount,
    Unit,
    amount,
    less,
    name_of,
    number,
    relation,
    unit_of,
)
from hc_assets.fhir.enrichment.significance.range_texts import TextRange, range_of, without_label
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


# What of a patient limits depend on, and the sexes of which anything is known.
AGE, SEX = "age", "sex"
KNOWN_SEXES = frozenset({"female", "male"})


class Person(NamedTuple):
    """Whom a value is of: completed years and days at that time, and sex; None where unknown."""

    ages: Ages | None = None
    sex: str | None = None
    days: Ages | None = None


NOBODY = Person()


class Ends(NamedTuple):
    """The ends of a range in the unit of the value.

    Attributes:
        low: None where there is none.
        high: the same.
        low_is_normal: whether `low` itself is normal.
        high_is_normal: whether `high` itself is.
        is_by_text: whether they were read from a text.
    """

    low: float | None
    high: float | None
    low_is_normal: bool = True
    high_is_normal: bool = True
    is_by_text: bool = False


class OwnRanges(NamedTuple):
    """What the ranges of an observation come to.

    Attributes:
        are_for_patient: whether any is, usable or not: then no table says what is normal.
        usable: the most specific ones, without what can't be used.
        notes: what can't be used, and why.
        missing: what of the patient would have to be known, `age` or `sex`, to say whether those
            are for this one that there are; none where any is.
    """

    are_for_patient: bool
    usable: tuple[Ends, ...]
    notes: tuple[Note, ...]
    missing: frozenset[str] = frozenset()


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
    readable: list[tuple[ReferenceRange, _OfText | None]] = []
    for each in ranges:
        if each.low or each.high:
            readable.append((each, None))
        elif each.text is not None and (read := _by_text(each.text, quantity, analyte)) is not None:
            readable.append((each, read))
    chosen = _most_specific([each for each, _ in readable], person)
    notes: list[Note] = []
    usable = []
    for number_ in chosen.numbers:
        range_, read = readable[number_]
        ends = _ends(range_, quantity, analyte, notes) if read is None else _checked(read, notes)
        if ends is not None:
            usable.append(ends)
    if not usable and not notes:
        return NO_RANGES._replace(missing=chosen.missing)  # none, or ends without a number
    return OwnRanges(True, tuple(usable), tuple(dict.fromkeys(notes)))


class ExpectedResult(NamedTuple):
    """The result that is normal, as an HL7 code (`NEG`); None where the ranges name none, or two.

    Attributes:
        code: of it.
        missing: as `OwnRanges` has it.
    """

    code: str | None
    missing: frozenset[str] = frozenset()


def expected_result(ranges: Iterable[ReferenceRange], person: Person) -> ExpectedResult:
    """Find the result that is normal where ranges name one: `negative`.

    Args:
        ranges: of the observation, or of the component.
        person: whom the result is of.
    """
    named = [
        (each, code)
        for each in ranges
        if each.text is not None and not (each.low or each.high)
        if (code := code_of_text(without_label(each.text))) is not None and is_result(code)
    ]
    chosen = _most_specific([each for each, _ in named], person)
    codes = {named[number_][1] for number_ in chosen.numbers}
    return ExpectedResult(codes.pop() if len(codes) == 1 else None, chosen.missing)


class _Chosen(NamedTuple):
    """Places of the most specific ranges for a person, and what is not known of that person."""

    numbers: tuple[int, ...]
    missing: frozenset[str]


def _most_specific(ranges: Sequence[ReferenceRange], person: Person) -> _Chosen:
    """Choose: one for this age and sex is more specific than one for everybody."""
    fits = [_fit(each, person) for each in ranges]
    specific = [fit.specificity for fit in fits if fit.applies and not fit.missing]
    if not specific:
        return _Chosen((), frozenset().union(*(fit.missing for fit in fits if fit.applies)))
    numbers = (
        number_
        for number_, fit in enumerate(fits)
        if fit.applies and not fit.missing and fit.specificity == max(specific)
    )
    return _Chosen(tuple(numbers), frozenset())


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
    return _in_order(Ends(low, high), notes)


def _in_order(ends: Ends, notes: list[Note]) -> Ends | None:
    if ends.low is not None and ends.high is not None and less(ends.high, ends.low):
        notes.append(REVERSED)
        return None
    return ends


class _OfText(NamedTuple):
    """Ends that a text states, and what is to be noted of the value's unit."""

    ends: Ends
    note: Note | None


def _checked(read: _OfText, notes: list[Note]) -> Ends | None:
    if read.note is not None:
        notes.append(read.note)
    return _in_order(read.ends, notes)


def _by_text(text: str, quantity: Quantity, analyte: Analyte) -> _OfText | None:
    """Ends that a text states, in the unit of the value; None where it may mean anything else."""
    read = range_of(text)
    if read is None:
        return None
    wanted = unit_of(quantity)
    if not read.unit or read.unit in (quantity.code, quantity.unit):
        value = number(quantity)
        if read.may_be_grouped and (value is None or value.is_integer()):
            return None  # a value with decimals has a range with decimals; of others who knows?
        is_by_text = read.unit and wanted.code is None
        return _OfText(_ends_of(read), by_text(name_of(wanted)) if is_by_text else None)
    stated = Unit(None, read.unit)
    there, back = relation(wanted, stated, analyte), relation(stated, wanted, analyte)
    if read.may_be_grouped or isinstance(there, Note) or isinstance(back, Note):
        return None
    ends = _ends_of(read)
    low, high = (None if end is None else back.conversion(end) for end in (ends.low, ends.high))
    note = by_text(there.source) if there.source != wanted.code else None
    return _OfText(ends._replace(low=low, high=high), note)


def _ends_of(read: TextRange) -> Ends:
    low, high = read.low, read.high
    return Ends(
        low.value if low is not None else None,
        high.value if high is not None else None,
        low is None or low.is_within,
        high is None or high.is_within,
        is_by_text=True,
    )


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


class _Fit(NamedTuple):
    """Whether a range may be for a person, how specific it is, and what isn't known of them."""

    applies: bool
    specificity: int = 0
    missing: frozenset[str] = frozenset()


_OF_OTHERS = _Fit(applies=False)


def _fit(range_: ReferenceRange, person: Person) -> _Fit:
    missing: set[str] = set()
    specific = 0
    if range_.type is not None:
        is_normal = any(coding.code == _NORMAL_MEANING for coding in range_.type.coding)
        named = not range_.type.coding and (range_.type.text or "").strip().lower()
        if not is_normal and named not in _NORMAL_TEXTS:
            return _OF_OTHERS
    for group in range_.applies_to:
        sexes = {_SEXES.get((c.system or "", c.code or "")) for c in group.coding} - {None}
        if not sexes:
            return _OF_OTHERS  # a group that can't be known from here
        if person.sex not in KNOWN_SEXES:
            missing.add(SEX)
        elif person.sex not in sexes:
            return _OF_OTHERS
        specific += 1
    if range_.age is not None:
        in_age = _in_age(range_.age, person)
        if in_age is False:
            return _OF_OTHERS
        if in_age is None:
            missing.add(AGE)
        specific += 1
    return _Fit(True, specific, frozenset(missing))


def _in_age(range_: Range, person: Person) -> bool | None:
    """Whether a person is of an age; None where that isn't known, or not well enough."""
    is_known = True
    for end, is_low in ((range_.low, True), (range_.high, False)):
        if end is None:
            continue
        years, days = _age(end, "a"), _age(end, "d")
        if years is None or days is None:
            return False
        # A whole number of years counts as completed: "up to 17 a" ends on the 18th birthday.
        counts_years = years.code == "a" and years.value.is_integer()
        limit, ages = (years.value, person.ages) if counts_years else (days.value, person.days)
        if ages is None:
            is_known = False
        elif ages.most < limit if is_low else ages.least > limit:
            return False
        elif ages.least < limit if is_low else ages.most > limit:
            is_known = False
    return True if is_known else None


def _age(age: Quantity, unit: str) -> Amount | None:
    value = number(age)
    found = None if value is None else amount(value, unit_of(age), unit)
    return None if isinstance(found, Note) else found
