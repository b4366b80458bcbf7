"""Columns of the imaging tables: one source for files, checks, the UI and the data dictionary.

Belongs here: schemas only. The code that fills a table is in `steps.py` and in the module that each
schema's comment names.
"""

from collections.abc import Mapping

import pyarrow as pa

from hc_assets.imaging.series_schemas import IMAGING_STUDIES, SERIES
from hc_assets.imaging.training.schemas import TRAINING_SET
from hc_assets.imaging.volumes import schemas as volumes
from hc_assets.lake.columns import column

_BATCH = column("batch", pa.string(), "Key of the batch that the file came with", nullable=False)
_SOURCE_FILE = column(
    "source_file",
    pa.string(),
    "The file: relative to the landing folder, else absolute",
    nullable=False,
)
_FILE_SHA256 = column("file_sha256", pa.string(), "SHA-256 of the file's bytes", nullable=False)
_FILE_SIZE = column("file_size", pa.int64(), "Size of the file", unit="By", nullable=False)
_SOP_INSTANCE_UID = column(
    "sop_instance_uid", pa.string(), "SOPInstanceUID; null where the header has none"
)
_FRAME = column("frame", pa.int32(), "Number of the frame in its file, from 0", nullable=False)
_MODALITY = column("modality", pa.string(), "Modality (0008,0060); null where the header has none")

# headers.py
DICOM_INDEX = pa.schema(
    [
        _BATCH,
        _SOURCE_FILE,
        _FILE_SHA256,
        _FILE_SIZE,
        _SOP_INSTANCE_UID,
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
        _MODALITY,
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
            "The dataset as DICOM JSON (PS3.18 F) without pixels; a bulk value is a BulkDataURI"
            " with its place in the file",
            nullable=False,
        ),
    ]
)

# reading.py
UNREADABLE_FILES = pa.schema(
    [
        _BATCH,
        _SOURCE_FILE,
        _FILE_SHA256,
        _FILE_SIZE,
        column("reason", pa.string(), "Why no header could be read", nullable=False),
    ]
)

DECODER_WORDS = pa.struct(
    [
        column("decoder", pa.string(), "Name of the decoder that was tried"),
        column("words", pa.string(), "Its own reason for failing"),
    ]
)

# pixels.py
UNDECODABLE_FRAMES = pa.schema(
    [
        _BATCH,
        _SOURCE_FILE,
        _FILE_SHA256,
        _SOP_INSTANCE_UID,
        _FRAME,
        column("reason", pa.string(), "Why the frame has no pixels", nullable=False),
        column(
            "decoders",
            pa.list_(DECODER_WORDS),
            "Each decoder that was tried, in order, with its own reason",
            nullable=False,
        ),
    ]
)

METRIC_NAMES = ("snr", "cnr", "sharpness", "uniformity", "artifacts_score")


def _metric(name: str, description: str, *, unit: str) -> list[pa.Field]:
    return [
        column(name, pa.float64(), f"{description}; null where it has no meaning", unit=unit),
        column(
            f"{name}_part",
            pa.float64(),
            f"What {name} gives to overall_quality before weighting, 0 to 1",
            unit="1",
        ),
        column(f"{name}_method", pa.string(), f"How {name} was measured; null where it was not"),
        column(
            f"{name}_validity",
            pa.string(),
            f"`valid`, or what {name} rests on in place of what it should; the reason where null",
            nullable=False,
        ),
        column(f"{name}_reason", pa.string(), f"Why {name} is null"),
    ]


def _mr_metric(name: str, description: str) -> list[pa.Field]:
    return [
        column(name, pa.float64(), f"{description}; null but for MR", unit="1"),
        column(f"{name}_reason", pa.string(), f"Why {name} is null"),
    ]


def _severity(name: str, description: str) -> pa.Field:
    return column(
        name, pa.float64(), f"{description}, 0 to 1; null where it does not apply", unit="1"
    )


