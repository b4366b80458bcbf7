"""Which series have pixels, each a piece of work for a worker process.

Belongs here: finding them, with the frames that were decoded. What is done with one is in
`workers.py`; studies to be aligned are in `study_work.py`.
"""

import tempfile
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from operator import itemgetter

import duckdb

from hc_assets.imaging.quality.image_kinds import CAPTURES
from hc_assets.imaging.series.instances import Instance, read_series
from hc_assets.imaging.volumes.placing import CAPTURED, Gate, Gates

_ROWS = 2_000


@dataclass(frozen=True)
class SeriesWork:
    """A series with pixels.

    Attributes:
        data_dir: folder of the lake.
        files: its index rows, those with pixels.
        gates: which of its frames are decodable, and whether they pass the gate.
        limit: bytes that the slices of one volume may take up.
    """

    data_dir: str
    files: tuple[Instance, ...]
    gates: Gates
    limit: int


def work_of(
    data_dir: str,
    index: Sequence[str],
    metrics: Sequence[str],
    *,
    changed: Sequence[str] | None,
    studies: Collection[str] = (),
    limit: int,
) -> Iterator[SeriesWork]:
    """Find the series that have pixels.

    Args:
        data_dir: folder of the lake.
        index: paths of all parts of the index.
        metrics: paths of all parts of the quality metrics.
        changed: parts of the index whose studies are wanted; None for all.
        studies: StudyInstanceUIDs of further studies that are wanted.
        limit: bytes that the slices of one volume may take up.

    Yields:
        The series, sorted by StudyInstanceUID and SeriesInstanceUID.
    """
    gates = _gates(index, metrics)
    key, of_series = next(gates, (None, {}))
    for files in read_series(index, changed=changed, studies=studies):
        own = (files[0]["study_instance_uid"], files[0]["series_instance_uid"])
        while key is not None and key < own:
            key, of_series = next(gates, (None, {}))
        with_pixels = tuple(file for file in files if file["frames"])
        if with_pixels:
            yield SeriesWork(data_dir, with_pixels, of_series if key == own else {}, limit)


def _gates(
    index: Sequence[str], metrics: Sequence[str]
) -> Iterator[tuple[tuple[str, str], dict[tuple[str, str], dict[int, Gate]]]]:
    """Decoded frames by series, in the order in which `read_series` gives the series."""
    if not index or not metrics:
        return
    with (
        tempfile.TemporaryDirectory() as spill,
        duckdb.connect(config={"temp_directory": spill}) as connection,
    ):
        found = connection.execute(
            """
            SELECT files.study_instance_uid, files.series_instance_uid, batch, source_file,
                frames.frame, frames.passes_gate, frames.snr_reason
            FROM read_parquet(?, hive_partitioning = false) AS files
            JOIN read_parquet(?, hive_partitioning = false) AS frames USING (batch, source_file)
            WHERE files.study_instance_uid IS NOT NULL AND files.series_instance_uid IS NOT NULL
            ORDER BY files.study_instance_uid, files.series_instance_uid
            """,
            [list(index), list(metrics)],
        )
        for key, rows in groupby(_rows(found), key=itemgetter(0, 1)):
            gates: dict[tuple[str, str], dict[int, Gate]] = {}
            for _, _, batch, source_file, frame, passes, reason in rows:
                gate = CAPTURED if reason in CAPTURES else passes
                gates.setdefault((batch, source_file), {})[frame] = gate
            yield key, gates


def _rows(
    found: duckdb.DuckDBPyConnection,
) -> Iterator[tuple[str, str, str, str, int, bool, str | None]]:
    while rows := found.fetchmany(_ROWS):
        yield from rows


def gated_series(index: Sequence[str], metrics: Sequence[str]) -> frozenset[str]:
    """SeriesInstanceUIDs of the series of which a frame passes the quality gate.

    Args:
        index: paths of parts of the index.
        metrics: paths of parts of the quality metrics.
    """
    return frozenset(
        series
        for (_, series), files in _gates(index, metrics)
        if any(gate is True for frames in files.values() for gate in frames.values())
    )
