"""What a value can be at all, in anybody alive: beyond it something went wrong.

Belongs here: the table of bounds by LOINC code, each with where it comes from, and what no quantity
of a dimension can be. A bound is far outside of what is critical: the worst that was survived, what
arithmetic allows, or what data sets of intensive care take for an error of measurement.
"""

from collections.abc import Mapping
from functools import lru_cache
from typing import NamedTuple

from hc_assets.fhir.enrichment.elements import Quantity
from hc_assets.fhir.enrichment.significance.limits import (
    ALBUMIN,
    BICARBONATE,
    BILIRUBIN,
    CALCIUM,
    CHLORIDE,
    CHOLESTEROL,
    CREATININE,
    GLUCOSE,
    HEMOGLOBIN,
    MAGNESIUM,
    PHOSPHORUS,
    POTASSIUM,
    SODIUM,
    TRIGLYCERIDES,
    UREA_NITROGEN,
)
from hc_assets.fhir.enrichment.significance.notes import Note, implausible
from hc_assets.fhir.enrichment.significance.quantities import (
    AT_LEAST,
    AT_MOST,
    Unit,
    amount,
    less,
    unit_of,
)
from hc_assets.fhir.enrichment.significance.unit_texts import readings
from hc_assets.fhir.enrichment.significance.units import (
    NO_ANALYTE,
    UCUM,
    Analyte,
    Dimension,
    dimension,
)

_OURS, _MIMIC = "ours", "MIMIC-Extract"
_SHARE = "arithmetic: a share of a whole"
_THRICE, _WIDER = f"{_OURS}: thrice the normal", f"{_OURS}: wider than {_MIMIC}"
_PRESSURE = "more than 480/350 in a leg press (MacDougall)"


class Bounds(NamedTuple):
    """What the value of a code can be.

    Attributes:
        codes: LOINC codes of the same quantity.
        name: of it.
        unit: UCUM unit of the bounds.
        low: least possible value.
        high: highest possible value.
        source: of the bounds, or why they are ours.
        analyte: for conversion between mass, amount and equivalents.
    """

    codes: tuple[str, ...]
    name: str
    unit: str
    low: float
    high: float
    source: str
    analyte: Analyte = NO_ANALYTE

    def hold(self, value: float, quantity: Quantity) -> bool:
        """Whether a value is at a glance well within them."""
        return (
            self.low < value < self.high and quantity.code == self.unit and quantity.system == UCUM
        )


_B = Bounds

