"""Validates FHIR files as they lie, without landing them: of any size, in parallel.

Belongs here: streaming what files hold through `__init__.py`, a Bundle as the one resource that
it is. What is read of them is in `file_work.py`, how findings are printed in
`fhir/validate_command.py`.
"""

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from functools import partial
from typing import BinaryIO

import msgspec

from hc_assets.core.compute import executor, in_order
from hc_assets.core.fence import ROW_SECONDS, InternalError, fenced
from hc_assets.fhir.bundles.entries import ABSENT, Entry, Unreadable, decode_head, text_in
from hc_assets.fhir.bundles.not_data import issue_of
from hc_assets.fhir.bundles.text_streams import DEFAULT_TEXT_LIMITS, TextLimits
from hc_assets.fhir.bundles.unpacking import is_taken_apart, unpacked
from hc_assets.fhir.enrichment.quality import BEST_PRACTICE
from hc_assets.fhir.r4.fast.fast_path import holds_only_data
from hc_assets.fhir.r4.json_faults import Place, moved, place_in, without_place
from hc_assets.fhir.validation import Issue, has_errors, validate
from hc_assets.fhir.validation.file_work import FileWork, Sharing, entries_of, size_of, work_of
from hc_assets.fhir.validation.let_through import NOTHING_LET_THROUGH, LetThrough
from hc_assets.fhir.validation.places import Steps, places, steps_of
from hc_assets.fhir.validation.problems import internal_error, unreadable
from hc_assets.fhir.validation.profile_rules import NamedProfiles, profile_issues
from hc_assets.fhir.validation.release_issues import named_releases, seems_to_name_release
from hc_assets.lake.discovery import Found

DEFAULT_SHARING = Sharing()
_IN_ENTRY = re.compile(r"Bundle\.entry\[(\d+)\]\.resource\b")


