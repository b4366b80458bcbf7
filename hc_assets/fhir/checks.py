"""The FHIR asset checks: which evaluator judges which asset, and how bad a failure is.

Belongs here: wiring only. Blocking where a wrong result would flow on: an entry that is lost or
doubled. A batch full of bad entries is not: they stay in quarantine and the good ones go on.
"""

import dagster as dg

from hc_assets.checks import ERROR, WARN, batches_of, result
from hc_assets.fhir import accounting
from hc_assets.fhir.assets import fhir_batches
from hc_assets.lake.layout import Layout
from hc_assets.lake.tables import read_partitions
from hc_assets.settings import Settings
from hc_assets.verdicts import rate_at_least

_VALIDATED = dg.AssetKey(["fhir", "validated_resources"])
_QUARANTINED = dg.AssetKey(["fhir", "quarantined_resources"])


@dg.asset_check(
    asset=_VALIDATED,
    additional_deps=[_QUARANTINED],
    partitions_def=fhir_batches,
    blocking=True,
    description="Each entry of the batch is validated or quarantined, exactly once.",
)
def every_entry_accounted_for(
    context: dg.AssetCheckExecutionContext, layout: dg.ResourceParam[Layout]
) -> dg.AssetCheckResult:
    """Compare the keys of raw, validated and quarantined entries."""
    raw, validated, quarantined = (
        accounting.entry_keys(read_partitions(layout, table, batches_of(context)))
        for table in (
            "fhir/raw_bundles",
            "fhir/validated_resources",
            "fhir/quarantined_resources",
        )
    )
    return result(accounting.entries_accounted_for(raw, validated, quarantined))


@dg.asset_check(
    asset=_VALIDATED,
    additional_deps=[_QUARANTINED],
    partitions_def=fhir_batches,
    description="At least HC_VALIDATION_RATE_THRESHOLD of the batch's entries are valid R4.",
)
def validation_rate_at_least_threshold(
    context: dg.AssetCheckExecutionContext,
    layout: dg.ResourceParam[Layout],
    settings: dg.ResourceParam[Settings],
) -> dg.AssetCheckResult:
    """Hold the share of valid entries against the threshold."""
    keys = batches_of(context)
    valid = read_partitions(layout, "fhir/validated_resources", keys).count_rows()
    invalid = read_partitions(layout, "fhir/quarantined_resources", keys).count_rows()
    threshold = settings.validation_rate_threshold
    return result(rate_at_least(valid, valid + invalid, threshold, what="entries are valid"), ERROR)


@dg.asset_check(
    asset=_VALIDATED,
    partitions_def=fhir_batches,
    description="No resource type and id comes twice in the batch.",
)
def identifiers_unique(
    context: dg.AssetCheckExecutionContext, layout: dg.ResourceParam[Layout]
) -> dg.AssetCheckResult:
    """Count identities that come more than once; the later version wins, so this only warns."""
    validated = read_partitions(layout, "fhir/validated_resources", batches_of(context))
    return result(accounting.identifiers_unique(accounting.identity_keys(validated)), WARN)


CHECKS = [every_entry_accounted_for, validation_rate_at_least_threshold, identifiers_unique]
