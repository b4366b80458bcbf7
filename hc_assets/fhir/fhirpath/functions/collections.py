"""FHIRPath functions on whole collections: existence, subsets, set operations, navigation.

Belongs here: what each function gives for its input and arguments, as tables that the compiler
looks names up in. Functions whose argument is a criterion for each item belong to
`criteria.py`.
"""

from collections.abc import Callable, Mapping

from hc_assets.fhir.fhirpath.equality import raw
from hc_assets.fhir.fhirpath.errors import EvaluationError, UndecidableError
from hc_assets.fhir.fhirpath.kept import (
    combined,
    distinct,
    excluded,
    intersected,
    is_distinct,
    keys_of,
    united,
)
from hc_assets.fhir.fhirpath.model import Collection, Node, Scope, TypeView
from hc_assets.fhir.fhirpath.singletons import (
    Function,
    integer_of,
    limited,
    single,
    text_of,
    truth_of,
)
from hc_assets.fhir.r4.rules.narrative import has_content, narrative_fault

_TEXT_TYPES = frozenset({"canonical", "uri", "url", "string", ""})


def _empty(_: Scope, items: Collection) -> bool:
    return not items


def _not(_: Scope, items: Collection) -> bool | None:
    value = truth_of(items)
    return None if value is None else not value


def _has_value(_: Scope, items: Collection) -> bool:
    if len(items) != 1:
        return False
    value = raw(items[0])
    return value is not None and not isinstance(value, dict | list)


def _booleans(items: Collection) -> list[bool]:
    values = [raw(item) for item in items]
    if not all(isinstance(value, bool) for value in values):
        raise EvaluationError("a value that is no boolean where booleans are expected")
    return values


def _subset_of(_: Scope, items: Collection, other: Collection) -> bool:
    return keys_of(items).keys() <= keys_of(other).keys()


def _superset_of(_: Scope, items: Collection, other: Collection) -> bool:
    return keys_of(items).keys() >= keys_of(other).keys()


def _single(_: Scope, items: Collection) -> Collection:
    item = single(items)
    return [] if item is None else [item]


def _skip(_: Scope, items: Collection, count: Collection) -> Collection:
    number = integer_of(count)
    return [] if number is None else items[max(number, 0) :]


def _take(_: Scope, items: Collection, count: Collection) -> Collection:
    number = integer_of(count)
    return [] if number is None else items[: max(number, 0)]


def _get_value(_: Scope, items: Collection) -> Collection:
    if len(items) != 1:
        return []
    value = raw(items[0])
    return [] if value is None or isinstance(value, dict | list) else [value]


def _resolve(scope: Scope, items: Collection) -> Collection:
    found: Collection = []
    for item in items:
        value = raw(item)
        if isinstance(value, dict):
            value = value.get("reference")
        elif isinstance(item, Node) and item.type_name not in _TEXT_TYPES:
            continue
        resource = scope.environment.resolve(value) if isinstance(value, str) else None
        if resource is not None:
            found.append(resource)
    return found


def _member_of(scope: Scope, items: Collection, value_set: Collection) -> bool | None:
    item, url = single(items), text_of(value_set)
    if item is None or url is None:
        return None
    ask = scope.environment.member_of
    answer = None if ask is None else ask(item, url)
    if answer is None:
        raise UndecidableError("membership in a value set that isn't at hand")
    return answer


def _conforms_to(scope: Scope, items: Collection, profile: Collection) -> bool | None:
    item, url = single(items), text_of(profile)
    if not isinstance(item, Node) or url is None:
        return None
    ask = scope.environment.conforms_to
    answer = None if ask is None else ask(item, url)
    if answer is None:
        raise UndecidableError("conformance to a profile that isn't at hand")
    return answer


def _html_checks(_: Scope, items: Collection) -> bool:
    value = raw(items[0]) if len(items) == 1 else None
    return isinstance(value, str) and narrative_fault(value) is None


def _html_checks_2(_: Scope, items: Collection) -> bool:
    value = raw(items[0]) if len(items) == 1 else None
    return isinstance(value, str) and has_content(value)


# Functions that give true, false or nothing (None).
TESTS: Mapping[str, Function] = {
    "empty": Function(0, 0, _empty),
    "not": Function(0, 0, _not),
    "hasValue": Function(0, 0, _has_value),
    "allTrue": Function(0, 0, lambda _, items: all(_booleans(items))),
    "anyTrue": Function(0, 0, lambda _, items: any(_booleans(items))),
    "allFalse": Function(0, 0, lambda _, items: not any(_booleans(items))),
    "anyFalse": Function(0, 0, lambda _, items: not all(_booleans(items))),
    "subsetOf": Function(1, 1, _subset_of),
    "supersetOf": Function(1, 1, _superset_of),
    "isDistinct": Function(0, 0, lambda _, items: is_distinct(items)),
    "memberOf": Function(1, 1, _member_of),
    "conformsTo": Function(1, 1, _conforms_to),
    "htmlChecks": Function(0, 0, _html_checks),
    "htmlChecks2": Function(0, 0, _html_checks_2),
}

# Functions that give a collection.
VALUES: Mapping[str, Function] = {
    "count": Function(0, 0, lambda _, items: [len(items)]),
    "first": Function(0, 0, lambda _, items: items[:1]),
    "last": Function(0, 0, lambda _, items: items[-1:]),
    "tail": Function(0, 0, lambda _, items: items[1:]),
    "single": Function(0, 0, _single),
    "skip": Function(1, 1, _skip),
    "take": Function(1, 1, _take),
    "distinct": Function(0, 0, lambda _, items: distinct(items)),
    "combine": Function(1, 1, lambda _, items, other: limited(combined(items, other))),
    "union": Function(1, 1, lambda _, items, other: united(items, other)),
    "intersect": Function(1, 1, lambda _, items, other: intersected(items, other)),
    "exclude": Function(1, 1, lambda _, items, other: excluded(items, other)),
    "getValue": Function(0, 0, _get_value),
    "resolve": Function(0, 0, _resolve),
}


def navigation(types: TypeView) -> dict[str, Function]:
    """Functions that walk the tree of elements, for the types that they are to know.

    Args:
        types: the types that give members of JSON objects theirs.
    """

    def children(_: Scope, items: Collection) -> Collection:
        return [child for item in items if isinstance(item, Node) for child in types.children(item)]

    def descendants(_: Scope, items: Collection) -> Collection:
        return [*types.descendants(items)]

    def extension(_: Scope, items: Collection, url: Collection) -> Collection:
        wanted = text_of(url)
        return [
            found
            for name in ("extension", "modifierExtension")
            for found in types.step(items, name)
            if isinstance(found, Node)
            and isinstance(found.value, dict)
            and found.value.get("url") == wanted
        ]

    walk: dict[str, Callable[..., Collection]] = {
        "children": children,
        "descendants": descendants,
    }
    functions = {name: Function(0, 0, apply) for name, apply in walk.items()}
    return functions | {"extension": Function(1, 1, extension)}


def navigation_tests(types: TypeView) -> dict[str, Function]:
    """Functions of the same kind that give true or false."""
    extension = navigation(types)["extension"].apply
    return {"hasExtension": Function(1, 1, lambda *given: bool(extension(*given)))}
