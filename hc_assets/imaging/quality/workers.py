"""What worker processes run to score frames: landed files in, Parquet parts written and named.

Belongs here: streaming the record batches of `rows.py` into parts. How files are divided is in
`headers/file_work.py`; what becomes of the parts is decided in `imaging/assets.py`.
"""

from hc_assets.imaging.headers.file_work import FileWork
from hc_assets.imaging.quality.gates import Rules
from hc_assets.imaging.quality.rows import score_files
from hc_assets.imaging.schemas.index import UNDECODABLE_FRAMES
from hc_assets.imaging.schemas.quality import QUALITY_METRICS
from hc_assets.lake.parts import Part, PartWriter


def write_metrics(work: FileWork, rules: Rules) -> tuple[list[Part], list[Part]]:
    """Write `imaging/quality_metrics` and `imaging/undecodable_frames`; give the parts of each.

    Those of the metrics are drafts: `ranks.add_percentiles` completes them.
    """
    layout = work.layout()
    with (
        PartWriter(
            layout.partition("imaging/quality_metrics", work.batch),
            QUALITY_METRICS,
            number=work.number,
            is_draft=True,
        ) as metrics,
        PartWriter(
            layout.partition("imaging/undecodable_frames", work.batch),
            UNDECODABLE_FRAMES,
            number=work.number,
        ) as undecodable,
    ):
        for found in score_files(work.to_read(), work.batch, rules=rules):
            metrics.write(found.metrics)
            undecodable.write(found.undecodable)
    return metrics.parts, undecodable.parts
