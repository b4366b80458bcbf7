"""A file or line that holds others becomes what it holds, at any depth: Bundles and Parameters.

Belongs here: going in, in which order, and the row that stands for what was taken apart where it
is wrong as a whole. How one of them is split is in `splitting.py`, what is wrong with it in
`envelopes.py`.
"""

from collections.abc import Callable, Iterator

import msgspec

from hc_assets.core.fence import InternalError, fenced
from hc_assets.fhir.bundles.entries import Entry
from hc_assets.fhir.bundles.envelopes import reduced
from hc_assets.fhir.bundles.not_data import data_only
from hc_assets.fhir.bundles.splitting import held_by_bundle, held_by_parameters
from hc_assets.fhir.r4.issues import Issue

# JSON is read to a depth of 128, and each Bundle in another is three levels deeper.
MAX_NESTED = 42

NOTHING_WHOLE: frozenset[str] = frozenset()
Judge = Callable[[bytes], list[Issue]]
"""Finds what is wrong with a Bundle or Parameters beside what is wrong with each resource in it."""

_ERRORS = frozenset({"fatal", "error"})


def unpacked(
    whole: Entry, kept_whole: frozenset[str] = NOTHING_WHOLE, judge: Judge | None = None
) -> Iterator[Entry]:
    """Take a document or line apart.

    Args:
        whole: it. What is neither a Bundle nor Parameters is given as it is.
        kept_whole: values of Bundle.type that are not taken apart.
        judge: of what is taken apart; None gives no entry for it.

    Yields:
        What it holds, in order, counted on from its own position. Behind what a Bundle or
        Parameters hold stands an entry for these themselves where the judge finds an error: with
        every issue, and in place of each resource what rules on the whole look at.
    """
    first = whole.position
    for position, entry in enumerate(_held(whole, kept_whole, judge, 0), start=first):
        here = f"Bundle.entry[{position - first}]"
        # Its position says it
        is_plain = not entry.issues and entry.place in (here, f"{here}.resource")
        place = None if is_plain else entry.place
        yield msgspec.structs.replace(entry, position=position, place=place)


def is_taken_apart(resource_type: str | None) -> bool:
    """Whether resources of a type are taken apart."""
    return resource_type in ("Bundle", "Parameters")


def _held(
    whole: Entry, kept_whole: frozenset[str], judge: Judge | None, depth: int
) -> Iterator[Entry]:
    if whole.problem or whole.not_data or not is_taken_apart(whole.resource_type):
        yield data_only(whole)
        return
    if depth > MAX_NESTED:
        problem = f"a {whole.resource_type} more than {MAX_NESTED} deep in others"
        yield msgspec.structs.replace(whole, problem=problem)
        return
    if whole.resource_type == "Bundle":
        found = held_by_bundle(whole, kept_whole)
    else:
        found = held_by_parameters(whole)
    if found[0].resource is whole.resource:
        yield from found
        return
    for entry in found:
        yield from _held(entry, kept_whole, judge, depth + 1)
    if judge is not None:
        refused = [f"Bundle.entry[{number}]" for number, each in enumerate(found) if each.problem]
        yield from as_a_whole(whole.resource or b"", judge, lambda: whole, tuple(refused))


def as_a_whole(
    data: bytes, judge: Judge, whole: Callable[[], Entry], refused: tuple[str, ...] = ()
) -> Iterator[Entry]:
    """Give the entry that stands for a Bundle or Parameters; none where it has no error of its own.

    Args:
        data: it.
        judge: of it.
        whole: makes its entry, where one is needed.
        refused: places of entries that have a problem: errors there alone are theirs.
    """
    issues = fenced(judge, data)
    if isinstance(issues, InternalError):
        yield msgspec.structs.replace(whole(), resource=reduced(data), problem=issues.text)
    elif any(
        issue.severity in _ERRORS and not issue.expression.startswith(refused) for issue in issues
    ):
        yield msgspec.structs.replace(whole(), resource=reduced(data), issues=tuple(issues))
