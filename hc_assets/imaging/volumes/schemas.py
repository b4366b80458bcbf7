"""Columns of the volume tables.

Belongs here: schemas only; `imaging/schemas/index.py` collects them. The code that fills a table is
in the module that each schema's comment names, the words that verdicts and findings are made of in
`imaging/schemas/volume_verdicts.py`.
"""

from collections.abc import Mapping

import pyarrow as pa

from hc_assets.core.columns import column
from hc_assets.core.lineage import Lineage
from hc_assets.core.table_schema import TableSchema
from hc_assets.imaging.schemas.nifti import NIFTI_EXPORTS

_STUDY = column("study_instance_uid", pa.string(), "StudyInstanceUID", nullable=False)
_SERIES = column("series_instance_uid", pa.string(), "SeriesInstanceUID", nullable=False)
_AFFINE = "Affine, row by row, from (column, row, slice, 1) to millimetres"

# rows.py
VOLUMES = pa.schema(
    [
        _STUDY,
        _SERIES,
        column(
            "volume",
            pa.int32(),
            "Number of the row in its series, from 0: volumes, and frames that make none",
            nullable=False,
        ),
        column(
            "volume_id",
            pa.string(),
            "Id of the volume: start of the SHA-256 of its series' UID and number; null where the"
            " frames make none",
        ),
        column("patient_id", pa.string(), "PatientID of its first file"),
        column("modality", pa.string(), "Modality (0008,0060) of its first file"),
        column("body_part", pa.string(), "BodyPartExamined of its first file"),
        column("series_description", pa.string(), "SeriesDescription of its first file"),
        column("frame_of_reference_uid", pa.string(), "FrameOfReferenceUID of its first file"),
        column(
            "verdict",
            pa.string(),
            "Whether they make a volume; if not, why, or `internal error: ` with the class of what"
            " was raised, and where of ours",
            nullable=False,
        ),
        column("findings", pa.list_(pa.string()), "What was odd about the frames", nullable=False),
        column(
            "dimensions",
            pa.string(),
            "What tells it from other volumes at the same place, as a JSON object: time, echo,"
            " b-value, ImageType, piece between gaps",
            nullable=False,
        ),
        column(
            "b_value",
            pa.float64(),
            "Diffusion b-value; null where unknown, or its frames differ",
            unit="s/mm2",
        ),
        column(
            "gradient_direction",
            pa.list_(pa.float64()),
            "Direction of the diffusion gradient, a unit vector in the patient, LPS; null where"
            " there is none, it is unknown, or its frames differ",
            unit="1",
        ),
        column(
            "image_type",
            pa.list_(pa.string()),
            "ImageType, or FrameType, of its frames; null where absent, or they differ",
        ),
        column(
            "echo",
            pa.string(),
            "EchoNumbers, or EffectiveEchoTime, of its frames; null where absent, or they differ",
        ),
        column(
            "acquired_s",
            pa.float64(),
            "When the first of its frames was acquired, from midnight; null where unknown",
            unit="s",
        ),
        column("frames", pa.int32(), "How many frames it is made of", nullable=False),
        column("frames_below_gate", pa.int32(), "Those that fail the quality gate", nullable=False),
        column(
            "duplicate_frames",
            pa.int32(),
            "Frames left out since another is at the same place",
            nullable=False,
        ),
        column("shape", pa.list_(pa.int32(), 3), "Slices, rows, columns", unit="{voxels}"),
        column(
            "spacing_mm",
            pa.list_(pa.float64(), 3),
            "Between slices, rows, columns; between slices along the line through them",
            unit="mm",
        ),
        column("affine_lps", pa.list_(pa.float64(), 16), f"{_AFFINE} in LPS (DICOM)", unit="mm"),
        column("affine_ras", pa.list_(pa.float64(), 16), f"{_AFFINE} in RAS (NIfTI)", unit="mm"),
        column("plane", pa.string(), "AXIAL, CORONAL, SAGITTAL or OBLIQUE"),
        column("tilt_deg", pa.float64(), "Tilt of the slices as sent, signless", unit="deg"),
        column("least_spacing_mm", pa.float64(), "Least interval as sent", unit="mm"),
        column("greatest_spacing_mm", pa.float64(), "Greatest interval as sent", unit="mm"),
        column("units", pa.string(), "Of the voxels: HU for CT, else as sent; null where unknown"),
        column(
            "is_integral", pa.bool_(), "Whether all voxels are whole numbers in the range of int16"
        ),
        column("least_value", pa.float64(), "Least voxel"),
        column("greatest_value", pa.float64(), "Greatest voxel"),
        column("fill_value", pa.float64(), "Value of voxels that no slice covers"),
        column("outlier_slices", pa.int32(), "Slices that do not go with their neighbours"),
        column("striped_slices", pa.int32(), "Slices with stripes that their neighbours lack"),
        column(
            "slice_gain_spread",
            pa.float64(),
            "How far brightness swings from slice to slice, as a share",
            unit="1",
        ),
        column("content_sha256", pa.string(), "SHA-256 of affine (float64) and voxels (float32)"),
        column("picture", pa.binary(), "The middle slices of three planes as a small PNG"),
    ]
)

