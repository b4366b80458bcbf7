"""Validates FHIR files as they lie, without landing them: of any size, in parallel.

Belongs here: streaming what files hold through `validation.py`, a Bundle as the one resource that
it is. How findings are shown is in `cli.py`.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import msgspec

from hc_assets.compute import executor, in_order
from hc_assets.fhir.bundles import Entry, read_entries
from hc_assets.fhir.profile_rules import profile_issues
from hc_assets.fhir.validation import Issue, has_errors, validate
from hc_assets.lake.discovery import Found
from hc_assets.lake.landing import media_type

_UNIT_BYTES = 4 * 1024**2
_UNIT_RESOURCES = 2_000
# Below this, starting worker processes costs more than they save.
_WORTH_SHARING_BYTES = 16 * 1024**2
_IN_ENTRY = re.compile(r"Bundle\.entry\[(\d+)\]\.resource\b")


@dataclass(frozen=True)
class Finding:
    """What is to be said of one resource that has issues.

    Attributes:
        position: of the entry in its Bundle or of the line in its file, from 0; None for the Bundle
            itself.
        resource_type: None where it can't be read.
        resource_id: None where there is none.
        issues: with expressions that begin at the resource.
    """

    position: int | None
    resource_type: str | None
    resource_id: str | None
    issues: list[Issue]


@dataclass(frozen=True)
class Checked:
    """What came of some consecutive resources of a file.

    Attributes:
        file: its name, as given or found.
        resources: how many were judged, entries of a Bundle one by one, beside the Bundle.
        findings: on those that have issues.
        problem: why the file can't be read to its end; "" where it can.
    """

    file: str
    resources: int
    findings: list[Finding]
    problem: str = ""

    def invalid(self) -> int:
        """How many resources have an error."""
        return sum(has_errors(finding.issues) for finding in self.findings)


@dataclass(frozen=True)
class _Unit:
    file: str
    entries: tuple[Entry, ...]
    problem: str = ""


def validate_files(
    files: Iterable[Found], *, workers: int = 0, profiles: tuple[str, ...] = ()
) -> Iterator[Checked]:
    """Validate every resource of some files, in order and in bounded memory.

    An NDJSON file is streamed; a JSON document is held whole, for it is one resource.

    Args:
        files: bundles, NDJSON files and single resources, gzipped or not.
        workers: processes; 0 means one per core. Small inputs are judged in this process.
        profiles: files and folders of StructureDefinitions.
    """
    listed = list(files)
    size = sum(_size(found) for found in listed)
    pool = executor(-(-size // _WORTH_SHARING_BYTES), workers)
    check = partial(_check, profiles=profiles)
    yield from in_order(pool, check, _units(listed), in_flight=8)


def _size(found: Found) -> int:
    if found.problem:
        return 0
    try:
        return found.path.stat().st_size
    except OSError:
        return 0  # opening it meets the same error and says so


def _units(files: Iterable[Found]) -> Iterator[_Unit]:
    for found in files:
        name = str(found.path)
        if found.problem:
            yield _Unit(name, (), found.problem)
            continue
        try:
            with found.path.open("rb") as stream:
                kept_whole = read_entries(stream, media_type(found.path.name), keep_bundles=True)
                yield from (_Unit(name, entries) for entries in _grouped(kept_whole))
        except OSError as error:
            yield _Unit(name, (), f"can't be read: {error.strerror}")


def _grouped(entries: Iterable[Entry]) -> Iterator[tuple[Entry, ...]]:
    group: list[Entry] = []
    size = 0
    for entry in entries:
        group.append(entry)
        size += len(entry.resource or b"")
        if size >= _UNIT_BYTES or len(group) >= _UNIT_RESOURCES:
            yield tuple(group)
            group, size = [], 0
    if group:
        yield tuple(group)


def _check(unit: _Unit, profiles: tuple[str, ...]) -> Checked:
    resources = 0
    findings: list[Finding] = []
    for entry in unit.entries:
        count, found = _judge(entry, profiles)
        resources += count
        findings += found
    return Checked(unit.file, resources, findings, unit.problem)


def _judge(entry: Entry, profiles: tuple[str, ...]) -> tuple[int, list[Finding]]:
    if entry.problem is not None:
        issues = [unreadable(entry.problem)]
    else:
        issues = _issues(entry.resource, profiles) if entry.resource is not None else []
    whole = Finding(entry.position, entry.resource_type, entry.resource_id, issues)
    if entry.resource_type != "Bundle" or entry.resource is None or entry.problem is not None:
        return 1, [whole] if issues else []
    return _by_entry(entry.resource, whole)


def _issues(resource: bytes, profiles: tuple[str, ...]) -> list[Issue]:
    issues = validate(resource)
    unreadable_as_r4 = any(issue.severity == "fatal" for issue in issues)
    return issues if unreadable_as_r4 else issues + profile_issues(resource, profiles)


class _Bundle(msgspec.Struct):
    entry: Any = None


# Only types and ids are read from entries: a number that no float holds must not hide them.
_decode_bundle = msgspec.json.Decoder(_Bundle, float_hook=str).decode


def _by_entry(bundle: bytes, whole: Finding) -> tuple[int, list[Finding]]:
    """Give each entry's issues to the entry, and leave the rest to the Bundle."""
    try:
        entries = _decode_bundle(bundle).entry
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        entries = None
    if not isinstance(entries, list):
        return 1, [whole] if whole.issues else []
    of_entry: dict[int, list[Issue]] = {}
    of_bundle: list[Issue] = []
    for issue in whole.issues:
        inside = _IN_ENTRY.match(issue.expression)
        if inside is None:
            of_bundle.append(issue)
            continue
        number = int(inside[1])
        type_, _ = _identity(entries, number)
        expression = f"{type_ or 'Resource'}{issue.expression[inside.end() :]}"
        moved = msgspec.structs.replace(issue, expression=expression)
        of_entry.setdefault(number, []).append(moved)
    findings = [replace(whole, position=None, issues=of_bundle)] if of_bundle else []
    for number, issues in sorted(of_entry.items()):
        findings.append(Finding(number, *_identity(entries, number), issues))
    return 1 + len(entries), findings


def _identity(entries: list[Any], number: int) -> tuple[str | None, str | None]:
    entry = entries[number]
    resource = entry.get("resource") if isinstance(entry, dict) else None
    if not isinstance(resource, dict):
        return None, None
    type_, id_ = resource.get("resourceType"), resource.get("id")
    return (type_ if isinstance(type_, str) else None, id_ if isinstance(id_, str) else None)


def unreadable(problem: str) -> Issue:
    """Say as an issue that no resource could be taken from a place."""
    return Issue(
        severity="fatal", code="structure", expression="", rule="unreadable", diagnostics=problem
    )
