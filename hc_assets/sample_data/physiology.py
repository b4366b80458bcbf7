"""Values that fit a person's age, sex and diseases.

Belongs here: the arithmetic from a state of health to numbers. Which visits ask for which numbers
is in `histories.py`.
"""

import random
from collections.abc import Set
from decimal import Decimal
from itertools import pairwise
from typing import NamedTuple

from hc_assets.sample_data.analytes import ANALYTES

GLUCOSE_MG_DL_PER_MMOL_L = Decimal("18.016")  # molar mass 180.16 g/mol

# Median height (cm) and weight (kg) by age in years, rounded from the CDC growth charts of 2000,
# both sexes together.
_GROWTH = ((2, 87, 12.5), (5, 108, 18), (8, 128, 26), (11, 143, 36), (14, 162, 50), (18, 170, 63))


class Body(NamedTuple):
    """What of a grown person's body stays: height in cm, body mass index, LDL in mg/dL."""

    height_cm: float
    bmi: float
    ldl: float


def grown_body(gender: str, draw: random.Random) -> Body:
    """Draw a grown person's body."""
    height = draw.gauss(162, 6) if gender == "female" else draw.gauss(176, 7)
    return Body(height, min(max(draw.gauss(27.5, 4.5), 18.6), 44), draw.gauss(112, 20))


def vital_signs(
    age: float, body: Body, diseases: Set[str], *, fever: bool, draw: random.Random
) -> dict[str, Decimal]:
    """Draw vital signs.

    Args:
        age: years.
        body: the grown person's body; below 18 years the growth chart counts instead.
        diseases: keys of what the person has by now.
        fever: whether an infection raises the temperature.
        draw: where chance comes from.

    Returns:
        Values by key of `ANALYTES`, with the digits that are printed; systolic above diastolic.
    """
    height, weight = _growth(age) if age < 18 else (body.height_cm, _weight(body))
    systolic = (
        (104 + 0.24 * min(age, 80) + 18 * ("hypertension" in diseases) + draw.gauss(0, 6))
        if age >= 18
        else 92 + age + draw.gauss(0, 5)
    )
    diastolic = min(0.42 * systolic + 22 + draw.gauss(0, 4), systolic - 20)
    height_cm = _printed("height", height)
    weight_kg = _printed("weight", weight * draw.gauss(1, 0.012))
    return {
        "systolic": _printed("systolic", systolic),
        "diastolic": _printed("diastolic", diastolic),
        "heart_rate": _printed("heart_rate", draw.gauss(72, 7) + 14 * fever),
        "respiratory_rate": _printed("respiratory_rate", draw.gauss(15, 1.3) + 3 * fever),
        "temperature": _printed(
            "temperature", draw.gauss(36.7, 0.2) + draw.uniform(0.9, 2) * fever
        ),
        "height": height_cm,
        "weight": weight_kg,
        "bmi": _printed("bmi", float(weight_kg) / (float(height_cm) / 100) ** 2),
    }


def laboratory(
    age: float, gender: str, body: Body, diseases: Set[str], draw: random.Random
) -> dict[str, Decimal]:
    """Draw laboratory values of a fasting adult.

    HbA1c sets glucose by the ADAG line, 28.7 HbA1c - 46.7 mg/dL (Nathan 2008); creatinine is the
    one that gives the drawn filtration rate by CKD-EPI 2021; total cholesterol is that of
    Friedewald's formula.

    Returns:
        Values by key of `ANALYTES`, with the digits that are printed.
    """
    hba1c = draw.gauss(7.4, 0.7) if "diabetes" in diseases else draw.gauss(5.25, 0.22)
    glucose = _printed("glucose", max(28.7 * hba1c - 46.7 + draw.gauss(0, 5), 62))
    kidneys = "kidney_disease" in diseases
    target_rate = draw.uniform(34, 56) if kidneys else max(draw.gauss(118 - 0.5 * age, 7), 62)
    creatinine = _printed("creatinine", _creatinine(target_rate, age, gender))
    ldl = body.ldl + 38 * ("hyperlipidemia" in diseases) + draw.gauss(0, 9)
    hdl = draw.gauss(57 if gender == "female" else 48, 5) - 6 * ("diabetes" in diseases)
    triglycerides = max(draw.gauss(120, 22) + 45 * ("diabetes" in diseases), 45)
    hemoglobin = draw.gauss(13.6 if gender == "female" else 15.3, 0.5)
    values = {
        "hba1c": hba1c,
        "egfr": filtration_rate(float(creatinine), age, gender),
        "sodium": draw.gauss(140, 1.7),
        "potassium": draw.gauss(4.2, 0.25) + 0.5 * kidneys,
        "ldl": max(ldl, 48),
        "hdl": max(hdl, 27),
        "triglycerides": triglycerides,
        "cholesterol": max(ldl, 48) + max(hdl, 27) + triglycerides / 5,
        "hemoglobin": hemoglobin - 3.1 * ("anemia" in diseases),
        "leukocytes": max(draw.gauss(6.8, 1.2), 3.1),
        "platelets": max(draw.gauss(255, 42), 120),
    }
    printed = {name: _printed(name, value) for name, value in values.items()}
    glucose_si = _printed("glucose_si", float(glucose / GLUCOSE_MG_DL_PER_MMOL_L))
    return printed | {"glucose": glucose, "glucose_si": glucose_si, "creatinine": creatinine}


def filtration_rate(creatinine_mg_dl: float, age: float, gender: str) -> float:
    """Estimate the glomerular filtration rate by CKD-EPI 2021 (Inker, NEJM 385:1737).

    Args:
        creatinine_mg_dl: serum creatinine, above 0.
        age: years, an adult's.
        gender: `female` or `male`.

    Returns:
        mL/min per 1.73 m².
    """
    kappa, alpha, factor = (0.7, -0.241, 1.012) if gender == "female" else (0.9, -0.302, 1.0)
    ratio = creatinine_mg_dl / kappa
    return float(142 * min(ratio, 1) ** alpha * max(ratio, 1) ** -1.2 * 0.9938**age * factor)


def _creatinine(rate: float, age: float, gender: str) -> float:
    """Creatinine in mg/dL that gives a filtration rate by CKD-EPI 2021."""
    kappa, alpha, factor = (0.7, -0.241, 1.012) if gender == "female" else (0.9, -0.302, 1.0)
    power = rate / (142 * 0.9938**age * factor)
    return float(kappa * power ** (1 / (-1.2 if power < 1 else alpha)))


def _weight(body: Body) -> float:
    return body.bmi * (body.height_cm / 100) ** 2


def _growth(age: float) -> tuple[float, float]:
    for (age0, height0, weight0), (age1, height1, weight1) in pairwise(_GROWTH):
        if age <= age1:
            part = max(age - age0, 0) / (age1 - age0)
            return height0 + part * (height1 - height0), weight0 + part * (weight1 - weight0)
    return float(_GROWTH[-1][1]), float(_GROWTH[-1][2])


def _printed(name: str, value: float) -> Decimal:
    return Decimal(f"{value:.{ANALYTES[name].digits}f}")
