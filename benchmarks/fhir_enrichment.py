"""Enrichment of one resource, against taking it apart and putting it together again.

    python benchmarks/fhir_enrichment.py ../shared/data/fhir/synthea_bundles

Ours strips white space, reads what it needs, judges facts, interprets values, scores, hashes and
splices. The peers only take apart and put together: `json.loads` and `json.dumps` (which change
decimals), and `fhir.resources` R4B. On the processor's clock, the best of several rounds.
"""

import argparse
import json
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path

from fhir.resources.R4B import get_fhir_model_class

from hc_assets.fhir.batch_index import PatientFacts
from hc_assets.fhir.bundles import read_entries
from hc_assets.fhir.consistency import Facts
from hc_assets.fhir.enrichment import Enricher, EnrichmentOptions, compact
from hc_assets.fhir.times import span_of
from hc_assets.lake.landing import media_type
from hc_assets.settings import Settings

ROUNDS = 5
SLOW_SHARE = 20  # one resource in so many goes through fhir.resources


def resources(folder: Path) -> list[tuple[str, bytes]]:
    found = []
    for path in sorted(folder.glob("*.json")):
        with path.open("rb") as file:
            found += [
                (entry.resource_type, entry.resource)
                for entry in read_entries(file, media_type(path.name))
                if entry.resource is not None and entry.resource_type is not None
            ]
    return found


def microseconds(work: Callable[[str, bytes], object], on: Sequence[tuple[str, bytes]]) -> float:
    best = float("inf")
    for _ in range(ROUNDS):
        since = time.process_time()
        for type_, resource in on:
            work(type_, resource)
        best = min(best, time.process_time() - since)
    return best / len(on) * 1e6


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    listed = resources(parser.parse_args().folder)
    settings = Settings()
    options = EnrichmentOptions(settings.fhir_source, settings.fhir_extension_base)
    enricher = Enricher(datetime(2026, 3, 1, tzinfo=UTC), options)
    facts = Facts(PatientFacts(span_of("1970-01-01"), None, "female"), is_contradicted=False)

    def ours(_: str, resource: bytes) -> object:
        return enricher(compact(resource), facts=facts)

    def with_json(_: str, resource: bytes) -> object:
        return json.dumps(json.loads(resource), separators=(",", ":"))

    def with_models(type_: str, resource: bytes) -> object:
        made = get_fhir_model_class(type_).model_validate_json(resource)
        return made.model_dump_json(exclude_none=True)

    rates = {
        "ours": microseconds(ours, listed),
        "json": microseconds(with_json, listed),
        "fhir.resources R4B": microseconds(with_models, listed[::SLOW_SHARE]),
    }
    size = sum(len(resource) for _, resource in listed)
    print(f"{len(listed)} resources, {size / 1e6:.1f} MB")
    for name, took in rates.items():
        print(f"{name:20} {took:8.1f} us a resource, {took / rates['ours']:6.2f} times ours")


if __name__ == "__main__":
    main()
