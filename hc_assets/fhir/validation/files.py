"""Validates FHIR files as they lie, without landing them: of any size, in parallel.

Belongs here: streaming what files hold through `__init__.py`, a Bundle as the one resource that
it is. How findings are printed is in `fhir/validate_command.py`.
"""

import io
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import NamedTuple

import msgspec

from hc_assets.core.compute import executor, in_order
from hc_assets.core.fence import ROW_SECONDS, InternalError, fenced
from hc_assets.fhir.bundles.entries import ABSENT, Entry, Unreadable, decode_head, text_in
from hc_assets.fhir.bundles.not_data import issue_of
from hc_assets.fhir.bundles.read import ending, entries_of_lines, read_entries
from hc_assets.fhir.bundles.text_streams import (
    DEFAULT_TEXT_LIMITS,
    Lines,
    TextLimits,
    bounded_lines,
    is_packed,
    skip_line,
)
from hc_assets.fhir.bundles.unpacking import is_taken_apart, unpacked
from hc_assets.fhir.domain import FHIR_FILES
from hc_assets.fhir.enrichment.quality import BEST_PRACTICE
from hc_assets.fhir.r4.fast.fast_path import holds_only_data
from hc_assets.fhir.validation import Issue, has_errors, validate
from hc_assets.fhir.validation.let_through import NOTHING_LET_THROUGH, LetThrough
from hc_assets.fhir.validation.problems import internal_error, unreadable
from hc_assets.fhir.validation.profile_rules import NamedProfiles, profile_issues
from hc_assets.lake.discovery import Found, as_local

_LINES = "application/fhir+ndjson"
_IN_ENTRY = re.compile(r"Bundle\.entry\[(\d+)\]\.resource\b")


class Sharing(NamedTuple):
    """How work is cut for worker processes.

    Attributes:
        size: bytes of a piece of work.
        resources: of a piece of work, at most.
        per_worker: bytes below which one more process costs more to start than it saves.
    """

    size: int = 4 * 1024**2
    resources: int = 2_000
    per_worker: int = 16 * 1024**2


DEFAULT_SHARING = Sharing()


@dataclass(frozen=True)
class Finding:
    """The report on one resource that has issues.

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
        by_rule: how many issues there are of each severity and rule, those left out of `findings`
            among them.
        names_profile: whether some resource was held against one of the profiles given.
    """

    file: str
    resources: int
    findings: list[Finding]
    problem: str = ""
    by_rule: Counter[str] = field(default_factory=Counter)
    names_profile: bool = False

    def invalid(self) -> int:
        """How many resources have an error."""
        return sum(has_errors(finding.issues) for finding in self.findings)


@dataclass(frozen=True)
class _Work:
    """Work for one process: entries that have been read, a whole file, or lines of one.

    Attributes:
        file: its name.
        entries: what is to be judged; None for what is still in the file.
        begin: where the lines begin.
        end: where they end; None for all of the file.
        problem: why the file can't be read any further.
    """

    file: str
    entries: tuple[Entry, ...] | None = None
    begin: int = 0
    end: int | None = None
    problem: str = ""


