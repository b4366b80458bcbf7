"""The functions of FHIRPath whose arguments are values, one module a theme.

Belongs here: the tables that the compiler looks names up in. Functions whose argument is a
criterion for each item are in `criteria.py` and `calls.py`.
"""

from hc_assets.fhir.fhirpath.functions import (
    aggregates,
    boundaries,
    collections,
    conversions,
    dates,
    encoding,
    numbers,
    strings,
)
from hc_assets.fhir.fhirpath.model import TypeView
from hc_assets.fhir.fhirpath.singletons import Function


def tests(types: TypeView) -> dict[str, Function]:
    """Functions that give true, false or nothing (None), by name.

    Args:
        types: that members are resolved by.
    """
    return {
        **collections.TESTS,
        **collections.navigation_tests(types),
        **strings.TESTS,
        **conversions.TESTS,
    }


def values(types: TypeView) -> dict[str, Function]:
    """Functions that give a collection, by name.

    Args:
        types: that members are resolved by.
    """
    return {
        **collections.VALUES,
        **collections.navigation(types),
        **strings.VALUES,
        **conversions.VALUES,
        **numbers.VALUES,
        **boundaries.VALUES,
        **encoding.VALUES,
        **dates.VALUES,
        **aggregates.VALUES,
    }