# rows.py
VOLUME_SLICES = pa.schema(
    [
        column("volume_id", pa.string(), "Id of the volume", nullable=False),
        _STUDY,
        _SERIES,
        column("volume", pa.int32(), "Number of the volume in its series", nullable=False),
        column("slice", pa.int32(), "Number of the slice, from 0", nullable=False),
        column(
            "position",
            pa.list_(pa.float64(), 3),
            "Centre of its first voxel in LPS",
            unit="mm",
            nullable=False,
        ),
        column("batch", pa.string(), "Batch of the file that it is nearest to", nullable=False),
        column("source_file", pa.string(), "That file", nullable=False),
        column("sop_instance_uid", pa.string(), "Its SOPInstanceUID"),
        column(
            "frame",
            pa.int32(),
            "Number of the frame in that file, from 0; of a slice in a mosaic, of its tile",
            nullable=False,
        ),
        column(
            "source_slice",
            pa.float64(),
            "Place among the slices as sent: 2.25 is interpolated between numbers 2 and 3",
            nullable=False,
        ),
        column(
            "gain",
            pa.float64(),
            "Brightness over that of its neighbours; null where that has no meaning",
            unit="1",
        ),
        column(
            "likeness",
            pa.float64(),
            "Correlation with the mean of its neighbours; null where that has no meaning",
            unit="1",
        ),
        column(
            "stripe_level",
            pa.float64(),
            "Deviation of whole lines from the neighbours over what noise explains; null where"
            " that has no meaning",
            unit="1",
        ),
        column("is_outlier", pa.bool_(), "Whether it does not go with them", nullable=False),
        column("is_striped", pa.bool_(), "Whether it has stripes", nullable=False),
        column(
            "voxels",
            pa.list_(pa.float32()),
            "The slice row by row, in modality units, finite",
            nullable=False,
        ),
    ]
)

_ALIGNED_ID = column(
    "aligned_id", pa.string(), "Id of the aligned volume: start of a SHA-256", nullable=False
)

# aligned_rows.py
ALIGNED_VOLUMES = pa.schema(
    [
        _STUDY,
        _ALIGNED_ID,
        column("volume_id", pa.string(), "Volume that it was made of", nullable=False),
        column(
            "reference_id",
            pa.string(),
            "Volume on whose grid it is: itself where it is alone or the reference",
            nullable=False,
        ),
        _SERIES,
        column("modality", pa.string(), "Modality (0008,0060)"),
        column(
            "verdict",
            pa.string(),
            "alone, reference, registered; with_series: moved as the first volume of its series;"
            " one_too_many: the same, but without voxels here; beyond_limit: not aligned, as its"
            " study has more series than HC_VOLUME_ALIGNED_SERIES; or why it was left where"
            " coordinates put it: not_improved, implausible, no_overlap, too_small, or"
            " `internal error: ` with"
            " the class of what was raised, and where of ours",
            nullable=False,
        ),
        column("shape", pa.list_(pa.int32(), 3), "Slices, rows, columns", unit="{voxels}"),
        column("spacing_mm", pa.float64(), "Side of the cubic voxels", unit="mm"),
        column("affine_lps", pa.list_(pa.float64(), 16), f"{_AFFINE} in LPS (DICOM)", unit="mm"),
        column("affine_ras", pa.list_(pa.float64(), 16), f"{_AFFINE} in RAS (NIfTI)", unit="mm"),
        column(
            "to_source",
            pa.list_(pa.float64(), 16),
            "Rigid transform, row by row, from LPS of the reference to LPS of the volume",
            unit="mm",
            nullable=False,
        ),
        column("rotation_deg", pa.float64(), "Angle of that transform", unit="deg"),
        column(
            "translation_mm", pa.float64(), "How far it moves the reference's centre", unit="mm"
        ),
        column(
            "information_before",
            pa.float64(),
            "Mutual information with the reference before registration; null where none was",
            unit="1",
        ),
        column("information_after", pa.float64(), "The same after it", unit="1"),
        column(
            "corrections",
            pa.list_(pa.string()),
            "What was mended before: stripes, gains of slices, bias",
            nullable=False,
        ),
        column("low_value", pa.float64(), "Value that became 0; null where units were kept"),
        column("high_value", pa.float64(), "Value that became 1; null where units were kept"),
        column(
            "content_sha256",
            pa.string(),
            "SHA-256 of affine (float64) and voxels (float32); null where there are none",
        ),
        column("picture", pa.binary(), "The middle slices of three planes as a small PNG"),
        column(
            "inputs_sha256",
            pa.string(),
            "SHA-256 of what the study's volumes were made of, by which they are kept",
            nullable=False,
        ),
        column(
            "source_sha256",
            pa.string(),
            "SHA-256 of what this one was made of: parameters, its volume, the reference, the first"
            " volume of its series; by it, it is kept where others of the study have changed",
            nullable=False,
        ),
    ]
)