BOUNDS = (
    _B(("8310-5", "8331-1", "8332-9", "8333-7", "8328-7"), "body temperature", "Cel", 10, 47,
       "survived: 11.8 and 46.5 Cel (Guinness)"),
    _B(("8867-4", "8889-8", "8893-0", "40443-4"), "heart rate", "/min", 1, 480,
       f"{_OURS}: a heart that stands still has no rate; a ventricle hardly conducts more"),
    _B(("9279-1",), "respiratory rate", "/min", 0, 330, _MIMIC),
    _B(("2708-6", "59408-5", "20564-1", "2711-0"), "oxygen saturation", "%", 0, 100, _SHARE),
    _B(("3150-6",), "share of oxygen breathed in", "%", 0, 100, _SHARE),
    _B(("8480-6", "8459-0", "8460-8", "8461-6"), "systolic blood pressure", "mm[Hg]", 0, 500,
       _PRESSURE),
    _B(("8462-4", "8453-3", "8454-1", "8455-8"), "diastolic blood pressure", "mm[Hg]", 0, 400,
       _PRESSURE),
    _B(("8478-0",), "mean blood pressure", "mm[Hg]", 0, 450, f"{_OURS}: between those two"),
    _B(("8302-2", "3137-7", "3138-5", "8306-3"), "body height", "cm", 15, 275,
       "tallest person known, 272 cm (Guinness); low: ours, a newborn of 22 weeks"),
    _B(("29463-7", "3141-9", "3142-7", "8335-2", "8341-0"), "body weight", "kg", 0.2, 700,
       f"{_OURS}: a newborn of 22 weeks, and more than the heaviest people known"),
    _B(("8339-4",), "birth weight", "kg", 0.2, 15, f"{_OURS}: as of weight, at birth"),
    _B(("9843-4", "8287-5"), "head circumference", "cm", 10, 120, f"{_OURS}: a head"),
    _B(("39156-5",), "body mass index", "kg/m2", 4, 300, f"{_OURS}: of height and weight"),
    _B(("30525-0", "21612-7", "29553-5", "63900-5"), "age", "a", 0, 123,
       "longest life known (Guinness)"),
    _B(("2345-7", "2339-0", "41653-7", "14749-6", "15074-8", "1558-6", "14771-0", "1518-0"),
       "glucose", "mg/dL", 0, 6000,
       "survived: 5600 mg/dL (Soni)", GLUCOSE),
    _B(("2951-2", "2947-0"), "sodium", "mmol/L", 50, 250, _MIMIC, SODIUM),
    _B(("2823-3", "6298-4"), "potassium", "mmol/L", 0.5, 15, f"{_MIMIC}; low: ours", POTASSIUM),
    _B(("2075-0", "2069-3"), "chloride", "mmol/L", 30, 200, f"{_MIMIC}; low: ours", CHLORIDE),
    _B(("2028-9", "20565-8", "1963-8", "1960-4", "1959-6"), "bicarbonate or carbon dioxide",
       "mmol/L", 0, 100, _WIDER, BICARBONATE),
    _B(("17861-6", "49765-1", "2000-8"), "calcium", "mg/dL", 1, 40,
       f"{_OURS}: three times what is critical", CALCIUM),
    _B(("19123-9", "2601-3"), "magnesium", "mg/dL", 0, 50,
       f"{_OURS}: ten times what is critical", MAGNESIUM),
    _B(("2777-1", "14879-1"), "phosphate", "mg/dL", 0, 100,
       f"{_OURS}: ten times what is critical", PHOSPHORUS),
    _B(("3094-0", "6299-2", "14937-7"), "urea nitrogen", "mg/dL", 0, 500,
       _WIDER, UREA_NITROGEN),
    _B(("2160-0", "38483-4", "14682-9"), "creatinine", "mg/dL", 0, 150,
       _WIDER, CREATININE),
    _B(("33914-3", "48642-3", "62238-1", "98979-8"), "glomerular filtration rate",
       "mL/min/{1.73_m2}", 0, 500, f"{_OURS}: more than twice what equations give at most"),
    _B(("1751-7",), "albumin", "g/dL", 0, 15, _THRICE, ALBUMIN),
    _B(("2885-2",), "protein", "g/dL", 0, 30, _THRICE),
    _B(("1975-2", "14631-6"), "bilirubin", "mg/dL", 0, 100, _WIDER, BILIRUBIN),
    _B(("2093-3", "14647-2", "18262-6", "13457-7", "2089-1", "39469-2", "2085-9", "14646-4"),
       "cholesterol", "mg/dL", 0, 3000, f"{_OURS}: ten times what is high", CHOLESTEROL),
    _B(("2571-8", "14927-8"), "triglycerides", "mg/dL", 0, 50_000,
       f"{_OURS}: serum that is fat by half", TRIGLYCERIDES),
    _B(("4548-4",), "hemoglobin A1c", "%", 1, 30, f"{_MIMIC}; low: ours"),
    _B(("59261-8",), "hemoglobin A1c", "mmol/mol", 0, 310, f"{_OURS}: the same in IFCC's unit"),
    _B(("718-7", "59260-0"), "hemoglobin", "g/dL", 0.3, 30, f"{_MIMIC}; low: ours", HEMOGLOBIN),
    _B(("4544-3", "20570-8"), "hematocrit", "%", 1, 100, f"{_SHARE}; low: ours"),
    _B(("6690-2", "26464-8"), "count of leukocytes", "10*3/uL", 0, 3000, _WIDER),
    _B(("777-3", "26515-7"), "count of platelets", "10*3/uL", 0, 20_000, _WIDER),
    _B(("789-8", "26453-1"), "count of erythrocytes", "10*6/uL", 0, 20, _THRICE),
    _B(("787-2", "30428-7"), "volume of erythrocytes", "fL", 20, 300, _THRICE),
    _B(("785-6",), "hemoglobin of erythrocytes", "pg", 3, 100, _THRICE),
    _B(("786-4",), "hemoglobin of erythrocytes", "g/dL", 5, 80, f"{_OURS}: twice the normal"),
    _B(("770-8", "736-9", "5905-5", "713-8", "706-2"), "share of leukocytes", "%", 0, 100, _SHARE),
)  # fmt: skip

