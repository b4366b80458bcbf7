"""Columns of the tables about how the pipeline does.

Belongs here: schemas only. Columns of the data, and what each column is made from, are in
`fhir/schemas.py`.
"""

import pyarrow as pa

from hc_assets.core.columns import column
from hc_assets.fhir.issue_schema import ISSUE

PROVENANCE_RESOURCES = pa.schema(
    [
        column("batch", pa.string(), "Key of the batch that the step was over", nullable=False),
        column("step", pa.string(), "split, validate or enrich", nullable=False),
        column("resource_id", pa.string(), "Provenance.id", nullable=False),
        column("resource", pa.binary(), "The Provenance as JSON; null where none could be made"),
        column("issues", pa.list_(ISSUE), "Why none could be made; null where it is there"),
    ]
)

_COUNT_BY_TYPE = pa.struct(
    [
        column("resource_type", pa.string(), "resourceType; unknown where R4 knows no such type"),
        column("entries", pa.int64(), "Entries of the type"),
        column("valid", pa.int64(), "Of these, valid R4"),
        column("quarantined", pa.int64(), "Of these, in quarantine as invalid"),
        column("not_data", pa.int64(), "Of these, in quarantine as no data"),
        column("scored", pa.int64(), "Of these, with a quality score"),
        column("mean_quality", pa.float64(), "Mean of those scores", unit="1"),
    ]
)
_COUNT_BY_RULE = pa.struct(
    [
        column("rule", pa.string(), "Identifier of the rule"),
        column("entries", pa.int64(), "Entries in quarantine that break it"),
    ]
)
_TIME_OF_STEP = pa.struct(
    [
        column("table", pa.string(), "Table that the step makes"),
        column("seconds", pa.float64(), "Time that it took", unit="s"),
        column("entries_per_second", pa.float64(), "Rows of the table by that time", unit="/s"),
    ]
)
_SHAPE = pa.struct(
    [
        column("resource_type", pa.string(), "resourceType"),
        column("element", pa.string(), "Top-level member of its JSON"),
        column("present", pa.int64(), "Resources that have it"),
        column("resources", pa.int64(), "Resources of the type"),
    ]
)
PIPELINE_METRICS = pa.schema(
    [
        column("batch", pa.string(), "Key of the batch", nullable=False),
        column("landed_at", pa.string(), "When it landed, UTC, ISO 8601", nullable=False),
        column("files", pa.int64(), "Files that it holds", nullable=False),
        column("bytes", pa.int64(), "Size of those", unit="By", nullable=False),
        column("entries", pa.int64(), "Entries that they were split into", nullable=False),
        column("valid", pa.int64(), "Entries that are valid R4", nullable=False),
        column("quarantined", pa.int64(), "Entries that are not", nullable=False),
        column(
            "not_data",
            pa.int64(),
            "Entries that hold nothing to be kept as a resource; in no rate",
            nullable=False,
        ),
        column("error_rate", pa.float64(), "Share of the entries that are not valid", unit="1"),
        column("mean_quality", pa.float64(), "Mean quality score of its resources", unit="1"),
        column("seconds", pa.float64(), "Time of its steps; null where not measured", unit="s"),
        column("entries_per_second", pa.float64(), "Entries by that time", unit="/s"),
        column("by_type", pa.list_(_COUNT_BY_TYPE), "Counts by resource type"),
        column("quarantined_by_rule", pa.list_(_COUNT_BY_RULE), "Quarantine by broken rule"),
        column("steps", pa.list_(_TIME_OF_STEP), "Time by step"),
        column("elements", pa.list_(_SHAPE), "Which members resources of a type have"),
    ]
)
