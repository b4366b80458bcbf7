"""Checks that the fast path's structs run once they are decoded: what annotations can't say.

Belongs here: choices, texts, bindings and invariants as functions of a struct. The structs
belong to `decoders.py`, the invariants themselves to `natives.py`.
"""

import keyword
import re
from collections.abc import Callable
from functools import cache
from operator import attrgetter
from typing import Any

from msgspec import UNSET

from hc_assets.fhir.r4.bindings import allows_coding
from hc_assets.fhir.r4.definitions import Element, Invariant, TypeDefinition, r4
from hc_assets.fhir.r4.natives import Holds, native

Check = Callable[[Any], None]

_MEMORY_SIZE = 4096

# Invariants that `fast_path.py` checks on the resource as a whole, or that hold by construction:
# elements without content aren't decodable (ele-1), extensions are checked below (ext-1).
_CHECKED_ELSEWHERE = frozenset(
    {"dom-2", "dom-3", "dom-4", "dom-5", "dom-6", "ele-1", "ext-1", "ref-1", "txt-1", "txt-2"}
    | {"bdl-7", "bdl-9", "bdl-10", "bdl-11", "bdl-12"}
)


class RefusedError(ValueError):
    """The fast path can't tell that a value is valid; msgspec turns it into a ValidationError."""


def attribute(member: str) -> str:
    """The struct's attribute for a JSON member; Python's keywords get an underscore."""
    return f"{member}_" if keyword.iskeyword(member) else member


class _Memory:
    """Remembers texts that match a pattern: systems, codes and references come again and again."""

    def __init__(self, pattern: str) -> None:
        self.good: set[str] = set()
        self._match = re.compile(pattern).match

    def learns(self, text: str) -> bool:
        """Whether a text matches; if so it is remembered, for a while."""
        if self._match(text) is None:
            return False
        if len(self.good) >= _MEMORY_SIZE:
            self.good.clear()
        self.good.add(text)
        return True


_memory = cache(_Memory)


_Part = tuple[Callable[[Any], Any], set[str], Callable[[str], bool]]


def _parts(patterns: dict[str, str]) -> tuple[_Part, ...]:
    """For each attribute how to get it, the texts known to match, and how to learn of more."""
    memories = {name: _memory(pattern) for name, pattern in patterns.items()}
    return tuple((attrgetter(name), m.good, m.learns) for name, m in memories.items())


def text_check(patterns: dict[str, str]) -> Check:
    """A check that string attributes match their patterns.

    msgspec can hold strings to patterns itself, but asks the pattern anew for each value, at three
    times the cost of a look into a set.

    Args:
        patterns: by attribute a pattern that is anchored at its end; `match` anchors the start.
    """
    parts = _parts(patterns)
    if len(parts) == 1:
        ((get, good, learns),) = parts

        def check_one(struct: Any) -> None:
            text = get(struct)
            if text and text not in good and not learns(text):
                raise RefusedError("pattern")

        return check_one
    if len(parts) == 2:  # such as system and code: not worth a loop
        (get, good, learns), (get_other, good_other, learns_other) = parts

        def check_two(struct: Any) -> None:
            text = get(struct)
            if text and text not in good and not learns(text):
                raise RefusedError("pattern")
            text = get_other(struct)
            if text and text not in good_other and not learns_other(text):
                raise RefusedError("pattern")

        return check_two

    def check(struct: Any) -> None:
        for get, good, learns in parts:
            text = get(struct)
            if text and text not in good and not learns(text):
                raise RefusedError("pattern")

    return check


def reference_check(pattern: str) -> Check:
    """A check of the form of a reference, and that its type is the one that it names.

    Args:
        pattern: what `reference` has to match.
    """
    memory = _memory(pattern)
    good, learns = memory.good, memory.learns

    def check(struct: Any) -> None:
        text = struct.reference
        if text:
            if text not in good and not learns(text):
                raise RefusedError("reference")
            named = struct.type
            if named and not text.startswith(("#", "urn:")):
                parts = text.split("/")
                if len(parts) < 2 or parts[-2] != named:
                    raise RefusedError("reference-type")

    return check


def _choice_check(element: Element, members: list[str]) -> Check:
    get = attrgetter(*members)
    most_absent, least_absent = len(members) - element.min, len(members) - 1

    def check(struct: Any) -> None:
        if not least_absent <= get(struct).count(UNSET) <= most_absent:
            raise RefusedError(element.name)

    return check


def _concept_allowed(value_set: str, concept: Any) -> bool:
    return any(
        allows_coding(value_set, coding.system, coding.code) for coding in concept.coding or ()
    )


def _binding_check(element: Element) -> Check | None:
    """The check of a binding that the annotation can't hold; None where there is nothing to do."""
    if element.binding is None:
        return None
    url, may_lack_codes = element.binding.value_set, element.binding.is_maximum
    get = attrgetter(attribute(element.name))
    if element.types[0].code != "CodeableConcept":
        return None

    def check(struct: Any) -> None:
        values = get(struct)
        if values is not UNSET and not all(
            (may_lack_codes and not value.coding) or _concept_allowed(url, value)
            for value in (values if element.is_list else (values,))
        ):
            raise RefusedError(element.name)

    return check


def _never(_: Any) -> bool:
    return False


def rules_of(invariants: list[Invariant]) -> tuple[Holds, ...]:
    """The native forms of invariants; where one has none, a rule that never holds."""
    rules = [native(rule.key, rule.expression) for rule in invariants]
    holding = tuple(rule for rule in rules if rule is not None)
    return holding if len(holding) == len(rules) else (_never,)


def invariants_of(definition: TypeDefinition) -> list[Invariant]:
    """The invariants of a type, its bases and its elements that its struct has to check."""
    found = [rule for base in r4().bases(definition.name) for rule in r4().type(base).invariants]
    for element in definition.elements:
        found.extend(element.invariants)
    return [rule for rule in found if rule.key not in _CHECKED_ELSEWHERE]


def checks_of(elements: tuple[Element, ...]) -> list[Check]:
    """What the struct of a type checks after decoding, beside texts and invariants."""
    checks: list[Check | None] = []
    for element in elements:
        members = [attribute(member) for member, _ in element.members()]
        if element.is_choice and len(members) > 1:
            checks.append(_choice_check(element, members))
        checks.append(_binding_check(element))
    return [check for check in checks if check is not None]


def post_init(
    patterns: dict[str, str], checks: list[Check], rules: tuple[Holds, ...]
) -> Check | None:
    """All that a struct checks as one `__post_init__`; None where there is nothing.

    Args:
        patterns: see `text_check`.
        checks: functions that raise `RefusedError`.
        rules: functions that tell whether an invariant holds.
    """
    if not checks and not rules:
        return text_check(patterns) if patterns else None
    if len(checks) == 1 and not rules and not patterns:
        return checks[0]
    parts = _parts(patterns)
    in_order = tuple(checks)

    def run(struct: Any) -> None:
        for get, good, learns in parts:
            text = get(struct)
            if text and text not in good and not learns(text):
                raise RefusedError("pattern")
        for check in in_order:
            check(struct)
        for holds in rules:
            if not holds(struct):
                raise RefusedError("invariant")

    return run
