"""What each column of the FHIR tables is made from: one source for Dagster and the data dictionary.

Belongs here: the declarations only; their shape is in `lake/lineage.py`.
"""

from collections.abc import Mapping

from hc_assets.lake.lineage import Lineage

_RAW, _VALIDATED = "fhir/raw_bundles", "fhir/validated_resources"
_QUARANTINED, _ENRICHED = "fhir/quarantined_resources", "fhir/enriched_resources"
_CURRENT, _PROVENANCE = "fhir/current_resources", "fhir/provenance_resources"

# Which delivery is a version follows from when each was last updated, in which order they came, and
# whether their content differs.
_VERSION = tuple(
    f"{_ENRICHED}.{name}"
    for name in ("last_updated", "batch", "source_file", "position", "content_sha256")
)
_OF_RAW = (f"{_RAW}.resource",)
_OF_VALIDATED = (f"{_VALIDATED}.resource",)
_JUDGED = (f"{_VALIDATED}.position", f"{_QUARANTINED}.position")

LINEAGE: Mapping[str, Lineage] = {
    _RAW: Lineage(rest=()),
    _VALIDATED: Lineage(
        carries=(_RAW,),
        made={
            "patient_id": (*_OF_RAW, f"{_RAW}.full_url"),
            "encounter_id": (*_OF_RAW, f"{_RAW}.full_url"),
            "warnings": _OF_RAW,
        },
    ),
    _QUARANTINED: Lineage(
        carries=(_RAW,),
        made={"issues": (f"{_RAW}.problem", *_OF_RAW, f"{_RAW}.request_method")},
    ),
    _ENRICHED: Lineage(
        carries=(_VALIDATED,),
        made={
            "resource_id": (f"{_VALIDATED}.resource_id", f"{_VALIDATED}.full_url", *_OF_VALIDATED),
            "last_updated": (f"{_VALIDATED}.last_modified", *_OF_VALIDATED),
            "content_sha256": _OF_VALIDATED,
            "quality_score": (f"{_VALIDATED}.warnings", *_OF_VALIDATED),
            "completeness": _OF_VALIDATED,
            "validity": (f"{_VALIDATED}.warnings",),
            "consistency": _OF_VALIDATED,
            "issues": _OF_VALIDATED,
            "literal_references": (f"{_RAW}.full_url", *_OF_VALIDATED),
            "identifiers": _OF_VALIDATED,
            "conditional_references": _OF_VALIDATED,
            "resource": (f"{_RAW}.full_url", f"{_VALIDATED}.warnings", *_OF_VALIDATED),
        },
    ),
    _PROVENANCE: Lineage(carries=(_RAW,), rest=(), made={"resource_id": (), "resource": ()}),
    "fhir/pipeline_metrics": Lineage(
        carries=(_RAW,),
        made={
            "entries": (f"{_RAW}.position",),
            "valid": (f"{_VALIDATED}.position",),
            "quarantined": (f"{_QUARANTINED}.position",),
            "error_rate": _JUDGED,
            "mean_quality": (f"{_ENRICHED}.quality_score",),
            "entries_per_second": (f"{_RAW}.position",),
            "by_type": (
                f"{_RAW}.resource_type",
                f"{_VALIDATED}.resource_type",
                f"{_QUARANTINED}.resource_type",
                f"{_ENRICHED}.quality_score",
            ),
            "quarantined_by_rule": (f"{_QUARANTINED}.issues",),
            "elements": (f"{_VALIDATED}.resource_type", *_OF_VALIDATED),
        },
        rest=(),  # from the manifest, and from Dagster's record of the run
    ),
    _CURRENT: Lineage(
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
    "fhir/resource_history": Lineage(
        carries=(_ENRICHED,),
        made={
            "version_id": _VERSION,
            "is_deleted": (f"{_ENRICHED}.resource",),
            "is_current": _VERSION,
        },
    ),
    "fhir/ndjson_exports": Lineage(
        made={
            "list": (f"{_CURRENT}.is_deleted", f"{_QUARANTINED}.issues"),
            "resource_type": (f"{_CURRENT}.resource_type",),
            "file": (f"{_CURRENT}.resource_type",),
        },
        rest=(f"{_CURRENT}.resource", f"{_QUARANTINED}.issues"),
    ),
}
