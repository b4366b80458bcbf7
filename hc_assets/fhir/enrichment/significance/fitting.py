"""Which row of the table of limits is for a person, and what would have to be known to say so.

Belongs here: choosing by age and sex. The rows are in `limits.py`; how a value is held against one
is in `judgement.py`.
"""

from collections.abc import Iterable
from functools import lru_cache
from typing import NamedTuple

from hc_assets.fhir.enrichment.demographics import Ages
from hc_assets.fhir.enrichment.significance.limits import LIMITS_BY_LOINC, LimitsRow
from hc_assets.fhir.enrichment.significance.own_ranges import AGE, KNOWN_SEXES, SEX

_CACHED = 4_096
_NONE: frozenset[str] = frozenset()


class Fitting(NamedTuple):
    """What the table says of a code for a person.

    Attributes:
        row: that holds for the person; None where none does.
        normal: whether its normal limits do; where the sex isn't known those for either alone.
        missing: what of the person, `age` or `sex`, would have to be known to say what is normal
            or critical; none where the table has nothing for anybody of that age.
        missing_of_critical: the same, to say what is critical.
    """

    row: LimitsRow | None = None
    normal: bool = False
    missing: frozenset[str] = _NONE
    missing_of_critical: frozenset[str] = _NONE


@lru_cache(maxsize=_CACHED)
def fitting(code: str, ages: Ages | None, sex: str | None) -> Fitting:
    """Choose the row of a code for a person.

    Args:
        code: of LOINC.
        ages: completed years that the person can have; None where that isn't known.
        sex: HL7 AdministrativeGender; anything but male and female counts as not known.
    """
    rows = LIMITS_BY_LOINC.get(code, ())
    of_age = [row for row in rows if _are_within(ages, row.ages)]
    for row in of_age:
        if row.sex is None or row.sex == sex:
            return Fitting(row, normal=True)
    possible = of_age or [row for row in rows if _may_be_within(ages, row.ages)]
    missing = _NONE if of_age or not possible else frozenset({AGE})
    critical = {(row.critical_low, row.critical_high) for row in possible}
    is_normal_by_sex = any(row.sex for row in possible)
    return Fitting(
        of_age[0] if of_age and len(critical) == 1 and critical != {(None, None)} else None,
        missing=missing | _of_sex(sex, is_normal_by_sex),
        missing_of_critical=_NONE
        if critical <= {(None, None)}
        else missing | _of_sex(sex, _differs_by_sex(possible)),
    )


def _of_sex(sex: str | None, does_depend: bool) -> frozenset[str]:
    return frozenset({SEX}) if does_depend and sex not in KNOWN_SEXES else _NONE


def _differs_by_sex(rows: Iterable[LimitsRow]) -> bool:
    """Whether what is critical is another thing for the sexes at any age."""
    of_ages: dict[tuple[int, int], set[tuple[float | None, float | None]]] = {}
    for row in rows:
        of_ages.setdefault(row.ages, set()).add((row.critical_low, row.critical_high))
    return any(len(critical) > 1 for critical in of_ages.values())


def _are_within(ages: Ages | None, wanted: tuple[int, int]) -> bool:
    return ages is not None and wanted[0] <= ages.least and ages.most < wanted[1]


def _may_be_within(ages: Ages | None, wanted: tuple[int, int]) -> bool:
    return ages is None or (wanted[0] <= ages.most and ages.least < wanted[1])
