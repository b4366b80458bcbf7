"""Whether the shape of what a source sends has changed from one batch to the next.

Belongs here: comparing which elements resources of a type have. The counts come from
`fhir/operations/pipeline_metrics.py`.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from hc_assets.core.verdicts import Verdict

# Fewer resources of a type say little of what a source sends.
_ENOUGH_RESOURCES = 20
# Members that most had and none has any more; and members that none had and a good part has.
_USUAL, _SOME = 0.9, 0.1


class Drift(NamedTuple):
    """An element that came or went between two batches."""

    resource_type: str
    element: str
    appeared: bool


def drifts(before: Iterable[Mapping[str, Any]], after: Iterable[Mapping[str, Any]]) -> list[Drift]:
    """Find the elements that came or went.

    Args:
        before: of a batch, for each type and element: resource_type, element, present (how many
            resources have it), resources (of how many).
        after: the same of the next batch.

    Returns:
        By type and name: an element that no resource had and a tenth have now, or that nine tenths
        had and none has now; only for types of which both batches have twenty resources.
    """
    shares = _shares(before), _shares(after)
    found = []
    for type_ in sorted(shares[0].keys() & shares[1].keys()):
        old, new = (each[type_] for each in shares)
        for element in sorted(old.keys() | new.keys()):
            share = old.get(element, 0.0), new.get(element, 0.0)
            if not share[0] and share[1] >= _SOME:
                found.append(Drift(type_, element, appeared=True))
            elif share[0] >= _USUAL and not share[1]:
                found.append(Drift(type_, element, appeared=False))
    return found


def _shares(elements: Iterable[Mapping[str, Any]]) -> dict[str, dict[str, float]]:
    shares: defaultdict[str, dict[str, float]] = defaultdict(dict)
    for each in elements:
        if each["resources"] >= _ENOUGH_RESOURCES:
            shares[each["resource_type"]][each["element"]] = each["present"] / each["resources"]
    return shares


def shape_is_steady(batches: Sequence[Mapping[str, Any]]) -> Verdict:
    """Judge that the latest batch looks like the one before it.

    Args:
        batches: rows of `fhir/pipeline_metrics`, oldest first.

    Returns:
        A verdict whose value counts the elements that came or went.
    """
    if len(batches) < 2:
        return Verdict(True, 0.0, 0.0, "there is no earlier batch to compare with")
    before, after = batches[-2], batches[-1]
    found = drifts(before["elements"], after["elements"])
    listed = ", ".join(
        f"{each.resource_type}.{each.element} {'appeared' if each.appeared else 'vanished'}"
        for each in found
    )
    return Verdict(
        passed=not found,
        value=float(len(found)),
        threshold=0.0,
        explanation=f"{after['batch']} against {before['batch']}: {listed or 'the same shape'}",
    )
