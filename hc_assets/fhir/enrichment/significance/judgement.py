"""What a measured value means: HL7 v3 ObservationInterpretation codes, with the reason.

Belongs here: one value against limits. The limits are those of the observation itself, where it
brings any that apply to the patient; else those of `limits.py`. Units are converted by
`units.py`; where that can't be done there is an issue, and no interpretation.
"""

import math
from collections.abc import Iterable
from functools import cache, lru_cache
from typing import NamedTuple

import msgspec

from hc_assets.fhir.enrichment.demographics import Ages
from hc_assets.fhir.enrichment.elements import Concept, Measured, Quantity, Range, ReferenceRange
from hc_assets.fhir.enrichment.extensions import SIGNIFICANCE, extension
from hc_assets.fhir.enrichment.sex_specific_codes import LOINC, SNOMED
from hc_assets.fhir.enrichment.significance.limits import LIMITS_BY_LOINC, LimitsRow
from hc_assets.fhir.enrichment.significance.units import NO_ANALYTE, UCUM, Analyte, conversion

INTERPRETATION = "http://terminology.hl7.org/CodeSystem/v3-ObservationInterpretation"
OWN_RANGE, TABLE, CODED_RESULT = "reference-range", "reference-table", "coded-result"
DISPLAYS = {
    "H": "High",
    "HH": "Critical high",
    "L": "Low",
    "LL": "Critical low",
    "N": "Normal",
    "POS": "Positive",
    "NEG": "Negative",
    "DET": "Detected",
    "ND": "Not detected",
    "IND": "Indeterminate",
    "RR": "Reactive",
    "NR": "Non-reactive",
}
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
# Of an own reference range: HL7 referencerange-meaning, and sexes by either code system.
_NORMAL_MEANING = "normal"
_SEXES = {
    (SNOMED, "248152002"): "female",
    (SNOMED, "248153007"): "male",
    ("http://hl7.org/fhir/administrative-gender", "female"): "female",
    ("http://hl7.org/fhir/administrative-gender", "male"): "male",
    ("http://terminology.hl7.org/CodeSystem/v3-AdministrativeGender", "F"): "female",
    ("http://terminology.hl7.org/CodeSystem/v3-AdministrativeGender", "M"): "male",
}
# A limit that was converted is met by what is as close to it as rounding leaves it.
_ROUNDING = 1e-9
_AT_MOST, _AT_LEAST = frozenset({"<", "<="}), frozenset({">", ">="})


class Person(NamedTuple):
    """Whom a value is of: completed years and days at that time, and sex; None where unknown."""

    ages: Ages | None = None
    sex: str | None = None
    days: Ages | None = None


NOBODY = Person()


class Limits(NamedTuple):
    """What a value is held against, in one unit.

    Attributes:
        low: least normal value.
        high: highest normal value.
        unit: UCUM code; "" where there is none.
        evidence: OWN_RANGE or TABLE.
        source: of the limits, for people.
        critical_low: below it is LL.
        critical_high: above it is HH.
        high_is_normal: whether `high` itself is normal.
        is_ucum: whether `unit` is a code of UCUM, or just text.
    """

    low: float | None
    high: float | None
    unit: str
    evidence: str
    source: str
    critical_low: float | None = None
    critical_high: float | None = None
    high_is_normal: bool = True
    is_ucum: bool = True


class Significance(NamedTuple):
    """An interpretation: its code, and the limits that it rests on (None for a coded result)."""

    code: str
    limits: Limits | None


class NotConvertible(NamedTuple):
    """Why there is no interpretation: a unit that is not that of the limits, nor convertible."""

    found: str
    expected: str


def significance(measured: Measured, person: Person) -> Significance | NotConvertible | None:
    """Interpret a value.

    Args:
        measured: an Observation or a component of one.
        person: whom it is of.

    Returns:
        None where there is nothing to interpret or to hold it against.
    """
    quantity = measured.quantity
    if quantity is None:
        return _coded_result(measured.concept)
    value = _number(quantity)
    if value is None:
        return None
    if measured.reference_range:
        found = _by_own_range(value, quantity, measured.reference_range, person)
        if found is not None:
            return found
    if measured.code is None:
        return None
    for coding in measured.code.coding:
        rows = LIMITS_BY_LOINC.get(coding.code or "") if coding.system == LOINC else None
        if rows is not None:
            return _by_table(value, quantity, rows, person)
    return None


