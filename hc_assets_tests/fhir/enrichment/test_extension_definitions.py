import json
from datetime import UTC, datetime
from pathlib import Path

import pytest
from fhir.resources.R4B.codesystem import CodeSystem
from fhir.resources.R4B.structuredefinition import StructureDefinition
from fhir.resources.R4B.valueset import ValueSet

from hc_assets.fhir.enrichment.batch_index import PatientFacts
from hc_assets.fhir.enrichment.consistency import Facts
from hc_assets.fhir.enrichment.enricher import Enricher, EnrichmentOptions, compact
from hc_assets.fhir.enrichment.extension_definitions import published
from hc_assets.fhir.enrichment.extensions import WITHOUT_RULE
from hc_assets.fhir.enrichment.rules import RULES
from hc_assets.fhir.profiles import load_profiles
from hc_assets.fhir.times import span_of
from hc_assets.fhir.validation import has_errors, validate
from hc_assets.settings import Settings

BASE = Settings.model_fields["fhir_extension_base"].default
DOCS = Path(__file__).parents[3] / "docs" / "fhir"
MODELS = {model.__name__: model for model in (StructureDefinition, CodeSystem, ValueSet)}


def test_the_published_definitions_are_those_of_the_code():
    assert {path.name: path.read_bytes() for path in DOCS.iterdir()} == published(BASE)


@pytest.mark.parametrize("name", sorted(published(BASE)))
def test_each_definition_is_valid(name):
    text = published("https://example.org/base")[name]
    assert not [issue for issue in validate(text) if issue.severity in ("fatal", "error")]
    MODELS[json.loads(text)["resourceType"]].model_validate_json(text)


def test_every_extension_has_a_definition_of_its_url():
    made = [json.loads(text) for text in published("https://example.org/base").values()]
    urls = {each["url"] for each in made if each["resourceType"] == "StructureDefinition"}
    names = WITHOUT_RULE.union(each.name for rule in RULES for each in rule.extensions)
    assert urls == {f"https://example.org/base/{name}" for name in names}


def enriched(resource: dict, base: str = BASE) -> bytes:
    enricher = Enricher(datetime(2026, 3, 1, tzinfo=UTC), EnrichmentOptions("urn:x", base))
    facts = Facts(PatientFacts(birth=span_of("1950"), sex="male"))
    return enricher(compact(json.dumps(resource).encode()), facts=facts).resource


VALUE = {"value": 300, "unit": "mg/dL", "system": "http://unitsofmeasure.org", "code": "mg/dL"}
GLUCOSE = {"coding": [{"system": "http://loinc.org", "code": "2345-7"}]}
ENRICHED = [
    enriched({"resourceType": "Patient", "id": "p", "birthDate": "1950", "gender": "male"}),
    enriched({"resourceType": "Patient", "id": "p", "birthDate": "2025-12-01"}),
    enriched(
        {
            "resourceType": "Observation",
            "id": "o",
            "status": "final",
            "code": GLUCOSE,
            "effectiveDateTime": "2020-01-01",
            "valueQuantity": VALUE,
            "component": [{"code": GLUCOSE, "valueQuantity": VALUE}],
        }
    ),
]


@pytest.mark.parametrize("resource", ENRICHED)
def test_what_enrichment_adds_keeps_to_the_definitions(resource):
    profiles = load_profiles([DOCS])
    assert b"StructureDefinition/" in resource
    assert not has_errors(profiles.validate(resource))
