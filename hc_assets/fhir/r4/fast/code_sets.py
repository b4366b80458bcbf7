"""Sets of codes that elements are bound to, as the fast path reads them.

Belongs here: the codes of required and extensible bindings as sets of strings. Which value sets
those are is in `fhir/r4/bindings.py`; the other rows are made in `packing.py`.
"""

from collections.abc import Callable, Iterable

from hc_assets.fhir.r4.bindings import codes_of, extensible_codes, extensible_of
from hc_assets.fhir.r4.definitions import Element, TypeRef, r4
from hc_assets.fhir.r4.fast.packed_rows import SYNTAXES

_NONE = -1
# Types of quantities whose units are bound to a value set, wherever they stand.
BOUND_QUANTITIES = ("Age", "Distance", "Duration")


class CodeSets:
    """The sets of bindings, each made once."""

    def __init__(self, add_set: Callable[[Iterable[str]], int]) -> None:
        """Take what gives the number of a new set of strings."""
        self._add_set = add_set
        self._required: dict[tuple[str, bool], int] = {}
        self._extensible: dict[str, tuple[int, int]] = {}

    def required(self, element: Element, ref: TypeRef) -> int:
        """The set that an element's codes must be in, as `Member.codes` has it."""
        is_concept = ref.code == "CodeableConcept"
        is_coded = is_concept or r4().type(ref.code).kind == "primitive-type"
        if element.binding is None or not is_coded:
            return _NONE
        url = element.binding.value_set
        codes = codes_of(url)
        if codes is None:
            return -2 - SYNTAXES.index(r4().value_set(url).syntax)
        key = url, is_concept
        if key not in self._required:
            found = r4().value_set(url).codes
            self._required[key] = self._add_set(_pairs(found) if is_concept else codes)
        return self._required[key]

    def extensible(self, ref: TypeRef) -> tuple[int, int]:
        """The sets of units and of systems of an extensible binding, as `Member` has them."""
        url = extensible_of(ref)
        by_system = extensible_codes(url) if url else {}
        if not by_system:
            return _NONE, _NONE
        if url not in self._extensible:
            self._extensible[url] = self._add_set(_pairs(by_system)), self._add_set(by_system)
        return self._extensible[url]


def _pairs(codes: dict[str, tuple[str, ...]]) -> set[str]:
    """Codings as `system code`."""
    return {f"{system} {code}" for system, listed in codes.items() for code in listed}
