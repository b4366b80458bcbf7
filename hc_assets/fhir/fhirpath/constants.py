"""FHIRPath's constants: `%resource`, `%ucum`, value sets and extensions by their short names.

Belongs here: what each constant gives. Literals belong to `compiler.py`.
"""

from hc_assets.fhir.fhirpath.equality import UCUM
from hc_assets.fhir.fhirpath.errors import FhirPathSyntaxError
from hc_assets.fhir.fhirpath.model import Collection
from hc_assets.fhir.fhirpath.operators import Collect
from hc_assets.fhir.fhirpath.syntax import DECIDING, TEXT_PREFIXES, TEXTS

_CONSTANTS = {
    "ucum": UCUM,
    "sct": "http://snomed.info/sct",
    "loinc": "http://loinc.org",
}
_CONSTANT_PREFIXES = {
    "vs-": "http://hl7.org/fhir/ValueSet/",
    "ext-": "http://hl7.org/fhir/StructureDefinition/",
}


def is_constant(name: str) -> bool:
    """Whether FHIRPath or FHIR defines a constant of that name, without the percent sign."""
    return name in DECIDING or name in TEXTS or name.startswith(TEXT_PREFIXES)


def constant(name: str) -> Collect:
    """The closure of a constant.

    Args:
        name: without the percent sign.

    Raises:
        FhirPathSyntaxError: there is none of that name.
    """
    if name == "resource":
        return lambda _, scope: [scope.environment.resource]
    if name == "rootResource":
        return lambda _, scope: [scope.environment.root_resource]
    if name == "context":
        return lambda _, scope: scope.context
    value = _CONSTANTS.get(name)
    for prefix, url in _CONSTANT_PREFIXES.items():
        if name.startswith(prefix):
            value = url + name.removeprefix(prefix)
    if value is None:
        raise FhirPathSyntaxError(f"unknown constant %{name}")
    values: Collection = [value]
    return lambda _items, _scope: values
