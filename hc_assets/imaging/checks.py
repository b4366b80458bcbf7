"""The imaging asset checks: which evaluator judges which asset, and how bad a failure is.

Belongs here: wiring only. Blocking where a wrong result would flow on: a file that is lost or
doubled, an array that a model would choke on.
"""

import dagster as dg

from hc_assets.imaging.preprocessing.planning import FAILED_ARRAYS
from hc_assets.imaging.preprocessing.registry import recipes
from hc_assets.imaging.settings import ImagingSettings
from hc_assets.imaging.verdicts import accounting, drift
from hc_assets.imaging.verdicts import headers as index_verdicts
from hc_assets.imaging.verdicts.fhir_patients import patient_identifiers
from hc_assets.imaging.verdicts.internal_errors import (
    NO_INTERNAL,
    NO_INTERNAL_DESCRIPTION,
    none_in,
)
from hc_assets.imaging.verdicts.shared_identifiers import count_conflicts
from hc_assets.lake.layout import Layout
from hc_assets.lake.manifests import read_manifest
from hc_assets.lake.tables import read_partition, read_partitions
from hc_assets.lake.warehouse import Warehouse
from hc_assets.orchestration.checks import WARN, batches_of, column_check, result, table_check

_INDEX = "imaging/dicom_index"
_UNREADABLE = "imaging/unreadable_files"
_METRICS = "imaging/quality_metrics"
_SERIES = "imaging/series"
_STUDIES = "imaging/imaging_studies"
_SERIES_QUALITY = "imaging/series_quality"
_ARRAYS = "imaging/preprocessed_arrays"


