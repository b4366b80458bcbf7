"""What worker processes run to enrich a batch: facts gathered, rows enriched, rows judged again.

Belongs here: streaming the columns of record batches through the pure functions of `batch_index.py`
and `enrichment.py`. Imports neither Dagster nor anything slow, since every worker pays for it.
"""

from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from upath import UPath

from hc_assets.fhir.batch_facts import bundle_targets
from hc_assets.fhir.batch_index import (
    COLUMNS,
    BatchIndex,
    Gathered,
    entry_key,
    gather,
    key_of,
    patient_facts,
)
from hc_assets.fhir.consistency import NO_FACTS, Facts
from hc_assets.fhir.enrichment import Enriched, Enricher, EnrichmentOptions
from hc_assets.fhir.quality import BEST_PRACTICE
from hc_assets.fhir.r4.issues import Issue
from hc_assets.fhir.references import local_reference, references
from hc_assets.fhir.schemas import ENRICHED_RESOURCES, ISSUE
from hc_assets.fhir.statements import statements
from hc_assets.fhir.steps import ResourceUnit
from hc_assets.fhir.validation import is_valid
from hc_assets.lake.layout import Layout
from hc_assets.lake.parts import Part, PartWriter

# The column by which a resource of a type belongs to itself.
_ITSELF = {"Patient": "patient_id", "Encounter": "encounter_id"}
_READ = (
    "source_sha256",
    "full_url",
    "resource_type",
    "resource_id",
    "patient_id",
    "encounter_id",
    "resource",
)
# Rows whose results are held at once; row groups may hold far more small ones.
_ROWS_PER_BATCH = 5_000


def gather_facts(unit: ResourceUnit) -> Gathered:
    """Gather what the rows of a unit say of patients, encounters and ids."""
    return gather(unit.rows.batches(COLUMNS))


@lru_cache(maxsize=1)
def _index(path: str) -> BatchIndex:
    return BatchIndex.load(UPath(path))


def enrich_rows(unit: ResourceUnit, options: EnrichmentOptions, index: str) -> list[Part]:
    """Enrich each validated row; a deletion passes through.

    Args:
        unit: of validated rows.
        options: of the deployment.
        index: path of the batch's `BatchIndex`.
    """
    folder = Layout.of(unit.data_dir).partition("fhir/enriched_resources", unit.batch)
    enricher = Enricher(unit.landed_at, options)
    found = _Facts(_index(index), bundle_targets(unit.rows.siblings))
    with PartWriter(folder, ENRICHED_RESOURCES, number=unit.rows.number) as writer:
        for whole in unit.rows.batches():
            for start in range(0, whole.num_rows, _ROWS_PER_BATCH):
                rows = whole.slice(start, _ROWS_PER_BATCH)
                writer.write(_enriched(rows, unit, enricher, found))
    return writer.parts


class _Row(NamedTuple):
    source_sha256: str
    full_url: str | None
    resource_type: str
    resource_id: str | None
    patient_id: str | None
    encounter_id: str | None
    resource: bytes | None


def _enriched(
    rows: pa.RecordBatch, unit: ResourceUnit, enricher: Enricher, found: "_Facts"
) -> pa.RecordBatch:
    read = [_Row(*row) for row in zip(*(rows[name].to_pylist() for name in _READ), strict=True)]
    links, facts = found.of(read)
    made: list[Enriched | None] = [
        None
        if row.resource is None
        else enricher(row.resource, warnings, full_url=row.full_url, facts=of_row)
        for row, warnings, of_row in zip(read, _warnings(rows), facts, strict=True)
    ]
    return _batch(rows, read, made, links, unit)


def _warnings(rows: pa.RecordBatch) -> list[int]:
    """How many warnings each row has, best practice aside."""
    column = rows["warnings"]
    rules = pc.struct_field(column.flatten(), "rule")
    counts = pc.invert(pc.is_in(rules, pa.array(sorted(BEST_PRACTICE), pa.string())))
    parents = pc.list_parent_indices(column).filter(counts)
    counted: list[int] = np.bincount(parents.to_numpy(), minlength=rows.num_rows).tolist()
    return counted


