"""FHIRPath functions that make one value of many: sum, least, greatest, mean.

Belongs here: aggregates without a criterion. `aggregate` itself belongs to `criteria.py`.
"""

from collections.abc import Callable, Mapping

from hc_assets.fhir.fhirpath.arithmetic import added, calculated
from hc_assets.fhir.fhirpath.equality import compare
from hc_assets.fhir.fhirpath.model import Collection, Item, Scope
from hc_assets.fhir.fhirpath.operators import Collect
from hc_assets.fhir.fhirpath.singletons import Function


def _each(item: Item) -> Collect:
    found: Collection = [item]
    return lambda _items, _scope: found


def _sum(scope: Scope, items: Collection) -> Collection:
    return added([_each(item) for item in items])(items, scope) if items else []


def _mean(scope: Scope, items: Collection) -> Collection:
    total = _sum(scope, items)
    if not total:
        return []
    return calculated("/", _each(total[0]), _each(len(items)))(items, scope)


def _extreme(sign: int) -> Callable[[Scope, Collection], Collection]:
    def apply(_: Scope, items: Collection) -> Collection:
        found = items[:1]
        for item in items[1:]:
            order = compare(item, found[0])
            if order is None:
                return []
            if order == sign:
                found = [item]
        return found

    return apply


# Functions that give a collection.
VALUES: Mapping[str, Function] = {
    "sum": Function(0, 0, _sum),
    "avg": Function(0, 0, _mean),
    "min": Function(0, 0, _extreme(-1)),
    "max": Function(0, 0, _extreme(1)),
}
