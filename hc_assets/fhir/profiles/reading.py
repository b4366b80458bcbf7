"""Finds StructureDefinitions, ValueSets and CodeSystems among the files of packages.

Belongs here: from files to definitions of the right shape. Which files there are is found in
`packages.py`; what a profile demands is read in `spec_reading.py`.
"""

from collections.abc import Iterable, Iterator
from decimal import Decimal, InvalidOperation
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import msgspec

from hc_assets.fhir.profiles.errors import ProfileError
from hc_assets.fhir.profiles.packages import File, files_of, manifest_of, missing_packages
from hc_assets.fhir.profiles.shapes import (
    CodeSystemShape,
    JsonObject,
    StructureShape,
    ValueSetShape,
)
from hc_assets.fhir.r4.core_profiles import core_profiles

_WANTED = ("StructureDefinition", "ValueSet", "CodeSystem")
_EXPECTED = f"expected {', '.join(_WANTED)} or a Bundle of them"
_MARKS = tuple(f'"{name}"'.encode() for name in (*_WANTED, "Bundle"))
_RULES = ("type", "baseDefinition", "snapshot", "differential")
_DECODER = msgspec.json.Decoder(float_hook=Decimal)
_CORE_FILE = "R4"


class Structure(NamedTuple):
    """A StructureDefinition: its file, its content, its shape."""

    file: str
    content: JsonObject
    shape: StructureShape


class System(NamedTuple):
    """A CodeSystem: its file, its content, its shape."""

    file: str
    content: JsonObject
    shape: CodeSystemShape


class CodeSet(NamedTuple):
    """A ValueSet: its file, its content, its shape."""

    file: str
    content: JsonObject
    shape: ValueSetShape


Shape = TypeVar("Shape", bound=msgspec.Struct)
Found = TypeVar("Found", Structure, System, CodeSet)


class Definitions(NamedTuple):
    """All definitions of some paths, by canonical URL and by URL with `|version`.

    Attributes:
        structures: profiles.
        systems: code systems.
        value_sets: value sets.
        notes: what the packages among the paths ask for, and isn't among them, in words.
    """

    structures: dict[str, Structure]
    systems: dict[str, System]
    value_sets: dict[str, CodeSet]
    notes: tuple[str, ...] = ()


def _resources(file: File) -> Iterator[tuple[str, Any]]:
    """The resources of a file, each with its place; a Bundle or an array holds several."""
    try:
        root = _DECODER.decode(file.text)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, InvalidOperation) as error:
        raise ProfileError(file.name, "", f"found no JSON ({error}), {_EXPECTED}") from error
    if isinstance(root, list):
        for index, one in enumerate(root):
            yield f"[{index}]", one
    elif isinstance(root, dict) and root.get("resourceType") == "Bundle":
        entries = root.get("entry")
        for index, entry in enumerate(entries if isinstance(entries, list) else ()):
            if isinstance(entry, dict) and "resource" in entry:
                yield f"Bundle.entry[{index}].resource", entry["resource"]
    else:
        yield "", root


def _shaped(file: str, place: str, content: JsonObject, shape: type[Shape]) -> Shape:
    try:
        return msgspec.convert(content, shape)
    except msgspec.ValidationError as error:
        text, _, where = str(error).partition(" - at `")
        inside = where.removesuffix("`").removeprefix("$")
        name = content["resourceType"]
        raise ProfileError(file, f"{place}.{name}{inside}".lstrip("."), text) from error


def _version_order(version: str) -> tuple[tuple[int, str], ...]:
    """A key under which 10.0.0 comes after 9.0.0."""
    return tuple(
        (int(part), "") if part.isdecimal() else (-1, part)
        for part in version.replace("-", ".").split(".")
    )


def _keep(home: dict[str, Found], found: Found) -> Found:
    """Take a definition in, under its URL with version, and as the URL's newest version.

    Returns:
        The definition that stands under URL and version: the first that came.
    """
    url, version = found.shape.url, found.shape.version
    known = home.setdefault(f"{url}|{version}", found)
    newest = home.get(url)
    if newest is None or _version_order(newest.shape.version) < _version_order(version):
        home[url] = found
    return known


