"""Rules on questionnaires: what the condition of an item may ask about.

Belongs here: what R4's text says of `enableWhen` and its invariants don't. Whether a response fits
its questionnaire is not looked at.
"""

from typing import Any, NamedTuple

from hc_assets.fhir.r4.issues import Findings, clipped
from hc_assets.fhir.r4.walker import Visit


class _Item(NamedTuple):
    """An item of a questionnaire, with what stands above it."""

    visit: Visit
    link_id: str
    ancestors: frozenset[str]


def _text(value: dict[str, Any], name: str) -> str:
    found = value.get(name)
    return found if isinstance(found, str) else ""


def _items_of(visits: list[Visit]) -> dict[int, list[_Item]]:
    """The items of each questionnaire, by `id()` of its visit; containers before what they hold."""
    found: dict[int, list[_Item]] = {}
    ancestors: dict[int, frozenset[str]] = {}
    for visit in visits:
        if visit.type_name != "Questionnaire.item" or visit.parent is None:
            continue
        link_id = _text(visit.value, "linkId")
        above = ancestors.get(id(visit.parent), frozenset())
        ancestors[id(visit)] = above | {link_id}
        item = _Item(visit, link_id, above)
        found.setdefault(id(visit.resource), []).append(item)
    return found


def check_questionnaires(visits: list[Visit], findings: Findings) -> None:
    """Check that conditions ask about another question of the questionnaire.

    Args:
        visits: what the walk met.
        findings: takes the issues.
    """
    items = _items_of(visits)
    above: dict[int, dict[str, frozenset[str]]] = {
        resource: {item.link_id: item.ancestors for item in of_one}
        for resource, of_one in items.items()
    }
    links = {id(item.visit): item.link_id for of_one in items.values() for item in of_one}
    for visit in visits:
        if visit.type_name != "Questionnaire.item.enableWhen" or visit.parent is None:
            continue
        question = _text(visit.value, "question")
        if not question:
            continue
        known, own = above.get(id(visit.resource), {}), links.get(id(visit.parent), "")
        path = f"{visit.path}.question"
        if question not in known:
            text = f"{clipped(question)!r} is the linkId of no item"
            findings.error("not-found", path, "enable-when", text)
        elif question == own or own in known[question]:
            text = "found the item itself or one inside it, expected another question"
            findings.error("invalid", path, "enable-when", text)
