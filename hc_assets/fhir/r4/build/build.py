"""Builds the table of R4 definitions: `python -m hc_assets.fhir.r4.build.build PACKAGE`.

Belongs here: structure definitions to table entries. Expanding value sets belongs to
`expansion.py`, the table's shape to `fhir/r4/definitions.py`; nothing here runs in the pipeline.
"""

import argparse
import gzip
import re
import sys
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any

import msgspec

from hc_assets.fhir.r4.build.code_systems import build_code_systems
from hc_assets.fhir.r4.build.core_profiles import build_core_profiles
from hc_assets.fhir.r4.build.expansion import NotExpandableError, expand, syntax_of
from hc_assets.fhir.r4.build.package import JsonObject, Package, read_package
from hc_assets.fhir.r4.code_systems import CODE_SYSTEMS_PATH
from hc_assets.fhir.r4.core_profiles import CORE_PROFILES_PATH
from hc_assets.fhir.r4.definitions import (
    TABLE_FORMAT,
    TABLE_PATH,
    Binding,
    Element,
    ExtensionDefinition,
    ExtensionSlot,
    Invariant,
    Kind,
    SearchComponent,
    SearchDefinition,
    TypeDefinition,
    TypeRef,
    ValueSet,
)

_CORE = "http://hl7.org/fhir/StructureDefinition/"
_SEARCH = "http://hl7.org/fhir/SearchParameter/"
_FHIRPATH_SYSTEM = "http://hl7.org/fhirpath/System."
_FHIR_TYPE = _CORE + "structuredefinition-fhir-type"
_MAX_VALUE_SET = _CORE + "elementdefinition-maxValueSet"
_REGEX = _CORE + "regex"
_NESTED = ("BackboneElement", "Element")
# Invariants that every element and every extension carries through its type; the snapshots repeat
# them on each element.
_OF_EVERY_ELEMENT = frozenset({"ele-1", "ext-1"})
# A profile, but used as the type of 55 elements, where it forbids the comparator.
_PROFILES_USED_AS_TYPES = ("SimpleQuantity",)


def _extension_value(element: JsonObject, url: str) -> str | None:
    for extension in element.get("extension", []):
        if extension["url"] == url:
            return next(str(v) for k, v in extension.items() if k.startswith("value"))
    return None


def _type_refs(element: JsonObject) -> tuple[TypeRef, ...]:
    if "contentReference" in element:
        return (TypeRef(element["contentReference"].lstrip("#")),)
    refs = []
    for entry in element.get("type", []):
        code = entry["code"]
        if code.startswith(_FHIRPATH_SYSTEM):
            code = _extension_value(entry, _FHIR_TYPE) or "string"
            # HL7 writes "string" here; the text of the standard and its JSON schema say id.
            if element["base"]["path"] == "Resource.id":
                code = "id"
        elif code in _NESTED and "." in element["path"]:
            code = element["path"]
        for profile in entry.get("profile", []):
            if profile.removeprefix(_CORE) in _PROFILES_USED_AS_TYPES:
                code = profile.removeprefix(_CORE)
        targets = sorted(
            profile.removeprefix(_CORE)
            for profile in entry.get("targetProfile", [])
            if profile != _CORE + "Resource"
        )
        refs.append(TypeRef(code, tuple(targets)))
    return tuple(refs)


def _binding(element: JsonObject) -> Binding | None:
    binding = element.get("binding")
    if binding is None:
        return None
    if binding["strength"] == "required":
        return Binding(binding["valueSet"].partition("|")[0])
    maximum = _extension_value(binding, _MAX_VALUE_SET)
    return None if maximum is None else Binding(maximum.partition("|")[0], is_maximum=True)


def _extensible(root: JsonObject) -> str:
    """Value set that the units of a type of quantities are bound to extensibly; "" for others."""
    binding = root.get("binding", {})
    if binding.get("strength") != "extensible":
        return ""
    return str(binding["valueSet"]).partition("|")[0]


def _invariants(element: JsonObject, inherited: frozenset[str]) -> tuple[Invariant, ...]:
    return tuple(
        Invariant(rule["key"], rule["severity"], rule["human"], rule["expression"])
        for rule in element.get("constraint", [])
        if rule["key"] not in inherited
    )


