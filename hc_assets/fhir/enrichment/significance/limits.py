"""What is normal, by LOINC code: vital signs and laboratory tests that everybody orders.

Belongs here: the table, each row with its source. It is what an observation is held against that
brings no reference range of its own. Laboratories differ, so their own ranges always come first.
"""

from collections.abc import Mapping
from typing import NamedTuple

from hc_assets.fhir.enrichment.significance.sources import (
    ABIM,
    ACC_AHA,
    ADA,
    ATP_III,
    CLR,
    CLR_CHILDREN,
    HYPOGLYCEMIA,
    KDIGO,
    KOST,
    MAYO_PRESSURE,
    MAYO_RATE,
    NEWS2,
    NLM_GLUCOSE,
    PALS,
    WHO,
    Source,
    names,
)
from hc_assets.fhir.enrichment.significance.units import NO_ANALYTE, Analyte

# Nobody has lived longer than 122 years.
_FROM_16 = (16, 200)
_ADULT = (18, 200)
_FROM_20 = (20, 200)

# The figures of a source are as it prints them; where it has none for a code, the code has no row.


class LimitsRow(NamedTuple):
    """One row of the table.

    Attributes:
        codes: LOINC codes of the same quantity.
        name: of it.
        unit: UCUM unit of the limits.
        low: least normal value; None where none is too low.
        high: highest normal value; None where none is too high. Both are None where the row says
            what is critical alone.
        sources: of the limits.
        ages: completed years, from and below.
        sex: HL7 AdministrativeGender; None for everybody.
        critical_low: below it is LL.
        critical_high: above it is HH.
        critical: sources of those two; none where they are the same.
        high_is_normal: False where the source says "less than `high`".
        analyte: for conversion between mass, amount and equivalents.
        only_unit: the numbers hold in this unit only: others of the same dimension mean another
            way of measuring.
    """

    codes: tuple[str, ...]
    name: str
    unit: str
    low: float | None
    high: float | None
    sources: tuple[Source, ...]
    ages: tuple[int, int] = _ADULT
    sex: str | None = None
    critical_low: float | None = None
    critical_high: float | None = None
    critical: tuple[Source, ...] = ()
    high_is_normal: bool = True
    analyte: Analyte = NO_ANALYTE
    only_unit: bool = False

    @property
    def source(self) -> str:
        """Names of the sources of what is normal."""
        return names(self.sources)

    @property
    def critical_source(self) -> str:
        """Names of the sources of what is critical; "" where nothing is."""
        if self.critical_low is None and self.critical_high is None:
            return ""
        return names(self.critical or self.sources)


_Row = LimitsRow

# Molar masses in g/mol, from the atomic weights of IUPAC. Urea is reported as its nitrogen,
# phosphate as phosphorus, triglycerides as triolein, hemoglobin as its monomer (IFCC).
GLUCOSE = Analyte(180.156)
CHOLESTEROL = Analyte(386.65)
TRIGLYCERIDES = Analyte(885.43)
CREATININE = Analyte(113.12)
UREA_NITROGEN = Analyte(28.014)
CALCIUM = Analyte(40.078, valence=2)
MAGNESIUM = Analyte(24.305, valence=2)
PHOSPHORUS = Analyte(30.974)
BILIRUBIN = Analyte(584.66)
HEMOGLOBIN = Analyte(16114.5)
ALBUMIN = Analyte(66438.0)
SODIUM = Analyte(22.990, valence=1)
POTASSIUM = Analyte(39.098, valence=1)
CHLORIDE = Analyte(35.45, valence=1)
BICARBONATE = Analyte(61.017, valence=1)

_GLUCOSE_FASTING = ("1558-6", "14771-0")
_GLUCOSE = ("2345-7", "2339-0", "41653-7", "14749-6", "15074-8")
_SODIUM = ("2951-2", "2947-0")
_POTASSIUM = ("2823-3", "6298-4")
_CARBON_DIOXIDE = ("2028-9", "20565-8")
_CALCIUM = ("17861-6", "49765-1", "2000-8")
_MAGNESIUM = ("19123-9", "2601-3")
_SYSTOLIC = ("8480-6",)
_DIASTOLIC = ("8462-4",)
_HEART_RATE = ("8867-4",)
_RESPIRATORY_RATE = ("9279-1",)
_TEMPERATURE = ("8310-5", "8331-1")
_SATURATION = ("2708-6", "59408-5")


def _pediatric(
    codes: tuple[str, ...], name: str, limits: Mapping[tuple[int, int], tuple[int, int]]
) -> tuple[LimitsRow, ...]:
    return tuple(
        _Row(codes, name, "/min", low, high, (PALS,), ages) for ages, (low, high) in limits.items()
    )