@dataclass(frozen=True)
class Finding:
    """The report on one resource that has issues.

    Attributes:
        position: of the entry in its Bundle or of the line in its file, from 0; None for the Bundle
            itself.
        resource_type: None where it can't be read.
        resource_id: None where there is none.
        issues: with expressions that begin at the resource.
        line: that the resource, or the Bundle around it, begins in; from 1.
        way: members and indexes that lead to it from the Bundle that it is in; none where it is in
            none.
        places: of each issue, where they were asked for: where what it speaks of is in the file;
            None where that is not known.
    """

    position: int | None
    resource_type: str | None
    resource_id: str | None
    issues: list[Issue]
    line: int = 1
    way: Steps = ()
    places: tuple[Place | None, ...] = ()


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
    with_places: bool = False,
    stdin: BinaryIO | None = None,
) -> Iterator[Checked]:
    """Validate every resource of some files, in order and in bounded memory.

    An NDJSON file is taken line by line; a JSON document is held whole, for it is one resource.

    Args:
        files: bundles, NDJSON files and single resources, gzipped or not, and archives of them.
        workers: processes; 0 means one per core. Small inputs are judged in this process.
        profiles: files and folders of StructureDefinitions.
        best_practice: give findings of what R4 only recommends as well, and not their number alone.
        let_through: rules whose breach is only a warning.
        sharing: how work is cut for the processes.
        limits: of what is read of a file. What exceeds them is a finding.
        row_seconds: time that each resource has, as in `compute.in_order`.
        with_places: find the line and column of each issue as well.
        stdin: what a file named `file_work.STDIN` stands for.
    """
    listed = list(files)
    size = sum(size_of(found) for found in listed)
    pool = executor(-(-size // sharing.per_worker), workers)
    check = partial(
        _check,
        profiles=profiles,
        best_practice=best_practice,
        let_through=let_through,
        limits=limits,
        with_places=with_places,
    )
    lines_before = 0
    work = work_of(listed, sharing, limits, stdin)
    for checked, lines in in_order(pool, check, work, in_flight=8, row_seconds=row_seconds):
        # Lines are counted by whoever reads them; their file's earlier ones come before them.
        yield _moved(checked, lines_before) if lines_before else checked
        lines_before = lines_before + lines if lines else 0


def _moved(checked: Checked, lines: int) -> Checked:
    return replace(checked, findings=[_moved_finding(each, lines) for each in checked.findings])


def _moved_finding(finding: Finding, lines: int) -> Finding:
    """Count a finding's line from where its file begins, and not its part of the file."""
    is_line = finding.position is not None and not finding.way
    return replace(
        finding,
        position=(finding.position or 0) + lines if is_line else finding.position,
        issues=[_reworded(issue, moved(issue.diagnostics, lines)) for issue in finding.issues],
        line=finding.line + lines,
        places=tuple(
            None if place is None else place._replace(line=place.line + lines)
            for place in finding.places
        ),
    )


def _check(
    work: FileWork,
    *,
    profiles: tuple[str, ...],
    best_practice: bool,
    let_through: LetThrough,
    limits: TextLimits,
    with_places: bool,
) -> tuple[Checked, int]:
    """Judge them; the number says how many lines it has where more of its file come after it."""
    try:
        entries, lines = entries_of(work, limits)
    except OSError as error:
        return Checked(work.file, 0, [], f"can't be read: {error.strerror}"), 0
    resources = 0
    named = NamedProfiles(profiles)
    findings: list[Finding] = []
    by_rule: Counter[str] = Counter()
    for entry in entries:
        count, found = _judged(entry, profiles)
        resources += count
        of_entry: list[Finding] = []
        for each in found:
            finding = replace(each, issues=let_through.applied(each.issues))
            by_rule.update(f"{issue.severity} {issue.rule}" for issue in finding.issues)
            kept = finding.issues
            if not best_practice:
                kept = [issue for issue in kept if issue.rule not in BEST_PRACTICE]
            if kept:
                of_entry.append(replace(finding, issues=kept, line=entry.position + 1))
        findings += _with_places(entry, of_entry) if with_places and of_entry else of_entry
    checked = Checked(work.file, resources, findings, work.problem, by_rule, named.are_any)
    return checked, lines


def _with_places(entry: Entry, findings: list[Finding]) -> list[Finding]:
    wanted = [
        (*finding.way, *steps_of(issue.expression))
        for finding in findings
        for issue in finding.issues
    ]
    found = iter(places(entry.resource or b"", wanted, entry.position + 1))
    # A parser has said where it stopped.
    return [
        replace(
            finding,
            places=tuple(
                place_in(issue.diagnostics) or place
                for issue, place in zip(finding.issues, found, strict=False)
            ),
        )
        for finding in findings
    ]


def _judged(entry: Entry, profiles: tuple[str, ...]) -> tuple[int, list[Finding]]:
    judged = fenced(_judge, entry, profiles)
    if isinstance(judged, InternalError):
        issues = [internal_error(judged)]
        return 1, [Finding(entry.position, entry.resource_type, entry.resource_id, issues)]
    return judged


def _judge(entry: Entry, profiles: tuple[str, ...]) -> tuple[int, list[Finding]]:
    if entry.problem is not None:
        issues = [unreadable(entry.problem)]
    else:
        issues = _issues(entry, profiles) if entry.resource is not None else []
        if entry.position:  # the resource is a line: its parser knows only that line
            issues = [
                _reworded(issue, moved(issue.diagnostics, entry.position)) for issue in issues
            ]
    whole = Finding(entry.position, entry.resource_type, entry.resource_id, issues)
    if entry.resource_type != "Bundle" or entry.resource is None or entry.problem is not None:
        return 1, [whole] if issues else []
    return _by_entry(entry.resource, whole, profiles)


def _reworded(issue: Issue, diagnostics: str) -> Issue:
    if issue.diagnostics == diagnostics:
        return issue
    return msgspec.structs.replace(issue, diagnostics=diagnostics)


def _issues(entry: Entry, profiles: tuple[str, ...]) -> list[Issue]:
    resource = entry.resource or b""
    if entry.not_data is not None and entry.resource_type is None:
        return _not_data(entry)  # the manifest of an export, or an entry without a resource
    issues = validate(resource)
    if any(issue.severity == "fatal" for issue in issues):
        return issues
    is_r4 = not has_errors(issues)
    issues = [*issues, *_not_data(entry)]  # while it is known what was accepted last
    if is_r4 and seems_to_name_release(resource, entry.resource_type):
        issues += named_releases(resource)
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
        way = ("entry", number, "resource")
        findings.append(Finding(number, *_identity(entries[number]), issues, way=way))
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
            # A parser's place would be one in the entry, and not in the file
            issues = [_reworded(issue, without_place(issue.diagnostics)) for issue in issues]
            identity = (entry.resource_type, entry.resource_id)
            way = steps_of(entry.place or f"Bundle.entry[{entry.position}].resource")
            findings.append(Finding(entry.position, *identity, issues, way=way))
    return 1 + len(entries), findings


def _identity(entry: msgspec.Raw) -> tuple[str | None, str | None]:
    try:
        head = decode_head(_decode_entry(entry).resource)
        return text_in(head.resource_type), text_in(head.id)
    except Unreadable:
        return None, None
