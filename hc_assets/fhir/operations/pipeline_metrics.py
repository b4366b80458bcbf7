"""How the pipeline does, batch by batch: counts, rates, quality, time, and the shape of the data.

Belongs here: counting one batch's committed tables, and totals over batches. What is drawn of it is
in `trend_plots.py`; whether the shape has drifted is judged in `fhir/verdicts/drift.py`.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec
import pyarrow as pa
import pyarrow.compute as pc

from hc_assets.core.fence import InternalError, fenced
from hc_assets.fhir.bundles.not_data import INVALID, NOT_DATA
from hc_assets.fhir.r4.definitions import r4
from hc_assets.fhir.verdicts.batches import classes_of, count_by_class, entries_by_rule
from hc_assets.lake.incremental import compare
from hc_assets.lake.layout import Layout
from hc_assets.lake.manifests import read_manifest
from hc_assets.lake.tables import LakeTable, read_partition

RAW, VALIDATED = "fhir/raw_bundles", "fhir/validated_resources"
QUARANTINED, ENRICHED = "fhir/quarantined_resources", "fhir/enriched_resources"
TABLES = (RAW, VALIDATED, QUARANTINED, ENRICHED)
# Validated and quarantined entries come from one step.
STEPS = (RAW, VALIDATED, ENRICHED)
# What has no type, or one that R4 does not know.
_UNKNOWN = "unknown"

_decode_members = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode


def batch_metrics(layout: Layout, batch: str, seconds: Mapping[str, float]) -> dict[str, Any]:
    """Count what became of a batch.

    Args:
        layout: where it is.
        batch: its key.
        seconds: that each of its steps took, by table; those that nobody measured are left out.

    Returns:
        A row of `fhir/pipeline_metrics`.

    Raises:
        MissingPartitionError: one of its tables is not committed.
    """
    manifest = read_manifest(layout, "fhir", batch)
    tables = {name: read_partition(layout, name, batch) for name in TABLES}
    rows = {name: table.count_rows() for name, table in tables.items()}
    classes = count_by_class(tables[QUARANTINED])
    entries, total = rows[RAW], sum(seconds.values())
    data = entries - classes[NOT_DATA]
    by_type = _by_type(tables)
    scores = [each for each in by_type if each["mean_quality"] is not None]
    scored = sum(each["scored"] for each in scores)
    quality = sum(each["mean_quality"] * each["scored"] for each in scores)
    return {
        "batch": batch,
        "landed_at": manifest.landed_at,
        "files": len(manifest.files),
        "bytes": sum(file.size for file in manifest.files),
        "entries": entries,
        "valid": rows[VALIDATED],
        "quarantined": classes[INVALID],
        "not_data": classes[NOT_DATA],
        "error_rate": classes[INVALID] / data if data else 0.0,
        "mean_quality": quality / scored if scored else None,
        "seconds": total if seconds else None,
        "entries_per_second": entries / total if total else None,
        "by_type": by_type,
        "quarantined_by_rule": [
            {"rule": rule, "entries": count}
            for rule, count in sorted(entries_by_rule(tables[QUARANTINED]).items())
        ],
        "steps": [
            {
                "table": table,
                "seconds": took,
                "entries_per_second": rows[table] / took if took else None,
            }
            for table, took in sorted(seconds.items())
        ],
        "elements": _elements(tables[VALIDATED]),
    }


def _by_type(tables: Mapping[str, LakeTable]) -> list[dict[str, Any]]:
    counts = {name: _types(tables[name]) for name in (RAW, VALIDATED)}
    invalid, not_data = (_types(tables[QUARANTINED], each) for each in (INVALID, NOT_DATA))
    scores: defaultdict[str, list[float]] = defaultdict(lambda: [0.0, 0.0])
    for batch in tables[ENRICHED].batches(["resource_type", "quality_score"]):
        scored = pa.Table.from_batches([batch.filter(pc.is_valid(batch["quality_score"]))])
        sums = scored.group_by("resource_type").aggregate(
            [("quality_score", "sum"), ("quality_score", "count")]
        )
        for type_, total, count in zip(*(sums[name].to_pylist() for name in _SUMS), strict=True):
            scores[type_][0] += total
            scores[type_][1] += count
    return [
        {
            "resource_type": type_,
            "entries": counts[RAW][type_],
            "valid": counts[VALIDATED][type_],
            "quarantined": invalid[type_],
            "not_data": not_data[type_],
            "scored": int(scores[type_][1]),
            "mean_quality": scores[type_][0] / scores[type_][1] if scores[type_][1] else None,
        }
        for type_ in sorted(counts[RAW])
    ]


_SUMS = ("resource_type", "quality_score_sum", "quality_score_count")


def _types(table: LakeTable, of_class: str | None = None) -> Counter[str]:
    """Rows by type; of one class of what is in quarantine, where one is named."""
    known = r4().resource_names
    counts: Counter[str] = Counter()
    columns = ["resource_type"] if of_class is None else ["resource_type", "class"]
    for rows in table.batches(columns):
        batch = rows if of_class is None else rows.filter(pc.equal(classes_of(rows), of_class))
        for each in batch["resource_type"].value_counts().to_pylist():
            # A type that is none may be anything: nothing to be shown among ours.
            type_ = each["values"] if each["values"] in known else _UNKNOWN
            counts[type_] += each["counts"]
    return counts


def _elements(validated: LakeTable) -> list[dict[str, Any]]:
    """How many resources of each type have each top-level member, as they were sent."""
    shapes: Counter[tuple[str, ...]] = Counter()
    for batch in validated.batches(["resource_type", "resource"]):
        columns = (batch[name].to_pylist() for name in ("resource_type", "resource"))
        for type_, resource in zip(*columns, strict=True):
            if resource is not None:
                found = fenced(_decode_members, resource)
                # It counts as one that has no member
                shapes[type_, *(() if isinstance(found, InternalError) else found)] += 1
    present: Counter[tuple[str, str]] = Counter()
    resources: Counter[str] = Counter()
    for (type_, *members), count in shapes.items():
        resources[type_] += count
        for member in members:
            present[type_, member] += count
    return [
        {"resource_type": t, "element": e, "present": n, "resources": resources[t]}
        for (t, e), n in sorted(present.items())
    ]


def totals(rows: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """Add up the metrics of all batches: counts, rates, and counts by type and by rule."""
    listed = list(rows)
    names = ("entries", "valid", "quarantined", "not_data")
    summed = {name: sum(r[name] for r in listed) for name in names}
    data = summed["entries"] - summed["not_data"]
    seconds = sum(r["seconds"] or 0.0 for r in listed)
    timed = sum(r["entries"] for r in listed if r["seconds"])
    by_type: Counter[str] = Counter()
    by_rule: Counter[str] = Counter()
    for row in listed:
        by_type.update({each["resource_type"]: each["entries"] for each in row["by_type"]})
        by_rule.update({each["rule"]: each["entries"] for each in row["quarantined_by_rule"]})
    return {
        "batches": len(listed),
        **summed,
        "error_rate": summed["quarantined"] / data if data else 0.0,
        "entries_per_second": timed / seconds if seconds else None,
        "entries_by_type": dict(sorted(by_type.items())),
        "quarantined_by_rule": dict(by_rule.most_common()),
    }


def reusable(
    known: Sequence[Mapping[str, Any]], inputs: Mapping[str, str], now: Mapping[str, str]
) -> dict[str, Mapping[str, Any]]:
    """Pick the rows of batches whose tables have not changed since, by batch.

    Args:
        known: rows made before.
        inputs: hash of each table of each batch that those were made from, `<table>/<batch>`.
        now: the same as they are.
    """
    unchanged = compare(inputs, now).unchanged
    return {
        row["batch"]: row
        for row in known
        if unchanged.issuperset(f"{table}/{row['batch']}" for table in TABLES)
    }
