"""Reads HL7's definitions package (npm `hl7.fhir.r4.examples`), unpacked or as a .tgz.

Belongs here: finding the conformance resources among the examples. What is made of them belongs
to `build.py`, and which codes a value set holds to `expansion.py`.
"""

import tarfile
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any

import msgspec

JsonObject = dict[str, Any]

_WANTED = ("StructureDefinition-", "ValueSet-", "CodeSystem-", "SearchParameter-")


class Package:
    """The definitions of one package, by canonical URL.

    Attributes:
        name_and_version: npm name and version, for example `hl7.fhir.r4.examples#4.0.1`.
        fhir_version: the FHIR version that the package names, for example `4.0.1`.
        structures: StructureDefinition resources by URL.
        value_sets: ValueSet resources by URL.
        code_systems: CodeSystem resources by URL.
        search_parameters: SearchParameter resources by URL.
    """

    def __init__(self, files: dict[str, bytes]) -> None:
        manifest = msgspec.json.decode(files["package.json"])
        self.name_and_version = f"{manifest['name']}#{manifest['version']}"
        self.fhir_version: str = manifest["fhirVersions"][0]
        self.structures: dict[str, JsonObject] = {}
        self.value_sets: dict[str, JsonObject] = {}
        self.code_systems: dict[str, JsonObject] = {}
        self.search_parameters: dict[str, JsonObject] = {}
        homes = {
            "StructureDefinition": self.structures,
            "ValueSet": self.value_sets,
            "CodeSystem": self.code_systems,
            "SearchParameter": self.search_parameters,
        }
        for name in sorted(files):
            resource = msgspec.json.decode(files[name])
            home = homes.get(resource.get("resourceType"))
            if home is not None and "url" in resource:
                home[resource["url"]] = resource


def _folder_files(folder: Path) -> Iterator[tuple[str, bytes]]:
    for path in sorted(folder.rglob("*.json")):
        if path.name == "package.json" or path.name.startswith(_WANTED):
            yield path.name, path.read_bytes()


def _tarball_files(tarball: Path) -> Iterator[tuple[str, bytes]]:
    with tarfile.open(tarball, "r:gz") as archive:
        for member in archive:
            name = PurePosixPath(member.name).name
            if member.isfile() and (name == "package.json" or name.startswith(_WANTED)):
                content = archive.extractfile(member)
                if content is not None:
                    yield name, content.read()


def read_package(path: Path) -> Package:
    """Read the conformance resources of a package.

    Args:
        path: the package's unpacked folder (searched in depth), or its .tgz.

    Returns:
        What the package defines.

    Raises:
        FileNotFoundError: nothing is at that path, or it holds no package.json.
        tarfile.TarError: the file is no gzipped tar archive.
        msgspec.DecodeError: one of its files is not JSON.
    """
    files = dict(_folder_files(path) if path.is_dir() else _tarball_files(path))
    if "package.json" not in files:
        raise FileNotFoundError(f"no package.json in {path}")
    return Package(files)
