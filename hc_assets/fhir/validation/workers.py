"""What worker processes run for FHIR: a unit in, Parquet parts written, counts out.

Belongs here: streaming rows through the pure functions of `fhir/bundles/read.py`, `__init__.py` and
`fhir/enrichment/enricher.py`. Which units there are, and what becomes of the parts, is decided in
`fhir/assets.py`. Imports neither Dagster nor anything slow, since every worker pays for it.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

import numpy as np
import pyarrow as pa

from hc_assets.core.compute import no_cycles
from hc_assets.fhir.bundles.entries import Entry
from hc_assets.fhir.bundles.entry_columns import (
    DEFAULT_BOUNDS,
    Bounds,
    Columns,
    columns_of,
    read_columns,
)
from hc_assets.fhir.bundles.requests import IDENTITY, known_id
from hc_assets.fhir.references import decode_members, links_of
from hc_assets.fhir.schemas import (
    ISSUE,
    QUARANTINED_RESOURCES,
    RAW_BUNDLES,
    VALIDATED_RESOURCES,
)
from hc_assets.fhir.validation import Issue, has_errors, validate
from hc_assets.fhir.validation.batch_facts import birth_dates, bundle_targets
from hc_assets.fhir.validation.business_rules import BusinessRules, Facts
from hc_assets.fhir.validation.files import unreadable
from hc_assets.fhir.validation.profile_rules import profile_issues
from hc_assets.fhir.validation.replay import Entries
from hc_assets.lake.landing import LandedFile
from hc_assets.lake.layout import Layout
from hc_assets.lake.parts import PART_BYTES, Part, PartWriter
from hc_assets.lake.tables import RowUnit

_WORST_FIRST = ("fatal", "error", "warning", "information")
_ROWS_PER_BATCH = 2_000


@dataclass(frozen=True)
class SplitUnit:
    """Files of one batch to be split, and the number of the part they fill."""

    data_dir: str
    batch: str
    files: tuple[LandedFile, ...]
    number: int


@dataclass(frozen=True)
class ResourceUnit:
    """Rows of one batch to be judged or enriched.

    `parts` are those of the whole batch, and `raw_parts` those of its raw rows.
    """

    data_dir: str
    batch: str
    rows: RowUnit
    landed_at: datetime
    parts: tuple[str, ...]
    raw_parts: tuple[str, ...]


@dataclass(frozen=True)
class Judged:
    """What became of a unit's rows: parts of both tables, and how often each rule was broken."""

    validated: list[Part]
    quarantined: list[Part]
    broken_rules: Counter[str]


@no_cycles()
def split_files(
    unit: SplitUnit, *, bounds: Bounds = DEFAULT_BOUNDS, part_bytes: int = PART_BYTES
) -> list[Part]:
    """Split landed files into `fhir/raw_bundles` rows; one row for a file that can't be split.

    Args:
        unit: the files.
        bounds: of what is written at a time.
        part_bytes: size from which a part is full.
    """
    layout = Layout.of(unit.data_dir)
    folder = layout.partition("fhir/raw_bundles", unit.batch)
    with PartWriter(folder, RAW_BUNDLES, number=unit.number, part_bytes=part_bytes) as writer:
        for file in unit.files:
            for columns in _columns(layout, unit.batch, file, bounds):
                writer.write(_raw_rows(unit.batch, file, columns))
    return writer.parts


def _columns(layout: Layout, batch: str, file: LandedFile, bounds: Bounds) -> Iterator[Columns]:
    if file.problem:
        yield columns_of([Entry(0, None, f"the file {file.problem}")])
        return
    with layout.landed_file("fhir", batch, file.stored).open("rb") as stream:
        yield from read_columns(stream, file.media_type, bounds)


def _raw_rows(batch: str, file: LandedFile, columns: Columns) -> pa.RecordBatch:
    of_file = {"batch": batch, "source_file": file.source_file, "source_sha256": file.sha256}
    count = len(columns["position"])
    arrays = [
        pa.repeat(of_file[field.name], count) if field.name in of_file else columns[field.name]
        for field in RAW_BUNDLES
    ]
    return pa.RecordBatch.from_arrays(arrays, schema=RAW_BUNDLES)


@no_cycles()
def validate_rows(
    unit: ResourceUnit,
    rules: BusinessRules,
    profiles: tuple[str, ...] = (),
    *,
    only: Entries | None = None,
    first_number: int = 0,
) -> Judged:
    """Send each raw row to `fhir/validated_resources` or, with every reason, to quarantine.

    Args:
        unit: of raw rows.
        rules: of the deployment.
        profiles: files and folders of StructureDefinitions.
        only: source file and position of the entries to be judged; all where None.
        first_number: added to the unit's number in the names of the parts of valid rows.
    """
    layout = Layout.of(unit.data_dir)
    number = unit.rows.number
    good = layout.partition("fhir/validated_resources", unit.batch)
    bad = layout.partition("fhir/quarantined_resources", unit.batch)
    judge = _Judge(unit, rules, profiles)
    broken: Counter[str] = Counter()
    with (
        PartWriter(good, VALIDATED_RESOURCES, number=first_number + number) as validated,
        PartWriter(bad, QUARANTINED_RESOURCES, number=number) as quarantined,
    ):
        for rows in _slices(unit.rows, only):
            verdicts = judge(rows)
            valid, invalid = _apart(verdicts)
            for verdict in verdicts:
                broken.update([issue.rule for issue in verdict.issues])
            validated.write(_with(rows, valid, verdicts, VALIDATED_RESOURCES))
            quarantined.write(_with(rows, invalid, verdicts, QUARANTINED_RESOURCES))
    return Judged(validated.parts, quarantined.parts, broken)