def validate_files(
    files: Iterable[Found],
    *,
    workers: int = 0,
    profiles: tuple[str, ...] = (),
    best_practice: bool = True,
    let_through: LetThrough = NOTHING_LET_THROUGH,
    sharing: Sharing = DEFAULT_SHARING,
    limits: TextLimits = DEFAULT_TEXT_LIMITS,
    row_seconds: float = ROW_SECONDS,
) -> Iterator[Checked]:
    """Validate every resource of some files, in order and in bounded memory.

    An NDJSON file is taken line by line; a JSON document is held whole, for it is one resource.

    Args:
        files: bundles, NDJSON files and single resources, gzipped or not.
        workers: processes; 0 means one per core. Small inputs are judged in this process.
        profiles: files and folders of StructureDefinitions.
        best_practice: give findings of what R4 only recommends as well, and not their number alone.
        let_through: rules whose breach is only a warning.
        sharing: how work is cut for the processes.
        limits: of what is read of a file. What exceeds them is a finding.
        row_seconds: time that each resource has, as in `compute.in_order`.
    """
    listed = list(files)
    size = sum(_size(found) for found in listed)
    pool = executor(-(-size // sharing.per_worker), workers)
    check = partial(_check, profiles=profiles, best_practice=best_practice, limits=limits)
    check = partial(check, let_through=let_through)
    lines_before = 0
    work = _work(listed, sharing, limits)
    for checked, lines in in_order(pool, check, work, in_flight=8, row_seconds=row_seconds):
        # Lines are counted by whoever reads them; their file's earlier ones come before them.
        yield _moved(checked, lines_before) if lines_before else checked
        lines_before = lines_before + lines if lines else 0


def _moved(checked: Checked, lines: int) -> Checked:
    findings = [
        finding if finding.position is None else replace(finding, position=finding.position + lines)
        for finding in checked.findings
    ]
    return replace(checked, findings=findings)


def _size(found: Found) -> int:
    if found.problem:
        return 0
    try:
        return found.path.stat().st_size
    except OSError:
        return 0  # opening it meets the same error and reports it


def _work(files: Iterable[Found], sharing: Sharing, limits: TextLimits) -> Iterator[_Work]:
    for found in files:
        name = str(found.path)
        if found.problem:
            yield _Work(name, (), problem=found.problem)
            continue
        try:
            yield from _work_in(as_local(found.path), sharing, limits)
        except OSError as error:
            yield _Work(name, (), problem=f"can't be read: {error.strerror}")


def _work_in(path: Path, sharing: Sharing, limits: TextLimits) -> Iterator[_Work]:
    """A JSON document is one unit, lines are some; gzipped ones can't be read from the middle."""
    name = str(path)
    with path.open("rb") as stream:
        if FHIR_FILES.media_type(path.name) != _LINES:
            yield _Work(name)
        elif is_packed(stream):
            kept_whole = read_entries(stream, _LINES, keep_bundles=True, limits=limits)
            yield from (_Work(name, entries) for entries in _grouped(kept_whole, sharing))
        else:
            size = stream.seek(0, io.SEEK_END)
            begin = 0
            while begin + sharing.size < size:
                stream.seek(begin + sharing.size)
                skip_line(stream)
                yield _Work(name, None, begin, stream.tell())
                begin = stream.tell()
            if begin < size or size == 0:
                yield _Work(name, None, begin, size)


def _grouped(entries: Iterable[Entry], sharing: Sharing) -> Iterator[tuple[Entry, ...]]:
    group: list[Entry] = []
    size = 0
    for entry in entries:
        group.append(entry)
        size += len(entry.resource or b"")
        if size >= sharing.size or len(group) >= sharing.resources:
            yield tuple(group)
            group, size = [], 0
    if group:
        yield tuple(group)


def _check(
    work: _Work,
    profiles: tuple[str, ...],
    best_practice: bool,
    limits: TextLimits,
    let_through: LetThrough,
) -> tuple[Checked, int]:
    """Judge them; the number says how many lines it has where more of its file come after it."""
    try:
        entries, lines = _entries_of(work, limits)
    except OSError as error:
        return Checked(work.file, 0, [], f"can't be read: {error.strerror}"), 0
    resources = 0
    named = NamedProfiles(profiles)
    findings: list[Finding] = []
    by_rule: Counter[str] = Counter()
    for entry in entries:
        count, found = _judged(entry, profiles)
        resources += count
        for each in found:
            finding = replace(each, issues=let_through.applied(each.issues))
            by_rule.update(f"{issue.severity} {issue.rule}" for issue in finding.issues)
            kept = finding.issues
            if not best_practice:
                kept = [issue for issue in kept if issue.rule not in BEST_PRACTICE]
            if kept:
                findings.append(finding if best_practice else replace(finding, issues=kept))
    checked = Checked(work.file, resources, findings, work.problem, by_rule, named.are_any)
    return checked, lines


def _judged(entry: Entry, profiles: tuple[str, ...]) -> tuple[int, list[Finding]]:
    judged = fenced(_judge, entry, profiles)
    if isinstance(judged, InternalError):
        issues = [internal_error(judged)]
        return 1, [Finding(entry.position, entry.resource_type, entry.resource_id, issues)]
    return judged


def _entries_of(work: _Work, limits: TextLimits) -> tuple[Sequence[Entry], int]:
    if work.entries is not None:
        return work.entries, 0
    with Path(work.file).open("rb") as stream:
        if work.end is None:
            kind = FHIR_FILES.media_type(Path(work.file).name)
            return list(read_entries(stream, kind, keep_bundles=True, limits=limits)), 0
        stream.seek(work.begin)
        lines = Lines(bounded_lines(stream, limits.text, work.end - work.begin))
        entries = list(entries_of_lines(lines, 0, keep_bundles=True))
        stream.seek(work.end)
        has_more = stream.read(1) != b""
    if not (lines.are_blank and (work.begin or has_more)):  # a blank part of a file that has others
        entries.extend(ending(lines, lines.count))
    return entries, lines.count if has_more else 0


def _judge(entry: Entry, profiles: tuple[str, ...]) -> tuple[int, list[Finding]]:
    if entry.problem is not None:
        issues = [unreadable(entry.problem)]
    else:
        issues = _issues(entry, profiles) if entry.resource is not None else []
    whole = Finding(entry.position, entry.resource_type, entry.resource_id, issues)
    if entry.resource_type != "Bundle" or entry.resource is None or entry.problem is not None:
        return 1, [whole] if issues else []
    return _by_entry(entry.resource, whole, profiles)


def _issues(entry: Entry, profiles: tuple[str, ...]) -> list[Issue]:
    resource = entry.resource or b""
    if entry.not_data is not None and entry.resource_type is None:
        return _not_data(entry)  # the manifest of an export, or an entry without a resource
    issues = validate(resource)
    if any(issue.severity == "fatal" for issue in issues):
        return issues
    issues = [*issues, *_not_data(entry)]  # while it is known what was accepted last
    return issues + profile_issues(resource, profiles)


def _not_data(entry: Entry) -> list[Issue]:
    """What `ingest` sets aside, as it says it, of what has just been validated."""
    if entry.not_data is not None:
        return [issue_of(entry.not_data, entry.resource_type or "")]
    if not is_taken_apart(entry.resource_type):
        return []
    if entry.resource_type == "Bundle" and holds_only_data():
        return []
    held = unpacked(msgspec.structs.replace(entry, position=0))
    return [issue_of(each.not_data, _place(each, entry)) for each in held if each.not_data]


def _place(held: Entry, whole: Entry) -> str:
    if held.resource is whole.resource:
        return str(whole.resource_type)
    within = ".resource" if held.resource_type is not None else ""
    return held.place or f"Bundle.entry[{held.position}]{within}"


class _Bundle(msgspec.Struct):
    entry: list[msgspec.Raw]


class _BundleEntry(msgspec.Struct):
    resource: msgspec.Raw = ABSENT


_decode_bundle = msgspec.json.Decoder(_Bundle).decode
_decode_entry = msgspec.json.Decoder(_BundleEntry).decode


def _by_entry(
    bundle: bytes, whole: Finding, profiles: tuple[str, ...]
) -> tuple[int, list[Finding]]:
    """Assign each entry its issues, and leave the rest to the Bundle."""
    if any(issue.severity == "fatal" for issue in whole.issues):
        return _one_by_one(bundle, whole, profiles)
    try:
        entries = _decode_bundle(bundle).entry
    except Unreadable:
        return 1, [whole] if whole.issues else []
    of_entry: dict[int, list[Issue]] = {}
    of_bundle: list[Issue] = []
    for issue in whole.issues:
        inside = _IN_ENTRY.match(issue.expression)
        if inside is None:
            of_bundle.append(issue)
            continue
        number = int(inside[1])
        type_, _ = _identity(entries[number])
        expression = f"{type_ or 'Resource'}{issue.expression[inside.end() :]}"
        moved = msgspec.structs.replace(issue, expression=expression)
        of_entry.setdefault(number, []).append(moved)
    findings = [replace(whole, position=None, issues=of_bundle)] if of_bundle else []
    for number, issues in sorted(of_entry.items()):
        findings.append(Finding(number, *_identity(entries[number]), issues))
    return 1 + len(entries), findings


def _one_by_one(
    bundle: bytes, whole: Finding, profiles: tuple[str, ...]
) -> tuple[int, list[Finding]]:
    """Judge the entries of a Bundle that can't be judged as one, each as if it were ingested."""
    entries = list(unpacked(Entry(0, bundle, None, "Bundle")))
    if entries[0].resource is bundle:
        return 1, [whole]  # it can't be split either
    findings = [replace(whole, position=None)]
    for entry in entries:
        if entry.resource is None:
            continue
        issues = [unreadable(entry.problem)] if entry.problem else _issues(entry, profiles)
        if issues:
            found = Finding(entry.position, entry.resource_type, entry.resource_id, issues)
            findings.append(found)
    return 1 + len(entries), findings


def _identity(entry: msgspec.Raw) -> tuple[str | None, str | None]:
    try:
        head = decode_head(_decode_entry(entry).resource)
        return text_in(head.resource_type), text_in(head.id)
    except Unreadable:
        return None, None
