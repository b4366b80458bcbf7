"""What is measured: LOINC codes, units and reference ranges.

Belongs here: facts of each measurement. Values come from `physiology.py`; the Observation made of
one is in `observations.py`.
"""

from decimal import Decimal
from typing import NamedTuple

Range = tuple[str | None, str | None]


class Analyte(NamedTuple):
    """A measurement.

    Attributes:
        loinc: LOINC code.
        display: its name.
        unit: as printed.
        ucum: the unit's UCUM code.
        digits: after the decimal point, zeros included.
        category: code of observation-category.
        female: reference range of women, low and high; None where there is no bound.
        male: the same of men.
    """

    loinc: str
    display: str
    unit: str
    ucum: str
    digits: int
    category: str
    female: Range = (None, None)
    male: Range = (None, None)

    def bounds(self, gender: str) -> tuple[Decimal | None, Decimal | None]:
        """Reference range of a sex as decimals, with the digits that are printed."""
        low, high = self.female if gender == "female" else self.male
        return (
            None if low is None else Decimal(low),
            None if high is None else Decimal(high),
        )


def _vital(
    loinc: str, display: str, unit: str, digits: int, range_: Range = (None, None)
) -> Analyte:
    ucum = "mm[Hg]" if unit == "mmHg" else unit
    return Analyte(loinc, display, unit, ucum, digits, "vital-signs", range_, range_)


def _lab(
    loinc: str, display: str, unit: str, digits: int, female: Range, *, male: Range | None = None
) -> Analyte:
    return Analyte(loinc, display, unit, unit, digits, "laboratory", female, male or female)


# Ranges are those of ordinary adult laboratories, near the American Board of Internal Medicine's
# "Laboratory Test Reference Ranges"; they stand in made-up reports and are no advice.
ANALYTES = {
    "systolic": _vital("8480-6", "Systolic Blood Pressure", "mmHg", 0, ("90", "130")),
    "diastolic": _vital("8462-4", "Diastolic Blood Pressure", "mmHg", 0, ("60", "80")),
    "heart_rate": _vital("8867-4", "Heart rate", "/min", 0, ("60", "100")),
    "respiratory_rate": _vital("9279-1", "Respiratory rate", "/min", 0, ("12", "20")),
    "temperature": _vital("8310-5", "Body temperature", "Cel", 1, ("36.1", "37.5")),
    "height": _vital("8302-2", "Body Height", "cm", 1),
    "weight": _vital("29463-7", "Body Weight", "kg", 1),
    "bmi": _vital("39156-5", "Body Mass Index", "kg/m2", 2, ("18.50", "24.99")),
    "glucose": _lab("2339-0", "Glucose [Mass/volume] in Blood", "mg/dL", 0, ("70", "99")),
    "glucose_si": _lab("15074-8", "Glucose [Moles/volume] in Blood", "mmol/L", 2, ("3.90", "5.50")),
    "hba1c": _lab("4548-4", "Hemoglobin A1c/Hemoglobin.total in Blood", "%", 1, ("4.0", "5.6")),
    "creatinine": _lab(
        "2160-0",
        "Creatinine [Mass/volume] in Serum or Plasma",
        "mg/dL",
        2,
        ("0.50", "1.10"),
        male=("0.70", "1.30"),
    ),
    "egfr": _lab(
        "33914-3",
        "Estimated Glomerular Filtration Rate",
        "mL/min/{1.73_m2}",
        0,
        ("60", None),
    ),
    "sodium": _lab(
        "2951-2", "Sodium [Moles/volume] in Serum or Plasma", "mmol/L", 0, ("136", "145")
    ),
    "potassium": _lab(
        "2823-3",
        "Potassium [Moles/volume] in Serum or Plasma",
        "mmol/L",
        1,
        ("3.5", "5.0"),
    ),
    "cholesterol": _lab(
        "2093-3",
        "Cholesterol [Mass/volume] in Serum or Plasma",
        "mg/dL",
        0,
        (None, "200"),
    ),
    "ldl": _lab("18262-6", "Low Density Lipoprotein Cholesterol", "mg/dL", 0, (None, "100")),
    "hdl": _lab(
        "2085-9",
        "High Density Lipoprotein Cholesterol",
        "mg/dL",
        0,
        ("50", None),
        male=("40", None),
    ),
    "triglycerides": _lab("2571-8", "Triglycerides", "mg/dL", 0, (None, "150")),
    "hemoglobin": _lab(
        "718-7",
        "Hemoglobin [Mass/volume] in Blood",
        "g/dL",
        1,
        ("12.0", "16.0"),
        male=("14.0", "18.0"),
    ),
    "leukocytes": _lab(
        "6690-2",
        "Leukocytes [#/volume] in Blood by Automated count",
        "10*3/uL",
        2,
        ("4.00", "11.00"),
    ),
    "platelets": _lab(
        "777-3",
        "Platelets [#/volume] in Blood by Automated count",
        "10*3/uL",
        0,
        ("150", "450"),
    ),
}
PANELS = {
    "metabolic": (
        "51990-0",
        "Basic Metabolic Panel",
        ("glucose", "glucose_si", "creatinine", "egfr", "sodium", "potassium"),
    ),
    "lipids": ("57698-3", "Lipid Panel", ("cholesterol", "triglycerides", "hdl", "ldl")),
    "blood_count": (
        "58410-2",
        "Complete blood count (hemogram) panel - Blood by Automated count",
        ("leukocytes", "hemoglobin", "platelets"),
    ),
}
