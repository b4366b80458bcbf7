"""The FHIR asset checks: which evaluator judges which asset, and how bad a failure is.

Belongs here: wiring only. Blocking where a wrong result would flow on: an entry that is lost or
doubled. A batch full of bad entries is not: they stay in quarantine and the good ones go on.
"""

import dagster as dg

from hc_assets.core.verdicts import no_internal_errors, rate_at_least
from hc_assets.fhir.bundles.not_data import INVALID
from hc_assets.fhir.enrichment.judging import invalid_enrichments
from hc_assets.fhir.export.exported_rows import current_lines
from hc_assets.fhir.settings import FhirSettings
from hc_assets.fhir.validation.let_through import count_let_through
from hc_assets.fhir.validation.problems import internal_errors
from hc_assets.fhir.validation.profile_rules import given_profiles, loaded
from hc_assets.fhir.verdicts import accounting
from hc_assets.fhir.verdicts import exports as export_accounting
from hc_assets.fhir.verdicts.batches import (
    all_still_valid,
    count_by_class,
    entries_by_rule,
    mean_quality,
    names_one_of,
    none_let_through,
    quality_at_least,
    quarantine_rate_at_most,
    some_are_named,
)
from hc_assets.fhir.verdicts.releases import entries_by_release, none_of_another_release
from hc_assets.lake.layout import Layout
from hc_assets.lake.tables import read_partition, read_partitions
from hc_assets.lake.warehouse import Warehouse
from hc_assets.orchestration.checks import ERROR, WARN, batches_of, result, table_check

_CURRENT = "fhir/current_resources"
_EXPORTS = "fhir/ndjson_exports"
_VALIDATED = "fhir/validated_resources"
_ENRICHED = "fhir/enriched_resources"
_QUARANTINED = "fhir/quarantined_resources"
_NO_INTERNAL_ERRORS = "no_internal_errors"


