"""The rows that a worker process is sent to judge or to enrich.

Belongs here: the piece of work that validation and enrichment share. What is done with it is in the
`workers.py` of each.
"""

from dataclasses import dataclass
from datetime import datetime

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
