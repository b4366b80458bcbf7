"""Collections that an evaluation asks again and again what is in them, and that remember it.

Belongs here: looking items up and set operations, at a cost that grows with what is new to them and
not with the whole. What makes two items the same is in `equality.py`.
"""

from collections.abc import Callable, Hashable, Mapping
from typing import Optional

from hc_assets.fhir.fhirpath.equality import as_temporal, equal, identity, raw
from hc_assets.fhir.fhirpath.errors import EvaluationError
from hc_assets.fhir.fhirpath.model import Collection, Item, Scope
from hc_assets.fhir.fhirpath.values import Quantity

_FEW = 16


class Kept(list[Item]):
    """A collection with what was found out of it.

    Attributes:
        keys: identities of the items with the index of the first that has it; None if not asked.
        lookup: of its items; None if not asked.
        distinct: it without repetitions; None if not asked.
        joined: the two collections that it was combined from; None for any other.
        places: identities of the items with all their indexes; None if not asked.
    """

    __slots__ = ("distinct", "joined", "keys", "lookup", "places")

    keys: Mapping[Hashable, int] | None
    lookup: Optional["Lookup"]
    distinct: Collection | None
    joined: tuple[Collection, Collection] | None
    places: Mapping[Hashable, list[int]] | None

    @classmethod
    def of(cls, items: Collection) -> "Kept":
        """Keep a collection."""
        if isinstance(items, cls):
            return items
        kept = cls(items)
        kept.keys = kept.lookup = kept.distinct = kept.joined = kept.places = None
        return kept


def keys_of(items: Collection) -> Mapping[Hashable, int]:
    """The identities of the items, each with the index of the first that has it."""
    if isinstance(items, Kept) and items.keys is not None:
        return items.keys
    keys: dict[Hashable, int] = {}
    for index, item in enumerate(items):
        keys.setdefault(identity(item), index)
    if isinstance(items, Kept):
        items.keys = keys
    return keys


def is_distinct(items: Collection) -> bool:
    """Whether no item is there twice."""
    if len(items) < 2:
        return True
    if isinstance(items, Kept) and items.joined is not None:
        left, right = items.joined
        return (
            is_distinct(left)
            and is_distinct(right)
            and keys_of(left).keys().isdisjoint(keys_of(right).keys())
        )
    return len(keys_of(items)) == len(items)


def distinct(items: Collection) -> Collection:
    """The items without repetitions, each where it first stands."""
    if len(items) < 2:
        return items
    if isinstance(items, Kept) and items.distinct is not None:
        return items.distinct
    keys = keys_of(items)
    found = items if len(keys) == len(items) else [items[index] for index in keys.values()]
    if isinstance(items, Kept):
        found = items.distinct = Kept.of(found)
    return found


def combined(items: Collection, other: Collection) -> Collection:
    """All items of both; what is known of a kept one is not asked again."""
    if not (isinstance(items, Kept) or isinstance(other, Kept)):
        return items + other
    result = Kept.of(items + other)
    result.joined = items, other
    return result


def united(items: Collection, other: Collection) -> Collection:
    """All items of both without repetitions."""
    if not isinstance(items, Kept) and len(items) <= _FEW:
        return distinct(items + other)
    base = Kept.of(distinct(items))
    known = keys_of(base)
    fresh: dict[Hashable, Item] = {}
    for item in other:
        key = identity(item)
        if key not in known:
            fresh.setdefault(key, item)
    if not fresh:
        return base
    result = Kept.of([*base, *fresh.values()])
    result.keys = {**known, **dict(zip(fresh, range(len(base), len(result)), strict=True))}
    return result


def intersected(items: Collection, other: Collection) -> Collection:
    """Items that are in both, without repetitions, in the order of the first."""
    if not items or not other:
        return []
    keys = keys_of(other)
    if isinstance(items, Kept):
        places = keys_of(items)
        return [items[at] for at in sorted(places[key] for key in keys if key in places)]
    return distinct([item for item in items if identity(item) in keys])


def excluded(items: Collection, other: Collection) -> Collection:
    """Items that are not in the other, repetitions among them."""
    keys = keys_of(other)
    if not isinstance(items, Kept):
        return [item for item in items if identity(item) not in keys]
    places = _places_of(items)
    gone = sorted(index for key in keys for index in places.get(key, ()))
    rest: Collection = []
    begin = 0
    for index in gone:
        rest += items[begin:index]
        begin = index + 1
    return rest + items[begin:] if gone else items


def _places_of(items: Kept) -> Mapping[Hashable, list[int]]:
    if items.places is None:
        places: dict[Hashable, list[int]] = {}
        for index, item in enumerate(items):
            places.setdefault(identity(item), []).append(index)
        items.places = places
    return items.places


class Lookup:
    """Tells of any item whether some item of a collection equals it (`=`).

    Two strings are equal as such; dates and times as moments; anything else as JSON.
    """

    def __init__(self, items: Collection) -> None:
        """Take in a collection.

        Args:
            items: those that are looked up.
        """
        self._texts: set[str] = set()
        self._moments: set[Hashable] = set()
        self._others: set[Hashable] = set()
        self._malformed: EvaluationError | None = None
        # A quantity of an expression equals those of the data that have its unit.
        self._quantities = [item for item in items if isinstance(item, Quantity)]
        self._all = items
        for item in items:
            value = raw(item)
            if isinstance(value, str):
                self._texts.add(value)
            try:
                moment = as_temporal(item)
            except EvaluationError as error:
                self._malformed = error
                continue
            if moment is not None:
                self._moments.add(moment)
            elif not isinstance(value, str):
                self._others.add(identity(item))

    def has(self, item: Item) -> bool:
        """Whether an item of the collection equals this one.

        Raises:
            EvaluationError: none does, and it or one of the collection is a date that isn't
                written as one.
        """
        if isinstance(item, Quantity) or self._quantities:
            return any(equal(item, other) is True for other in self._all)
        value = raw(item)
        if isinstance(value, str) and value in self._texts:
            return True
        moment = as_temporal(item)
        if moment is None:
            return not isinstance(value, str) and identity(item) in self._others
        if moment in self._moments:
            return True
        if self._malformed is not None:
            raise self._malformed
        return False


def all_in(wanted: Collection, items: Collection) -> bool:
    """Whether each of some items equals some item of a collection."""
    if isinstance(items, Kept):
        lookup = items.lookup
        if lookup is None:
            lookup = items.lookup = Lookup(items)
        return all(map(lookup.has, wanted))
    if len(wanted) > _FEW and len(items) > _FEW:
        return all(map(Lookup(items).has, wanted))
    return all(any(equal(one, other) is True for other in items) for one in wanted)


def asked_once(
    collect: Callable[[Collection, Scope], Collection], constants: frozenset[str], mark: object
) -> Callable[[Collection, Scope], Collection]:
    """A part of an expression that is worked out once, since it depends on constants alone.

    Args:
        collect: the closure that works it out.
        constants: of `resource`, `rootResource` and `context` those that it depends on.
        mark: tells it from other parts.
    """

    def of_context(items: Collection, scope: Scope) -> Collection:
        found: Collection | None = scope.kept.get(mark)
        if found is None:
            found = scope.kept[mark] = Kept.of(collect(items, scope))
        return found

    def of_resources(items: Collection, scope: Scope) -> Collection:
        environment = scope.environment
        resource = id(environment.resource.value) if "resource" in constants else None
        key = mark, resource, id(environment.root_resource.value)
        found: Collection | None = environment.kept.get(key)
        if found is None:
            found = environment.kept[key] = Kept.of(collect(items, scope))
        return found

    return of_context if "context" in constants else of_resources