def _raw(element: JsonObject, prefix: str) -> msgspec.Raw | None:
    for key, value in element.items():
        if key.startswith(prefix):
            return msgspec.Raw(msgspec.json.encode(value))
    return None


def _element(element: JsonObject) -> Element:
    name = element["path"].rpartition(".")[2]
    types = _type_refs(element)
    # The rules of a nested element go with its type, so that content references to it share them.
    is_nested = "contentReference" not in element and any("." in ref.code for ref in types)
    return Element(
        name=name.removesuffix("[x]"),
        min=element["min"],
        max=None if element["max"] == "*" else int(element["max"]),
        types=types,
        is_choice=name.endswith("[x]"),
        binding=_binding(element),
        invariants=() if is_nested else _invariants(element, _OF_EVERY_ELEMENT),
        fixed=_raw(element, "fixed"),
        pattern=_raw(element, "pattern"),
    )


def _root_keys(package: Package, url: str | None) -> frozenset[str]:
    """Keys of the invariants on a type's root, those of its bases among them."""
    if url is None:
        return frozenset()
    root = package.structures[url]["snapshot"]["element"][0]
    return frozenset(rule["key"] for rule in root.get("constraint", []))


def _types_of(package: Package, structure: JsonObject) -> list[TypeDefinition]:
    """A structure definition's type and the types of its nested elements."""
    elements: list[JsonObject] = structure["snapshot"]["element"]
    root = elements[0]["path"]
    base_url = structure.get("baseDefinition")
    is_primitive = structure["kind"] == "primitive-type"
    children: dict[str, list[JsonObject]] = {root: []}
    for element in elements[1:]:
        path = element["path"]
        children.setdefault(path.rpartition(".")[0], []).append(element)
    types = []
    for path, below in children.items():
        is_root = path == root
        owner = elements[0] if is_root else next(e for e in elements if e["path"] == path)
        kind: Kind = structure["kind"] if is_root else "backbone"
        base = (base_url or "").removeprefix(_CORE) if is_root else owner["type"][0]["code"]
        types.append(
            TypeDefinition(
                # The root's path would be Quantity for SimpleQuantity: the name distinguishes them.
                name=structure["name"] if is_root else path,
                kind=kind,
                base=base,
                is_abstract=is_root and structure["abstract"],
                elements=tuple(
                    _element(e)
                    for e in below
                    if not (is_primitive and e["path"] == f"{root}.value")
                ),
                invariants=_invariants(
                    owner, _root_keys(package, base_url) if is_root else _OF_EVERY_ELEMENT
                ),
                regex=_primitive_regex(elements) if is_primitive else "",
                extensible=_extensible(owner) if is_root else "",
            )
        )
    return types


def _primitive_regex(elements: list[JsonObject]) -> str:
    value = next(e for e in elements if e["path"].endswith(".value"))
    return next((_extension_value(t, _REGEX) or "" for t in value.get("type", [])), "")


def _types(package: Package) -> dict[str, TypeDefinition]:
    types: dict[str, TypeDefinition] = {}
    for structure in package.structures.values():
        is_profile = structure.get("derivation") == "constraint"
        if structure["kind"] == "logical" or not structure["url"].startswith(_CORE):
            continue
        if is_profile and structure["name"] not in _PROFILES_USED_AS_TYPES:
            continue
        for definition in _types_of(package, structure):
            types[definition.name] = definition
    return types


def _value_sets(package: Package, types: dict[str, TypeDefinition]) -> dict[str, ValueSet]:
    urls = {
        element.binding.value_set
        for definition in types.values()
        for element in definition.elements
        if element.binding is not None
    }
    value_sets = {}
    for url in sorted(urls):
        try:
            value_sets[url] = _listed(expand(package, url))
        except NotExpandableError:
            value_sets[url] = ValueSet(syntax=syntax_of(package, url))
    for url in _extensible_urls(types) - value_sets.keys():
        with suppress(NotExpandableError):
            value_sets[url] = _listed(expand(package, url))
    return dict(sorted(value_sets.items()))


