"""What each column of the volume tables is made from.

Belongs here: the declarations only; their shape is in `lake/lineage.py`.
"""

from collections.abc import Mapping

from hc_assets.lake.lineage import Lineage

_INDEX, _METRICS = "imaging/dicom_index", "imaging/quality_metrics"
_PLACE = (f"{_INDEX}.image_position", f"{_INDEX}.image_orientation", f"{_INDEX}.dicom_json")
# The pixels lie in the landed file that the index names.
_VOXELS = (f"{_INDEX}.source_file", *_PLACE)
_VOLUMES = "imaging/volumes"
_ALIGNED_FROM = (f"{_VOLUMES}.affine_lps", "imaging/volume_slices.voxels")

LINEAGE: Mapping[str, Lineage] = {
    "imaging/volumes": Lineage(
        carries=(_INDEX,),
        made={
            "volume_id": (f"{_INDEX}.series_instance_uid",),
            "frames": _PLACE,
            "frames_below_gate": (f"{_METRICS}.passes_gate",),
            "verdict": (*_VOXELS, f"{_METRICS}.passes_gate"),
            "findings": (*_VOXELS, f"{_METRICS}.passes_gate"),
            "spacing_mm": (*_PLACE, f"{_INDEX}.pixel_spacing"),
            "affine_lps": (*_PLACE, f"{_INDEX}.pixel_spacing"),
            "affine_ras": (*_PLACE, f"{_INDEX}.pixel_spacing"),
        },
        rest=_VOXELS,
    ),
    "imaging/volume_slices": Lineage(
        carries=(_INDEX,),
        made={
            "volume_id": (f"{_INDEX}.series_instance_uid",),
            "position": _PLACE,
        },
        rest=_VOXELS,
    ),
    "imaging/aligned_volumes": Lineage(
        carries=(_VOLUMES,),
        made={
            "aligned_id": (f"{_VOLUMES}.volume_id",),
            "reference_id": (f"{_VOLUMES}.volume_id",),
            "inputs_sha256": (f"{_VOLUMES}.volume_id", f"{_VOLUMES}.content_sha256"),
        },
        rest=_ALIGNED_FROM,
    ),
    "imaging/aligned_slices": Lineage(
        carries=(_VOLUMES,),
        made={"aligned_id": (f"{_VOLUMES}.volume_id",), "voxels": _ALIGNED_FROM},
        rest=_ALIGNED_FROM,
    ),
    "imaging/nifti_exports": Lineage(
        carries=(_VOLUMES,),
        made={
            "file": (f"{_VOLUMES}.volume_id", "imaging/aligned_volumes.aligned_id"),
            "is_aligned": ("imaging/aligned_volumes.aligned_id",),
        },
        rest=(*_ALIGNED_FROM, "imaging/aligned_slices.voxels"),
    ),
}
