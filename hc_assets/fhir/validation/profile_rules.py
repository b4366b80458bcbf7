"""Profiles that a deployment names, loaded once per process and applied after R4's own rules.

Belongs here: finding the loaded profiles and asking them. What a profile demands is in `profiles/`.
"""

import hashlib
import re
from functools import cache, lru_cache
from pathlib import Path
from typing import Any

import msgspec

from hc_assets.fhir.bundles import envelopes
from hc_assets.fhir.profiles import ProfileSet, load_profiles
from hc_assets.fhir.r4.issues import Issue
from hc_assets.fhir.validation import has_errors


@lru_cache(maxsize=2)
def loaded(paths: tuple[str, ...]) -> ProfileSet:
    """Load profiles from files and folders; a second call for the same ones costs nothing.

    Raises:
        ProfileError: a file is not what it should be.
    """
    return load_profiles([Path(path) for path in paths])


def profile_issues(resource: bytes, paths: tuple[str, ...]) -> list[Issue]:
    """Hold a valid resource against those profiles that it names in `meta.profile`.

    Args:
        resource: valid R4 JSON.
        paths: files and folders of StructureDefinitions; none means that nothing is checked.
    """
    return loaded(paths).validate(resource) if paths else []


def issues_of_whole(data: bytes, paths: tuple[str, ...]) -> list[Issue]:
    """Find what is wrong with a Bundle or Parameters beside what is wrong with what they hold.

    Args:
        data: as for `envelopes.issues_of_whole`, whose issues these are.
        paths: as for `profile_issues`. Where a Bundle in which R4 finds no error names profiles
            itself, those issues are added that an entry's resource does not have on its own.
    """
    issues = envelopes.issues_of_whole(data)
    if not paths or has_errors(issues) or not _names_profiles(data):
        return issues
    resources = [_decode_entry(raw).resource for raw in _decode_bundle(data).entry]

    @cache
    def alone(number: int) -> set[tuple[str, str]]:
        found = profile_issues(bytes(resources[number]), paths)
        return {(issue.rule, issue.expression.partition(".")[2]) for issue in found}

    def is_of_entry(issue: Issue) -> bool:
        held = _IN_ENTRY.match(issue.expression)
        if held is None:
            return False
        return (issue.rule, issue.expression[held.end() :].lstrip(".")) in alone(int(held[1]))

    return issues + [each for each in profile_issues(data, paths) if not is_of_entry(each)]


_IN_ENTRY = re.compile(r"Bundle\.entry\[(\d+)\]\.resource\b")


class _Meta(msgspec.Struct):
    profile: Any = None


class _Entry(msgspec.Struct):
    resource: msgspec.Raw = msgspec.Raw(b"null")


class _Bundle(msgspec.Struct):
    meta: _Meta | None = None
    entry: list[msgspec.Raw] = []


_decode_bundle = msgspec.json.Decoder(_Bundle).decode
_decode_entry = msgspec.json.Decoder(_Entry).decode


def _names_profiles(data: bytes) -> bool:
    meta = _decode_bundle(data).meta
    return meta is not None and bool(meta.profile)


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
