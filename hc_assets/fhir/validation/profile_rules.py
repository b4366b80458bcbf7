"""Profiles that a deployment names, loaded once per process and applied after R4's own rules.

Belongs here: finding the loaded profiles and asking them. What a profile demands is in `profiles/`.
"""

import hashlib
from functools import lru_cache
from pathlib import Path

from hc_assets.fhir.profiles import ProfileError, ProfileSet, load_profiles
from hc_assets.fhir.profiles.core_profiles import core_profile_urls
from hc_assets.fhir.r4.issues import Issue


@lru_cache(maxsize=2)
def loaded(paths: tuple[str, ...]) -> ProfileSet:
    """Load profiles from files and folders; a second call for the same ones costs nothing.

    Raises:
        ProfileError: a file is not what it should be.
    """
    # R4's own are held against already, by `validate`.
    return load_profiles([Path(path) for path in paths], core_profile_urls())


def profile_issues(resource: bytes, paths: tuple[str, ...]) -> list[Issue]:
    """Hold a valid resource against those profiles that it names in `meta.profile`.

    Args:
        resource: valid R4 JSON.
        paths: files and folders of StructureDefinitions; none means that nothing is checked.
    """
    return loaded(paths).validate(resource) if paths else []


def constraints(paths: tuple[str, ...]) -> frozenset[str]:
    """Keys of the rules in FHIRPath that profiles state; none where they can't be loaded.

    That they can't is reported by whoever loads them to use them.
    """
    try:
        return loaded(paths).constraints if paths else frozenset()
    except (OSError, ProfileError):
        return frozenset()


def digest(paths: tuple[str, ...]) -> str:
    """SHA-256 over the names and bytes of all files that profiles come from; "" for none."""
    if not paths:
        return ""
    hasher = hashlib.sha256()
    for path in map(Path, paths):
        for file in sorted(path.rglob("*")) if path.is_dir() else [path]:
            if file.is_file():
                hasher.update(f"{file.name}\0".encode())
                hasher.update(file.read_bytes())
    return hasher.hexdigest()