def _coded_result(concept: Concept | None) -> Significance | None:
    for coding in concept.coding if concept is not None else ():
        if coding.system == SNOMED and coding.code in _BY_RESULT:
            return Significance(_BY_RESULT[coding.code], None)
    return None


def _number(quantity: Quantity | None) -> float | None:
    text = bytes(quantity.value) if quantity is not None else b""
    if not text:
        return None
    value = float(text)
    return value if math.isfinite(value) else None


def _by_table(
    value: float, quantity: Quantity, rows: Iterable[LimitsRow], person: Person
) -> Significance | NotConvertible | None:
    for row in rows:
        if _within(person.ages, row.ages) and (row.sex is None or row.sex == person.sex):
            unit = _unit(quantity)
            if row.only_unit and unit != row.unit:
                return NotConvertible(_unit_text(quantity), row.unit)
            converted = _converted(value, quantity, row.unit, row.analyte)
            if converted is None:
                return NotConvertible(_unit_text(quantity), row.unit)
            return _judged(converted, quantity.comparator, _limits_of(row))
    return None


def _within(ages: Ages | None, wanted: tuple[int, int]) -> bool:
    return ages is not None and wanted[0] <= ages.least and ages.most < wanted[1]


@cache
def _limits_of(row: LimitsRow) -> Limits:
    return Limits(
        row.low,
        row.high,
        row.unit,
        TABLE,
        row.source,
        row.critical_low,
        row.critical_high,
        row.high_is_normal,
    )


def _unit(quantity: Quantity) -> str | None:
    """UCUM unit of a quantity; None where it states none.

    A unit that is only text counts as UCUM where it is spelled as that of the limits: see
    `_converted`.
    """
    if quantity.system == UCUM and quantity.code is not None:
        return quantity.code
    return quantity.unit if quantity.system is None else None


def _unit_text(quantity: Quantity) -> str:
    return quantity.code or quantity.unit or "no unit"


def _converted(value: float, quantity: Quantity, unit: str, analyte: Analyte) -> float | None:
    found = _unit(quantity)
    if found == unit:
        return value
    if found is None or quantity.system != UCUM:
        return None  # text that only looks like a unit is no base for a calculation
    known = conversion(found, unit, analyte)
    return None if known is None else known(value)


def _by_own_range(
    value: float, quantity: Quantity, ranges: Iterable[ReferenceRange], person: Person
) -> Significance | NotConvertible | None:
    applicable = [(r, _specificity(r, person)) for r in ranges if r.low or r.high]
    fitting = [(r, how) for r, how in applicable if how is not None]
    if not fitting:
        return None
    # One for this age and sex is more specific than one for everybody.
    chosen = max(fitting, key=lambda pair: pair[1])[0]
    ends = [_end(end, quantity) for end in (chosen.low, chosen.high)]
    for end in ends:
        if isinstance(end, NotConvertible):
            return end
    low, high = (end if isinstance(end, float) else None for end in ends)
    if low is None and high is None:
        return None
    return _judged(
        value,
        quantity.comparator,
        Limits(
            low,
            high,
            _unit(quantity) or "",
            OWN_RANGE,
            "the observation's reference range",
            is_ucum=quantity.system == UCUM,
        ),
    )


def _end(end: Quantity | None, of_value: Quantity) -> float | NotConvertible | None:
    """Return an end of a range in the unit of the value; where it states none, it is that."""
    limit = _number(end)
    if end is None or limit is None:
        return None
    if end.code is None and end.unit is None:
        return limit
    if (end.system, end.code, end.unit) == (of_value.system, of_value.code, of_value.unit):
        return limit
    unit = _unit(of_value)
    converted = _converted(limit, end, unit, NO_ANALYTE) if unit is not None else None
    return NotConvertible(_unit_text(of_value), _unit_text(end)) if converted is None else converted


