"""Columns of the tables over all batches: series, and studies as FHIR resources.

Belongs here: schemas only; `index.py` collects them with those of the batches' tables. The code
that fills a table is in the module that each schema's comment names.
"""

from collections.abc import Mapping

import pyarrow as pa

from hc_assets.core.columns import column
from hc_assets.core.lineage import Lineage
from hc_assets.core.table_schema import TableSchema

# imaging/series/table.py
SERIES = pa.schema(
    [
        column("study_instance_uid", pa.string(), "StudyInstanceUID", nullable=False),
        column("series_instance_uid", pa.string(), "SeriesInstanceUID", nullable=False),
        column(
            "batches",
            pa.list_(pa.string()),
            "Keys of the batches that its files came with, sorted",
            nullable=False,
        ),
        column("patient_id", pa.string(), "PatientID; null where its files differ"),
        column("modality", pa.string(), "Modality; null where its files differ"),
        column("series_number", pa.int64(), "SeriesNumber; null where its files differ"),
        column("series_description", pa.string(), "SeriesDescription; null where they differ"),
        column("body_part", pa.string(), "BodyPartExamined; null where its files differ"),
        column("frame_of_reference_uid", pa.string(), "FrameOfReferenceUID; null where it differs"),
        column(
            "sop_class_uids", pa.list_(pa.string()), "SOPClassUIDs of its files", nullable=False
        ),
        column("files", pa.int64(), "How many files it has", nullable=False),
        column("instances", pa.int64(), "How many SOPInstanceUIDs: those found", nullable=False),
        column(
            "conflicting_instances",
            pa.int64(),
            "SOPInstanceUIDs that stand for files with different bytes",
            nullable=False,
        ),
        column(
            "frames",
            pa.int64(),
            "Frames of all instances, the slices of a mosaic one by one",
            nullable=False,
        ),
        column(
            "rows",
            pa.int32(),
            "Rows, of a mosaic those of a slice; null where its files differ",
            unit="{pixels}",
        ),
        column(
            "columns",
            pa.int32(),
            "Columns, of a mosaic those of a slice; null where its files differ",
            unit="{pixels}",
        ),
        column(
            "pixel_spacing",
            pa.list_(pa.float64()),
            "PixelSpacing, between rows then between columns; null where its files differ",
            unit="mm",
        ),
        column(
            "b_values",
            pa.list_(pa.float64()),
            "Diffusion b-values of its frames, sorted, each once; null where none is known",
            unit="s/mm2",
        ),
        column(
            "gradient_directions",
            pa.int64(),
            "How many directions its diffusion gradients have; null where no b-value is known",
        ),
        column("stacks", pa.int64(), "Sets of parallel planes", nullable=False),
        column(
            "slices",
            pa.int64(),
            "Distinct places along the normal, of all stacks; 0 where no position is known",
            nullable=False,
        ),
        column(
            "image_orientation",
            pa.list_(pa.float64()),
            "Direction cosines of a row, then of a column, of the largest stack",
        ),
        column("plane", pa.string(), "AXIAL, CORONAL, SAGITTAL or OBLIQUE, of the largest stack"),
        column(
            "slice_thickness", pa.float64(), "SliceThickness; null where they differ", unit="mm"
        ),
        column(
            "slice_spacing_mm",
            pa.float64(),
            "Usual distance between neighbouring slices of the largest stack: the median",
            unit="mm",
        ),
        column("least_spacing_mm", pa.float64(), "The least such distance", unit="mm"),
        column("greatest_spacing_mm", pa.float64(), "The greatest such distance", unit="mm"),
        column(
            "missing_slices",
            pa.int64(),
            "Slices for which there is room in gaps; null where the spacing is too irregular, or"
            " the slices too few, to say",
        ),
        column(
            "frames_per_position",
            pa.int64(),
            "The usual number of frames at one position of the largest stack: more than 1 in time"
            " series and several echoes",
        ),
        column(
            "duplicate_positions",
            pa.int64(),
            "Positions with frames that neither time, echo, b-value nor acquisition distinguishes",
            nullable=False,
        ),
        column(
            "gantry_tilt", pa.float64(), "GantryDetectorTilt; null where it differs", unit="deg"
        ),
        column(
            "stack_tilt_deg",
            pa.float64(),
            "Angle between the normal of the slices and the line from the first to the last: what"
            " the positions say about the tilt, without its sign",
            unit="deg",
        ),
        column(
            "missing_instance_numbers",
            pa.int64(),
            "InstanceNumbers lacking between the least and the greatest; null where some instance"
            " has none, or two have the same",
        ),
        column("expected_instances", pa.int64(), "How many there should be; null where unknown"),
        column("expected_from", pa.string(), "What says so: an attribute, or the positions"),
        column("missing_instances", pa.int64(), "Expected and not found; null where unknown"),
        column("is_complete", pa.bool_(), "Whether none is missing; null where unknown"),
        column(
            "warnings",
            pa.list_(pa.string()),
            "Attributes of the series in which its files differ; or `internal error: ` with the"
            " class of what was raised, and where of ours, in a row that says nothing else",
            nullable=False,
        ),
    ]
)