class _Verdict(NamedTuple):
    """What there is to say of a row: its issues, its patient and encounter, whether it is valid."""

    issues: list[Issue]
    patient_id: str | None = None
    encounter_id: str | None = None
    is_valid: bool = True


def _apart(verdicts: Sequence[_Verdict]) -> tuple[list[int], list[int]]:
    good = [number for number, verdict in enumerate(verdicts) if verdict.is_valid]
    bad = [number for number, verdict in enumerate(verdicts) if not verdict.is_valid]
    return good, bad


def _with(
    rows: pa.RecordBatch, chosen: list[int], verdicts: Sequence[_Verdict], schema: pa.Schema
) -> pa.RecordBatch:
    """Give the chosen rows with what there is to say of them."""
    kept = rows if len(chosen) == rows.num_rows else rows.take(pa.array(chosen, pa.int64()))
    of_kept = [verdicts[number] for number in chosen]
    made: dict[str, Callable[[], pa.Array]] = {
        "patient_id": lambda: pa.array([v.patient_id for v in of_kept], pa.string()),
        "encounter_id": lambda: pa.array([v.encounter_id for v in of_kept], pa.string()),
        "warnings": lambda: issue_lists([v.issues for v in of_kept]),
        "issues": lambda: issue_lists([sorted(v.issues, key=_badness) for v in of_kept]),
    }
    arrays = [made[name]() if name in made else kept[name] for name in schema.names]
    return pa.RecordBatch.from_arrays(arrays, schema=schema)


def _badness(issue: Issue) -> int:
    return _WORST_FIRST.index(issue.severity)


def issue_lists(lists: Sequence[Sequence[Issue] | None]) -> pa.Array:
    """Give issues as a column of lists of `ISSUE`; null where there is no list."""
    ends = np.cumsum([0, *(len(each or ()) for each in lists)], dtype=np.int32)
    flat = [issue for issues in lists for issue in issues or ()]
    columns = [pa.array([getattr(i, f.name) for i in flat], f.type) for f in ISSUE]
    absent = pa.array([each is None for each in lists], pa.bool_())
    items = pa.StructArray.from_arrays(columns, fields=list(ISSUE))
    return pa.ListArray.from_arrays(pa.array(ends), items, pa.list_(ISSUE), mask=absent)


class _Judge:
    """Judges the rows of a unit, with what the batch says of their patients at hand."""

    def __init__(self, unit: ResourceUnit, rules: BusinessRules, profiles: tuple[str, ...]) -> None:
        self._profiles = profiles
        self._rules, self._now = rules, unit.landed_at
        self._targets = bundle_targets(unit.rows.siblings)
        self._birth_dates = birth_dates(unit.rows.siblings, unit.parts)

    def __call__(self, rows: pa.RecordBatch) -> list[_Verdict]:
        """Judge each of some raw rows."""
        problems, resources = rows["problem"].to_pylist(), rows["resource"].to_pylist()
        files = rows["source_sha256"].to_pylist()
        identities = zip(*(rows[name].to_pylist() for name in IDENTITY), strict=True)
        return [
            self._judged(problem, resource, file, identity)
            for problem, resource, file, identity in zip(
                problems, resources, files, identities, strict=True
            )
        ]

    def _judged(
        self,
        problem: str | None,
        resource: bytes | None,
        file: str,
        identity: tuple[str | None, ...],
    ) -> _Verdict:
        if problem is not None:
            return _Verdict([unreadable(problem)], is_valid=False)
        if resource is None:
            return _Verdict([])  # a deletion: there is nothing to validate
        issues = validate(resource)
        if self._profiles and not has_errors(issues):
            issues += profile_issues(resource, self._profiles)
        if has_errors(issues):
            return _Verdict(issues, is_valid=False)
        resource_type, id_, *_ = identity
        if id_ is None:
            issues.append(_ID_MADE)
            id_ = known_id(dict(zip(IDENTITY, identity, strict=True)))
        targets = self._targets.get(file, _NO_TARGETS)
        members = decode_members(resource)
        patient, encounter = links_of(members, str(resource_type), id_, targets)
        facts = Facts(self._now, self._birth_dates.get(patient) if patient else None)
        broken = self._rules.issues_of(members, facts)
        if not broken:
            return _Verdict(issues, patient, encounter)
        return _Verdict(issues + broken, patient, encounter, not has_errors(broken))


_NO_TARGETS: Mapping[str, str] = {}
_ID_MADE = Issue(
    severity="warning",
    code="required",
    expression="",
    rule="id-made",
    diagnostics="the resource has no id: it is given one that the same delivery always gets",
)


def _slices(unit: RowUnit, only: Entries | None) -> Iterator[pa.RecordBatch]:
    """Rows to be judged, some at a time; row groups may hold far more small ones."""
    for rows in unit.batches():
        wanted = rows if only is None else _among(only, rows)
        for start in range(0, wanted.num_rows, _ROWS_PER_BATCH):
            yield wanted.slice(start, _ROWS_PER_BATCH)


def _among(only: Entries, rows: pa.RecordBatch) -> pa.RecordBatch:
    files, positions = rows["source_file"].to_pylist(), rows["position"].to_pylist()
    wanted = [entry in only for entry in zip(files, positions, strict=True)]
    return rows.filter(pa.array(wanted, pa.bool_()))
