"""Finds the profiles that R4 itself publishes, of resources and of data types.

Belongs here: StructureDefinitions to what is shipped of them for `fhir/profiles/core_profiles.py`,
and what vital signs are quickly decided by. What a profile demands is read in `fhir/profiles/`.
"""

import gzip
import re
from collections.abc import Iterable

import msgspec

from hc_assets.fhir.r4.build.expansion import NotExpandableError, expand
from hc_assets.fhir.r4.build.package import JsonObject, Package
from hc_assets.fhir.r4.core_profiles import CoreProfiles, VitalSign

# The one that is a type of the table, where it is enforced wherever R4 names it.
_CORE = "http://hl7.org/fhir/StructureDefinition/"
_SIMPLE_QUANTITY, _VITAL_SIGNS = f"{_CORE}SimpleQuantity", f"{_CORE}vitalsigns"
_MEMBERS = ("url", "version", "fhirVersion", "type", "kind", "derivation", "baseDefinition")
# Texts for people, and what nothing is checked with.
_UNUSED = frozenset(
    {"definition", "short", "comment", "requirements", "alias", "mapping", "isSummary", "example"}
    | {"mustSupport", "condition", "meaningWhenMissing", "orderMeaning", "label", "base", "code"}
    | {"isModifierReason", "representation", "extension"}
)
_COMPONENT = re.compile(r"(Observation\.component:[^.]+)\.code\.coding:[^.]+\.code")


def _element(element: JsonObject) -> JsonObject:
    kept = {name: value for name, value in element.items() if name not in _UNUSED}
    if "constraint" in kept:
        kept["constraint"] = [
            {name: rule[name] for name in ("key", "severity", "human", "expression")}
            for rule in kept["constraint"]
        ]
    if "binding" in kept:
        kept["binding"] = {
            name: kept["binding"][name]
            for name in ("strength", "valueSet")
            if name in kept["binding"]
        }
    return kept


def _structure(resource: JsonObject) -> JsonObject:
    """The differential is enough: what it doesn't say R4 or its base does."""
    kept = {name: resource[name] for name in _MEMBERS if name in resource}
    elements = [_element(each) for each in resource["differential"]["element"]]
    return {**kept, "resourceType": "StructureDefinition", "differential": {"element": elements}}


def _bound(structures: Iterable[JsonObject]) -> list[str]:
    """URLs of the value sets that are looked at: those of required and extensible bindings."""
    return sorted(
        {
            binding["valueSet"].partition("|")[0]
            for structure in structures
            for element in structure["differential"]["element"]
            if (binding := element.get("binding", {})).get("strength") in ("required", "extensible")
            and "valueSet" in binding
        }
    )


def _value_set(package: Package, url: str) -> JsonObject | None:
    """A value set with its codes; None where they can't be listed."""
    try:
        pairs = sorted(expand(package, url))
    except NotExpandableError:
        return None
    concepts: dict[str, list[JsonObject]] = {}
    for system, code in pairs:
        concepts.setdefault(system, []).append({"code": code})
    include = [{"system": system, "concept": codes} for system, codes in concepts.items()]
    version = package.value_sets[url].get("version", "")
    compose = {"include": include}
    return {"resourceType": "ValueSet", "url": url, "version": version, "compose": compose}


def _vital_sign(structure: JsonObject, units: dict[str, tuple[str, ...]]) -> tuple[str, VitalSign]:
    """The code that a profile of the vital signs is for, and the UCUM codes that it allows."""
    elements = {each["id"]: each for each in structure["differential"]["element"]}

    def allowed(quantity: str) -> tuple[str, ...]:
        element = elements.get(f"{quantity}.code", {})
        if "fixedCode" in element:
            return (element["fixedCode"],)
        return units.get(element.get("binding", {}).get("valueSet", "").partition("|")[0], ())

    def fixed(pattern: str) -> Iterable[tuple[re.Match[str], str]]:
        for element_id, element in elements.items():
            found = re.fullmatch(pattern, element_id)
            if found is not None and "fixedCode" in element:
                yield found, element["fixedCode"]

    code = next(code for _, code in fixed(r"Observation\.code\.coding:[^.]+\.code"))
    components = {
        own: allowed(f"{found[1]}.valueQuantity") for found, own in fixed(_COMPONENT.pattern)
    }
    return code, VitalSign(structure["url"], allowed("Observation.valueQuantity"), components)


def _is_profile(package: Package, resource: JsonObject) -> bool:
    """Whether a structure is a profile of a resource or of a data type; extensions are neither.

    Two examples of R4's say that Composition is a data type: they are for readers.
    """
    if resource.get("derivation") != "constraint" or resource["type"] == "Extension":
        return False
    constrained = package.structures.get(f"{_CORE}{resource['type']}", {})
    kinds = ("resource", "complex-type")
    return (
        resource["kind"] in kinds
        and resource["kind"] == constrained.get("kind")
        and resource["url"] != _SIMPLE_QUANTITY
    )


def build_core_profiles(package: Package) -> bytes:
    """Compile the profiles in a package.

    Args:
        package: HL7's definitions.

    Returns:
        Gzipped JSON; the same bytes for the same package.
    """
    structures = [
        _structure(resource)
        for _, resource in sorted(package.structures.items())
        if _is_profile(package, resource)
    ]
    value_sets = [
        found for url in _bound(structures) if (found := _value_set(package, url)) is not None
    ]
    units = {
        value_set["url"]: tuple(
            concept["code"]
            for part in value_set["compose"]["include"]
            for concept in part["concept"]
        )
        for value_set in value_sets
    }
    vital_signs = dict(
        _vital_sign(structure, units)
        for structure in structures
        if structure["baseDefinition"] == _VITAL_SIGNS
    )
    profiles = CoreProfiles(structures, value_sets, vital_signs)
    # The time of the build stays out of the gzip header, or no rebuild would be the same.
    return gzip.compress(msgspec.json.encode(profiles), compresslevel=9, mtime=0)
