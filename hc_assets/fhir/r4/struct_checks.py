"""Checks that the fast path's structs run once they are decoded: what annotations can't say.

Belongs here: choices, decimals, bindings and invariants as functions of a struct. The structs
belong to `decoders.py`, the invariants themselves to `natives.py`.
"""

import keyword
from collections.abc import Callable
from operator import attrgetter
from typing import Any

from msgspec import UNSET

from hc_assets.fhir.r4.bindings import allows_coding
from hc_assets.fhir.r4.definitions import Element, Invariant, TypeDefinition, r4
from hc_assets.fhir.r4.natives import native

Check = Callable[[Any], None]

# Longer numbers are left to the thorough path, which has a limit of its own.
_MAX_DECIMAL_BYTES = 40
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


def _choice_check(element: Element, members: list[str]) -> Check:
    get = attrgetter(*members)
    most_absent, least_absent = len(members) - element.min, len(members) - 1

    def check(struct: Any) -> None:
        if not least_absent <= get(struct).count(UNSET) <= most_absent:
            raise RefusedError(element.name)

    return check


def decimal_check(members: list[str]) -> Check:
    """A check that decimal members, which are decoded as raw text, hold numbers."""
    getters = [attrgetter(attribute(member)) for member in members]

    def check(struct: Any) -> None:
        for get in getters:
            value = get(struct)
            if value is not UNSET:
                text = bytes(value)
                # The value is valid JSON, so its first byte tells a number from all else.
                if text[0] not in b"-0123456789" or len(text) > _MAX_DECIMAL_BYTES:
                    raise RefusedError(members[0])

    return check


def _concept_allowed(value_set: str, concept: Any) -> bool:
    return any(
        allows_coding(value_set, coding.system, coding.code) for coding in concept.coding or ()
    )


def _binding_check(element: Element) -> Check | None:
    """The check of a binding that the annotation can't hold; None where there is nothing to do."""
    if element.binding is None:
        return None
    url = element.binding.value_set
    get = attrgetter(attribute(element.name))
    if element.types[0].code != "CodeableConcept":
        return None

    def check(struct: Any) -> None:
        values = get(struct)
        if values is not UNSET and not all(
            _concept_allowed(url, value) for value in (values if element.is_list else (values,))
        ):
            raise RefusedError(element.name)

    return check


def _invariant_check(invariant: Invariant) -> Check | None:
    """The native form of an invariant; where there is none, a check that refuses everything."""
    if invariant.key in _CHECKED_ELSEWHERE:
        return None
    holds = native(invariant.key, invariant.expression)

    def check(struct: Any) -> None:
        if holds is None or not holds(struct):
            raise RefusedError(invariant.key)

    return check


def invariants_of(definition: TypeDefinition) -> list[Invariant]:
    """The invariants of a type, its bases and its elements that its struct has to check."""
    found = [rule for base in r4().bases(definition.name) for rule in r4().type(base).invariants]
    for element in definition.elements:
        found.extend(element.invariants)
    return [rule for rule in found if rule.key not in _CHECKED_ELSEWHERE]


def checks_of(elements: tuple[Element, ...], invariants: list[Invariant]) -> list[Check]:
    """What the struct of a type checks after decoding, cheapest first."""
    checks: list[Check | None] = []
    decimals = []
    for element in elements:
        members = [attribute(member) for member, _ in element.members()]
        if element.is_choice and len(members) > 1:
            checks.append(_choice_check(element, members))
        decimals += [member for member, ref in element.members() if ref.code == "decimal"]
        checks.append(_binding_check(element))
    if decimals:
        checks.insert(0, decimal_check(decimals))
    checks += [_invariant_check(rule) for rule in invariants]
    return [check for check in checks if check is not None]


def post_init(checks: list[Check]) -> Check:
    """Many checks as one `__post_init__`."""
    if len(checks) == 1:
        return checks[0]
    in_order = tuple(checks)

    def run(struct: Any) -> None:
        for check in in_order:
            check(struct)

    return run
