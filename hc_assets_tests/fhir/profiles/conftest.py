"""Small profiles written by hand, as the tests of this folder use them."""

import json
import os
import tarfile
from collections.abc import Callable
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import pytest

from hc_assets.fhir.profiles import ProfileSet, load_profiles

Json = dict[str, Any]
BASE = "https://example.org/StructureDefinition/"


def make_profile(type_name: str, *elements: Json, name: str = "p", **others: Any) -> Json:
    """A StructureDefinition with a differential."""
    return {
        "resourceType": "StructureDefinition",
        "url": f"{BASE}{name}",
        "name": name,
        "status": "active",
        "kind": "resource",
        "abstract": False,
        "type": type_name,
        "baseDefinition": f"http://hl7.org/fhir/StructureDefinition/{type_name}",
        "derivation": "constraint",
        "differential": {"element": [{"id": type_name, "path": type_name}, *elements]},
    } | others


@pytest.fixture
def profile() -> Callable[..., Json]:
    """Make a StructureDefinition from elements; its URL ends in `name`."""
    return make_profile


@pytest.fixture
def load(tmp_path: Path) -> Callable[..., ProfileSet]:
    """Load definitions from files."""

    def loaded(*definitions: Json) -> ProfileSet:
        folder = Path(mkdtemp(dir=tmp_path))
        for index, definition in enumerate(definitions):
            (folder / f"{index}.json").write_text(json.dumps(definition))
        return load_profiles([folder])

    return loaded


@pytest.fixture
def findings(load: Callable[..., ProfileSet]) -> Callable[..., list[tuple[str, str, str]]]:
    """Severity, rule and place of what a profile finds in a resource."""

    def found(resource: Json, *definitions: Json, **options: Any) -> list[tuple[str, str, str]]:
        profiles = load(*definitions)
        options = options or {"profiles": [definitions[0]["url"]]}
        issues = profiles.validate(json.dumps(resource).encode(), **options)
        return [(issue.severity, issue.rule, issue.expression) for issue in issues]

    return found


@pytest.fixture(scope="session")
def package_folder(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str, str], Path]:
    """The folder of an npm package that an environment variable names, unpacked or as .tgz."""

    def folder(variable: str, what: str) -> Path:
        place = os.environ.get(variable, "")
        if not place or not Path(place).exists():
            pytest.skip(f"{variable} names no folder or .tgz of {what}")
        if Path(place).is_dir():
            return Path(place)
        unpacked = tmp_path_factory.mktemp("package")
        with tarfile.open(place, "r:gz") as archive:
            archive.extractall(unpacked, filter="data")
        return unpacked

    return folder
