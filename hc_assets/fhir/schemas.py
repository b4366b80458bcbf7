"""Columns of the FHIR tables: one source for files, checks, the UI and the data dictionary.

Belongs here: schemas only. The code that fills them is in the module that each is named after.
"""

from collections.abc import Mapping

import pyarrow as pa

from hc_assets.core.columns import column
from hc_assets.core.lineage import Lineage
from hc_assets.core.table_schema import TableSchema
from hc_assets.fhir.export.schemas import NDJSON_EXPORTS
from hc_assets.fhir.issue_schema import ISSUE
from hc_assets.fhir.operations.schemas import PIPELINE_METRICS, PROVENANCE_RESOURCES

_BATCH = column("batch", pa.string(), "Key of the batch that the row came with", nullable=False)
_KEYS = [
    _BATCH,
    column(
        "source_file",
        pa.string(),
        "File that the entry came in: relative to the landing folder, else absolute",
        nullable=False,
    ),
    column("source_sha256", pa.string(), "SHA-256 of that file; empty where it can't be read"),
    column(
        "position",
        pa.int64(),
        "Entry of the bundle or line of the NDJSON file, from 0",
        nullable=False,
    ),
    column(
        "source",
        pa.string(),
        "Source that the entry is of: the name that its file was landed under, else the base of the"
        " addresses in it; null where nothing names one",
    ),
    column("resource_type", pa.string(), "resourceType; null where it can't be read"),
    column(
        "resource_id",
        pa.string(),
        "Resource.id, else the one that a PUT's url names; null where there is none",
    ),
    column("full_url", pa.string(), "Bundle.entry.fullUrl"),
    column("request_method", pa.string(), "Bundle.entry.request.method"),
    column("request_url", pa.string(), "Bundle.entry.request.url"),
    column("request_if_none_exist", pa.string(), "Bundle.entry.request.ifNoneExist"),
    column(
        "last_modified",
        pa.timestamp("us", tz="UTC"),
        "Bundle.entry.response.lastModified; of a deletion without one, when its Bundle was made",
    ),
    column(
        "last_modified_digits",
        pa.string(),
        "Digits of that time behind its microseconds, without zeros at the end; of a leap second"
        " an L and its fraction",
    ),
    column("response_etag", pa.string(), "Bundle.entry.response.etag"),
]
_PLACE = column(
    "place",
    pa.string(),
    "FHIRPath of the entry in its file or line, where it came in a Bundle within a Bundle or in"
    " Parameters; null where the position says it",
)
_RESOURCE = column(
    "resource", pa.binary(), "The resource as JSON, byte for byte as received; null for a deletion"
)

RAW_BUNDLES = pa.schema(
    [
        *_KEYS,
        column("problem", pa.string(), "Why no resource could be taken from here; else null"),
        column(
            "not_data",
            pa.string(),
            "Why nothing is to be kept of what is here, though it may be valid; else null",
        ),
        column(
            "issues",
            pa.list_(ISSUE),
            "What is wrong with a Bundle or Parameters as a whole, in the row that stands for it"
            " behind those of its entries; else null",
        ),
        _PLACE,
        _RESOURCE,
    ]
)

VALIDATED_RESOURCES = pa.schema(
    [
        *_KEYS,
        column("patient_id", pa.string(), "Patient that the resource is about"),
        column("encounter_id", pa.string(), "Encounter that it belongs to"),
        column("warnings", pa.list_(ISSUE), "Issues that leave the resource valid"),
        _RESOURCE,
    ]
)

QUARANTINED_RESOURCES = pa.schema(
    [
        *_KEYS,
        column(
            "class",
            pa.string(),
            "invalid, or not_data: valid, and nothing to be kept as a resource",
            nullable=False,
        ),
        column("issues", pa.list_(ISSUE), "Every reason, worst first"),
        _PLACE,
        _RESOURCE,
    ]
)