# What no quantity of a dimension can be below, whatever it is of. Not concentrations of mass or
# amount: a base excess, an anion gap and a gradient can be negative.
_NOT_NEGATIVE: Mapping[Dimension, str] = {
    frozenset({("[length]", -3)}): "count in a volume",
    frozenset({("[substance]", 1), ("[time]", -1), ("[length]", -3)}): "activity in a volume",
    frozenset({("[time]", -1)}): "rate",
}
_TEMPERATURE: Dimension = frozenset({("[temperature]", 1)})
_ABSOLUTE_ZERO = -273.15


def _by_code() -> Mapping[str, Bounds]:
    return {code: bounds for bounds in BOUNDS for code in bounds.codes}


BOUNDS_BY_LOINC = _by_code()


def not_plausible(value: float, quantity: Quantity, bounds: Bounds | None) -> Note | None:
    """Return a note where a value can't be.

    Args:
        value: of the quantity.
        quantity: with its unit and comparator.
        bounds: of its code, if it has any.

    Returns:
        None where it can be, or where its unit is not known well enough to say so. Where it is of
        another dimension than the bounds, the note says that.
    """
    unit, comparator = unit_of(quantity), quantity.comparator
    if bounds is not None:
        found = amount(value, unit, bounds.unit, bounds.analyte)
        if isinstance(found, Note):
            if value < 0 and comparator not in AT_LEAST:
                return implausible(bounds.name, "at least 0, in any unit")
            return found if unit.code is not None or unit.text is not None else None
        if _is_outside(found.value, comparator, bounds.low, bounds.high):
            expected = f"{bounds.low:g} to {bounds.high:g} {bounds.unit}"
            return implausible(bounds.name, expected)
    elif value < 0 and comparator not in AT_LEAST:
        what = _not_negative(unit)
        if what is not None:
            return implausible(what, "at least 0")
        if _is_too_cold(value, unit):
            return implausible("temperature", "more than absolute zero")
    return None


def _is_outside(value: float, comparator: str | None, low: float, high: float) -> bool:
    is_low, is_high = less(value, low), less(high, value)
    if comparator in AT_MOST:
        return is_low or (comparator == "<" and value == low)
    if comparator in AT_LEAST:
        return is_high or (comparator == ">" and value == high)
    return is_low or is_high


@lru_cache(maxsize=1_024)
def _not_negative(unit: Unit) -> str | None:
    """What a unit measures that can't be negative; None where it can."""
    codes = (unit.code,) if unit.code is not None else readings(unit.text or "")
    found = (_NOT_NEGATIVE.get(dimension(code) or frozenset()) for code in codes)
    return next((what for what in found if what is not None), None)


def _is_too_cold(value: float, unit: Unit) -> bool:
    if unit.code is None or dimension(unit.code) != _TEMPERATURE:
        return False
    found = amount(value, unit, "Cel")
    return not isinstance(found, Note) and less(found.value, _ABSOLUTE_ZERO)
