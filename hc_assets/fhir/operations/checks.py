"""The checks over all batches: exports that came, references, conditional requests, sources, drift.

Belongs here: wiring only. None of them blocks: what they find is in the data that came, or did not.
"""

from functools import partial

import dagster as dg

from hc_assets.core.verdicts import no_internal_errors
from hc_assets.fhir.bundles.landed_exports import count_of, landed_exports
from hc_assets.fhir.bundles.text_streams import TextLimits
from hc_assets.fhir.settings import FhirSettings
from hc_assets.fhir.validation.problems import internal_errors
from hc_assets.fhir.verdicts.bulk_exports import exports_complete
from hc_assets.fhir.verdicts.conditional_requests import (
    conditional_requests_unambiguous as unambiguous,
)
from hc_assets.fhir.verdicts.drift import shape_is_steady
from hc_assets.fhir.verdicts.references import failed_resolutions
from hc_assets.fhir.verdicts.references import references_by_query_resolve as resolved_by_query
from hc_assets.fhir.verdicts.references import references_resolve as resolved
from hc_assets.fhir.verdicts.sources import no_source_assumed as assumed
from hc_assets.lake.layout import Layout
from hc_assets.lake.tables import read_partition, read_partitions
from hc_assets.lake.warehouse import Warehouse
from hc_assets.orchestration.checks import ERROR, WARN, batches_of, result, table_check

_CURRENT = "fhir/current_resources"
_METRICS = "fhir/pipeline_metrics"
_PROVENANCE = "fhir/provenance_resources"
_NO_INTERNAL_ERRORS = "no_internal_errors"


@table_check(
    _CURRENT,
    description="Each literal reference of a current resource leads to one of the same source.",
)
def references_resolve(warehouse: dg.ResourceParam[Warehouse]) -> dg.AssetCheckResult:
    """Count references to nothing and to what was deleted; sources leave out much, so it warns."""
    with warehouse.read("fhir/enriched_resources") as connection:
        return result(resolved(connection), WARN)


@table_check(
    _CURRENT,
    description="Criteria of conditional creates and updates match no resource under another id.",
)
def conditional_requests_unambiguous(
    warehouse: dg.ResourceParam[Warehouse],
) -> dg.AssetCheckResult:
    """Count requests that a server would have applied to another resource; nothing is lost."""
    with warehouse.read("fhir/enriched_resources") as connection:
        return result(unambiguous(connection), WARN)


@table_check(
    _CURRENT,
    description="Each reference by query of a current resource leads to exactly one resource.",
)
def references_by_query_resolve(warehouse: dg.ResourceParam[Warehouse]) -> dg.AssetCheckResult:
    """Count those that lead to none or to several: they stay as they were sent."""
    with warehouse.read() as connection:
        return result(resolved_by_query(connection), WARN)


@table_check(
    _CURRENT,
    name=_NO_INTERNAL_ERRORS,
    description="No current resource keeps its references by query for an internal error.",
)
def no_internal_errors_in_versions(
    warehouse: dg.ResourceParam[Warehouse],
) -> dg.AssetCheckResult:
    """Count resources whose references an error left unresolved, by its class and place."""
    with warehouse.read() as connection:
        return result(no_internal_errors(failed_resolutions(connection)), ERROR)


@table_check(
    _PROVENANCE,
    name=_NO_INTERNAL_ERRORS,
    description="Each step over the batch has its Provenance.",
)
def no_internal_errors_in_provenance(
    context: dg.AssetCheckExecutionContext, layout: dg.ResourceParam[Layout]
) -> dg.AssetCheckResult:
    """Count steps whose Provenance an error stopped, by its class and place."""
    rows = read_partitions(layout, _PROVENANCE, batches_of(context))
    found = internal_errors(batch["issues"] for batch in rows.batches(["issues"]))
    return result(no_internal_errors(found), ERROR)


@table_check(
    _CURRENT,
    description="No type and id came both from a server and from files that name no source.",
)
def no_source_assumed(warehouse: dg.ResourceParam[Warehouse]) -> dg.AssetCheckResult:
    """Count what may be two resources taken for one; the user can say, and nothing stops."""
    with warehouse.read() as connection:
        return result(assumed(connection), ERROR)


@table_check(
    _CURRENT,
    description="Each file that the manifest of a Bulk Data export lists has landed, with as many"
    " resources as it says.",
)
def export_complete(
    layout: dg.ResourceParam[Layout],
    settings: dg.ResourceParam[FhirSettings],
    warehouse: dg.ResourceParam[Warehouse],
) -> dg.AssetCheckResult:
    """Compare manifests with what landed in any batch; what is here is good, so it goes on."""
    limits = TextLimits.configured(settings)
    with warehouse.read("fhir/raw_bundles") as connection:
        exports = landed_exports(connection, layout, limits)
        return result(exports_complete(exports, partial(count_of, layout, limits=limits)), ERROR)


@table_check(
    _METRICS,
    description="Resources of a type have the elements that they had in the batch before.",
)
def schema_is_steady(layout: dg.ResourceParam[Layout]) -> dg.AssetCheckResult:
    """Compare the shape of the last two batches."""
    metrics = read_partition(layout, "fhir/pipeline_metrics", None)
    rows = [row for part in metrics.batches(["batch", "elements"]) for row in part.to_pylist()]
    return result(shape_is_steady(rows), WARN)


CHECKS = [
    references_resolve,
    references_by_query_resolve,
    no_internal_errors_in_versions,
    no_internal_errors_in_provenance,
    conditional_requests_unambiguous,
    no_source_assumed,
    export_complete,
    schema_is_steady,
]