ENRICHED_RESOURCES = pa.schema(
    [
        *_KEYS,
        column("patient_id", pa.string(), "Patient that the resource is about"),
        column("encounter_id", pa.string(), "Encounter that it belongs to"),
        column("last_updated", pa.timestamp("us", tz="UTC"), "meta.lastUpdated after enrichment"),
        column(
            "last_updated_digits",
            pa.string(),
            "Digits of that time behind its microseconds, as last_modified_digits has them",
        ),
        column(
            "stated_version",
            pa.string(),
            "meta.versionId as sent, else the version that response_etag names; null where neither"
            " is there",
        ),
        column(
            "content_sha256",
            pa.string(),
            "Hash of the resource as sent, apart from meta.lastUpdated and meta.versionId;"
            " null for a deletion",
        ),
        column(
            "quality_score",
            pa.float64(),
            "0.5 completeness + 0.3 validity + 0.2 consistency, rescaled over the parts that exist",
            unit="1",
        ),
        column(
            "completeness",
            pa.float64(),
            "Share of the elements that matter for the type that are present; null where the"
            " setting names none",
            unit="1",
        ),
        column("validity", pa.float64(), "1 less a tenth for each warning, at least 0", unit="1"),
        column(
            "consistency",
            pa.float64(),
            "Share of the facts that hold: references, order of dates, life, encounter, sex,"
            " other resources' statements; null where there is none to judge",
            unit="1",
        ),
        column(
            "issues",
            pa.list_(ISSUE),
            "Facts that do not hold, odd values, units and ranges, and what enrichment left out;"
            " null for a deletion",
        ),
        column(
            "literal_references",
            pa.list_(pa.string()),
            "Its literal references, type/id or URN, each as often as it comes; those of other"
            " servers are left out",
        ),
        column(
            "identifiers",
            pa.list_(pa.string()),
            "Its business identifiers as FHIR searches for them: system|value",
        ),
        column(
            "conditional_references",
            pa.list_(pa.string()),
            "Its references that are a query, type?criteria",
        ),
        column(
            "absolute_references",
            pa.list_(pa.string()),
            "Its references to other servers, as they were sent",
        ),
        column(
            "resource",
            pa.binary(),
            "The resource as JSON with what enrichment added, and with references that hold only"
            " in its bundle, or name its own server, replaced by type/id",
        ),
    ]
)

CURRENT_RESOURCES = pa.schema(
    [
        column(
            "source",
            pa.string(),
            "Source that it is of: a name, or the base of a server; null where nothing names one",
        ),
        column("resource_type", pa.string(), "resourceType", nullable=False),
        column("resource_id", pa.string(), "Resource.id", nullable=False),
        column("version_id", pa.int64(), "1 for the first content, counted up with each other one"),
        column("last_updated", pa.timestamp("us", tz="UTC"), "meta.lastUpdated"),
        column("is_deleted", pa.bool_(), "Whether the last thing heard of it is its deletion"),
        column("patient_id", pa.string(), "Patient that the resource is about"),
        column("encounter_id", pa.string(), "Encounter that it belongs to"),
        column("batch", pa.string(), "Key of the batch that brought this version"),
        column(
            "content_sha256", pa.string(), "content_sha256 of the enriched row; null where deleted"
        ),
        column(
            "resource",
            pa.binary(),
            "The resource as JSON, its conditional references resolved; null where deleted",
        ),
    ]
)
RESOURCE_HISTORY = pa.schema(
    [
        *(field for field in CURRENT_RESOURCES if field.name != "resource"),
        column("resource", pa.binary(), "The version as JSON, as enriched; null for a deletion"),
        column("source_file", pa.string(), "File that brought the version"),
        column("position", pa.int64(), "Entry or line of that file, from 0"),
        column("is_current", pa.bool_(), "Whether it is the latest version of the resource"),
    ]
)

_RAW, _VALIDATED = "fhir/raw_bundles", "fhir/validated_resources"
_QUARANTINED, _ENRICHED = "fhir/quarantined_resources", "fhir/enriched_resources"
_CURRENT, _PROVENANCE = "fhir/current_resources", "fhir/provenance_resources"

# Which delivery is a version follows from when each was last updated, in which order they came, and
# whether their content differs.
_VERSION = tuple(
    f"{_ENRICHED}.{name}"
    for name in (
        "source",
        "last_updated",
        "last_updated_digits",
        "stated_version",
        "batch",
        "source_file",
        "position",
        "content_sha256",
    )
)
_OF_RAW = (f"{_RAW}.resource",)
_OF_VALIDATED = (f"{_VALIDATED}.resource",)
_JUDGED = (f"{_VALIDATED}.position", f"{_QUARANTINED}.class")

