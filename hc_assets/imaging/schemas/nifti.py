"""Columns of the table of NIfTI files.

Belongs here: the schema only; `imaging/volumes/schemas.py` has its lineage, with that of the tables
of volumes that the files are made of.
"""

import pyarrow as pa

from hc_assets.core.columns import column

# volumes/exports.py
NIFTI_EXPORTS = pa.schema(
    [
        column("file", pa.string(), "Name of the file in exports/nifti; null where there is none"),
        column(
            "volume_id",
            pa.string(),
            "Volume or aligned volume in it; of several, the first",
            nullable=False,
        ),
        column("study_instance_uid", pa.string(), "StudyInstanceUID", nullable=False),
        column("series_instance_uid", pa.string(), "SeriesInstanceUID", nullable=False),
        column("is_aligned", pa.bool_(), "Whether it is an aligned volume", nullable=False),
        column(
            "content",
            pa.string(),
            "What is in it: `volume`; `volumes` of a series on one grid, as a 4-D image; `bval` or"
            " `bvec`, the b-values or gradient directions of the file with the same name",
            nullable=False,
        ),
        column("volumes", pa.int32(), "How many volumes it is of", nullable=False),
        column(
            "content_sha256",
            pa.string(),
            "Of affine and voxels; of several volumes, of the time between them and of theirs; of"
            " gradients, of the text",
            nullable=False,
        ),
        column("file_sha256", pa.string(), "SHA-256 of the file's bytes"),
        column("file_size", pa.int64(), "Size of the file", unit="By"),
        column(
            "reason",
            pa.string(),
            "Why there is no file: `internal error: ` with the class of what was raised, and where"
            " of ours; null where there is one",
        ),
    ]
)
