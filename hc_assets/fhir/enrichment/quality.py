"""How good a valid resource is, beyond being valid: completeness, validity, consistency.

Belongs here: the score and its weights. Which elements matter for a type is a setting; which facts
are judged is in `consistency.py`.
"""

import re
from collections.abc import Iterable, Mapping
from typing import NamedTuple

# Rules that R4 itself marks as best practice (elementdefinition-bestpractice): a resource without
# narrative is no worse as data.
BEST_PRACTICE = frozenset({"dom-6"})
COMPLETENESS_WEIGHT, VALIDITY_WEIGHT, CONSISTENCY_WEIGHT = 0.5, 0.3, 0.2
_COST_OF_A_WARNING = 0.1
_ELEMENT = re.compile(r"[a-z][A-Za-z0-9]*(?:\[x\])?")


class QualityScore(NamedTuple):
    """Scores from 0 to 1; a part is None where the resource gives nothing to judge by."""

    quality_score: float
    completeness: float | None
    validity: float
    consistency: float | None


def score(completeness: float | None, warnings: int, consistency: float | None) -> QualityScore:
    """Weigh the parts.

    Args:
        completeness: share of the elements that matter for the type; None where none are named.
        warnings: how many warnings the validator gave, best practice aside.
        consistency: share of the facts that hold; None where there is none to judge.

    Returns:
        Validity is 1 less a tenth per warning; the score is 0.5 completeness + 0.3 validity + 0.2
        consistency, the weights rescaled over the parts that exist, rounded to six digits.
    """
    validity = max(0.0, 1.0 - _COST_OF_A_WARNING * warnings)
    total, weight = VALIDITY_WEIGHT * validity, VALIDITY_WEIGHT
    if completeness is not None:
        total += COMPLETENESS_WEIGHT * completeness
        weight += COMPLETENESS_WEIGHT
    if consistency is not None:
        total += CONSISTENCY_WEIGHT * consistency
        weight += CONSISTENCY_WEIGHT
    return QualityScore(round(total / weight, 6), completeness, validity, consistency)


class Completeness:
    """Says how much of what matters for its type a resource has."""

    def __init__(self, expected: Mapping[str, Iterable[str]]) -> None:
        """Take the table of elements by type.

        Args:
            expected: FHIR names; `value[x]` is any of that choice, `a|b` is one of them.

        Raises:
            ValueError: an entry is no name of an element.
        """
        self._expected = {
            type_: tuple(_choices(type_, element) for element in elements)
            for type_, elements in expected.items()
        }

    def __call__(self, type_: str, members: Iterable[str]) -> float | None:
        """Return the share of a type's elements that are there, 0 to 1.

        Args:
            type_: of the resource.
            members: names of its JSON members.

        Returns:
            None where the table has no such type, or nothing for it.
        """
        expected = self._expected.get(type_)
        if not expected:
            return None
        members = tuple(members)
        present = sum(any(map(choice.fullmatch, members)) for choice in expected)
        return present / len(expected)


def _choices(type_: str, element: str) -> re.Pattern[str]:
    names = element.split("|")
    for name in names:
        if not _ELEMENT.fullmatch(name):
            raise ValueError(f"elements that matter for {type_}: {element!r} is no element's name")
    return re.compile("|".join(name.replace("[x]", "[A-Z][A-Za-z0-9]*") for name in names))
