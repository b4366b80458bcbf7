"""What each column of the imaging tables is made from: one source for Dagster and the dictionary.

Belongs here: the declarations only; their shape is in `lake/lineage.py`.
"""

from collections.abc import Mapping

from hc_assets.imaging.volumes import lineage as volumes
from hc_assets.lake.lineage import Lineage

_INDEX, _METRICS = "imaging/dicom_index", "imaging/quality_metrics"
_ARRAYS = "imaging/preprocessed_arrays"
# The pixels lie in the landed file that the index names.
_PIXELS = (f"{_INDEX}.source_file",)
_SCORE = (f"{_METRICS}.overall_quality",)
_ORDER = tuple(
    f"{_INDEX}.{name}" for name in ("instance_number", "image_position", "image_orientation")
)
_SLICES = (*_SCORE, *_ORDER)
_INSTANCES = (f"{_INDEX}.sop_instance_uid",)
_SPACING = (f"{_INDEX}.image_position", f"{_INDEX}.image_orientation", f"{_INDEX}.dicom_json")
# Patients that share pixels, an instance or a study stay together.
_PATIENT = (
    f"{_INDEX}.patient_id",
    f"{_INDEX}.study_instance_uid",
    f"{_INDEX}.series_instance_uid",
    f"{_ARRAYS}.content_sha256",
    f"{_ARRAYS}.sop_instance_uid",
    f"{_ARRAYS}.file_sha256",
)

LINEAGE: Mapping[str, Lineage] = {
    _INDEX: Lineage(rest=()),
    "imaging/unreadable_files": Lineage(rest=()),
    _METRICS: Lineage(
        carries=(_INDEX,),
        made={"scanner": (f"{_INDEX}.manufacturer", f"{_INDEX}.model_name")},
        rest=_PIXELS,
    ),
    "imaging/undecodable_frames": Lineage(carries=(_INDEX,), rest=_PIXELS),
    "imaging/series_quality": Lineage(
        carries=(_METRICS,),
        made={
            "frames": (f"{_METRICS}.frame",),
            "scored_frames": _SCORE,
            "passing_frames": (f"{_METRICS}.passes_gate",),
            "quality_median": _SCORE,
            "quality_minimum": _SCORE,
            "quality_maximum": _SCORE,
            "slice_consistency": _SLICES,
            "outlier_frames": _SLICES,
            "outliers": (f"{_METRICS}.source_file", f"{_METRICS}.frame", *_SLICES),
        },
    ),
    "imaging/quality_report": Lineage(
        carries=(_METRICS,),
        made={
            "scope": (),
            "frames": (f"{_METRICS}.frame",),
            "passing_frames": (f"{_METRICS}.passes_gate",),
            "training_frames": (f"{_METRICS}.is_fit_for_training",),
            "frames_with_text": (f"{_METRICS}.has_burned_in_text",),
        },
        rest=_SCORE,
    ),
    _ARRAYS: Lineage(
        carries=(_METRICS, _INDEX),
        rest=(f"{_METRICS}.source_file", f"{_METRICS}.passes_gate"),
    ),
    "imaging/series": Lineage(
        carries=(_INDEX,),
        made={
            "batches": (f"{_INDEX}.batch",),
            "sop_class_uids": (f"{_INDEX}.sop_class_uid",),
            "files": (f"{_INDEX}.source_file",),
            "instances": _INSTANCES,
            "conflicting_instances": (*_INSTANCES, f"{_INDEX}.file_sha256"),
            "missing_instance_numbers": (f"{_INDEX}.instance_number",),
            "expected_instances": (f"{_INDEX}.dicom_json", f"{_INDEX}.image_position"),
            "expected_from": (f"{_INDEX}.dicom_json", f"{_INDEX}.image_position"),
            "missing_instances": (*_INSTANCES, f"{_INDEX}.dicom_json", f"{_INDEX}.image_position"),
            "is_complete": (*_INSTANCES, f"{_INDEX}.dicom_json", f"{_INDEX}.instance_number"),
            "image_orientation": _SPACING,
            "warnings": tuple(
                f"{_INDEX}.{name}"
                for name in ("patient_id", "modality", "series_number", "rows", "columns")
            ),
        },
        rest=_SPACING,
    ),
    "imaging/imaging_studies": Lineage(
        carries=(_INDEX,),
        made={
            "resource_id": (f"{_INDEX}.study_instance_uid",),
            "patient_ids": (f"{_INDEX}.patient_id",),
            "modalities": (f"{_INDEX}.modality",),
            "series": (f"{_INDEX}.series_instance_uid",),
            "instances": _INSTANCES,
        },
        rest=(f"{_INDEX}.dicom_json",),
    ),
    **volumes.LINEAGE,
    "imaging/training_set": Lineage(
        carries=(_ARRAYS, _INDEX, _METRICS),
        made={
            "sample_id": (f"{_INDEX}.file_sha256", f"{_ARRAYS}.frame"),
            "split": _PATIENT,
            "patient_pseudonym": _PATIENT,
            "labels": (*_PATIENT, f"{_INDEX}.accession_number"),
            "shard": (f"{_ARRAYS}.pixels",),
            "shard_row": (f"{_ARRAYS}.pixels",),
        },
    ),
}
