"""What worker processes run for FHIR: a unit in, Parquet parts written, counts out.

Belongs here: streaming rows through the pure functions of `bundles.py`, `validation.py` and
`enrichment.py`. Which units there are, and what becomes of the parts, is decided in `assets.py`.
Imports neither Dagster nor anything slow, since every worker pays for it.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import msgspec
import pyarrow as pa

from hc_assets.fhir.batch_facts import birth_dates, bundle_targets
from hc_assets.fhir.bundles import Entry, read_entries
from hc_assets.fhir.business_rules import BusinessRules, Facts
from hc_assets.fhir.file_validation import unreadable
from hc_assets.fhir.profile_rules import profile_issues
from hc_assets.fhir.references import links
from hc_assets.fhir.replay import Entries
from hc_assets.fhir.requests import known_id
from hc_assets.fhir.schemas import (
    QUARANTINED_RESOURCES,
    RAW_BUNDLES,
    VALIDATED_RESOURCES,
)
from hc_assets.fhir.validation import Issue, has_errors, validate
from hc_assets.lake.landing import LandedFile
from hc_assets.lake.layout import Layout
from hc_assets.lake.parts import Part, PartWriter
from hc_assets.lake.tables import RowUnit

# The rules read texts only: a number that no float holds must not stop a batch.
_decode = msgspec.json.Decoder(float_hook=str).decode
_WORST_FIRST = ("fatal", "error", "warning", "information")
_ROWS_PER_BATCH = 2_000
_BYTES_PER_BATCH = 16 * 1024**2
_KEYS = (
    "batch",
    "source_file",
    "source_sha256",
    "position",
    "resource_type",
    "resource_id",
    "full_url",
    "request_method",
    "request_url",
    "request_if_none_exist",
    "last_modified",
)


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


class _Rows:
    """Gathers rows as dicts and hands them to a writer as record batches."""

    def __init__(self, writer: PartWriter, schema: pa.Schema) -> None:
        self._writer, self._schema = writer, schema
        self._rows: list[dict[str, Any]] = []
        self._bytes = 0

    def add(self, row: dict[str, Any], size: int) -> None:
        self._rows.append(row)
        self._bytes += size
        if len(self._rows) >= _ROWS_PER_BATCH or self._bytes >= _BYTES_PER_BATCH:
            self.flush()

    def flush(self) -> None:
        if self._rows:
            self._writer.write(pa.RecordBatch.from_pylist(self._rows, self._schema))
            self._rows, self._bytes = [], 0


def split_files(unit: SplitUnit) -> list[Part]:
    """Split landed files into `fhir/raw_bundles` rows; one row for a file that can't be split."""
    layout = Layout.of(unit.data_dir)
    folder = layout.partition("fhir/raw_bundles", unit.batch)
    with PartWriter(folder, RAW_BUNDLES, number=unit.number) as writer:
        rows = _Rows(writer, RAW_BUNDLES)
        for file in unit.files:
            for entry in _entries(layout, unit.batch, file):
                rows.add(_raw_row(unit.batch, file, entry), len(entry.resource or b""))
        rows.flush()
    return writer.parts


def _entries(layout: Layout, batch: str, file: LandedFile) -> Iterator[Entry]:
    if file.problem:
        yield Entry(0, None, f"the file {file.problem}")
        return
    with layout.landed_file("fhir", batch, file.stored).open("rb") as stream:
        yield from read_entries(stream, file.media_type)


def _raw_row(batch: str, file: LandedFile, entry: Entry) -> dict[str, Any]:
    return {
        "batch": batch,
        "source_file": file.source_file,
        "source_sha256": file.sha256,
        "position": entry.position,
        "resource_type": entry.resource_type,
        "resource_id": entry.resource_id,
        "full_url": entry.full_url,
        "request_method": entry.request_method,
        "request_url": entry.request_url,
        "request_if_none_exist": entry.if_none_exist,
        "last_modified": entry.last_modified,
        "problem": entry.problem,
        "resource": entry.resource,
    }


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
        kept = _Rows(validated, VALIDATED_RESOURCES)
        set_aside = _Rows(quarantined, QUARANTINED_RESOURCES)
        for row in _rows_of(unit.rows, only):
            issues, patient_id, encounter_id = judge(row)
            broken.update(issue.rule for issue in issues)
            out = {name: row[name] for name in (*_KEYS, "resource")}
            size = len(row["resource"] or b"")
            if has_errors(issues):
                issues = sorted(issues, key=lambda issue: _WORST_FIRST.index(issue.severity))
                set_aside.add(out | {"issues": _issue_rows(issues)}, size)
                continue
            out |= {"patient_id": patient_id, "encounter_id": encounter_id}
            kept.add(out | {"warnings": _issue_rows(issues)}, size)
        kept.flush()
        set_aside.flush()
    return Judged(validated.parts, quarantined.parts, broken)


class _Judge:
    """Judges the rows of a unit, with what the batch says of their patients at hand."""

    def __init__(self, unit: ResourceUnit, rules: BusinessRules, profiles: tuple[str, ...]) -> None:
        self._profiles = profiles
        self._rules, self._now = rules, unit.landed_at
        self._targets = bundle_targets(unit.rows.siblings)
        self._birth_dates = birth_dates(unit.rows.siblings, unit.parts)

    def __call__(self, row: Mapping[str, Any]) -> tuple[list[Issue], str | None, str | None]:
        """Give the row's issues, and the patient and the encounter that it belongs to."""
        if row["problem"] is not None:
            return [unreadable(row["problem"])], None, None
        resource = row["resource"]
        if resource is None:
            return [], None, None  # a deletion: there is nothing to validate
        issues = validate(resource)
        if not has_errors(issues):
            issues += profile_issues(resource, self._profiles)
        if has_errors(issues):
            return issues, None, None
        targets = self._targets.get(row["source_sha256"], {})
        id_ = known_id(row)
        if row["resource_id"] is None:
            issues.append(_ID_MADE)
        patient, encounter = links(resource, row["resource_type"], id_, targets)
        facts = Facts(self._now, self._birth_dates.get(patient) if patient else None)
        return issues + self._rules.issues(_decode(resource), facts), patient, encounter


_ID_MADE = Issue(
    severity="warning",
    code="required",
    expression="",
    rule="id-made",
    diagnostics="the resource has no id: it is given one that the same delivery always gets",
)


def _rows_of(unit: RowUnit, only: Entries | None) -> Iterator[dict[str, Any]]:
    for batch in unit.batches():
        yield from (batch if only is None else _among(only, batch)).to_pylist()


def _among(only: Entries, rows: pa.RecordBatch) -> pa.RecordBatch:
    files, positions = rows["source_file"].to_pylist(), rows["position"].to_pylist()
    wanted = [entry in only for entry in zip(files, positions, strict=True)]
    return rows.filter(pa.array(wanted, pa.bool_()))


def _issue_rows(issues: Iterable[Issue]) -> list[dict[str, str]]:
    return [
        {
            "severity": issue.severity,
            "code": issue.code,
            "rule": issue.rule,
            "expression": issue.expression,
            "diagnostics": issue.diagnostics,
        }
        for issue in issues
    ]