_VITAL_SIGNS = (
    _Row(_SYSTOLIC, "Systolic blood pressure", "mm[Hg]", 90, 130, (ACC_AHA, MAYO_PRESSURE),
         critical_high=180, critical=(ACC_AHA,), high_is_normal=False),
    _Row(_DIASTOLIC, "Diastolic blood pressure", "mm[Hg]", 60, 80, (ACC_AHA, MAYO_PRESSURE),
         critical_high=120, critical=(ACC_AHA,), high_is_normal=False),
    _Row(_HEART_RATE, "Heart rate", "/min", 60, 100, (MAYO_RATE,), _FROM_16,
         critical_low=41, critical_high=130, critical=(NEWS2,)),
    *_pediatric(_HEART_RATE, "Heart rate", {
        # Of neonates (100 to 205) and infants (100 to 190) the wider: ages are in whole years.
        (0, 1): (100, 205), (1, 3): (98, 140), (3, 6): (80, 120), (6, 12): (75, 118),
        (12, 16): (60, 100)}),
    _Row(_RESPIRATORY_RATE, "Respiratory rate", "/min", 12, 20, (NEWS2,), _FROM_16,
         critical_low=9, critical_high=24),
    *_pediatric(_RESPIRATORY_RATE, "Respiratory rate", {
        (0, 1): (30, 53), (1, 3): (22, 37), (3, 6): (20, 28), (6, 12): (18, 25),
        (12, 16): (12, 20)}),
    _Row(_TEMPERATURE, "Body temperature", "Cel", 36.1, 38.0, (NEWS2,), _FROM_16,
         critical_low=35.1),
    _Row(_SATURATION, "Oxygen saturation", "%", 96, None, (NEWS2,), _FROM_16, critical_low=92),
    _Row(("39156-5",), "Body mass index", "kg/m2", 18.5, 25, (WHO,), _FROM_20,
         high_is_normal=False),
)  # fmt: skip

_CHEMISTRY = (
    _Row(_GLUCOSE_FASTING, "Glucose, fasting", "mg/dL", 70, 99, (ADA, ABIM),
         critical_low=54, critical_high=484, critical=(HYPOGLYCEMIA, KOST), analyte=GLUCOSE),
    _Row(_GLUCOSE, "Glucose", "mg/dL", 70, 125,
         (HYPOGLYCEMIA, NLM_GLUCOSE),
         critical_low=54, critical_high=484, critical=(HYPOGLYCEMIA, KOST), analyte=GLUCOSE),
    _Row(("1518-0",), "Glucose, 2 hours after 75 g", "mg/dL", None, 140, (ADA,),
         critical_high=484, critical=(KOST,), high_is_normal=False, analyte=GLUCOSE),
    _Row(_SODIUM, "Sodium", "mmol/L", 136, 145, (ABIM,),
         critical_low=120, critical_high=158, critical=(KOST,), analyte=SODIUM),
    _Row(_POTASSIUM, "Potassium", "mmol/L", 3.5, 5.0, (ABIM,),
         critical_low=2.8, critical_high=6.2, critical=(KOST,), analyte=POTASSIUM),
    _Row(("2075-0", "2069-3"), "Chloride", "mmol/L", 98, 106, (ABIM,),
         critical_low=75, critical_high=126, critical=(CLR,), analyte=CHLORIDE),
    _Row(_CARBON_DIOXIDE, "Carbon dioxide, total", "mmol/L", 23, 30, (ABIM,),
         critical_low=11, critical_high=40, critical=(CLR,), analyte=BICARBONATE),
    _Row(("1963-8",), "Bicarbonate", "mmol/L", 23, 28, (ABIM,), analyte=BICARBONATE),
    _Row(_CALCIUM, "Calcium", "mg/dL", 8.6, 10.2, (ABIM,),
         critical_low=6.6, critical_high=12.9, critical=(KOST,), analyte=CALCIUM),
    _Row(_MAGNESIUM, "Magnesium", "mg/dL", 1.6, 2.6, (ABIM,),
         critical_low=1.0, critical_high=4.9, critical=(CLR,), analyte=MAGNESIUM),
    _Row(("2777-1", "14879-1"), "Phosphate", "mg/dL", 3.0, 4.5, (ABIM,),
         critical_low=1.2, critical_high=8.9, critical=(CLR,), analyte=PHOSPHORUS),
    _Row(("3094-0", "6299-2", "14937-7"), "Urea nitrogen", "mg/dL", 8, 20, (ABIM,),
         critical_high=104, critical=(CLR,), analyte=UREA_NITROGEN),
    _Row(("2160-0", "38483-4", "14682-9"), "Creatinine", "mg/dL", 0.7, 1.3, (ABIM,), sex="male",
         critical_high=7.4, critical=(CLR,), analyte=CREATININE),
    _Row(("2160-0", "38483-4", "14682-9"), "Creatinine", "mg/dL", 0.5, 1.1, (ABIM,), sex="female",
         critical_high=7.4, critical=(CLR,), analyte=CREATININE),
    _Row(("33914-3", "48642-3", "62238-1", "98979-8"), "Glomerular filtration rate",
         "mL/min/{1.73_m2}", 60, None, (KDIGO,), critical_low=15),
    _Row(("1751-7",), "Albumin", "g/dL", 3.5, 5.5, (ABIM,), analyte=ALBUMIN),
    _Row(("2885-2",), "Protein, total", "g/dL", 5.5, 9.0, (ABIM,)),
    _Row(("1975-2", "14631-6"), "Bilirubin, total", "mg/dL", 0.3, 1.0, (ABIM,),
         critical_high=15, critical=(CLR,), analyte=BILIRUBIN),
    _Row(("6768-6",), "Alkaline phosphatase", "U/L", 30, 120, (ABIM,)),
    _Row(("1742-6",), "Alanine aminotransferase", "U/L", 10, 40, (ABIM,)),
    _Row(("1920-8",), "Aspartate aminotransferase", "U/L", 10, 40, (ABIM,)),
    _Row(("4548-4",), "Hemoglobin A1c (NGSP)", "%", 4.0, 5.7, (ADA, ABIM),
         high_is_normal=False, only_unit=True),
    _Row(("59261-8",), "Hemoglobin A1c (IFCC)", "mmol/mol", None, 39, (ADA,), high_is_normal=False,
         only_unit=True),
    _Row(("2093-3", "14647-2"), "Cholesterol, total", "mg/dL", None, 200, (ATP_III,), _FROM_20,
         high_is_normal=False, analyte=CHOLESTEROL),
    _Row(("18262-6", "13457-7", "2089-1", "39469-2"), "LDL cholesterol", "mg/dL", None, 130,
         (ATP_III,), _FROM_20, high_is_normal=False, analyte=CHOLESTEROL),
    _Row(("2085-9", "14646-4"), "HDL cholesterol", "mg/dL", 40, None, (ATP_III,), _FROM_20,
         analyte=CHOLESTEROL),
    _Row(("2571-8", "14927-8"), "Triglycerides", "mg/dL", None, 150, (ATP_III,), _FROM_20,
         high_is_normal=False, analyte=TRIGLYCERIDES),
    _Row(("3016-3",), "Thyrotropin", "m[IU]/L", 0.5, 4.0, (ABIM,)),
)  # fmt: skip

