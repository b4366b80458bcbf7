"""What worker processes run to enrich a batch: facts gathered, rows enriched, rows judged again.

Belongs here: streaming the columns of record batches through the pure functions of `batch_index.py`
and `enrichment.py`. Imports neither Dagster nor anything slow, since every worker pays for it.
"""

import secrets
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from upath import UPath

from hc_assets.compute import no_cycles
from hc_assets.fhir.batch_index import (
    COLUMNS,
    BatchIndex,
    Gathered,
    PatientFacts,
    gather,
    key_of,
    patient_facts,
)
from hc_assets.fhir.bundle_links import BundleLinks, links_replaced
from hc_assets.fhir.consistency import NO_FACTS, Facts
from hc_assets.fhir.enrichment import Enriched, Enricher, EnrichmentOptions
from hc_assets.fhir.entry_targets import entry_targets
from hc_assets.fhir.identifiers import identifier_tokens
from hc_assets.fhir.quality import BEST_PRACTICE
from hc_assets.fhir.references import (
    conditional_references,
    local_targets,
    resolved_texts,
)
from hc_assets.fhir.requests import known_id
from hc_assets.fhir.resource_texts import Resource, compacted, resources_in
from hc_assets.fhir.schemas import ENRICHED_RESOURCES
from hc_assets.fhir.statements import STATING
from hc_assets.fhir.steps import ResourceUnit, issue_lists
from hc_assets.fhir.validation import is_valid
from hc_assets.lake.atomic import TEMPORARY_PREFIX, write_bytes
from hc_assets.lake.layout import Layout
from hc_assets.lake.parts import Part, PartWriter
from hc_assets.lake.tables import RowUnit

# The column by which a resource of a type belongs to itself.
_ITSELF = {"Patient": "patient_id", "Encounter": "encounter_id"}
_SCORES = ("quality_score", "completeness", "validity", "consistency")
# Rows whose results are held at once; row groups may hold far more small ones.
_ROWS_PER_BATCH = 5_000


@no_cycles()
def gather_facts(unit: ResourceUnit) -> Gathered:
    """Gather what the rows of a unit say of patients, encounters and ids."""
    return gather(unit.rows.batches(COLUMNS))


@contextmanager
def kept_index(layout: Layout, batch: str, gathered: Sequence[Gathered]) -> Iterator[str]:
    """Keep the index of a batch where its workers find it, for as long as they need it.

    Args:
        layout: where the lake is; what a killed run leaves there is removed a day later.
        batch: key of the batch.
        gathered: what its units say.

    Yields:
        Path of the file.
    """
    folder = layout.partition("fhir/enriched_resources", batch)
    path = folder / f"{TEMPORARY_PREFIX}index-{secrets.token_hex(8)}.npz"
    write_bytes(path, BatchIndex.of(gathered).to_bytes())
    try:
        yield str(path)
    finally:
        path.unlink(missing_ok=True)


@lru_cache(maxsize=1)
def _index(path: str) -> BatchIndex:
    return BatchIndex.load(UPath(path))


@no_cycles()
def enrich_rows(unit: ResourceUnit, options: EnrichmentOptions, index: str) -> list[Part]:
    """Enrich each validated row; a deletion passes through.

    Args:
        unit: of validated rows.
        options: of the deployment.
        index: path of the batch's `BatchIndex`.
    """
    folder = Layout.of(unit.data_dir).partition("fhir/enriched_resources", unit.batch)
    enricher, facts = Enricher(unit.landed_at, options), _index(index)
    with PartWriter(folder, ENRICHED_RESOURCES, number=unit.rows.number) as writer:
        for whole in unit.rows.batches():
            for start in range(0, whole.num_rows, _ROWS_PER_BATCH):
                rows = whole.slice(start, _ROWS_PER_BATCH)
                writer.write(_enriched(rows, unit, enricher, facts))
    return writer.parts


class _Row(NamedTuple):
    """What is read of a validated row: the columns _READ, in order."""

    source_sha256: str
    resource_type: str
    resource_id: str | None
    full_url: str | None
    request_method: str | None
    request_url: str | None
    request_if_none_exist: str | None
    last_modified: datetime | None
    patient_id: str | None
    encounter_id: str | None

    def known_id(self) -> str | None:
        """The id that it goes by, its own or one that is known without looking into it."""
        return known_id(self._asdict()) if self.resource_id is None else self.resource_id


class _Read(NamedTuple):
    """A resource as it is enriched: compact, its references and links resolved.

    `references` are their texts, and `targets` what a batch can hold of what they name.
    """

    resource: Resource
    references: list[str]
    targets: list[str]


_READ = _Row._fields


