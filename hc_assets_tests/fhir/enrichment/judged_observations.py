"""Observations as tests enrich them, and what is expected of their values."""

import json
from datetime import UTC, datetime
from typing import Any

from hc_assets.fhir.enrichment.batch_index import PatientFacts
from hc_assets.fhir.enrichment.consistency import Facts
from hc_assets.fhir.enrichment.enricher import Enriched, Enricher, EnrichmentOptions, compact
from hc_assets.fhir.times import span_of
from hc_assets.fhir.validation import has_errors, validate

BASE = "https://example.org/fhir/StructureDefinition"
URL = f"{BASE}/clinical-significance"
ENRICHER = Enricher(datetime(2026, 3, 1, tzinfo=UTC), EnrichmentOptions("urn:x", BASE))
ADULT = PatientFacts(birth=span_of("1980-01-01"), sex="female")
LOINC, UCUM = "http://loinc.org", "http://unitsofmeasure.org"


def coded(code: str, system: str = LOINC) -> dict[str, Any]:
    return {"coding": [{"system": system, "code": code}]}


def quantity(value: float, unit: str | None = None, **rest: Any) -> dict[str, Any]:
    made = {"value": value} | ({"unit": unit, "system": UCUM, "code": unit} if unit else {})
    return made | rest


def enriched(patient: PatientFacts | None = ADULT, **members: Any) -> Enriched:
    observation = {"resourceType": "Observation", "id": "o", "status": "final"}
    observation |= {"effectiveDateTime": "2020-06-01T10:00:00Z", **members}
    made = ENRICHER(compact(json.dumps(observation).encode()), facts=Facts(patient))
    assert not has_errors(validate(made.resource))
    return made


def parts(element: dict[str, Any]) -> dict[str, Any] | None:
    for extension in element.get("extension", []):
        if extension["url"] == URL:
            found = {part.pop("url"): part for part in extension["extension"]}
            return {name: next(iter(part.values())) for name, part in found.items()}
    return None


def significance_of(patient: PatientFacts | None = ADULT, **members: Any) -> dict[str, Any] | None:
    return parts(json.loads(enriched(patient, **members).resource))


def code_of(patient: PatientFacts | None = ADULT, **members: Any) -> str | None:
    found = significance_of(patient, **members)
    return found and found["interpretation"]["code"]
