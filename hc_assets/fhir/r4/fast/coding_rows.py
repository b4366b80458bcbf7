"""Codes of code systems and the vital signs, as the fast path reads them.

Belongs here: what `native/codings.c` and `native/vital_signs.c` are handed. The other rows are made
in `packing.py`.
"""

from array import array
from collections.abc import Callable, Iterable

from hc_assets.fhir.r4.code_systems import code_systems
from hc_assets.fhir.r4.core_profiles import LOINC, core_profiles
from hc_assets.fhir.r4.definitions import r4
from hc_assets.fhir.r4.fast.packed_rows import ROLES, ComponentRow, VitalSignRow, halves

# Elements of an Observation that its vital sign's profile asks for; and those whose references the
# thorough path looks at.
_REQUIRED = ("category", "subject", "effective")
_FORBIDDEN = ("hasMember", "derivedFrom")
# The members that vital signs are told by.
_ROLES = {
    ("Observation", "code"): "code",
    ("Observation", "category"): "category",
    ("Observation", "valueQuantity"): "value",
    ("Observation.component", "code"): "code",
    ("Observation.component", "valueQuantity"): "value",
}


def role_of(type_name: str, member: str) -> int:
    """What a JSON member is to vital signs, as a number of `ROLES`."""
    return ROLES.index(_ROLES.get((type_name, member), ""))


def code_system_text() -> bytes:
    """A line for each code system, its URL and its codes with tabs between them.

    LOINC comes first: of it, the codes of vital signs alone are listed, and those of their
    components.
    """
    lines = [(LOINC, *core_profiles().vital_signs, *_component_codes())]
    lines += [(url, *system.codes) for url, system in code_systems().items()]
    return "\n".join("\t".join(line) for line in lines).encode()


def _component_codes() -> list[str]:
    signs = core_profiles().vital_signs.values()
    return list(dict.fromkeys(code for sign in signs for code in sign.components))


def vital_sign_rows(add_set: Callable[[Iterable[str]], int]) -> "tuple[array[int], array[int]]":
    """The rows of all vital signs, and those of their components.

    Args:
        add_set: gives the number of a set of strings.
    """
    names = [element.name for element in r4().type("Observation").elements]
    rows, components = array("i"), array("i")
    for sign in core_profiles().vital_signs.values():
        held, absent = ("component", "value") if sign.components else ("value", "component")
        required = sum(1 << names.index(name) for name in (*_REQUIRED, held))
        forbidden = sum(1 << names.index(name) for name in (*_FORBIDDEN, absent))
        first = len(components) // len(ComponentRow._fields)
        units = add_set(sign.units) if sign.units else -1
        counts = (units, first, len(sign.components))
        rows.extend(VitalSignRow(*halves(required), *halves(forbidden), *counts))
        for code, allowed in sign.components.items():
            number = 1 + len(core_profiles().vital_signs) + _component_codes().index(code)
            components.extend(ComponentRow(number, add_set(allowed)))
    return rows, components