class _Facts:
    """Finds what a batch says of its rows' patients, encounters and references."""

    def __init__(self, index: BatchIndex, targets: Mapping[str, Mapping[str, str]]) -> None:
        self._index, self._targets = index, targets

    def of(self, rows: Sequence[_Row]) -> tuple[list[list[str]], list[Facts]]:
        """Give each row's references and facts."""
        links: list[list[str]] = []
        keys: list[int] = []
        for row in rows:
            here: list[str] = []
            if row.resource is not None:
                targets = self._targets.get(row.source_sha256, {})
                for text in references(row.resource):
                    target = targets.get(text) or local_reference(text)
                    if target is None:
                        continue  # another server's, a query, or inside the resource itself
                    here.append(target)
                    is_entry = target.startswith("urn:")
                    keys.append(
                        entry_key(row.source_sha256, target) if is_entry else key_of(target)
                    )
            links.append(here)
        known = iter(self._index.are_known(keys))
        facts = [
            NO_FACTS if row.resource is None else self._of(row, [(t, next(known)) for t in here])
            for row, here in zip(rows, links, strict=True)
        ]
        return links, facts

    def _of(self, row: _Row, references: list[tuple[str, bool]]) -> Facts:
        resource = row.resource or b""
        index = self._index
        if row.resource_type == "Patient":
            patient = patient_facts(resource)
        else:
            patient = index.patient(row.patient_id) if row.patient_id else None
        return Facts(
            patient,
            index.encounter(row.encounter_id) if row.encounter_id else None,
            references,
            self._is_contradicted(row, resource),
        )

    def _is_contradicted(self, row: _Row, resource: bytes) -> bool | None:
        if not self._index.has_contradictions:
            return None
        stated = [key for key, _ in statements(row.resource_type, row.patient_id, resource)]
        return any(map(self._index.is_contradicted, stated)) if stated else None


def _batch(
    rows: pa.RecordBatch,
    read: Sequence[_Row],
    made: Sequence[Enriched | None],
    links: Sequence[list[str]],
    unit: ResourceUnit,
) -> pa.RecordBatch:
    none = (None,) * 8
    columns: dict[str, Any] = dict(
        zip(
            (
                "resource",
                "last_updated",
                "content_sha256",
                "quality_score",
                "completeness",
                "validity",
                "consistency",
                "issues",
            ),
            zip(
                *(
                    none
                    if each is None
                    else (
                        each.resource,
                        each.last_updated,
                        each.content_sha256,
                        each.quality_score,
                        each.completeness,
                        each.validity,
                        each.consistency,
                        [issue_row(issue) for issue in each.issues],
                    )
                    for each in made
                ),
                strict=True,
            ),
            strict=True,
        )
    )
    columns["last_updated"] = [moment or unit.landed_at for moment in columns["last_updated"]]
    columns["references"] = links
    for name, own in (("patient_id", "Patient"), ("encounter_id", "Encounter")):
        columns[name] = [
            each.resource_id if each is not None and row.resource_type == own else getattr(row, name)
            for row, each in zip(read, made, strict=True)
        ]
    columns["resource_id"] = [
        row.resource_id if each is None else each.resource_id
        for row, each in zip(read, made, strict=True)
    ]
    arrays = [
        pa.array(columns[field.name], field.type) if field.name in columns else rows[field.name]
        for field in ENRICHED_RESOURCES
    ]
    return pa.RecordBatch.from_arrays(arrays, schema=ENRICHED_RESOURCES)


def issue_row(issue: Issue) -> dict[str, str]:
    """Give an issue as a row of a table."""
    return {field.name: getattr(issue, field.name) for field in ISSUE}


def count_invalid(unit: ResourceUnit) -> int:
    """Count the resources of a unit of rows that are not valid R4."""
    return sum(not is_valid(resource) for resource in _resources(unit))


def _resources(unit: ResourceUnit) -> Iterator[bytes]:
    for batch in unit.rows.batches(["resource"]):
        yield from batch["resource"].drop_null().to_pylist()