@table_check(
    _INDEX,
    reads=[_UNREADABLE],
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


@table_check(
    _INDEX,
    description="No SOPInstanceUID of the batch stands for files with different bytes, here or in"
    " another batch.",
)
def identifiers_unique(
    context: dg.AssetCheckExecutionContext, layout: dg.ResourceParam[Layout]
) -> dg.AssetCheckResult:
    """Count conflicting identifiers; all files stay, so this only warns."""
    keys = batches_of(context)
    index = read_partitions(layout, "imaging/dicom_index")
    own = read_partitions(layout, "imaging/dicom_index", keys)
    conflicting, total = count_conflicts(*(list(map(str, t.parts())) for t in (own, index)))
    doubles = sum(len(read_manifest(layout, "dicom", key).duplicates) for key in keys)
    return result(index_verdicts.identifiers_unique(conflicting, total, doubles), WARN)


@table_check(
    _INDEX,
    description="Each file has the attributes of type 1 that its SOP class requires.",
)
def required_attributes_present(
    context: dg.AssetCheckExecutionContext, layout: dg.ResourceParam[Layout]
) -> dg.AssetCheckResult:
    """Count files that lack one; they are indexed all the same, so this only warns."""
    rows = read_partitions(layout, "imaging/dicom_index", batches_of(context))
    columns = index_verdicts.REQUIRED_COLUMNS
    return result(index_verdicts.required_attributes_present(rows.batches(columns)), WARN)


@table_check(
    _INDEX,
    description="Each file's Modality is a defined term.",
)
def modality_known(
    context: dg.AssetCheckExecutionContext, layout: dg.ResourceParam[Layout]
) -> dg.AssetCheckResult:
    """Count files without; they go the way of those that no recipe is made for."""
    rows = read_partitions(layout, "imaging/dicom_index", batches_of(context)).to_table(
        ["modality", "sop_class_uid"]
    )
    return result(index_verdicts.modality_known(rows["modality"], rows["sop_class_uid"]), WARN)


@table_check(
    _METRICS,
    reads=["imaging/undecodable_frames"],
    description="At least HC_DECODABLE_RATE_THRESHOLD of the frames can be decoded.",
)
def decodable_rate_at_least_threshold(
    context: dg.AssetCheckExecutionContext,
    layout: dg.ResourceParam[Layout],
    settings: dg.ResourceParam[ImagingSettings],
) -> dg.AssetCheckResult:
    """Hold the rate against the threshold; what can't be decoded is set aside, so this warns."""
    decoded, undecodable = (
        read_partitions(layout, table, batches_of(context)).count_rows()
        for table in ("imaging/quality_metrics", "imaging/undecodable_frames")
    )
    threshold = settings.decodable_rate_threshold
    return result(index_verdicts.decodable_rate(decoded, undecodable, threshold), WARN)


@table_check(
    _METRICS,
    description="At least HC_QUALITY_PASS_RATE_THRESHOLD of the scored frames pass the gate.",
)
def quality_gate_pass_rate_at_least_threshold(
    context: dg.AssetCheckExecutionContext,
    layout: dg.ResourceParam[Layout],
    settings: dg.ResourceParam[ImagingSettings],
) -> dg.AssetCheckResult:
    """Hold the pass rate against the threshold; frames that fail get no array, so this warns."""
    rows = read_partitions(layout, "imaging/quality_metrics", batches_of(context))
    passes = rows.to_table(["passes_gate"])["passes_gate"]
    threshold = settings.quality_pass_rate_threshold
    return result(accounting.gate_pass_rate(passes, threshold), WARN)


@table_check(
    _METRICS,
    description="No scanner's median score is lower than in earlier batches by more than"
    " HC_QUALITY_DRIFT_THRESHOLD.",
)
def scanner_quality_steady(
    context: dg.AssetCheckExecutionContext,
    layout: dg.ResourceParam[Layout],
    settings: dg.ResourceParam[ImagingSettings],
) -> dg.AssetCheckResult:
    """Compare with all batches landed before; a worse scanner loses no data, so this warns."""
    keys = batches_of(context)
    table = read_partitions(layout, "imaging/quality_metrics")
    committed = [made.batch for _, made in table.partitions if made.batch]
    earlier = [batch for batch in committed if batch < min(keys)]
    now, before = (table.only(each).to_table(drift.COLUMNS) for each in (keys, earlier))
    return result(drift.scanners_steady(now, before, settings.quality_drift_threshold), WARN)


@table_check(
    _SERIES_QUALITY,
    description="At most HC_QUALITY_OUTLIER_THRESHOLD of the slices stand out from their"
    " neighbours.",
)
def series_slices_consistent(
    context: dg.AssetCheckExecutionContext,
    layout: dg.ResourceParam[Layout],
    settings: dg.ResourceParam[ImagingSettings],
) -> dg.AssetCheckResult:
    """Count the slices that stand out; they are listed in the table, so this warns."""
    rows = read_partitions(layout, "imaging/series_quality", batches_of(context))
    table = rows.to_table(["outlier_frames", "scored_frames"])
    threshold = settings.quality_outlier_threshold
    verdict = drift.slices_consistent(table["outlier_frames"], table["scored_frames"], threshold)
    return result(verdict, WARN)


@table_check(
    _ARRAYS,
    blocking=True,
    description="Each array is finite, from 0 to 1, and of the shape that its row states.",
)
def arrays_in_range(
    context: dg.AssetCheckExecutionContext, layout: dg.ResourceParam[Layout]
) -> dg.AssetCheckResult:
    """Look at every array, a row group at a time."""
    arrays = read_partitions(layout, "imaging/preprocessed_arrays", batches_of(context))
    return result(accounting.arrays_in_range(arrays.batches(["shape", "pixels"])))


@table_check(
    _ARRAYS,
    reads=[_METRICS, FAILED_ARRAYS],
    blocking=True,
    description="There is an array, or a reason why not, for each frame that passes the gate, and"
    " for no other.",
)
def every_gated_frame_has_an_array(
    context: dg.AssetCheckExecutionContext, layout: dg.ResourceParam[Layout]
) -> dg.AssetCheckResult:
    """Compare the frames of the arrays, and of those that failed, with those that pass."""
    keys = batches_of(context)
    metrics = read_partitions(layout, "imaging/quality_metrics", keys)
    arrays = read_partitions(layout, "imaging/preprocessed_arrays", keys)
    gated = metrics.to_table(["source_file", "frame", "passes_gate"])
    failed = read_partitions(layout, FAILED_ARRAYS, keys)
    made, gave_up = (each.to_table(["source_file", "frame"]) for each in (arrays, failed))
    return result(accounting.gated_frames_have_arrays(gated, made, gave_up))


@table_check(
    _ARRAYS,
    blocking=True,
    description="Each array has the shape and the type that its pipeline is set to.",
)
def shapes_match_pipelines(
    context: dg.AssetCheckExecutionContext,
    layout: dg.ResourceParam[Layout],
    settings: dg.ResourceParam[ImagingSettings],
) -> dg.AssetCheckResult:
    """Hold every array against the recipe that its row names."""
    arrays = read_partitions(layout, "imaging/preprocessed_arrays", batches_of(context))
    set_to = {
        label: (recipe.shape, recipe.dtype)
        for label, recipe in recipes(settings.preprocessing).items()
    }
    rows = arrays.batches(["pipeline", "shape", "pixels"])
    return result(accounting.arrays_of_their_pipelines(rows, set_to))


@table_check(
    _SERIES,
    description="No series lacks instances that its header, or the gaps between its slices, say it"
    " should have.",
)
def series_complete(layout: dg.ResourceParam[Layout]) -> dg.AssetCheckResult:
    """Count series with missing instances; the rest may still come, so this only warns."""
    rows = read_partition(layout, "imaging/series", None).to_table(
        ["is_complete", "missing_instances"]
    )
    return result(accounting.series_complete(rows["is_complete"], rows["missing_instances"]), WARN)


@table_check(
    _SERIES,
    description="At least HC_PATIENT_MATCH_THRESHOLD of the PatientIDs are the id or an identifier"
    " of a FHIR Patient; holds where there are no Patients.",
)
def patient_ids_match_fhir(
    layout: dg.ResourceParam[Layout],
    settings: dg.ResourceParam[ImagingSettings],
    warehouse: dg.ResourceParam[Warehouse],
) -> dg.AssetCheckResult:
    """Hold the rate against the threshold; a Patient may still come, so this only warns."""
    rows = read_partition(layout, "imaging/series", None).to_table(["patient_id"])
    verdict = index_verdicts.patients_match(
        rows["patient_id"].combine_chunks(),
        patient_identifiers(warehouse),
        settings.patient_match_threshold,
    )
    return result(verdict, WARN)


@table_check(
    _STUDIES, description="Every ImagingStudy is valid R4, by the project's own validator."
)
def imaging_studies_valid(layout: dg.ResourceParam[Layout]) -> dg.AssetCheckResult:
    """Count invalid resources: headers with UIDs that are none. FHIR quarantines them."""
    rows = read_partition(layout, "imaging/imaging_studies", None).to_table(["is_valid"])
    return result(accounting.studies_valid(rows["is_valid"]), WARN)


NO_INTERNAL_ERRORS = [
    column_check(table, column, none_in, name=NO_INTERNAL, description=NO_INTERNAL_DESCRIPTION)
    for table, column in {
        _UNREADABLE: "reason",
        "imaging/undecodable_frames": "reason",
        _SERIES_QUALITY: "reason",
        FAILED_ARRAYS: "reason",
        _SERIES: "warnings",
        _STUDIES: "reason",
    }.items()
]

CHECKS = [
    *NO_INTERNAL_ERRORS,
    every_entry_accounted_for,
    identifiers_unique,
    required_attributes_present,
    modality_known,
    decodable_rate_at_least_threshold,
    quality_gate_pass_rate_at_least_threshold,
    scanner_quality_steady,
    series_slices_consistent,
    arrays_in_range,
    every_gated_frame_has_an_array,
    shapes_match_pipelines,
    series_complete,
    patient_ids_match_fhir,
    imaging_studies_valid,
]