_HEMATOLOGY = (
    _Row(("718-7", "59260-0"), "Hemoglobin", "g/dL", 14, 18, (ABIM,), sex="male",
         critical_low=6.6, critical_high=19.9, critical=(KOST,), analyte=HEMOGLOBIN),
    _Row(("718-7", "59260-0"), "Hemoglobin", "g/dL", 12, 16, (ABIM,), sex="female",
         critical_low=6.6, critical_high=19.9, critical=(KOST,), analyte=HEMOGLOBIN),
    _Row(("4544-3", "20570-8"), "Hematocrit", "%", 42, 50, (ABIM,), sex="male",
         critical_low=18, critical_high=61, critical=(KOST,)),
    _Row(("4544-3", "20570-8"), "Hematocrit", "%", 37, 47, (ABIM,), sex="female",
         critical_low=18, critical_high=61, critical=(KOST,)),
    _Row(("6690-2", "26464-8"), "Leukocytes", "10*3/uL", 4.0, 11.0, (ABIM,),
         critical_low=2.0, critical_high=37.0, critical=(KOST,)),
    _Row(("777-3", "26515-7"), "Platelets", "10*3/uL", 150, 450, (ABIM,),
         critical_low=37, critical_high=910, critical=(KOST,)),
    _Row(("787-2",), "Mean corpuscular volume", "fL", 80, 98, (ABIM,)),
    _Row(("785-6",), "Mean corpuscular hemoglobin", "pg", 28, 32, (ABIM,)),
    _Row(("786-4",), "Mean corpuscular hemoglobin concentration", "g/dL", 33, 36, (ABIM,)),
)  # fmt: skip

# What is critical for children; what is normal, their laboratory alone says. Not for infants, since
# newborns have limits of their own.
_CHILDREN = tuple(
    _Row(codes, name, "mmol/L", None, None, (), (1, 18),
         critical_low=low, critical_high=high, critical=(CLR_CHILDREN,), analyte=analyte)
    for codes, name, low, high, analyte in (
        (_GLUCOSE_FASTING, "Glucose, fasting", 2.6, 24.7, GLUCOSE),
        (_GLUCOSE, "Glucose", 2.6, 24.7, GLUCOSE),
        (_SODIUM, "Sodium", 121, 156, SODIUM),
        (_POTASSIUM, "Potassium", 2.8, 6.4, POTASSIUM),
        (_CARBON_DIOXIDE, "Carbon dioxide, total", 11, 39, BICARBONATE),
        (_CALCIUM, "Calcium", 1.62, 3.17, CALCIUM),
        (_MAGNESIUM, "Magnesium", 0.45, 1.77, MAGNESIUM),
    )
)  # fmt: skip

LIMITS = (*_VITAL_SIGNS, *_CHEMISTRY, *_CHILDREN, *_HEMATOLOGY)


def _by_code() -> Mapping[str, tuple[LimitsRow, ...]]:
    rows: dict[str, tuple[LimitsRow, ...]] = {}
    for row in LIMITS:
        for code in row.codes:
            rows[code] = (*rows.get(code, ()), row)
    return rows


LIMITS_BY_LOINC = _by_code()
