"""What workers do to a batch, as tests run it, and resources to run it on."""

import hashlib
import json
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from typing import Any

from hc_assets.fhir.bundles.workers import SplitWork, split_files
from hc_assets.fhir.domain import FHIR_FILES
from hc_assets.fhir.enrichment.enricher import EnrichmentOptions
from hc_assets.fhir.enrichment.workers import enrich_rows, gather_facts, kept_index
from hc_assets.fhir.schemas import TABLES
from hc_assets.fhir.validation.business_rules import BusinessRules
from hc_assets.fhir.validation.resource_work import ResourceWork
from hc_assets.fhir.validation.wholes import issues_of_whole
from hc_assets.fhir.validation.workers import validate_rows
from hc_assets.fhir.verdicts.accounting import (
    entry_keys,
)
from hc_assets.lake.layout import Layout
from hc_assets.lake.manifests import LandedFile
from hc_assets.lake.parts import Part, commit, declare
from hc_assets.lake.tables import LakeTable, read_partition

BATCH = "20260301T120000Z-0a1b2c3d"
LANDED = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
OPTIONS = EnrichmentOptions("urn:test", "https://example.org/fhir/StructureDefinition")
RAW, VALIDATED = "fhir/raw_bundles", "fhir/validated_resources"
QUARANTINED, ENRICHED = "fhir/quarantined_resources", "fhir/enriched_resources"
UUID = "0a1b2c3d-0000-4000-8000-00000000000f"
URN_A, URN_B, URN_C = (f"urn:uuid:{UUID[:-1]}{digit}" for digit in "abc")
Row = dict[str, Any]


@dataclass
class Run:
    """One batch on its way: landed files in, tables out."""

    layout: Layout
    batch: str = BATCH
    source: str = ""
    rules: BusinessRules = field(default_factory=BusinessRules)
    work_bytes: int = 10**9
    split_bounds: dict[str, Any] = field(default_factory=dict)
    profiles: tuple[str, ...] = ()
    enrich_rows: Callable[..., list[Part]] = enrich_rows

    def land(self, **files: bytes) -> tuple[LandedFile, ...]:
        """Store files as a batch has them; a double underscore in a name is a dot."""
        landed = []
        for key, data in files.items():
            name = key.replace("__", ".")
            sha256 = hashlib.sha256(data).hexdigest()
            path = self.layout.landed_file("fhir", self.batch, sha256)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
            landed.append(LandedFile(name, sha256, len(data), sha256, FHIR_FILES.media_type(name)))
        return tuple(landed)

    def split(self, *files: LandedFile) -> LakeTable:
        work = SplitWork(str(self.layout.data_dir), self.batch, files, 0, source=self.source)
        judge = partial(issues_of_whole, profiles=self.profiles)
        parts = split_files(work, judge=judge, **self.split_bounds)
        return self.put(RAW, parts)

    def put(self, table: str, parts: list[Part]) -> LakeTable:
        declare(self.layout, table, TABLES[table].schema)
        commit(self.layout, table, self.batch, parts)
        return read_partition(self.layout, table, self.batch)

    def work(self, table: LakeTable) -> list[ResourceWork]:
        parts = tuple(str(path) for path in table.parts())
        raw = tuple(str(path) for path in read_partition(self.layout, RAW, self.batch).parts())
        return [
            ResourceWork(str(self.layout.data_dir), self.batch, rows, LANDED, parts, raw)
            for rows in table.work(self.work_bytes)
        ]

    def judge(self, raw: LakeTable) -> tuple[LakeTable, LakeTable, Counter[str]]:
        judged = [validate_rows(work, self.rules, self.profiles) for work in self.work(raw)]
        broken = sum((each.broken_rules for each in judged), Counter[str]())
        validated = self.put(VALIDATED, [part for each in judged for part in each.validated])
        quarantined = self.put(QUARANTINED, [part for each in judged for part in each.quarantined])
        return validated, quarantined, broken

    def enrich(self, validated: LakeTable) -> LakeTable:
        listed = self.work(validated)
        with kept_index(self.layout, self.batch, [gather_facts(work) for work in listed]) as index:
            parts = [
                part
                for work in listed
                for part in self.enrich_rows(work, OPTIONS, index, profiles=self.profiles)
            ]
        return self.put(ENRICHED, parts)

    def all(self, **files: bytes) -> dict[str, list[Row]]:
        raw = self.split(*self.land(**files))
        validated, quarantined, _ = self.judge(raw)
        tables = {
            RAW: raw,
            VALIDATED: validated,
            QUARANTINED: quarantined,
            ENRICHED: self.enrich(validated),
        }
        keys = (entry_keys(tables[name]) for name in (RAW, VALIDATED, QUARANTINED) if name)
        return {name: rows(table) for name, table in tables.items()} | {"keys": list(keys)}


def rows(table: LakeTable) -> list[Row]:
    return [row for batch in table.batches() for row in batch.to_pylist()]


def bundle(*entries: dict[str, Any]) -> bytes:
    """A transaction; entries that ask for nothing are created."""
    asking = [
        each
        if "request" in each
        else each | {"request": {"method": "POST", "url": each["resource"]["resourceType"]}}
        for each in entries
    ]
    return json.dumps({"resourceType": "Bundle", "type": "transaction", "entry": asking}).encode()


def resource(type_: str, id_: str | None = None, **members: Any) -> dict[str, Any]:
    identified = {"resourceType": type_} | ({"id": id_} if id_ else {})
    return identified | members


def patient(id_: str | None = "p1", **members: Any) -> dict[str, Any]:
    return resource("Patient", id_, name=[{"family": "x"}], **members)


def observation(id_: str, subject: str, **members: Any) -> dict[str, Any]:
    return resource(
        "Observation",
        id_,
        status="final",
        code={"text": "x"},
        valueString="y",
        subject={"reference": subject},
        **members,
    )


def entry(resource: dict[str, Any], full_url: str | None = None, **rest: Any) -> dict[str, Any]:
    return {"resource": resource, **({"fullUrl": full_url} if full_url else {}), **rest}