# What each column is made from: one source for Dagster and the data dictionary.
TABLES: Mapping[str, TableSchema] = {
    _RAW: TableSchema(RAW_BUNDLES, Lineage(rest=()), code_version="3"),
    _VALIDATED: TableSchema(
        VALIDATED_RESOURCES,
        Lineage(
            carries=(_RAW,),
            made={
                "patient_id": (*_OF_RAW, f"{_RAW}.full_url"),
                "encounter_id": (*_OF_RAW, f"{_RAW}.full_url"),
                "warnings": _OF_RAW,
            },
        ),
        code_version="2",
    ),
    _QUARANTINED: TableSchema(
        QUARANTINED_RESOURCES,
        Lineage(
            carries=(_RAW,),
            made={
                "class": (f"{_RAW}.not_data", *_OF_RAW),
                "issues": (
                    f"{_RAW}.problem",
                    f"{_RAW}.not_data",
                    f"{_RAW}.issues",
                    *_OF_RAW,
                    f"{_RAW}.request_method",
                ),
            },
        ),
        code_version="2",
    ),
    _ENRICHED: TableSchema(
        ENRICHED_RESOURCES,
        Lineage(
            carries=(_VALIDATED,),
            made={
                "resource_id": (
                    f"{_VALIDATED}.resource_id",
                    f"{_VALIDATED}.full_url",
                    *_OF_VALIDATED,
                ),
                "last_updated": (f"{_VALIDATED}.last_modified", *_OF_VALIDATED),
                "last_updated_digits": (f"{_VALIDATED}.last_modified_digits", *_OF_VALIDATED),
                "stated_version": (f"{_VALIDATED}.response_etag", *_OF_VALIDATED),
                "content_sha256": _OF_VALIDATED,
                "quality_score": (f"{_VALIDATED}.warnings", *_OF_VALIDATED),
                "completeness": _OF_VALIDATED,
                "validity": (f"{_VALIDATED}.warnings",),
                "consistency": _OF_VALIDATED,
                "issues": _OF_VALIDATED,
                "literal_references": (f"{_RAW}.full_url", *_OF_VALIDATED),
                "identifiers": _OF_VALIDATED,
                "conditional_references": _OF_VALIDATED,
                "absolute_references": (f"{_VALIDATED}.full_url", *_OF_VALIDATED),
                "resource": (f"{_RAW}.full_url", f"{_VALIDATED}.warnings", *_OF_VALIDATED),
            },
        ),
        code_version="4",
    ),
    _PROVENANCE: TableSchema(
        PROVENANCE_RESOURCES,
        Lineage(carries=(_RAW,), rest=(), made={"resource_id": (), "resource": (), "issues": ()}),
        code_version="2",
    ),
    "fhir/pipeline_metrics": TableSchema(
        PIPELINE_METRICS,
        Lineage(
            carries=(_RAW,),
            made={
                "entries": (f"{_RAW}.position",),
                "valid": (f"{_VALIDATED}.position",),
                "quarantined": (f"{_QUARANTINED}.class",),
                "not_data": (f"{_QUARANTINED}.class",),
                "error_rate": _JUDGED,
                "mean_quality": (f"{_ENRICHED}.quality_score",),
                "entries_per_second": (f"{_RAW}.position",),
                "by_type": (
                    f"{_RAW}.resource_type",
                    f"{_VALIDATED}.resource_type",
                    f"{_QUARANTINED}.resource_type",
                    f"{_QUARANTINED}.class",
                    f"{_ENRICHED}.quality_score",
                ),
                "quarantined_by_rule": (f"{_QUARANTINED}.issues",),
                "elements": (f"{_VALIDATED}.resource_type", *_OF_VALIDATED),
            },
            rest=(),  # from the manifest, and from Dagster's record of the run
        ),
        code_version="2",
    ),
    _CURRENT: TableSchema(
        CURRENT_RESOURCES,
        Lineage(
            carries=(_ENRICHED,),
            made={
                "version_id": _VERSION,
                "is_deleted": (f"{_ENRICHED}.resource",),
                "resource": tuple(
                    f"{_ENRICHED}.{name}"
                    for name in ("resource", "identifiers", "conditional_references")
                ),
            },
        ),
        code_version="2",
    ),
    "fhir/resource_history": TableSchema(
        RESOURCE_HISTORY,
        Lineage(
            carries=(_ENRICHED,),
            made={
                "version_id": _VERSION,
                "is_deleted": (f"{_ENRICHED}.resource",),
                "is_current": _VERSION,
            },
        ),
        code_version="2",
    ),
    "fhir/ndjson_exports": TableSchema(
        NDJSON_EXPORTS,
        Lineage(
            made={
                "list": (f"{_CURRENT}.is_deleted", f"{_QUARANTINED}.class"),
                "resource_type": (f"{_CURRENT}.resource_type",),
                "source": (f"{_CURRENT}.source",),
                "file": (f"{_CURRENT}.resource_type", f"{_CURRENT}.source"),
            },
            rest=(f"{_CURRENT}.resource", f"{_QUARANTINED}.issues"),
        ),
        code_version="2",
    ),
}
