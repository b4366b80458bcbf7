"""Columns of the imaging tables: one source for files, checks, the UI and the data dictionary.

Belongs here: schemas only. The code that fills a table is in `headers/rows.py` and in the module
that each schema's comment names.
"""

from collections.abc import Mapping

import pyarrow as pa

from hc_assets.core.columns import column
from hc_assets.core.lineage import Lineage
from hc_assets.core.table_schema import TableSchema
from hc_assets.imaging.schemas.key_columns import (
    BATCH,
    FILE_SHA256,
    FILE_SIZE,
    FRAME,
    MODALITY,
    SOP_INSTANCE_UID,
    SOURCE_FILE,
)

# imaging/headers/read.py
DICOM_INDEX = pa.schema(
    [
        BATCH,
        SOURCE_FILE,
        FILE_SHA256,
        FILE_SIZE,
        SOP_INSTANCE_UID,
        column("sop_class_uid", pa.string(), "SOPClassUID, else the file meta's"),
        column(
            "sop_class",
            pa.string(),
            "Name of the SOP class: what the file is; null where it is not in the standard",
        ),
        column("series_instance_uid", pa.string(), "SeriesInstanceUID"),
        column("study_instance_uid", pa.string(), "StudyInstanceUID"),
        column("frame_of_reference_uid", pa.string(), "FrameOfReferenceUID"),
        column("patient_id", pa.string(), "PatientID"),
        column("issuer_of_patient_id", pa.string(), "IssuerOfPatientID"),
        column("accession_number", pa.string(), "AccessionNumber"),
        column("study_date", pa.date32(), "StudyDate"),
        column("study_description", pa.string(), "StudyDescription"),
        column("series_number", pa.int64(), "SeriesNumber"),
        column("series_description", pa.string(), "SeriesDescription"),
        column("instance_number", pa.int64(), "InstanceNumber"),
        MODALITY,
        column("body_part", pa.string(), "BodyPartExamined"),
        column("image_type", pa.list_(pa.string()), "ImageType"),
        column("manufacturer", pa.string(), "Manufacturer"),
        column("model_name", pa.string(), "ManufacturerModelName"),
        column("transfer_syntax_uid", pa.string(), "TransferSyntaxUID of the file meta"),
        column("character_set", pa.list_(pa.string()), "SpecificCharacterSet"),
        column("has_pixels", pa.bool_(), "Whether a pixel data element is there", nullable=False),
        column("photometric_interpretation", pa.string(), "PhotometricInterpretation"),
        column("samples_per_pixel", pa.int32(), "SamplesPerPixel"),
        column("rows", pa.int32(), "Rows", unit="{pixels}"),
        column("columns", pa.int32(), "Columns", unit="{pixels}"),
        column(
            "frames",
            pa.int32(),
            "NumberOfFrames, 1 where absent; null where there are no pixels",
        ),
        column(
            "tiles",
            pa.int32(),
            "Slices side by side in a frame that is a mosaic, each of which counts as a frame where"
            " pixels are read; 0 where it is not known what they are; null where it is no mosaic",
        ),
        column(
            "tile_shape",
            pa.list_(pa.int32()),
            "Rows and columns of a slice in a mosaic; null where it is none",
            unit="{pixels}",
        ),
        column(
            "tile_positions",
            pa.list_(pa.list_(pa.float64())),
            "ImagePositionPatient of each slice in a mosaic, in the order of the tiles; null where"
            " it is none, or the places are not known",
            unit="mm",
        ),
        column(
            "b_values",
            pa.list_(pa.float64()),
            "Diffusion b-value of each frame of an MR file, one where all have the same: of"
            " DiffusionBValue (0018,9087), or what the maker has in its place; null where unknown",
            unit="s/mm2",
        ),
        column(
            "gradient_directions",
            pa.list_(pa.list_(pa.float64())),
            "Diffusion gradient of each frame, as many as b_values: a unit vector in the patient,"
            " LPS; null where there is none, or it is not known",
            unit="1",
        ),
        column("bits_allocated", pa.int32(), "BitsAllocated", unit="bit"),
        column("bits_stored", pa.int32(), "BitsStored", unit="bit"),
        column("pixel_representation", pa.int32(), "0 unsigned, 1 two's complement"),
        column("slice_thickness", pa.float64(), "SliceThickness", unit="mm"),
        column("spacing_between_slices", pa.float64(), "SpacingBetweenSlices", unit="mm"),
        column(
            "pixel_spacing",
            pa.list_(pa.float64()),
            "PixelSpacing, between rows then between columns; of the first frame where it is in"
            " functional groups",
            unit="mm",
        ),
        column(
            "imager_pixel_spacing",
            pa.list_(pa.float64()),
            "ImagerPixelSpacing: at the detector, not in the patient",
            unit="mm",
        ),
        column(
            "image_orientation",
            pa.list_(pa.float64()),
            "ImageOrientationPatient: direction cosines of a row, then of a column",
        ),
        column(
            "image_position",
            pa.list_(pa.float64()),
            "ImagePositionPatient: centre of the first pixel, of the first frame",
            unit="mm",
        ),
        column("gantry_tilt", pa.float64(), "GantryDetectorTilt", unit="deg"),
        column("window_center", pa.list_(pa.float64()), "WindowCenter, all windows"),
        column("window_width", pa.list_(pa.float64()), "WindowWidth, all windows"),
        column("rescale_slope", pa.float64(), "RescaleSlope"),
        column("rescale_intercept", pa.float64(), "RescaleIntercept"),
        column(
            "burned_in_annotation",
            pa.string(),
            "BurnedInAnnotation: YES or NO; null where absent, which means unknown",
        ),
        column("private_creators", pa.list_(pa.string()), "Private creators, sorted"),
        column(
            "warnings",
            pa.list_(pa.string()),
            "What was odd or malformed in the header, in the order found",
            nullable=False,
        ),
        column(
            "dicom_json",
            pa.string(),
            "The dataset as DICOM JSON (PS3.18 F) without pixels; what is left out, in sequences"
            " too, is a BulkDataURI with its place in the file (`#inflated&`: in the inflated"
            " dataset)",
            nullable=False,
        ),
    ]
)