# quality.py
QUALITY_METRICS = pa.schema(
    [
        _BATCH,
        _SOURCE_FILE,
        _FILE_SHA256,
        _SOP_INSTANCE_UID,
        column("series_instance_uid", pa.string(), "SeriesInstanceUID"),
        _FRAME,
        _MODALITY,
        column("scanner", pa.string(), "Manufacturer and ManufacturerModelName"),
        *_metric("snr", "Signal of the object above air over noise", unit="1"),
        *_metric("cnr", "Difference of the two main tissues over noise", unit="1"),
        *_metric("sharpness", "Frequency at which edges keep half their contrast", unit="1"),
        *_metric("uniformity", "Integral uniformity of the smooth shading", unit="%"),
        *_metric("artifacts_score", "1 where no detector finds an artifact, 0 at worst", unit="1"),
        *_mr_metric("efc", "Entropy focus criterion, 0 to 1; less is better"),
        *_mr_metric("fber", "Mean energy of the object over that of the air"),
        *_mr_metric("cjv", "Joint variation of the two main tissues; less is better"),
        *_mr_metric("snr_air", "Signal over the deviation of air, times 0.655 (NEMA MS 1)"),
        column("noise_sd", pa.float64(), "Standard deviation of the noise, in modality units"),
        column("edge_width", pa.float64(), "Gaussian blur of the edges", unit="{pixels}"),
        column(
            "structure_ratio",
            pa.float64(),
            "Structure over noise, stripes and ghosts together: what the part of snr rests on",
            unit="1",
        ),
        _severity("ghosting", "Severity of copies displaced by motion or the readout"),
        _severity("banding", "Severity of stripes along rows or columns"),
        _severity("rings", "Severity of rings, of CT"),
        _severity("clipping", "Severity of saturation"),
        _severity("aliasing", "Severity of structure as fine as the pixels"),
        _severity("missing_lines", "Severity of rows or columns that are missing"),
        _severity("metal", "Severity of metal, of CT in Hounsfield units"),
        _severity("truncation", "Severity of a body cut off by the field of view, of CT"),
        column(
            "measurable_share",
            pa.float64(),
            "Share of the object that is not saturated: the metrics say nothing of the rest",
            unit="1",
        ),
        column(
            "overall_quality",
            pa.float64(),
            "Weighted mean of the parts, 0 to 1; null where no part has a meaning",
            unit="1",
        ),
        column(
            "weights_rescaled",
            pa.bool_(),
            "Whether a part is null, so that the weights of the others were rescaled",
            nullable=False,
        ),
        column(
            "weights",
            pa.struct(
                [column(name, pa.float64(), f"Of {name}", unit="1") for name in METRIC_NAMES]
            ),
            "Weight of each part in overall_quality, after rescaling; null where the part is",
            unit="1",
        ),
        column(
            "passes_gate",
            pa.bool_(),
            "Whether overall_quality reaches the gate; null where it is null",
        ),
        column(
            "passes_training_gate",
            pa.bool_(),
            "Whether overall_quality reaches the gate of training sets; null where it is null",
        ),
        column(
            "gate_shortfall",
            pa.float64(),
            "What overall_quality lacks to reach the gate; null where it does, or is null",
            unit="1",
        ),
        column(
            "limiting_metric",
            pa.string(),
            "The metric that costs overall_quality most; null where there is no score",
        ),
        column(
            "quality_percentile",
            pa.float64(),
            "Percentile of overall_quality among the batch's frames of the same modality and"
            " scanner: of equals, half count as worse",
            unit="%",
        ),
        column(
            "explanation",
            pa.string(),
            "Why there is no score, or how the gate was passed or failed, and what costs most",
        ),
    ]
)


# series_quality.py
SERIES_QUALITY = pa.schema(
    [
        _BATCH,
        column("series_instance_uid", pa.string(), "SeriesInstanceUID", nullable=False),
        _MODALITY,
        column("scanner", pa.string(), "Manufacturer and ManufacturerModelName"),
        column("frames", pa.int64(), "Decoded frames of the batch in the series", nullable=False),
        column("scored_frames", pa.int64(), "Those with an overall_quality", nullable=False),
        column("passing_frames", pa.int64(), "Those that pass the gate", nullable=False),
        column("quality_median", pa.float64(), "Median overall_quality", unit="1"),
        column("quality_minimum", pa.float64(), "Least overall_quality", unit="1"),
        column("quality_maximum", pa.float64(), "Greatest overall_quality", unit="1"),
        column(
            "slice_consistency",
            pa.float64(),
            "1 less the median difference of a slice's overall_quality from that of its neighbours,"
            " 0 to 1; null for fewer than five slices",
            unit="1",
        ),
        column(
            "outlier_frames",
            pa.int64(),
            "Slices that stand out from their neighbours",
            nullable=False,
        ),
        column(
            "outliers",
            pa.list_(
                pa.struct(
                    [
                        column("source_file", pa.string(), "File that it is from"),
                        column("frame", pa.int64(), "Number of the frame in its file, from 0"),
                        column("overall_quality", pa.float64(), "Its score"),
                        column("expected_quality", pa.float64(), "Median score of its neighbours"),
                    ]
                )
            ),
            "Each of them, with the median score of the two slices on either side",
            nullable=False,
        ),
    ]
)

_PIXELS_NOTE = "The array, row by row, 0 to 1, without NaN"

# Arrays of all pipelines together: the parts hold tensors, each of its pipeline's shape.
PREPROCESSED_ARRAYS = pa.schema(
    [
        _BATCH,
        _SOURCE_FILE,
        _FILE_SHA256,
        _SOP_INSTANCE_UID,
        _FRAME,
        _MODALITY,
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


TABLES: Mapping[str, pa.Schema] = {
    "imaging/dicom_index": DICOM_INDEX,
    "imaging/unreadable_files": UNREADABLE_FILES,
    "imaging/quality_metrics": QUALITY_METRICS,
    "imaging/undecodable_frames": UNDECODABLE_FRAMES,
    "imaging/series_quality": SERIES_QUALITY,
    "imaging/preprocessed_arrays": PREPROCESSED_ARRAYS,
    "imaging/series": SERIES,
    "imaging/imaging_studies": IMAGING_STUDIES,
    **volumes.TABLES,
    "imaging/training_set": TRAINING_SET,
}