# imaging/series/imaging_studies.py
IMAGING_STUDIES = pa.schema(
    [
        column("study_instance_uid", pa.string(), "StudyInstanceUID", nullable=False),
        column("resource_id", pa.string(), "Id of the ImagingStudy", nullable=False),
        column("patient_id", pa.string(), "PatientID; null where its files name none or several"),
        column("patient_ids", pa.int64(), "How many PatientIDs its files name", nullable=False),
        column("modalities", pa.list_(pa.string()), "Modalities, sorted", nullable=False),
        column("series", pa.int64(), "How many series it has", nullable=False),
        column("instances", pa.int64(), "How many instances it has", nullable=False),
        column(
            "left_out",
            pa.list_(
                pa.struct(
                    [
                        column("series_instance_uid", pa.string(), "SeriesInstanceUID"),
                        column("instances", pa.int64(), "How many of its instances"),
                        column("reason", pa.string(), "The rules of R4 that they would break"),
                    ]
                )
            ),
            "Series, or instances of one, that the resource does not list since they would make it"
            " invalid; it counts them",
            nullable=False,
        ),
        column("is_valid", pa.bool_(), "Whether the resource is valid R4", nullable=False),
        column("content_sha256", pa.string(), "SHA-256 of the resource; null where there is none"),
        column(
            "resource",
            pa.binary(),
            "The ImagingStudy as FHIR R4 JSON, as made; null where none could be made",
        ),
        column(
            "reason",
            pa.string(),
            "Why there is no resource, or a series is not in it: `internal error: ` with the class"
            " of what was raised, and where of ours; null where nothing was",
        ),
    ]
)

_INDEX = "imaging/dicom_index"
_INSTANCES = (f"{_INDEX}.sop_instance_uid",)
_SPACING = tuple(
    f"{_INDEX}.{name}"
    for name in ("image_position", "image_orientation", "tile_positions", "dicom_json")
)

TABLES: Mapping[str, TableSchema] = {
    "imaging/series": TableSchema(
        SERIES,
        Lineage(
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
                "missing_instances": (
                    *_INSTANCES,
                    f"{_INDEX}.dicom_json",
                    f"{_INDEX}.image_position",
                ),
                "is_complete": (*_INSTANCES, f"{_INDEX}.dicom_json", f"{_INDEX}.instance_number"),
                "image_orientation": _SPACING,
                "b_values": (f"{_INDEX}.b_values",),
                "gradient_directions": (f"{_INDEX}.gradient_directions",),
                "warnings": tuple(
                    f"{_INDEX}.{name}"
                    for name in ("patient_id", "modality", "series_number", "rows", "columns")
                ),
            },
            rest=_SPACING,
        ),
        code_version="2",
    ),
    "imaging/imaging_studies": TableSchema(
        IMAGING_STUDIES,
        Lineage(
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
        code_version="3",
    ),
}