def _enriched(
    rows: pa.RecordBatch, unit: ResourceUnit, enricher: Enricher, index: BatchIndex
) -> pa.RecordBatch:
    columns = (rows[name].to_pylist() for name in _READ)
    listed = [_Row(*row) for row in zip(*columns, strict=True)]
    targets = entry_targets(unit.raw_parts, {row.source_sha256 for row in listed})
    texts, references = resolved_texts(
        compacted(rows["resource"]), [targets[row.source_sha256] for row in listed]
    )
    links = {file: BundleLinks(of_file) for file, of_file in targets.items()}
    asked = [links[r.source_sha256] if r.request_method is not None else None for r in listed]
    texts = links_replaced(texts, asked)
    read = [
        None if resource is None else _Read(resource, of_row, local_targets(of_row))
        for resource, of_row in zip(resources_in(texts), references, strict=True)
    ]
    facts = _facts(listed, read, index)
    # Asked of all at once: of each it costs as much as reading it.
    may_be_enriched = enricher.may_have_made(texts.buffer)
    made = [
        None
        if each is None
        else enricher.enriched(
            each.resource, warnings, row.known_id(), of_row, may_be_enriched=may_be_enriched
        )
        for row, each, warnings, of_row in zip(listed, read, _warnings(rows), facts, strict=True)
    ]
    return _batch(rows, listed, read, made, unit.landed_at)


def _warnings(rows: pa.RecordBatch) -> list[int]:
    """How many warnings each row has, best practice aside."""
    column = rows["warnings"]
    rules = pc.struct_field(column.flatten(), "rule")
    counts = pc.invert(pc.is_in(rules, pa.array(sorted(BEST_PRACTICE), pa.string())))
    parents = pc.list_parent_indices(column).filter(counts)
    counted: list[int] = np.bincount(parents.to_numpy(), minlength=rows.num_rows).tolist()
    return counted


def _facts(rows: Sequence[_Row], read: Sequence[_Read | None], index: BatchIndex) -> list[Facts]:
    """Find what the batch says of each row's patient, encounter and references.

    A reference is left out where the batch can't tell: it is no URN, which only a bundle resolves,
    and the batch has nothing of the type, so that such resources are kept in another one.
    """
    distinct = list(
        dict.fromkeys(target for each in read if each is not None for target in each.targets)
    )
    known = dict(zip(distinct, index.are_known(list(map(key_of, distinct))), strict=True))
    types = list({_type_of(each) for each in distinct if not each.startswith("urn:")})
    held = dict(zip(types, index.are_known(list(map(key_of, types))), strict=True))
    judged = {
        t: is_known
        for t, is_known in known.items()
        if is_known or t.startswith("urn:") or held[_type_of(t)]
    }
    stating = [
        each is not None and row.resource_type in STATING
        for row, each in zip(rows, read, strict=True)
    ]
    own_keys = [
        key_of(f"{row.resource_type}/{row.known_id()}")
        for row, states in zip(rows, stating, strict=True)
        if states
    ]
    contradicted = iter(index.are_contradicted(own_keys))
    return [
        NO_FACTS
        if each is None
        else Facts(
            _patient(row, each, index),
            index.encounter(row.encounter_id) if row.encounter_id else None,
            [(target, judged[target]) for target in each.targets if target in judged],
            next(contradicted) if states else None,
        )
        for row, each, states in zip(rows, read, stating, strict=True)
    ]


def _type_of(target: str) -> str:
    return target.partition("/")[0]


def _patient(row: _Row, each: _Read, index: BatchIndex) -> PatientFacts | None:
    if row.resource_type == "Patient":
        return patient_facts(each.resource.text)
    return index.patient(row.patient_id) if row.patient_id else None


def _batch(
    rows: pa.RecordBatch,
    listed: Sequence[_Row],
    read: Sequence[_Read | None],
    made: Sequence[Enriched | None],
    landed_at: datetime,
) -> pa.RecordBatch:
    columns: dict[str, list[Any]] = {
        name: [None if each is None else getattr(each, name) for each in made]
        for name in ("resource", "content_sha256", *_SCORES)
    }
    both = list(zip(listed, made, strict=True))
    columns["resource_id"] = [r.resource_id if e is None else e.resource_id for r, e in both]
    for type_, name in _ITSELF.items():
        columns[name] = [
            # Which it may have got just now.
            e.resource_id if e is not None and r.resource_type == type_ else getattr(r, name)
            for r, e in both
        ]
    columns["last_updated"] = [
        (r.last_modified or landed_at) if e is None else e.last_updated for r, e in both
    ]
    columns["issues"] = issue_lists([None if each is None else each.issues for each in made])
    columns["literal_references"] = _lists([each and each.targets for each in read])
    columns["conditional_references"] = _lists(
        [each and conditional_references(each.references) for each in read]
    )
    columns["identifiers"] = _lists(
        [each and identifier_tokens(each.resource.raw("identifier")) for each in read]
    )
    arrays = [
        rows[field.name]
        if field.name not in columns
        else made_column
        if isinstance(made_column := columns[field.name], pa.Array)
        else pa.array(made_column, field.type)
        for field in ENRICHED_RESOURCES
    ]
    return pa.RecordBatch.from_arrays(arrays, schema=ENRICHED_RESOURCES)


def _lists(lists: Sequence[Sequence[str] | None]) -> pa.Array:
    """A column of lists of texts; null where there is no list."""
    ends = np.cumsum([0, *(len(each or ()) for each in lists)], dtype=np.int32)
    items = pa.array([text for texts in lists for text in texts or ()], pa.string())
    absent = pa.array([each is None for each in lists], pa.bool_())
    return pa.ListArray.from_arrays(pa.array(ends), items, mask=absent)


def count_invalid(rows: RowUnit) -> int:
    """Count the resources of a unit of rows that are not valid R4."""
    return sum(
        not is_valid(resource)
        for batch in rows.batches(["resource"])
        for resource in batch["resource"].drop_null().to_pylist()
    )
