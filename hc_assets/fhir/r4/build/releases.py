"""Builds the table of FHIR's other releases: `python -m hc_assets.fhir.r4.build.releases PACKAGE…`.

Belongs here: which types and members HL7's other releases have that R4 does not have, or has in
another shape, and which codes their required bindings add. The table's shape is in
`fhir/r4/releases.py`; nothing here runs in the pipeline.
"""

import argparse
import gzip
import sys
from collections.abc import Iterator
from pathlib import Path

import msgspec

from hc_assets.fhir.r4.build.expansion import NotExpandableError, expand
from hc_assets.fhir.r4.build.package import JsonObject, Package, read_package
from hc_assets.fhir.r4.definitions import choice_member, r4
from hc_assets.fhir.r4.releases import (
    RELEASES_FORMAT,
    RELEASES_PATH,
    ReleaseTable,
    ReleaseTables,
    Shapes,
    json_type,
    shapes_of_r4,
)

_CORE = "http://hl7.org/fhir/StructureDefinition/"
_NESTED = ("BackboneElement", "Element")
_SYSTEM = "http://hl7.org/fhirpath/System."
_NAMES = {"3.0": "STU3", "4.3": "R4B", "5.0": "R5"}


def _type_codes(element: JsonObject) -> list[str]:
    reference = element.get("contentReference")
    if reference:
        return [reference.rpartition("#")[2]]
    codes = []
    for entry in element.get("type", []):
        # STU3 writes the types of ids and of values in XML's own way, and leaves the code out.
        code = entry.get("code", "string")
        if code.startswith(_SYSTEM):
            code = "string"
        codes.append(element["path"] if code in _NESTED and "." in element["path"] else code)
    return list(dict.fromkeys(codes))


def _shapes(structure: JsonObject, primitives: set[str]) -> dict[str, Shapes]:
    """Members of a type and of its nested elements, each with its type, and `*` for a list."""
    elements: list[JsonObject] = structure["snapshot"]["element"]
    shapes: dict[str, Shapes] = {elements[0]["path"]: {}}
    for element in elements[1:]:
        owner, _, name = element["path"].rpartition(".")
        of_owner = shapes.setdefault(owner, {})
        if element.get("max") == "0":
            continue
        mark = "*" if element["max"] not in ("0", "1") else ""
        for code in _type_codes(element):
            is_choice = name.endswith("[x]")
            member = choice_member(name.removesuffix("[x]"), code) if is_choice else name
            of_owner[member] = json_type(code, is_primitive=code in primitives) + mark
    return shapes


def _structures(package: Package) -> Iterator[JsonObject]:
    for url, structure in package.structures.items():
        is_type = structure.get("derivation") != "constraint" and url.startswith(_CORE)
        if is_type and structure["kind"] in ("resource", "complex-type"):
            yield structure


def _primitives(package: Package) -> set[str]:
    return {
        structure["name"]
        for structure in package.structures.values()
        if structure["kind"] == "primitive-type"
    }


def _value_set_of(element: JsonObject) -> str | None:
    binding = element.get("binding", {})
    if binding.get("strength") != "required":
        return None
    # STU3 has a choice of a URI and a reference
    named = binding.get("valueSet") or binding.get("valueSetUri")
    url = named or binding.get("valueSetReference", {}).get("reference", "")
    return url.partition("|")[0] or None


def _codes(package: Package) -> dict[str, tuple[str, ...]]:
    """Codes of elements of type code that R4 has too, and that R4 does not allow there."""
    found: dict[str, tuple[str, ...]] = {}
    for structure in _structures(package):
        for element in structure["snapshot"]["element"]:
            url = _value_set_of(element)
            owner, _, name = element["path"].rpartition(".")
            if url is None or _type_codes(element) != ["code"] or owner not in r4().type_names:
                continue
            allowed = _codes_of_r4(owner, name)
            if allowed is None:
                continue
            try:
                codes = {code for _, code in expand(package, url)} - allowed
            except (NotExpandableError, KeyError):
                continue
            if codes:
                found[element["path"]] = tuple(sorted(codes))
    return found


def _codes_of_r4(owner: str, name: str) -> set[str] | None:
    for element in r4().type(owner).elements:
        if element.name == name and element.binding is not None:
            codes = r4().value_set(element.binding.value_set).codes
            return {code for listed in codes.values() for code in listed} or None
    return None


def _release(package: Package) -> ReleaseTable:
    of_r4 = shapes_of_r4()
    primitives = _primitives(package)
    types: dict[str, dict[str, str | None]] = {}
    resources: list[str] = []
    of_release: dict[str, Shapes] = {}
    for structure in _structures(package):
        of_release |= _shapes(structure, primitives)
        if structure["kind"] == "resource" and not structure["abstract"]:
            resources.append(structure["name"])
    for name, shapes in of_release.items():
        known = of_r4.get(name, {})
        changed: dict[str, str | None] = {
            member: shape for member, shape in shapes.items() if known.get(member) != shape
        }
        changed |= {member: None for member in known if member not in shapes}
        if changed or name not in of_r4:
            types[name] = changed
    names = r4().resource_names
    return ReleaseTable(
        version=package.fhir_version.rpartition(".")[0],
        source=package.name_and_version,
        new_resources=tuple(sorted(set(resources) - names)),
        old_resources=tuple(sorted(names - set(resources))),
        types=dict(sorted(types.items())),
        codes=dict(sorted(_codes(package).items())),
    )


def build(packages: list[Package]) -> bytes:
    """Compile packages into the table.

    Args:
        packages: HL7's definitions of other releases than R4.

    Returns:
        The gzipped table; the same bytes for the same packages.
    """
    made = {_NAMES[each.fhir_version[:3]]: _release(each) for each in packages}
    tables = ReleaseTables(RELEASES_FORMAT, dict(sorted(made.items())))
    return gzip.compress(msgspec.json.encode(tables), compresslevel=9, mtime=0)


def main(arguments: list[str] | None = None) -> int:
    """Build the table and write it.

    Args:
        arguments: command-line arguments; None for those of the process.

    Returns:
        The exit code: 0.
    """
    parser = argparse.ArgumentParser(prog="hc_assets.fhir.r4.build.releases", description=__doc__)
    help_ = "hl7.fhir.r3.examples 3.0.2, hl7.fhir.r4b.examples 4.3.0, hl7.fhir.r5.examples 5.0.0"
    parser.add_argument("packages", type=Path, nargs="+", help=f"{help_}: folders or .tgz")
    parser.add_argument("--out", type=Path, default=RELEASES_PATH, help="the file to write")
    options = parser.parse_args(arguments)
    content = build([read_package(path) for path in options.packages])
    options.out.write_bytes(content)
    sys.stdout.write(f"{options.out}: {len(content)} bytes\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