def _keep_profile(home: dict[str, Structure], found: Structure) -> None:
    """Take a profile in; which of two different ones is meant can't be decided."""
    known = _keep(home, found)
    # Copies with another narrative or date are the same profile.
    if any(known.content.get(part) != found.content.get(part) for part in _RULES):
        name = f"{found.shape.url} version {found.shape.version or 'unknown'}"
        text = f"found another definition of {name} than in {known.file}, expected one"
        raise ProfileError(found.file, "StructureDefinition.url", text)


def read_definitions(paths: Iterable[Path]) -> Definitions:
    """Read the definitions of files, folders and npm packages.

    Args:
        paths: JSON files with a definition, a Bundle or an array of them; folders, searched in
            depth for such files and packages; npm packages as .tgz, and .zip files. What a folder
            or package holds beside definitions is passed over. Of code systems and value sets
            under one URL and version the first counts.

    Raises:
        ProfileError: a path can't be read or holds no definition, a file is no JSON, a definition
            is made for another release than R4 or has not the shape that FHIR gives it, or two
            profiles differ under one URL and version.
    """
    found = Definitions({}, {}, {})
    manifests = []
    for path in paths:
        if not path.exists():
            raise ProfileError(path, "", "found nothing at that path, expected a file or folder")
        taken = 0
        for file in files_of(path):
            manifest = manifest_of(file)
            if manifest is not None:
                manifests.append(manifest)
            # Most files of a package are examples: they are passed over without being read.
            elif file.is_named or any(mark in file.text for mark in _MARKS):
                taken += _take(file, found)
        if not taken:
            raise ProfileError(path, "", f"found no definition of use, {_EXPECTED}")
    return found._replace(notes=missing_packages(manifests))


@cache
def core_definitions() -> Definitions:
    """The profiles that R4 itself publishes, with their value sets."""
    found = Definitions({}, {}, {})
    for content in core_profiles().structures:
        structure = _shaped(_CORE_FILE, "", content, StructureShape)
        _keep_profile(found.structures, Structure(_CORE_FILE, content, structure))
    for content in core_profiles().value_sets:
        value_set = _shaped(_CORE_FILE, "", content, ValueSetShape)
        _keep(found.value_sets, CodeSet(_CORE_FILE, content, value_set))
    return found


def _check_version(file: str, place: str, content: JsonObject) -> None:
    """R4 and its correction R4B have the same elements where profiles are in use."""
    version = content.get("fhirVersion")
    if isinstance(version, str) and version and not version.startswith("4."):
        text = f"made for FHIR {version}, expected 4.0.1"
        raise ProfileError(file, f"{place}.StructureDefinition.fhirVersion".lstrip("."), text)


def _take(file: File, found: Definitions) -> int:
    """Take in what a file defines; gives how many definitions."""
    taken = 0
    for place, content in _resources(file):
        kind = content.get("resourceType") if isinstance(content, dict) else None
        if kind == "StructureDefinition":
            # Types and logical models are in packages too; profiles alone are asked for.
            if content.get("derivation") == "constraint" and content.get("kind") != "logical":
                # Before the shape, which other releases give otherwise.
                _check_version(file.name, place, content)
                structure = _shaped(file.name, place, content, StructureShape)
                _keep_profile(found.structures, Structure(file.name, content, structure))
                taken += 1
        elif kind == "CodeSystem" and "url" in content:
            system = _shaped(file.name, place, content, CodeSystemShape)
            _keep(found.systems, System(file.name, content, system))
            taken += 1
        elif kind == "ValueSet" and "url" in content:
            value_set = _shaped(file.name, place, content, ValueSetShape)
            _keep(found.value_sets, CodeSet(file.name, content, value_set))
            taken += 1
        elif file.is_named and kind not in _WANTED:
            text = f"found {kind if isinstance(kind, str) else 'no resourceType'}, {_EXPECTED}"
            raise ProfileError(file.name, place, text)
    return taken
