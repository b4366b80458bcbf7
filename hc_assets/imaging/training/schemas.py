"""Columns of the training set: of its table in the lake, and of the shards that leave.

Belongs here: schemas only. Which rows there are is decided in `plan.py`; shards are written in
`shards.py`. What leaves names patients by pseudonyms only, and no UID of DICOM.
"""

from collections.abc import Mapping

import pyarrow as pa

from hc_assets.core.columns import column
from hc_assets.core.lineage import Lineage
from hc_assets.core.table_schema import TableSchema

_SAMPLE_ID = column(
    "sample_id",
    pa.string(),
    "Salted SHA-256 of the file's hash and the frame's number, first 128 bits in hex",
    nullable=False,
)
_SPLIT = column("split", pa.string(), "Split that the sample is in", nullable=False)
_PATIENT = column(
    "patient_pseudonym",
    pa.string(),
    "Salted SHA-256 of the PatientID, first 128 bits in hex; of the study, series or file where"
    " there is none",
    nullable=False,
)
_MODALITY = column("modality", pa.string(), "Modality (0008,0060); null where the header has none")
_BODY_PART = column(
    "body_part",
    pa.string(),
    "BodyPartExamined in capitals; null where absent, and where neither PS3.16 Annex L nor the"
    " selection has it: free text may name a patient",
)
_QUALITY = column("overall_quality", pa.float64(), "Score of the frame, 0 to 1", unit="1")
_LABELS = column(
    "labels",
    pa.list_(pa.string()),
    "Labels in alphabetical order; empty where it is known to have none; null where no labels were"
    " asked for",
)
_CONTENT = column(
    "content_sha256",
    pa.string(),
    "SHA-256 of the pixels, as in imaging/preprocessed_arrays",
    nullable=False,
)

# plan.py, then shards.py
TRAINING_SET = pa.schema(
    [
        _SAMPLE_ID,
        _SPLIT,
        _PATIENT,
        column("batch", pa.string(), "Key of the batch that the file came with", nullable=False),
        column(
            "source_file",
            pa.string(),
            "The file: relative to the landing folder, else absolute",
            nullable=False,
        ),
        column("sop_instance_uid", pa.string(), "SOPInstanceUID; null where the header has none"),
        column("frame", pa.int32(), "Number of the frame in its file, from 0", nullable=False),
        _MODALITY,
        _BODY_PART,
        _QUALITY,
        _LABELS,
        column("pipeline", pa.string(), "Name and version of the pipeline", nullable=False),
        _CONTENT,
        column(
            "shard",
            pa.string(),
            "Shard in the export folder that holds the pixels, without its suffix",
            nullable=False,
        ),
        column("shard_row", pa.int64(), "Row in the shard, from 0", nullable=False),
    ]
)

_SHARD_COLUMNS = [
    _SAMPLE_ID,
    _SPLIT,
    _PATIENT,
    _MODALITY,
    _BODY_PART,
    _QUALITY,
    _LABELS,
    column("pipeline", pa.string(), "Name and version of the pipeline", nullable=False),
    column(
        "source_to_array",
        pa.list_(pa.float64(), 6),
        "Affine of pixel centres: (row, column) in the array = [[a, b, c], [d, e, f]] times"
        " (row, column, 1) in the stored frame",
        nullable=False,
    ),
    _CONTENT,
    column(
        "pixels_xxh3",
        pa.uint64(),
        "XXH3 (64 bits) of the pixels as they lie in memory: found wrong, the row is damaged",
        nullable=False,
    ),
]


def shard_schema(pixels: pa.FixedShapeTensorType) -> pa.Schema:
    """Schema of the shards of one kind of array.

    Args:
        pixels: type of the arrays.
    """
    field = column("pixels", pixels, "The array, row by row, 0 to 1", unit="1", nullable=False)
    return pa.schema([*_SHARD_COLUMNS, field])


_INDEX = "imaging/dicom_index"
_METRICS = "imaging/quality_metrics"
_ARRAYS = "imaging/preprocessed_arrays"
# Patients that share pixels, an instance or a study stay together.
_PATIENT = (
    f"{_INDEX}.patient_id",
    f"{_INDEX}.study_instance_uid",
    f"{_INDEX}.series_instance_uid",
    f"{_ARRAYS}.content_sha256",
    f"{_ARRAYS}.sop_instance_uid",
    f"{_ARRAYS}.file_sha256",
)

TABLES: Mapping[str, TableSchema] = {
    "imaging/training_set": TableSchema(
        TRAINING_SET,
        Lineage(
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
    ),
}