# imaging/headers/reading.py
UNREADABLE_FILES = pa.schema(
    [
        BATCH,
        SOURCE_FILE,
        FILE_SHA256,
        FILE_SIZE,
        column(
            "reason",
            pa.string(),
            "Why no header could be read; or `internal error: ` with the class of what was raised,"
            " and where of ours",
            nullable=False,
        ),
    ]
)

DECODER_WORDS = pa.struct(
    [
        column("decoder", pa.string(), "Name of the decoder that was tried"),
        column("words", pa.string(), "Its own reason for failing"),
    ]
)

# imaging/pixels/frames.py
UNDECODABLE_FRAMES = pa.schema(
    [
        BATCH,
        SOURCE_FILE,
        FILE_SHA256,
        SOP_INSTANCE_UID,
        FRAME,
        column(
            "reason",
            pa.string(),
            "Why the frame has no pixels; or `internal error: ` with the class of what was raised"
            " when it was decoded or measured, and where of ours",
            nullable=False,
        ),
        column(
            "decoders",
            pa.list_(DECODER_WORDS),
            "Each decoder that was tried, in order, with its own reason",
            nullable=False,
        ),
    ]
)

# imaging/preprocessing/rows.py
FAILED_ARRAYS = pa.schema(
    [
        BATCH,
        SOURCE_FILE,
        FILE_SHA256,
        SOP_INSTANCE_UID,
        FRAME,
        MODALITY,
        column(
            "reason",
            pa.string(),
            "Why there is no array: why the frame can't be decoded any more; or `internal error: `"
            " with the class of what was raised, and where of ours",
            nullable=False,
        ),
    ]
)

_PIXELS_NOTE = "The array, row by row, 0 to 1, without NaN"

