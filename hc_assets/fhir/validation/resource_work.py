"""The rows that a worker process is sent to judge or to enrich.

Belongs here: the piece of work that validation and enrichment share. What is done with it is in the
`workers.py` of each.
"""

from dataclasses import dataclass
from datetime import datetime

import pyarrow as pa

from hc_assets.lake.tables import RowWork


@dataclass(frozen=True)
class ResourceWork:
    """Rows of one batch to be judged or enriched.

    `parts` are those of the whole batch, and `raw_parts` those of its raw rows.
    """

    data_dir: str
    batch: str
    rows: RowWork
    landed_at: datetime
    parts: tuple[str, ...]
    raw_parts: tuple[str, ...]


def place_of(rows: pa.RecordBatch) -> str:
    """Say which rows of a batch these are, for errors: by hashes of files and positions.

    Args:
        rows: with the columns source_sha256 and position.
    """
    if not rows.num_rows:
        return "no rows"
    files, positions = rows["source_sha256"], rows["position"]
    first, last = (f"entry {positions[at]} of file {str(files[at])[:12]}" for at in (0, -1))
    return f"{first} to {last}"