def _specificity(range_: ReferenceRange, person: Person) -> int | None:
    """How specific a range is about whom it is for; None where that is not this person."""
    specific = 0
    if range_.type is not None and not any(
        coding.code == _NORMAL_MEANING for coding in range_.type.coding
    ):
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
        counts_years = _unit(end) == "a" and years.is_integer()
        limit, ages = (years, person.ages) if counts_years else (days, person.days)
        if ages.least < limit if is_low else ages.most > limit:
            return False
    return True


def _age(age: Quantity, unit: str) -> float | None:
    value = _number(age)
    return None if value is None else _converted(value, age, unit, NO_ANALYTE)


def _judged(value: float, comparator: str | None, limits: Limits) -> Significance | None:
    """Hold a value against limits; None where a comparator leaves it open."""
    code = _code(value, limits)
    if comparator in _AT_MOST:
        # It may be anything below: certain only where nothing below is judged otherwise.
        certain = code in ("L", "LL") or (code == "N" and limits.low is None)
    elif comparator in _AT_LEAST:
        certain = code in ("H", "HH") or (code == "N" and limits.high is None)
    else:
        certain = True
    return Significance(code, limits) if certain else None


def _code(value: float, limits: Limits) -> str:
    if limits.critical_low is not None and _less(value, limits.critical_low):
        return "LL"
    if limits.critical_high is not None and _less(limits.critical_high, value):
        return "HH"
    if limits.low is not None and _less(value, limits.low):
        return "L"
    if limits.high is not None:
        is_above = _less(limits.high, value)
        if is_above or not (limits.high_is_normal or _less(value, limits.high)):
            return "H"
    return "N"


def _less(one: float, other: float) -> bool:
    return one < other and not math.isclose(one, other, rel_tol=_ROUNDING)


@lru_cache(maxsize=4_096)
def significance_extension(base: str, found: Significance) -> bytes:
    """Write an interpretation as an extension.

    Args:
        base: URL that our extensions share.
        found: the interpretation.

    Returns:
        A complex extension: `interpretation` (Coding), `evidence` (code), `interval` (Range: the
        limits between which a value is normal, where there are any) and `reason` (string).
    """
    limits = found.limits
    coding = {"system": INTERPRETATION, "code": found.code, "display": DISPLAYS[found.code]}
    evidence = CODED_RESULT if limits is None else limits.evidence
    parts: list[dict[str, object]] = [
        {"url": "interpretation", "valueCoding": coding},
        {"url": "evidence", "valueCode": evidence},
    ]
    if limits is not None:
        parts.append({"url": "interval", "valueRange": _range(limits)})
    parts.append({"url": "reason", "valueString": _reason(found)})
    return extension(base, SIGNIFICANCE, extension=parts)


def _range(limits: Limits) -> dict[str, object]:
    ends = {"low": limits.low, "high": limits.high}
    unit = {"unit": limits.unit} if limits.unit else {}
    if unit and limits.is_ucum:
        unit |= {"system": UCUM, "code": limits.unit}
    return {
        name: {"value": _plain(value)} | unit for name, value in ends.items() if value is not None
    }


def _plain(value: float) -> msgspec.Raw:
    return msgspec.Raw(f"{value:.12g}".encode())


def _reason(found: Significance) -> str:
    limits = found.limits
    if limits is None:
        return "the value is a code that says so"
    below, above = "below", "above" if limits.high_is_normal else "not below"
    passed = {
        "LL": ("below the critical limit", limits.critical_low),
        "HH": ("above the critical limit", limits.critical_high),
        "L": (f"{below} the lower limit", limits.low),
        "H": (f"{above} the upper limit", limits.high),
    }.get(found.code)
    if passed is None:
        return f"within the limits; {limits.source}"
    words, limit = passed
    unit = f" {limits.unit}" if limits.unit else ""
    return f"{words} of {limit:.12g}{unit}; {limits.source}"
