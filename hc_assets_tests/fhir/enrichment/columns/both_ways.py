"""Record batches enriched both ways, by columns and one by one, as tests compare them."""

import json
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any

import pyarrow as pa

from hc_assets.fhir.enrichment.batch_index import INDEXED_COLUMNS, BatchIndex, gather
from hc_assets.fhir.enrichment.columns.enrich import enriched
from hc_assets.fhir.enrichment.enricher import Enriched, Enricher, EnrichmentOptions
from hc_assets.fhir.enrichment.rules import RULES, Rule
from hc_assets.fhir.references import links
from hc_assets.fhir.schemas import ENRICHED_RESOURCES, VALIDATED_RESOURCES

LANDED = datetime(2026, 3, 1, tzinfo=UTC)
OPTIONS = EnrichmentOptions("urn:x", "https://example.org/fhir/StructureDefinition")


class Counting(Enricher):
    """Counts the resources that it is given one by one."""

    one_by_one = 0

    def enriched(self, *args: Any, **named: Any) -> Enriched:
        self.one_by_one += 1
        return super().enriched(*args, **named)


class OneByOne(Enricher):
    """Takes all resources for such as were enriched before, so that none is done by columns."""

    signs = (b"{",)


def validated(
    sent: Iterable[bytes | None], targets: Mapping[str, str] = MappingProxyType({})
) -> pa.RecordBatch:
    rows = []
    for position, resource in enumerate(sent):
        row: dict[str, Any] = dict.fromkeys(VALIDATED_RESOURCES.names) | {
            "batch": "b",
            "source_file": "f",
            "source_sha256": "f",
            "position": position,
            "warnings": [],
            "resource": resource,
        }
        if resource is not None:
            known = json.loads(resource)
            row |= {"resource_type": known["resourceType"], "resource_id": known.get("id")}
            found = links(resource, row["resource_type"], row["resource_id"], targets)
            row["patient_id"], row["encounter_id"] = found
        rows.append(row)
    return pa.RecordBatch.from_pylist(rows, VALIDATED_RESOURCES)


def both_ways(
    rows: pa.RecordBatch,
    targets: Mapping[str, str] = MappingProxyType({}),
    rules: tuple[Rule, ...] = RULES,
) -> tuple[Any, float]:
    """Enrich rows; see that both ways agree; what was made, and the share done by columns."""
    index = BatchIndex.of([gather([rows.select(INDEXED_COLUMNS)])])
    of_files = {"f": targets}
    counting = Counting(LANDED, OPTIONS, rules)
    made = enriched(rows, counting, index, of_files)
    alone = enriched(rows, OneByOne(LANDED, OPTIONS, rules), index, of_files)
    for name in ENRICHED_RESOURCES.names:
        assert made[name].to_pylist() == alone[name].to_pylist(), name
    made.validate(full=True)
    return made, 1 - counting.one_by_one / max(1, rows.num_rows - rows["resource"].null_count)