@table_check(
    _VALIDATED,
    reads=[_QUARANTINED],
    blocking=True,
    description="Each entry of the batch is validated, or quarantined as invalid or as no data,"
    " exactly once.",
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


@table_check(
    _VALIDATED,
    reads=[_QUARANTINED],
    description="At least HC_VALIDATION_RATE_THRESHOLD of the batch's entries that are data are"
    " valid R4.",
)
def validation_rate_at_least_threshold(
    context: dg.AssetCheckExecutionContext,
    layout: dg.ResourceParam[Layout],
    settings: dg.ResourceParam[FhirSettings],
) -> dg.AssetCheckResult:
    """Hold the share of valid entries against the threshold."""
    keys = batches_of(context)
    valid = read_partitions(layout, "fhir/validated_resources", keys).count_rows()
    invalid = count_by_class(read_partitions(layout, _QUARANTINED, keys))[INVALID]
    threshold = settings.validation_rate_threshold
    return result(rate_at_least(valid, valid + invalid, threshold, what="entries are valid"), ERROR)


@table_check(
    _VALIDATED,
    description="No resource type and id of a source comes twice in the batch.",
)
def identifiers_unique(
    context: dg.AssetCheckExecutionContext, layout: dg.ResourceParam[Layout]
) -> dg.AssetCheckResult:
    """Count identities that come more than once; the later version wins, so this only warns."""
    validated = read_partitions(layout, "fhir/validated_resources", batches_of(context))
    return result(accounting.identifiers_unique(accounting.identity_keys(validated)), WARN)


@table_check(
    _VALIDATED,
    description="No rule is broken that HC_FHIR_RULES_AS_WARNINGS lets through.",
)
def rules_let_through(
    context: dg.AssetCheckExecutionContext, layout: dg.ResourceParam[Layout]
) -> dg.AssetCheckResult:
    """Count what is wrong with resources that went on all the same, by rule."""
    validated = read_partitions(layout, _VALIDATED, batches_of(context))
    counts = count_let_through(batch["warnings"] for batch in validated.batches(["warnings"]))
    return result(none_let_through(counts, validated.count_rows()), WARN)


@table_check(
    _VALIDATED,
    reads=[_QUARANTINED],
    description="Some resource of the batch names one of HC_FHIR_PROFILES, where there are any.",
)
def given_profiles_named(
    context: dg.AssetCheckExecutionContext,
    layout: dg.ResourceParam[Layout],
    settings: dg.ResourceParam[FhirSettings],
) -> dg.AssetCheckResult:
    """Look for the URLs of the profiles; one that is demanded by type needs no naming."""
    if not settings.fhir_profiles or settings.fhir_profile_for:
        return result(some_are_named(given=0, named=True), WARN)
    urls = loaded(given_profiles(settings.fhir_profiles)).urls
    tables = (
        read_partitions(layout, name, batches_of(context)) for name in (_VALIDATED, _QUARANTINED)
    )
    named = any(names_one_of(urls, table) for table in tables)
    return result(some_are_named(given=len(urls), named=named), WARN)


@table_check(
    _ENRICHED,
    description="Each resource of the batch is valid R4 with all that enrichment adds to it.",
)
def enriched_resources_valid(
    context: dg.AssetCheckExecutionContext, layout: dg.ResourceParam[Layout]
) -> dg.AssetCheckResult:
    """Count resources of which enrichment left something out, which would have made them invalid.

    Each was judged when it was made: what is not valid is in no table.
    """
    enriched = read_partitions(layout, _ENRICHED, batches_of(context))
    found = invalid_enrichments(batch["issues"] for batch in enriched.batches(["issues"]))
    return result(all_still_valid(found, enriched.count_rows()), ERROR)


@table_check(
    _ENRICHED,
    description="The mean quality score of the batch is at least HC_QUALITY_SCORE_THRESHOLD.",
)
def mean_quality_at_least_threshold(
    context: dg.AssetCheckExecutionContext,
    layout: dg.ResourceParam[Layout],
    settings: dg.ResourceParam[FhirSettings],
) -> dg.AssetCheckResult:
    """Hold the mean quality score against the threshold."""
    enriched = read_partitions(layout, "fhir/enriched_resources", batches_of(context))
    mean, count = mean_quality(enriched)
    return result(quality_at_least(mean, count, settings.quality_score_threshold), WARN)


@table_check(
    _QUARANTINED,
    name=_NO_INTERNAL_ERRORS,
    description="No entry of the batch is in quarantine for an internal error.",
)
def no_internal_errors_in_quarantine(
    context: dg.AssetCheckExecutionContext, layout: dg.ResourceParam[Layout]
) -> dg.AssetCheckResult:
    """Count entries that an error of ours or of a library's stopped, by its class and place."""
    rows = read_partitions(layout, _QUARANTINED, batches_of(context))
    found = internal_errors(batch["issues"] for batch in rows.batches(["issues"]))
    return result(no_internal_errors(found), ERROR)


@table_check(
    _ENRICHED,
    name=_NO_INTERNAL_ERRORS,
    description="No resource of the batch goes on un-enriched for an internal error.",
)
def no_internal_errors_in_enrichment(
    context: dg.AssetCheckExecutionContext, layout: dg.ResourceParam[Layout]
) -> dg.AssetCheckResult:
    """Count resources whose enrichment an error stopped, by its class and place."""
    rows = read_partitions(layout, _ENRICHED, batches_of(context))
    found = internal_errors(batch["issues"] for batch in rows.batches(["issues"]))
    return result(no_internal_errors(found), ERROR)


@table_check(
    _QUARANTINED,
    reads=[_VALIDATED],
    description="No rule sends more than HC_QUARANTINE_RATE_THRESHOLD of the batch's entries to"
    " quarantine.",
)
def quarantine_rate_by_rule(
    context: dg.AssetCheckExecutionContext,
    layout: dg.ResourceParam[Layout],
    settings: dg.ResourceParam[FhirSettings],
) -> dg.AssetCheckResult:
    """Hold the share of the most frequent rule against the threshold."""
    keys = batches_of(context)
    quarantined = read_partitions(layout, "fhir/quarantined_resources", keys)
    validated = read_partitions(layout, "fhir/validated_resources", keys).count_rows()
    total = validated + count_by_class(quarantined)[INVALID]
    threshold = settings.quarantine_rate_threshold
    return result(quarantine_rate_at_most(entries_by_rule(quarantined), total, threshold), WARN)


@table_check(
    _QUARANTINED,
    reads=[_VALIDATED],
    description="No entry of the batch is refused for what another release of FHIR has.",
)
def refused_entries_not_of_another_release(
    context: dg.AssetCheckExecutionContext, layout: dg.ResourceParam[Layout]
) -> dg.AssetCheckResult:
    """Say what share of the refused entries looks like which release."""
    keys = batches_of(context)
    quarantined = read_partitions(layout, _QUARANTINED, keys)
    refused = entries_by_release(quarantined, "issues", of_class=INVALID)
    total = count_by_class(quarantined)[INVALID]
    valid = entries_by_release(read_partitions(layout, _VALIDATED, keys), "warnings")
    return result(none_of_another_release(refused, total, valid), ERROR)


@table_check(
    _CURRENT,
    blocking=True,
    description="Each resource that was ever delivered has exactly one current row.",
)
def current_rows_unique(warehouse: dg.ResourceParam[Warehouse]) -> dg.AssetCheckResult:
    """Count resources without, or with several, current rows."""
    with warehouse.read() as connection:
        return result(export_accounting.current_rows_unique(connection))


@table_check(
    _EXPORTS,
    reads=[_CURRENT],
    description="The export, read back as its manifest says, is the current resources, byte for"
    " byte.",
)
def exports_equal_current_rows(
    layout: dg.ResourceParam[Layout], warehouse: dg.ResourceParam[Warehouse]
) -> dg.AssetCheckResult:
    """Read the export back and compare it with the current rows, line by line."""
    files = read_partition(layout, "fhir/ndjson_exports", None).to_table().to_pylist()
    with warehouse.read() as connection:
        current = current_lines(connection)
        return result(export_accounting.export_equals(layout.exports("fhir"), files, current))


CHECKS = [
    current_rows_unique,
    exports_equal_current_rows,
    every_entry_accounted_for,
    validation_rate_at_least_threshold,
    identifiers_unique,
    rules_let_through,
    given_profiles_named,
    quarantine_rate_by_rule,
    refused_entries_not_of_another_release,
    enriched_resources_valid,
    mean_quality_at_least_threshold,
    no_internal_errors_in_quarantine,
    no_internal_errors_in_enrichment,
]
