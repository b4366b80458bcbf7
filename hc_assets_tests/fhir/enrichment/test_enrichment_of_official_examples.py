"""HL7's own R4 examples are enriched: valid still, the same the second time."""

import os
from datetime import UTC, datetime
from pathlib import Path

import pytest

from hc_assets.fhir.enrichment.batch_index import EncounterFacts, PatientFacts
from hc_assets.fhir.enrichment.consistency import Facts
from hc_assets.fhir.enrichment.enricher import Enricher, EnrichmentOptions, compact
from hc_assets.fhir.times import span_of
from hc_assets.fhir.validation import is_valid

PACKAGE = Path(os.environ.get("HC_R4_PACKAGE", ""))
FACTS = Facts(
    PatientFacts(span_of("1970"), span_of("2020-01-01"), "male"),
    EncounterFacts(span_of("2000"), span_of("2001")),
    [("Patient/p", True)],
    is_contradicted=False,
)


@pytest.mark.skipif(
    "HC_R4_PACKAGE" not in os.environ or not PACKAGE.is_dir(),
    reason="HC_R4_PACKAGE names no unpacked npm package hl7.fhir.r4.examples 4.0.1",
)
def test_official_examples_stay_valid_and_are_enriched_once():
    options = EnrichmentOptions("urn:x", "https://example.org/fhir/StructureDefinition")
    enricher = Enricher(datetime(2026, 3, 1, tzinfo=UTC), options)
    enriched = 0
    for path in sorted(PACKAGE.rglob("*.json")):
        sent = path.read_bytes()
        # The few large ones are code systems, which take long to validate twice.
        if path.name == "package.json" or len(sent) > 300_000 or not is_valid(sent):
            continue
        enriched += 1
        once = enricher(compact(sent), facts=FACTS)
        assert is_valid(once.resource), path.name
        twice = enricher(once.resource, facts=FACTS)
        assert twice.resource == once.resource, path.name
        if b'"id"' in sent:
            assert twice.content_sha256 == once.content_sha256, path.name
    assert enriched > 5_000
