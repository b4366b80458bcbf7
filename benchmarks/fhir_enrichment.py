"""Enrichment of one resource, against taking it apart and putting it together again.

    python benchmarks/fhir_enrichment.py ../shared/data/fhir/synthea_bundles

Ours gathers what the batch says, strips white space, resolves references, judges facts, interprets
values, scores, hashes and splices, record batch by record batch as the pipeline does. The peers
only take apart and put together: `json.loads` and `json.dumps` (which change decimals), and
`fhir.resources` R4B. "One by one" is ours where it takes nothing by columns. On the processor's
clock, the best of several rounds.
"""

import argparse
import json
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
from fhir.resources.R4B import get_fhir_model_class

from hc_assets.fhir.bundles.read import Entry, read_entries
from hc_assets.fhir.domain import FHIR_FILES
from hc_assets.fhir.enrichment.batch_index import INDEXED_COLUMNS, BatchIndex, gather
from hc_assets.fhir.enrichment.columns.enrich import enriched
from hc_assets.fhir.enrichment.enricher import Enricher, EnrichmentOptions
from hc_assets.fhir.references import links
from hc_assets.fhir.schemas import VALIDATED_RESOURCES
from hc_assets.settings import Settings

LANDED = datetime(2026, 3, 1, tzinfo=UTC)
ROWS = 5_000
ROUNDS = 5
SLOW_SHARE = 20  # one resource in so many goes through fhir.resources


def entries(folder: Path) -> list[Entry]:
    found = []
    for path in sorted(folder.glob("*.json")):
        with path.open("rb") as file:
            found += [
                entry
                for entry in read_entries(file, FHIR_FILES.media_type(path.name))
                if entry.resource is not None and entry.resource_type is not None
            ]
    return found


def validated(listed: Sequence[Entry], targets: Mapping[str, str]) -> pa.Table:
    rows = []
    for position, entry in enumerate(listed):
        ids = entry.resource_type or "", entry.resource_id
        patient_id, encounter_id = links(entry.resource or b"", *ids, targets)
        row: dict[str, Any] = dict.fromkeys(VALIDATED_RESOURCES.names) | {
            "batch": "b",
            "source_file": "f",
            "source_sha256": "f",
            "position": position,
            "resource_type": entry.resource_type,
            "resource_id": entry.resource_id,
            "full_url": entry.full_url,
            "request_method": entry.request_method,
            "patient_id": patient_id,
            "encounter_id": encounter_id,
            "warnings": [],
            "resource": entry.resource,
        }
        rows.append(row)
    return pa.Table.from_pylist(rows, VALIDATED_RESOURCES)


class OneByOne(Enricher):
    """Takes all resources for such as were enriched before, so that none is done by columns."""

    signs = (b"{",)


def microseconds(work: Callable[[], object], count: int) -> float:
    best = float("inf")
    for _ in range(ROUNDS):
        since = time.process_time()
        work()
        best = min(best, time.process_time() - since)
    return best / count * 1e6


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    listed = entries(parser.parse_args().folder)
    targets = {
        entry.full_url: f"{entry.resource_type}/{entry.resource_id}"
        for entry in listed
        if entry.full_url is not None
    }
    rows = validated(listed, targets)
    settings = Settings()
    options = EnrichmentOptions(settings.fhir_source, settings.fhir_extension_base)

    def ours(kind: type[Enricher]) -> None:
        index = BatchIndex.of([gather(rows.select(INDEXED_COLUMNS).to_batches(ROWS))])
        for batch in rows.to_batches(ROWS):
            enriched(batch, kind(LANDED, options), index, {"f": targets})

    def with_json() -> None:
        for entry in listed:
            json.dumps(json.loads(entry.resource or b""), separators=(",", ":"))

    def with_models() -> None:
        for entry in listed[::SLOW_SHARE]:
            model = get_fhir_model_class(entry.resource_type or "")
            model.model_validate_json(entry.resource or b"").model_dump_json(exclude_none=True)

    rates = {
        "ours": microseconds(lambda: ours(Enricher), len(listed)),
        "ours, one by one": microseconds(lambda: ours(OneByOne), len(listed)),
        "json": microseconds(with_json, len(listed)),
        "fhir.resources R4B": microseconds(with_models, len(listed[::SLOW_SHARE])),
    }
    size = sum(len(entry.resource or b"") for entry in listed)
    print(f"{len(listed)} resources, {size / 1e6:.1f} MB")
    for name, took in rates.items():
        print(f"{name:20} {took:8.1f} us a resource, {took / rates['ours']:6.2f} times ours")


if __name__ == "__main__":
    main()
