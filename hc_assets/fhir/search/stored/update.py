"""The index is brought up to what the warehouse holds: only batches that have changed are read.

Belongs here: what is to be done, the work of one batch, and what comes out. Files are in `runs.py`.
"""

import shutil
import tempfile
import time
from collections.abc import Iterable
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

import duckdb
import msgspec
import pyarrow as pa
import pyarrow.parquet as pq

from hc_assets.fhir.search.known import own_parameters
from hc_assets.fhir.search.stored.layout import TABLES, VERSION
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
    read_generation,
    write_generation,
)
from hc_assets.fhir.versions import ledger
from hc_assets.fhir.views.places import Places, taken
from hc_assets.lake.atomic import local_path, make_folder
from hc_assets.lake.layout import Layout
from hc_assets.lake.tables import read_partition

_STAGING, _STRAY_SECONDS = ".staging-", 86_400.0
_ENRICHED = "fhir/enriched_resources"
# In a form that does not depend on the order of the rows.
_SHARES = """
    SELECT batch, count(*), bit_xor(md5_number_lower(concat_ws(
        '|', place, content_sha256, coalesce(source, ''), coalesce(md5(resolved), '')
    )))
    FROM fhir.resource_versions WHERE is_current AND NOT is_deleted
    GROUP BY batch
"""
_PLACES = """
    SELECT place, source, resolved FROM fhir.resource_versions
    WHERE is_current AND NOT is_deleted AND batch = ?
    ORDER BY place
"""


@dataclass(frozen=True)
class IndexWork:
    """A piece of work: the current resources of one batch.

    Attributes:
        data_dir: of the lake.
        share: what they are.
        places: where they lie in the batch.
        folder: to write their rows to.
    """

    data_dir: str
    share: Share
    places: Places
    folder: Path


@dataclass(frozen=True)
class Plan:
    """What is to be done.

    Attributes:
        shares: that the index is to have, those that are new without what is in the index.
        inputs: hash of each batch that the warehouse has taken in, by `<table>/<batch>`.
        known: what the index has.
        work: a piece for each batch that is new or has changed.
    """

    shares: list[Share]
    inputs: dict[str, str]
    known: Generation
    work: list[IndexWork]


def plan(connection: duckdb.DuckDBPyConnection, layout: Layout) -> Plan:
    """Compare what the warehouse holds with what the index has.

    Args:
        connection: to the warehouse.
        layout: where the lake is.
    """
    inputs = ledger.inputs(connection)
    digests = ledger.digests(connection) if inputs else {}
    known = _usable(layout, read_generation(layout))
    kept = {share.batch: share for share in known.shares().values()}
    folder = folder_of(layout)
    make_folder(folder)
    _remove_strays(local_path(folder))
    staging = None
    made_with = f"{VERSION} {own_parameters().digest}"
    shares: list[Share] = []
    work: list[IndexWork] = []
    rows = connection.execute(_SHARES).fetchall() if inputs else []
    for batch, count, mark in sorted(rows):
        digest = sha256(f"{made_with} {digests.get(batch)} {count} {mark}".encode()).hexdigest()
        share = Share(batch, digest, count)
        if batch in kept and kept[batch].digest == digest:
            shares.append(kept[batch])
            continue
        shares.append(share)
        if staging is None:
            staging = Path(tempfile.mkdtemp(prefix=_STAGING, dir=local_path(folder)))
        places = _places(connection, batch)
        work.append(IndexWork(str(layout.data_dir), share, places, staging / str(len(work))))
    return Plan(shares, inputs, known, work)


def _remove_strays(folder: Path) -> None:
    """Remove what killed runs have left, once it is so old that no run is still writing it."""
    oldest = time.time() - _STRAY_SECONDS
    for path in (*folder.glob(f"{_STAGING}*"), *folder.glob("*.new*")):
        if path.stat().st_mtime < oldest:
            shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)


def _usable(layout: Layout, known: Generation | None) -> Generation:
    """What of a generation still has its files."""
    runs = known.runs if known else ()
    return Generation(tuple(run for run in runs if file_of(layout, run).exists()))


def _places(connection: duckdb.DuckDBPyConnection, batch: str) -> Places:
    rows = connection.sql(_PLACES, params=[batch]).to_arrow_table()
    places, resolved = rows["place"].to_numpy(), rows["resolved"].to_pylist()
    pairs = zip(places.tolist(), resolved, strict=True)
    found = {place: content for place, content in pairs if content is not None}
    return Places(places, rows["source"].combine_chunks(), found)


def index_batch(work: IndexWork) -> Share:
    """Write the rows of one batch.

    Returns:
        Its share, with how many of its resources are in the index.

    Raises:
        DamagedPartError: a part of the batch is gone or is not what its commit says.
    """
    layout = Layout.of(work.data_dir)
    work.folder.mkdir(mode=0o700, parents=True)
    rows = Rows()
    writers = {
        name: pq.ParquetWriter(work.folder / f"{name}.parquet", schema, compression="zstd")
        for name, schema in TABLES.items()
    }
    first = 0
    try:
        for some in read_partition(layout, _ENRICHED, work.share.batch).batches(["resource"]):
            contents, which = taken(some["resource"], first, work.places)
            first += some.num_rows
            if contents:
                rows.add(contents, _sources(work.places.sources, which))
                for name, table in rows.take().items():
                    writers[name].write_table(table)
    finally:
        for writer in writers.values():
            writer.close()
    return msgspec.structs.replace(
        work.share, indexed=rows.count, refused=dict(sorted(rows.refused.items()))
    )


def _sources(sources: pa.Array, which: slice) -> list[str | None]:
    found: list[str | None] = sources[which.start : which.stop].to_pylist()
    return found


def updated(layout: Layout, planned: Plan, made: Iterable[Share]) -> Generation:
    """Make the files that are missing, and have readers use them.

    Args:
        layout: where the lake is.
        planned: what was to be done.
        made: share of each piece of work, in that order.
    """
    new = {share.batch: share for share in made}
    staged = {work.share.batch: work.folder for work in planned.work}
    runs = []
    known = [(file_of(layout, run), run) for run in planned.known.runs]
    for run in grouped(planned.shares):
        shares = tuple(new.get(share.batch, share) for share in run.shares)
        filled = Run(run.name, shares)
        path = file_of(layout, filled)
        if not path.exists():
            make_run(path, pieces_of(filled, known, staged))
        runs.append(filled)
    generation = Generation(tuple(runs), own_parameters().digest)
    write_generation(layout, generation)
    return generation


def discard(planned: Plan) -> None:
    """Remove what workers wrote."""
    for folder in {work.folder.parent for work in planned.work}:
        shutil.rmtree(folder)


def refresh(connection: duckdb.DuckDBPyConnection, layout: Layout) -> Generation:
    """Bring the index up in this process."""
    planned = plan(connection, layout)
    try:
        return updated(layout, planned, [index_batch(work) for work in planned.work])
    finally:
        discard(planned)


def counted(layout: Layout) -> tuple[int, int]:
    """How many resources the files of the index hold, and how many were refused."""
    generation = read_generation(layout) or Generation()
    indexed = 0
    for run in generation.runs:
        with duckdb.connect(file_of(layout, run), read_only=True) as connection:
            indexed += connection.execute("SELECT count(*) FROM resources").fetchall()[0][0]
    shares = generation.shares().values()
    return indexed, sum(sum(share.refused.values()) for share in shares)
