"""What worker processes run to judge raw rows: rows in, Parquet parts written, counts out.

Belongs here: streaming rows through the pure functions of `__init__.py`, `profile_rules.py` and
`business_rules.py`. How rows are shared out among workers, and what becomes of the parts, is
decided in `fhir/assets.py`. Imports neither Dagster nor anything slow, since every worker pays for
it.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import pyarrow as pa

from hc_assets.core.compute import no_cycles
from hc_assets.core.fence import InternalError, fenced
from hc_assets.core.fenced_rows import fenced_rows
from hc_assets.core.places import at
from hc_assets.fhir.bundles.not_data import INVALID, NOT_DATA, issue_of
from hc_assets.fhir.bundles.requests import IDENTITY, known_id
from hc_assets.fhir.references import decode_members, links_of
from hc_assets.fhir.schemas import (
    QUARANTINED_RESOURCES,
    RAW_BUNDLES,
    VALIDATED_RESOURCES,
)
from hc_assets.fhir.validation import Issue, has_errors, validate
from hc_assets.fhir.validation.batch_facts import birth_dates, bundle_targets
from hc_assets.fhir.validation.business_rules import BusinessRules, Facts
from hc_assets.fhir.validation.deletions import KnownServers, refused_deletions
from hc_assets.fhir.validation.issue_columns import issue_lists
from hc_assets.fhir.validation.problems import internal_error, unreadable
from hc_assets.fhir.validation.profile_rules import profile_issues
from hc_assets.fhir.validation.release_issues import RULE, may_name_release, named_releases
from hc_assets.fhir.validation.replay import Entries
from hc_assets.fhir.validation.resource_work import ResourceWork, place_of
from hc_assets.lake.layout import Layout
from hc_assets.lake.parts import Part, PartWriter
from hc_assets.lake.tables import RowWork

_WORST_FIRST = ("fatal", "error", "warning", "information")
_ROWS_PER_BATCH = 2_000
_NO_SERVERS: KnownServers = {}


@dataclass(frozen=True)
class Judged:
    """What became of some rows: parts of both tables, and how often each rule was broken."""

    validated: list[Part]
    quarantined: list[Part]
    broken_rules: Counter[str]


@no_cycles()
def validate_rows(
    work: ResourceWork,
    rules: BusinessRules,
    profiles: tuple[str, ...] = (),
    *,
    servers: KnownServers = _NO_SERVERS,
    only: Entries | None = None,
    first_number: int = 0,
) -> Judged:
    """Send each raw row to `fhir/validated_resources` or, with every reason, to quarantine.

    Args:
        work: of raw rows.
        rules: of the deployment.
        profiles: files and folders of StructureDefinitions.
        servers: that deletions may name.
        only: source file and position of the entries to be judged; all where None.
        first_number: added to the work's number in the names of the parts of valid rows.
    """
    layout = Layout.of(work.data_dir)
    number = work.rows.number
    good = layout.partition("fhir/validated_resources", work.batch)
    bad = layout.partition("fhir/quarantined_resources", work.batch)
    judge = _Judge(work, rules, profiles, servers)
    broken: Counter[str] = Counter()
    with (
        PartWriter(good, VALIDATED_RESOURCES, number=first_number + number) as validated,
        PartWriter(bad, QUARANTINED_RESOURCES, number=number) as quarantined,
    ):
        for rows in _slices(work.rows, only):
            with at(place_of(rows)):
                for judged in fenced_rows(partial(_judged, judge), rows, _not_judged):
                    broken.update(judged.broken_rules)
                    validated.write(judged.validated)
                    quarantined.write(judged.quarantined)
    return Judged(validated.parts, quarantined.parts, broken)


class _Verdict(NamedTuple):
    """What there is to say of a row.

    Attributes:
        issues: of it.
        patient_id: that it is about.
        encounter_id: that it belongs to.
        class_: in quarantine: `INVALID` or `NOT_DATA`; None for a row that goes on.
    """

    issues: list[Issue]
    patient_id: str | None = None
    encounter_id: str | None = None
    class_: str | None = None


class _JudgedRows(NamedTuple):
    """Rows of both tables, and the rules that they broke, each as often as it was."""

    validated: pa.RecordBatch
    quarantined: pa.RecordBatch
    broken_rules: list[str]


def _judged(judge: "_Judge", rows: pa.RecordBatch) -> _JudgedRows:
    return _with_verdicts(rows, judge(rows))


def _not_judged(row: pa.RecordBatch, failure: InternalError) -> _JudgedRows:
    return _with_verdicts(row, [_stopped(failure)] * row.num_rows)


def _stopped(failure: InternalError) -> _Verdict:
    return _Verdict([internal_error(failure)], class_=INVALID)


def _with_verdicts(rows: pa.RecordBatch, verdicts: Sequence[_Verdict]) -> _JudgedRows:
    valid, invalid = _apart(verdicts)
    return _JudgedRows(
        _with(rows, valid, verdicts, VALIDATED_RESOURCES),
        _with(rows, invalid, verdicts, QUARANTINED_RESOURCES),
        [issue.rule for verdict in verdicts for issue in verdict.issues],
    )


def _apart(verdicts: Sequence[_Verdict]) -> tuple[list[int], list[int]]:
    good = [number for number, verdict in enumerate(verdicts) if verdict.class_ is None]
    bad = [number for number, verdict in enumerate(verdicts) if verdict.class_ is not None]
    return good, bad


def _with(
    rows: pa.RecordBatch, chosen: list[int], verdicts: Sequence[_Verdict], schema: pa.Schema
) -> pa.RecordBatch:
    """Return the chosen rows with their verdicts as columns."""
    kept = rows if len(chosen) == rows.num_rows else rows.take(pa.array(chosen, pa.int64()))
    of_kept = [verdicts[number] for number in chosen]
    made: dict[str, Callable[[], pa.Array]] = {
        "patient_id": lambda: pa.array([v.patient_id for v in of_kept], pa.string()),
        "encounter_id": lambda: pa.array([v.encounter_id for v in of_kept], pa.string()),
        "warnings": lambda: issue_lists([v.issues for v in of_kept]),
        "class": lambda: pa.array([v.class_ for v in of_kept], pa.string()),
        "issues": lambda: issue_lists([sorted(v.issues, key=_badness) for v in of_kept]),
    }
    arrays = [made[name]() if name in made else kept[name] for name in schema.names]
    return pa.RecordBatch.from_arrays(arrays, schema=schema)


def _badness(issue: Issue) -> int:
    return _WORST_FIRST.index(issue.severity)


class _Judge:
    """Judges rows, with what the batch says about their patients at hand."""

    def __init__(
        self,
        work: ResourceWork,
        rules: BusinessRules,
        profiles: tuple[str, ...],
        servers: KnownServers,
    ) -> None:
        self._profiles, self._servers = profiles, servers
        self._rules, self._now = rules, work.landed_at
        targets = bundle_targets(work.rows.siblings)
        dates = birth_dates(work.rows.siblings, work.parts)
        self._targets, self._birth_dates = targets.by_file, dates.by_patient
        self._failures = targets.failures | dates.failures

    def __call__(self, rows: pa.RecordBatch) -> list[_Verdict]:
        """Judge each of some raw rows; what one raises is its own verdict."""
        aside, resources = _set_aside(rows), rows["resource"].to_pylist()
        files, positions = (rows[name].to_pylist() for name in ("source_sha256", "position"))
        identities = zip(*(rows[name].to_pylist() for name in IDENTITY), strict=True)
        sources = rows["source"].to_pylist()
        verdicts = [
            fenced(self._judged, *row)
            for row in zip(aside, resources, files, identities, sources, strict=True)
        ]
        found = [_stopped(each) if isinstance(each, InternalError) else each for each in verdicts]
        if self._failures:
            for number, entry in enumerate(zip(files, positions, strict=True)):
                if entry in self._failures and found[number].class_ is None:
                    found[number] = _stopped(self._failures[entry])
        for number, issue in refused_deletions(rows, self._servers).items():
            found[number] = _Verdict([issue], class_=NOT_DATA)
        return found

    def _judged(
        self,
        aside: "_Aside | None",
        resource: bytes | None,
        file: str,
        identity: tuple[str | None, ...],
        source: str | None,
    ) -> _Verdict:
        if aside is not None and aside.problem is not None:
            return _Verdict([unreadable(aside.problem)], class_=INVALID)
        milder = self._rules.let_through.applied
        if aside is not None and aside.issues:
            of_whole = milder([Issue(**issue) for issue in aside.issues], source)
            return _Verdict(of_whole, class_=INVALID if has_errors(of_whole) else NOT_DATA)
        if resource is None:
            return _Verdict([])  # a deletion: there is nothing to validate
        resource_type, id_, *_ = identity
        not_data = None if aside is None else aside.not_data
        issues = []
        if not_data is None or resource_type is not None:  # a manifest or a request is no resource
            issues = milder(validate(resource), source)
            if self._profiles and not has_errors(issues):
                issues += milder(profile_issues(resource, self._profiles), source)
        if has_errors(issues):
            return _Verdict(issues, class_=INVALID)
        if not_data is not None:
            # What R4 only recommends is no reason for anything here.
            return _Verdict([issue_of(not_data)], class_=NOT_DATA)
        if id_ is None:
            issues.append(_ID_MADE)
            id_ = known_id(dict(zip(IDENTITY, identity, strict=True)))
        targets = self._targets.get(file, _NO_TARGETS)
        members = decode_members(resource)
        if may_name_release(members) and all(issue.rule != RULE for issue in issues):
            issues += named_releases(resource)
        patient, encounter = links_of(members, str(resource_type), id_, targets, source)
        born = self._birth_dates.get((source, patient)) if patient else None
        facts = Facts(self._now, born)
        broken = milder(self._rules.issues_of(members, facts), source)
        if not broken:
            return _Verdict(issues, patient, encounter)
        class_ = INVALID if has_errors(broken) else None
        return _Verdict(issues + broken, patient, encounter, class_)


class _Aside(NamedTuple):
    """Why a row is no resource, or not to be kept: columns of `RAW_BUNDLES`."""

    problem: str | None
    not_data: str | None
    issues: list[dict[str, Any]] | None


def _set_aside(rows: pa.RecordBatch) -> list[_Aside | None]:
    """What splitting says of each row; nearly always nothing."""
    columns = [rows[name] for name in _Aside._fields]
    if all(column.null_count == len(column) for column in columns):
        return [None] * rows.num_rows
    each = zip(*(column.to_pylist() for column in columns), strict=True)
    return [None if row == _NOTHING else _Aside(*row) for row in each]


_NOTHING = (None, None, None)
_NO_TARGETS: Mapping[str, str] = {}
_ID_MADE = Issue(
    severity="warning",
    code="required",
    expression="",
    rule="id-made",
    diagnostics="the resource has no id: it is given one that the same delivery always gets",
)


def _slices(rows: RowWork, only: Entries | None) -> Iterator[pa.RecordBatch]:
    """Rows to be judged, some at a time; row groups may hold far more small ones."""
    for batch in rows.batches():
        known = _with_all_columns(batch)
        wanted = known if only is None else _among(only, known)
        for start in range(0, wanted.num_rows, _ROWS_PER_BATCH):
            yield wanted.slice(start, _ROWS_PER_BATCH)


def _with_all_columns(rows: pa.RecordBatch) -> pa.RecordBatch:
    """Rows with the columns that a version before did not have yet: nothing is in them."""
    for field in RAW_BUNDLES:
        if field.name not in rows.schema.names:
            rows = rows.append_column(field, pa.nulls(rows.num_rows, field.type))
    return rows


def _among(only: Entries, rows: pa.RecordBatch) -> pa.RecordBatch:
    files, positions = rows["source_file"].to_pylist(), rows["position"].to_pylist()
    wanted = [entry in only for entry in zip(files, positions, strict=True)]
    return rows.filter(pa.array(wanted, pa.bool_()))
