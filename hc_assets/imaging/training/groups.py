"""Patients that must stay together: whatever links two of them puts them into one group.

Belongs here: union-find over links. What a link is, is asked for in `plan.py`.
"""

from collections.abc import Iterable


def groups_of(links: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Find the groups that links make, in any order of the links.

    Args:
        links: pairs of members. Memory grows with the members that are linked at all, not with the
            number of links.

    Returns:
        For each member, the least member of its group.
    """
    parents: dict[str, str] = {}

    def root(member: str) -> str:
        top = member
        while parents[top] != top:
            top = parents[top]
        while parents[member] != top:
            parents[member], member = top, parents[member]
        return top

    for one, other in links:
        parents.setdefault(one, one)
        parents.setdefault(other, other)
        low, high = sorted((root(one), root(other)))
        parents[high] = low
    return {member: root(member) for member in parents}