# aligned_rows.py
ALIGNED_SLICES = pa.schema(
    [
        _ALIGNED_ID,
        _STUDY,
        column("slice", pa.int32(), "Number of the slice, from 0", nullable=False),
        column(
            "voxels",
            pa.list_(pa.float32()),
            "The slice row by row: MR magnitudes 0 to 1, others in modality units",
            nullable=False,
        ),
    ]
)

_INDEX, _METRICS = "imaging/dicom_index", "imaging/quality_metrics"
_PLACE = tuple(
    f"{_INDEX}.{name}"
    for name in ("image_position", "image_orientation", "tile_positions", "dicom_json")
)
# The pixels lie in the landed file that the index names.
_VOXELS = (f"{_INDEX}.source_file", *_PLACE)
_VOLUMES = "imaging/volumes"
_ALIGNED_FROM = (f"{_VOLUMES}.affine_lps", "imaging/volume_slices.voxels")

TABLES: Mapping[str, TableSchema] = {
    "imaging/volumes": TableSchema(
        VOLUMES,
        Lineage(
            carries=(_INDEX,),
            made={
                "volume_id": (f"{_INDEX}.series_instance_uid",),
                "b_value": (f"{_INDEX}.b_values",),
                "gradient_direction": (f"{_INDEX}.gradient_directions",),
                "image_type": (f"{_INDEX}.image_type", f"{_INDEX}.dicom_json"),
                "echo": (f"{_INDEX}.dicom_json",),
                "acquired_s": (f"{_INDEX}.dicom_json",),
                "frames": _PLACE,
                "frames_below_gate": (f"{_METRICS}.passes_gate",),
                "verdict": (*_VOXELS, f"{_METRICS}.passes_gate", f"{_METRICS}.image_kind"),
                "findings": (*_VOXELS, f"{_METRICS}.passes_gate"),
                "spacing_mm": (*_PLACE, f"{_INDEX}.pixel_spacing"),
                "affine_lps": (*_PLACE, f"{_INDEX}.pixel_spacing"),
                "affine_ras": (*_PLACE, f"{_INDEX}.pixel_spacing"),
            },
            rest=_VOXELS,
        ),
        code_version="3",
    ),
    "imaging/volume_slices": TableSchema(
        VOLUME_SLICES,
        Lineage(
            carries=(_INDEX,),
            made={
                "volume_id": (f"{_INDEX}.series_instance_uid",),
                "position": _PLACE,
            },
            rest=_VOXELS,
        ),
        code_version="2",
    ),
    "imaging/aligned_volumes": TableSchema(
        ALIGNED_VOLUMES,
        Lineage(
            carries=(_VOLUMES,),
            made={
                "aligned_id": (f"{_VOLUMES}.volume_id",),
                "reference_id": (f"{_VOLUMES}.volume_id",),
                "inputs_sha256": (f"{_VOLUMES}.volume_id", f"{_VOLUMES}.content_sha256"),
            },
            rest=_ALIGNED_FROM,
        ),
        code_version="3",
    ),
    "imaging/aligned_slices": TableSchema(
        ALIGNED_SLICES,
        Lineage(
            carries=(_VOLUMES,),
            made={"aligned_id": (f"{_VOLUMES}.volume_id",), "voxels": _ALIGNED_FROM},
            rest=_ALIGNED_FROM,
        ),
        code_version="2",
    ),
    "imaging/nifti_exports": TableSchema(
        NIFTI_EXPORTS,
        Lineage(
            carries=(_VOLUMES,),
            made={
                "file": (f"{_VOLUMES}.volume_id", "imaging/aligned_volumes.aligned_id"),
                "is_aligned": ("imaging/aligned_volumes.aligned_id",),
                "volumes": (f"{_VOLUMES}.series_instance_uid", f"{_VOLUMES}.affine_lps"),
                "content": (f"{_VOLUMES}.b_value", f"{_VOLUMES}.gradient_direction"),
            },
            rest=(*_ALIGNED_FROM, "imaging/aligned_slices.voxels"),
        ),
        code_version="3",
    ),
}