def _extensible_urls(types: dict[str, TypeDefinition]) -> set[str]:
    return {each.extensible for each in types.values()} - {""}


def _listed(pairs: Iterable[tuple[str, str]]) -> ValueSet:
    codes: dict[str, list[str]] = {}
    for system, code in sorted(pairs):
        codes.setdefault(system, []).append(code)
    return ValueSet({system: tuple(found) for system, found in codes.items()})


def _extension(structure: JsonObject) -> ExtensionDefinition:
    elements: list[JsonObject] = structure["snapshot"]["element"]
    by_id = {element["id"]: element for element in elements}

    def value_types(prefix: str) -> tuple[TypeRef, ...]:
        for element_id, element in by_id.items():
            is_value = re.fullmatch(re.escape(prefix) + r"\.value\[x\](:[^.]*)?", element_id)
            if is_value and element["max"] != "0":
                return _type_refs(element)
        return ()

    slots = []
    for element_id, element in by_id.items():
        if re.fullmatch(r"Extension\.extension:[^.]+", element_id):
            url = by_id.get(f"{element_id}.url", {})
            slots.append(
                ExtensionSlot(
                    url=str(url.get("fixedUri", element["sliceName"])),
                    min=element["min"],
                    max=None if element["max"] == "*" else int(element["max"]),
                    types=value_types(element_id),
                )
            )
    root = elements[0]
    return ExtensionDefinition(
        url=structure["url"],
        contexts=tuple(context["expression"] for context in structure.get("context", [])),
        max=None if root["max"] == "*" else int(root["max"]),
        is_modifier=bool(root.get("isModifier", False)),
        types=value_types("Extension"),
        slots=tuple(slots),
    )


def _search_parameter(found: JsonObject) -> SearchDefinition:
    return SearchDefinition(
        type=found["type"],
        base=tuple(found["base"]),
        code=found["code"],
        expression=found.get("expression", ""),
        targets=tuple(found.get("target", ())),
        components=tuple(
            SearchComponent(part["definition"], part["expression"])
            for part in found.get("component", ())
        ),
    )


def build(package: Package) -> bytes:
    """Compile a package into the table.

    Args:
        package: HL7's definitions.

    Returns:
        The gzipped table; the same bytes for the same package.
    """
    types = _types(package)
    extensions = {
        url: _extension(structure)
        for url, structure in package.structures.items()
        if structure.get("type") == "Extension" and structure.get("derivation") == "constraint"
    }
    # Those for extensions of extensions state no base; examples stand under other URLs.
    search_parameters = {
        url: _search_parameter(found)
        for url, found in package.search_parameters.items()
        if url.startswith(_SEARCH) and "base" in found
    }
    table: dict[str, Any] = {
        "format": TABLE_FORMAT,
        "fhir_version": package.fhir_version,
        "source": package.name_and_version,
        "types": dict(sorted(types.items())),
        "value_sets": _value_sets(package, types),
        "extensions": dict(sorted(extensions.items())),
        "search_parameters": dict(sorted(search_parameters.items())),
    }
    # The time of the build stays out of the gzip header, or no rebuild would be the same.
    return gzip.compress(msgspec.json.encode(table), compresslevel=9, mtime=0)


def main(arguments: list[str] | None = None) -> int:
    """Build the table and what lies beside it, and write them.

    Args:
        arguments: command-line arguments; None for those of the process.

    Returns:
        The exit code: 0.
    """
    parser = argparse.ArgumentParser(prog="hc_assets.fhir.r4.build.build", description=__doc__)
    parser.add_argument("package", type=Path, help="hl7.fhir.r4.examples 4.0.1: folder or .tgz")
    parser.add_argument("--out", type=Path, default=TABLE_PATH, help="the file to write")
    options = parser.parse_args(arguments)
    package = read_package(options.package)
    files = {
        options.out: build(package),
        options.out.with_name(CODE_SYSTEMS_PATH.name): build_code_systems(package),
        options.out.with_name(CORE_PROFILES_PATH.name): build_core_profiles(package),
    }
    for path, content in files.items():
        path.write_bytes(content)
        sys.stdout.write(f"{path}: {len(content)} bytes\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
