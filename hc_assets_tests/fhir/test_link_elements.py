"""Links, names and references are told apart as R4's definitions do."""

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from hc_assets.fhir.enrichment.batch_index import BatchIndex
from hc_assets.fhir.enrichment.columns.batch_references import resolved
from hc_assets.fhir.enrichment.columns.resource_texts import compacted
from hc_assets.fhir.link_elements import (
    SIGNS_OF_OTHERS,
    are_references,
    is_identity,
    may_have_others,
)
from hc_assets.fhir.r4.definitions import r4
from hc_assets.fhir.r4.walker import members_of
from hc_assets.fhir.references import resolve

PACKAGE = Path(os.environ.get("HC_R4_PACKAGE", ""))
needs_package = pytest.mark.skipif(
    "HC_R4_PACKAGE" not in os.environ or not PACKAGE.is_dir(),
    reason="HC_R4_PACKAGE names no unpacked npm package hl7.fhir.r4.examples 4.0.1",
)
URN = "urn:uuid:0a1b2c3d-0000-4000-8000-000000000001"


def own_elements() -> Iterator[tuple[dict[str, Any], str]]:
    """Elements that R4's resources and data types have of their own, with each type of theirs."""
    for path in PACKAGE.glob("StructureDefinition-*.json"):
        definition = json.loads(path.read_bytes())
        is_type = definition["kind"] in ("resource", "complex-type")
        if not is_type or definition.get("derivation") == "constraint":
            continue
        for element in definition["snapshot"]["element"]:
            if element.get("base", {}).get("path") == element["path"]:
                for type_ in element.get("type", ()):
                    yield element, type_["code"]


@needs_package
def test_what_identifies_by_hl7_s_own_mapping_is_an_identity():
    found = 0
    for element, type_ in own_elements():
        meanings = {m["map"] for m in element.get("mapping", ()) if m["identity"] == "w5"}
        owner, _, name = element["path"].rpartition(".")
        if type_ in ("uri", "url") and "FiveWs.identifier" in meanings:
            found += 1
            assert is_identity(owner, name), element["path"]
    assert found > 25


@pytest.mark.parametrize(
    ("owner", "member"),
    [
        ("Coding", "system"),
        ("Identifier", "system"),
        ("Quantity", "system"),
        ("ValueSet.compose.include", "system"),
        ("ConceptMap.group", "source"),
        ("Extension", "url"),
        ("Contract", "url"),
        ("Reference", "type"),
        ("Bundle.entry", "fullUrl"),
        ("ElementDefinition", "fixedUri"),
    ],
)
def test_what_names_something_is_an_identity(owner, member):
    assert is_identity(owner, member)


@pytest.mark.parametrize(
    ("owner", "member"),
    [
        ("Attachment", "url"),
        ("Device", "url"),
        ("Extension", "valueUri"),
        ("Task", "instantiatesUri"),
        ("RelatedArtifact", "url"),
        ("Consent.policy", "uri"),
    ],
)
def test_what_leads_somewhere_is_none(owner, member):
    assert members_of(owner)[member].ref.code in ("uri", "url")
    assert not is_identity(owner, member)


def test_the_signs_are_of_all_types_whose_reference_is_a_uri():
    owners = {
        name
        for name in r4().type_names
        if (member := members_of(name).get("reference")) is not None
        and member.is_primitive
        and name != "Reference"
    }
    assert owners == {"DetectedIssue", "Immunization.education", "Expression"}
    (language,) = [e for e in r4().type("Expression").elements if e.name == "language"]
    assert language.min == 1  # so that its sign is in each


@pytest.mark.parametrize(
    "resource",
    [
        {"resourceType": "DetectedIssue", "status": "final", "reference": URN},
        {"resourceType": "Immunization", "education": [{"reference": URN}]},
        {
            "resourceType": "Basic",
            "extension": [
                {"url": "x", "valueExpression": {"language": "text/cql", "reference": URN}}
            ],
        },
        {
            "resourceType": "Basic",
            "contained": [{"resourceType": "DetectedIssue", "id": "c", "reference": URN}],
        },
    ],
)
def test_a_uri_that_is_named_reference_is_none(resource):
    to_patient = "subject" if resource["resourceType"] == "Basic" else "patient"
    sent = {**resource, to_patient: {"reference": URN}}
    compact = json.dumps(sent, separators=(",", ":")).encode()
    assert any(sign in compact for sign in SIGNS_OF_OTHERS)
    assert may_have_others(compact)
    assert are_references(compact) == [False, True]
    made, texts = resolve(compact, {URN: "Patient/p1"})
    assert texts == ["Patient/p1"]
    assert json.loads(made) == resource | {to_patient: {"reference": "Patient/p1"}}


def test_both_ways_of_enriching_tell_them_apart():
    sent = [
        {"resourceType": "DetectedIssue", "reference": URN, "patient": {"reference": URN}},
        {"resourceType": "Patient", "language": "en", "managingOrganization": {"reference": URN}},
    ]
    column = compacted(pa.array([json.dumps(each).encode() for each in sent]))
    index = BatchIndex.of([])
    texts, references = resolved(column, pa.array(["f", "f"]), {"f": {URN: "Patient/p1"}}, index)
    assert references.rows.tolist() == [0, 1]
    for row, each in enumerate(sent):
        compact = json.dumps(each, separators=(",", ":")).encode()
        begin, end = texts.offsets[row : row + 2]
        assert texts.buffer[begin:end] == resolve(compact, {URN: "Patient/p1"})[0]


def test_a_language_alone_costs_no_closer_look():
    compact = b'{"resourceType":"Patient","language":"en","managingOrganization":{"reference":"x"}}'
    assert not may_have_others(compact)
    assert resolve(compact, {})[1] == ["x"]
