"""What a patient's demographics say: age, age group, risk factors.

Belongs here: numbers and codes from birth, death and sex. How they become extensions is in
`enricher.py`.
"""

from collections.abc import Iterator
from datetime import date
from functools import lru_cache
from typing import NamedTuple

from hc_assets.fhir.times import Span, day_from, first_and_last_day

# Where a pediatric patient becomes an adult, and an adult an older one: 18 and 65 completed years,
# as the age groups of the FDA (21 CFR 201.57(c)(9)(v), geriatric) and common practice have it.
ADULT_FROM = 18
OLDER_ADULT_FROM = 65
# Completed years of the longest life known (Jeanne Calment, 1875 to 1997, 122 years and 164 days).
# What is older is a date that stands for none: 0001-01-01, 1900-01-01.
LONGEST_LIFE = 122
_CACHED = 16_384


class Ages(NamedTuple):
    """Completed years that somebody can have: least and most."""

    least: int
    most: int


class RiskFactor(NamedTuple):
    """A risk factor that age and sex alone make.

    Attributes:
        code: in our code system.
        display: for people.
        source: who calls it one.
        ages: completed years, from and to.
        sex: HL7 AdministrativeGender; None for everybody.
        of_multiple_birth: whether only twins and the like have it.
    """

    code: str
    display: str
    source: str
    ages: Ages
    sex: str | None = None
    of_multiple_birth: bool = False


_EVER = 200
RISK_FACTORS = (
    RiskFactor(
        "infant",
        "Infant: severe respiratory infection",
        "CDC, People at Increased Risk for Flu Complications; CDC, RSV in Infants and Young"
        " Children",
        Ages(0, 0),
    ),
    RiskFactor(
        "child-under-5",
        "Child below 5 years: complications of influenza",
        "CDC, People at Increased Risk for Flu Complications",
        Ages(0, 4),
    ),
    RiskFactor(
        "multiple-birth-infant",
        "Infant of a multiple birth: preterm birth and its consequences",
        "ACOG Practice Bulletin 231, Multifetal Gestations, 2021",
        Ages(0, 0),
        of_multiple_birth=True,
    ),
    RiskFactor(
        "male-45-or-older",
        "Male of 45 years or more: coronary heart disease",
        "National Cholesterol Education Program, ATP III, 2002, major risk factors",
        Ages(45, _EVER),
        sex="male",
    ),
    RiskFactor(
        "female-55-or-older",
        "Female of 55 years or more: coronary heart disease",
        "National Cholesterol Education Program, ATP III, 2002, major risk factors",
        Ages(55, _EVER),
        sex="female",
    ),
    RiskFactor(
        "adult-65-or-older",
        "Adult of 65 years or more: falls, complications of influenza, adverse drug events",
        "USPSTF, Falls Prevention in Community-Dwelling Older Adults, 2024; CDC, People at"
        " Increased Risk for Flu Complications; AGS Beers Criteria, 2023",
        Ages(65, _EVER),
    ),
)


def age_in_years(born: date, until: date) -> int:
    """Completed years from birth to a day; someone born on 29 February ages on 1 March."""
    return until.year - born.year - ((until.month, until.day) < (born.month, born.day))


@lru_cache(maxsize=_CACHED)
def ages(born: Span, until: str) -> Ages | None:
    """Completed years that somebody can have had at a time.

    Args:
        born: what the date of birth can mean.
        until: date or dateTime; the day that it names counts, whatever its time zone.

    Returns:
        None where it is before birth, as far as that can be known.
    """
    first, last = first_and_last_day(until)
    most = age_in_years(day_from(born.first), last)
    if most < 0:
        return None
    return Ages(max(0, age_in_years(day_from(born.last), first)), most)


def is_plausible_age(found: Ages) -> bool:
    """Whether anybody can be as old as that."""
    return found.least <= LONGEST_LIFE


@lru_cache(maxsize=_CACHED)
def age_in_days(born: Span, until: str) -> Ages | None:
    """Days that somebody can have lived at a time, least and most; as `ages` has it."""
    first, last = first_and_last_day(until)
    most = (last - day_from(born.first)).days
    return None if most < 0 else Ages(max(0, (first - day_from(born.last)).days), most)


def age_group(years: int) -> str:
    """`pediatric` below 18 completed years, `adult` below 65, `older-adult` from there."""
    if years < ADULT_FROM:
        return "pediatric"
    return "adult" if years < OLDER_ADULT_FROM else "older-adult"


def risk_factors(found: Ages, sex: str | None, *, is_multiple_birth: bool) -> Iterator[RiskFactor]:
    """Return the risk factors that somebody certainly has, whatever their age in that range."""
    for factor in RISK_FACTORS:
        if factor.ages.least <= found.least and found.most <= factor.ages.most:
            if factor.sex is not None and factor.sex != sex:
                continue
            if factor.of_multiple_birth and not is_multiple_birth:
                continue
            yield factor
