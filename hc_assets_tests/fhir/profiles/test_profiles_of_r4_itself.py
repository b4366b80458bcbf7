import copy
import json
import random
from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from hc_assets.fhir.profiles import load_profiles

Json = dict[str, Any]
LARGE = 3_000_000


@pytest.fixture(scope="module")
def folder(package_folder: Callable[[str, str], Path]) -> Path:
    return package_folder("HC_R4_PACKAGE", "hl7.fhir.r4.examples 4.0.1")


def _profiles_in(folder: Path) -> Iterator[tuple[Path, Json]]:
    for path in sorted(folder.rglob("StructureDefinition-*.json")):
        structure = json.loads(path.read_bytes())
        is_profile = structure.get("derivation") == "constraint" and structure["kind"] != "logical"
        if is_profile and "snapshot" in structure and "differential" in structure:
            yield path, structure


def test_hl7_s_examples_conform_to_the_profiles_that_they_name(folder: Path) -> None:
    profiles = load_profiles([folder])
    named = 0
    for path in sorted(folder.rglob("*.json")):
        raw = path.read_bytes()
        if b'"profile"' not in raw or len(raw) > LARGE or b'"resourceType"' not in raw:
            continue
        issues = profiles.validate(raw)
        assert [(path.name, i) for i in issues if i.severity in ("fatal", "error")] == []
        named += 1
    assert named > 1000


def _mutated(resource: Json, chance: random.Random) -> Json:
    """The resource with up to three members dropped, or entries dropped or said twice."""
    mutant = copy.deepcopy(resource)
    for _ in range(chance.randint(0, 3)):
        names = [name for name in mutant if name != "resourceType"]
        if not names:
            break
        name = chance.choice(names)
        value = mutant[name]
        if isinstance(value, list) and value and chance.random() < 0.5:
            value.append(value[0])
        elif isinstance(value, dict) and value and chance.random() < 0.5:
            value.pop(chance.choice(list(value)))
        else:
            del mutant[name]
    return mutant


def test_a_differential_on_its_base_finds_what_the_snapshot_finds(
    folder: Path, tmp_path: Path
) -> None:
    by_type: dict[str, list[str]] = defaultdict(list)
    paths = []
    bare = tmp_path / "bare"
    bare.mkdir()
    for path, structure in _profiles_in(folder):
        paths.append(path)
        by_type[structure["type"]].append(structure["url"])
        del structure["snapshot"]
        (bare / path.name).write_text(json.dumps(structure))
    from_snapshots, from_differentials = load_profiles(paths), load_profiles([bare])
    chance = random.Random(20)  # noqa: S311 - the same choices each time, no secret
    compared = broken = 0
    for type_name, urls in by_type.items():
        for path in sorted(folder.rglob(f"{type_name}-*.json"))[:15]:
            resource = json.loads(path.read_bytes())
            if resource.get("resourceType") != type_name or path.stat().st_size > 60_000:
                continue
            raw = json.dumps(_mutated(resource, chance)).encode()
            for url in urls:
                places = [
                    {i.expression for i in profiles.validate(raw, [url]) if i.severity == "error"}
                    for profiles in (from_snapshots, from_differentials)
                ]
                assert places[0] == places[1], (path.name, url)
                compared += 1
                broken += bool(places[0])
    assert compared > 200
    assert broken > 50
