"""An index of resources that tests make up, without a lake below it."""

from collections.abc import Sequence
from pathlib import Path

import pyarrow.parquet as pq

from hc_assets.fhir.search.stored.rows import Rows
from hc_assets.fhir.search.stored.runs import (
    Generation,
    Run,
    Share,
    file_of,
    folder_of,
    grouped,
    make_run,
    pieces_of,
    write_generation,
)
from hc_assets.lake.atomic import make_folder
from hc_assets.lake.layout import Layout


def index(
    layout: Layout, batches: Sequence[Sequence[bytes]], sources: Sequence[str | None] | None = None
) -> Generation:
    """Make the index of batches of resources, each batch of one source, the current one."""
    make_folder(folder_of(layout))
    staged: dict[str, Path] = {}
    shares = []
    for number, contents in enumerate(batches):
        rows = Rows()
        rows.add(contents, [sources[number] if sources else None] * len(contents))
        folder = Path(layout.data_dir.path) / f"staged-{number}"
        folder.mkdir(exist_ok=True)
        for name, table in rows.take().items():
            pq.write_table(table, folder / f"{name}.parquet")
        batch = f"b{number:03d}"
        staged[batch] = folder
        digest = str(hash(tuple(contents)))
        refused = dict(rows.refused)
        shares.append(Share(batch, digest, len(contents), rows.count, refused))
    runs = grouped(shares)
    for run in runs:
        make_run(file_of(layout, run), pieces_of(run, [], staged))
    generation = Generation(tuple(Run(run.name, run.shares) for run in runs))
    write_generation(layout, generation)
    return generation
