"""Columns that several imaging tables have alike: whose file and frame a row is of.

Belongs here: those. The tables are in `index.py`, `quality.py` and `series.py`.
"""

import pyarrow as pa

from hc_assets.core.columns import column

BATCH = column("batch", pa.string(), "Key of the batch that the file came with", nullable=False)
SOURCE_FILE = column(
    "source_file",
    pa.string(),
    "The file: relative to the landing folder, else absolute",
    nullable=False,
)
FILE_SHA256 = column("file_sha256", pa.string(), "SHA-256 of the file's bytes", nullable=False)
FILE_SIZE = column("file_size", pa.int64(), "Size of the file", unit="By", nullable=False)
SOP_INSTANCE_UID = column(
    "sop_instance_uid", pa.string(), "SOPInstanceUID; null where the header has none"
)
FRAME = column(
    "frame",
    pa.int32(),
    "Number of the frame in its file, from 0; of a slice in a mosaic, of its tile",
    nullable=False,
)
MODALITY = column("modality", pa.string(), "Modality (0008,0060); null where the header has none")
