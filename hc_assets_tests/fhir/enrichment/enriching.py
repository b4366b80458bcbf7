"""Enrichment as tests call it."""

import json
from datetime import UTC, datetime
from typing import Any

from hc_assets.fhir.enrichment.enricher import Enriched, Enricher, EnrichmentOptions, compact

LANDED = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
BASE = "https://example.org/fhir/StructureDefinition"
OPTIONS = EnrichmentOptions("urn:test:source", BASE)
SCORE, AGE, AGE_GROUP = (f"{BASE}/{name}" for name in ("data-quality-score", "age", "age-group"))
RISK, SIGNIFICANCE = f"{BASE}/demographic-risk-factor", f"{BASE}/clinical-significance"
OWN = (SCORE, AGE, AGE_GROUP, RISK, SIGNIFICANCE)
UUID = "0a1b2c3d-0000-4000-8000-00000000000f"


def enriched(resource: bytes, **rest: Any) -> Enriched:
    return enrich(resource, 0, **rest)


def enrich(
    resource: bytes, warnings: int, *, landed_at: datetime = LANDED, **rest: Any
) -> Enriched:
    return Enricher(landed_at, OPTIONS)(compact(resource), warnings, **rest)


def decoded(resource: bytes) -> dict[str, Any]:
    value: dict[str, Any] = json.loads(resource)
    return value


def patient(**members: Any) -> bytes:
    return json.dumps({"resourceType": "Patient", "id": "p1", **members}).encode()


def extension(element: dict[str, Any], url: str) -> dict[str, Any] | None:
    found = [each for each in element.get("extension", []) if each.get("url") == url]
    assert len(found) <= 1
    return found[0] if found else None
