"""Routes woven into one walk over a resource: what it doesn't have costs nothing.

Belongs here: the walk. Where routes come from is in `paths.py`.
"""

from collections.abc import Callable, Iterable
from typing import Any

from hc_assets.fhir.search.paths import Hop, Test
from hc_assets.fhir.search.values import Value

# What a walk finds: names of parameters with values.
Found = list[tuple[str, Value]]
Walk = Callable[[Any, Found, Any], None]
Convert = Callable[[Any, Any], Iterable[Value]]


class Branch:
    """What is done with the values at one place: converted, tested, stepped into."""

    def __init__(self) -> None:
        """A place that nothing asks for yet."""
        self._leaves: dict[Convert, list[str]] = {}
        self._below: dict[Hop, Branch] = {}

    def add(self, hops: tuple[Hop, ...], convert: Convert, code: str) -> None:
        """Have the values at the end of some hops become values of a parameter."""
        branch = self
        for hop in hops:
            branch = branch._below.setdefault(hop, Branch())
        codes = branch._leaves.setdefault(convert, [])
        if code not in codes:
            codes.append(code)

    def walk(self) -> Walk:
        """The function that does all of it with a value of JSON that is no list."""
        leaves = [(convert, tuple(codes)) for convert, codes in self._leaves.items()]
        members = {hop: each.walk() for hop, each in self._below.items() if isinstance(hop, str)}
        tests = [
            (hop, each.walk()) for hop, each in self._below.items() if not isinstance(hop, str)
        ]
        if not members and not tests and len(leaves) == 1:
            return _leaf(*leaves[0])
        if not leaves and not tests and len(members) == 1:
            return _step(*next(iter(members.items())))
        return _any(leaves, members, tests)


def _leaf(convert: Convert, codes: tuple[str, ...]) -> Walk:
    if len(codes) == 1:
        only = codes[0]

        def one(value: Any, found: Found, root: Any) -> None:
            for each in convert(value, root):
                found.append((only, each))

        return one

    def many(value: Any, found: Found, root: Any) -> None:
        for each in convert(value, root):
            for code in codes:
                found.append((code, each))

    return many


def _step(member: str, below: Walk) -> Walk:
    def run(value: Any, found: Found, root: Any) -> None:
        inner = value.get(member)
        if type(inner) is list:
            for each in inner:
                if each is not None:
                    below(each, found, root)
        elif inner is not None:
            below(inner, found, root)

    return run


def _any(
    leaves: list[tuple[Convert, tuple[str, ...]]],
    members: dict[str, Walk],
    tests: list[tuple[Test, Walk]],
) -> Walk:
    walks = [_leaf(*leaf) for leaf in leaves]

    def run(value: Any, found: Found, root: Any) -> None:
        for walk in walks:
            walk(value, found, root)
        for test, walk in tests:
            if test(value, root):
                walk(value, found, root)
        if members:
            for member, inner in value.items():
                below = members.get(member)
                if below is None or inner is None:
                    continue
                if type(inner) is list:
                    for each in inner:
                        if each is not None:
                            below(each, found, root)
                else:
                    below(inner, found, root)

    return run
