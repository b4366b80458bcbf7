"""Columns of the table about exported files.

Belongs here: the schema only. Columns of the data are in `fhir/schemas.py`.
"""

import pyarrow as pa

from hc_assets.core.columns import column

NDJSON_EXPORTS = pa.schema(
    [
        column(
            "list",
            pa.string(),
            "List of the manifest that names it: output, deleted or error",
            nullable=False,
        ),
        column(
            "resource_type",
            pa.string(),
            "Type of every resource in the file, or of every one that it deletes",
            nullable=False,
        ),
        column(
            "source",
            pa.string(),
            "Source of every resource in the file; null where nothing names one, or all are of one",
        ),
        column("file", pa.string(), "Name of the file in exports/fhir", nullable=False),
        column("resources", pa.int64(), "How many resources it holds", nullable=False),
        column("bytes", pa.int64(), "Size of the file", unit="By", nullable=False),
        column("sha256", pa.string(), "Hash of the file", nullable=False),
    ]
)
