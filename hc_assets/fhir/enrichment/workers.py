"""What worker processes run to enrich a batch: facts gathered, rows enriched and judged again.

Belongs here: streaming the columns of record batches through the pure functions of
`batch_index.py`, `enricher.py` and `judging.py`. Imports neither Dagster nor anything slow, since
every worker pays for it.
"""

import secrets
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache, partial

import pyarrow as pa
import pyarrow.compute as pc
from upath import UPath

from hc_assets.core.compute import no_cycles
from hc_assets.core.fenced_rows import fenced_rows
from hc_assets.core.places import at
from hc_assets.fhir.enrichment.addresses import own_targets, unresolved
from hc_assets.fhir.enrichment.batch_index import (
    INDEXED_COLUMNS,
    BatchIndex,
    Gathered,
    gather,
)
from hc_assets.fhir.enrichment.columns.enrich import enriched
from hc_assets.fhir.enrichment.columns.entry_targets import entry_targets
from hc_assets.fhir.enrichment.enricher import Enricher, EnrichmentOptions
from hc_assets.fhir.enrichment.judging import Way, valid_rows
from hc_assets.fhir.enrichment.rules import RULES, Rule
from hc_assets.fhir.enrichment.unenriched import as_sent, unenriched, with_failures
from hc_assets.fhir.schemas import ENRICHED_RESOURCES
from hc_assets.fhir.validation.resource_work import ResourceWork, place_of
from hc_assets.lake.atomic import TEMPORARY_PREFIX, write_bytes
from hc_assets.lake.layout import Layout
from hc_assets.lake.parts import Part, PartWriter

# Rows whose results are held at once; row groups may hold far more small ones.
_ROWS_PER_BATCH = 5_000


@no_cycles()
def gather_facts(work: ResourceWork) -> Gathered:
    """Gather what rows say about patients, encounters and ids."""
    return gather(work.rows.batches(INDEXED_COLUMNS))


@contextmanager
def kept_index(layout: Layout, batch: str, gathered: Sequence[Gathered]) -> Iterator[str]:
    """Keep the index of a batch where its workers find it, for as long as they need it.

    Args:
        layout: where the lake is; what a killed run leaves there is removed a day later.
        batch: key of the batch.
        gathered: what its rows say, worker by worker.

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
def enrich_rows(
    work: ResourceWork,
    options: EnrichmentOptions,
    index: str,
    rules: tuple[Rule, ...] = RULES,
    profiles: tuple[str, ...] = (),
) -> list[Part]:
    """Enrich each validated row; a deletion passes through, and so does a row that raises.

    Each is judged before it is written: what would make it invalid is left out.

    Args:
        work: of validated rows.
        options: of the deployment.
        index: path of the batch's `BatchIndex`.
        rules: of enrichment.
        profiles: files and folders of StructureDefinitions, and demands.
    """
    folder = Layout.of(work.data_dir).partition("fhir/enriched_resources", work.batch)
    enricher, facts = Enricher(work.landed_at, options, rules), _index(index)
    own = own_targets(facts)
    bare = Enricher(work.landed_at, options, ())

    def made_by(rows: pa.RecordBatch, by: Enricher, *, resolves: bool) -> pa.RecordBatch:
        files = pc.unique(rows["source_sha256"]).to_pylist()
        targets = entry_targets(work.raw_parts, files) if resolves else {f: {} for f in files}
        return enriched(rows, by, facts, targets, own if resolves else unresolved)

    ways = (
        Way("what the rules of enrichment add is", partial(made_by, by=bare, resolves=True)),
        Way("resolving references is", partial(made_by, by=enricher, resolves=False)),
        Way("all but the score is", partial(made_by, by=bare, resolves=False)),
    )
    nothing = Way("all of enrichment is", partial(as_sent, landed_at=work.landed_at))

    def enrich(rows: pa.RecordBatch) -> pa.RecordBatch:
        made = made_by(rows, enricher, resolves=True)
        return valid_rows(rows, made, ways, nothing, profiles)

    otherwise = partial(unenriched, landed_at=work.landed_at)
    with PartWriter(folder, ENRICHED_RESOURCES, number=work.rows.number) as writer:
        for whole in work.rows.batches():
            for start in range(0, whole.num_rows, _ROWS_PER_BATCH):
                rows = whole.slice(start, _ROWS_PER_BATCH)
                with at(place_of(rows)):
                    for made in fenced_rows(enrich, rows, otherwise):
                        writer.write(with_failures(made, facts.failures))
    return writer.parts