# Arrays of all pipelines together: the parts hold tensors, each of its pipeline's shape.
PREPROCESSED_ARRAYS = pa.schema(
    [
        BATCH,
        SOURCE_FILE,
        FILE_SHA256,
        SOP_INSTANCE_UID,
        FRAME,
        MODALITY,
        column("pipeline", pa.string(), "Name and version of the pipeline", nullable=False),
        column(
            "shape", pa.list_(pa.int32(), 2), "Rows and columns", unit="{pixels}", nullable=False
        ),
        column("parameters", pa.string(), "The pipeline's parameters as JSON", nullable=False),
        column("libraries", pa.string(), "Versions of what computed it as JSON", nullable=False),
        column(
            "decisions",
            pa.list_(pa.string()),
            "What was decided for this frame: which window, SUV or why not, what was turned",
            nullable=False,
        ),
        column(
            "source_to_array",
            pa.list_(pa.float64(), 6),
            "Affine of pixel centres: (row, column) in the array = [[a, b, c], [d, e, f]] times"
            " (row, column, 1) in the stored frame",
            nullable=False,
        ),
        column(
            "array_to_patient",
            pa.list_(pa.float64(), 9),
            "Matrix of pixel centres: (x, y, z) in the patient, LPS, = [[a, b, c], [d, e, f],"
            " [g, h, i]] times (row, column, 1) in the array; null where the frame has no place"
            " in a patient",
            unit="mm",
        ),
        column(
            "overlay",
            pa.binary(),
            "Where colour lies over the image: a bit for each pixel of the array, row by row, most"
            " significant first; null where there is none",
        ),
        column(
            "content_sha256",
            pa.string(),
            "SHA-256 of the pixels as little-endian floats, row by row",
            nullable=False,
        ),
        column("pixels", pa.list_(pa.float32()), _PIXELS_NOTE, unit="1", nullable=False),
    ]
)


def preprocessed_arrays(shape: tuple[int, int], dtype: str = "float32") -> pa.Schema:
    """Schema of the arrays of one pipeline.

    Args:
        shape: rows and columns of each array.
        dtype: float32 or float16.

    Returns:
        `PREPROCESSED_ARRAYS` with pixels as fixed-shape tensors.
    """
    values = {"float32": pa.float32(), "float16": pa.float16()}[dtype]
    tensor = pa.fixed_shape_tensor(values, list(shape))
    at = PREPROCESSED_ARRAYS.get_field_index("pixels")
    return PREPROCESSED_ARRAYS.set(
        at, column("pixels", tensor, _PIXELS_NOTE, unit="1", nullable=False)
    )


_INDEX = "imaging/dicom_index"
_METRICS = "imaging/quality_metrics"
_ARRAYS = "imaging/preprocessed_arrays"
# The pixels lie in the landed file that the index names.
_PIXELS = (f"{_INDEX}.source_file",)

TABLES: Mapping[str, TableSchema] = {
    _INDEX: TableSchema(DICOM_INDEX, Lineage(rest=()), code_version="5"),
    "imaging/unreadable_files": TableSchema(UNREADABLE_FILES, Lineage(rest=()), code_version="3"),
    "imaging/undecodable_frames": TableSchema(
        UNDECODABLE_FRAMES, Lineage(carries=(_INDEX,), rest=_PIXELS), code_version="3"
    ),
    # 4: the slices of a mosaic are frames; colors that nobody names, frames behind a lost one. What
    # a recipe does is its own version.
    _ARRAYS: TableSchema(
        PREPROCESSED_ARRAYS,
        Lineage(
            carries=(_METRICS, _INDEX), rest=(f"{_METRICS}.source_file", f"{_METRICS}.passes_gate")
        ),
        code_version="4",
    ),
    "imaging/failed_arrays": TableSchema(
        FAILED_ARRAYS,
        Lineage(
            carries=(_METRICS, _INDEX), rest=(f"{_METRICS}.source_file", f"{_METRICS}.passes_gate")
        ),
        code_version="2",
    ),
}
