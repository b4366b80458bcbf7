"""What enrichment says about a Patient, as extensions.

Belongs here: writing it. What it says is worked out in `demographics.py`.
"""

from functools import lru_cache

from hc_assets.fhir.enrichment.demographics import Ages, age_group, risk_factors
from hc_assets.fhir.enrichment.extensions import AGE, AGE_GROUP, RISK_FACTOR, canonical, extension
from hc_assets.fhir.enrichment.significance.units import UCUM

_CACHED = 16_384


@lru_cache(maxsize=_CACHED)
def age_extensions(base: str, found: Ages) -> tuple[bytes, ...]:
    """Age and, where it is certain, age group."""

    def years(value: int) -> dict[str, object]:
        return {"value": value, "unit": "years", "system": UCUM, "code": "a"}

    if found.least == found.most:
        # No valueAge: that can't be 0 (age-1), as it is before the first birthday.
        age = extension(base, AGE, valueQuantity=years(found.least))
    else:
        range_ = {"low": years(found.least), "high": years(found.most)}
        age = extension(base, AGE, valueRange=range_)
    group = age_group(found.least)
    if group != age_group(found.most):
        return (age,)
    return age, extension(base, AGE_GROUP, valueCode=group)


@lru_cache(maxsize=_CACHED)
def risk_extensions(
    base: str, found: Ages, sex: str | None, is_multiple_birth: bool
) -> tuple[bytes, ...]:
    """Risk factors that follow from age, sex and birth, one extension for each."""
    system = canonical(base, "CodeSystem", RISK_FACTOR)
    return tuple(
        extension(
            base,
            RISK_FACTOR,
            valueCoding={"system": system, "code": factor.code, "display": factor.display},
        )
        for factor in risk_factors(found, sex, is_multiple_birth=is_multiple_birth)
    )
