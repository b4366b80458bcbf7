"""The imaging asset checks: which evaluator judges which asset, and how bad a failure is.

Belongs here: wiring only. Blocking where a wrong result would flow on: a file that is lost or
doubled, an array that a model would choke on.
"""

import dagster as dg

from hc_assets.checks import WARN, batches_of, result
from hc_assets.imaging import accounting
from hc_assets.imaging.assets import dicom_batches
from hc_assets.lake.landing import read_manifest
from hc_assets.lake.layout import Layout
from hc_assets.lake.tables import read_partition, read_partitions
from hc_assets.settings import Settings

_INDEX = dg.AssetKey(["imaging", "dicom_index"])
_UNREADABLE = dg.AssetKey(["imaging", "unreadable_files"])
_METRICS = dg.AssetKey(["imaging", "quality_metrics"])
_SERIES = dg.AssetKey(["imaging", "series"])
_STUDIES = dg.AssetKey(["imaging", "imaging_studies"])
_ARRAYS = dg.AssetKey(["imaging", "preprocessed_arrays"])


@dg.asset_check(
    asset=_INDEX,
    additional_deps=[_UNREADABLE],
    partitions_def=dicom_batches,
    blocking=True,
    description="Each landed file of the batch is indexed or unreadable, exactly once.",
)
def every_entry_accounted_for(
    context: dg.AssetCheckExecutionContext, layout: dg.ResourceParam[Layout]
) -> dg.AssetCheckResult:
    """Compare the manifest's files with those of both tables."""
    keys = batches_of(context)
    landed = [f.source_file for key in keys for f in read_manifest(layout, "dicom", key).files]
    indexed, unreadable = (
        read_partitions(layout, table, keys).to_table(["source_file"])["source_file"]
        for table in ("imaging/dicom_index", "imaging/unreadable_files")
    )
    return result(accounting.files_accounted_for(landed, indexed, unreadable))


@dg.asset_check(
    asset=_INDEX,
    partitions_def=dicom_batches,
    description="No SOPInstanceUID of the batch stands for files with different bytes.",
)
def identifiers_unique(
    context: dg.AssetCheckExecutionContext, layout: dg.ResourceParam[Layout]
) -> dg.AssetCheckResult:
    """Count conflicting identifiers; both files stay, so this only warns."""
    columns = ["sop_instance_uid", "file_sha256"]
    rows = read_partitions(layout, "imaging/dicom_index", batches_of(context)).to_table(columns)
    verdict = accounting.identifiers_unique(rows["sop_instance_uid"], rows["file_sha256"])
    return result(verdict, WARN)


@dg.asset_check(
    asset=_METRICS,
    partitions_def=dicom_batches,
    description="At least HC_QUALITY_PASS_RATE_THRESHOLD of the scored frames pass the gate.",
)
def quality_gate_pass_rate_at_least_threshold(
    context: dg.AssetCheckExecutionContext,
    layout: dg.ResourceParam[Layout],
    settings: dg.ResourceParam[Settings],
) -> dg.AssetCheckResult:
    """Hold the pass rate against the threshold; frames that fail get no array, so this warns."""
    rows = read_partitions(layout, "imaging/quality_metrics", batches_of(context))
    passes = rows.to_table(["passes_gate"])["passes_gate"]
    threshold = settings.quality_pass_rate_threshold
    return result(accounting.gate_pass_rate(passes, threshold), WARN)


@dg.asset_check(
    asset=_ARRAYS,
    partitions_def=dicom_batches,
    blocking=True,
    description="Each array is finite, from 0 to 1, and of the shape that its row states.",
)
def arrays_in_range(
    context: dg.AssetCheckExecutionContext, layout: dg.ResourceParam[Layout]
) -> dg.AssetCheckResult:
    """Look at every array, a row group at a time."""
    arrays = read_partitions(layout, "imaging/preprocessed_arrays", batches_of(context))
    return result(accounting.arrays_in_range(arrays.batches(["shape", "pixels"])))


@dg.asset_check(
    asset=_ARRAYS,
    additional_deps=[_METRICS],
    partitions_def=dicom_batches,
    blocking=True,
    description="There is an array for each frame that passes the gate, and for no other.",
)
def every_gated_frame_has_an_array(
    context: dg.AssetCheckExecutionContext, layout: dg.ResourceParam[Layout]
) -> dg.AssetCheckResult:
    """Compare the number of arrays with that of passing frames."""
    keys = batches_of(context)
    metrics = read_partitions(layout, "imaging/quality_metrics", keys)
    arrays = read_partitions(layout, "imaging/preprocessed_arrays", keys).count_rows()
    passes = metrics.to_table(["passes_gate"])["passes_gate"]
    return result(accounting.gated_frames_have_arrays(passes, arrays))


@dg.asset_check(
    asset=_SERIES,
    description="No series lacks instances that its header, or the gaps between its slices, say it"
    " should have.",
)
def series_complete(layout: dg.ResourceParam[Layout]) -> dg.AssetCheckResult:
    """Count series with missing instances; the rest may still come, so this only warns."""
    rows = read_partition(layout, "imaging/series", None).to_table(
        ["is_complete", "missing_instances"]
    )
    return result(accounting.series_complete(rows["is_complete"], rows["missing_instances"]), WARN)


@dg.asset_check(
    asset=_STUDIES, description="Every ImagingStudy is valid R4, by the project's own validator."
)
def imaging_studies_valid(layout: dg.ResourceParam[Layout]) -> dg.AssetCheckResult:
    """Count invalid resources: headers with UIDs that are none. FHIR quarantines them."""
    rows = read_partition(layout, "imaging/imaging_studies", None).to_table(["is_valid"])
    return result(accounting.studies_valid(rows["is_valid"]), WARN)


CHECKS = [
    every_entry_accounted_for,
    identifiers_unique,
    quality_gate_pass_rate_at_least_threshold,
    arrays_in_range,
    every_gated_frame_has_an_array,
    series_complete,
    imaging_studies_valid,
]
